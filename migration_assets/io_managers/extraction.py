"""What a staged asset hands to the I/O manager: partitions to read, of which nothing is read yet."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pyarrow as pa

from migration_assets.planning import TablePlan
from migration_assets.resources.sources.base import ReadColumn, Reader, Snapshot, Source, SourceError
from migration_assets.resources.stages.base import Manifest


@dataclass(frozen=True)
class Extraction:
    """Partitions of one generation of a table, to be read from its source.

    Attributes:
        keys: the partitions in plan order.
        has_source_facts: whether the source was already asked for its own figures.
    """

    plan: TablePlan
    generation_id: int
    generation: int
    keys: tuple[str, ...]
    source: Source
    has_source_facts: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The staged files' schema."""
        return pa.schema([pa.field(column.target_name, column.type.to_arrow()) for column in self.plan.columns])

    @contextmanager
    def open(self) -> Iterator[SnapshotKeeper]:
        """Takes the snapshot."""
        with ExitStack() as opened:
            yield SnapshotKeeper(self, opened)


@dataclass(frozen=True)
class MarkedSnapshot:
    """A snapshot and the text that stands for it in manifests; for physical ranges it also names the place."""

    snapshot: Snapshot
    mark: str


class SnapshotKeeper:
    """Holds the snapshot that new partitions read, and takes a new one when it has grown too old."""

    def __init__(self, extraction: Extraction, opened: ExitStack) -> None:
        self._extraction = extraction
        self._opened = opened
        self._lock = threading.Lock()
        self._current = self._take()

    def current(self) -> MarkedSnapshot:
        """The snapshot to read the next partition under.

        Raises:
            SourceError: the old snapshot is too old, and its partitions can't be continued under a new one.
        """
        with self._lock:
            if self._current.snapshot.age_seconds > self._extraction.source.snapshot_seconds:
                old, self._current = self._current, self._take()
                if not self.continues(old.mark):
                    raise SourceError(
                        f"the table {self._extraction.plan.source} has changed while it was read for longer "
                        "than a snapshot may live: raise the snapshot's greatest age, or (for a table that is "
                        "divided by physical blocks) name columns in columnNamesToPartitionBy"
                    )
            return self._current

    def continues(self, old_mark: str | None) -> bool:
        """Whether partitions that an older snapshot read can stay beside partitions of the current one.

        Under `strict` consistency only the same snapshot continues. Ranges of physical blocks continue while
        no row was written since, because a changed row moves to another block. Ranges of a key always do.
        """
        if old_mark == self._current.mark:
            return True
        plan, platform = self._extraction.plan, self._extraction.source.platform
        if plan.consistency == "strict" or old_mark is None:
            return False
        if not plan.physical:
            return True
        return not self._current.snapshot.query(platform.changed_since(plan.source, old_mark))[0]["changed"]

    def cancel_query(self) -> None:
        """Breaks off the query that another thread runs on the snapshot's own connection, if any."""
        self._current.snapshot.cancel_query()

    def _take(self) -> MarkedSnapshot:
        plan, source = self._extraction.plan, self._extraction.source
        snapshot = self._opened.enter_context(source.open_snapshot(plan.source.database))
        if not plan.physical:
            return MarkedSnapshot(snapshot, snapshot.identity)
        mark = snapshot.query(source.platform.location_mark(plan.source))[0]["mark"]
        return MarkedSnapshot(snapshot, str(mark))


class PartitionReader:
    """Reads one partition after another over one connection; for one thread."""

    def __init__(self, extraction: Extraction, keeper: SnapshotKeeper) -> None:
        self._extraction = extraction
        self._keeper = keeper
        self._reader: Reader | None = None
        self.snapshot: str | None = None
        plan = extraction.plan
        self._columns = [ReadColumn(column.target_name, column.type, column.source) for column in plan.columns]
        self._selected = [(column.target_name, column.expression) for column in plan.columns]

    def read(self, key: str) -> Iterator[pa.Table]:
        """The rows of a partition, as Arrow tables of a few megabytes."""
        plan, platform = self._extraction.plan, self._extraction.source.platform
        predicate = plan.partition(key).predicate
        query = platform.extraction_query(plan.source, self._selected, predicate, plan.where)
        yield from self._ready().read(query, self._columns)

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

    def _ready(self) -> Reader:
        current = self._keeper.current()
        if self._reader is None or self.snapshot != current.mark:
            self.close()
            self._reader = current.snapshot.open_reader()
            self.snapshot = current.mark
        return self._reader


def row_filter(plan: TablePlan, key: str) -> str | None:
    """The whole filter of a partition, for its manifest."""
    parts = [part for part in (plan.partition(key).predicate, plan.where) if part]
    return " AND ".join(f"({part})" for part in parts) or None


def finished_manifests(manifests: Mapping[str, Manifest], keeper: SnapshotKeeper) -> dict[str, Manifest]:
    """The manifests that can stay beside partitions read under the keeper's snapshot: all of them or none."""
    snapshots = {manifest.snapshot for manifest in manifests.values()}
    return dict(manifests) if all(keeper.continues(snapshot) for snapshot in snapshots) else {}
