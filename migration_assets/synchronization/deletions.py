"""Rows that the source has deleted, found without change data capture, for about the traffic of their keys.

Under one snapshot a row of the source is *changed*, which the run moves anyway, or *settled*. The target is still as
the last run left it: it has the settled rows, those of the changed ones that it had before, and the rows that were
deleted.

1. One scan a side sums up the keys of every bucket; in the source, of settled and of changed rows apart.
2. Where the target has the keys of the settled rows alone, or all keys of the source, nothing was deleted. Nor was it
   where the settled keys and some of a few changed ones make up the target's sums: their hashes are fetched and tried.
3. What is left is divided into leaves and summed up again, as long as it holds many keys.
4. The keys of what is left are fetched from both sides. Those of the target that no row of the source has were deleted.

Fetched keys must add up to the sums of step 1 or 3: a key that was lost on its way is never taken for a deleted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import pyarrow as pa
import pyarrow.compute as pc

from migration_assets.platforms.base import Row
from migration_assets.platforms.canonical import CanonicalKind, Fingerprint, whole
from migration_assets.platforms.canonical_sql import Bucket
from migration_assets.validation.alignment import ComparedColumn
from migration_assets.validation.differences.arrow_lane import text_fingerprint
from migration_assets.validation.levels.buckets import (
    MOST_LEAVES,
    MOST_LISTED,
    ROWS_PER_LEAF,
    PairedBuckets,
    Sums,
    count,
    different,
    first_buckets,
    is_whole,
    wanted_buckets,
)
from migration_assets.validation.levels.column_metrics import in_parts
from migration_assets.validation.questions import Question, Within, keys_of, sums_of
from migration_assets.validation.sides import Inquiry, Side, read_buckets, total

FEW_KEYS = 10_000
"""Keys of a side that are fetched at once, without dividing their buckets further."""

FULL_LEAF = 4 * ROWS_PER_LEAF
"""Keys of a leaf that is divided again: leaves hold more than they should where keys have gaps."""

MOST_PARTS = 16
"""Of a leaf that is divided again, at least: the next hexadecimal digit of a hash."""

FEW_CHANGED = 12
"""Changed keys of a bucket whose subsets are tried: 924 of one size at the most."""

MOST_KEYS = 500_000
"""Keys that one statement fetches, unless a single bucket holds more."""


class DeletionError(Exception):
    """Deleted rows can't be told, or can't be deleted; the text says why, and what to do."""


class TooManyDeletionsError(DeletionError):
    """More rows are gone than may be deleted.

    Attributes:
        found: how many are certain; there may be more.
    """

    def __init__(self, found: int, target_rows: int, limit: int) -> None:
        super().__init__(
            f"the source no longer has {found:,} or more of the {target_rows:,} rows of the target, and {limit:,} may "
            "be deleted at once: see whether the source lost them by mistake; if not, allow more deletions, or move "
            "the whole table again"
        )
        self.found = found
        self.target_rows = target_rows
        self.limit = limit


@dataclass(frozen=True)
class Deletions:
    """What a search has found.

    Attributes:
        keys: the key of every deleted row, once: names and values of the target's own columns. Without any row its
            columns have no type.
        target_rows: rows of the target that were compared.
        source_rows: rows of the source that were compared, settled and changed ones.
        pulled_keys: keys, and hashes of keys, that came from both sides.
        pulled_bytes: about what came from both sides in all, sums included.
    """

    keys: pa.Table
    target_rows: int
    source_rows: int
    pulled_keys: int
    pulled_bytes: int


def find_deletions(
    inquiry: Inquiry, key: Sequence[ComparedColumn], changed: str, *, estimated_rows: int, limit: int
) -> Deletions:
    """The keys of the target that no row of the source has.

    Args:
        inquiry: of the source under its snapshot and the user's filter, and of the whole target, which must not be
            changed meanwhile. A row that has left the filter counts as deleted.
        key: by which the target's rows are deleted. It may be there several times on either side.
        changed: a condition in the source's SQL for the rows that the run moves.
        estimated_rows: about how many rows there are.
        limit: the most keys that may be deleted. As long as keys are not fetched, each row that the target has more
            than the source stands for one.

    Raises:
        TooManyDeletionsError: more than `limit` are gone; most often known before a key is fetched.
        DeletionError: the key of a deleted row has a NULL, the key has JSON that can't be compared, or the target was
            changed meanwhile.
        BudgetExceededError, SourceError, WarehouseError: a side can't be asked.
    """
    if not key:
        raise ValueError("deletions are found by a key")
    if not (inquiry.source.sql.keeps_json_text and inquiry.target.sql.keeps_json_text):
        for column in key:
            if column.canonical.kind is CanonicalKind.JSON:
                raise DeletionError(
                    f"deletions can't be found by a key with {column.name}: one side writes JSON in a form of its own; "
                    "choose a key without it"
                )
    return _Search(inquiry, tuple(key), changed, limit).run(estimated_rows)


@dataclass(frozen=True)
class _KeySums:
    """The fingerprints of keys by bucket."""

    settled: Sums
    changed: Sums
    target: Sums

    def of_source(self, bucket: Bucket) -> Fingerprint:
        return self.settled.get(bucket, Fingerprint.ZERO) + self.changed.get(bucket, Fingerprint.ZERO)

    def of_target(self, bucket: Bucket) -> Fingerprint:
        return self.target.get(bucket, Fingerprint.ZERO)

    def unexplained(self) -> list[Bucket]:
        """Buckets in which the target has neither just the settled keys nor all of the source."""
        return [one for one in different(self.settled, self.target) if self.of_source(one) != self.of_target(one)]

    def surplus(self) -> int:
        """The rows that buckets of the target have more than the source: at least as many are gone."""
        return sum(max(0, found.rows - self.of_source(bucket).rows) for bucket, found in self.target.items())

    def largest(self, bucket: Bucket) -> int:
        """The rows of a bucket on the side that has more."""
        return max(self.of_source(bucket).rows, self.of_target(bucket).rows)

    def may_be_updates(self, bucket: Bucket) -> bool:
        """Whether some of its changed keys, few enough to try, could be what the target has beside the settled ones."""
        sought = count(self.target, bucket) - count(self.settled, bucket)
        return 0 < sought < count(self.changed, bucket) <= FEW_CHANGED

    def are_updates(self, bucket: Bucket, changed: Sequence[Fingerprint]) -> bool:
        """Whether the target has the settled keys and some of these."""
        settled, target = self.settled.get(bucket, Fingerprint.ZERO), self.of_target(bucket)
        return any(sum(some, settled) == target for some in combinations(changed, target.rows - settled.rows))


class _Search:
    """The search for the deleted rows of one table."""

    def __init__(self, inquiry: Inquiry, key: tuple[ComparedColumn, ...], changed: str, limit: int) -> None:
        self._inquiry = inquiry
        self._key = key
        self._of_source = [column.of_source for column in key]
        self._of_target = [column.of_target for column in key]
        self._changed = changed
        self._limit = limit
        self._target_rows = 0
        self._pulled_keys = 0

    def run(self, estimated_rows: int) -> Deletions:
        """All steps."""
        spent_before = self._inquiry.spent_bytes
        column = self._key[0] if len(self._key) == 1 and is_whole(self._key[0]) else None
        buckets = first_buckets(self._inquiry, column, self._key, wanted_buckets(estimated_rows))
        sums = self._sums("fingerprints of keys", buckets)
        self._target_rows = total(sums.target).rows
        source_rows = total(sums.settled).rows + total(sums.changed).rows
        self._require_few(sums.surplus())
        unexplained = self._unexplained(buckets, sums)
        while (finer := _divided(buckets, sums, unexplained)) is not None:
            leaves = self._sums("fingerprints of keys in leaves", finer, (buckets, unexplained))
            _require_same(
                sum(map(sums.of_source, unexplained), Fingerprint.ZERO),
                total(leaves.settled) + total(leaves.changed),
                self._inquiry.source,
            )
            _require_same(
                sum(map(sums.of_target, unexplained), Fingerprint.ZERO), total(leaves.target), self._inquiry.target
            )
            buckets, sums = finer, leaves
            self._require_few(sums.surplus())
            unexplained = self._unexplained(buckets, sums)
        keys = self._deleted(buckets, sums, unexplained)
        return Deletions(
            keys=keys,
            target_rows=self._target_rows,
            source_rows=source_rows,
            pulled_keys=self._pulled_keys,
            pulled_bytes=self._inquiry.spent_bytes - spent_before,
        )

    def _require_few(self, found: int) -> None:
        if found > self._limit:
            raise TooManyDeletionsError(found, self._target_rows, self._limit)

    # -- sums ---------------------------------------------------------------------------------------

    def _sums(
        self, step: str, buckets: PairedBuckets, within: tuple[PairedBuckets, Sequence[Bucket]] | None = None
    ) -> _KeySums:
        """The sums of all buckets, or of those within some wider ones."""
        source, target = self._inquiry.source, self._inquiry.target
        sums: tuple[dict[Bucket, Fingerprint], ...] = ({}, {}, {})
        wider, names = within or (buckets, ())
        for listed in in_parts(names, MOST_LISTED):
            some = [Within(one, listed) if within else None for one in (wider.of_source, wider.of_target)]
            of_source, of_target = self._inquiry.both(
                step,
                sums_of(source, self._of_source, buckets.of_source, within=some[0], mark=self._changed),
                sums_of(target, self._of_target, buckets.of_target, within=some[1]),
            )
            for found, rows in zip(sums, (*_by_mark(of_source), of_target), strict=True):
                found.update(read_buckets(rows))
        return _KeySums(*sums)

    def _unexplained(self, buckets: PairedBuckets, sums: _KeySums) -> list[Bucket]:
        """Buckets from which rows may have been deleted."""
        unexplained = sums.unexplained()
        candidates = [bucket for bucket in unexplained if sums.may_be_updates(bucket)]
        source, single = self._inquiry.source, buckets.of_single_keys()
        explained: set[Bucket] = set()
        for listed in _portions(candidates, lambda bucket: count(sums.changed, bucket)):
            some = Within(buckets.of_source, listed)
            question = sums_of(source, self._of_source, single.of_source, within=some, condition=self._changed)
            found_keys = read_buckets(self._inquiry.one("hashes of changed keys", source, question))
            self._pulled_keys += len(found_keys)
            changed: dict[Bucket, list[Fingerprint]] = {}
            for key, found in found_keys.items():
                changed.setdefault(buckets.holding(key), []).append(found)
            explained.update(bucket for bucket in listed if sums.are_updates(bucket, changed.get(bucket, [])))
        return [bucket for bucket in unexplained if bucket not in explained]

    # -- keys ---------------------------------------------------------------------------------------

    def _deleted(self, buckets: PairedBuckets, sums: _KeySums, unexplained: Sequence[Bucket]) -> pa.Table:
        """The keys that only the target has, in its own columns."""
        names = [column.target.name for column in self._key]
        found = [pa.table([pa.nulls(0) for _ in names], names=names)]
        rows = 0
        for listed in _portions(unexplained, lambda bucket: sums.of_source(bucket).rows + sums.of_target(bucket).rows):
            keys = self._only_of_target(buckets, sums, listed)
            found.append(keys.rename_columns(names))
            rows += keys.num_rows
            self._require_few(rows)
        deleted = pa.concat_tables(found, promote_options="permissive")
        for name, column in zip(names, deleted.columns, strict=True):
            if column.null_count:
                raise DeletionError(
                    f"{column.null_count:,} of {deleted.num_rows:,} deleted rows have NULL in the key's column {name}, "
                    "and no condition on a key finds such rows: delete them from the target by hand, or choose a key "
                    "whose columns are never NULL"
                )
        return deleted

    def _only_of_target(self, buckets: PairedBuckets, sums: _KeySums, listed: Sequence[Bucket]) -> pa.Table:
        source, target = self._inquiry.source, self._inquiry.target
        of_target = target.sql.in_buckets(self._of_target, buckets.of_target, listed)
        source_keys, target_keys = self._inquiry.both_read(
            "keys of unexplained buckets",
            keys_of(source, self._of_source, Within(buckets.of_source, listed)),
            Question(
                target.sql.keys_query(target.relation, self._of_target, target.narrowed(of_target), with_values=True),
                ("row_text", *(f"k{number}" for number in range(len(self._key)))),
            ),
        )
        self._pulled_keys += source_keys.num_rows + target_keys.num_rows
        source_texts, target_texts = _texts(source_keys), _texts(target_keys)
        for side, texts, of_side in (
            (source, source_texts, sums.of_source),
            (target, target_texts, sums.of_target),
        ):
            _require_same(sum(map(of_side, listed), Fingerprint.ZERO), text_fingerprint(texts), side)
        only = pc.indices_nonzero(pc.invert(pc.is_in(target_texts, value_set=source_texts)))
        # Rows of one key are deleted together.
        places = dict(zip(target_texts.take(only).to_pylist(), only.to_pylist(), strict=True))
        return target_keys.take(pa.array(list(places.values()), pa.int64())).drop_columns(["row_text"])


def _texts(keys: pa.Table) -> pa.Array:
    return keys.column("row_text").cast(pa.string()).combine_chunks()


def _divided(buckets: PairedBuckets, sums: _KeySums, unexplained: Sequence[Bucket]) -> PairedBuckets | None:
    """Leaves of unexplained buckets; None when their keys may as well be fetched."""
    rows = sum(map(sums.largest, unexplained))
    # Where half of the keys are gone, leaves would spare little.
    enough = max(FEW_KEYS, FULL_LEAF * len(unexplained), 2 * sums.surplus())
    if rows <= enough or len(unexplained) * MOST_PARTS > MOST_LEAVES:
        return None
    return buckets.divided(rows, len(unexplained))


def _require_same(expected: Fingerprint, found: Fingerprint, side: Side) -> None:
    if found != expected:
        raise DeletionError(
            f"the {side.name} was changed while keys were compared: {expected.rows:,} keys were summed up, and "
            f"{found.rows:,} or others came after that; see that nothing else writes into it, and run this again"
        )


def _by_mark(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows of a bucket query: of what isn't marked, and of what is."""
    marked: tuple[list[Row], list[Row]] = ([], [])
    for row in rows:
        marked[whole(row["marked"])].append(row)
    return marked


def _portions(buckets: Sequence[Bucket], size: Callable[[Bucket], int]) -> Iterator[list[Bucket]]:
    """Buckets for one statement each: as many as it can name, and whose keys are not too many."""
    portion: list[Bucket] = []
    keys = 0
    for bucket in buckets:
        if portion and (len(portion) == MOST_LISTED or keys + size(bucket) > MOST_KEYS):
            yield portion
            portion, keys = [], 0
        portion.append(bucket)
        keys += size(bucket)
    if portion:
        yield portion
