"""Level 2: figures of every column, in one scan a side; very many columns take several.

Both sides measure a column as the same type: true and false as 1 and 0 where the other side has numbers, a UUID as
text where it has texts. Numbers are compared exactly, as fractions. Averages are not asked for, since systems round
them in their own ways: the exact sum divided by the count is one.

Tolerances are for figures of values. Counts (`row_count`, `count`, `nulls`, `empty`, `distinct`) are always exact: a
tolerance must not hide a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

import sqlglot
from sqlglot import exp

from migration_assets.platforms.base import Row
from migration_assets.platforms.canonical import CanonicalKind
from migration_assets.platforms.measures import Measures
from migration_assets.platforms.types import (
    MAX_DECIMAL_PRECISION,
    TEXT,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
)
from migration_assets.validation.alignment import Alignment, ComparedColumn
from migration_assets.validation.levels.column_metrics import (
    COLUMNS_PER_QUERY,
    ROW_COUNT,
    MetricColumn,
    in_parts,
    is_number,
    largest_sum,
    metrics_query,
    read_metrics,
    same_value,
)
from migration_assets.validation.results import MetricFinding, Value, Verdict
from migration_assets.workflow import ValidationTable

COUNT, NULLS, EMPTY, DISTINCT = "count", "nulls", "empty", "distinct"
SUM, AVERAGE = "sum", "average"

EXACT_METRICS = frozenset({ROW_COUNT, COUNT, NULLS, EMPTY, DISTINCT})
"""Metrics that no tolerance applies to."""

MOST_TOLD = 5
"""Findings that a summary tells in full."""

DISTINCT_COLUMNS_PER_QUERY = 20
"""Columns of which one query counts the different values: DuckDB needs some 4 MB for each before it spills."""

_DIGITS = (20, 40, 80, 160)
"""Significant digits of an exact fraction's text: as few of these as tell two of them apart."""

_WHOLE_NUMBERS = decimal(MAX_DECIMAL_PRECISION, 0)


@dataclass(frozen=True)
class _Measured:
    """A column and what it is measured as on both sides.

    Attributes:
        only_counted: its values have no order and no sums that both sides agree on.
    """

    column: ComparedColumn
    type: ColumnType
    only_counted: bool


