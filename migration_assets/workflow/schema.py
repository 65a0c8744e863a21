"""The workflow formats as JSON Schemas, for editors to complete and check a file while it is written.

They are looser than the loaders: a table may leave to the defaults what the loader then requires, and no rule
that relates several keys is in them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migration_assets.workflow.model import (
    VERSION_PATTERN,
    WORKFLOW_NAME_PATTERN,
    Model,
    PartitionSize,
    TableConfiguration,
    WorkflowConfiguration,
)
from migration_assets.workflow.validation_model import ValidationWorkflowConfiguration

PUBLISHED_SCHEMA = Path(__file__).with_name("workflow.schema.json")
PUBLISHED_VALIDATION_SCHEMA = Path(__file__).with_name("validation_workflow.schema.json")

# A JSON Schema is JSON of any shape.
Schema = dict[str, Any]

# Objects that are merged with defaults, so that any key may stand in either of the two places.
_MERGED = (
    "TableConfiguration",
    "SourceTable",
    "TargetTable",
    "IcebergConfig",
    "ExtractionStrategy",
    "SynchronizationStrategy",
)


def json_schema() -> Schema:
    """The schema of a migration workflow, in draft 2020-12."""
    table = TableConfiguration.model_json_schema()
    definitions: dict[str, Schema] = table.pop("$defs")
    definitions["TableConfiguration"] = table
    for field in TableConfiguration.model_fields.values():
        if isinstance(field.default, Model):
            # Only what a file may hold: the defaults of keys that mean nothing in it would be refused.
            written = field.default.model_dump(mode="json", by_alias=True, exclude_unset=True)
            table["properties"][field.alias]["default"] = written
    workflow = WorkflowConfiguration.model_json_schema()
    properties: dict[str, Schema] = workflow["properties"]
    _refer(properties["defaultTableConfiguration"], "TableConfiguration")
    properties["tables"]["items"] = {"$ref": "#/$defs/TableConfiguration"}
    properties["schemaVersion"]["pattern"] = VERSION_PATTERN
    _of_strings(properties["name"])["pattern"] = WORKFLOW_NAME_PATTERN

    for name, definition in {**definitions, "": workflow}.items():
        _allow_null(definition)
        if name in _MERGED:
            definition.pop("required", None)
    definitions["PartitionSize"] = _partition_size(definitions["PartitionSize"])
    return _finished("Workflow", workflow, definitions)


def validation_json_schema() -> Schema:
    """The schema of a validation workflow, in draft 2020-12."""
    workflow = ValidationWorkflowConfiguration.model_json_schema()
    definitions: dict[str, Schema] = workflow.pop("$defs")
    _of_strings(workflow["properties"]["name"])["pattern"] = WORKFLOW_NAME_PATTERN
    for definition in (*definitions.values(), workflow):
        _allow_null(definition)
    return _finished("Validation workflow", workflow, definitions)


def render() -> str:
    """The text of the published schema of a migration workflow."""
    return json.dumps(json_schema(), indent=2) + "\n"


def render_validation() -> str:
    """The text of the published schema of a validation workflow."""
    return json.dumps(validation_json_schema(), indent=2) + "\n"


def publish() -> None:
    """Write the published schemas again, after a change of the models."""
    PUBLISHED_SCHEMA.write_text(render(), encoding="utf-8")
    PUBLISHED_VALIDATION_SCHEMA.write_text(render_validation(), encoding="utf-8")


def _finished(title: str, workflow: Schema, definitions: dict[str, Schema]) -> Schema:
    workflow["properties"] = {
        "$schema": {
            "type": "string",
            "description": "The schema an editor checks this file with; not read otherwise.",
        },
        **workflow["properties"],
    }
    workflow["$defs"] = dict(sorted(definitions.items()))
    tidy = _without_titles(workflow)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **tidy}


def _refer(schema: Schema, definition: str) -> None:
    for key in ("type", "additionalProperties"):
        schema.pop(key, None)
    schema["$ref"] = f"#/$defs/{definition}"


def _of_strings(schema: Schema) -> Schema:
    branches: list[Schema] = schema.get("anyOf", [schema])
    return next(branch for branch in branches if branch.get("type") == "string")


def _allow_null(definition: Schema) -> None:
    """Null means 'not set' for every key that isn't required."""
    for key, schema in definition.get("properties", {}).items():
        branches = schema.get("anyOf", [])
        if key in definition.get("required", []) or {"type": "null"} in branches:
            continue
        about = {word: schema.pop(word) for word in ("description", "default") if word in schema}
        definition["properties"][key] = {"anyOf": [schema, {"type": "null"}], **about}


def _partition_size(definition: Schema) -> Schema:
    forms = []
    unset: dict[str, Schema] = {key: {"type": "null"} for key in definition["properties"]}
    for key, schema in definition["properties"].items():
        value = next(branch for branch in schema["anyOf"] if branch != {"type": "null"})
        forms.append(
            {
                "type": "object",
                "additionalProperties": False,
                "required": [key],
                "properties": {**unset, key: {**value, "description": schema["description"]}},
            }
        )
    return {"description": PartitionSize.__doc__, "oneOf": [{"const": "auto"}, *forms]}


def _without_titles(schema: Schema) -> Schema:
    """Without the titles that only repeat a key, and the defaults that only say 'not set'."""
    tidy: Schema = {}
    for key, value in schema.items():
        if (key == "title" and isinstance(value, str)) or (key == "default" and value is None):
            continue
        if isinstance(value, dict):
            tidy[key] = _without_titles(value)
        elif isinstance(value, list):
            tidy[key] = [_without_titles(entry) if isinstance(entry, dict) else entry for entry in value]
        else:
            tidy[key] = value
    return tidy
