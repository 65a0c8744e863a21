"""Watermarks: the largest value of a column that was read, and the rows above it.

Values are compared as the column is, in its own type, with literals that read back with all of their digits:
consecutive ranges `low < column <= high` share no row and leave none out.

A rowversion is given when a row is written, not when that is committed: rows below the largest one that is seen may
still be open. `MIN_ACTIVE_ROWVERSION()` is below all of those, so no value from it on becomes a watermark. It is asked
before the rows are read: what is committed in between is above it. Only the database that is written into knows it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from types import MappingProxyType

from migration_assets.platforms.base import PlatformError, SourceColumn, TableName
from migration_assets.platforms.errors import lookback_problem
from migration_assets.platforms.floats import float_before
from migration_assets.platforms.sqlserver import sql, values

# Not MAX and COUNT in one query: they would read all of an index, where TOP reads one row of it.
_WATERMARK = """\
{before}SELECT (SELECT TOP (1) {high} FROM {relation}{present} ORDER BY {column} DESC) AS high,
       {missing} AS missing"""
_MISSING = "(SELECT COUNT_BIG(*) FROM {relation}{absent})"
_NONE_MISSING = "CAST(0 AS bigint)"
# A secondary replica, or a standby that gets logs, knows nothing of transactions that are open on the primary: an error
# there. Another database that can't be written into has none.
_OPEN = """\
DECLARE @open binary(8) = MIN_ACTIVE_ROWVERSION();
DECLARE @known int = CASE
    WHEN CONVERT(nvarchar(60), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) = N'READ_WRITE'
      OR EXISTS (SELECT 1 FROM sys.databases WHERE name = DB_NAME() AND is_read_only = 1 AND is_in_standby = 0) THEN 1
    ELSE CAST({problem} + DB_NAME() AS int) END;
"""
_OPEN_ELSEWHERE = (
    "no watermark: a replica does not know which rowversions are open on its primary; read that one with "
    "SOURCE_SQLSERVER_APPLICATION_INTENT=ReadWrite. The database is "
)
_CLOSED = "{column} < @open"

_LOOKBACK = "SELECT {low} AS low"

_TICKS = 10**7
"""Units of a time in a second: 100 ns."""

_LEAST: Mapping[str, int] = MappingProxyType(
    {"tinyint": 0, "smallint": -(2**15), "int": -(2**31), "bigint": -(2**63)},
)
_LEAST_MONEY = {"money": Decimal(-(2**63)).scaleb(-4), "smallmoney": Decimal(-(2**31)).scaleb(-4)}
_EXACT = Context(prec=120)

_FIRST_DAY = {"datetime": dt.date(1753, 1, 1), "smalldatetime": dt.date(1900, 1, 1)}
_LAST_DAYS = ("9999-12-31", "2079-06-06")
"""What stands for "never" where there is no infinity: the last days of the types."""

_SIZES = (*values.WHOLE_NUMBERS, *values.DECIMALS, *values.MONEY, *values.FLOATS)
_ALLOWED = (*_SIZES, *values.TIMES, "time", *values.BYTES)


def watermark_query(table: TableName, column: SourceColumn, where: str | None) -> str:
    """SQL for `high` and `missing`. Each is a query of its own, so that an index serves them.

    A column that is declared NOT NULL is not looked through for NULLs. Of a rowversion, it must be the first thing
    that a SNAPSHOT transaction reads, which sees what was committed before that.
    """
    name, relation = sql.quote(column.name), sql.relation(table)
    is_version = column.base_type == "rowversion"
    closed = sql.fill(_CLOSED, column=name) if is_version else None
    absent = sql.where_clause(f"{name} IS NULL", where)
    return sql.fill(
        _WATERMARK,
        before=sql.fill(_OPEN, problem=sql.literal(_OPEN_ELSEWHERE)) if is_version else "",
        column=name,
        high=values.text_of(column, name),
        relation=relation,
        present=sql.where_clause(f"{name} IS NOT NULL", closed, where),
        missing=sql.fill(_MISSING, relation=relation, absent=absent) if column.nullable else _NONE_MISSING,
    )


def after(column: SourceColumn, low: str, *, inclusive: bool) -> str:
    """A condition for the rows above a watermark, or from it on."""
    return f"{sql.quote(column.name)} {'>=' if inclusive else '>'} {values.literal(column, low)}"


def up_to(column: SourceColumn, high: str) -> str:
    """A condition for the rows that are not above a watermark."""
    return f"{sql.quote(column.name)} <= {values.literal(column, high)}"


def watermark_problem(column: SourceColumn, lookback: timedelta | Decimal | None) -> str | None:
    """Why a column can't be a watermark, or not with this lookback, and the cure."""
    base = column.base_type
    if base in values.TEXTS and not 0 < (*column.type_arguments, 0)[0] <= values.LONGEST_TEXT:
        return (
            f"{column.name!r} can't be a watermark: its type {column.native_type} may have more than "
            f"{values.LONGEST_TEXT} characters. Choose a rowversion, a number or a time that grows with every change."
        )
    if base in values.TEXTS and not _is_binary(column):
        return (
            f"{column.name!r} can't be a watermark: its collation {column.collation or 'of the database'} holds texts "
            f"for equal that are not. Choose a rowversion, a number or a time that grows with every change, or a text "
            f"with a collation of _BIN2."
        )
    if base not in (*_ALLOWED, *values.TEXTS) or column.category != "b":
        return (
            f"{column.name!r} can't be a watermark: its type {column.native_type} has no order in which later values "
            f"are larger. Choose a rowversion, a number or a time that grows with every change."
        )
    if lookback is None:
        return None
    return lookback_problem(column, lookback, is_time=base in values.TIMES, is_number=base in _SIZES)


