"""Metrics of a table's columns in one scan a side, and where they differ.

Counted are values that are not NULL; for numbers the smallest, the largest and the sum, for dates and times
the smallest and the largest, for text and bytes the lengths. Text is not ordered: its order is the
collation's, which differs between systems. The average is the sum divided by the count, so equal sums and
counts prove it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal

import sqlglot
from sqlglot import exp

from migration_assets.platforms.base import Row
from migration_assets.platforms.types import ColumnType, Kind

ROW_COUNT = "row_count"

FLOAT_TOLERANCE = 1e-9
"""Relative difference that two sums of the same floating-point numbers in another order may have."""

Value = int | float | str | None
"""A metric in JSON: decimals and times as text."""


@dataclass(frozen=True)
class MetricColumn:
    """A column to measure.

    Attributes:
        name: what it is called on both sides of the comparison.
        expression: SQL of its value in the dialect of the side.
    """

    name: str
    type: ColumnType
    expression: str


@dataclass(frozen=True)
class MetricDifference:
    """One metric that differs between source and target."""

    column: str
    metric: str
    source: Value
    target: Value


def metrics_query(table: exp.Table, columns: Sequence[MetricColumn], where: str | None, dialect: str) -> exp.Select:
    """One SELECT of one row: `row_count`, then `c<position>_<metric>` per column."""
    outputs: list[exp.Expr] = [exp.Count(this=exp.Star()).as_(ROW_COUNT)]
    for position, column in enumerate(columns):
        value = sqlglot.parse_one(column.expression, dialect=dialect)
        for metric, aggregate in _aggregates(column.type, value):
            outputs.append(aggregate.as_(f"c{position}_{metric}"))
    query = exp.select(*outputs).from_(table)
    return query.where(exp.paren(sqlglot.parse_one(where, dialect=dialect))) if where else query


def read_metrics(row: Row, columns: Sequence[MetricColumn]) -> dict[str, dict[str, Value]]:
    """The row of `metrics_query` as metrics by column; the row count stands under an empty name."""
    lowered = {name.lower(): value for name, value in row.items()}
    metrics: dict[str, dict[str, Value]] = {"": {ROW_COUNT: _value(lowered[ROW_COUNT], None)}}
    for position, column in enumerate(columns):
        prefix = f"c{position}_"
        metrics[column.name] = {
            name.removeprefix(prefix): _value(value, column.type)
            for name, value in lowered.items()
            if name.startswith(prefix)
        }
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
            scale = _largest(metrics, target[column]) if is_float and metric == "sum" else 0.0
            if not _same(value, other, scale):
                differences.append(MetricDifference(column, metric, value, other))
    return differences


def _aggregates(column_type: ColumnType, value: exp.Expr) -> list[tuple[str, exp.Expr]]:
    def call(name: str, argument: exp.Expr) -> exp.Expr:
        return exp.Anonymous(this=name, expressions=[argument])

    aggregates: list[tuple[str, exp.Expr]] = [("count", exp.Count(this=value.copy()))]
    measured: exp.Expr | None = value
    if column_type.kind is Kind.TEXT:
        measured = call("LENGTH", value.copy())
    elif column_type.kind is Kind.BINARY:
        measured = call("OCTET_LENGTH", value.copy())
    elif column_type.kind is Kind.BOOLEAN:
        measured = exp.Case().when(value.copy(), exp.Literal.number(1)).else_(exp.Literal.number(0))
    elif column_type.kind is Kind.FLOAT:
        # Some systems sum and print narrow numbers as narrow ones, others as wide ones.
        measured = exp.cast(value.copy(), exp.DataType.Type.DOUBLE)
    elif not column_type.is_ordered:
        return aggregates
    assert measured is not None
    aggregates += [("min", exp.Min(this=measured.copy())), ("max", exp.Max(this=measured.copy()))]
    if column_type.is_numeric or not column_type.is_ordered:
        aggregates.append(("sum", exp.Sum(this=measured.copy())))
    return aggregates


def _value(value: object, column_type: ColumnType | None) -> Value:
    if value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        # One text for equal numbers: no exponent, no zeros at the end. Arithmetic would round to 28 digits.
        text = f"{value:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text.lower()
    if isinstance(value, datetime):
        # A source may give an instant as UTC wall time without a zone.
        if column_type is not None and column_type.kind is Kind.TIMESTAMP_TZ and value.tzinfo is None:
            value = value.replace(tzinfo=timezone.utc)
        return (value.astimezone(timezone.utc) if value.tzinfo else value).isoformat()
    return str(value)


def _same(first: Value, second: Value, scale: float) -> bool:
    if first == second:
        return True
    if first is None or second is None:
        return False
    if scale and _is_number(first) and _is_number(second):
        return abs(float(first) - float(second)) <= FLOAT_TOLERANCE * scale
    if _is_number(first) and _is_number(second):
        if isinstance(first, float) or isinstance(second, float):
            return float(first) == float(second)
        return Decimal(str(first)) == Decimal(str(second))
    return False


def _largest(*sides: Mapping[str, Value]) -> float:
    """An upper bound of the sum of absolute values, which the rounding of a sum is relative to."""
    bounds = [
        abs(float(value)) * float(side["count"] or 0)
        for side in sides
        for name in ("min", "max")
        if (value := side[name]) is not None and _is_number(value)
    ]
    return max(bounds, default=0.0)


def _is_number(value: Value) -> bool:
    try:
        return value is not None and math.isfinite(float(value))
    except ValueError:
        return False
