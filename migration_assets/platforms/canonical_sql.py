"""The fingerprint queries that every platform shares, and the pieces that each spells in its own SQL.

A query reads a table once: the row text of every row is hashed, and the two lanes of the hash are summed by bucket.
A bucket is a range of a numeric key, which later queries find by its index, or else a prefix of a hash.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sqlglot import exp

from migration_assets.platforms.canonical import (
    HASH_MARK,
    LONGEST_TEXT,
    NULL_TOKEN,
    CanonicalKind,
    CanonicalType,
)
from migration_assets.platforms.types import ColumnType, Kind

_BYTES_PER_CHARACTER = 4
SMALLEST_NORMAL = "2.2250738585072014e-308"
"""The smallest number of 64 bits whose mantissa has all of its digits."""

SCALE_BITS = 200
"""Numbers near zero are multiplied by 2 to this power: their digits can't be had otherwise."""

_BUCKETS = """\
SELECT {groups}, {count} AS row_count, {high} AS high, {low} AS low
FROM (SELECT {hashed} FROM {relation}{where}) AS hashed
GROUP BY {by}"""
_COLUMNS = """\
SELECT {count} AS row_count, {sums}
FROM (SELECT {hashed} FROM {relation}{where}) AS hashed"""
_ROWS = "SELECT {outputs} FROM {relation}{where}"
_BOUNDS = "SELECT MIN({key}) AS low, MAX({key}) AS high FROM {relation}{where}"


@dataclass(frozen=True)
class CanonicalColumn:
    """A column as one side has it.

    Attributes:
        name: what it is called in the comparison.
        expression: SQL of its value in the side's dialect.
        type: the type of the expression's value.
        canonical: what it is compared as.
        native: the bare name of the type of the column that is read; empty when the expression is of `type`.
        native_arguments: its precision and scale, where it has them.
    """

    name: str
    expression: str
    type: ColumnType
    canonical: CanonicalType
    nullable: bool = True
    native: str = ""
    native_arguments: tuple[int, ...] = ()


@dataclass(frozen=True)
class RangeBuckets:
    """Buckets of `width` consecutive whole numbers of one key column, counted from `origin`."""

    column: CanonicalColumn
    origin: int
    width: int


@dataclass(frozen=True)
class HashBuckets:
    """Buckets by the first hexadecimal digits of the hash of some columns; of the whole row, when there are none."""

    columns: tuple[CanonicalColumn, ...]
    digits: int


@dataclass(frozen=True)
class ListedBuckets:
    """Buckets that the caller numbers.

    Attributes:
        expression: SQL of a row's bucket, such as `CanonicalSQL.number_of` makes it.
    """

    expression: str


Buckets = RangeBuckets | HashBuckets

Bucket = int | str | None
"""An offset from the origin of ranges, or hexadecimal digits; None holds the rows without a key."""

HASH_DIGITS = 32
"""All hexadecimal digits of a hash."""

MOST_RANGES = 200
"""Ranges that a condition names one by one."""