class MetricsLevel:
    """The metrics of one table: a query for each side and part, and what their answers say."""

    def __init__(
        self,
        alignment: Alignment,
        config: ValidationTable,
        source: Measures,
        target: Measures,
    ) -> None:
        """Prepares the queries in the terms of both sides."""
        self._alignment = alignment
        self._config = config
        self._source = source
        self._target = target
        self._measured: Sequence[_Measured] = tuple(self._chosen())
        self._is_first = self._is_last = True

    def parts(self, columns_per_query: int | None = None) -> tuple[MetricsLevel, ...]:
        """The level in slices of its columns, in order, each with queries that a platform takes; at least one.

        The findings of all parts, put together, are those of the level: only the first has those of the table, only
        the last those of the columns that can't be compared. `summary_of` them is asked of the whole level.

        Args:
            columns_per_query: 200 unless given; 20 where different values are counted, too.
        """
        if columns_per_query is None:
            columns_per_query = DISTINCT_COLUMNS_PER_QUERY if self._config.distinct_metrics else COLUMNS_PER_QUERY
        slices = in_parts(self._measured, columns_per_query)
        return tuple(self._part(some, at == 0, at == len(slices) - 1) for at, some in enumerate(slices))

    def _part(self, measured: Sequence[_Measured], is_first: bool, is_last: bool) -> MetricsLevel:
        part = copy(self)
        part._measured, part._is_first, part._is_last = measured, is_first, is_last
        return part

    def source_query(self, relation: str, where: str | None) -> str:
        """One SELECT of one row. Relation and condition are in the source's SQL."""
        columns = [
            self._column(measured, self._source_sql(measured), measured.column.source_type)
            for measured in self._measured
        ]
        return _query(relation, columns, where, self._source)

    def target_query(self, relation: str, where: str | None) -> str:
        """One SELECT of one row. Relation and condition are in the target's SQL."""
        columns = [
            self._column(measured, self._target_sql(measured), measured.column.target_type)
            for measured in self._measured
        ]
        return _query(relation, columns, where, self._target)

    def findings(self, source_row: Row, target_row: Row) -> list[MetricFinding]:
        """Every metric that was compared, those of the table first, then by column.

        A column that can't be compared at all is there, too, without figures, unless `exclude_metrics` leaves it out.
        """
        columns = [self._column(measured, "", measured.type) for measured in self._measured]
        source, target = read_metrics(source_row, columns), read_metrics(target_row, columns)
        findings = []
        if self._is_first:
            findings.append(self._finding(None, ROW_COUNT, source[""][ROW_COUNT], target[""][ROW_COUNT]))
        rows = _whole(source[""][ROW_COUNT]), _whole(target[""][ROW_COUNT])
        for column in columns:
            findings += self._of_column(column, source[column.name], target[column.name], rows)
        if self._is_last and not self._config.exclude_metrics:
            findings += [
                MetricFinding(column=name, metric=COUNT, source=None, target=None, verdict=Verdict.INCONCLUSIVE)
                for name in self._alignment.skipped
            ]
        return findings

    def summary_of(self, findings: Sequence[MetricFinding]) -> tuple[Verdict, str]:
        """The verdict of the level, and a sentence for it."""
        verdict = Verdict.worst(finding.verdict for finding in findings)
        failed = [finding for finding in findings if finding.verdict is Verdict.FAIL]
        if failed:
            told = [
                f"{finding.metric} of {finding.column or 'the table'}: source {_shown(finding.source)}, "
                f"target {_shown(finding.target)}"
                for finding in failed[:MOST_TOLD]
            ]
            left = len(failed) - len(told)
            return verdict, "; ".join(told) + (f"; and {left:,} more" if left else "")
        unmeasured = [finding for finding in findings if finding.verdict is Verdict.INCONCLUSIVE]
        waived = sum(finding.verdict is Verdict.WAIVED for finding in findings)
        agreeing = len(findings) - len(unmeasured) - waived
        summary = f"{agreeing:,} metrics of {len(self._measured):,} columns agree"
        if waived:
            summary += f", {waived:,} differences are waived"
        if unmeasured:
            skipped = self._alignment.skipped
            summary += ", but not measured: "
            summary += "; ".join(f"{finding.column} ({skipped[finding.column or '']})" for finding in unmeasured)
        return verdict, summary

    # -- columns ------------------------------------------------------------------------------------

    def _chosen(self) -> Iterator[_Measured]:
        for column in self._alignment.compared:
            measured_as = _common_type(column)
            only_counted = measured_as.kind in (Kind.JSON, Kind.UUID)
            if not self._config.apply_metric_column_modifier:
                only_counted = only_counted or not _is_plain(column, measured_as, self._source)
            if not (only_counted and self._config.exclude_metrics):
                yield _Measured(column, measured_as, only_counted)

    def _column(self, measured: _Measured, expression: str, own: ColumnType) -> MetricColumn:
        """A column as one side computes it, whose own type says how long its numbers are."""
        modified = self._config.apply_metric_column_modifier
        # Values of some types can't even be told apart: JSON, and without modifiers whatever isn't plain.
        comparable = not measured.only_counted or (modified and measured.type.kind is Kind.UUID)
        return MetricColumn(
            measured.column.name,
            _long_as(own) if measured.type.kind is Kind.DECIMAL else measured.type,
            expression,
            only_counted=measured.only_counted,
            counts_empty=True,
            counts_distinct=self._config.distinct_metrics and comparable,
        )

    def _source_sql(self, measured: _Measured) -> str:
        column = measured.column
        if not self._config.apply_metric_column_modifier:
            return _quoted(column.source.name, self._source.dialect)
        own = column.source_type
        is_text = measured.type.kind is Kind.TEXT
        read_as = TEXT if is_text else own
        value = self._source.measurable(column.source_sql, read_as, column.source.base_type)
        return _numbered(value, own, measured.type, self._source)

    def _target_sql(self, measured: _Measured) -> str:
        column, dialect = measured.column, self._target.dialect
        if not self._config.apply_metric_column_modifier:
            return column.target_sql
        own = column.target_type
        if measured.type.kind is Kind.TEXT and own.kind is not Kind.TEXT:
            value = sqlglot.parse_one(column.target_sql, dialect=dialect)
            return exp.cast(value, exp.DataType.Type.TEXT).sql(dialect)
        return _numbered(column.target_sql, own, measured.type, self._target)

    # -- comparing ----------------------------------------------------------------------------------

    def _of_column(
        self,
        column: MetricColumn,
        source: Mapping[str, Value],
        target: Mapping[str, Value],
        rows: tuple[int, int],
    ) -> Iterator[MetricFinding]:
        counts = _whole(source[COUNT]), _whole(target[COUNT])
        is_float = column.type.kind is Kind.FLOAT
        rounding = largest_sum(source, target) if is_float and SUM in source else 0.0
        for metric, value in source.items():
            scale = rounding if metric == SUM else 0.0
            yield self._finding(column.name, metric, value, target[metric], scale)
            if metric == COUNT:
                nulls = [total - count for total, count in zip(rows, counts, strict=True)]
                yield self._finding(column.name, NULLS, nulls[0], nulls[1])
        if SUM in source:
            averages = _quotient(source[SUM], counts[0]), _quotient(target[SUM], counts[1])
            yield self._average(column.name, averages, is_float, rounding / max(1, *counts))

    def _finding(
        self, column: str | None, metric: str, source: Value, target: Value, rounding: float = 0.0
    ) -> MetricFinding:
        first, second = _fraction(source), _fraction(target)
        same = same_value(source, target, rounding)
        if metric not in EXACT_METRICS and first is not None and second is not None:
            same = same or self._tolerates(first, second)
        is_float = isinstance(source, float) or isinstance(target, float)
        return MetricFinding(
            column=column,
            metric=metric,
            source=source,
            target=target,
            verdict=Verdict.PASS if same else Verdict.FAIL,
            difference=_difference(first, second, is_float, _DIGITS[-1]),
            relative=_relative(first, second),
        )

    def _average(
        self, column: str, averages: tuple[Fraction | Value, Fraction | Value], is_float: bool, rounding: float
    ) -> MetricFinding:
        source, target = averages
        if is_float or not isinstance(source, Fraction) or not isinstance(target, Fraction):
            shown = [_averaged(side, is_float) for side in averages]
            return self._finding(column, AVERAGE, shown[0], shown[1], rounding)
        same = source == target or self._tolerates(source, target)
        texts = _texts(source, target)
        return MetricFinding(
            column=column,
            metric=AVERAGE,
            source=texts[0],
            target=texts[1],
            verdict=Verdict.PASS if same else Verdict.FAIL,
            difference=_difference(source, target, is_float, _DIGITS[0]),
            relative=_relative(source, target),
        )

    def _tolerates(self, source: Fraction, target: Fraction) -> bool:
        """Whether a difference is within either tolerance."""
        difference = abs(target - source)
        relative, absolute = self._config.tolerance, self._config.absolute_tolerance
        # The decimal number that the workflow's text has, not the binary one nearest to it.
        if relative is not None and difference <= Fraction(str(relative)) * abs(source):
            return True
        return absolute is not None and difference <= Fraction(str(absolute))


