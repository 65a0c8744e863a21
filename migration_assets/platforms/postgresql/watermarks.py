"""Watermarks: the largest value of a column that was read, and the rows above it.

Values are compared as the column is, in its own type and collation, with literals that read back with all of their
digits: consecutive ranges `low < column <= high` share no row and leave none out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

from migration_assets.platforms.base import PlatformError, SourceColumn, TableName
from migration_assets.platforms.errors import lookback_problem
from migration_assets.platforms.floats import float_before
from migration_assets.platforms.postgresql import sql

# Not max(), which uuid and others don't have in every version. An index gives the same one row.
_WATERMARK = """\
SELECT (SELECT format('%s', {column}) FROM {relation}{present} ORDER BY {column} DESC LIMIT 1) AS high,
       {missing} AS missing"""
_MISSING = "(SELECT count(*) FROM {relation}{absent})"

_LOOKBACK = "SELECT format('%s', {value}) AS low"
_DAYS_BEFORE = "{low} - {days}"
_TIME_BEFORE = "{low} - '{hours}:{minutes}:{seconds}.{microseconds:06}'::interval"
_NUMBER_BEFORE = "{low} - {number}"
_WHOLE_BEFORE = "greatest(floor({low} - {number}), {least})"
_TEXT_NUMERIC = "{low}::text::numeric"

_TIMES = ("timestamp without time zone", "timestamp with time zone")
_FLOATS = ("real", "double precision")
_LEAST: Mapping[str, int] = MappingProxyType(
    {"smallint": -(2**15), "integer": -(2**31), "bigint": -(2**63), "oid": 0, "xid8": 0}
)
"""Whole numbers, and the smallest one of the type: there is no literal below it."""

_NUMBERS = (*_LEAST, "numeric", *_FLOATS)
_LAST = {
    "infinity": ("date", *_TIMES, "numeric", *_FLOATS),
    "nan": ("numeric", *_FLOATS),
}


# format_type writes the bare bit in quotes, since without a length it would be bit(1).
_ODD_TYPES = ("money", "bit", '"bit"', "bit varying")


def watermark_query(table: TableName, column: SourceColumn, where: str | None) -> str:
    """SQL for `high` and `missing`. Each is a query of its own, so that an index serves them.

    A column that is declared NOT NULL is not looked through for NULLs.
    """
    name, relation = sql.quote(column.name), sql.relation(table)
    absent = sql.where_clause(f"{name} IS NULL", where)
    return sql.fill(
        _WATERMARK,
        column=name,
        relation=relation,
        present=sql.where_clause(f"{name} IS NOT NULL", where),
        missing=sql.fill(_MISSING, relation=relation, absent=absent) if column.nullable else "0::bigint",
    )


def after(column: SourceColumn, low: str, *, inclusive: bool) -> str:
    """A condition for the rows above a watermark, or from it on."""
    return f"{sql.quote(column.name)} {'>=' if inclusive else '>'} {_literal(column, low)}"


def up_to(column: SourceColumn, high: str) -> str:
    """A condition for the rows that are not above a watermark."""
    return f"{sql.quote(column.name)} <= {_literal(column, high)}"


def _literal(column: SourceColumn, text: str) -> str:
    return sql.typed_literal(text, column.base_type)


def watermark_problem(column: SourceColumn, lookback: timedelta | Decimal | None) -> str | None:
    """Why a column can't be a watermark, or not with this lookback, and the cure."""
    if column.base_type in _ODD_TYPES:
        return (
            f"{column.name} is {column.native_type}, whose text doesn't say its value to the target: name a column of "
            "whole numbers or times"
        )
    if not column.orderable:
        return (
            f"{column.name!r} can't be a watermark: its type {column.native_type} has no order. "
            f"Choose a number or a timestamp that grows with every change."
        )
    if lookback is None:
        return None
    is_base = column.category == "b"
    is_time, is_number = is_base and column.base_type in ("date", *_TIMES), is_base and column.base_type in _NUMBERS
    return lookback_problem(column, lookback, is_time=is_time, is_number=is_number)


def high_problem(column: SourceColumn, high: str) -> str | None:
    """Why no value can come after a watermark, and the cure."""
    if column.category != "b" or column.base_type not in _LAST.get(high.lower(), ()):
        return None
    return (
        f"The largest value of {column.name!r} is {high}, and nothing comes after that: rows that are written from "
        f"now on would never be read. Correct the row, exclude it with whereClauseCriteria, or choose another column."
    )


def lookback_query(column: SourceColumn, low: str, lookback: timedelta | Decimal) -> str:
    """SQL for `low`, the text of the value that lies `lookback` before, in the column's own type.

    What the type can't hold exactly is the next value below, so that no less is read again than was asked for. A
    whole number stays in its type: its smallest value is the lowest watermark.

    Raises:
        PlatformError: the lookback doesn't go with the column.
    """
    problem = watermark_problem(column, lookback)
    if problem is not None:
        raise PlatformError(problem)
    value = _time_before(column, low, lookback) if isinstance(lookback, timedelta) else _before(column, low, lookback)
    return sql.fill(_LOOKBACK, value=value)


def _time_before(column: SourceColumn, low: str, lookback: timedelta) -> str:
    literal = _literal(column, low)
    if column.base_type == "date":
        return sql.fill(_DAYS_BEFORE, low=literal, days=-(-lookback // timedelta(days=1)))
    # In hours: a day of a session's zone may have 23.
    minutes, seconds = divmod(lookback.days * 24 * 60 * 60 + lookback.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return sql.fill(
        _TIME_BEFORE, low=literal, hours=hours, minutes=minutes, seconds=seconds, microseconds=lookback.microseconds
    )


def _before(column: SourceColumn, low: str, lookback: Decimal) -> str:
    base = column.base_type
    if base in _FLOATS:
        return sql.literal(repr(float_before(low, lookback, is_real=base == "real")))
    number = sql.typed_literal(format(lookback, "f"), "numeric")
    if base not in _LEAST:
        return sql.fill(_NUMBER_BEFORE, low=_literal(column, low), number=number)
    numeric = sql.fill(_TEXT_NUMERIC, low=sql.literal(low))
    return sql.fill(_WHOLE_BEFORE, low=numeric, number=number, least=_LEAST[base])