def _is_binary(column: SourceColumn) -> bool:
    """Whether texts are compared by their codes. Blanks at their ends are ignored all the same, like everywhere."""
    return (column.collation or "").upper().endswith(("_BIN", "_BIN2", "_BIN2_UTF8"))


def high_problem(column: SourceColumn, high: str) -> str | None:
    """Why no value can come after a watermark, and the cure."""
    if column.base_type in values.TEXTS and not values.is_exact(column, high):
        return (
            f"The largest value of {column.name!r} is {high!r}, which no statement can hold (a NUL character, or half "
            f"of a surrogate pair): correct the row, exclude it with whereClauseCriteria, or choose another column."
        )
    if column.base_type not in values.TIMES or not high.startswith(_LAST_DAYS):
        return None
    if high.startswith(_LAST_DAYS[1]) and column.base_type != "smalldatetime":
        return None
    return (
        f"The largest value of {column.name!r} is {high}, and nothing comes after that day: rows that are written from "
        f"now on would never be read. Correct the row, exclude it with whereClauseCriteria, or choose another column."
    )


def lookback_query(column: SourceColumn, low: str, lookback: timedelta | Decimal) -> str:
    """SQL for `low`, the text of the value that lies `lookback` before, in the column's own type.

    It is computed here: DATEADD rounds to the type, up as well as down, and fails below its first value. What the type
    can't hold exactly is the next value below, so that no less is read again than was asked for; nothing is below the
    type's first value.

    Raises:
        PlatformError: the lookback doesn't go with the column.
    """
    problem = watermark_problem(column, lookback)
    if problem is not None:
        raise PlatformError(problem)
    text = _time_before(column, low, lookback) if isinstance(lookback, timedelta) else _before(column, low, lookback)
    return sql.fill(_LOOKBACK, low=sql.literal(text))


def _time_before(column: SourceColumn, low: str, lookback: timedelta) -> str:
    base = column.base_type
    day, _, clock = low.removesuffix("+00").partition(" ")
    first = _FIRST_DAY.get(base, dt.date.min)
    start = (dt.date.fromisoformat(day) - first).days * 86_400 * _TICKS + _ticks(clock)
    back = (lookback.days * 86_400 + lookback.seconds) * _TICKS + lookback.microseconds * 10
    found = max(_FLOORS[base](start, back, column), 0)
    days, ticks = divmod(found, 86_400 * _TICKS)
    date = (first + timedelta(days=days)).isoformat()
    if base == "date":
        return date
    seconds, fraction = divmod(ticks, _TICKS)
    digits = values.fraction_digits(column)
    shown = f".{fraction:07}"[: digits + 1] if digits else ""
    hours, minutes = divmod(seconds // 60, 60)
    return f"{date} {hours:02}:{minutes:02}:{seconds % 60:02}{shown}" + ("+00" if base == "datetimeoffset" else "")


def _ticks(clock: str) -> int:
    """The time of day in units of 100 ns."""
    if not clock:
        return 0
    whole, _, fraction = clock.partition(".")
    hours, minutes, seconds = map(int, whole.split(":"))
    return (hours * 3600 + minutes * 60 + seconds) * _TICKS + int(fraction.ljust(7, "0"))


def _to_whole(unit: int) -> Callable[[int, int, SourceColumn], int]:
    return lambda start, back, _column: (start - back) // unit * unit


def _to_digits(start: int, back: int, column: SourceColumn) -> int:
    unit = int(10 ** (7 - values.fraction_digits(column)))
    return (start - back) // unit * unit


def _to_thirds(start: int, back: int, _column: SourceColumn) -> int:
    """A datetime counts 1/300 s, which are shown as 0, 3 and 7 thousandths."""
    thirds = (start * 300 + _TICKS // 2) // _TICKS - -(-back * 300 // _TICKS)
    seconds, rest = divmod(thirds, 300)
    return seconds * _TICKS + (rest * 10 + 1) // 3 * 10_000


_FLOORS: Mapping[str, Callable[[int, int, SourceColumn], int]] = MappingProxyType(
    {
        "date": _to_whole(86_400 * _TICKS),
        "smalldatetime": _to_whole(60 * _TICKS),
        "datetime": _to_thirds,
        "datetime2": _to_digits,
        "datetimeoffset": _to_digits,
    }
)
"""The largest value of a type that is not above the difference, in units from the type's first day on."""


def _before(column: SourceColumn, low: str, lookback: Decimal) -> str:
    base = column.base_type
    if base in values.FLOATS:
        return repr(float_before(low, lookback, is_real=base == "real"))
    precision, scale = (*column.type_arguments, 0)[:2] if column.type_arguments else (18, 0)
    if base in _LEAST:
        scale, least = 0, Decimal(_LEAST[base])
    elif base in _LEAST_MONEY:
        scale, least = 4, _LEAST_MONEY[base]
    else:
        least = -(Decimal(10**precision - 1).scaleb(-scale, _EXACT))
    exact = _EXACT.subtract(Decimal(low), lookback)
    found = max(exact.quantize(Decimal(1).scaleb(-scale), ROUND_FLOOR, _EXACT), least)
    return format(found, "f")
