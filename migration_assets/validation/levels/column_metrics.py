"""Metrics of a table's columns in one scan a side, and where they differ.

Counted are values that are not NULL; for numbers the smallest, the largest and the sum, for dates and times
the smallest and the largest, for text and bytes the lengths. Text is not ordered: its order is the
collation's, which differs between systems. The average is the sum divided by the count, so equal sums and
counts prove it. So do NULLs: they are the rows without the count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from decimal import Context, Decimal
from typing import TypeVar

import sqlglot
from sqlglot import exp

from migration_assets.platforms.base import Row
from migration_assets.platforms.types import MAX_DECIMAL_PRECISION, ColumnType, Kind
from migration_assets.validation.results import Value

ROW_COUNT = "row_count"

FLOAT_TOLERANCE = 1e-9
"""Relative difference that two sums of the same floating-point numbers in another order may have."""

COLUMNS_PER_QUERY = 200
"""Columns that one query measures, with up to seven figures each: PostgreSQL's answers have 1,664 at most."""

_Thing = TypeVar("_Thing")


@dataclass(frozen=True)
class MetricColumn:
    """A column to measure.

    Attributes:
        name: what it is called on both sides of the comparison.
        type: what it is measured as, the same on both sides.
        expression: SQL of its value in the dialect of the side.
        only_counted: nothing but its values that are not NULL are counted.
        counts_empty: texts without a character are counted, too.
        counts_distinct: different values are counted, too.
    """

    name: str
    type: ColumnType
    expression: str
    only_counted: bool = False
    counts_empty: bool = False
    counts_distinct: bool = False


@dataclass(frozen=True)
class MetricDifference:
    """One metric that differs between source and target."""

    column: str
    metric: str
    source: Value
    target: Value


def measurable(expression: str, column_type: ColumnType, base_type: str, dialect: str) -> str:
    """SQL of a source's value in a type that has lengths and sums.

    What is read of a source is a value's text: an enum, an address or a number under a check of its digits has the
    text that is wanted, but not yet the type.

    Args:
        expression: SQL of the value, as a `ColumnMapping` has it.
        column_type: the type that the value has after reading.
        base_type: the source's bare type of the column.
    """
    value = sqlglot.parse_one(expression, dialect=dialect)
    # CONCAT writes a value as it is extracted, where a cast may add to it (PostgreSQL: the mask of an inet).
    as_text = exp.Concat(expressions=[value.copy(), exp.Literal.string("")], safe=True, coalesce=True)
    kind = column_type.kind
    if kind is Kind.TEXT and base_type in _PADDED_TYPES and isinstance(value, exp.Cast):
        # The length of a padded value is that without its padding; the cast would cost five times as much.
        value = value.this
    elif kind is Kind.TEXT and base_type not in _TEXT_TYPES:
        value = exp.Case().when(value.is_(exp.null()).not_(), as_text)
    elif kind is Kind.INTEGER and isinstance(value, exp.Column) and base_type not in _INTEGER_TYPES:
        value = exp.Case().when(value.is_(exp.null()).not_(), exp.cast(as_text, exp.DataType.Type.BIGINT))
    elif kind is Kind.DECIMAL and not isinstance(value, exp.Column):
        exact = exp.DataType.build(f"DECIMAL({column_type.precision}, {column_type.scale})")
        value = exp.cast(value, exact)
    return value.sql(dialect=dialect)


def is_measurable(column_type: ColumnType, base_type: str) -> bool:
    """Whether a source's column has lengths and sums as it is, so that its plain name will do."""
    if column_type.kind is Kind.TEXT:
        return base_type in _TEXT_TYPES
    if column_type.is_numeric:
        return base_type in _NUMBER_TYPES
    return True


def in_parts(things: Sequence[_Thing], size: int = COLUMNS_PER_QUERY) -> list[Sequence[_Thing]]:
    """What goes into one query each, in order; without columns there is still a query, which counts the rows."""
    return [things[start : start + size] for start in range(0, len(things) or 1, size)]


def metrics_query(table: exp.Table, columns: Sequence[MetricColumn], where: str | None, dialect: str) -> exp.Select:
    """One SELECT of one row: `row_count`, then `c<position>_<metric>` per column.

    Sums of long numbers come in two parts, which `read_metrics` adds up.
    """
    outputs: list[exp.Expr] = [exp.Count(this=exp.Star()).as_(ROW_COUNT)]
    for position, column in enumerate(columns):
        value = sqlglot.parse_one(column.expression, dialect=dialect)
        for metric, aggregate in _aggregates(column, value, dialect):
            outputs.append(aggregate.as_(f"c{position}_{metric}"))
    query = exp.select(*outputs).from_(table)
    return query.where(exp.paren(sqlglot.parse_one(where, dialect=dialect))) if where else query


