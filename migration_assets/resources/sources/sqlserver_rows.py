"""The answers to statements as plain Python values, over pyodbc."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from typing import Any

from migration_assets.platforms.base import Row
from migration_assets.resources.sources.sqlserver_drivers import load_pyodbc
from migration_assets.resources.sources.sqlserver_errors import query_error

_DATETIMEOFFSET = -155
"""Microsoft's number of the type, which ODBC itself doesn't know."""

_WIDE_TEXTS = (-8, -9, -10)
"""SQL_WCHAR, SQL_WVARCHAR, SQL_WLONGVARCHAR."""

_HALVES = re.compile("[\ud800-\udfff]")

_OFFSET_VALUE = struct.Struct("<6hI2h")
"""Year, month, day, hour, minute, second; 1/10^9 s; hours and minutes of the offset."""


def fetch_all(connection: Any, statement: str) -> list[Row]:  # noqa: ANN401 - pyodbc has no types
    """Runs a statement.

    Raises:
        SourceError: the server refused, or was lost (transient).
    """
    return fetch_from(connection.cursor(), statement)


def fetch_from(cursor: Any, statement: str) -> list[Row]:  # noqa: ANN401
    """Runs a statement with a cursor, which is closed then; as `fetch_all`."""
    pyodbc = load_pyodbc()
    try:
        cursor.execute(statement)
        # Statements before the last, such as those that set a variable, have no rows.
        while cursor.description is None and cursor.nextset():
            pass
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except pyodbc.Error as error:
        raise query_error(error) from None
    finally:
        with suppress(pyodbc.Error):  # A connection that is lost was said to be.
            cursor.close()


def register_converters(connection: Any) -> None:  # noqa: ANN401
    """Lets pyodbc read the types that it doesn't know, as text, and texts that hold half of a surrogate pair."""
    connection.add_output_converter(_DATETIMEOFFSET, datetimeoffset_text)
    for wide in _WIDE_TEXTS:
        connection.add_output_converter(wide, wide_text)


def wide_text(value: bytes) -> str:
    """Text in UTF-16. SQL Server lets half of a surrogate pair stand, which pyodbc itself fails at."""
    return value.decode("utf-16-le", "surrogatepass")


def in_utf8(value: object) -> object:
    """A text with U+FFFD for each half of a surrogate pair, as rows are read and as SQL Server makes UTF-8 of it."""
    return _HALVES.sub("\ufffd", value) if isinstance(value, str) else value


def datetimeoffset_text(value: bytes) -> str:
    """A `datetimeoffset` as SQL Server prints it: `YYYY-MM-DD HH:MM:SS.fffffff +HH:MM`."""
    year, month, day, hour, minute, second, nanoseconds, offset_hours, offset_minutes = _OFFSET_VALUE.unpack(value)
    sign = "-" if offset_hours < 0 or offset_minutes < 0 else "+"
    return (
        f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanoseconds // 100:07} "
        f"{sign}{abs(offset_hours):02}:{abs(offset_minutes):02}"
    )
