"""Snowflake as a target."""

from __future__ import annotations

from typing import ClassVar

from migration_assets.platforms.base import PlatformError, TargetPlatform, split_type, unknown_type
from migration_assets.platforms.canonical_sql import CanonicalSQL
from migration_assets.platforms.snowflake.canonical import SnowflakeSQL
from migration_assets.platforms.types import (
    BINARY,
    BOOLEAN,
    DATE,
    JSON,
    MAX_DECIMAL_PRECISION,
    MAX_FRACTION_DIGITS,
    MICROSECONDS,
    ColumnType,
    Kind,
    decimal,
    floating,
    temporal,
    text,
)

MAX_TEXT_LENGTH = 134_217_728
MAX_BINARY_LENGTH = 67_108_864
"""Longest VARCHAR in characters and BINARY in bytes (Snowflake manual, string and binary types)."""

DEFAULT_TEXT_LENGTH = 16_777_216
"""Length of a VARCHAR that is written without one, in accounts without the larger default."""

_INTEGERS = {16: "NUMBER(5,0)", 32: "NUMBER(10,0)", 64: "NUMBER(19,0)"}
_PLAIN_DDL = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.FLOAT: "FLOAT",
    Kind.DATE: "DATE",
    Kind.JSON: "VARIANT",
    Kind.UUID: "VARCHAR(36)",
}
_TEMPORAL_DDL = {
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP_NTZ",
    # Most sources store instants without their offsets: what travels is an instant, and LTZ is exactly that.
    Kind.TIMESTAMP_TZ: "TIMESTAMP_LTZ",
}
_WITH_OFFSET = "TIMESTAMP_TZ"

