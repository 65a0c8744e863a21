"""Which columns of source and target are compared with each other, as what, and by which key rows are aligned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from sqlglot import exp

from migration_assets.platforms.base import (
    ColumnMapping,
    PlatformError,
    QueryRunner,
    SourceColumn,
    SourcePlatform,
    SourceTable,
    TargetColumn,
    TargetPlatform,
)
from migration_assets.platforms.canonical import CanonicalType, canonical_type
from migration_assets.platforms.canonical_sql import CanonicalColumn
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.warehouses.base import TargetTable
from migration_assets.workflow import Identifier, ValidationTable


class AlignmentError(Exception):
    """The workflow names columns that there aren't; every problem with its cure."""

    def __init__(self, table: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{table} can't be validated as it is:\n" + "\n".join(f"  - {text}" for text in problems))


@dataclass(frozen=True)
class ComparedColumn:
    """A column on both sides.

    Attributes:
        name: its name in the source, by which findings call it.
        source_type: the type in which the source's value is compared, after the platform's mapping.
        target_type: the target's own type.
        source_sql: the source's value, in its SQL.
        target_sql: the target's value, in its SQL.
        canonical: what both are compared as.
        source_is_plain: whether the source's value is the column as it stands, of a type that says its digits.
    """

    name: str
    source: SourceColumn
    target: TargetColumn
    source_type: ColumnType
    target_type: ColumnType
    source_sql: str
    target_sql: str
    canonical: CanonicalType
    source_is_plain: bool = False

    @property
    def of_source(self) -> CanonicalColumn:
        """The column as the source reads it."""
        return CanonicalColumn(
            self.name,
            self.source_sql,
            self.source_type,
            self.canonical,
            nullable=self.source.nullable,
            native=self.source.base_type,
            native_arguments=self.source.type_arguments,
        )

    @property
    def of_target(self) -> CanonicalColumn:
        """The column as the target reads it."""
        return CanonicalColumn(
            self.name, self.target_sql, self.target_type, self.canonical, nullable=self.target.nullable
        )


@dataclass(frozen=True)
class ColumnPair:
    """A source column in scope with the target column of its name; None when the target has none."""

    source: SourceColumn
    target: TargetColumn | None
    target_name: str


@dataclass(frozen=True)
class Alignment:
    """How two tables are held against each other.

    Attributes:
        pairs: every source column in scope, in the source's order.
        compared: those whose values can be compared.
        excluded: source columns that the workflow leaves out.
        skipped: source columns whose values can't be compared, with the reason.
        extra: target columns that no source column goes with.
        key: names of compared columns that rows are aligned by; empty when there are none.
        key_is_unique: whether the source promises that no two rows have the same key.
        notes: what a reader should know.
    """

    pairs: tuple[ColumnPair, ...]
    compared: tuple[ComparedColumn, ...]
    excluded: tuple[str, ...]
    skipped: Mapping[str, str]
    extra: tuple[TargetColumn, ...]
    key: tuple[str, ...]
    notes: tuple[str, ...] = ()
    key_is_unique: bool = False

    @property
    def key_columns(self) -> tuple[ComparedColumn, ...]:
        """The columns of the key, in its order."""
        by_name = {column.name: column for column in self.compared}
        return tuple(by_name[name] for name in self.key)


def align(
    config: ValidationTable,
    source: SourceTable,
    target: TargetTable,
    *,
    source_platform: SourcePlatform,
    target_platform: TargetPlatform,
    run: QueryRunner,
) -> Alignment:
    """Finds what is compared.

    Args:
        run: asks the source, where a type says too little of its values.

    Raises:
        AlignmentError: the workflow names a column that its table doesn't have.
    """
    names = _Names(config, source, target, source_platform, target_platform)
    problems: list[str] = []
    included = names.of_source(config.included_columns, "column_selection_list", problems)
    excluded = names.of_source(config.excluded_columns, "column_selection_list", problems)
    wanted_key = names.of_source(config.index_columns, "index_column_list", problems)
    mapped = names.mapped(problems)
    if config.target_index_columns:
        mapped |= dict(
            zip(
                wanted_key,
                names.of_target(config.target_index_columns, "target_index_column_list", problems),
                strict=True,
            )
        )
    if problems:
        raise AlignmentError(str(source.name), problems)

    scope = [
        column
        for column in source.columns
        if (not included or column.name in {*included, *wanted_key}) and column.name not in excluded
    ]
    everything = names.pairs(mapped)
    pairs = tuple(everything[column.name] for column in scope)
    compared, skipped, rounded = _compared(pairs, config, source, source_platform, target_platform, run)
    taken = {pair.target.name for pair in pairs if pair.target}
    left_out = {column.name for column in source.columns} - {column.name for column in scope}
    unscoped = {found.name for name in left_out if (found := everything[name].target) is not None}
    extra = tuple(column for column in target.columns if column.name not in taken | unscoped)
    key, notes = _key(wanted_key, source, compared)
    return Alignment(
        pairs=pairs,
        compared=compared,
        excluded=tuple(column.name for column in source.columns if column.name in left_out),
        skipped=skipped,
        extra=extra if not included else (),
        key=key,
        notes=(*notes, *rounded),
        key_is_unique=any(unique and set(unique) <= set(key) for unique in (source.primary_key, *source.unique_keys)),
    )


@dataclass(frozen=True)
class _Names:
    """The names of the workflow in both catalogues."""

    config: ValidationTable
    source: SourceTable
    target: TargetTable
    source_platform: SourcePlatform
    target_platform: TargetPlatform

    def of_source(self, written: Sequence[str], key: str, problems: list[str]) -> list[str]:
        known = [column.name for column in self.source.columns]
        fold, blind = self.source_platform.fold, self.source_platform.ignores_case
        return [self._found(text, known, fold, key, "source", problems, ignores_case=blind) for text in written]

    def of_target(self, written: Sequence[str], key: str, problems: list[str]) -> list[str]:
        known = [column.name for column in self.target.columns]
        return [self._found(text, known, self.target_platform.fold, key, "target", problems) for text in written]

    def mapped(self, problems: list[str]) -> dict[str, str]:
        """Target names by source name, where the workflow maps them."""
        mappings = self.config.column_mappings
        sources = self.of_source(list(mappings), "column_mappings", problems)
        targets = self.of_target(list(mappings.values()), "column_mappings", problems)
        problems += [
            f"column_mappings: {name} is the target of more than one column"
            for name, times in Counter(targets).items()
            if times > 1
        ]
        return dict(zip(sources, targets, strict=True))

    def pairs(self, mapped: Mapping[str, str]) -> dict[str, ColumnPair]:
        """Every source column with its target column. No target column goes with two: the nearer name has it."""
        by_name = {column.name: column for column in self.target.columns}
        found: dict[str, TargetColumn] = {}
        exact = [*mapped.items()]
        exact += [(column.name, column.name) for column in self.source.columns if column.name not in mapped]
        for name, wanted in exact:
            if wanted in by_name:
                found[name] = by_name.pop(wanted)
        for column in self.source.columns:
            if column.name in found or column.name in mapped or self.config.is_case_sensitive:
                continue
            alike = [name for name in by_name if name.lower() == column.name.lower()]
            if len(alike) == 1:
                found[column.name] = by_name.pop(alike[0])
        return {
            column.name: ColumnPair(column, found.get(column.name), mapped.get(column.name, column.name))
            for column in self.source.columns
        }

    def _found(
        self,
        written: str,
        known: Sequence[str],
        fold: Callable[[str], str],
        key: str,
        side: str,
        problems: list[str],
        *,
        ignores_case: bool = False,
    ) -> str:
        identifier = Identifier.parse(written)
        name = identifier.folded(fold)
        if name in known:
            return name
        alike = [other for other in known if other.lower() == name.lower()]
        if len(alike) == 1 and (ignores_case or not (self.config.is_case_sensitive or identifier.quoted)):
            return alike[0]
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        cure = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known)}"
        problems.append(f"{key}: the {side} has no column {written}; {cure}")
        return name


