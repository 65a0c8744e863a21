"""From the source's columns to the target's: types, names, and what can't be moved exactly."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from migration_assets.planning.model import PlannedColumn
from migration_assets.platforms.base import (
    ColumnMapping,
    PlatformError,
    QueryRunner,
    SourceColumn,
    SourcePlatform,
    SourceTable,
    TargetPlatform,
)
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.workflow import Identifier, TableConfiguration

REPEATING_VALUES = 20_000
"""Up to so many distinct values in a table, a dictionary makes the staged file smaller and faster."""

_ARGUMENTS = re.compile(r"\([^()]*\)")

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*", re.IGNORECASE | re.ASCII)

# columnTypeMappings name target types as Snowflake spells them, whatever the deployment's warehouse is.
_WRITTEN_TYPES = Snowflake()


@dataclass(frozen=True)
class _Override:
    """One entry of columnTypeMappings."""

    target_type: str
    type: ColumnType


def plan_columns(
    run: QueryRunner,
    config: TableConfiguration,
    table: SourceTable,
    source: SourcePlatform,
    target: TargetPlatform,
    known: Mapping[str, PlannedColumn] = MappingProxyType({}),
) -> tuple[tuple[PlannedColumn, ...], list[str]]:
    """Plans every column of a table.

    Args:
        known: columns by source name that stay as they were planned before. Their values are not looked at again.

    Returns:
        The columns, and every reason why the table can't be moved as it is, with the cure.
    """
    problems: list[str] = []
    overrides = _overrides(config, source, problems)
    names = _target_names(config, table, source, target, problems)
    chosen = {column.name: _override_of(column, overrides, source) for column in table.columns}
    mappings: dict[str, ColumnMapping] = {}
    for column in table.columns:
        if column.name in known:
            continue
        override = chosen[column.name]
        try:
            mappings[column.name] = source.map_column(column, override.type if override else None)
        except PlatformError as error:
            problems.append(str(error))
    unknown = [column for column in table.columns if column.name in mappings and mappings[column.name].needs_profile]
    if unknown:
        mappings |= source.profile(run, table, config.where_clause_criteria, unknown)
    planned = []
    for column in table.columns:
        if column.name in known:
            planned.append(known[column.name].model_copy(update={"source": column}))
            continue
        mapping, override = mappings.get(column.name), chosen[column.name]
        if mapping is None:
            continue
        if mapping.refusal:
            problems.append(f"column {column.name} ({column.native_type}): {mapping.refusal}")
            continue
        try:
            target_type = _target_type(target, mapping, override)
        except PlatformError as error:
            problems.append(f"column {column.name} ({column.native_type}): {error}")
            continue
        planned.append(
            PlannedColumn(
                source=column,
                target_name=names[column.name],
                type=mapping.type,
                target_type=target_type,
                expression=mapping.expression,
                repeats=_repeats(column, mapping.type),
                notes=mapping.notes,
            )
        )
    return tuple(planned), problems


def _overrides(config: TableConfiguration, source: SourcePlatform, problems: list[str]) -> Mapping[str, _Override]:
    """The user's type mappings by normalised source type."""
    overrides = {}
    for mapping in config.column_type_mappings:
        try:
            overrides[source.normalised_type(mapping.source_type)] = _Override(
                mapping.target_type, _WRITTEN_TYPES.parse_type(mapping.target_type)
            )
        except PlatformError as error:
            problems.append(f"columnTypeMappings, targetType {mapping.target_type!r}: {error}")
    return overrides


def _override_of(column: SourceColumn, overrides: Mapping[str, _Override], source: SourcePlatform) -> _Override | None:
    """The mapping of a column: one that names its arguments goes before one that doesn't."""
    for spelling in (column.native_type, _ARGUMENTS.sub("", column.native_type), column.base_type):
        if override := overrides.get(source.normalised_type(spelling)):
            return override
    return None


def _target_type(target: TargetPlatform, mapping: ColumnMapping, override: _Override | None) -> str:
    if override and target.name == _WRITTEN_TYPES.name:
        return override.target_type
    return target.ddl_type(mapping.type)


def _target_names(
    config: TableConfiguration,
    table: SourceTable,
    source: SourcePlatform,
    target: TargetPlatform,
    problems: list[str],
) -> Mapping[str, str]:
    """The target's column names by source name: renamed where the user says so, folded where plain."""
    known = {column.name for column in table.columns}
    renamed = {}
    for mapping in config.column_name_mappings:
        name = find_column(mapping.source_name, known, source, "columnNameMappings", problems)
        renamed[name] = Identifier.parse(mapping.target_name).folded(target.fold)
    names = {name: renamed.get(name) or target_identifier(name, source, target) for name in known}
    problems += [
        f"columns {first.name} and {second.name} would both be {names[second.name]} in the target: "
        "rename one of them with columnNameMappings"
        for first, second in combinations(table.columns, 2)
        if target.same_name(names[first.name], names[second.name])
    ]
    return names


def target_identifier(name: str, source: SourcePlatform, target: TargetPlatform) -> str:
    """A source name in the target: folded as the target does when the source needs no quotes for it."""
    return target.fold(name) if _PLAIN.fullmatch(name) and source.fold(name) == name else name


def resolve_columns(
    written: Sequence[str], table: SourceTable, source: SourcePlatform, key: str, problems: list[str]
) -> tuple[str, ...]:
    """The source columns that a list of the workflow names; a missing one becomes a problem."""
    known = {column.name for column in table.columns}
    return tuple(find_column(text, known, source, key, problems) for text in written)


def find_column(written: str, known: Collection[str], source: SourcePlatform, key: str, problems: list[str]) -> str:
    """The source column that the workflow names; a missing or ambiguous one becomes a problem, and stays as written."""
    name = Identifier.parse(written).folded(source.fold)
    try:
        found = source.find_name(name, known)
    except PlatformError as error:
        problems.append(f"{key}: {error}")
        return name
    if found is None:
        close = [column for column in sorted(known) if column.lower() == name.lower()]
        cure = f'write "\\"{close[0]}\\"" in the file' if close else f"the columns are {', '.join(sorted(known))}"
        problems.append(f"{key}: the source has no column {name}; {cure}")
    return found or name


def _repeats(column: SourceColumn, column_type: ColumnType) -> bool:
    if column_type.kind is Kind.BOOLEAN or column.distinct is None:
        return False
    return 0 < column.distinct <= REPEATING_VALUES
