"""PostgreSQL's SQL for fingerprints. The session must have `SESSION_SETTINGS`: they decide how values print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from migration_assets.platforms.canonical import CanonicalKind
from migration_assets.platforms.canonical_sql import SCALE_BITS, SMALLEST_NORMAL, CanonicalColumn, CanonicalSQL
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.types import Kind

_MOST_ARGUMENTS = 100
"""What a function takes in PostgreSQL, unless it was built otherwise."""

_TEXTS = ("text", "character varying", "bpchar")
_INTEGERS = ("smallint", "integer", "bigint")


class PostgreSQLSQL(CanonicalSQL):
    """PostgreSQL 13 or newer, with a database in any encoding."""

    dialect: ClassVar[str] = sql.DIALECT
    # A volatile function keeps the planner from writing a hash out once for each lane, and doesn't keep it from
    # using several processes, as OFFSET 0 does.
    fence_column: ClassVar[str] = ", clock_timestamp() AS fence"

    def __init__(self, *, is_utf8: bool = True) -> None:
        """Knows whether texts of the server are hashed as they are, or must be converted to UTF-8 first."""
        self._is_utf8 = is_utf8

    def row_text(self, columns: Sequence[CanonicalColumn]) -> str:
        # concat_ws writes values itself: casts of those that are never NULL would cost a sixth of the query.
        natural = [None if column.nullable else self._natural(column) for column in columns]
        return self.join([value or self.token(column) for value, column in zip(natural, columns, strict=True)])

    def _natural(self, column: CanonicalColumn) -> str | None:
        """The value itself, where PostgreSQL prints it as its canonical text."""
        kind, value = column.canonical.kind, column.expression
        if kind in (CanonicalKind.DATE, CanonicalKind.TIME):
            return value
        if kind is CanonicalKind.TIMESTAMP:
            return value if column.type.kind is not Kind.DATE else f"({value})::timestamp"
        if kind is CanonicalKind.NUMBER and self._has_digits(column, column.canonical.digits):
            return value
        return None

    def _has_digits(self, column: CanonicalColumn, digits: int) -> bool:
        """Whether the column's type itself promises that many digits after the point."""
        if column.native in _INTEGERS:
            return column.type.kind is Kind.INTEGER and digits == 0
        is_decimal = column.native == "numeric" and column.type.kind is Kind.DECIMAL
        return is_decimal and column.native_arguments[1:] == (digits,)

    def decimal(self, column: CanonicalColumn) -> str:
        value, scale = column.expression, column.type.scale or 0
        if self._has_digits(column, scale):
            return f"{value}::text"
        if column.native == "numeric" and column.native_arguments:
            return self._rounded(value, scale)
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
        return f"({self._natural(column)})::text"

    def time(self, column: CanonicalColumn) -> str:
        return f"({self._natural(column)})::text"

    def timestamp(self, column: CanonicalColumn) -> str:
        return f"({self._natural(column)})::text"

    def join(self, tokens: Sequence[str]) -> str:
        most = _MOST_ARGUMENTS - 1  # Beside the bar itself.
        if len(tokens) > most:
            return self.join([self.join(tokens[start : start + most]) for start in range(0, len(tokens), most)])
        return f"concat_ws('|', {', '.join(tokens)})"

    def escaped(self, text: str) -> str:
        # Before version 18 replace() refuses texts whose collation is nondeterministic.
        return super().escaped(f'({text}) COLLATE "C"')

    def hash(self, text: str) -> str:
        return f"('x' || {self.hex_of_text(text)})::bit(128)"

    def high(self, hashed: str) -> str:
        return f"substring({hashed} FROM 5 FOR 60)::bigint"

    def low(self, hashed: str) -> str:
        return f"substring({hashed} FROM 69 FOR 60)::bigint"

    def hex_of_text(self, text: str) -> str:
        return f"md5({text})" if self._is_utf8 else f"md5(convert_to({text}, 'UTF8'))"

    def text_bytes(self, text: str) -> str:
        return f"octet_length({text})" if self._is_utf8 else f"octet_length(convert_to({text}, 'UTF8'))"

    def as_text(self, value: str) -> str:
        return f"({value})::text"


def _tuple(value: str, scaled_by: int) -> str:
    """Mantissa and exponent from the bits of a normal number."""
    bits = f"('x' || encode(float8send({value}), 'hex'))::bit(64)::bigint"
    mantissa = f"(({bits} & 4503599627370495) | 4503599627370496)::text"
    exponent = f"((({bits} >> 52) & 2047) - {1075 + scaled_by})::text"
    return f"CASE WHEN {value} < 0 THEN '-' ELSE '' END || {mantissa} || 'p' || {exponent}"
