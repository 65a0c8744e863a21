"""The workflow reference tells the truth: its example loads, and it names every key."""

from __future__ import annotations

import re
from pathlib import Path

from migration_assets.workflow import json_schema
from migration_assets_tests.workflow.documents import parse

REFERENCE = Path(__file__).parents[2] / "docs" / "workflow-reference.md"


def test_the_example_of_the_reference_loads() -> None:
    found = re.search(r"```json\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    assert len(parse(found[1], None, require_supported=True).tables) == 2


def test_the_reference_names_every_key_of_the_format() -> None:
    schema = json_schema()
    keys = {key for part in (schema, *schema["$defs"].values()) for key in part.get("properties", {})}
    text = REFERENCE.read_text(encoding="utf-8")
    assert not [key for key in sorted(keys) if key not in text]
