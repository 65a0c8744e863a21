"""A value of every type of a platform, and what it is in the target."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from migration_assets_tests.platforms.postgresql.test_types import TYPES, VALUES


@dataclass(frozen=True)
class TypedValue:
    """A column of one type with one value.

    Attributes:
        native: the type, in the platform's own words.
        text: the value, as a text that the type reads.
        target: how the target prints it; None where another test says what is read.
        mapping: the target's type in `columnTypeMappings`, where the type needs one.
    """

    native: str
    text: str
    target: str | None = None
    mapping: str | None = None


_SQLSERVER = [
    TypedValue("bit", "1", "true"),
    TypedValue("tinyint", "255", "255"),
    TypedValue("smallint", "-32768", "-32768"),
    TypedValue("int", "2147483647", "2147483647"),
    TypedValue("bigint", "-9223372036854775808", "-9223372036854775808"),
    TypedValue("decimal(38,10)", *["1234567890123456789012345678.0123456789"] * 2),
    TypedValue("numeric(18,4)", "-12.3400", "-12.3400"),
    TypedValue("decimal(38,38)", "0.00000000000000000000000000000000000001", ".00000000000000000000000000000000000001"),
    TypedValue("money", "922337203685477.5807", "922337203685477.5807"),
    TypedValue("money", "-922337203685477.5808", "-922337203685477.5808"),
    TypedValue("smallmoney", "-214748.3648", "-214748.3648"),
    TypedValue("float", "0.1", "0.1"),
    TypedValue("float", "-1.5e300", "-1.5e+300"),
    TypedValue("real", "0.1", "0.1"),
    TypedValue("date", "0001-01-01", "0001-01-01"),
    TypedValue("date", "9999-12-31", "9999-12-31"),
    TypedValue("time(0)", "12:00:00", "12:00:00"),
    TypedValue("time(6)", "23:59:59.999999", "23:59:59.999999"),
    TypedValue("time(7)", "23:59:59.9999990", "23:59:59.999999"),
    TypedValue("datetime", "2024-01-02T03:04:05.997", "2024-01-02 03:04:05.997"),
    TypedValue("datetime", "1753-01-01T00:00:00", "1753-01-01 00:00:00"),
    TypedValue("smalldatetime", "2024-01-02T03:04:00", "2024-01-02 03:04:00"),
    TypedValue("datetime2(0)", "0001-01-01T00:00:00", "0001-01-01 00:00:00"),
    TypedValue("datetime2(3)", "2024-01-02T03:04:05.123", "2024-01-02 03:04:05.123"),
    TypedValue("datetime2(6)", "9999-12-31T23:59:59.999999", "9999-12-31 23:59:59.999999"),
    TypedValue("datetime2(7)", "2024-01-02T03:04:05.1234560", "2024-01-02 03:04:05.123456"),
    TypedValue("datetime2(5)", "9999-12-31T23:59:59.12345", "9999-12-31 23:59:59.12345", "VARCHAR"),
    TypedValue(
        "datetimeoffset(6)", "2024-01-02 03:04:05.123456 +05:30", "2024-01-01 21:34:05.123456+00", "TIMESTAMPTZ"
    ),
    TypedValue("datetimeoffset(3)", "2024-01-02 03:04:05.123 -14:00", "2024-01-02 03:04:05.123 -14:00", "VARCHAR"),
    TypedValue("char(5)", "ab", "ab"),
    TypedValue("nchar(5)", "ü", "ü"),
    TypedValue("varchar(50)", "  kept  ", "  kept  "),
    TypedValue("varchar(max)", "", ""),
    TypedValue("nvarchar(50)", "Zoë 漢字 😀", "Zoë 漢字 😀"),
    TypedValue("nvarchar(max)", 'comma, "quotes"\n\\.', 'comma, "quotes"\n\\.'),
    TypedValue("text", "old", "old"),
    TypedValue("ntext", "old ü", "old ü"),
    TypedValue("binary(4)", "0x01020304", "\\x01\\x02\\x03\\x04"),
    TypedValue("varbinary(100)", "0x00ff5c", "\\x00\\xFF\\x5C"),
    TypedValue("varbinary(max)", "0xdeadbeef", "\\xDE\\xAD\\xBE\\xEF"),
    TypedValue("image", "0x01", "\\x01"),
    TypedValue("uniqueidentifier", "6F9619FF-8B86-D011-B42D-00C04FC964FF", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    TypedValue("xml", "<a><b>1</b></a>", "<a><b>1</b></a>"),
]
"""Those that the servers of tests have: not rowversion, hierarchyid, spatial types and 100 ns."""


def _printed(value: object) -> str | None:
    """A value as DuckDB prints it, where that is Python's way, or all but Python's."""
    if isinstance(value, (bool, float, bytes, dt.datetime)):
        return None
    # Of a type with all of its digits after the point, DuckDB leaves the zero out.
    return str(value).removeprefix("0") if value == Decimal("0.00999") else str(value)


_POSTGRESQL = [TypedValue(native, text, _printed(wanted)) for native, text, _, wanted in VALUES if native != "xml"]

EVERY_TYPE = {"postgresql": _POSTGRESQL, "sqlserver": _SQLSERVER}

PREPARATION = {"postgresql": TYPES, "sqlserver": ""}
"""What a platform's types need before."""