def read_metrics(row: Row, columns: Sequence[MetricColumn]) -> dict[str, dict[str, Value]]:
    """The row of `metrics_query` as metrics by column; the row count stands under an empty name."""
    lowered = {name.lower(): value for name, value in row.items()}
    metrics: dict[str, dict[str, Value]] = {"": {ROW_COUNT: _value(lowered[ROW_COUNT], None)}}
    for position, column in enumerate(columns):
        prefix = f"c{position}_"
        figures = {name.removeprefix(prefix): value for name, value in lowered.items() if name.startswith(prefix)}
        metrics[column.name] = {name: _value(value, column.type) for name, value in _with_whole_sum(figures).items()}
    return metrics


def compare_metrics(
    source: Mapping[str, Mapping[str, Value]],
    target: Mapping[str, Mapping[str, Value]],
    types: Mapping[str, ColumnType],
) -> list[MetricDifference]:
    """The metrics that differ, in the order of the columns."""
    differences = []
    for column, metrics in source.items():
        is_float = column in types and types[column].kind is Kind.FLOAT
        for metric, value in metrics.items():
            other = target[column][metric]
            scale = largest_sum(metrics, target[column]) if is_float and metric == "sum" else 0.0
            if not same_value(value, other, scale):
                differences.append(MetricDifference(column, metric, value, other))
    return differences


_TEXT_TYPES = ("text", "character varying", "varchar", "bpchar", "char", "nvarchar", "nchar")
_PADDED_TYPES = ("bpchar",)
_INTEGER_TYPES = ("tinyint", "smallint", "integer", "int", "bigint")
_NUMBER_TYPES = (*_INTEGER_TYPES, "numeric", "decimal", "real", "float", "double precision")


def _aggregates(column: MetricColumn, value: exp.Expr, dialect: str) -> list[tuple[str, exp.Expr]]:
    column_type = column.type
    aggregates: list[tuple[str, exp.Expr]] = [("count", exp.Count(this=value.copy()))]
    if column.counts_distinct:
        aggregates.append(("distinct", exp.Count(this=exp.Distinct(expressions=[value.copy()]))))
    if column.only_counted:
        return aggregates

    def call(name: str, argument: exp.Expr) -> exp.Expr:
        return exp.Anonymous(this=name, expressions=[argument])

    measured: exp.Expr | None = value
    if column_type.kind is Kind.TEXT:
        measured = call("LENGTH", value.copy())
        if column.counts_empty:
            is_empty = exp.Case().when(measured.copy().eq(0), exp.Literal.number(1))
            aggregates.append(("empty", exp.Count(this=is_empty)))
    elif column_type.kind is Kind.BINARY:
        measured = call("OCTET_LENGTH", value.copy())
    elif column_type.kind is Kind.BOOLEAN:
        measured = as_number(value)
    elif column_type.kind is Kind.FLOAT:
        # Some systems sum and print narrow numbers as narrow ones, others as wide ones.
        measured = exp.cast(value.copy(), exp.DataType.Type.DOUBLE)
    elif not column_type.is_ordered:
        return aggregates
    assert measured is not None
    aggregates += [("min", exp.Min(this=measured.copy())), ("max", exp.Max(this=measured.copy()))]
    if column_type.is_numeric or not column_type.is_ordered:
        aggregates += [(name, exp.Sum(this=part)) for name, part in _summands(measured, column_type, dialect)]
    return aggregates


_UNLIMITED = ("postgres",)
"""Dialects whose decimal numbers have as many digits as a sum needs."""
_SUMMED_DIGITS = 28
"""Digits of numbers of which 10 billion can be summed up in 38 digits."""
_SHORT_SCALE = MAX_DECIMAL_PRECISION - _SUMMED_DIGITS
"""Digits after the point from which on those before it are few enough to be summed up."""
_MANY = 15
_SUM_PARTS = {"sum_low": 1, "sum_high": 1, f"sum_e{_MANY}": 10**_MANY}
"""What one of each part counts for."""
_EXACT = Context(prec=200)


