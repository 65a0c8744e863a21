"""Ranges of a key as conditions for a target: the rows that `SourcePlatform.partition_by_value` means in the source."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from migration_assets.platforms.base import Bound
from migration_assets.platforms.types import MAX_DECIMAL_PRECISION, ColumnType, Kind

KeyTarget = tuple[exp.Column, ColumnType]
"""A key's column in the target, and the type that it has there."""

_TYPES = {
    Kind.DATE: exp.DataType.Type.DATE,
    Kind.TIME: exp.DataType.Type.TIME,
    Kind.TIMESTAMP: exp.DataType.Type.TIMESTAMPNTZ,
    Kind.TIMESTAMP_TZ: exp.DataType.Type.TIMESTAMPTZ,
    Kind.UUID: exp.DataType.Type.UUID,
}
_ORDERS = {
    Kind.INTEGER: (Kind.INTEGER, Kind.DECIMAL),
    Kind.DECIMAL: (Kind.INTEGER, Kind.DECIMAL),
    Kind.TEXT: (Kind.TEXT,),
    Kind.UUID: (Kind.UUID, Kind.TEXT),
    Kind.DATE: (Kind.DATE, Kind.TIMESTAMP),
    Kind.TIME: (Kind.TIME,),
    Kind.TIMESTAMP: (Kind.TIMESTAMP,),
    Kind.TIMESTAMP_TZ: (Kind.TIMESTAMP_TZ,),
}


def keeps_order(travels: ColumnType, target: ColumnType) -> bool:
    """Whether a column of the target holds values of a key in the order that they have everywhere, and unrounded.

    A time of day with more digits than microseconds has no literal that is the same in every dialect.
    """
    if travels.kind is Kind.TIME and travels.is_staged_as_text:
        return False
    return target.kind in _ORDERS.get(travels.kind, ()) and not travels.is_rounded_in(target)


def in_range(
    columns: Sequence[KeyTarget], low: Bound | None, high: Bound | None, *, nullable: bool = True
) -> exp.Condition | None:
    """The rows of a range; None is every row.

    Every column is first compared for itself (`a >= 1 AND (a > 1 OR b >= 2)`): the target knows the smallest and
    the largest value of its blocks, and passes over the others.

    Args:
        columns: in the order of the key, with types that `keeps_order`.
        nullable: there are `absent` rows beside the ranges, which none of them holds.

    Raises:
        ValueError: a column's type has no bounds.
    """
    bounded = low is not None or high is not None
    # A comparison is never true of a NULL in the first column; one of the first column decides without the others.
    present = [_is_null(column).not_() for column, _ in columns[1 if bounded else 0 :]] if nullable else []
    conditions = [
        *([_beyond(columns, low, exp.GT, exp.GTE, exp.GTE)] if low is not None else []),
        *([_beyond(columns, high, exp.LT, exp.LTE, exp.LT)] if high is not None else []),
        *present,
    ]
    return exp.and_(*conditions) if conditions else None


def beyond(column: KeyTarget, low: str, *, inclusive: bool) -> exp.Condition:
    """The rows above a value of one column, or from it on."""
    comparison = exp.GTE if inclusive else exp.GT
    return comparison(this=column[0].copy(), expression=_literal(low, column[1]))


def absent(columns: Sequence[KeyTarget]) -> exp.Condition:
    """The rows without key: those with a NULL in any of its columns."""
    return exp.or_(*(_is_null(column) for column, _ in columns))


def _beyond(
    columns: Sequence[KeyTarget],
    bound: Bound,
    strict: type[exp.Binary],
    loose: type[exp.Binary],
    last: type[exp.Binary],
) -> exp.Condition:
    """Whether the key lies on one side of a bound, in the order of its columns."""
    if len(columns) != len(bound):
        raise ValueError(f"a bound of {len(bound)} values for {len(columns)} columns")
    (column, column_type), value = columns[0], bound[0]

    def compared(operator: type[exp.Binary]) -> exp.Binary:
        return operator(this=column.copy(), expression=_literal(value, column_type))

    if len(columns) == 1:
        return compared(last)
    following = _beyond(columns[1:], bound[1:], strict, loose, last)
    return exp.and_(compared(loose), exp.or_(compared(strict), following))


def _is_null(column: exp.Column) -> exp.Condition:
    return column.copy().is_(exp.null())


def _literal(text: str, column_type: ColumnType) -> exp.Condition:
    match column_type.kind:
        case Kind.INTEGER:
            return exp.Literal.number(text)
        case Kind.DECIMAL:
            # Not as it is: a number with many digits would be a binary fraction, and others would widen the column.
            precision, scale = column_type.precision or MAX_DECIMAL_PRECISION, column_type.scale or 0
            return exp.cast(exp.Literal.string(text), exp.DataType.build(f"DECIMAL({precision}, {scale})"))
        case Kind.TEXT:
            return exp.Literal.string(text)
        case Kind.TIMESTAMP_TZ:
            # Not every system reads an offset without its minutes.
            text = f"{text}:00" if text.endswith("+00") else text
    if column_type.kind not in _TYPES:
        raise ValueError(f"a column of type {column_type} has no ranges")
    # By its digits DuckDB tells a TIMESTAMP_NS from a TIMESTAMP, which would be cut.
    digits = [exp.DataTypeParam(this=exp.Literal.number(column_type.precision))] if _has_all_digits(column_type) else []
    return exp.cast(exp.Literal.string(text), exp.DataType(this=_TYPES[column_type.kind], expressions=digits))


def _has_all_digits(column_type: ColumnType) -> bool:
    return column_type.kind is Kind.TIMESTAMP and column_type.is_staged_as_text
