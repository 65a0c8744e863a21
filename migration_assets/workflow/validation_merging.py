"""What an entry of a validation workflow inherits: its settings, and the names of its target.

Works on the JSON values, so that rules may ask while another key of the file is still wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

from migration_assets.workflow.identifiers import IdentifierError, split_names
from migration_assets.workflow.merging import JsonObject
from migration_assets.workflow.rules import in_source, object_at
from migration_assets.workflow.source_platforms import SourcePlatform

# Settings that an entry may have of its own, outside its validation_configuration.
DIRECT_SETTINGS = ("max_failed_rows_number", "exclude_metrics", "apply_metric_column_modifier")

QualifiedParts = tuple[str, str, str]
"""Database, schema and table, each as written."""


def merged_settings(content: JsonObject, entry: JsonObject) -> dict[str, object]:
    """The entry's settings over the file's: key by key, those of the budget too; a null takes the file's away."""
    common, own = object_at(content, "validation_configuration"), object_at(entry, "validation_configuration")
    merged = {**common, **own}
    if isinstance(own.get("budget"), Mapping):
        merged["budget"] = {**object_at(common, "budget"), **object_at(own, "budget")}
    direct = {key: entry[key] for key in DIRECT_SETTINGS if entry.get(key) is not None}
    return {**merged, **direct}


def source_parts(qualified_name: str, source_platform: SourcePlatform) -> QualifiedParts | None:
    """The names in a fully qualified one; None when it isn't one for the platform.

    Teradata has no schemas: a database stands for both.
    """
    try:
        names = split_names(qualified_name)
    except IdentifierError:
        return None
    if len(names) == 2 and source_platform == "teradata":
        return names[0], names[0], names[1]
    return (names[0], names[1], names[2]) if len(names) == 3 else None


def target_parts(
    content: JsonObject, entry: JsonObject, source: QualifiedParts, source_platform: SourcePlatform
) -> QualifiedParts:
    """The names of the target: the entry's own, else mapped ones, else the file's, else those of the source."""
    database, schema, table = source

    def mapped(key: str, name: str) -> object:
        wanted = in_source(name, source_platform)
        mappings = object_at(content, key).items()
        return next((target for written, target in mappings if in_source(written, source_platform) == wanted), None)

    return (
        _first_text(
            entry.get("target_database"),
            mapped("database_mappings", database),
            content.get("target_database"),
            database,
        ),
        _first_text(entry.get("target_schema"), mapped("schema_mappings", schema), schema),
        _first_text(entry.get("target_name"), table),
    )


def _first_text(*values: object) -> str:
    return next(value for value in values if isinstance(value, str))
