"""Values of SQL Server's types as texts and literals that read back as they are, in every language and date format.

Whole numbers and decimals are plain digits (money with its four), floats have 17 digits, times are ISO with all of
their digits, instants are in UTC with `+00` behind them, bytes are `0x…`, a uniqueidentifier is in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from migration_assets.platforms.base import SourceColumn
from migration_assets.platforms.sqlserver import sql

WHOLE_NUMBERS = ("tinyint", "smallint", "int", "bigint")
DECIMALS = ("decimal", "numeric")
MONEY = ("money", "smallmoney")
FLOATS = ("float", "real")
DATE_TIMES = ("datetime", "smalldatetime", "datetime2")
TIMES = ("date", *DATE_TIMES, "datetimeoffset")
ONE_BYTE_TEXTS = ("char", "varchar")
TEXTS = (*ONE_BYTE_TEXTS, "nchar", "nvarchar")
BYTES = ("binary", "varbinary", "rowversion")

LONGEST_TEXT = 1000
"""Characters of a text, or hexadecimal digits of bytes, that stand as a literal in every condition of a range."""

_DIGITS = 7
"""Fractional-second digits of a time that names none."""

_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("bit", *WHOLE_NUMBERS), "CONVERT(varchar(20), {value})"),
        **dict.fromkeys(DECIMALS, "CONVERT(varchar(41), {value})"),
        # Printed as what it is, money loses two of its four digits in some styles.
        **dict.fromkeys(MONEY, "CONVERT(varchar(41), CAST({value} AS decimal(19, 4)))"),
        **dict.fromkeys(FLOATS, "LTRIM(RTRIM(CONVERT(varchar(32), {value}, 3)))"),
        "date": "CONVERT(varchar(10), {value}, 23)",
        "time": "CONVERT(varchar(16), {value}, 121)",
        "datetime": "CONVERT(varchar(23), {value}, 121)",
        "smalldatetime": "CONVERT(varchar(19), {value}, 120)",
        "datetime2": "CONVERT(varchar(27), {value}, 121)",
        "datetimeoffset": (
            "CONVERT(varchar(27), CAST(SWITCHOFFSET({value}, '+00:00') AS datetime2({digits})), 121) + '+00'"
        ),
        "uniqueidentifier": "LOWER(CONVERT(char(36), {value}))",
        **dict.fromkeys(TEXTS, f"LEFT(CAST({{value}} AS nvarchar(max)), {LONGEST_TEXT + 1})"),
        **dict.fromkeys(BYTES, "CONVERT(varchar(max), CAST({value} AS varbinary(max)), 1)"),
        "hierarchyid": "CAST({value} AS nvarchar(4000))",
    }
)

_CLOCK = r"([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,7})?"
_DAY = r"\d{4}-\d\d-\d\d"
# NUL, and half of a character, are nothing that a statement can hold.
ANY_TEXT = rf"[^\0\ud800-\udfff]{{0,{LONGEST_TEXT}}}"
"""What a text looks like that can be a bound."""

_FORMS: Mapping[str, str] = MappingProxyType(
    {
        "bit": "[01]",
        **dict.fromkeys(WHOLE_NUMBERS, r"-?\d{1,19}"),
        **dict.fromkeys((*DECIMALS, *MONEY), r"-?\d{1,38}(\.\d{1,38})?"),
        **dict.fromkeys(FLOATS, r"-?\d+(\.\d+)?([eE][+-]\d+)?"),
        "date": _DAY,
        "time": _CLOCK,
        **dict.fromkeys(DATE_TIMES, f"{_DAY} {_CLOCK}"),
        "datetimeoffset": rf"{_DAY} {_CLOCK}\+00",
        "uniqueidentifier": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        **dict.fromkeys(TEXTS, ANY_TEXT),
        **dict.fromkeys(BYTES, rf"0x([0-9A-F]{{2}}){{0,{LONGEST_TEXT // 2}}}"),
        "hierarchyid": r"[/\d.-]+",
    }
)


def has_literals(base_type: str) -> bool:
    """Whether values of a type have a text and a literal: sql_variant, XML and types of a user's own have none."""
    return base_type in _TEXTS


def text_of(column: SourceColumn, value: str) -> str:
    """SQL of the text of a value of the column's type; NULL for NULL."""
    return sql.fill(_TEXTS[column.base_type], value=value, digits=_fraction_digits(column))


def from_variant(column: SourceColumn, value: str) -> str:
    """A value of the column's type that a sql_variant holds, for `text_of`.

    A text of a code page becomes UTF-16 at once: as varchar it would have only the characters of the database's.
    """
    held = f"nvarchar({LONGEST_TEXT + 1})" if column.base_type in ONE_BYTE_TEXTS else native_type(column)
    return f"CAST({value} AS {held})"


def is_exact(column: SourceColumn, text: str) -> bool:
    """Whether a text is one of `text_of`, and not too long for a literal."""
    return re.fullmatch(_FORMS[column.base_type], text, re.ASCII) is not None


def literal(column: SourceColumn, text: str) -> str:
    """A text of `text_of` as SQL of the column's type, so that an index is sought and nothing is rounded."""
    base = column.base_type
    if base in BYTES:
        length = _fixed_length(column)
        return f"CAST({text} AS binary({length}))" if length else text
    if base in TEXTS and base not in ONE_BYTE_TEXTS:
        return sql.literal(text)
    if base in ONE_BYTE_TEXTS:
        # The collation has the code page: without it, characters would become those of the database's.
        collated = f" COLLATE {column.collation}" if column.collation else ""
        return f"CAST({sql.literal(text)}{collated} AS varchar({'max' if column.type_arguments == () else 8000}))"
    if base in (*DATE_TIMES, "datetimeoffset"):
        # With a blank in place of the T, the older two types read day and month as the session has it.
        text = text.replace(" ", "T", 1)
    if base == "datetimeoffset" and text.endswith("+00"):
        text = f"{text}:00"
    return f"CAST({sql.literal(text)} AS {native_type(column)})"


def native_type(column: SourceColumn) -> str:
    """The column's type as CAST takes it."""
    base, arguments = column.base_type, column.type_arguments
    if base in DECIMALS and arguments:
        return f"{base}({', '.join(map(str, (*arguments, 0)[:2]))})"
    if base in ("time", "datetime2", "datetimeoffset"):
        return f"{base}({_fraction_digits(column)})"
    if base in TEXTS or base == "varbinary":
        return f"{base}({arguments[0] if arguments else 'max'})"
    if base in BYTES:
        return f"binary({_fixed_length(column)})"
    return base


def fraction_digits(column: SourceColumn) -> int:
    """The fractional-second digits that values of a time have: three of a datetime, which counts 1/300 s."""
    return {"date": 0, "smalldatetime": 0, "datetime": 3}.get(column.base_type, _fraction_digits(column))


def _fraction_digits(column: SourceColumn) -> int:
    return column.type_arguments[0] if column.type_arguments else _DIGITS


def _fixed_length(column: SourceColumn) -> int | None:
    """The bytes that every value has; None when they differ."""
    if column.base_type == "rowversion":
        return 8
    return (column.type_arguments[0] if column.type_arguments else 1) if column.base_type == "binary" else None
