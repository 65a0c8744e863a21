"""Level 1: the columns. What can lose or refuse values fails; what is only different passes, and is told.

Sizes are those that the source declares. A column whose type says nothing of its digits (PostgreSQL's `numeric`) is
held against what its values were found to have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from migration_assets.platforms.base import (
    ColumnMapping,
    PlatformError,
    SourceColumn,
    SourcePlatform,
    SourceTable,
    TargetColumn,
    TargetPlatform,
    split_type,
)
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import ColumnType, Kind, decimal
from migration_assets.resources.warehouses.base import TargetTable
from migration_assets.validation.alignment import Alignment, ColumnPair, ComparedColumn
from migration_assets.validation.results import SchemaFinding, Verdict
from migration_assets.workflow import ValidationTable

MOST_TOLD = 5
"""Findings that a summary tells in full."""

_WHOLE = (Kind.BOOLEAN, Kind.INTEGER)
_EXACT = (*_WHOLE, Kind.DECIMAL)
_POINTS_IN_TIME = (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)
_TEMPORAL = (*_POINTS_IN_TIME, Kind.TIME, Kind.DATE)
_FRACTION_DIGITS = 6
_UUID_LENGTH = 36
_NO_LIMIT = "no limit"

_Size = Literal["precision", "scale", "length", "nullability"]

_ARGUMENTS = re.compile(r"\([^()]*\)")
_WITH_ANY_SCALE = ("NUMBER", "DECIMAL", "DEC", "NUMERIC")

# Type mapping files name target types as Snowflake spells them, whatever the deployment's warehouse is.
_WRITTEN_TYPES = Snowflake()


def compare_schemas(
    alignment: Alignment,
    source: SourceTable,
    target: TargetTable,
    *,
    source_platform: SourcePlatform,
    target_platform: TargetPlatform,
    config: ValidationTable,
) -> list[SchemaFinding]:
    """Every property that was looked at, in the order of the source's columns; those of the table come last."""
    has_view = target.is_view or "view" in source.kind
    compared = {column.name: column for column in alignment.compared}
    mappings = {source_platform.normalised_type(name): types for name, types in config.type_mappings.items()}
    findings = []
    for pair in alignment.pairs:
        findings.append(_existence(pair))
        if pair.target is None:
            continue
        column = _Column.of(pair.source, pair.target, compared.get(pair.source.name), source_platform, target_platform)
        allowed = _allowed(pair.source, mappings, source_platform)
        findings.append(column.type_finding(allowed, alignment.skipped.get(pair.source.name), target_platform))
        findings += column.sizes(target_platform)
        if not has_view:
            findings.append(column.nullability())
    findings += [_extra(column) for column in alignment.extra]
    findings.append(_order(alignment, target))
    if not has_view:
        findings.append(_key(alignment, source, target))
    return findings


def summary_of(findings: Sequence[SchemaFinding]) -> tuple[Verdict, str]:
    """The verdict of the level, and a sentence for it."""
    verdict = Verdict.worst(finding.verdict for finding in findings)
    columns = len({finding.column for finding in findings if finding.column is not None})
    open_findings = [finding for finding in findings if finding.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)]
    if open_findings:
        told = [f"{finding.column or 'the table'}: {finding.message}" for finding in open_findings[:MOST_TOLD]]
        left = len(open_findings) - len(told)
        return verdict, "; ".join(told) + (f"; and {left:,} more" if left else "")
    waived = sum(finding.verdict is Verdict.WAIVED for finding in findings)
    notes = sum(finding.verdict is Verdict.PASS and bool(finding.message) for finding in findings)
    parts = [f"{columns:,} columns hold what the source's do"]
    parts += [f"{waived:,} differences are waived"] if waived else []
    parts += [f"{notes:,} harmless differences are noted"] if notes else []
    return verdict, ", ".join(parts)


