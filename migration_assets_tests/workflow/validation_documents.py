"""Validation workflow documents for the tests."""

from __future__ import annotations

import json
from pathlib import Path

from migration_assets.workflow import Problem, ValidationWorkflow, WorkflowError, parse_validation_workflow
from migration_assets_tests.workflow.documents import Json


def entry(name: str = "shop.public.orders", **keys: object) -> Json:
    """The smallest table with more keys."""
    return {"fully_qualified_name": name, **keys}


def validation(*tables: object, **keys: object) -> Json:
    """A validation workflow with these tables, or with the smallest one."""
    return {"source_platform": "PostgreSQL", "tables": list(tables) or [entry()], **keys}


def parse(
    document: object,
    source_platform: str | None = None,
    *,
    folder: Path | None = None,
    require_supported: bool = False,
) -> ValidationWorkflow:
    """The validation of a document that is given as JSON text or as its value."""
    text = document if isinstance(document, (str, bytes)) else json.dumps(document)
    file = "check.json" if folder is None else folder / "check.json"
    return parse_validation_workflow(
        text, file=file, source_platform=source_platform, require_supported=require_supported
    )


def problems(
    document: object,
    source_platform: str | None = None,
    *,
    folder: Path | None = None,
    require_supported: bool = False,
) -> list[Problem]:
    """All problems of a document; none when it is a validation workflow."""
    try:
        parse(document, source_platform, folder=folder, require_supported=require_supported)
    except WorkflowError as error:
        return list(error.problems)
    return []
