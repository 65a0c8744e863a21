"""The validation reference tells the truth: its example loads, and it names every key, default and word."""

from __future__ import annotations

import re
from pathlib import Path

from migration_assets.workflow import validation_json_schema
from migration_assets_tests.workflow.validation_documents import parse

REFERENCE = Path(__file__).parents[2] / "docs" / "validation-reference.md"


def test_the_example_of_the_reference_loads() -> None:
    found = re.search(r"```json\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    tables = parse(found[1], require_supported=True).tables
    assert [table.target.table_name for table in tables] == ["customers", "ORDER_LINES", "open_orders"]


def test_the_reference_names_every_key_of_the_format() -> None:
    schema = validation_json_schema()
    keys = {key for part in (schema, *schema["$defs"].values()) for key in part.get("properties", {})}
    text = REFERENCE.read_text(encoding="utf-8")
    assert not [key for key in sorted(keys) if f"`{key}`" not in text and f'`"{key}"`' not in text]


def test_the_reference_names_every_word_a_key_accepts() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    words = {word for found in _enums(validation_json_schema()) for word in found}
    assert not [word for word in sorted(words) if f"`{word}`" not in text]


def _enums(part: object) -> list[list[str]]:
    if isinstance(part, list):
        return [found for entry in part for found in _enums(entry)]
    if not isinstance(part, dict):
        return []
    own = [part["enum"]] if isinstance(part.get("enum"), list) else []
    return own + [found for value in part.values() for found in _enums(value)]