class CanonicalSQL(ABC):
    """One platform's SQL for canonical texts, row hashes and their sums."""

    dialect: ClassVar[str]
    keeps_json_text: ClassVar[bool] = True
    """Whether JSON comes back as the text that was stored, so that equal texts prove equal values."""

    # -- queries ------------------------------------------------------------------------------------

    def bucket_query(
        self,
        relation: str,
        columns: Sequence[CanonicalColumn],
        buckets: Buckets | ListedBuckets,
        where: str | None,
        mark: str | None = None,
    ) -> str:
        """SQL for `bucket`, `row_count`, `high`, `low`: the fingerprint of every bucket.

        Args:
            mark: a condition that divides every bucket: `marked` is 1 for its rows that meet it, and 0 for the others.
        """
        groups = {"bucket": self.bucket(columns, buckets)}
        if mark is not None:
            groups["marked"] = f"CASE WHEN {mark} THEN 1 ELSE 0 END"
        grouped = ", ".join(f"{value} AS {name}" for name, value in groups.items())
        return _BUCKETS.format_map(
            {
                "groups": ", ".join(f"{name} AS {name}" for name in groups),
                "by": ", ".join(groups),
                "count": self.count,
                "high": self.sum_of(self.high("h")),
                "low": self.sum_of(self.low("h")),
                "hashed": f"{grouped}, {self.hash(self.row_text(columns))} AS h{self.fence_column}",
                "relation": relation,
                "where": _where(where),
            }
        )

    def total_query(self, relation: str, columns: Sequence[CanonicalColumn], where: str | None) -> str:
        """SQL for `row_count`, `high`, `low` of all rows."""
        sums = f"{self.sum_of(self.high('h'))} AS high, {self.sum_of(self.low('h'))} AS low"
        hashed = f"{self.hash(self.row_text(columns))} AS h{self.fence_column}"
        return _COLUMNS.format_map(
            {"count": self.count, "sums": sums, "hashed": hashed, "relation": relation, "where": _where(where)}
        )

    def column_query(
        self,
        relation: str,
        columns: Sequence[CanonicalColumn],
        key: Sequence[CanonicalColumn],
        where: str | None,
    ) -> str:
        """SQL for `row_count` and, per column, `high_<n>` and `low_<n>`: the column's fingerprint with its key."""
        prefix = [self.token(column) for column in key]
        hashes = [f"{self.hash(self.join([*prefix, self.token(column)]))} AS h{n}" for n, column in enumerate(columns)]
        sums = [
            f"{self.sum_of(lane(f'h{n}'))} AS {name}_{n}"
            for n in range(len(columns))
            for name, lane in (("high", self.high), ("low", self.low))
        ]
        return _COLUMNS.format_map(
            {
                "count": self.count,
                "sums": ", ".join(sums),
                "hashed": ", ".join(hashes) + self.fence_column,
                "relation": relation,
                "where": _where(where),
            }
        )

    def rows_query(self, relation: str, columns: Sequence[CanonicalColumn], where: str | None, bucket: str) -> str:
        """SQL for `bucket`, `c0`, `c1`, …: the canonical texts of the rows, NULL for NULL."""
        outputs = ", ".join(
            [f"{bucket} AS bucket", *(f"{self.text(column)} AS c{n}" for n, column in enumerate(columns))]
        )
        return _ROWS.format_map({"outputs": outputs, "relation": relation, "where": _where(where)})

    def keys_query(
        self, relation: str, key: Sequence[CanonicalColumn], where: str | None, *, with_values: bool = False
    ) -> str:
        """SQL for `row_text`, that of the key alone, and if wanted `k0`, `k1`, …: the key's values as they stand."""
        values = [f"{column.expression} AS k{n}" for n, column in enumerate(key)] if with_values else []
        outputs = ", ".join([f"{self.row_text(key)} AS row_text", *values])
        return _ROWS.format_map({"outputs": outputs, "relation": relation, "where": _where(where)})

    def bounds_query(self, relation: str, key: CanonicalColumn, where: str | None = None) -> str:
        """SQL for `low` and `high`, the smallest and the largest value of a key column."""
        return _BOUNDS.format_map({"key": key.expression, "relation": relation, "where": _where(where)})

    def bucket(self, columns: Sequence[CanonicalColumn], buckets: Buckets | ListedBuckets) -> str:
        """SQL of a row's bucket: the offset of its range, or digits of a hash; NULL for a NULL key."""
        if isinstance(buckets, ListedBuckets):
            return buckets.expression
        if isinstance(buckets, HashBuckets):
            return self.hex_digits(self.row_text(buckets.columns or columns), buckets.digits)
        offset = f"({self.as_bigint(buckets.column.expression)} - {_number(buckets.origin)})"
        return f"({offset} - {self.modulo(offset, buckets.width)})"

    def in_buckets(self, columns: Sequence[CanonicalColumn], buckets: Buckets, wanted: Collection[Bucket]) -> str:
        """A condition for the rows of some buckets: by ranges of the key, which an index finds, while they are few."""
        present = [bucket for bucket in wanted if bucket is not None]
        found = self.bucket(columns, buckets)
        conditions = [f"{found} IS NULL"] if None in wanted else []
        if isinstance(buckets, HashBuckets):
            conditions += [self._in(found, [self.literal(str(bucket)) for bucket in sorted(present, key=str)])]
        elif present:
            key, offsets = buckets.column.expression, sorted(int(bucket) for bucket in present)
            ranges = _ranges(offsets, buckets)
            if len(ranges) <= MOST_RANGES:
                conditions += [f"({key} >= {_number(low)} AND {key} < {_number(high)})" for low, high in ranges]
            else:
                between = f"{key} >= {_number(ranges[0][0])} AND {key} < {_number(ranges[-1][1])}"
                conditions += [f"({between} AND {self._in(found, [_number(offset) for offset in offsets])})"]
        return " OR ".join(conditions) or self.never

    def number_of(self, conditions: Sequence[str], absent: str | None) -> str:
        """SQL of the number of the range that a row is in, as the function of this name has it."""
        return number_of(conditions, absent, self.deepest_case)

    def _in(self, value: str, wanted: Sequence[str]) -> str:
        return f"{value} IN ({', '.join(wanted)})" if wanted else self.never

    # -- texts --------------------------------------------------------------------------------------

    def row_text(self, columns: Sequence[CanonicalColumn]) -> str:
        """SQL of the tokens of a row, joined."""
        return self.join([self.token(column) for column in columns])

    def token(self, column: CanonicalColumn) -> str:
        """SQL of a value in the row text; never NULL."""
        text = self.text(column)
        if column.canonical.kind in (CanonicalKind.TEXT, CanonicalKind.JSON):
            text = self._hashed_if_long(column, text, text if column.type.kind is Kind.UUID else self.escaped(text))
        elif column.canonical.kind is CanonicalKind.BINARY:
            text = self._hashed_if_long(column, text, text)
        if not column.nullable:
            return text
        return f"COALESCE({text}, {self.literal(NULL_TOKEN)})"

    def _hashed_if_long(self, column: CanonicalColumn, text: str, short: str) -> str:
        if column.type.kind is Kind.UUID or _longest(column.type) <= LONGEST_TEXT:
            return short
        hashed = self.concatenated([self.literal(HASH_MARK), self.hex_of_text(text)])
        return f"CASE WHEN {self.text_bytes(text)} > {LONGEST_TEXT} THEN {hashed} ELSE {short} END"

    def text(self, column: CanonicalColumn) -> str:
        """SQL of the canonical text; NULL for NULL."""
        return {
            CanonicalKind.NUMBER: self.number,
            CanonicalKind.FLOAT: self.floating,
            CanonicalKind.TEXT: self.characters,
            CanonicalKind.BINARY: self.binary,
            CanonicalKind.DATE: self.date,
            CanonicalKind.TIME: self.time,
            CanonicalKind.TIMESTAMP: self.timestamp,
            CanonicalKind.JSON: self.json,
        }[column.canonical.kind](column)

    def number(self, column: CanonicalColumn) -> str:
        """A decimal with exactly the canonical type's digits."""
        if column.type.kind is Kind.BOOLEAN:
            value = self.boolean(column.expression)
            text, scale = f"CASE WHEN {value} THEN '1' WHEN NOT {value} THEN '0' END", 0
        else:
            text, scale = self.decimal(column), column.type.scale or 0
        return self.padded(text, scale, column.canonical.digits)

    def padded(self, text: str, scale: int, digits: int) -> str:
        """A decimal's text with more or fewer zeros behind it: nothing is computed that could overflow."""
        if digits == scale:
            return text
        if digits < scale:
            # Only zeros are cut off: a number that has more digits than it should keeps them, and differs.
            zeros = "0" * (scale - digits) if digits else "." + "0" * scale
            cut = f"LEFT({text}, {self.length(text)} - {len(zeros)})"
            return f"CASE WHEN RIGHT({text}, {len(zeros)}) = '{zeros}' THEN {cut} ELSE {self.without_zeros(text)} END"
        zeros = "0" * (digits - scale)
        return self.concatenated([text, f"'{zeros}'" if scale else f"'.{zeros}'"])

    def boolean(self, value: str) -> str:
        """A condition that is true for true, and NULL for NULL."""
        return value

    def json(self, column: CanonicalColumn) -> str:
        """JSON as the platform prints it; the worker compares what differs by its meaning."""
        return self.characters(column)

    @abstractmethod
    def decimal(self, column: CanonicalColumn) -> str:
        """An INTEGER or DECIMAL with as many digits after the point as its type has."""

    @abstractmethod
    def floating(self, column: CanonicalColumn) -> str:
        """A binary fraction as `<mantissa>p<exponent>`."""

    @abstractmethod
    def characters(self, column: CanonicalColumn) -> str:
        """A text as it is; a UUID in lower case."""

    @abstractmethod
    def binary(self, column: CanonicalColumn) -> str:
        """Bytes in lower-case hexadecimal."""

    @abstractmethod
    def date(self, column: CanonicalColumn) -> str:
        """`YYYY-MM-DD`."""

    @abstractmethod
    def time(self, column: CanonicalColumn) -> str:
        """`HH:MM:SS`, then the fraction without zeros at its end."""

    @abstractmethod
    def timestamp(self, column: CanonicalColumn) -> str:
        """`YYYY-MM-DD HH:MM:SS`, then the fraction without zeros at its end; of a DATE, at midnight."""

    # -- pieces -------------------------------------------------------------------------------------

    fence_column: ClassVar[str] = ""
    """Added to what is hashed, so that the planner computes every hash once."""

    count: ClassVar[str] = "COUNT(*)"
    never: ClassVar[str] = "1 = 0"
    character_function: ClassVar[str] = "CHR"
    deepest_case: ClassVar[int | None] = None
    """How many CASE may stand within each other; None is any number."""

    def literal(self, text: str) -> str:
        """A string literal. Backslashes and bars are written by their codes: dialects differ in escaping them."""
        parts: list[str] = []
        plain = ""
        for character in text:
            if character == "\\":
                parts += [exp.Literal.string(plain).sql(self.dialect)] if plain else []
                parts.append(f"{self.character_function}(92)")
                plain = ""
            else:
                plain += character
        if plain or not parts:
            parts.append(exp.Literal.string(plain).sql(self.dialect))
        return self.concatenated(parts)

    def escaped(self, text: str) -> str:
        """Backslash and bar escaped, so that no two rows have one text."""
        backslash = self.literal("\\")
        doubled = f"REPLACE({text}, {backslash}, {self.literal(chr(92) * 2)})"
        return f"REPLACE({doubled}, '|', {self.literal(chr(92) + 'p')})"

    def concatenated(self, parts: Sequence[str]) -> str:
        """Texts one after the other; NULL when one is."""
        return f"({' || '.join(parts)})" if len(parts) > 1 else parts[0]

    def join(self, tokens: Sequence[str]) -> str:
        """Tokens with a bar between them."""
        return self.concatenated([part for token in tokens for part in ("'|'", token)][1:])

    def sum_of(self, lane: str) -> str:
        """The exact sum of a lane, as a number of up to 38 digits."""
        return f"SUM({lane})"

    def modulo(self, value: str, width: int) -> str:
        """The remainder, with the sign of the value."""
        return f"MOD({value}, {width})"

    def without_zeros(self, text: str) -> str:
        """A text without the zeros at its end."""
        return f"RTRIM({text}, '0')"

    def without_fraction_zeros(self, time: str) -> str:
        """A time with its fraction, without the zeros at its end, nor the point when nothing else is left."""
        return f"RTRIM({self.without_zeros(time)}, '.')"

    def length(self, text: str) -> str:
        """The number of a text's characters."""
        return f"LENGTH({text})"

    def as_bigint(self, value: str) -> str:
        """A whole number in 64 bits."""
        return f"CAST({value} AS BIGINT)"

    def as_text(self, value: str) -> str:
        """A number as text."""
        return f"CAST({value} AS VARCHAR)"

    @abstractmethod
    def hash(self, text: str) -> str:
        """The MD5 of a text's UTF-8 bytes, in the form that `high` and `low` take."""

    @abstractmethod
    def high(self, hashed: str) -> str:
        """The low 60 bits of the upper half of a hash, as a whole number."""

    @abstractmethod
    def low(self, hashed: str) -> str:
        """The low 60 bits of the lower half of a hash, as a whole number."""

    @abstractmethod
    def hex_of_text(self, text: str) -> str:
        """The MD5 of a text's UTF-8 bytes in lower-case hexadecimal."""

    def hex_digits(self, text: str, digits: int) -> str:
        """The first digits of `hex_of_text`."""
        return f"SUBSTRING({self.hex_of_text(text)}, 1, {digits})"

    @abstractmethod
    def text_bytes(self, text: str) -> str:
        """The number of a text's UTF-8 bytes."""


