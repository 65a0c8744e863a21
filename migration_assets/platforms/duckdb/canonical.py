"""DuckDB's SQL for fingerprints. The session's time zone must be UTC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from migration_assets.platforms.canonical_sql import SCALE_BITS, SMALLEST_NORMAL, CanonicalColumn, CanonicalSQL
from migration_assets.platforms.types import Kind


class DuckDBSQL(CanonicalSQL):
    """DuckDB 1 or newer."""

    dialect: ClassVar[str] = "duckdb"

    def decimal(self, column: CanonicalColumn) -> str:
        value = column.expression
        text = f"CAST({value} AS VARCHAR)"
        if column.type.kind is Kind.DECIMAL and column.type.precision == column.type.scale:
            # A number without room before the point is printed without the zero there.
            return f"CASE WHEN {value} < 0 THEN '-0' || SUBSTRING({text}, 2) ELSE '0' || {text} END"
        return text

    def floating(self, column: CanonicalColumn) -> str:
        value = f"CAST({column.expression} AS DOUBLE)"
        scaled = f"({value} * {2.0**SCALE_BITS!r})"
        return (
            f"CASE WHEN {value} = 0 THEN '0' WHEN isnan({value}) THEN 'NaN' "
            f"WHEN isinf({value}) THEN CASE WHEN {value} > 0 THEN 'Infinity' ELSE '-Infinity' END "
            f"WHEN abs({value}) >= {SMALLEST_NORMAL} THEN {_tuple(value, 0)} "
            f"WHEN {value} IS NOT NULL THEN {_tuple(scaled, SCALE_BITS)} END"
        )

    def characters(self, column: CanonicalColumn) -> str:
        if column.type.kind is Kind.TEXT:
            return column.expression
        return f"CAST({column.expression} AS VARCHAR)"

    def binary(self, column: CanonicalColumn) -> str:
        return f"lower(hex({column.expression}))"

    def date(self, column: CanonicalColumn) -> str:
        text = f"CAST({column.expression} AS VARCHAR)"
        return _with_era(text, f"{column.expression} < DATE '0001-01-01' AND isfinite({column.expression})")

    def time(self, column: CanonicalColumn) -> str:
        return f"CAST({column.expression} AS VARCHAR)"

    def timestamp(self, column: CanonicalColumn) -> str:
        value = column.expression
        if column.type.kind is Kind.TIMESTAMP_TZ:
            value = f"({value} AT TIME ZONE 'UTC')"
        elif column.type.kind is Kind.DATE:
            value = f"CAST({value} AS TIMESTAMP)"
        # By the text: a TIMESTAMP_NS can't be compared with the first year, which it doesn't reach.
        text = f"CAST({value} AS VARCHAR)"
        return _with_era(text, f"{text} LIKE '%(BC)%'")

    def join(self, tokens: Sequence[str]) -> str:
        return f"concat_ws('|', {', '.join(tokens)})"

    def hash(self, text: str) -> str:
        return self.hex_of_text(text)

    def high(self, hashed: str) -> str:
        return f"CAST('0x' || SUBSTRING({hashed}, 2, 15) AS BIGINT)"

    def low(self, hashed: str) -> str:
        return f"CAST('0x' || SUBSTRING({hashed}, 18, 15) AS BIGINT)"

    def hex_of_text(self, text: str) -> str:
        return f"md5({text})"

    def text_bytes(self, text: str) -> str:
        return f"strlen({text})"


def _with_era(text: str, before: str) -> str:
    return f"CASE WHEN {before} THEN replace({text}, ' (BC)', '') || ' BC' ELSE {text} END"


def _tuple(value: str, scaled_by: int) -> str:
    """Mantissa and exponent from the bits of a normal number."""
    bits = f"CAST(CAST({value} AS BIT) AS BIGINT)"
    mantissa = f"CAST(({bits} & 4503599627370495) | 4503599627370496 AS VARCHAR)"
    exponent = f"CAST((({bits} >> 52) & 2047) - {1075 + scaled_by} AS VARCHAR)"
    return f"CASE WHEN {value} < 0 THEN '-' ELSE '' END || {mantissa} || 'p' || {exponent}"
