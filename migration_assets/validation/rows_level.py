"""Level 3: the rows themselves, by fingerprints first, and cell by cell only where these differ.

1. One scan a side sums up every bucket of rows. Equal sums prove equal rows, for kilobytes of traffic.
2. Buckets that differ are divided into leaves of a few rows, and these summed up.
3. Columns of leaves that differ are summed up on their own: which columns differ is known before a row is fetched.
4. Rows of leaves that differ are fetched with those columns, and held against each other as multisets.

JSON that a platform prints in a form of its own can't be hashed there: its texts are read by the worker, which brings
them into one form and hashes them with the key of their row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from migration_assets.platforms.base import Row
from migration_assets.platforms.canonical import CanonicalKind, CanonicalType, Fingerprint
from migration_assets.platforms.canonical_sql import (
    Bucket,
    Buckets,
    CanonicalColumn,
    HashBuckets,
    RangeBuckets,
)
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.validation.alignment import Alignment, ComparedColumn
from migration_assets.validation.cells import PulledRow, RowDifference, compare_rows
from migration_assets.validation.results import BucketFinding, RowKind
from migration_assets.validation.sides import BudgetExceededError, Inquiry, Side, read_buckets, total, whole

MOST_BUCKETS = 4096
"""Of the first scan: their sums are about 250 kB a side."""

ROWS_PER_BUCKET = 64
"""Fewer rows than these are not worth a bucket of their own."""

MOST_LEAVES = 300_000
"""Of the second scan, for both sides together about 35 MB when everything differs."""

ROWS_PER_LEAF = 8
FEW_ROWS = 10_000
"""Rows of differing buckets that are fetched at once, without dividing them further."""

MOST_CELLS = 3_000_000
"""Values that are fetched from a side at the most; leaves beyond are counted, not looked into."""

_FURTHEST = 2**62
"""Keys beyond this distance from zero could overflow the arithmetic of 64 bits."""


@dataclass
class RowsOutcome:
    """What came of comparing rows.

    Attributes:
        source: the fingerprint of all rows.
        buckets: how many there were in the first scan.
        differing: those whose sums differ.
        differences: rows that differ, found in the leaves that were looked into.
        located: whether all differing leaves were looked into.
        unexplained: leaves whose sums differ, and whose rows don't.
    """

    source: Fingerprint
    target: Fingerprint
    buckets: int
    differing: tuple[BucketFinding, ...] = ()
    differences: tuple[RowDifference, ...] = ()
    located: bool = True
    unexplained: int = 0
    notes: list[str] = field(default_factory=list)
    stopped: str | None = None


class RowComparison:
    """Compares the rows of one table."""

    def __init__(
        self,
        alignment: Alignment,
        inquiry: Inquiry,
        *,
        estimated_rows: int,
        partition_column: str | None = None,
        chunks: int | None = None,
    ) -> None:
        """Prepares a comparison.

        Args:
            estimated_rows: about how many rows there are.
            partition_column: the compared column whose ranges are buckets; the program chooses when it is None.
            chunks: how many buckets the first scan has; the program chooses when it is None.
        """
        self._alignment = alignment
        self._inquiry = inquiry
        both_keep_json = inquiry.source.sql.keeps_json_text and inquiry.target.sql.keeps_json_text
        by_worker = [
            column
            for column in alignment.compared
            if column.canonical.kind is CanonicalKind.JSON and not both_keep_json
        ]
        self._columns = tuple(column for column in alignment.compared if column not in by_worker)
        self._by_worker = tuple(by_worker)
        self._key = alignment.key_columns
        self._partition_column = partition_column
        wanted = chunks or math.ceil(max(1, estimated_rows) / ROWS_PER_BUCKET)
        self._wanted_buckets = min(wanted, MOST_BUCKETS)

    def run(self) -> RowsOutcome:
        """Everything from the first scan to the last cell.

        Raises:
            BudgetExceededError: before anything was compared; later, the outcome tells where the work stopped.
        """
        buckets = self._first_buckets()
        source, target = self._sums("fingerprints of buckets", buckets, None)
        differing = _different(source, target)
        outcome = RowsOutcome(
            source=total(source),
            target=total(target),
            buckets=len(source.keys() | target.keys()),
            differing=_findings(source, target, differing, buckets.of_source),
        )
        try:
            if differing:
                self._locate(buckets, source, target, differing, outcome)
            if self._by_worker:
                self._compare_by_worker(buckets, outcome)
        except BudgetExceededError as error:
            outcome.stopped, outcome.located = str(error), False
        return outcome

    # -- what the worker hashes ---------------------------------------------------------------------

    def _compare_by_worker(self, buckets: _Buckets, outcome: RowsOutcome) -> None:
        """Compares the columns that can't be hashed where they are, each with the key of its row."""
        # Without a key, all other columns stand for one.
        key = self._key or self._columns
        columns = {f"c{n}": CanonicalType(CanonicalKind.TEXT) for n in range(len(key))}
        columns |= {f"c{len(key) + n}": column.canonical for n, column in enumerate(self._by_worker)}

        def query(side: Side, view: Callable[[ComparedColumn], CanonicalColumn], of: Buckets) -> str:
            wanted = [view(column) for column in (*key, *self._by_worker)]
            bucket = side.sql.as_text(side.sql.bucket([view(column) for column in self._columns], of))
            return side.sql.rows_query(side.relation, wanted, side.where, bucket)

        hashed = self._inquiry.both_hashed(
            "fingerprints of JSON, by the worker",
            query(self._inquiry.source, _of_source, buckets.of_source),
            query(self._inquiry.target, _of_target, buckets.of_target),
            columns,
        )
        source, target = (_named_alike(sums, buckets.of_source) for sums in hashed)
        differing = _different(source, target)
        if not differing:
            return
        known = {finding.bucket for finding in outcome.differing}
        found = _findings(source, target, differing, buckets.of_source)
        outcome.differing += tuple(finding for finding in found if finding.bucket not in known)
        taken = self._affordable(source, target, differing, len(self._by_worker) + len(key))
        if len(taken) < len(differing):
            outcome.located = False
            outcome.notes.append(f"JSON of {len(differing) - len(taken):,} differing buckets was not looked into")
        rows, explained = self._fetched(buckets, taken, self._by_worker, key)
        # Rows that only one side has were found by the other columns.
        changed = [row for row in rows if row.kind is RowKind.CHANGED]
        outcome.differences = _joined(outcome.differences, changed)
        if not outcome.differences:
            outcome.unexplained += len(set(taken) - explained)

    # -- buckets ------------------------------------------------------------------------------------

    def _first_buckets(self) -> _Buckets:
        column = self._range_column()
        if column is not None:
            bounds = self._bounds(column)
            if bounds is not None:
                low, high = bounds
                # A power of two, which leaves divide without rest.
                width = 1 << max(0, math.ceil(math.log2((high - low + 1) / self._wanted_buckets)))
                return _Buckets.of_ranges(column, low, width)
        digits = max(0, min(3, round(math.log(max(1, self._wanted_buckets), 16))))
        return _Buckets.of_hashes(self._key, max(1, digits))

    def _range_column(self) -> ComparedColumn | None:
        """A whole number whose ranges an index finds: the first of the key, or the user's choice."""
        if self._partition_column is not None:
            chosen = [column for column in self._columns if column.name == self._partition_column]
        else:
            chosen = list(self._key[:1])
        return next((column for column in chosen if _is_whole(column)), None)

    def _bounds(self, column: ComparedColumn) -> tuple[int, int] | None:
        rows = self._inquiry.both(
            "bounds of the key",
            self._inquiry.source.sql.bounds_query(self._inquiry.source.relation, column.of_source),
            self._inquiry.target.sql.bounds_query(self._inquiry.target.relation, column.of_target),
        )
        bounds = [whole(side[0][name]) for side in rows for name in ("low", "high") if side[0][name] is not None]
        if not bounds or max(abs(bound) for bound in bounds) > _FURTHEST:
            return None
        return min(bounds), max(bounds)

    # -- location -----------------------------------------------------------------------------------

    def _locate(
        self,
        buckets: _Buckets,
        source: Mapping[Bucket, Fingerprint],
        target: Mapping[Bucket, Fingerprint],
        differing: Sequence[Bucket],
        outcome: RowsOutcome,
    ) -> None:
        rows = sum(_rows(source, target, bucket) for bucket in differing)
        if rows > FEW_ROWS:
            finer = buckets.divided(rows, len(differing))
            if finer is not None:
                source, target = self._sums("fingerprints of leaves", finer, buckets.chosen(self, differing))
                buckets, differing = finer, _different(source, target)
        self._compare_leaves(buckets, source, target, differing, outcome)

    def _compare_leaves(
        self,
        buckets: _Buckets,
        source: Mapping[Bucket, Fingerprint],
        target: Mapping[Bucket, Fingerprint],
        leaves: Sequence[Bucket],
        outcome: RowsOutcome,
    ) -> None:
        # Where the number of rows differs, every column's sum does: there, all columns are fetched.
        even = [leaf for leaf in leaves if _count(source, leaf) == _count(target, leaf)]
        uneven = [leaf for leaf in leaves if _count(source, leaf) != _count(target, leaf)]
        differences: list[RowDifference] = []
        unexplained = left_out = 0
        for group in (uneven, even):
            if not group:
                continue
            columns = self._columns
            rows = sum(_rows(source, target, leaf) for leaf in group)
            if group is even and self._key and rows > FEW_ROWS:
                columns = self._different_columns(buckets, group)
            taken = self._affordable(source, target, group, len(columns))
            left_out += len(group) - len(taken)
            found, explained = self._fetched(buckets, taken, columns, self._key)
            differences += found
            unexplained += len(taken) - len(explained)
        outcome.differences = tuple(differences)
        # JSON of another text may mean the same; nothing else may.
        has_json = any(column.canonical.kind is CanonicalKind.JSON for column in self._columns)
        outcome.unexplained = 0 if has_json else unexplained
        if left_out:
            outcome.located = False
            outcome.notes.append(
                f"{left_out:,} of {len(leaves):,} differing leaves were not looked into: they hold more rows than are "
                "fetched at once"
            )

    def _affordable(
        self,
        source: Mapping[Bucket, Fingerprint],
        target: Mapping[Bucket, Fingerprint],
        leaves: Sequence[Bucket],
        columns: int,
    ) -> list[Bucket]:
        """The leaves whose rows may be fetched.

        Raises:
            BudgetExceededError: not even one leaf may.
        """
        most = MOST_CELLS // (columns + len(self._key) + 1)
        if self._inquiry.budget.rows is not None:
            most = min(most, (self._inquiry.budget.rows - self._inquiry.spent_rows) // 2)
        taken: list[Bucket] = []
        rows = 0
        for leaf in leaves:
            size = _rows(source, target, leaf)
            if rows + size <= most:
                taken.append(leaf)
                rows += size
        if not taken:
            smallest = min(_rows(source, target, leaf) for leaf in leaves)
            raise BudgetExceededError(
                f"rows of differing leaves: {max(most, 0):,} more rows of a side may be fetched, and the smallest leaf "
                f"has {smallest:,}{self._inquiry.advice('rows')}"
            )
        return taken

    def _different_columns(self, buckets: _Buckets, leaves: Sequence[Bucket]) -> tuple[ComparedColumn, ...]:
        """The columns whose values, each with its key, differ in some leaves."""
        condition = buckets.chosen(self, leaves)
        others = [column for column in self._columns if column not in self._key]
        if not others:
            return self._columns

        def query(side: Side, view: Callable[[ComparedColumn], CanonicalColumn], where: str) -> str:
            return side.sql.column_query(
                side.relation,
                [view(column) for column in others],
                [view(column) for column in self._key],
                side.narrowed(where),
            )

        of_source, of_target = self._inquiry.both(
            "fingerprints of columns",
            query(self._inquiry.source, _of_source, condition.source),
            query(self._inquiry.target, _of_target, condition.target),
        )
        first, second = of_source[0], of_target[0]
        different = [
            column
            for number, column in enumerate(others)
            if any(whole(first[f"{lane}_{number}"]) != whole(second[f"{lane}_{number}"]) for lane in ("high", "low"))
        ]
        return tuple(different) or self._columns

    def _fetched(
        self,
        buckets: _Buckets,
        leaves: Sequence[Bucket],
        columns: Sequence[ComparedColumn],
        key: Sequence[ComparedColumn],
    ) -> tuple[list[RowDifference], set[Bucket]]:
        """The differing rows of some leaves, and the leaves that they explain."""
        condition = buckets.chosen(self, leaves)

        def query(side: Side, view: Callable[[ComparedColumn], CanonicalColumn], where: str, of: Buckets) -> str:
            wanted = [view(column) for column in (*key, *columns)]
            everything = [view(column) for column in self._columns]
            return side.sql.rows_query(
                side.relation, wanted, side.narrowed(where), bucket=side.sql.bucket(everything, of)
            )

        answers = self._inquiry.both(
            "rows of differing leaves",
            query(self._inquiry.source, _of_source, condition.source, buckets.of_source),
            query(self._inquiry.target, _of_target, condition.target, buckets.of_target),
        )
        names = [column.name for column in key]
        types = {column.name: column.canonical for column in columns}
        by_leaf = [_by_leaf(side, len(key), len(columns)) for side in answers]
        found: list[RowDifference] = []
        explained: set[Bucket] = set()
        for leaf in leaves:
            of_leaf = compare_rows(
                by_leaf[0].get(leaf, []),
                by_leaf[1].get(leaf, []),
                key=names,
                columns=types,
                pair_similar=not names,
            ).rows
            if of_leaf:
                explained.add(leaf)
                found += of_leaf
        if not names and len(leaves) > 1:
            # Without a key, both versions of a changed row are in leaves of their own: pair them over all leaves.
            found = list(
                compare_rows(
                    [row for rows_of_leaf in by_leaf[0].values() for row in rows_of_leaf],
                    [row for rows_of_leaf in by_leaf[1].values() for row in rows_of_leaf],
                    key=names,
                    columns=types,
                    pair_similar=True,
                ).rows
            )
        return found, explained

    # -- sums ---------------------------------------------------------------------------------------

    def _sums(
        self, step: str, buckets: _Buckets, condition: _Condition | None
    ) -> tuple[dict[Bucket, Fingerprint], dict[Bucket, Fingerprint]]:
        source, target = self._inquiry.source, self._inquiry.target
        rows = self._inquiry.both(
            step,
            source.sql.bucket_query(
                source.relation,
                [column.of_source for column in self._columns],
                buckets.of_source,
                source.narrowed(condition.source if condition else None),
            ),
            target.sql.bucket_query(
                target.relation,
                [column.of_target for column in self._columns],
                buckets.of_target,
                target.narrowed(condition.target if condition else None),
            ),
        )
        return read_buckets(rows[0]), read_buckets(rows[1])

    def condition(self, buckets: _Buckets, wanted: Collection[Bucket]) -> _Condition:
        """The rows of some buckets, for both sides."""
        return _Condition(
            self._inquiry.source.sql.in_buckets(
                [column.of_source for column in self._columns], buckets.of_source, wanted
            ),
            self._inquiry.target.sql.in_buckets(
                [column.of_target for column in self._columns], buckets.of_target, wanted
            ),
        )


@dataclass(frozen=True)
class _Condition:
    source: str
    target: str


@dataclass(frozen=True)
class _Buckets:
    """The same buckets in the terms of both sides."""

    of_source: Buckets
    of_target: Buckets

    @classmethod
    def of_ranges(cls, column: ComparedColumn, origin: int, width: int) -> _Buckets:
        return cls(RangeBuckets(column.of_source, origin, width), RangeBuckets(column.of_target, origin, width))

    @classmethod
    def of_hashes(cls, key: Sequence[ComparedColumn], digits: int) -> _Buckets:
        return cls(
            HashBuckets(tuple(column.of_source for column in key), digits),
            HashBuckets(tuple(column.of_target for column in key), digits),
        )

    def chosen(self, comparison: RowComparison, wanted: Collection[Bucket]) -> _Condition:
        return comparison.condition(self, wanted)

    def divided(self, rows: int, buckets: int) -> _Buckets | None:
        """Leaves of these buckets; None when they can't be divided."""
        parts = min(max(2, rows // buckets // ROWS_PER_LEAF), max(2, MOST_LEAVES // buckets))
        if isinstance(self.of_source, RangeBuckets) and isinstance(self.of_target, RangeBuckets):
            if self.of_source.width == 1:
                return None
            narrow = max(1, self.of_source.width >> round(math.log2(parts)))
            return _Buckets(
                RangeBuckets(self.of_source.column, self.of_source.origin, narrow),
                RangeBuckets(self.of_target.column, self.of_target.origin, narrow),
            )
        assert isinstance(self.of_source, HashBuckets)
        assert isinstance(self.of_target, HashBuckets)
        digits = self.of_source.digits + max(1, round(math.log(parts, 16)))
        return _Buckets(HashBuckets(self.of_source.columns, digits), HashBuckets(self.of_target.columns, digits))


def _named_alike(sums: Mapping[Bucket, Fingerprint], buckets: Buckets) -> dict[Bucket, Fingerprint]:
    """Buckets whose names came as text, as the bucket query names them."""
    if isinstance(buckets, HashBuckets):
        return dict(sums)
    return {None if bucket is None else int(bucket): found for bucket, found in sums.items()}


def _joined(differences: Sequence[RowDifference], more: Sequence[RowDifference]) -> tuple[RowDifference, ...]:
    """Differences of other columns, put to those of the same rows."""
    by_key = {tuple(one.key.items()): one for one in differences if one.kind is RowKind.CHANGED}
    joined: dict[int, RowDifference] = {}
    added = []
    for one in more:
        known = by_key.get(tuple(one.key.items()))
        if known is None:
            added.append(one)
        else:
            joined[id(known)] = replace(known, cells=(*known.cells, *one.cells))
    return (*(joined.get(id(one), one) for one in differences), *added)


def _of_source(column: ComparedColumn) -> CanonicalColumn:
    return column.of_source


def _of_target(column: ComparedColumn) -> CanonicalColumn:
    return column.of_target


def _is_whole(column: ComparedColumn) -> bool:
    def fits(column_type: ColumnType) -> bool:
        return column_type.kind in (Kind.INTEGER, Kind.DECIMAL) and not column_type.scale

    return (
        column.canonical.kind is CanonicalKind.NUMBER
        and fits(column.source_type)
        and fits(column.target_type)
        and min(column.source_type.digits, column.target_type.digits) <= 19
    )


def _different(source: Mapping[Bucket, Fingerprint], target: Mapping[Bucket, Fingerprint]) -> list[Bucket]:
    """Buckets whose fingerprints differ, in order; the rows without a key come last."""
    different = [
        bucket
        for bucket in source.keys() | target.keys()
        if source.get(bucket, Fingerprint.ZERO) != target.get(bucket, Fingerprint.ZERO)
    ]
    return sorted(different, key=lambda bucket: (bucket is None, isinstance(bucket, str), bucket))


def _count(side: Mapping[Bucket, Fingerprint], bucket: Bucket) -> int:
    return side.get(bucket, Fingerprint.ZERO).rows


def _rows(source: Mapping[Bucket, Fingerprint], target: Mapping[Bucket, Fingerprint], bucket: Bucket) -> int:
    return max(_count(source, bucket), _count(target, bucket))


def _by_leaf(rows: Sequence[Row], key: int, columns: int) -> dict[Bucket, list[PulledRow]]:
    by_leaf: dict[Bucket, list[PulledRow]] = {}
    for row in rows:
        values = tuple(None if (value := row[f"c{n}"]) is None else str(value) for n in range(key + columns))
        bucket = row["bucket"]
        leaf = bucket if bucket is None or isinstance(bucket, str) else whole(bucket)
        by_leaf.setdefault(leaf, []).append(PulledRow(values[:key], values[key:]))
    return by_leaf


def _findings(
    source: Mapping[Bucket, Fingerprint],
    target: Mapping[Bucket, Fingerprint],
    differing: Sequence[Bucket],
    buckets: Buckets,
) -> tuple[BucketFinding, ...]:
    offsets = [bucket for bucket in (*source, *target) if isinstance(bucket, int)]
    span = (max(offsets) - min(offsets) or 1) if offsets else 1
    return tuple(
        BucketFinding(
            bucket=_name(bucket, buckets),
            position=_position(bucket, min(offsets, default=0), span),
            source_rows=_count(source, bucket),
            target_rows=_count(target, bucket),
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
