"""PostgreSQL's SQL for fingerprints. The session must have `SESSION_SETTINGS`: they decide how values print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from migration_assets.platforms.canonical_sql import SCALE_BITS, SMALLEST_NORMAL, CanonicalColumn, CanonicalSQL
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.types import Kind

_TEXTS = ("text", "character varying", "bpchar")
_INTEGERS = ("smallint", "integer", "bigint")


class PostgreSQLSQL(CanonicalSQL):
    """PostgreSQL 13 or newer, with a database in any encoding."""

    dialect: ClassVar[str] = sql.DIALECT
    # A volatile function keeps the planner from writing a hash out once for each lane, and doesn't keep it from
    # using several processes, as OFFSET 0 does.
    fence_column: ClassVar[str] = ", clock_timestamp() AS fence"

    def decimal(self, column: CanonicalColumn) -> str:
        value, scale = column.expression, column.type.scale or 0
        if column.native in _INTEGERS and column.type.kind is Kind.INTEGER:
            return f"{value}::text"
        if column.native == "numeric" and column.native_arguments:
            # The type itself promises the digits.
            return f"{value}::text" if column.native_arguments[1:] == (scale,) else self._rounded(value, scale)
        return self._rounded(f"({value})::text::numeric", scale)

    def _rounded(self, value: str, scale: int) -> str:
        rounded = f"round({value}, {scale})"
        return f"CASE WHEN {value} = {rounded} THEN {rounded}::text ELSE trim_scale({value})::text END"

    def floating(self, column: CanonicalColumn) -> str:
        value = f"({column.expression})::float8"
        scaled = f"({value} * {2.0**SCALE_BITS!r})"
        return (
            f"CASE WHEN {value} = 0 THEN '0' WHEN {value} IN ('NaN', 'Infinity', '-Infinity') THEN {value}::text "
            f"WHEN abs({value}) >= {SMALLEST_NORMAL} THEN {_tuple(value, 0)} "
            f"WHEN {value} IS NOT NULL THEN {_tuple(scaled, SCALE_BITS)} END"
        )

    def characters(self, column: CanonicalColumn) -> str:
        value = column.expression
        if column.type.kind in (Kind.UUID, Kind.JSON):
            return f"({value})::text"
        if column.native in _TEXTS:
            return value if column.native != "bpchar" else f"({value})::text"
        # As it is extracted, where a cast may add to it (the mask of an inet).
        return f"CASE WHEN {value} IS NOT NULL THEN concat({value}, '') END"

    def binary(self, column: CanonicalColumn) -> str:
        return f"encode({column.expression}, 'hex')"

    def date(self, column: CanonicalColumn) -> str:
        return f"({column.expression})::text"

    def time(self, column: CanonicalColumn) -> str:
        return f"({column.expression})::text"

    def timestamp(self, column: CanonicalColumn) -> str:
        cast = "::timestamp" if column.type.kind is Kind.DATE else ""
        return f"({column.expression}){cast}::text"

    def join(self, tokens: Sequence[str]) -> str:
        return f"concat_ws('|', {', '.join(tokens)})"

    def hash(self, text: str) -> str:
        return f"('x' || {self.hex_of_text(text)})::bit(128)"

    def high(self, hashed: str) -> str:
        return f"substring({hashed} FROM 5 FOR 60)::bigint"

    def low(self, hashed: str) -> str:
        return f"substring({hashed} FROM 69 FOR 60)::bigint"

    def hex_of_text(self, text: str) -> str:
        return f"md5(convert_to({text}, 'UTF8'))"

    def text_bytes(self, text: str) -> str:
        return f"octet_length(convert_to({text}, 'UTF8'))"

    def as_text(self, value: str) -> str:
        return f"({value})::text"


def _tuple(value: str, scaled_by: int) -> str:
    """Mantissa and exponent from the bits of a normal number."""
    bits = f"('x' || encode(float8send({value}), 'hex'))::bit(64)::bigint"
    mantissa = f"(({bits} & 4503599627370495) | 4503599627370496)::text"
    exponent = f"((({bits} >> 52) & 2047) - {1075 + scaled_by})::text"
    return f"CASE WHEN {value} < 0 THEN '-' ELSE '' END || {mantissa} || 'p' || {exponent}"
