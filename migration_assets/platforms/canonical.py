"""Fingerprints, spec `v1`: what a value's canonical text is, and how rows are summed up (docs/fingerprint.md).

Every platform that can hash has its own SQL for it (`canonical_sql`); the worker does the same over Arrow data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import ClassVar

from migration_assets.platforms.types import ColumnType, Kind

SPEC = "v1"
"""Goes with every stored fingerprint: those of two specs can't be compared."""

LONGEST_TEXT = 1000
"""Canonical texts of more UTF-8 bytes stand in the row text as their own hash: it stays short on every platform."""

LANE_BITS = 60
NULL_TOKEN = r"\N"  # noqa: S105
HASH_MARK = r"\h"


class CanonicalKind(str, Enum):
    """The families of canonical text."""

    NUMBER = "number"
    FLOAT = "float"
    TEXT = "text"
    BINARY = "binary"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    JSON = "json"


@dataclass(frozen=True)
class CanonicalType:
    """What two columns are compared as.

    Attributes:
        digits: after the point of a NUMBER. Times need none: their fractions end with the last digit that is not 0.
    """

    kind: CanonicalKind
    digits: int = 0

    def __str__(self) -> str:
        return f"{self.kind.value}({self.digits})" if self.kind is CanonicalKind.NUMBER else self.kind.value


@dataclass(frozen=True)
class Fingerprint:
    """Count and two sums of hashes of a set of rows, in any order; those of disjoint sets can be added."""

    rows: int
    high: int
    low: int

    ZERO: ClassVar[Fingerprint]

    @classmethod
    def of(cls, row: Mapping[str, object]) -> Fingerprint:
        """The columns `row_count`, `high` and `low` of a query's answer; no sum at all is zero."""
        return cls(whole(row["row_count"]), whole(row["high"]), whole(row["low"]))

    def __add__(self, other: Fingerprint) -> Fingerprint:
        return Fingerprint(self.rows + other.rows, self.high + other.high, self.low + other.low)

    def __str__(self) -> str:
        return f"{self.rows}:{self.high}:{self.low}"


def whole(value: object) -> int:
    """A whole number, whatever type the driver has for it; no sum at all is zero."""
    if isinstance(value, (int, Decimal)):
        return int(value)
    return int(str(value or 0))


Fingerprint.ZERO = Fingerprint(0, 0, 0)

_NUMBERS = (Kind.BOOLEAN, Kind.INTEGER, Kind.DECIMAL)
_TIMESTAMPS = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)
_ALIKE = {
    Kind.FLOAT: CanonicalKind.FLOAT,
    Kind.BINARY: CanonicalKind.BINARY,
    Kind.TIME: CanonicalKind.TIME,
    Kind.JSON: CanonicalKind.JSON,
}


def canonical_type(first: ColumnType, second: ColumnType) -> CanonicalType | None:
    """What columns of two types are compared as, so that equal values and only those have one text.

    Decimals get the larger of both scales, so nothing is rounded away. None when no text does both justice: a
    decimal and a binary fraction, a number and a time.
    """
    kinds = {first.kind, second.kind}
    if kinds <= set(_NUMBERS):
        return CanonicalType(CanonicalKind.NUMBER, max(first.scale or 0, second.scale or 0))
    if kinds == {Kind.DATE}:
        return CanonicalType(CanonicalKind.DATE)
    if kinds <= set(_TIMESTAMPS):
        return CanonicalType(CanonicalKind.TIMESTAMP)
    if kinds <= {Kind.TEXT, Kind.UUID} or kinds == {Kind.TEXT, Kind.JSON}:
        return CanonicalType(CanonicalKind.TEXT)
    if len(kinds) == 1:
        return CanonicalType(_ALIKE[first.kind])
    return None