# -- a column -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """A column on both sides, with what its types say.

    Attributes:
        declared: the type that holds whatever the source's column may; None when that is unknown.
        undeclared: the source's type says nothing of its digits; `declared` is then what the values were found to have.
        holds: the target's type; None when this program doesn't know it.
        compared_as: what the values are compared as; None when they can't be.
    """

    source: SourceColumn
    target: TargetColumn
    declared: ColumnType | None
    undeclared: bool
    holds: ColumnType | None
    compared_as: str | None

    @classmethod
    def of(
        cls,
        source: SourceColumn,
        target: TargetColumn,
        compared: ComparedColumn | None,
        source_platform: SourcePlatform,
        target_platform: TargetPlatform,
    ) -> _Column:
        mapping = _mapping(source, source_platform)
        declared, undeclared = None, False
        if mapping is None or mapping.refusal is not None:
            # More digits than can travel are digits all the same.
            declared = decimal(*source.type_arguments) if len(source.type_arguments) == 2 else None
        elif mapping.needs_profile:
            known = compared.source_type if compared else None
            declared, undeclared = (known if known and known.kind is mapping.type.kind else None), True
        else:
            declared = mapping.type
        return cls(
            source,
            target,
            declared,
            undeclared,
            holds=_parsed(target.type, target_platform),
            compared_as=str(compared.canonical.kind.value) if compared else None,
        )

    def type_finding(
        self, allowed: tuple[str, ...] | None, skipped: str | None, platform: TargetPlatform
    ) -> SchemaFinding:
        """The type: whether it may have become this one, and the values have something in common."""
        if allowed is not None:
            if any(_accepts(written, self.target.type, platform) for written in allowed):
                message = "" if skipped is None else f"allowed by the type mapping file, but {skipped}"
                return self._type(Verdict.PASS, message)
            wanted = " or ".join(allowed)
            return self._type(Verdict.FAIL, f"the type mapping file wants {wanted}, and the target has another type")
        if skipped is not None:
            # Nothing in common is known only where both types are.
            verdict = Verdict.FAIL if self.declared is not None and self.holds is not None else Verdict.INCONCLUSIVE
            return self._type(verdict, skipped)
        if self.declared is None or self.holds is None or _family(self.declared) == _family(self.holds):
            return self._type(Verdict.PASS)
        return self._type(Verdict.PASS, f"another type, compared as {self.compared_as}")

    def sizes(self, platform: TargetPlatform) -> Iterator[SchemaFinding]:
        """Whether the target holds the source's digits and characters."""
        declared, holds = self.declared, self.holds
        if holds is None:
            return
        if self.undeclared:
            yield from self._undeclared_sizes(holds, platform)
            return
        if declared is None:
            return
        kinds = {declared.kind, holds.kind}
        if kinds <= set(_EXACT):
            if kinds != {Kind.BOOLEAN}:
                yield self._precision(declared, holds)
                yield self._scale(declared, holds)
        elif kinds <= {*_EXACT, Kind.FLOAT}:
            yield self._float(declared, holds)
        elif kinds <= set(_TEMPORAL):
            if kinds != {Kind.DATE}:
                yield self._fraction(declared, holds)
        elif holds.kind in (Kind.TEXT, Kind.BINARY):
            longest = _longest(declared)
            if longest is not None:
                yield self._length(longest, holds, platform)

    def nullability(self) -> SchemaFinding:
        """Whether the target takes NULL where the source has it."""
        source, target = ("NULL" if side.nullable else "NOT NULL" for side in (self.source, self.target))
        verdict, message = Verdict.PASS, ""
        if self.source.nullable and not self.target.nullable:
            verdict, message = Verdict.FAIL, "the target refuses NULL, which the source allows"
        elif self.target.nullable and not self.source.nullable:
            message = "the target would take NULL, which the source refuses"
        return self._finding("nullability", source, target, message, verdict)

    def _undeclared_sizes(self, holds: ColumnType, platform: TargetPlatform) -> Iterator[SchemaFinding]:
        """The sizes of a number that may have any digits."""
        name = self.source.native_type
        if holds.kind in _EXACT:
            message = f"{name} doesn't declare its digits: only the values tell whether they fit"
            yield self._finding("precision", None, str(_room(holds)), message)
            if self.declared is not None:
                yield self._scale(self.declared, holds)
        elif holds.kind is Kind.FLOAT:
            message = f"{self.target.type} rounds values of {name}"
            yield self._finding("precision", None, str(holds), message, Verdict.FAIL)
        elif holds.kind is Kind.TEXT:
            yield self._length(_Length(None), holds, platform)

    def _precision(self, declared: ColumnType, holds: ColumnType) -> SchemaFinding:
        digits, room = _digits(declared), _room(holds)
        if holds.kind is Kind.INTEGER and declared.kind is Kind.DECIMAL:
            room -= 1  # Not every number with the last digit fits.
        message = ""
        if digits > room:
            message = f"the source holds {digits} digits before the point, the target {room}"
        elif digits < room:
            message = f"the target has room for {room} digits before the point, the source for {digits}"
        return self._finding("precision", str(digits), str(room), message, _lost(digits > room))

    def _scale(self, declared: ColumnType, holds: ColumnType) -> SchemaFinding:
        digits, room = declared.scale or 0, holds.scale or 0
        message = ""
        if digits > room:
            who = "the source's values have up to" if self.undeclared else "the source holds"
            message = f"{who} {digits} digits after the point, the target {room}"
        elif digits < room:
            message = f"the target has room for {room} digits after the point, the source for {digits}"
        return self._finding("scale", str(digits), str(room), message, _lost(digits > room))

    def _float(self, declared: ColumnType, holds: ColumnType) -> SchemaFinding:
        rounded = declared.is_rounded_in(holds)
        message = f"{self.target.type} rounds values of {self.source.native_type}" if rounded else ""
        return self._finding("precision", str(declared), str(holds), message, _lost(rounded))

    def _fraction(self, declared: ColumnType, holds: ColumnType) -> SchemaFinding:
        if Kind.DATE in (declared.kind, holds.kind):
            lost = holds.kind is Kind.DATE
            message = "the target keeps no time of day" if lost else ""
            return self._finding("precision", str(declared), str(holds), message, _lost(lost))
        digits, room = _fraction_digits(declared), _fraction_digits(holds)
        message = ""
        if digits > room:
            message = f"the source holds {digits} digits of a second, the target {room}"
        elif digits < room:
            message = f"the target has room for {room} digits of a second, the source for {digits}"
        return self._finding("precision", str(digits), str(room), message, _lost(digits > room))

    def _length(self, longest: _Length, holds: ColumnType, platform: TargetPlatform) -> SchemaFinding:
        unit, most = ("bytes", platform.max_binary_length)
        if holds.kind is Kind.TEXT:
            unit, most = ("characters", platform.max_text_length)
        room = holds.length if most is None or (holds.length or 0) < most else None
        length = longest.limit
        lost = room is not None and (length is None or length > room)
        message = ""
        if lost:
            has = f"has up to {length:,} {unit}" if length is not None else "has no limit"
            message = f"the source {has}, the target holds {room:,} {unit}"
        elif room != length:
            has = _NO_LIMIT if room is None else f"room for {room:,} {unit}"
            message = f"the target has {has}, the source up to {length:,} {unit}"
        source, target = (_NO_LIMIT if limit is None else str(limit) for limit in (length, room))
        return self._finding("length", source, target, message, _lost(lost))

    def _type(self, verdict: Verdict, message: str = "") -> SchemaFinding:
        return SchemaFinding(
            column=self.source.name,
            aspect="type",
            source=self.source.native_type,
            target=self.target.type,
            verdict=verdict,
            message=message,
        )

    def _finding(
        self, aspect: _Size, source: str | None, target: str, message: str, verdict: Verdict = Verdict.PASS
    ) -> SchemaFinding:
        return SchemaFinding(
            column=self.source.name, aspect=aspect, source=source, target=target, verdict=verdict, message=message
        )


