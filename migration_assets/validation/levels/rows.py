"""Level 3: the rows themselves, by fingerprints first, and cell by cell only where these differ.

1. One scan a side sums up every bucket of rows. Equal sums prove equal rows, for kilobytes of traffic.
2. Buckets that differ are divided into leaves of a few rows, and these summed up.
3. Columns of leaves that differ are summed up on their own: which columns differ is known before a row is fetched.
4. Rows of leaves that differ are fetched with those columns, and held against each other as multisets.

JSON that a platform prints in a form of its own can't be hashed there: its texts are read by the worker, which brings
them into one form and hashes them with the key of their row.

What the sums call different must be found in the rows; where it isn't, the outcome says so, and is no proof.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from migration_assets.platforms.base import Row
from migration_assets.platforms.canonical import CanonicalKind, CanonicalType, Fingerprint, whole
from migration_assets.platforms.canonical_sql import Bucket, Buckets, CanonicalColumn
from migration_assets.validation.alignment import Alignment, ComparedColumn
from migration_assets.validation.differences.cells import PulledRow, RowDifference, compare_rows
from migration_assets.validation.levels.buckets import (
    MOST_LISTED,
    PairedBuckets,
    Sums,
    count,
    different,
    findings,
    first_buckets,
    is_whole,
    largest,
    wanted_buckets,
)
from migration_assets.validation.levels.column_metrics import in_parts
from migration_assets.validation.questions import Question, Within, column_sums_of, sums_of, texts_of
from migration_assets.validation.results import BucketFinding, RowKind
from migration_assets.validation.sides import BudgetExceededError, Inquiry, Side, read_bucket, read_buckets, total

FEW_ROWS = 10_000
"""Rows of differing buckets that are fetched at once, without dividing them further."""

MOST_CELLS = 3_000_000
"""Values that are fetched from a side at the most; leaves beyond are counted, not looked into."""

COLUMNS_PER_QUERY = 400
"""Two sums a column, and a query of PostgreSQL has 1,664 outputs at the most."""


@dataclass
class RowsOutcome:
    """What came of comparing rows.

    Attributes:
        source: the fingerprint of all rows, without what the worker hashes.
        buckets: how many there were in the first scan.
        differing: those whose sums differ.
        differences: rows that differ, found in the leaves that were looked into.
        located: whether all differing leaves were looked into.
        unexplained: leaves whose sums differ, and whose rows don't.
        proven: whether sums alone prove a difference: not of JSON, whose text may differ and mean the same.
        stopped: why the search ended early.
    """

    source: Fingerprint
    target: Fingerprint
    buckets: int
    differing: tuple[BucketFinding, ...] = ()
    differences: tuple[RowDifference, ...] = ()
    located: bool = True
    unexplained: int = 0
    proven: bool = False
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
        hides_keys: bool = False,
    ) -> None:
        """Prepares a comparison.

        Args:
            estimated_rows: about how many rows there are.
            partition_column: the compared column whose ranges are buckets; the program chooses when it is None.
            chunks: how many buckets the first scan has; the program chooses when it is None.
            hides_keys: buckets are of hashes, so that no query and no name of a bucket shows a key.
        """
        self._inquiry = inquiry
        both_keep_json = inquiry.source.sql.keeps_json_text and inquiry.target.sql.keeps_json_text
        by_worker = [
            column
            for column in alignment.compared
            if column.canonical.kind is CanonicalKind.JSON and not both_keep_json
        ]
        others = [column for column in alignment.compared if column not in by_worker]
        # A table of nothing but JSON is hashed by its text, and what differs compared by its meaning.
        self._columns = tuple(others) or alignment.compared
        self._by_worker = tuple(by_worker) if others else ()
        self._key = alignment.key_columns
        self._key_is_unique = alignment.key_is_unique
        self._partition_column = partition_column
        self._hides_keys = hides_keys
        self._wanted_buckets = wanted_buckets(estimated_rows, chunks)

    def run(self) -> RowsOutcome:
        """Everything from the first scan to the last cell.

        Raises:
            BudgetExceededError: before anything was compared; later, the outcome tells where the work stopped.
        """
        buckets = self._first_buckets()
        source, target = self._sums("fingerprints of buckets", buckets, None)
        differing = different(source, target)
        outcome = RowsOutcome(
            source=total(source),
            target=total(target),
            buckets=len(source.keys() | target.keys()),
            differing=findings(source, target, differing, buckets.of_source),
            proven=bool(differing) and not self._has_json,
        )
        try:
            if differing:
                self._locate(buckets, source, target, differing, outcome)
            if self._by_worker:
                self._compare_by_worker(buckets, outcome)
        except BudgetExceededError as error:
            outcome.stopped, outcome.located = str(error), False
        return outcome

    @property
    def _has_json(self) -> bool:
        return any(column.canonical.kind is CanonicalKind.JSON for column in self._columns)

    # -- buckets ------------------------------------------------------------------------------------

    def _first_buckets(self) -> PairedBuckets:
        return first_buckets(self._inquiry, self._range_column(), self._key, self._wanted_buckets)

    def _range_column(self) -> ComparedColumn | None:
        """A whole number whose ranges an index finds: the first of the key, or the user's choice."""
        if self._hides_keys:
            return None
        if self._partition_column is not None:
            chosen = [column for column in self._columns if column.name == self._partition_column]
        else:
            chosen = list(self._key[:1])
        return next((column for column in chosen if is_whole(column)), None)

    # -- location -----------------------------------------------------------------------------------

    def _locate(
        self, buckets: PairedBuckets, source: Sums, target: Sums, differing: Sequence[Bucket], outcome: RowsOutcome
    ) -> None:
        rows = sum(largest(source, target, bucket) for bucket in differing)
        finer = buckets.divided(rows, len(differing)) if rows > FEW_ROWS else None
        if finer is not None:
            leaves = self._sums("fingerprints of leaves", finer, (buckets, differing))
            # The leaves must hold what their buckets held, or the tables changed in between.
            for side, of_leaves in zip((source, target), leaves, strict=True):
                expected = sum((side.get(bucket, Fingerprint.ZERO) for bucket in differing), Fingerprint.ZERO)
                if total(of_leaves) != expected:
                    outcome.unexplained += 1
            buckets, (source, target) = finer, leaves
            differing = different(source, target)
        self._compare_leaves(buckets, source, target, differing, outcome)

    def _compare_leaves(
        self, buckets: PairedBuckets, source: Sums, target: Sums, leaves: Sequence[Bucket], outcome: RowsOutcome
    ) -> None:
        # Where the number of rows differs, every column's sum does: there, all columns are fetched.
        even = [leaf for leaf in leaves if count(source, leaf) == count(target, leaf)]
        uneven = [leaf for leaf in leaves if count(source, leaf) != count(target, leaf)]
        # Without a key, both versions of a changed row are in leaves of their own: all are looked at together.
        groups = (uneven, even) if self._key else (list(leaves),)
        left_out = 0
        for group in groups:
            if not group:
                continue
            columns = self._columns
            rows = sum(largest(source, target, leaf) for leaf in group)
            if group is even and self._key_is_unique and rows > FEW_ROWS:
                columns = self._different_columns(buckets, group)
            taken = self._affordable(source, target, group, len(columns) + len(self._key))
            left_out += len(group) - len(taken)
            found, explained = self._fetched(buckets, taken, columns, self._key)
            outcome.differences += tuple(found)
            outcome.unexplained += len(taken) - len(explained)
        if left_out:
            outcome.located = False
            outcome.notes.append(
                f"{left_out:,} of {len(leaves):,} differing leaves were not looked into: they hold more rows than are "
                "fetched at once"
            )

    def _affordable(self, source: Sums, target: Sums, leaves: Sequence[Bucket], columns: int) -> list[Bucket]:
        """The leaves whose rows may be fetched.

        Raises:
            BudgetExceededError: not even one leaf may.
        """
        most = MOST_CELLS // (columns + 1)
        if self._inquiry.budget.rows is not None:
            most = min(most, (self._inquiry.budget.rows - self._inquiry.spent_rows) // 2)
        taken: list[Bucket] = []
        rows = 0
        for leaf in leaves:
            size = largest(source, target, leaf)
            if rows + size <= most:
                taken.append(leaf)
                rows += size
        if not taken:
            smallest = min(largest(source, target, leaf) for leaf in leaves)
            raise BudgetExceededError(
                f"rows of differing leaves: {max(most, 0):,} more rows of a side may be fetched, and the smallest leaf "
                f"has {smallest:,}{self._inquiry.advice('rows')}"
            )
        return taken

    def _different_columns(self, buckets: PairedBuckets, leaves: Sequence[Bucket]) -> tuple[ComparedColumn, ...]:
        """The columns whose values, each with its key, differ in some leaves. The key must be unique."""
        others = [column for column in self._columns if column not in self._key]
        if not others:
            return self._columns

        def question(side: Side, view: _View, columns: Sequence[ComparedColumn], within: Within) -> Question:
            return column_sums_of(
                side, _seen(view, columns), _seen(view, self._key), _seen(view, self._columns), within
            )

        found: set[str] = set()
        for listed in in_parts(leaves, MOST_LISTED):
            for columns in in_parts(others, COLUMNS_PER_QUERY):
                source, target = self._inquiry.both(
                    "fingerprints of columns",
                    question(self._inquiry.source, _of_source, columns, Within(buckets.of_source, listed)),
                    question(self._inquiry.target, _of_target, columns, Within(buckets.of_target, listed)),
                )
                for number, column in enumerate(columns):
                    names = (f"high_{number}", f"low_{number}")
                    if any(_added(source, name) != _added(target, name) for name in names):
                        found.add(column.name)
        return tuple(column for column in others if column.name in found) or self._columns

    def _fetched(
        self,
        buckets: PairedBuckets,
        leaves: Sequence[Bucket],
        columns: Sequence[ComparedColumn],
        key: Sequence[ComparedColumn],
    ) -> tuple[list[RowDifference], set[Bucket]]:
        """The differing rows of some leaves, and the leaves that they explain."""
        names = [column.name for column in key]
        types = {column.name: column.canonical for column in columns}
        found: list[RowDifference] = []
        explained: set[Bucket] = set()
        without_key: tuple[list[PulledRow], list[PulledRow]] = ([], [])
        for listed in in_parts(leaves, MOST_LISTED):
            source, target = self._pulled(buckets, listed, columns, key)
            for leaf in listed:
                of_leaf = source.get(leaf, []), target.get(leaf, [])
                # JSON of another text may mean the same: other texts explain a leaf, too.
                if Counter(of_leaf[0]) != Counter(of_leaf[1]):
                    explained.add(leaf)
                if names:
                    found += compare_rows(*of_leaf, key=names, columns=types).rows
                else:
                    without_key[0].extend(of_leaf[0])
                    without_key[1].extend(of_leaf[1])
        if not names:
            found += compare_rows(*without_key, key=names, columns=types, pair_similar=True).rows
        return found, explained

    def _pulled(
        self,
        buckets: PairedBuckets,
        leaves: Sequence[Bucket],
        columns: Sequence[ComparedColumn],
        key: Sequence[ComparedColumn],
    ) -> tuple[dict[Bucket, list[PulledRow]], dict[Bucket, list[PulledRow]]]:
        def question(side: Side, view: _View, of: Buckets) -> Question:
            fetched = _seen(view, (*key, *columns))
            return texts_of(side, fetched, _seen(view, self._columns), of, within=Within(of, leaves))

        source, target = self._inquiry.both(
            "rows of differing leaves",
            question(self._inquiry.source, _of_source, buckets.of_source),
            question(self._inquiry.target, _of_target, buckets.of_target),
        )
        return _by_leaf(source, len(key), len(columns)), _by_leaf(target, len(key), len(columns))

    # -- what the worker hashes ---------------------------------------------------------------------

    def _compare_by_worker(self, buckets: PairedBuckets, outcome: RowsOutcome) -> None:
        """Compares the columns that can't be hashed where they are, each with the key of its row."""
        # Without a unique key, all other columns stand for one.
        key = self._key if self._key_is_unique else self._columns
        columns = {f"c{n}": CanonicalType(CanonicalKind.TEXT) for n in range(len(key))}
        columns |= {f"c{len(key) + n}": column.canonical for n, column in enumerate(self._by_worker)}

        def question(side: Side, view: _View, of: Buckets) -> Question:
            return texts_of(side, _seen(view, (*key, *self._by_worker)), _seen(view, self._columns), of, as_text=True)

        hashed = self._inquiry.both_hashed(
            "fingerprints of JSON, by the worker",
            question(self._inquiry.source, _of_source, buckets.of_source),
            question(self._inquiry.target, _of_target, buckets.of_target),
            columns,
        )
        source, target = (
            {buckets.read(None if name is None else str(name)): found for name, found in sums.items()}
            for sums in hashed
        )
        differing = different(source, target)
        if not differing:
            return
        known = {finding.bucket for finding in outcome.differing}
        more = findings(source, target, differing, buckets.of_source)
        outcome.differing += tuple(finding for finding in more if finding.bucket not in known)
        taken = self._affordable(source, target, differing, len(self._by_worker) + len(key))
        if len(taken) < len(differing):
            outcome.located = False
            outcome.notes.append(f"JSON of {len(differing) - len(taken):,} differing buckets was not looked into")
        rows, explained = self._fetched(buckets, taken, self._by_worker, key)
        changed = [row for row in rows if row.kind is RowKind.CHANGED]
        outcome.differences = _joined(outcome.differences, changed)
        outcome.unexplained += len(taken) - len(explained)
        if not self._key_is_unique and len(changed) < len(rows):
            # Rows whose other columns differ, too, have no partner here: their JSON was not compared.
            outcome.unexplained += len(rows) - len(changed)
            outcome.notes.append("JSON of rows whose other columns differ was not compared: rows have no unique key")

    # -- sums ---------------------------------------------------------------------------------------

    def _sums(
        self, step: str, buckets: PairedBuckets, within: tuple[PairedBuckets, Collection[Bucket]] | None
    ) -> tuple[Sums, Sums]:
        """The sums of all buckets, or of those within some wider ones."""

        def question(side: Side, view: _View, of: Buckets, wider: Buckets | None) -> Question:
            some = Within(wider, within[1]) if wider is not None and within is not None else None
            return sums_of(side, _seen(view, self._columns), of, within=some)

        source, target = self._inquiry.both(
            step,
            question(self._inquiry.source, _of_source, buckets.of_source, within[0].of_source if within else None),
            question(self._inquiry.target, _of_target, buckets.of_target, within[0].of_target if within else None),
        )
        return read_buckets(source), read_buckets(target)


_View = Callable[[ComparedColumn], CanonicalColumn]


def _of_source(column: ComparedColumn) -> CanonicalColumn:
    return column.of_source


def _of_target(column: ComparedColumn) -> CanonicalColumn:
    return column.of_target


def _seen(view: _View, columns: Sequence[ComparedColumn]) -> list[CanonicalColumn]:
    return [view(column) for column in columns]


def _added(rows: Sequence[Row], name: str) -> int:
    """A figure of an answer in parts."""
    return sum(whole(row[name]) for row in rows)


def _joined(differences: Sequence[RowDifference], more: Sequence[RowDifference]) -> tuple[RowDifference, ...]:
    """Differences of other columns, put to those of the same rows."""
    joined = list(differences)
    places = {tuple(one.key.items()): place for place, one in enumerate(joined) if one.kind is RowKind.CHANGED}
    for one in more:
        place = places.get(tuple(one.key.items()))
        if place is None:
            joined.append(one)
        else:
            joined[place] = replace(joined[place], cells=(*joined[place].cells, *one.cells))
    return tuple(joined)


def _by_leaf(rows: Sequence[Row], key: int, columns: int) -> dict[Bucket, list[PulledRow]]:
    by_leaf: dict[Bucket, list[PulledRow]] = {}
    for row in rows:
        values = tuple(None if (value := row[f"c{n}"]) is None else str(value) for n in range(key + columns))
        by_leaf.setdefault(read_bucket(row["bucket"]), []).append(PulledRow(values[:key], values[key:]))
    return by_leaf