def _summands(value: exp.Expr, column_type: ColumnType, dialect: str) -> list[tuple[str, exp.Expr]]:
    """What to sum up by the name of its sum: the value, or two parts of it where 38 digits may not hold the sum.

    Each part has 28 digits at most and is computed exactly: there is no division, which DuckDB does in floating-point
    numbers and Snowflake rounds.
    """
    precision, scale = column_type.precision or 0, column_type.scale or 0
    if column_type.kind is not Kind.DECIMAL or precision <= _SUMMED_DIGITS or dialect in _UNLIMITED:
        return [("sum", value.copy())]
    if scale < _SHORT_SCALE:
        low: exp.Expr = exp.Mod(this=exp.paren(value.copy()), expression=exp.Literal.number(10**_MANY))
        rest = exp.paren(exp.Sub(this=exp.paren(value.copy()), expression=low.copy()))
        fewer = exp.Mul(this=rest, expression=exp.Literal.number(f"{Decimal(1).scaleb(-_MANY):f}"))
        return [(f"sum_e{_MANY}", _decimal(fewer, 0)), ("sum_low", low)]
    places = max(0, scale - MAX_DECIMAL_PRECISION // 2)
    cut = exp.Anonymous(this="TRUNC", expressions=[value.copy(), exp.Literal.number(places)])
    high = _decimal(cut, places)
    return [("sum_high", high), ("sum_low", exp.Sub(this=exp.paren(value.copy()), expression=high.copy()))]


def _decimal(value: exp.Expr, scale: int) -> exp.Expr:
    return exp.cast(value, exp.DataType.build(f"DECIMAL({MAX_DECIMAL_PRECISION}, {scale})"))


def _with_whole_sum(figures: Mapping[str, object]) -> dict[str, object]:
    """The figures of a column with one sum instead of its parts."""
    parts = {name: value for name, value in figures.items() if name in _SUM_PARTS}
    if not parts:
        return dict(figures)
    whole: Decimal | None = Decimal(0)
    for name, value in parts.items():
        whole = None if whole is None or value is None else _EXACT.fma(_SUM_PARTS[name], Decimal(str(value)), whole)
    return {**{name: value for name, value in figures.items() if name not in parts}, "sum": whole}


def as_number(condition: exp.Expr) -> exp.Case:
    """SQL that is 1 for true, 0 for false and NULL for NULL."""
    numbers = exp.Literal.number(1), exp.Literal.number(0)
    return exp.Case().when(condition.copy(), numbers[0]).when(exp.not_(condition.copy()), numbers[1])


def _value(value: object, column_type: ColumnType | None) -> Value:
    if isinstance(value, str) and column_type is not None:
        return _moment(value, column_type)
    if value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        # One text for equal numbers: no exponent, no zeros at the end. Arithmetic would round to 28 digits.
        text = f"{value:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text.lower()
    is_instant = column_type is not None and column_type.kind is Kind.TIMESTAMP_TZ
    if isinstance(value, date) and not isinstance(value, datetime) and (is_instant or _is_wall_time(column_type)):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        # A source may give an instant as UTC wall time without a zone.
        if is_instant and value.tzinfo is None:
            value = value.replace(tzinfo=timezone.utc)
        return (value.astimezone(timezone.utc) if value.tzinfo else value).isoformat()
    return str(value)


_MOMENT = re.compile(r"(\d{4,}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(\.\d{1,9})?)?(\+00(?::?00)?|Z)?( BC)?")

_CLOCK = re.compile(r"(\d\d:\d\d:\d\d)(\.\d{6})\d{1,3}")


def _moment(text: str, column_type: ColumnType) -> str:
    """A date or time that a driver gives as text, in the form that others get: those beyond Python's calendar are."""
    if column_type.kind is Kind.TIME and (found := _CLOCK.fullmatch(text)):
        return found[1] + (found[2] if found[2].strip(".0") else "")
    found = _MOMENT.fullmatch(text) if column_type.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ) else None
    if found is None:
        return text
    day, clock, fraction, zone, era = found.groups(default="")
    if column_type.kind is not Kind.DATE or clock:
        day += f"T{clock or '00:00:00'}"
        # Drivers cut what is shorter than a microsecond: the fingerprints compare it.
        microseconds = fraction.removeprefix(".").ljust(6, "0")[:6]
        day += f".{microseconds}" if microseconds.strip("0") else ""
        day += "+00:00" if zone or column_type.kind is Kind.TIMESTAMP_TZ else ""
    return day + era


def _is_wall_time(column_type: ColumnType | None) -> bool:
    return column_type is not None and column_type.kind is Kind.TIMESTAMP


def same_value(first: Value, second: Value, scale: float = 0.0) -> bool:
    """Whether two figures are equal, in whatever form they are.

    Args:
        scale: for sums of floating-point numbers, how large the sum of absolute values may be.
    """
    if first == second:
        return True
    if first is None or second is None:
        return False
    if scale and is_number(first) and is_number(second):
        return abs(float(first) - float(second)) <= FLOAT_TOLERANCE * scale
    if is_number(first) and is_number(second):
        if isinstance(first, float) or isinstance(second, float):
            return float(first) == float(second)
        return Decimal(str(first)) == Decimal(str(second))
    return False


def largest_sum(*sides: Mapping[str, Value]) -> float:
    """An upper bound of the sum of absolute values, which the rounding of a sum is relative to."""
    bounds = [
        abs(float(value)) * float(side["count"] or 0)
        for side in sides
        for name in ("min", "max")
        if (value := side[name]) is not None and is_number(value)
    ]
    return max(bounds, default=0.0)


def is_number(value: Value) -> bool:
    """Whether a figure is a number, and a finite one."""
    try:
        return value is not None and math.isfinite(float(value))
    except ValueError:
        return False
