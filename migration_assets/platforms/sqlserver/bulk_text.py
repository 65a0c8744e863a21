"""Values as the text that a bulk utility writes: exact, without NULLs and empty texts that look the same.

Utilities print floats, money and times in ways of their own, so the server prints every value, in a form that
doesn't depend on language or date format. What is text in the staged files begins with `TEXT_MARK`, so that an
empty field is NULL and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa

from migration_assets.platforms import types
from migration_assets.platforms.base import ReadColumn, SourceColumn
from migration_assets.platforms.sqlserver import sql
from migration_assets.platforms.sqlserver.types import PADDED, fraction_digits, native_decimal
from migration_assets.platforms.types import MICROSECONDS, ColumnType, Kind

TEXT_MARK = "_"
"""Stands before every value that is staged as text."""

_ROWS = "SELECT {values} FROM ({query}) AS bulk_rows({names})"

# The longest nvarchar(n) and varchar(n): beyond them a value is of (max), which is slower to send.
_MAX_NVARCHAR = 4000
_MAX_VARCHAR = 8000
_CHARACTERS = ("char", "varchar", "nchar", "nvarchar")
_BYTES = ("binary", "varbinary")
_ROW_VERSION = "rowversion"
_ROW_VERSION_BYTES = 8

_LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001 - SQL Server's datetime2 has no zone.


def text_query(query: str, columns: Sequence[ReadColumn]) -> str:
    """The rows of an extraction query with every value as text.

    Args:
        query: a SELECT without ORDER BY, with a value per column.
        columns: the columns in the order of the values.
    """
    names = [f"c{number}" for number in range(len(columns))]
    return sql.fill(
        _ROWS,
        values=", ".join(_as_text(name, column) for name, column in zip(names, columns, strict=True)),
        query=query,
        names=", ".join(names),
    )


def _as_text(value: str, column: ReadColumn) -> str:
    if pa.types.is_string(column.type.to_arrow()):
        value = f"RTRIM({value})" if column.type.kind is Kind.TEXT and column.source.base_type in PADDED else value
        return f"N'{TEXT_MARK}' + CAST({value} AS nvarchar({_text_length(column)}))"
    match column.type.kind:
        case Kind.BOOLEAN | Kind.INTEGER:
            return f"CONVERT(varchar(20), {value})"
        case Kind.DECIMAL:
            # Money prints two of its four digits.
            return f"CONVERT(varchar(41), CAST({value} AS {native_decimal(column.type)}))"
        case Kind.FLOAT:
            # Style 3: 17 digits, which read back to the same number.
            return f"CONVERT(varchar(32), CAST({value} AS float(53)), 3)"
        case Kind.BINARY:
            # Style 1: hexadecimal behind 0x, so that empty is not NULL.
            return f"CONVERT(varchar({_hex_length(column)}), CAST({value} AS varbinary(max)), 1)"
        case Kind.DATE:
            return f"CONVERT(varchar(10), {value}, 23)"
        case Kind.TIME:
            return _time(value, "time", "HH:MM:SS", column)
        case _:  # With a zone, it is selected as UTC's wall time.
            return _time(value, "datetime2", "YYYY-MM-DD HH:MM:SS", column)


def _time(value: str, native: str, seconds: str, column: ReadColumn) -> str:
    """A time with as many digits as it has: some servers always print seven."""
    wanted = MICROSECONDS if column.type.precision is None else column.type.precision
    # As more digits than three, a datetime would show thirds of a millisecond.
    digits = min(wanted, fraction_digits(column.source))
    length = len(seconds) + (digits + 1 if digits else 0)
    return f"LEFT(CONVERT(varchar(27), CAST({value} AS {native}({digits})), 121), {length})"


def _text_length(column: ReadColumn) -> str:
    """The length of the text without its mark: that of the source's column, for the target's may be too short."""
    source = column.source
    if column.type.kind is Kind.UUID or column.type.is_staged_as_text:
        return "50"
    if source.base_type in _CHARACTERS and source.type_arguments and 0 < source.type_arguments[0] < _MAX_NVARCHAR:
        return str(source.type_arguments[0])
    return "max"


def _hex_length(column: ReadColumn) -> str:
    source = column.source
    length = _ROW_VERSION_BYTES if source.base_type == _ROW_VERSION else None
    if source.base_type in _BYTES and source.type_arguments:
        length = source.type_arguments[0]
    return str(2 * length + 2) if length is not None and 0 < 2 * length + 2 <= _MAX_VARCHAR else "max"


@dataclass(frozen=True)
class Sample:
    """One row of known values, to see whether they come through a utility as they are.

    Attributes:
        query: gives the row.
        values: what it must be read as, in the order of the columns.
    """

    query: str
    columns: tuple[ReadColumn, ...]
    values: tuple[object, ...]


def sample(characters: str) -> Sample:
    """The values that are most easily lost.

    Args:
        characters: beyond ASCII, that must come to the server as they are.
    """
    values: list[tuple[ColumnType, str, object]] = [
        (types.text(), "CAST(NULL AS nvarchar(10))", None),
        (types.text(), "CAST(N'' AS nvarchar(10))", ""),
        (types.text(), "CAST(N' x ' AS nvarchar(10))", " x "),
        (types.text(), "CAST(NCHAR(13) + NCHAR(10) + NCHAR(9) + N'\"' AS nvarchar(10))", '\r\n\t"'),
        (types.text(), "CAST(NCHAR(65279) + NCHAR(233) + NCHAR(28450) AS nvarchar(10))", "\ufeff\u00e9\u6f22"),
        (types.text(), sql.literal(characters), characters),
        (types.BINARY, "CAST(0x AS varbinary(10))", b""),
        (types.BINARY, "CAST(0x00FF0A AS varbinary(10))", b"\x00\xff\n"),
        (types.BINARY, "CAST(NULL AS varbinary(10))", None),
        (types.floating(64), "CAST(0.1 AS float)", 0.1),
        (types.decimal(19, 4), "CAST(-0.0001 AS decimal(19, 4))", Decimal("-0.0001")),
        (types.BOOLEAN, "CAST(0 AS bit)", False),
        (types.DATE, "CAST('0001-01-01' AS date)", date(1, 1, 1)),
        (types.temporal(Kind.TIMESTAMP), "CAST('9999-12-31T23:59:59.999999' AS datetime2(6))", _LATEST),
    ]
    columns = tuple(
        ReadColumn(f"v{number}", column_type, SourceColumn(f"v{number}", "sample", "sample", True), expression)
        for number, (column_type, expression, _) in enumerate(values)
    )
    selected = ", ".join(f"{column.expression} AS {column.name}" for column in columns)
    return Sample(f"SELECT {selected}", columns, tuple(value for _, _, value in values))
