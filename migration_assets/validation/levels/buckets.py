"""Buckets of rows in the terms of both sides: how they are divided, chosen, counted and named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from migration_assets.platforms.canonical import CanonicalKind, Fingerprint
from migration_assets.platforms.canonical_sql import HASH_DIGITS, Bucket, Buckets, HashBuckets, RangeBuckets
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.validation.alignment import ComparedColumn
from migration_assets.validation.results import BucketFinding
from migration_assets.validation.sides import Inquiry

MOST_BUCKETS = 4096
"""Of the first scan: their sums are about 250 kB a side."""

ROWS_PER_BUCKET = 64
"""Fewer rows than these are not worth a bucket of their own."""

MOST_LEAVES = 300_000
"""Of the second scan, for both sides together about 35 MB when everything differs."""

ROWS_PER_LEAF = 8

MOST_LISTED = 20_000
"""Leaves that one statement names: a statement has a largest size."""

_WIDEST = 2**62
"""Keys further apart, or further from zero, could overflow the arithmetic of 64 bits."""

Sums = Mapping[Bucket, Fingerprint]


@dataclass(frozen=True)
class PairedBuckets:
    """The same buckets in the terms of both sides."""

    of_source: Buckets
    of_target: Buckets

    @classmethod
    def of_ranges(cls, column: ComparedColumn, origin: int, width: int) -> PairedBuckets:
        """Ranges of a whole-number column."""
        return cls(RangeBuckets(column.of_source, origin, width), RangeBuckets(column.of_target, origin, width))

    @classmethod
    def of_hashes(cls, columns: Sequence[ComparedColumn], digits: int) -> PairedBuckets:
        """Prefixes of the hash of some columns, or of the whole row."""
        return cls(
            HashBuckets(tuple(column.of_source for column in columns), digits),
            HashBuckets(tuple(column.of_target for column in columns), digits),
        )

    def divided(self, rows: int, buckets: int) -> PairedBuckets | None:
        """Leaves of some of these buckets, which hold so many rows; None when they can't be divided."""
        parts = min(max(2, rows // buckets // ROWS_PER_LEAF), max(2, MOST_LEAVES // buckets))
        source, target = self.of_source, self.of_target
        if isinstance(source, RangeBuckets) and isinstance(target, RangeBuckets):
            # Widths are powers of two: narrow ranges lie wholly in the wide ones that they divide.
            width = max(1, source.width >> round(math.log2(parts)))
            if source.width == 1:
                return None
            return PairedBuckets(
                RangeBuckets(source.column, source.origin, width), RangeBuckets(target.column, target.origin, width)
            )
        assert isinstance(source, HashBuckets)
        assert isinstance(target, HashBuckets)
        if source.digits >= HASH_DIGITS:
            return None
        digits = min(HASH_DIGITS, source.digits + max(1, round(math.log(parts, 16))))
        return PairedBuckets(HashBuckets(source.columns, digits), HashBuckets(target.columns, digits))

    def of_single_keys(self) -> PairedBuckets:
        """Buckets as fine as can be, one for each key, where these are of the key."""
        source, target = self.of_source, self.of_target
        if isinstance(source, RangeBuckets) and isinstance(target, RangeBuckets):
            return PairedBuckets(replace(source, width=1), replace(target, width=1))
        assert isinstance(source, HashBuckets)
        assert isinstance(target, HashBuckets)
        return PairedBuckets(replace(source, digits=HASH_DIGITS), replace(target, digits=HASH_DIGITS))

    def holding(self, finer: Bucket) -> Bucket:
        """The bucket that one of a finer division lies in."""
        if isinstance(finer, str):
            assert isinstance(self.of_source, HashBuckets)
            return finer[: self.of_source.digits]
        assert isinstance(self.of_source, RangeBuckets)
        return None if finer is None else finer - finer % self.of_source.width

    def read(self, name: str | None) -> Bucket:
        """A bucket whose name came as text."""
        if name is None or isinstance(self.of_source, HashBuckets):
            return name
        return int(name)


def wanted_buckets(estimated_rows: int, chosen: int | None = None) -> int:
    """How many buckets the first scan should have; `chosen` is the user's number."""
    return min(chosen or math.ceil(max(1, estimated_rows) / ROWS_PER_BUCKET), MOST_BUCKETS)


def first_buckets(
    inquiry: Inquiry, column: ComparedColumn | None, key: Sequence[ComparedColumn], wanted: int
) -> PairedBuckets:
    """About so many buckets: ranges of a whole-number column, where there is one, or of hashes of the key.

    Raises:
        BudgetExceededError, SourceError, WarehouseError: the bounds of the column could not be had.
    """
    bounds = _bounds(inquiry, column) if column is not None else None
    if column is not None and bounds is not None:
        low, high = bounds
        # A power of two, which leaves divide without rest.
        width = 1 << max(0, math.ceil(math.log2((high - low + 1) / wanted)))
        return PairedBuckets.of_ranges(column, low, width)
    digits = min(3, round(math.log(max(1, wanted), 16)))
    return PairedBuckets.of_hashes(key, max(1, digits))


def _bounds(inquiry: Inquiry, column: ComparedColumn) -> tuple[int, int] | None:
    """The smallest and the largest key of both sides; None where ranges of them can't be had."""
    source, target = inquiry.source, inquiry.target
    answers = inquiry.both(
        "bounds of the key",
        source.sql.bounds_query(source.relation, column.of_source, source.where),
        target.sql.bounds_query(target.relation, column.of_target, target.where),
    )
    values = [value for side in answers for value in (side[0]["low"], side[0]["high"]) if value is not None]
    bounds = [bound for value in values if (bound := _whole_number(value)) is not None]
    if not bounds or len(bounds) < len(values):
        return None
    low, high = min(bounds), max(bounds)
    return (low, high) if high - low < _WIDEST and max(abs(low), abs(high)) < _WIDEST else None


def _whole_number(value: object) -> int | None:
    """A bound of a key; None for what is no whole number (NaN, a fraction)."""
    number = Decimal(str(value))
    return int(number) if number.is_finite() and number == number.to_integral_value() else None


def is_whole(column: ComparedColumn) -> bool:
    """Whether ranges of a column can be buckets: whole numbers of at most 64 bits, read as they stand."""

    def fits(column_type: ColumnType) -> bool:
        return column_type.kind in (Kind.INTEGER, Kind.DECIMAL) and not column_type.scale and column_type.digits <= 19

    return (
        column.canonical.kind is CanonicalKind.NUMBER
        and column.source_is_plain
        and fits(column.source_type)
        and fits(column.target_type)
    )


def different(source: Sums, target: Sums) -> list[Bucket]:
    """Buckets whose fingerprints differ, in order; the rows without a key come last."""
    found = [
        bucket
        for bucket in source.keys() | target.keys()
        if source.get(bucket, Fingerprint.ZERO) != target.get(bucket, Fingerprint.ZERO)
    ]
    return sorted(found, key=lambda bucket: (bucket is None, isinstance(bucket, str), bucket))


def count(side: Sums, bucket: Bucket) -> int:
    """The rows of a bucket."""
    return side.get(bucket, Fingerprint.ZERO).rows


def largest(source: Sums, target: Sums, bucket: Bucket) -> int:
    """The rows of a bucket on the side that has more."""
    return max(count(source, bucket), count(target, bucket))


def findings(source: Sums, target: Sums, differing: Sequence[Bucket], buckets: Buckets) -> tuple[BucketFinding, ...]:
    """Differing buckets for people and plots."""
    offsets = [bucket for bucket in (*source, *target) if isinstance(bucket, int)]
    first = min(offsets, default=0)
    span = max(offsets, default=0) - first or 1
    return tuple(
        BucketFinding(
            bucket=_name(bucket, buckets),
            position=_position(bucket, first, span),
            source_rows=count(source, bucket),
            target_rows=count(target, bucket),
        )
        for bucket in differing
    )


def _name(bucket: Bucket, buckets: Buckets) -> str:
    if isinstance(buckets, HashBuckets):
        return f"hash {bucket}…"
    column = buckets.column.name
    if bucket is None:
        return f"{column} is NULL"
    low = buckets.origin + int(bucket)
    return f"{column} from {low} to {low + buckets.width - 1}"


def _position(bucket: Bucket, first: int, span: int) -> float:
    if bucket is None:
        return 1.0
    if isinstance(bucket, str):
        return float(int(bucket, 16) / 16 ** len(bucket))
    return (bucket - first) / span
