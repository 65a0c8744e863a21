"""Rules that relate several keys of one table, checked on its merged JSON object.

They work on the JSON value and not on the models, so that they still speak when another key of the same
object is wrong: a file's author gets every problem at once. A value of the wrong type is left to the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from migration_assets.workflow.errors import Finding, Location, echo, json_path
from migration_assets.workflow.identifiers import Identifier, IdentifierError
from migration_assets.workflow.predicates import PredicateError, check_predicate
from migration_assets.workflow.source_platforms import (
    BULK_UTILITIES,
    NO_BULK_UTILITY,
    SYNTAX,
    TARGET_SYNTAX,
    SourcePlatform,
)

JsonObject = Mapping[str, object]


def table_findings(table: JsonObject) -> Iterator[Finding]:
    """Everything that can be said of a merged table without knowing its source platform."""
    for key, rule in {
        "extraction": extraction_findings,
        "synchronization": synchronization_findings,
        "target": target_findings,
    }.items():
        for finding in rule(object_at(table, key)):
            yield finding.at((key, *finding.location))
    yield from primary_key_findings(table)


def platform_findings(table: JsonObject, source_platform: SourcePlatform) -> Iterator[Finding]:
    """What a merged table asks that its source platform doesn't have."""
    if object_at(table, "extraction").get("strategy") == "unload" and source_platform != "redshift":
        yield _rule(
            ("extraction", "strategy"),
            f'is "unload", which {source_platform} does not have',
            'Use "regular"; "unload" is for redshift.',
        )
    utility = object_at(table, "extraction").get("bulkUtility")
    owner = BULK_UTILITIES.get(utility) if isinstance(utility, str) else None
    if owner is not None and owner != source_platform:
        yield _rule(
            ("extraction", "bulkUtility"),
            f"is {echo(utility)}, which reads from {owner} and not from {source_platform}",
            f'Remove it, or use "{NO_BULK_UTILITY}".',
        )
    yield from predicate_findings(table, source_platform)
    yield from repeated_columns(table, source_platform)


def extraction_findings(extraction: JsonObject) -> Iterator[Finding]:
    """An external stage belongs to the unload strategy, and to no other; a bulk utility to the regular one."""
    strategy, stage = extraction.get("strategy"), extraction.get("externalStage")
    if strategy == "unload" and extraction.get("bulkUtility") is not None:
        yield _rule(("bulkUtility",), 'has no use with strategy "unload"', 'Remove it, or set strategy to "regular".')
    if strategy == "unload" and stage is None:
        yield _rule(
            ("externalStage",),
            'is required by strategy "unload"',
            'Name the stage over the bucket, such as "MY_DB.MY_SCHEMA.MY_STAGE".',
        )
    if strategy == "regular" and stage is not None:
        yield _rule(
            ("externalStage",),
            'has no use with strategy "regular"',
            'Remove it, or set strategy to "unload".',
        )


def synchronization_findings(synchronization: JsonObject) -> Iterator[Finding]:
    """What refines the watermark strategy belongs to it, and a limit of deletions to their tracking."""
    strategy = synchronization.get("strategy")
    if strategy == "watermark" and synchronization.get("watermarkColumn") is None:
        yield _rule(
            ("watermarkColumn",),
            'is required by strategy "watermark"',
            "Name the column that grows with every insert and update.",
        )
    if strategy in ("none", "checksum"):
        useless = [
            key for key in ("watermarkColumn", "lookback", "deletionLimit") if synchronization.get(key) is not None
        ]
        useless += [key for key in ("trackModifications", "trackDeletions") if synchronization.get(key) is True]
        for key in useless:
            yield _rule(
                (key,), f"has no use with strategy {echo(strategy)}", 'Remove it, or set strategy to "watermark".'
            )
    elif synchronization.get("deletionLimit") is not None and not synchronization.get("trackDeletions"):
        yield _rule(
            ("deletionLimit",), "has no use without trackDeletions", "Remove it, or set trackDeletions to true."
        )


def primary_key_findings(table: JsonObject) -> Iterator[Finding]:
    """Rows that were modified or deleted are found in the target by their primary key."""
    synchronization = object_at(table, "synchronization")
    tracked = [key for key in ("trackModifications", "trackDeletions") if synchronization.get(key) is True]
    if tracked and not table.get("primaryKeyColumns"):
        yield _rule(
            ("primaryKeyColumns",),
            f"is required by {' and '.join(tracked)}",
            f"Name the columns that identify a row, or remove {' and '.join(tracked)}.",
        )


def schedule_findings(workflow: JsonObject) -> Iterator[Finding]:
    """A time zone is that of a schedule."""
    if workflow.get("scheduleTimeZone") is not None and workflow.get("schedule") is None:
        yield _rule(("scheduleTimeZone",), "has no use without schedule", "Remove it, or add a schedule.")


def target_findings(target: JsonObject) -> Iterator[Finding]:
    """An Iceberg table needs its configuration, and only an Iceberg table has one."""
    config = target.get("icebergConfig")
    table_type = target.get("tableType")
    if table_type == "iceberg" and config is None:
        yield _rule(
            ("icebergConfig",),
            'is required by tableType "iceberg"',
            "Add an object with at least externalVolume, or catalog and catalogTableName.",
        )
    if table_type in (None, "native") and config is not None:
        yield _rule(("icebergConfig",), "has no use with a native table", 'Remove it, or set tableType to "iceberg".')
    if isinstance(config, Mapping):
        for finding in iceberg_findings(config):
            yield finding.at(("icebergConfig", *finding.location))