def _compared(
    pairs: Sequence[ColumnPair],
    config: ValidationTable,
    source: SourceTable,
    source_platform: SourcePlatform,
    target_platform: TargetPlatform,
    run: QueryRunner,
) -> tuple[tuple[ComparedColumn, ...], dict[str, str], list[str]]:
    skipped: dict[str, str] = {}
    rounded: list[str] = []
    mappings = _mappings(pairs, config, source, source_platform, run)
    compared = []
    for pair in pairs:
        column, other = pair.source, pair.target
        if other is None:
            skipped[column.name] = f"the target has no column {pair.target_name}"
            continue
        try:
            target_type = target_platform.parse_type(other.type)
        except PlatformError as error:
            skipped[column.name] = str(error)
            continue
        mapping = mappings[column.name]
        canonical = canonical_type(mapping.type, target_type) if isinstance(mapping, ColumnMapping) else None
        if canonical is None:
            # The way in which a migration would have made this type of it.
            mapping = _mapping(source_platform, column, target_type)
            canonical = canonical_type(mapping.type, target_type) if isinstance(mapping, ColumnMapping) else None
        if canonical is None or not isinstance(mapping, ColumnMapping):
            reason = "" if isinstance(mapping, ColumnMapping) else f": {mapping}"
            skipped[column.name] = f"{column.native_type} and {other.type} have no values in common{reason}"
            continue
        own = mappings[column.name]
        if isinstance(own, ColumnMapping) and own is not mapping and own.type.is_rounded_in(mapping.type):
            rounded.append(f"{column.name} is compared as {mapping.type}, which can't hold all that {own.type} can")
        quoted = exp.column(exp.to_identifier(column.name, quoted=True)).sql(source_platform.dialect)
        compared.append(
            ComparedColumn(
                name=column.name,
                source=column,
                target=other,
                source_type=mapping.type,
                target_type=target_type,
                source_sql=source_platform.unchecked(column, mapping.type, mapping.expression),
                target_sql=exp.column(exp.to_identifier(other.name, quoted=True)).sql(target_platform.dialect),
                canonical=canonical,
                source_is_plain=mapping.expression == quoted
                and (mapping.type.kind is Kind.INTEGER or bool(column.type_arguments)),
            )
        )
    return tuple(compared), skipped, rounded