# Snowflake has one exact and one approximate number type: every INT is NUMBER(38,0), every REAL 64 bits wide.
_PLAIN_TYPES: dict[str, ColumnType] = {
    **dict.fromkeys(("BOOLEAN", "BOOL"), BOOLEAN),
    **dict.fromkeys(("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT"), decimal(MAX_DECIMAL_PRECISION, 0)),
    **dict.fromkeys(("FLOAT", "FLOAT4", "FLOAT8", "DOUBLE", "DOUBLE PRECISION", "REAL"), floating(64)),
    "DATE": DATE,
    **dict.fromkeys(("VARIANT", "OBJECT", "ARRAY"), JSON),
}
_DECIMAL_TYPES = ("NUMBER", "DECIMAL", "DEC", "NUMERIC")
_TEXT_TYPES = (
    *("VARCHAR", "STRING", "TEXT", "NVARCHAR", "NVARCHAR2"),
    *("CHAR VARYING", "CHARACTER VARYING", "NCHAR VARYING"),
)
_CHARACTER_TYPES = ("CHAR", "CHARACTER", "NCHAR")
_BINARY_TYPES = ("BINARY", "VARBINARY")
_LOCAL_TYPES = ("TIMESTAMP_LTZ", "TIMESTAMPLTZ", "TIMESTAMP WITH LOCAL TIME ZONE")
_TEMPORAL_TYPES = {
    "TIME": Kind.TIME,
    # The account's TIMESTAMP_TYPE_MAPPING decides what TIMESTAMP is; unless it was changed, that is NTZ.
    **dict.fromkeys(
        (
            *("TIMESTAMP", "DATETIME", "TIMESTAMP_NTZ", "TIMESTAMPNTZ"),
            *("TIMESTAMP WITHOUT TIME ZONE", "DATETIME WITHOUT TIME ZONE"),
        ),
        Kind.TIMESTAMP,
    ),
    **dict.fromkeys(
        (
            *_LOCAL_TYPES,
            *("TIMESTAMP_TZ", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"),
        ),
        Kind.TIMESTAMP_TZ,
    ),
}
_REFUSED = {
    "GEOGRAPHY": "map the column to VARCHAR and convert it with TO_GEOGRAPHY in a view",
    "GEOMETRY": "map the column to VARCHAR and convert it with TO_GEOMETRY in a view",
    "VECTOR": "map the column to ARRAY and cast it in a view",
    "MAP": "map the column to OBJECT",
    "FILE": "map the column to VARCHAR",
    "DECFLOAT": "map the column to NUMBER with a precision and scale, or to FLOAT",
}


class Snowflake(TargetPlatform):
    """What Snowflake holds. Names without quotes are folded to upper case; quoted ones are exact."""

    name: ClassVar[str] = "snowflake"
    dialect: ClassVar[str] = "snowflake"
    # What a VARCHAR without a length gets: the catalogue doesn't tell it from one that was written.
    max_text_length: ClassVar[int | None] = DEFAULT_TEXT_LENGTH
    max_binary_length: ClassVar[int | None] = MAX_BINARY_LENGTH

    @property
    def canonical_sql(self) -> CanonicalSQL:
        return SnowflakeSQL()

    def fold(self, identifier: str) -> str:
        return identifier.upper()

    def ddl_type(self, column_type: ColumnType) -> str:
        match column_type.kind:
            case Kind.INTEGER:
                return _INTEGERS[column_type.bits or 64]
            case Kind.DECIMAL:
                return _number(column_type)
            case Kind.TEXT:
                # No length means the account's default (16 MB, or 128 MB where that change is enabled).
                return f"VARCHAR({min(column_type.length, MAX_TEXT_LENGTH)})" if column_type.length else "VARCHAR"
            case Kind.BINARY:
                # A length is always given: the default is 8 MB, although a column may hold 64 MB, and a
                # longer declaration costs nothing.
                return f"BINARY({min(column_type.length or MAX_BINARY_LENGTH, MAX_BINARY_LENGTH)})"
            case Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMP_TZ as kind:
                digits = MICROSECONDS if column_type.precision is None else column_type.precision
                keeps_offset = kind is Kind.TIMESTAMP_TZ and column_type.is_staged_as_text
                return f"{_WITH_OFFSET if keeps_offset else _TEMPORAL_DDL[kind]}({digits})"
            case kind:
                return _PLAIN_DDL[kind]

    def parse_type(self, ddl_type: str) -> ColumnType:
        name, arguments = split_type(ddl_type)
        word = name.partition("(")[0].strip()
        if word in _REFUSED:
            raise PlatformError(f"Snowflake's type {word} can't be staged; {_REFUSED[word]}")
        if name in _DECIMAL_TYPES and len(arguments) <= 2:
            precision, scale = (*arguments, 0)[:2] if arguments else (MAX_DECIMAL_PRECISION, 0)
            parsed = decimal(precision, scale)
            _number(parsed)
            return parsed
        if name in _PLAIN_TYPES and not arguments:
            return _PLAIN_TYPES[name]
        if len(arguments) <= 1:
            argument = arguments[0] if arguments else None
            if name in _TEXT_TYPES:
                return text(argument)
            if name in _CHARACTER_TYPES:
                return text(argument or 1)
            if name in _BINARY_TYPES:
                return BINARY if argument is None else ColumnType(Kind.BINARY, length=argument)
            if name in _TEMPORAL_TYPES:
                # Of 9 digits no source has more than 7; LTZ has them, but not the offset that goes with them.
                most = MICROSECONDS if name in _LOCAL_TYPES else MAX_FRACTION_DIGITS
                digits = MICROSECONDS if argument is None else min(argument, most)
                return temporal(_TEMPORAL_TYPES[name], digits)
        raise unknown_type("Snowflake", ddl_type, _KNOWN_TYPES)

    def same_name(self, first: str, second: str) -> bool:
        return first == second

    def widens_in_place(self, before: ColumnType, after: ColumnType) -> bool:
        # Strings grow in length and NUMBER in precision (Snowflake manual, ALTER TABLE … ALTER COLUMN).
        is_number = before.kind is Kind.DECIMAL and before.scale == after.scale
        return before.kind is after.kind and (is_number or before.kind in (Kind.TEXT, Kind.BINARY))


_KNOWN_TYPES = (
    *_PLAIN_TYPES,
    *_DECIMAL_TYPES,
    *_TEXT_TYPES,
    *_CHARACTER_TYPES,
    *_BINARY_TYPES,
    *_TEMPORAL_TYPES,
)


def _number(column_type: ColumnType) -> str:
    precision, scale = column_type.precision or MAX_DECIMAL_PRECISION, column_type.scale or 0
    if precision > MAX_DECIMAL_PRECISION or not 0 <= scale <= min(precision, MAX_DECIMAL_PRECISION - 1):
        raise PlatformError(
            f"Snowflake has no type for {column_type}: NUMBER holds {MAX_DECIMAL_PRECISION} digits, of which "
            f"{MAX_DECIMAL_PRECISION - 1} after the point. Map the column to VARCHAR, or to a NUMBER that "
            "holds all of its values."
        )
    return f"NUMBER({precision},{scale})"