def _existence(pair: ColumnPair) -> SchemaFinding:
    found = pair.target
    return SchemaFinding(
        column=pair.source.name,
        aspect="existence",
        source=pair.source.name,
        target=found.name if found else None,
        verdict=Verdict.PASS if found else Verdict.FAIL,
        message="" if found else f"the target has no column {pair.target_name}",
    )


def _extra(column: TargetColumn) -> SchemaFinding:
    return SchemaFinding(
        column=column.name,
        aspect="existence",
        source=None,
        target=column.name,
        verdict=Verdict.FAIL,
        message="the source has no such column",
    )


# -- the table ----------------------------------------------------------------------------------


def _order(alignment: Alignment, target: TargetTable) -> SchemaFinding:
    place = {column.name: position for position, column in enumerate(target.columns)}
    expected = [pair.target.name for pair in alignment.pairs if pair.target]
    found = sorted(expected, key=place.__getitem__)
    same = found == expected
    return SchemaFinding(
        column=None,
        aspect="order",
        source=None if same else ", ".join(expected),
        target=None if same else ", ".join(found),
        verdict=Verdict.PASS,
        message="" if same else "the target has its columns in another order",
    )


def _key(alignment: Alignment, source: SourceTable, target: TargetTable) -> SchemaFinding:
    names = {pair.source.name: pair.target.name for pair in alignment.pairs if pair.target}

    def in_target(key: Sequence[str]) -> set[str]:
        # A key may have columns that the workflow leaves out; these have no pair.
        return {names.get(name, name).lower() for name in key}

    declared = {name.lower() for name in target.primary_key}
    verdict, message = Verdict.PASS, ""
    if not declared:
        message = "the target declares no primary key" if source.primary_key else ""
    elif declared != in_target(source.primary_key):
        if declared in [in_target(key) for key in source.unique_keys]:
            message = "the target's primary key is another unique key of the source"
        else:
            verdict, message = Verdict.FAIL, "the target declares a primary key that the source doesn't have"
    return SchemaFinding(
        column=None,
        aspect="key",
        source=", ".join(source.primary_key) or None,
        target=", ".join(target.primary_key) or None,
        verdict=verdict,
        message=message,
    )


