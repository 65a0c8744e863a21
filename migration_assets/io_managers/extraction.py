"""What a staged asset hands to the I/O manager: partitions to read, of which nothing is read yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from migration_assets.planning import TablePlan
from migration_assets.platforms.base import ReadColumn
from migration_assets.resources.sources.base import (
    Reader,
    Snapshot,
    SnapshotLostError,
    Source,
    SourceError,
)
from migration_assets.resources.stages.base import Manifest
from migration_assets.synchronization.deletions import Deletions
from migration_assets.synchronization.progress import Progress
from migration_assets.synchronization.scope import Scope, checksum_text, conjunction

FindDeletions = Callable[[Snapshot, Progress], Deletions]
"""Asks source and target, under the snapshot that is extracted."""


@dataclass(frozen=True)
class Extraction:
    """Partitions of one generation of a table, to be read from its source.

    Attributes:
        keys: the partitions in plan order.
        has_source_facts: whether the source has already told its own figures.
        progress: what an earlier run of the generation has settled.
        known_checksums: by partition, as of the generation that is continued.
        unchanged: partitions of which an earlier run of the generation has said so.
        find_deletions: looks for keys of the target that are gone in the source; None when they are left there.
    """

    plan: TablePlan
    generation_id: int
    generation: int
    keys: tuple[str, ...]
    source: Source
    has_source_facts: bool = False
    progress: Progress | None = None
    known_checksums: Mapping[str, str] = field(default_factory=dict)
    unchanged: frozenset[str] = frozenset()
    find_deletions: FindDeletions | None = None

    @property
    def schema(self) -> pa.Schema:
        """The staged files' schema."""
        # A column without NULLs is written without marks for them.
        return pa.schema(
            [
                pa.field(column.target_name, column.type.to_arrow(), nullable=column.source.nullable)
                for column in self.plan.columns
            ]
        )

    @contextmanager
    def open(self) -> Iterator[SnapshotKeeper]:
        """Takes the snapshot."""
        with closing(SnapshotKeeper(self)) as keeper:
            yield keeper


MARKED_KIND = "table"
"""The kind of relation of which the source can tell whether rows were written since a mark."""


@dataclass(eq=False)
class MarkedSnapshot:
    """A snapshot and the text that stands for it in manifests; for an ordinary table it also names its place."""

    snapshot: Snapshot
    mark: str
    opened: ExitStack
    users: int = field(default=0)


class SnapshotKeeper:
    """Holds the snapshot that new partitions read, and takes a new one when it has grown too old or was lost.

    An old one is let go as soon as nobody uses it: a snapshot that is held harms the source.
    """

    def __init__(self, extraction: Extraction) -> None:
        self._extraction = extraction
        self._lock = threading.Lock()
        self._open: list[MarkedSnapshot] = []
        self._refusal: str | None = None
        self._current = self._take()

    @contextmanager
    def hold(self) -> Iterator[MarkedSnapshot]:
        """The snapshot to read the next partition under; it stays open until the context ends.

        Raises:
            SourceError: the old snapshot is too old or lost, and its partitions can't be continued under a new one.
        """
        with self._lock:
            self._refuse_if_broken()
            if self._current.snapshot.age_seconds > self._extraction.source.snapshot_seconds:
                self._renew()
            held = self._current
            held.users += 1
        try:
            yield held
        finally:
            with self._lock:
                held.users -= 1
                self._close_unused()

    def replace(self, lost: MarkedSnapshot) -> None:
        """Takes a new snapshot in the place of one that the source doesn't hold any more.

        Raises:
            SourceError: its partitions can't be continued under a new one.
        """
        with self._lock:
            self._refuse_if_broken()
            if self._current is lost:
                self._renew()

    def close(self) -> None:
        """Lets every snapshot go."""
        for held in list(self._open):
            held.opened.close()

    def continues(self, old_mark: str | None) -> bool:
        """Whether partitions that an older snapshot read can stay beside partitions of the current one.

        Under `strict` consistency only the same snapshot continues, and while partitions are compared by checksums,
        which are those of one snapshot. Ranges of physical blocks continue while
        no row was written since, because a changed row moves to another block. Ranges of a key always do.
        """
        if old_mark == self._current.mark:
            return True
        plan = self._extraction.plan
        if plan.consistency == "strict" or old_mark is None or plan.synchronization.strategy == "checksum":
            return False
        return not plan.physical or not self._changed_since(old_mark, self._current)

    def unchanged_since(self, old_marks: Iterable[str | None], current: MarkedSnapshot) -> tuple[str, ...]:
        """Those of some older marks since which no row of the table was written."""
        if self._extraction.plan.source_kind != MARKED_KIND:
            return ()
        marks = sorted({mark for mark in old_marks if mark not in (None, current.mark)})
        return tuple(mark for mark in marks if not self._changed_since(mark, current))

    def _changed_since(self, old_mark: str, current: MarkedSnapshot) -> bool:
        plan, platform = self._extraction.plan, self._extraction.source.platform
        return bool(current.snapshot.query(platform.changed_since(plan.source, old_mark))[0]["changed"])

    def cancel_query(self) -> None:
        """Breaks off the queries that other threads run on the snapshots' own connections, if any."""
        # Without the lock, which a thread holds during such a query.
        for held in list(self._open):
            held.snapshot.cancel_query()

    def _renew(self) -> None:
        old, self._current = self._current, self._take()
        if not self.continues(old.mark):
            self._refusal = (
                f"the snapshot of the table {self._extraction.plan.source} has grown too old or was lost, and "
                "what was read under it can't stay beside what is read under a new one: start the table again, and "
                "raise the snapshot's greatest age, or (for a table that is divided by physical blocks) name "
                "columns in columnNamesToPartitionBy"
            )
            self._refuse_if_broken()
        self._close_unused()

    def _refuse_if_broken(self) -> None:
        if self._refusal:
            raise SourceError(self._refusal)

    def _close_unused(self) -> None:
        for held in [held for held in self._open if held is not self._current and not held.users]:
            self._open.remove(held)
            held.opened.close()

    def _take(self) -> MarkedSnapshot:
        plan, source = self._extraction.plan, self._extraction.source
        opened = ExitStack()
        snapshot = opened.enter_context(source.open_snapshot(plan.source, strict=plan.consistency == "strict"))
        taken = MarkedSnapshot(snapshot, "", opened)
        self._open.append(taken)
        try:
            if plan.source_kind == MARKED_KIND:
                taken.mark = str(snapshot.query(source.platform.location_mark(plan.source))[0]["mark"])
            else:
                taken.mark = snapshot.identity
        except BaseException:
            self._open.remove(taken)
            opened.close()
            raise
        return taken


