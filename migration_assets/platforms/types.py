"""The column types that travel between a source and a target, and how they are staged in Arrow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

MAX_DECIMAL_PRECISION = 38
"""Digits that both targets (Snowflake NUMBER, DuckDB DECIMAL) and Arrow decimal128 hold exactly."""

MICROSECONDS = 6
MAX_FRACTION_DIGITS = 7
"""Fractional-second digits that Arrow's times hold in every year, and those that a source has at most."""


class Kind(str, Enum):
    """The families of column types. Every source type is mapped to exactly one of them."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    TEXT = "text"
    BINARY = "binary"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMP_TZ = "timestamp_tz"
    JSON = "json"
    UUID = "uuid"


@dataclass(frozen=True)
class ColumnType:
    """A column type, independent of any database system.

    Attributes:
        kind: the family.
        bits: width of INTEGER (16, 32, 64) and FLOAT (32, 64).
        precision: digits of DECIMAL; fractional-second digits (0 to 7) of TIME, TIMESTAMP, TIMESTAMP_TZ. A TIMESTAMP_TZ
            with 7 of them keeps its offset; one with fewer is an instant in UTC.
        scale: digits after the point of DECIMAL.
        length: largest number of characters of TEXT or bytes of BINARY; None is without limit.
    """

    kind: Kind
    bits: int | None = None
    precision: int | None = None
    scale: int | None = None
    length: int | None = None

    def __str__(self) -> str:
        arguments = [str(value) for value in (self.bits, self.precision, self.scale, self.length) if value is not None]
        return f"{self.kind.value}({', '.join(arguments)})" if arguments else self.kind.value

    @property
    def is_numeric(self) -> bool:
        """Whether sums and averages of the column have a meaning."""
        return self.kind in (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT)

    @property
    def is_ordered(self) -> bool:
        """Whether smallest and largest value are the same on every platform (text has collations)."""
        return self.is_numeric or self.kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)

    def is_rounded_in(self, column: ColumnType) -> bool:
        """Whether a column of another type would take the values without an error, but not exactly.

        Warehouses round and cut when they convert; values that are too large or of another form they refuse.
        """
        mine, theirs = self.kind, column.kind
        if theirs in (Kind.DECIMAL, Kind.INTEGER):
            return mine is Kind.FLOAT or (mine is Kind.DECIMAL and (self.scale or 0) > (column.scale or 0))
        if theirs is Kind.FLOAT:
            if mine is Kind.FLOAT:
                return (self.bits or 64) > (column.bits or 64)
            exact_digits = 6 if column.bits == 32 else 15
            return mine in (Kind.DECIMAL, Kind.INTEGER) and self.digits > exact_digits
        if mine in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ) and theirs in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP):
            return mine is not theirs or _fraction(self) > _fraction(column)
        return theirs in _TEMPORAL and _fraction(self) > _fraction(column)

    def holds(self, other: ColumnType) -> bool:
        """Whether a column of this type takes every value of a column of another type, and keeps it as it is."""
        if other.is_rounded_in(self):
            return False
        match self.kind:
            case Kind.INTEGER if other.kind is Kind.INTEGER:
                return (self.bits or 64) >= (other.bits or 64)
            case Kind.INTEGER:
                # Not every number with the last digit fits.
                return other.kind is Kind.DECIMAL and self.digits > other.digits
            case Kind.DECIMAL:
                exact = other.kind in (Kind.DECIMAL, Kind.INTEGER)
                return exact and self.digits - (self.scale or 0) >= other.digits - (other.scale or 0)
            case Kind.FLOAT:
                return other.is_numeric
            case Kind.TEXT:
                return other.kind in _STAGED_AS_TEXT and _longest(self) >= _longest(other)
            case kind:
                return other.kind is kind and _longest(self) >= _longest(other)

    @property
    def digits(self) -> int:
        """The most decimal digits of a DECIMAL or INTEGER."""
        if self.kind is Kind.INTEGER:
            return {16: 5, 32: 10, 64: 19}[self.bits or 64]
        return self.precision or MAX_DECIMAL_PRECISION

    @property
    def is_staged_as_text(self) -> bool:
        """Whether times have more digits than Arrow's microseconds.

        Its nanoseconds end in 2262, but days such as 9999-12-31 are common. The text is
        `YYYY-MM-DD HH:MM:SS.fffffff`, `HH:MM:SS.fffffff` or `YYYY-MM-DD HH:MM:SS.fffffff +HH:MM`.
        """
        return _fraction(self) > MICROSECONDS

    def to_arrow(self) -> pa.DataType:
        """The Arrow type of the column in staged files."""
        if self.is_staged_as_text:
            return pa.string()
        match self.kind:
            case Kind.BOOLEAN:
                return pa.bool_()
            case Kind.INTEGER:
                return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[self.bits or 64]
            case Kind.DECIMAL:
                return pa.decimal128(self.precision or MAX_DECIMAL_PRECISION, self.scale or 0)
            case Kind.FLOAT:
                return pa.float32() if self.bits == 32 else pa.float64()
            case Kind.BINARY:
                return pa.binary()
            case Kind.DATE:
                return pa.date32()
            case Kind.TIME:
                return pa.time64("us")
            case Kind.TIMESTAMP:
                return pa.timestamp("us")
            case Kind.TIMESTAMP_TZ:
                return pa.timestamp("us", tz="UTC")
            case Kind.TEXT | Kind.JSON | Kind.UUID:
                return pa.string()


_TEMPORAL = (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)
_STAGED_AS_TEXT = (Kind.TEXT, Kind.JSON, Kind.UUID)
_UUID_LENGTH = 36


def _longest(column_type: ColumnType) -> float:
    """The most characters or bytes of a value."""
    if column_type.kind is Kind.UUID:
        return _UUID_LENGTH
    return math.inf if column_type.length is None else column_type.length


def _fraction(column_type: ColumnType) -> int:
    """Fractional-second digits; 0 for types without."""
    if column_type.kind not in _TEMPORAL:
        return 0
    return MICROSECONDS if column_type.precision is None else column_type.precision


BOOLEAN = ColumnType(Kind.BOOLEAN)
TEXT = ColumnType(Kind.TEXT)
BINARY = ColumnType(Kind.BINARY)
DATE = ColumnType(Kind.DATE)
JSON = ColumnType(Kind.JSON)
UUID = ColumnType(Kind.UUID)


def integer(bits: int) -> ColumnType:
    """An integer of 16, 32 or 64 bits."""
    return ColumnType(Kind.INTEGER, bits=bits)


def decimal(precision: int, scale: int) -> ColumnType:
    """An exact decimal number."""
    return ColumnType(Kind.DECIMAL, precision=precision, scale=scale)


def floating(bits: int) -> ColumnType:
    """An IEEE 754 number of 32 or 64 bits."""
    return ColumnType(Kind.FLOAT, bits=bits)


def text(length: int | None = None) -> ColumnType:
    """Text of at most `length` characters."""
    return ColumnType(Kind.TEXT, length=length)


def temporal(kind: Kind, precision: int = MICROSECONDS) -> ColumnType:
    """A TIME, TIMESTAMP or TIMESTAMP_TZ with `precision` fractional-second digits."""
    return ColumnType(kind, precision=precision)
