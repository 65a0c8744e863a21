"""A source without a server: rows that a test makes, and the faults that it wants.

A stub can do what no server does on demand: break off after the third block, hang, move on between two
snapshots. What a source really does is tested with a server, in `resources/test_postgresql_source.py`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from migration_assets.planning import PlannedColumn, PlannedPartition, TablePlan
from migration_assets.platforms import types
from migration_assets.platforms.base import QueryRunner, ReadColumn, Row, SourceColumn, SourcePlatform, TableName
from migration_assets.platforms.postgresql import PostgreSQL
from migration_assets.platforms.types import ColumnType
from migration_assets.resources.sources.base import (
    Reader,
    Snapshot,
    SnapshotLostError,
    Source,
    SourceError,
    TransientSourceError,
)

Tables = Callable[[], Iterator[pa.Table]]
"""Makes the rows of a partition, each time that it is read."""


class StubPlatform(PostgreSQL):
    """PostgreSQL's knowledge, but a partition's query is its key."""

    def extraction_query(
        self, table: TableName, columns: Sequence[ReadColumn], predicate: str | None, where: str | None
    ) -> str:
        return str(predicate)

    def location_mark(self, table: TableName) -> str:
        return "mark"

    def changed_since(self, table: TableName, mark: str) -> str:
        return f"changed since {mark}"


@dataclass(frozen=True)
class Fault:
    """What happens to one attempt at a partition, behind so many of its tables."""

    error: Exception
    after_tables: int = 0


@dataclass(frozen=True)
class Hang:
    """The source says nothing more until the connection is closed."""

    begun: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class StubSource(Source):
    """Partitions by key, and what goes wrong with them.

    Attributes:
        faults: by partition key, one for each attempt from the first on; attempts behind them succeed.
        moves_on: whether every snapshot is another state of the source.
        state_per_read: whether every read sees a state of its own, unless one was asked for.
        rows_changed: what the source says when it is asked whether rows have moved since a snapshot.
        facts: answers the question for the source's own figures; by default it counts the rows.
        before_read: called before a partition's first table is handed out.
        unsent: rows that the source says to have sent and has not, by partition key.
        reads: the keys in the order in which they were read.
    """

    partitions: Mapping[str, Tables]
    faults: dict[str, list[Fault | Hang]] = field(default_factory=dict)
    readers: int = 2
    limit: float = 3600.0
    moves_on: bool = False
    state_per_read: bool = False
    rows_changed: bool = False
    facts: Callable[[StubSnapshot], list[Row]] | None = None
    before_read: Callable[[str, StubSnapshot], None] = lambda key, snapshot: None
    unsent: dict[str, int] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    snapshots: list[StubSnapshot] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    open_readers: int = 0
    _number: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def platform(self) -> SourcePlatform:
        return StubPlatform()

    @property
    def reading(self) -> str:
        return "a stub"

    @property
    def parallel_readers(self) -> int:
        return self.readers

    @property
    def snapshot_seconds(self) -> float:
        return self.limit

    def connect(self, database: str) -> AbstractContextManager[QueryRunner]:
        raise NotImplementedError

    @contextmanager
    def open_snapshot(self, table: TableName, *, strict: bool) -> Iterator[Snapshot]:
        number = next(self._number)
        snapshot = StubSnapshot(self, f"state {number if self.moves_on else 1}", strict)
        self.snapshots.append(snapshot)
        try:
            yield snapshot
        finally:
            snapshot.is_open = False

    def count(self) -> int:
        """All rows."""
        return sum(table.num_rows for make in self.partitions.values() for table in make())


@dataclass(eq=False)
class StubSnapshot(Snapshot):
    """A state of the stub."""

    source: StubSource
    name: str
    strict: bool = False
    age: float = 0.0
    is_open: bool = True
    is_lost: bool = False
    is_steady: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def identity(self) -> str:
        return self.name

    @property
    def age_seconds(self) -> float:
        return self.age

    def open_reader(self) -> Reader:
        if self.is_lost or not self.is_open:
            raise SnapshotLostError("the snapshot is gone")
        self.source.open_readers += 1
        return StubReader(self)

    @contextmanager
    def steady(self) -> Iterator[bool]:
        self.is_steady = True
        yield True
        self.is_steady = False

    def query(self, statement: str) -> list[Row]:
        self.source.questions.append(statement)
        if statement == "mark":
            return [{"mark": self.name}]
        if statement.startswith("changed since "):
            return [{"changed": self.source.rows_changed}]
        if self.source.facts is not None:
            return self.source.facts(self)
        return [{"row_count": self.source.count()}]

    def cancel_query(self) -> None:
        self.cancelled.set()


class StubReader(Reader):
    """Reads the stub's partitions."""

    def __init__(self, snapshot: StubSnapshot) -> None:
        self._snapshot = snapshot
        self._rows = 0
        self._closed = threading.Event()

    @property
    def state(self) -> str | None:
        source = self._snapshot.source
        return f"read {len(source.reads)}" if source.state_per_read and not self._snapshot.strict else None

    @property
    def source_rows(self) -> int:
        return self._rows

    def read(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        assert not self._closed.is_set(), "a closed reader is read again"
        source = self._snapshot.source
        source.reads.append(query)
        waiting = source.faults.get(query, [])
        fault = waiting.pop(0) if waiting else None
        source.before_read(query, self._snapshot)
        self._rows = source.unsent.get(query, 0)
        for number, table in enumerate(source.partitions[query]()):
            self._happen(fault, number)
            self._rows += table.num_rows
            yield table
        if isinstance(fault, Fault):
            raise fault.error

    def _happen(self, fault: Fault | Hang | None, number: int) -> None:
        if isinstance(fault, Fault) and number >= fault.after_tables:
            raise fault.error
        if isinstance(fault, Hang):
            fault.begun.set()
            if not self._closed.wait(60):
                raise SourceError("nobody has closed the connection")
        if self._closed.is_set():
            raise TransientSourceError("the connection was closed")

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._snapshot.source.open_readers -= 1


COLUMN = SourceColumn("id", "bigint", "bigint", nullable=False)


def planned_column(
    name: str,
    kind: ColumnType,
    native_type: str = "text",
    *,
    base_type: str | None = None,
    target_type: str = "?",
    nullable: bool = True,
) -> PlannedColumn:
    """A column that keeps its name and is read as it is."""
    source = SourceColumn(name, native_type, base_type or native_type, nullable)
    return PlannedColumn(source=source, target_name=name, type=kind, target_type=target_type, expression=f'"{name}"')


def table_plan(
    keys: Sequence[str],
    columns: Sequence[PlannedColumn] = (),
    *,
    workflow: str = "sales",
    table: str = "orders",
    physical: bool = False,
    consistency: str = "snapshot",
    metrics_check: bool = False,
    fingerprint_check: bool = False,
    where: str | None = None,
) -> TablePlan:
    """A plan of a table `orders`, by default with one column `id`, whose partitions are known by their keys."""
    return TablePlan(
        workflow=workflow,
        table=table,
        source_platform="postgresql",
        source=TableName("shop", "public", table),
        source_kind="table",
        target=TableName("SHOP", "PUBLIC", table.upper()),
        columns=tuple(columns)
        or (
            PlannedColumn(
                source=COLUMN, target_name="id", type=types.integer(64), target_type="BIGINT", expression='"id"'
            ),
        ),
        partitions=tuple(PlannedPartition(key=key, predicate=key, description=f"part {key}", rows=1) for key in keys),
        method="ranges of id",
        physical=physical,
        where=where,
        primary_key=("id",),
        estimated_rows=len(keys),
        estimated_bytes=8 * len(keys),
        consistency=consistency,
        metrics_check=metrics_check,
        fingerprint_check=fingerprint_check,
        notes=(),
        config_hash="0" * 64,
    )


def ids(first: int, count: int, tables: int = 1) -> Tables:
    """Consecutive numbers in a column `id`, in so many tables."""

    def make() -> Iterator[pa.Table]:
        for number in range(tables):
            start = first + number * count
            yield pa.table({"id": pa.array(range(start, start + count), pa.int64())})

    return make
