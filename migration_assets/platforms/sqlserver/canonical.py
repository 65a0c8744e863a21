"""SQL Server's SQL for fingerprints. Not run against a server yet: it must pass the golden vectors first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from migration_assets.platforms.canonical import LANE_BITS, CanonicalKind
from migration_assets.platforms.canonical_sql import SCALE_BITS, SMALLEST_NORMAL, CanonicalColumn, CanonicalSQL
from migration_assets.platforms.sqlserver.sql import DEEPEST_CASE
from migration_assets.platforms.types import Kind

_DECIMALS = {"money": "DECIMAL(19, 4)", "smallmoney": "DECIMAL(10, 4)"}
"""Printed as what they are, they lose two of their four digits."""

_PADDED = ("char", "nchar")
_UNCOLLATED = ("text", "ntext", "xml")

LONGEST_HASHED = 8000
"""Bytes that HASHBYTES takes before SQL Server 2016."""


_NOT_ASCII = "N'%[^' + NCHAR(1) + N'-' + NCHAR(127) + N']%'"


class SQLServerSQL(CanonicalSQL):
    """SQL Server 2019 and newer, whose texts can be UTF-8."""

    dialect: ClassVar[str] = "tsql"
    count: ClassVar[str] = "COUNT_BIG(*)"
    character_function: ClassVar[str] = "CHAR"
    deepest_case: ClassVar[int | None] = DEEPEST_CASE

    def boolean(self, value: str) -> str:
        return f"({value} = 1)"

    def decimal(self, column: CanonicalColumn) -> str:
        value = column.expression
        if column.native in _DECIMALS:
            value = f"CAST({value} AS {_DECIMALS[column.native]})"
        return f"CONVERT(VARCHAR(64), {value})"

    def floating(self, column: CanonicalColumn) -> str:
        value = f"CAST({column.expression} AS FLOAT)"
        scaled = f"({value} * {2.0**SCALE_BITS!r})"
        return (
            f"CASE WHEN {value} = 0 THEN '0' WHEN ABS({value}) >= {SMALLEST_NORMAL} THEN {_tuple(value, 0)} "
            f"WHEN {value} IS NOT NULL THEN {_tuple(scaled, SCALE_BITS)} END"
        )

    def characters(self, column: CanonicalColumn) -> str:
        if column.type.kind is Kind.UUID:
            return f"LOWER(CONVERT(VARCHAR(36), {column.expression}))"
        return f"CAST({_collatable(column)} COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(MAX))"

    def binary(self, column: CanonicalColumn) -> str:
        return f"LOWER(CONVERT(VARCHAR(MAX), {column.expression}, 2))"

    def date(self, column: CanonicalColumn) -> str:
        return f"CONVERT(VARCHAR(10), {column.expression}, 23)"

    def time(self, column: CanonicalColumn) -> str:
        return _trimmed(f"CONVERT(VARCHAR(16), CAST({column.expression} AS TIME(7)), 121)", len("HH:MM:SS"))

    def timestamp(self, column: CanonicalColumn) -> str:
        value = column.expression
        if column.type.kind is Kind.TIMESTAMP_TZ:
            value = f"SWITCHOFFSET({value}, '+00:00')"
        # A datetime counts 1/300 s; cast to more digits it would show thirds.
        value = f"CAST({value} AS DATETIME2(3))" if column.native == "datetime" else f"CAST({value} AS DATETIME2(7))"
        return _trimmed(f"CONVERT(VARCHAR(27), CAST({value} AS DATETIME2(7)), 121)", len("YYYY-MM-DD HH:MM:SS"))

    def concatenated(self, parts: Sequence[str]) -> str:
        return f"({' + '.join(parts)})" if len(parts) > 1 else parts[0]

    def join(self, tokens: Sequence[str]) -> str:
        # Texts of declared lengths are cut at 8,000 bytes when they are added.
        parts = [part for token in tokens for part in ("'|'", token)][1:]
        return self.concatenated(["CAST('' AS VARCHAR(MAX))", *parts])

    def sum_of(self, lane: str) -> str:
        return f"SUM(CAST({lane} AS DECIMAL(38, 0)))"

    def modulo(self, value: str, width: int) -> str:
        return f"({value} % {width})"

    def without_zeros(self, text: str) -> str:
        return f"REPLACE(RTRIM(REPLACE({text}, '0', ' ')), ' ', '0')"

    def length(self, text: str) -> str:
        return f"LEN({text})"

    def as_text(self, value: str) -> str:
        return f"CONVERT(VARCHAR(64), {value})"

    def hash(self, text: str) -> str:
        return f"HASHBYTES('MD5', {text})"

    def high(self, hashed: str) -> str:
        return f"(CONVERT(BIGINT, SUBSTRING({hashed}, 1, 8)) & {_bigint(2**LANE_BITS - 1)})"

    def low(self, hashed: str) -> str:
        return f"(CONVERT(BIGINT, SUBSTRING({hashed}, 9, 8)) & {_bigint(2**LANE_BITS - 1)})"

    def hex_of_text(self, text: str) -> str:
        return f"LOWER(CONVERT(VARCHAR(32), HASHBYTES('MD5', {text}), 2))"

    def text_bytes(self, text: str) -> str:
        return f"DATALENGTH({text})"


class LegacySQLServerSQL(SQLServerSQL):
    """SQL Server before 2019: rows of ASCII texts are hashed there, the others by the worker."""

    def characters(self, column: CanonicalColumn) -> str:
        if column.type.kind is Kind.UUID:
            return super().characters(column)
        return f"CAST({_collatable(column)} COLLATE Latin1_General_BIN2 AS VARCHAR(MAX))"

    def is_hashable(self, columns: Sequence[CanonicalColumn]) -> str:
        """A condition for the rows whose hash the server can compute; sums of both kinds are added."""
        texts = [
            f"ISNULL({_collatable(column)}, N'') COLLATE Latin1_General_BIN2 NOT LIKE {_NOT_ASCII}"
            for column in columns
            if column.canonical.kind in (CanonicalKind.TEXT, CanonicalKind.JSON) and column.type.kind is not Kind.UUID
        ]
        return " AND ".join([*texts, f"DATALENGTH({self.row_text(columns)}) <= {LONGEST_HASHED}"])


def _collatable(column: CanonicalColumn) -> str:
    """A text without the blanks that pad it, of a type that takes a collation."""
    if column.native in _UNCOLLATED:
        return f"CAST({column.expression} AS NVARCHAR(MAX))"
    return f"RTRIM({column.expression})" if column.native in _PADDED else column.expression


def _bigint(value: int) -> str:
    """A literal: those beyond 32 bits are decimals otherwise, which `&` refuses and whose division keeps a fraction."""
    return f"CAST({value} AS BIGINT)"


def _trimmed(text: str, whole: int) -> str:
    """Without zeros at the end of the fraction; RTRIM takes blanks only."""
    fraction = f"SUBSTRING({text}, {whole + 2}, 7)"
    digits = f"REPLACE(RTRIM(REPLACE({fraction}, '0', ' ')), ' ', '0')"
    return f"CASE WHEN {fraction} = '0000000' THEN LEFT({text}, {whole}) ELSE LEFT({text}, {whole + 1}) + {digits} END"


def _tuple(value: str, scaled_by: int) -> str:
    """Mantissa and exponent from the bits of a normal number; there are no others than finite ones."""
    bits = f"CONVERT(BIGINT, CONVERT(BINARY(8), {value}))"
    mantissa = f"CONVERT(VARCHAR(20), ({bits} & {_bigint(2**52 - 1)}) | {_bigint(2**52)})"
    exponent = f"CONVERT(VARCHAR(20), ({bits} & {_bigint(2**63 - 1)}) / {_bigint(2**52)} - {1075 + scaled_by})"
    return f"CASE WHEN {value} < 0 THEN '-' ELSE '' END + {mantissa} + 'p' + {exponent}"