def _query(relation: str, columns: Sequence[MetricColumn], where: str | None, measures: Measures) -> str:
    table = sqlglot.parse_one(relation, dialect=measures.dialect, into=exp.Table)
    return metrics_query(table, columns, where, measures).sql(measures.dialect)


def _common_type(column: ComparedColumn) -> ColumnType:
    """What both sides are measured as."""
    source, target = column.source_type, column.target_type
    kinds = {source.kind, target.kind}
    match column.canonical.kind:
        case CanonicalKind.NUMBER:
            return source if kinds == {Kind.BOOLEAN} else _WHOLE_NUMBERS
        case CanonicalKind.FLOAT:
            return floating(64)
        case CanonicalKind.TEXT:
            # JSON that the target keeps as JSON is printed anew, so that its length says nothing.
            return target if kinds == {Kind.UUID} or target.kind is Kind.JSON else TEXT
        case CanonicalKind.TIMESTAMP:
            return source if kinds == {Kind.TIMESTAMP} else temporal(Kind.TIMESTAMP_TZ)
        case _:
            return source


def _long_as(own: ColumnType) -> ColumnType:
    """A number as one side declares it; true and false are short ones."""
    return own if own.kind in (Kind.INTEGER, Kind.DECIMAL) else integer(64)


def _is_plain(column: ComparedColumn, measured_as: ColumnType, source: Measures) -> bool:
    """Whether both sides' columns can be measured without any conversion."""
    if not source.is_measurable(column.source_type, column.source.base_type):
        return False
    own = {column.source_type.kind, column.target_type.kind}
    if measured_as.kind is Kind.DECIMAL:
        return Kind.BOOLEAN not in own
    if measured_as.kind is Kind.FLOAT and 32 in (column.source_type.bits, column.target_type.bits):
        return False  # Some systems sum and print narrow numbers as narrow ones, others as wide ones.
    # A date is a point in time for whoever reads it.
    return measured_as.kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ) or own == {measured_as.kind}