def number_of(conditions: Sequence[str], absent: str | None, deepest: int | None = None) -> str:
    """SQL of the number of the range that a row is in: a binary search, so that few conditions are tried for a row.

    The numbers are the places of the ranges, from 0 on; rows without key have the number behind the last range's.

    Args:
        conditions: for each range but the last, whether a row that has a key comes before its end; in order.
        absent: whether a row has no key; None when every row has one.
        deepest: so many CASE may stand within each other, two at least; the innermost try their conditions one
            after the other. None is any number.
    """

    def search(first: int, last: int, levels: float) -> str:
        if first == last:
            return str(first)
        if levels <= 1:
            whens = " ".join(f"WHEN {conditions[place]} THEN {place}" for place in range(first, last))
            return f"CASE {whens} ELSE {last} END"
        middle = (first + last) // 2
        low, high = search(first, middle, levels - 1), search(middle + 1, last, levels - 1)
        return f"CASE WHEN {conditions[middle]} THEN {low} ELSE {high} END"

    levels = math.inf if deepest is None else deepest - (absent is not None)
    found = search(0, len(conditions), levels)
    return found if absent is None else f"CASE WHEN {absent} THEN {len(conditions) + 1} ELSE {found} END"


def arithmetic_float(value: str, special: Mapping[str, str], *, small: str, power: str, text: str, whole: str) -> str:
    """The float tuple by arithmetic, for platforms that don't show a number's bits.

    `floor(log2)` may be off by one next to a power of two, which comparing with both neighbours mends; all other
    steps are exact (powers of two only).

    Args:
        special: literals of the values that are no numbers, and their texts.
        small: SQL of 1e-290 as a float: as a decimal, which a bare literal may be, it would be zero.
        power: SQL of two to the power of `{}`.
        text: SQL of a whole number `{}` as text.
        whole: SQL of a float `{}` without fraction as a whole number.
    """
    tiny = f"ABS({value}) < {small}"
    scaled = f"(ABS({value}) * CASE WHEN {tiny} THEN {power.format(SCALE_BITS)} ELSE 1 END)"
    guess = f"LEAST(1023, FLOOR(LN({scaled}) / LN(2)))"
    exponent = (
        f"(CASE WHEN {scaled} / 2 >= {power.format(guess)} THEN {guess} + 1 "
        f"WHEN {scaled} < {power.format(guess)} THEN {guess} - 1 ELSE {guess} END)"
    )
    # In two halves: two to the power of 1024 does not exist.
    mantissa = f"({scaled} / {power.format(exponent)}) * 4503599627370496"
    shift = f"{exponent} - 52 - CASE WHEN {tiny} THEN {SCALE_BITS} ELSE 0 END"
    cases = "".join(f"WHEN {value} = {literal} THEN '{name}' " for literal, name in special.items())
    return (
        f"CASE WHEN {value} = 0 THEN '0' {cases}"
        f"WHEN {value} IS NOT NULL THEN CASE WHEN {value} < 0 THEN '-' ELSE '' END || "
        f"{text.format(whole.format(mantissa))} || 'p' || {text.format(whole.format(shift))} END"
    )


def _longest(column_type: ColumnType) -> float:
    """The most bytes that a canonical text of the type can have."""
    if column_type.length is None:
        return math.inf
    return column_type.length * (2 if column_type.kind is Kind.BINARY else _BYTES_PER_CHARACTER)


def _ranges(offsets: Sequence[int], buckets: RangeBuckets) -> list[tuple[int, int]]:
    """Half-open ranges of the key for buckets in order; neighbours are one range.

    The remainder takes the sign of the dividend, so bucket 0 reaches to both sides of the origin.
    """
    ranges: list[tuple[int, int]] = []
    for offset in offsets:
        low = buckets.origin + offset - (buckets.width - 1 if offset <= 0 else 0)
        high = buckets.origin + offset + (buckets.width if offset >= 0 else 1)
        if ranges and ranges[-1][1] >= low:
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    return ranges


def _number(value: int) -> str:
    return f"({value})" if value < 0 else str(value)


def _where(condition: str | None) -> str:
    if condition is None:
        return ""
    # A comment at the condition's end can't swallow what follows.
    return f" WHERE ({condition}\n)" if "--" in condition else f" WHERE {condition}"
