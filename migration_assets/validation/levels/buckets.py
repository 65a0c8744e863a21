"""Buckets of rows in the terms of both sides: how they are divided, chosen, counted and named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migration_assets.platforms.canonical import CanonicalKind, Fingerprint
from migration_assets.platforms.canonical_sql import Bucket, Buckets, HashBuckets, RangeBuckets
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.validation.alignment import ComparedColumn
from migration_assets.validation.results import BucketFinding

MOST_LEAVES = 300_000
"""Of the second scan, for both sides together about 35 MB when everything differs."""

ROWS_PER_LEAF = 8

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
        digits = source.digits + max(1, round(math.log(parts, 16)))
        return PairedBuckets(HashBuckets(source.columns, digits), HashBuckets(target.columns, digits))

    def read(self, name: str | None) -> Bucket:
        """A bucket whose name came as text."""
        if name is None or isinstance(self.of_source, HashBuckets):
            return name
        return int(name)


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
