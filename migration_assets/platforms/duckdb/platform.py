"""DuckDB as a target: the embedded warehouse."""

from __future__ import annotations

from typing import ClassVar

from migration_assets.platforms.base import PlatformError, TargetPlatform, split_type, unknown_type
from migration_assets.platforms.canonical_sql import CanonicalSQL
from migration_assets.platforms.duckdb.canonical import DuckDBSQL
from migration_assets.platforms.types import (
    BINARY,
    BOOLEAN,
    DATE,
    JSON,
    MAX_DECIMAL_PRECISION,
    MAX_FRACTION_DIGITS,
    TEXT,
    UUID,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
    text,
)

_DDL_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TEXT: "VARCHAR",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMP_TZ: "TIMESTAMPTZ",
    Kind.JSON: "JSON",
    Kind.UUID: "UUID",
}
_INTEGERS = {16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}
_FLOATS = {32: "FLOAT", 64: "DOUBLE"}

_PLAIN_TYPES: dict[str, ColumnType] = {
    **dict.fromkeys(("BOOLEAN", "BOOL", "LOGICAL"), BOOLEAN),
    **dict.fromkeys(("TINYINT", "INT1", "UTINYINT", "SMALLINT", "INT2", "SHORT"), integer(16)),
    **dict.fromkeys(("INTEGER", "INT4", "INT", "SIGNED", "USMALLINT"), integer(32)),
    **dict.fromkeys(("BIGINT", "INT8", "LONG", "UINTEGER"), integer(64)),
    "UBIGINT": decimal(20, 0),
    **dict.fromkeys(("HUGEINT", "UHUGEINT"), decimal(MAX_DECIMAL_PRECISION, 0)),
    **dict.fromkeys(("FLOAT", "FLOAT4", "REAL"), floating(32)),
    **dict.fromkeys(("DOUBLE", "DOUBLE PRECISION", "FLOAT8"), floating(64)),
    **dict.fromkeys(("BLOB", "BYTEA", "BINARY", "VARBINARY"), BINARY),
    "DATE": DATE,
    "TIME": temporal(Kind.TIME),
    "TIME_NS": temporal(Kind.TIME, MAX_FRACTION_DIGITS),
    **dict.fromkeys(
        ("TIMESTAMP", "DATETIME", "TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMP_US"),
        temporal(Kind.TIMESTAMP),
    ),
    "TIMESTAMP_NS": temporal(Kind.TIMESTAMP, MAX_FRACTION_DIGITS),
    "TIMESTAMP_MS": temporal(Kind.TIMESTAMP, 3),
    "TIMESTAMP_S": temporal(Kind.TIMESTAMP, 0),
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"), temporal(Kind.TIMESTAMP_TZ)),
    "JSON": JSON,
    "UUID": UUID,
}
_TEXT_TYPES = ("VARCHAR", "CHAR", "BPCHAR", "TEXT", "STRING")
_DECIMAL_TYPES = ("DECIMAL", "NUMERIC", "DEC")
_DEFAULT_DECIMAL = (18, 3)
"""Precision and scale of a DECIMAL that is written without them (DuckDB manual, numeric types)."""


class DuckDB(TargetPlatform):
    """What DuckDB holds. Names keep the case they are written in and are compared without it."""

    name: ClassVar[str] = "duckdb"
    dialect: ClassVar[str] = "duckdb"

    @property
    def canonical_sql(self) -> CanonicalSQL:
        return DuckDBSQL()

    def fold(self, identifier: str) -> str:
        return identifier

    def ddl_type(self, column_type: ColumnType) -> str:
        match column_type.kind:
            case Kind.INTEGER:
                return _INTEGERS[column_type.bits or 64]
            case Kind.FLOAT:
                return _FLOATS[column_type.bits or 64]
            case Kind.DECIMAL:
                return _decimal_type(column_type)
            case Kind.TIMESTAMP_TZ if column_type.is_staged_as_text:
                raise PlatformError(
                    f"DuckDB has no type for {column_type}: TIMESTAMPTZ keeps neither offset nor 100 ns. Map the "
                    "column to TIMESTAMPTZ (the instant, cut after microseconds) or to VARCHAR (exact) in "
                    "columnTypeMappings."
                )
            case Kind.TIME | Kind.TIMESTAMP as kind if column_type.is_staged_as_text:
                return f"{_DDL_TYPES[kind]}_NS"
            case kind:
                return _DDL_TYPES[kind]

    def parse_type(self, ddl_type: str) -> ColumnType:
        name, arguments = split_type(ddl_type)
        if name in _DECIMAL_TYPES and len(arguments) <= 2:
            precision, scale = (*arguments, 0)[:2] if arguments else _DEFAULT_DECIMAL
            return decimal(precision, scale)
        if name in _TEXT_TYPES and len(arguments) <= 1:
            return text(arguments[0]) if arguments else TEXT
        if name in _PLAIN_TYPES and not arguments:
            return _PLAIN_TYPES[name]
        raise unknown_type("DuckDB", ddl_type, (*_PLAIN_TYPES, *_TEXT_TYPES, *_DECIMAL_TYPES))

    def same_name(self, first: str, second: str) -> bool:
        return _fold_ascii(first) == _fold_ascii(second)


def _decimal_type(column_type: ColumnType) -> str:
    precision, scale = column_type.precision or MAX_DECIMAL_PRECISION, column_type.scale or 0
    if precision > MAX_DECIMAL_PRECISION or not 0 <= scale <= precision:
        raise PlatformError(
            f"DuckDB has no type for {column_type}: DECIMAL holds {MAX_DECIMAL_PRECISION} digits. "
            "Map the column to VARCHAR, or to a DECIMAL that holds all of its values."
        )
    return f"DECIMAL({precision},{scale})"


def _fold_ascii(name: str) -> str:
    """DuckDB ignores the case of ASCII letters only: "Ä" and "ä" are two columns."""
    return "".join(character.lower() if character.isascii() else character for character in name)