# -- types --------------------------------------------------------------------------------------


def _mapping(column: SourceColumn, platform: SourcePlatform) -> ColumnMapping | None:
    try:
        return platform.map_column(column)
    except PlatformError:
        return None


def _parsed(written: str, platform: TargetPlatform) -> ColumnType | None:
    try:
        return platform.parse_type(written)
    except PlatformError:
        return None


def _family(column_type: ColumnType) -> Kind:
    return Kind.DECIMAL if column_type.kind is Kind.INTEGER else column_type.kind


def _digits(column_type: ColumnType) -> int:
    """The most digits before the point."""
    return 1 if column_type.kind is Kind.BOOLEAN else column_type.digits - (column_type.scale or 0)


def _room(column_type: ColumnType) -> int:
    """The digits before the point that a column takes from others: from true and false, none."""
    return 0 if column_type.kind is Kind.BOOLEAN else _digits(column_type)


def _fraction_digits(column_type: ColumnType) -> int:
    return _FRACTION_DIGITS if column_type.precision is None else column_type.precision


def _longest(column_type: ColumnType) -> _Length | None:
    """The longest text, or bytes, of a value; None when the type doesn't tell."""
    match column_type.kind:
        case Kind.TEXT | Kind.BINARY:
            return _Length(column_type.length)
        case Kind.JSON:
            return _Length(None)
        case Kind.UUID:
            return _Length(_UUID_LENGTH)
        case Kind.INTEGER:
            return _Length(column_type.digits + len("-"))
        case Kind.DECIMAL:
            return _Length(column_type.digits + len("-0."))
        case _:
            return None


@dataclass(frozen=True)
class _Length:
    """The most characters or bytes; None is without limit."""

    limit: int | None


def _allowed(
    column: SourceColumn, mappings: Mapping[str, tuple[str, ...]], platform: SourcePlatform
) -> tuple[str, ...] | None:
    """The target types of the type mapping file; an entry that names the type's arguments goes first."""
    for spelling in (column.native_type, _ARGUMENTS.sub("", column.native_type), column.base_type):
        if found := mappings.get(platform.normalised_type(spelling)):
            return found
    return None


def _accepts(written: str, actual: str, platform: TargetPlatform) -> bool:
    """Whether a type of the mapping file is the target's; one without arguments stands for any."""
    name, arguments = split_type(written)
    found = _parsed(actual, platform)
    if found is None:
        other, others = split_type(actual)
        return name == other and arguments in ((), others)
    for reading in _readings(written, platform):
        if arguments and reading == found:
            return True
        if not arguments and _family(reading) == _family(found):
            return name in _WITH_ANY_SCALE or (reading.scale or 0) == (found.scale or 0)
    return False


def _readings(written: str, platform: TargetPlatform) -> Iterator[ColumnType]:
    """What a written type may mean in the target: as its own type, and as what Snowflake's type becomes there."""
    own = _parsed(written, platform)
    if own is not None:
        yield own
    meant = _parsed(written, _WRITTEN_TYPES)
    if meant is not None:
        try:
            yield platform.parse_type(platform.ddl_type(meant))
        except PlatformError:
            return


def _lost(lost: bool) -> Verdict:
    return Verdict.FAIL if lost else Verdict.PASS
