"""Rules that relate several keys of a validation workflow, checked on its JSON object as `rules` are.

Locations start at the outermost object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, get_args

from migration_assets.workflow.errors import Finding, Location, echo, json_path
from migration_assets.workflow.identifiers import Identifier, IdentifierError, split_names
from migration_assets.workflow.merging import JsonObject
from migration_assets.workflow.predicates import PredicateError, check_condition
from migration_assets.workflow.rules import in_source, in_target, list_at, object_at, objects_at, repeated
from migration_assets.workflow.source_platforms import SYNTAX, TARGET_SYNTAX, SourcePlatform, Syntax
from migration_assets.workflow.validation_merging import DIRECT_SETTINGS, source_parts, target_parts
from migration_assets.workflow.validation_model import ObjectType

Place = Literal["tables", "views"]
"""The lists of a file that hold entries."""

PLACES: tuple[Place, ...] = get_args(Place)

TYPE_OF: dict[Place, ObjectType] = {"tables": "TABLE", "views": "VIEW"}

# The keys of a waiver that belong to one check.
_CHECK_OF = {"aspect": "schema", "metric": "metrics", "cause": "rows"}

# Ways to differ that concern a row as a whole.
_WHOLE_ROW = ("missing", "extra", "duplicated")

Comparable = Callable[[str], str | None]


def entries_of(content: JsonObject) -> Iterator[tuple[Place, int, JsonObject]]:
    """Every entry that is an object, with the list that holds it."""
    for place in PLACES:
        for index, entry in objects_at(content, place):
            yield place, index, entry


def workflow_findings(content: JsonObject, source_platform: SourcePlatform | None) -> Iterator[Finding]:
    """Everything that relates several keys; without a platform, what can be said of any."""
    for place, index, entry in entries_of(content):
        for finding in _entry_findings(place, entry, source_platform):
            yield finding.at((place, index, *finding.location))
    for key in ("database_mappings", "schema_mappings"):
        yield from _mapping_findings(content, key, source_platform)
    if source_platform is not None:
        yield from _repeated_entries(content, source_platform)


def _entry_findings(place: Place, entry: JsonObject, source_platform: SourcePlatform | None) -> Iterator[Finding]:
    yield from _name_findings(entry, source_platform)
    yield from _selection_findings(entry)
    yield from _index_findings(entry)
    yield from _setting_findings(entry)
    yield from _object_type_findings(place, entry)
    yield from _waiver_findings(entry, source_platform)
    yield from _mapping_findings(entry, "column_mappings", source_platform)
    yield from _predicate_findings(entry, "target_where_clause", TARGET_SYNTAX)
    yield from repeated(
        "target_index_column_list", list(enumerate(list_at(entry, "target_index_column_list"))), (), in_target
    )
    yield from _repeated_mapping_targets(entry)
    if source_platform is not None:
        yield from _predicate_findings(entry, "where_clause", SYNTAX[source_platform])
        for key in ("column_selection_list", "index_column_list"):
            names = list(enumerate(list_at(entry, key)))
            yield from repeated(key, names, (), partial(in_source, source_platform=source_platform))
        yield from _contradicted_index_columns(entry, source_platform)


def _name_findings(entry: JsonObject, source_platform: SourcePlatform | None) -> Iterator[Finding]:
    written = entry.get("fully_qualified_name")
    if not isinstance(written, str):
        return
    location: Location = ("fully_qualified_name",)
    try:
        names = split_names(written)
    except IdentifierError as error:
        # The names of the format have no dot, but here dots part them.
        cure = (
            "Write plain names with dots between them; one with other characters goes in double quotes, "
            r'in JSON as "\"My Table\"", or in brackets.'
        )
        yield Finding(location, f"has a part that {error.message}", cure)
        return
    accepted = (2, 3) if source_platform in (None, "teradata") else (3,)
    if len(names) not in accepted:
        forms = "database.schema.table"
        if source_platform == "teradata":
            forms = f"database.table or {forms}"
        parts = f"{len(names)} part" + ("" if len(names) == 1 else "s")
        yield Finding(
            location,
            f"has {parts}: {echo(written)}",
            f"Write {forms}; a dot inside a name needs double quotes or brackets around the name.",
        )


def _selection_findings(entry: JsonObject) -> Iterator[Finding]:
    if entry.get("use_column_selection_as_exclude_list") is True and not entry.get("column_selection_list"):
        yield Finding(
            ("column_selection_list",),
            "names no column, but use_column_selection_as_exclude_list is true",
            "Name the columns to leave out, or remove use_column_selection_as_exclude_list.",
        )


def _index_findings(entry: JsonObject) -> Iterator[Finding]:
    own, other = list_at(entry, "index_column_list"), list_at(entry, "target_index_column_list")
    location: Location = ("target_index_column_list",)
    if other and not own:
        yield Finding(location, "is set without index_column_list", "Add index_column_list, in the same order.")
    elif other and len(own) != len(other):
        yield Finding(
            location,
            f"has another length than index_column_list: {len(other)} against {len(own)}",
            "Name the same columns in both, in the same order.",
        )


def _setting_findings(entry: JsonObject) -> Iterator[Finding]:
    nested = object_at(entry, "validation_configuration")
    for key in DIRECT_SETTINGS:
        own, other = entry.get(key), nested.get(key)
        if own is not None and other is not None and own != other:
            yield Finding(
                (key,),
                f"is {echo(own)}, but {echo(other)} in validation_configuration of the same entry",
                "Keep one of the two.",
            )


def _object_type_findings(place: Place, entry: JsonObject) -> Iterator[Finding]:
    written = entry.get("object_type")
    # A view may stand among the tables, as the format has it; a table among the views is a mistake.
    if place == "views" and isinstance(written, str) and written.upper() == "TABLE":
        yield Finding(
            ("object_type",),
            f"is {echo(written)} in the list of views",
            "Move the entry to tables, or leave object_type out.",
        )


def _waiver_findings(entry: JsonObject, source_platform: SourcePlatform | None) -> Iterator[Finding]:
    seen: dict[tuple[object, ...], int] = {}
    for index, waiver in objects_at(entry, "waivers"):
        location: Location = ("waivers", index)
        check, cause = waiver.get("check"), waiver.get("cause")
        for key, its_check in _CHECK_OF.items():
            if waiver.get(key) is not None and check in _CHECK_OF.values() and check != its_check:
                yield Finding(
                    (*location, key),
                    f"has no use with check {echo(check)}",
                    f"Remove it, or set check to {echo(its_check)}.",
                )
        if check == "rows" and cause in _WHOLE_ROW and waiver.get("column") is not None:
            yield Finding(
                (*location, "column"), f"has no use with cause {echo(cause)}", "Remove it: the row differs as a whole."
            )
        covered = tuple(_covered(waiver, key, source_platform) for key in ("check", "column", *_CHECK_OF))
        first = seen.setdefault(covered, index)
        if first != index:
            yield Finding(location, f"covers the same as entry [{first}]", "Remove one of the two, or correct it.")


def _covered(waiver: JsonObject, key: str, source_platform: SourcePlatform | None) -> object:
    value = waiver.get(key)
    if key == "column" and isinstance(value, str) and source_platform is not None:
        value = in_source(value, source_platform) or value
    # Values of a wrong type are for the models, but must not break a comparison.
    return value if value is None or isinstance(value, str) else echo(value)


def _mapping_findings(parent: JsonObject, key: str, source_platform: SourcePlatform | None) -> Iterator[Finding]:
    seen: dict[str | None, str] = {}
    for written in object_at(parent, key):
        try:
            Identifier.parse(written)
        except IdentifierError as error:
            yield Finding((key, written), error.message, error.cure)
            continue
        if source_platform is None:
            continue
        first = seen.setdefault(in_source(written, source_platform), written)
        if first != written:
            yield Finding((key, written), f"is the same name as {echo(first)}", "Remove one of the two, or correct it.")


def _repeated_mapping_targets(entry: JsonObject) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for written, target in object_at(entry, "column_mappings").items():
        compared = in_target(target) if isinstance(target, str) else None
        if compared is None:
            continue
        first = seen.setdefault(compared, written)
        if first != written:
            yield Finding(
                ("column_mappings", written),
                f"leads to {echo(target)}, as {echo(first)} does",
                "Give each source column a target column of its own.",
            )


def _contradicted_index_columns(entry: JsonObject, source_platform: SourcePlatform) -> Iterator[Finding]:
    mapped = {
        in_source(written, source_platform): target
        for written, target in object_at(entry, "column_mappings").items()
        if isinstance(target, str)
    }
    pairs = zip(list_at(entry, "index_column_list"), list_at(entry, "target_index_column_list"), strict=False)
    for index, (own, other) in enumerate(pairs):
        if not isinstance(own, str) or not isinstance(other, str):
            continue
        target = mapped.get(in_source(own, source_platform))
        if target is not None and in_target(target) != in_target(other):
            yield Finding(
                ("target_index_column_list", index),
                f"is {echo(other)}, but column_mappings lead from {echo(own)} to {echo(target)}",
                "Make both the same, or leave target_index_column_list out.",
            )


def _predicate_findings(entry: JsonObject, key: str, syntax: Syntax) -> Iterator[Finding]:
    text = entry.get(key)
    if not isinstance(text, str):
        return
    try:
        check_condition(text, syntax)
    except PredicateError as error:
        yield Finding((key,), error.message, error.cure)


def _repeated_entries(content: JsonObject, source_platform: SourcePlatform) -> Iterator[Finding]:
    """No two entries compare the same source with the same target."""
    seen: dict[tuple[str | None, ...], Location] = {}
    for place, index, entry in entries_of(content):
        written = entry.get("fully_qualified_name")
        source = source_parts(written, source_platform) if isinstance(written, str) else None
        if source is None:
            continue
        target = target_parts(content, entry, source, source_platform)
        names = (*(in_source(part, source_platform) for part in source), *map(in_target, target))
        if None in names:
            continue
        location: Location = (place, index)
        first = seen.setdefault(names, location)
        if first != location:
            yield Finding(
                (*location, "fully_qualified_name"),
                f"names the same source and target as {json_path(first)}",
                "Remove one of the two, or correct its names.",
            )