def _numbered(value: str, own: ColumnType, measured_as: ColumnType, measures: Measures) -> str:
    """True and false as numbers, where the other side has numbers."""
    if own.kind is not Kind.BOOLEAN or measured_as.kind is Kind.BOOLEAN:
        return value
    return measures.number(sqlglot.parse_one(value, dialect=measures.dialect)).sql(measures.dialect)


def _quoted(name: str, dialect: str) -> str:
    return exp.column(exp.to_identifier(name, quoted=True)).sql(dialect)


# -- numbers ------------------------------------------------------------------------------------


def _whole(value: Value) -> int:
    return int(str(value))


def _fraction(value: Value) -> Fraction | None:
    return Fraction(value) if value is not None and is_number(value) else None


def _quotient(total: Value, count: int) -> Fraction | Value:
    """The exact average; a sum that is no number has itself for an average."""
    fraction = _fraction(total)
    return total if fraction is None or count == 0 else fraction / count


def _averaged(average: Fraction | Value, is_float: bool) -> Value:
    if not isinstance(average, Fraction):
        return average
    return float(average) if is_float else _digits(average, _DIGITS[0])


def _texts(first: Fraction, second: Fraction) -> tuple[str, str]:
    """Two fractions as decimal numbers, with so many digits that different ones look different."""
    texts = "", ""
    for digits in _DIGITS:
        texts = _digits(first, digits), _digits(second, digits)
        if (texts[0] == texts[1]) == (first == second):
            break
    return texts


def _digits(value: Fraction, digits: int) -> str:
    text = f"{Context(prec=digits).divide(Decimal(value.numerator), Decimal(value.denominator)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _difference(source: Fraction | None, target: Fraction | None, is_float: bool, digits: int) -> str | None:
    if source is None or target is None:
        return None
    difference = target - source
    if not is_float:
        return _digits(difference, digits)
    try:
        # The digits of a binary fraction go on beyond those that mean something.
        return repr(float(difference)).removesuffix(".0")
    except OverflowError:
        return _digits(difference, digits)


def _relative(source: Fraction | None, target: Fraction | None) -> float | None:
    if source is None or target is None or source == 0:
        return None
    try:
        return float((target - source) / source)
    except OverflowError:
        return None


def _shown(value: Value) -> str:
    return "NULL" if value is None else str(value)
