"""SQL Server's SQL for fingerprints (docs/fingerprint.md says on which servers it was run)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from migration_assets.platforms.base import QueryRunner
from migration_assets.platforms.canonical import LANE_BITS, CanonicalKind
from migration_assets.platforms.canonical_sql import SCALE_BITS, SMALLEST_NORMAL, CanonicalColumn, CanonicalSQL
from migration_assets.platforms.sql_text import where_clause
from migration_assets.platforms.sqlserver import sql
from migration_assets.platforms.sqlserver.types import PADDED
from migration_assets.platforms.types import MAX_DECIMAL_PRECISION, Kind

UTF8_COLLATION = "Latin1_General_100_BIN2_UTF8"
"""Every text can be converted into it, and into nothing else whose bytes other systems have, too."""

UTF8_CODE_PAGE = 65001

_UTF8_SUPPORT = f"SELECT CAST(COLLATIONPROPERTY('{UTF8_COLLATION}', 'CodePage') AS INT) AS code_page"

_MONEY = {"money": (19, 4), "smallmoney": (10, 4)}
"""Printed as what they are, they lose two of their four digits."""

_DECIMALS = ("decimal", "numeric")
_CHARACTERS = ("char", "varchar", "nchar", "nvarchar")
_OF_CODE_PAGES = ("char", "varchar")
_LONGEST_UNITS = 4000

_MOST_TOKENS = 48
"""Of one CONCAT, which takes 254 arguments, and 100 in a PostgreSQL that speaks TDS."""

_LONGEST_SHORT = 1000
"""Declared characters of texts that stay below 8,000 bytes in UTF-8, also with every character escaped. Texts of a
declared length are computed faster than those of VARCHAR(MAX)."""

_MOST_LISTED = 500
"""Values of one IN: the server may run out of resources over many thousands, but not over a table of them."""

_LEAST_HASH = "'00000000-0000-0000-0000-000000000000'"
_NOT_ASCII = "N'%[^' + NCHAR(1) + N'-' + NCHAR(127) + N']%'"

_ONCE = """\
SELECT {columns} FROM (SELECT {texts} FROM {relation}{where}) AS texts
CROSS APPLY (SELECT {aggregates} FROM (VALUES ({hashes}), ({least})) AS of_row({names})) AS hashes"""

_LISTED = "{value} IN (SELECT wanted.value FROM (VALUES {rows}) AS wanted(value))"


def canonical_sql(run: QueryRunner) -> CanonicalSQL:
    """What a server can hash: since SQL Server 2019, and in Azure, every text, before that what is ASCII.

    It is asked for the collation itself: numbers of versions mean other things in Azure and on other servers.
    """
    (found,) = run(_UTF8_SUPPORT)
    has_utf8 = found["code_page"] is not None and int(str(found["code_page"])) == UTF8_CODE_PAGE
    return SQLServerSQL() if has_utf8 else LegacySQLServerSQL()


class SQLServerSQL(CanonicalSQL):
    """SQL Server 2019 and newer, whose texts can be UTF-8.

    Texts of several collations meet in a row text. They have no conflict, because each is collated explicitly, and all
    in the same way.
    """

    dialect: ClassVar[str] = sql.DIALECT
    count: ClassVar[str] = "COUNT_BIG(*)"
    character_function: ClassVar[str] = "CHAR"
    deepest_case: ClassVar[int | None] = sql.DEEPEST_CASE
    collation: ClassVar[str] = UTF8_COLLATION

    # -- queries ------------------------------------------------------------------------------------

    def hashed(self, relation: str, where: str | None, others: Mapping[str, str], texts: Mapping[str, str]) -> str:
        # The optimizer writes the expression of a derived column out wherever the column is used: a hash of which two
        # lanes are taken would be computed twice, with the whole row text in it. It can't see through an aggregate of
        # two rows: the largest of a row's hash and the least one is computed once, and is the hash.
        columns = [f"texts.{name} AS {name}" for name in others] + [f"hashes.{name} AS {name}" for name in texts]
        return sql.fill(
            _ONCE,
            columns=", ".join(columns),
            texts=", ".join(f"{value} AS {name}" for name, value in {**others, **texts}.items()),
            relation=relation,
            where=where_clause(where),
            aggregates=", ".join(f"CAST(MAX(of_row.{name}) AS UNIQUEIDENTIFIER) AS {name}" for name in texts),
            hashes=", ".join(self.hash(f"texts.{name}") for name in texts),
            least=", ".join(f"CAST({_LEAST_HASH} AS UNIQUEIDENTIFIER)" for _ in texts),
            names=", ".join(texts),
        )

    def in_list(self, value: str, wanted: Sequence[str]) -> str:
        if len(wanted) <= _MOST_LISTED:
            return super().in_list(value, wanted)
        return sql.fill(_LISTED, value=value, rows=", ".join(f"({one})" for one in wanted))

    # -- texts --------------------------------------------------------------------------------------

    def fetched(self, column: CanonicalColumn) -> str:
        return f"CAST({_collatable(column)} AS NVARCHAR(MAX))" if _is_text(column) else self.text(column)

    def for_drivers(self, text: str) -> str:
        # Some know nothing of VARCHAR in UTF-8.
        return f"CAST({text} AS NVARCHAR(MAX))"

    def number(self, column: CanonicalColumn) -> str:
        value, digits = column.expression, column.canonical.digits
        if column.native in _MONEY:
            precision, scale = _MONEY[column.native]
        elif column.native in _DECIMALS and len(column.native_arguments) == 2:
            precision, scale = column.native_arguments
        elif column.type.kind is Kind.DECIMAL:
            precision, scale = column.type.precision or MAX_DECIMAL_PRECISION, column.type.scale or 0
        else:
            return self.padded(self.as_text(value), 0, digits)
        # The cast is there for what doesn't print all of its digits; for others there is nothing to do.
        return self.padded(self.as_text(f"CAST({value} AS DECIMAL({precision}, {scale}))"), scale, digits)

    def decimal(self, column: CanonicalColumn) -> str:
        return self.number(column)

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
        size = "8000" if column.native in _CHARACTERS and _is_short(column) else "MAX"
        return f"CAST({_in_unicode(column)} COLLATE {self.collation} AS VARCHAR({size}))"

    def binary(self, column: CanonicalColumn) -> str:
        # An image can't be converted into anything else, nor has a rowversion a style.
        return self.hexadecimal(f"CAST({column.expression} AS VARBINARY(MAX))", "MAX")

    def date(self, column: CanonicalColumn) -> str:
        return f"CONVERT(VARCHAR(10), CAST({column.expression} AS DATE), 23)"

    def time(self, column: CanonicalColumn) -> str:
        # The cast also reads the text that such a column may be extracted as. So do those of `timestamp`.
        return _trimmed(f"CONVERT(VARCHAR(16), CAST({column.expression} AS TIME(7)), 121)", len("HH:MM:SS"))

    def timestamp(self, column: CanonicalColumn) -> str:
        value = column.expression
        if column.type.kind is Kind.TIMESTAMP_TZ:
            value = f"SWITCHOFFSET(CAST({value} AS DATETIMEOFFSET(7)), '+00:00')"
        elif column.native == "datetime":
            # It counts 1/300 s; cast to more digits it would show thirds.
            value = f"CAST({value} AS DATETIME2(3))"
        return _trimmed(f"CONVERT(VARCHAR(27), CAST({value} AS DATETIME2(7)), 121)", len("YYYY-MM-DD HH:MM:SS"))

    # -- pieces -------------------------------------------------------------------------------------

    def concatenated(self, parts: Sequence[str]) -> str:
        return f"({' + '.join(parts)})" if len(parts) > 1 else parts[0]

    def join(self, tokens: Sequence[str]) -> str:
        if len(tokens) > _MOST_TOKENS:
            groups = [tokens[start : start + _MOST_TOKENS] for start in range(0, len(tokens), _MOST_TOKENS)]
            return self.join([self.join(group) for group in groups])
        # Texts of declared lengths are cut at 8,000 bytes when they are joined, unless one is without limit.
        parts = [part for token in tokens for part in ("'|'", token)][1:]
        return f"CONCAT(CAST('' AS VARCHAR(MAX)), {', '.join(parts)})"

    def or_else(self, text: str, other: str) -> str:
        # COALESCE is a CASE, which computes a text twice. ISNULL has the type of the text, which always has room.
        return f"ISNULL({text}, {other})"

    def whole(self, value: int) -> str:
        # Beyond 32 bits, a literal is a decimal, and so is what is computed with it.
        return super().whole(value) if abs(value) < 2**31 else _bigint(value)

    def sum_of(self, lane: str) -> str:
        return f"SUM(CAST({lane} AS DECIMAL(38, 0)))"

    def modulo(self, value: str, width: int) -> str:
        return f"({value} % {self.whole(width)})"

    def without_zeros(self, text: str) -> str:
        # RTRIM takes blanks only.
        return f"REPLACE(RTRIM(REPLACE({text}, '0', ' ')), ' ', '0')"

    def length(self, text: str) -> str:
        return f"LEN({text})"

    def as_text(self, value: str) -> str:
        return f"CONVERT(VARCHAR(64), {value})"

    def hash(self, text: str) -> str:
        # As 16 bytes of which there is a largest one.
        return f"CAST(HASHBYTES('MD5', {text}) AS UNIQUEIDENTIFIER)"

    def high(self, hashed: str) -> str:
        return _lane(hashed, 1)

    def low(self, hashed: str) -> str:
        return _lane(hashed, 9)

    def hex_of_text(self, text: str) -> str:
        return self.hexadecimal(f"HASHBYTES('MD5', {text})", "32")

    def hexadecimal(self, value: str, size: str) -> str:
        """Bytes as lower-case digits, of which there are at most `size`."""
        return f"LOWER(CONVERT(VARCHAR({size}), {value}, 2))"

    def text_bytes(self, text: str) -> str:
        return f"DATALENGTH({text})"


class LegacySQLServerSQL(SQLServerSQL):
    """SQL Server 2016 and 2017, which have no UTF-8: rows of ASCII texts are hashed there, the others by the worker."""

    collation: ClassVar[str] = "Latin1_General_BIN2"

    def hashable(self, columns: Sequence[CanonicalColumn]) -> str | None:
        # Tried in Unicode: a conversion between code pages makes question marks of what it can't have. The pattern
        # leaves NUL out, which ends it, so that the worker has rows with that, too.
        texts = [
            f"ISNULL(CAST({column.expression} AS NVARCHAR(MAX)), N'') COLLATE {self.collation} NOT LIKE {_NOT_ASCII}"
            for column in columns
            if _is_text(column)
        ]
        return " AND ".join(dict.fromkeys(texts)) or None


def _is_text(column: CanonicalColumn) -> bool:
    return column.canonical.kind in (CanonicalKind.TEXT, CanonicalKind.JSON) and column.type.kind is not Kind.UUID


def _is_short(column: CanonicalColumn) -> bool:
    return 0 < next(iter(column.native_arguments), 0) <= _LONGEST_SHORT


def _collatable(column: CanonicalColumn) -> str:
    """A text without the blanks that pad it, of a type that takes a collation."""
    if column.native in PADDED:
        return f"RTRIM({column.expression})"
    return column.expression if column.native in _CHARACTERS else f"CAST({column.expression} AS NVARCHAR(MAX))"


def _in_unicode(column: CanonicalColumn) -> str:
    """A text in UTF-16: of a code page, COLLATE keeps the declared bytes, and cuts what has more of them in UTF-8."""
    text = _collatable(column)
    if column.native not in _OF_CODE_PAGES:
        return text
    length = next(iter(column.native_arguments), 0)
    return f"CAST({text} AS NVARCHAR({length if 0 < length <= _LONGEST_UNITS else 'MAX'}))"


def _bigint(value: int) -> str:
    return f"CAST({value} AS BIGINT)"


def _lane(hashed: str, first: int) -> str:
    half = f"CONVERT(BIGINT, SUBSTRING(CAST({hashed} AS BINARY(16)), {first}, 8))"
    return f"({half} & {_bigint(2**LANE_BITS - 1)})"


def _trimmed(text: str, whole: int) -> str:
    """A time without zeros at the end of the fraction, whose point goes with the last digit."""
    fraction = f"SUBSTRING({text}, {whole + 2}, 7)"
    digits = f"REPLACE(RTRIM(REPLACE({fraction}, '0', ' ')), ' ', '0')"
    return f"LEFT({text}, {whole}) + CASE WHEN REPLACE({fraction}, '0', '') = '' THEN '' ELSE '.' + {digits} END"


def _tuple(value: str, scaled_by: int) -> str:
    """Mantissa and exponent from the bits of a normal number; there are no others than finite ones."""
    bits = f"CONVERT(BIGINT, CONVERT(BINARY(8), {value}))"
    mantissa = f"CONVERT(VARCHAR(20), ({bits} & {_bigint(2**52 - 1)}) | {_bigint(2**52)})"
    exponent = f"CONVERT(VARCHAR(20), ({bits} & {_bigint(2**63 - 1)}) / {_bigint(2**52)} - {1075 + scaled_by})"
    return f"CASE WHEN {value} < 0 THEN '-' ELSE '' END + {mantissa} + 'p' + {exponent}"