class PartitionReader:
    """Reads one partition after another over one connection; for one thread."""

    def __init__(self, extraction: Extraction, keeper: SnapshotKeeper, where: str | None) -> None:
        """Prepares it.

        Args:
            where: the filter of every partition.
        """
        self._extraction = extraction
        self._keeper = keeper
        self._where = where
        self._reader: Reader | None = None
        self._mark: str | None = None
        self._columns = [
            ReadColumn(column.target_name, column.type, column.source, column.expression)
            for column in extraction.plan.columns
        ]

    def read(self, key: str) -> Iterator[pa.Table]:
        """The rows of a partition, as Arrow tables of a few megabytes."""
        plan, platform = self._extraction.plan, self._extraction.source.platform
        predicate = plan.partition(key).predicate
        query = platform.extraction_query(plan.source, self._columns, predicate, self._where)
        yield from self._ready().read(query, self._columns)

    @property
    def snapshot(self) -> str | None:
        """The mark of the state that the last partition was read in."""
        assert self._reader is not None
        return self._reader.state or self._mark

    @property
    def has_own_state(self) -> bool:
        """Whether that state is later than the one under which everything was settled."""
        assert self._reader is not None
        return self._reader.state is not None

    @property
    def source_rows(self) -> int:
        """Rows that the source reports to have sent for the last partition."""
        assert self._reader is not None
        return self._reader.source_rows

    def close(self) -> None:
        """Ends the connection; the next read opens another."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def interrupt(self) -> None:
        """Ends the connection from another thread, so that a read that waits for the source fails."""
        if (reader := self._reader) is not None:
            reader.close()

    def _ready(self) -> Reader:
        with self._keeper.hold() as current:
            if self._reader is None or self._mark != current.mark:
                self.close()
                try:
                    self._reader = self._open(current.snapshot)
                except SnapshotLostError:
                    self._keeper.replace(current)
                    raise
                self._mark = current.mark
            return self._reader

    def _open(self, snapshot: Snapshot) -> Reader:
        plan = self._extraction.plan
        if plan.bulk_utility is not None:
            return self._extraction.source.open_bulk_reader(plan.bulk_utility, plan.source.database)
        return snapshot.open_reader()


def row_filter(plan: TablePlan, key: str, where: str | None) -> str | None:
    """The whole filter of a partition, for its manifest."""
    return conjunction(plan.partition(key).predicate, where)


def continued_manifests(manifests: Mapping[str, Manifest], keeper: SnapshotKeeper) -> dict[str, Manifest]:
    """The manifests that can stay beside partitions read under the keeper's snapshot: all of them or none."""
    snapshots = {manifest.snapshot for manifest in manifests.values()}
    return dict(manifests) if all(keeper.continues(snapshot) for snapshot in snapshots) else {}


def unchanged_manifests(manifests: Mapping[str, Manifest], scope: Scope) -> dict[str, Manifest]:
    """The manifests of partitions whose checksum is still the same."""
    return {
        key: manifest for key, manifest in manifests.items() if manifest.checksum == checksum_text(scope.checksums[key])
    }