def iceberg_findings(config: JsonObject) -> Iterator[Finding]:
    """Snowflake's own catalog needs a volume to write to; another one needs the table's name in it."""
    catalog = config.get("catalog")
    stage = config.get("sourceDataStage")
    if catalog is None or (isinstance(catalog, str) and catalog.upper() == "SNOWFLAKE"):
        if config.get("externalVolume") is None:
            yield _rule(
                ("externalVolume",),
                'is required with catalog "SNOWFLAKE"',
                "Name the external volume that holds the table's data and metadata.",
            )
    elif isinstance(catalog, str) and config.get("catalogTableName") is None:
        yield _rule(
            ("catalogTableName",),
            f"is required with the external catalog {echo(catalog)}",
            'Name the table in that catalog, such as "glue_db.my_table".',
        )
    if isinstance(stage, str) and not stage.startswith("@"):
        yield Finding(
            ("sourceDataStage",),
            f"is not a stage path: {echo(stage)}",
            "Start it with @, such as @MY_DB.PUBLIC.FILES.",
        )


def predicate_findings(table: JsonObject, source_platform: SourcePlatform) -> Iterator[Finding]:
    """The filter is one boolean expression in the SQL of the source."""
    text = table.get("whereClauseCriteria")
    if not isinstance(text, str):
        return
    try:
        check_predicate(text, source_platform)
    except PredicateError as error:
        yield Finding(("whereClauseCriteria",), error.message, error.cure)


def repeated_columns(table: JsonObject, source_platform: SourcePlatform) -> Iterator[Finding]:
    """No column is listed, mapped or produced twice, in the way the database compares names."""

    compared_in_source = partial(in_source, source_platform=source_platform)
    for key in ("columnNamesToPartitionBy", "primaryKeyColumns"):
        yield from repeated(key, list(enumerate(list_at(table, key))), (), compared_in_source)
    mappings = list(objects_at(table, "columnNameMappings"))
    for field, compared in (("sourceName", compared_in_source), ("targetName", in_target)):
        names = [(index, mapping.get(field)) for index, mapping in mappings]
        yield from repeated("columnNameMappings", names, (field,), compared)
    types = [(index, mapping.get("sourceType")) for index, mapping in objects_at(table, "columnTypeMappings")]
    yield from repeated("columnTypeMappings", types, ("sourceType",), comparable_type)


def repeated_targets(tables: Sequence[tuple[int, JsonObject]]) -> Iterator[Finding]:
    """No two tables of a workflow are written to the same target; locations start at the outermost object."""
    seen: dict[tuple[str, ...], int] = {}
    for index, table in tables:
        target = object_at(table, "target")
        parts = [target.get(key) for key in ("databaseName", "schemaName", "tableName")]
        names = [in_target(part) for part in parts if isinstance(part, str)]
        key = tuple(name for name in names if name is not None)
        if len(key) < len(parts):
            continue
        first = seen.setdefault(key, index)
        if first != index:
            yield Finding(
                ("tables", index, "target"),
                f"is the same table as {json_path(('tables', first, 'target'))}",
                "Give each table its own target.",
            )


def repeated(
    key: str,
    values: Sequence[tuple[int, object]],
    field: Location,
    comparable: Callable[[str], str | None],
) -> Iterator[Finding]:
    """Texts of a list that `comparable` finds equal to an earlier one; where it gives None, the models complain."""
    seen: dict[str, int] = {}
    for index, value in values:
        compared = comparable(value) if isinstance(value, str) else None
        if compared is None:
            continue
        first = seen.setdefault(compared, index)
        if first != index:
            yield Finding(
                (key, index, *field),
                f"repeats {echo(value)} of entry [{first}]",
                "Remove one of the two, or correct it.",
            )


def in_source(written: str, source_platform: SourcePlatform) -> str | None:
    """A name as its source compares it with others; None when it isn't one."""
    name = _parsed(written)
    if name is None:
        return None
    syntax = SYNTAX[source_platform]
    return name.folded(syntax.fold) if syntax.quotes_keep_case else syntax.fold(name.text)


def in_target(written: str) -> str | None:
    """A name as the target compares it with others; None when it isn't one."""
    name = _parsed(written)
    return None if name is None else name.folded(TARGET_SYNTAX.fold)


def comparable_type(written: str) -> str:
    """A type's text as it is compared with others."""
    return "".join(written.casefold().split())


def _parsed(written: str) -> Identifier | None:
    try:
        return Identifier.parse(written)
    except IdentifierError:
        return None  # The models report it.


def _rule(location: Location, message: str, cure: str) -> Finding:
    return Finding(location, message, cure, kind="rule")


def object_at(parent: JsonObject, key: str) -> JsonObject:
    """The object under a key; an empty one when there is none."""
    value = parent.get(key)
    return value if isinstance(value, Mapping) else {}


def list_at(parent: JsonObject, key: str) -> Sequence[object]:
    """The list under a key; an empty one when there is none."""
    value = parent.get(key)
    return value if isinstance(value, (list, tuple)) else ()


def objects_at(parent: JsonObject, key: str) -> Iterator[tuple[int, JsonObject]]:
    """The objects of the list under a key, each with its index."""
    for index, entry in enumerate(list_at(parent, key)):
        if isinstance(entry, Mapping):
            yield index, entry