def _mappings(
    pairs: Sequence[ColumnPair],
    config: ValidationTable,
    source: SourceTable,
    platform: SourcePlatform,
    run: QueryRunner,
) -> dict[str, ColumnMapping | str]:
    mappings = {pair.source.name: _mapping(platform, pair.source) for pair in pairs}
    unknown = [
        pair.source
        for pair in pairs
        if isinstance(mapping := mappings[pair.source.name], ColumnMapping) and mapping.needs_profile
    ]
    if unknown:
        profiled = platform.profile(run, source, config.where_clause, unknown)
        mappings |= {
            name: mapping if mapping.refusal is None else mapping.refusal for name, mapping in profiled.items()
        }
    return mappings


def _mapping(platform: SourcePlatform, column: SourceColumn, override: ColumnType | None = None) -> ColumnMapping | str:
    """How the source's value is read, or why it can't be."""
    try:
        mapping = platform.map_column(column, override)
    except PlatformError as error:
        return str(error)
    return mapping.refusal or mapping


def _key(
    wanted: Sequence[str], source: SourceTable, compared: Sequence[ComparedColumn]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = {column.name for column in compared}
    if wanted:
        if missing := [name for name in wanted if name not in names]:
            return (), (f"rows can't be aligned by {', '.join(wanted)}: {', '.join(missing)} can't be compared",)
        return tuple(wanted), ()
    for key in (source.primary_key, *source.unique_keys):
        if key and names.issuperset(key):
            return key, ()
    return (), ("without a key, rows are compared as a multiset: give index_column_list to align them",)
