"""The one interface to every source: catalogue queries, a snapshot, and rows as Arrow record batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import pyarrow as pa

from migration_assets.platforms.base import (
    BulkChoice,
    PlatformError,
    QueryRunner,
    ReadColumn,
    Row,
    SourcePlatform,
    TableName,
)


class SourceError(Exception):
    """The source refused or failed; the text names the cause and the cure."""


class TransientSourceError(SourceError):
    """A fault that may be gone at the next attempt: a lost connection, a server that starts or is full."""


class SnapshotLostError(TransientSourceError):
    """The source has let the snapshot go: no new reader can open it, those that have it can go on."""


class BadValueError(ValueError):
    """A value of the source doesn't fit the type that its column was planned with."""

    def __init__(self, column: ReadColumn, value: str) -> None:
        super().__init__(f"column {column.source.name}: {value!r} is not a {column.type}")
        self.column = column
        self.value = value


class Reader(ABC):
    """One connection that reads under a snapshot. For one thread at a time."""

    @property
    def state(self) -> str | None:
        """Names the state that the last read saw, where that isn't the snapshot's own; None where it is."""
        return None

    @abstractmethod
    def read(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        """The query's rows as Arrow tables of a few megabytes.

        Raises:
            TransientSourceError: the connection was lost; the reader must not be used again.
            SourceError: the source refused the query, or a value doesn't fit its column's type.
        """

    @property
    @abstractmethod
    def source_rows(self) -> int:
        """The number of rows that the source reports to have sent for the last read, once it has ended."""

    @abstractmethod
    def close(self) -> None:
        """Ends the connection, also in the middle of a read, and then from any thread; the read fails."""


class Snapshot(ABC):
    """A state of the source that all readers see, for as long as it is open.

    A source that would be harmed by holding one gives a state of its own to each read (`Reader.state`), unless
    `strict` was asked for, and to `query` one for as long as `steady` lasts.
    """

    @property
    @abstractmethod
    def identity(self) -> str:
        """Names the state, so that two snapshots of the same state compare equal."""

    @property
    @abstractmethod
    def age_seconds(self) -> float:
        """Seconds since it was taken."""

    @abstractmethod
    def open_reader(self) -> Reader:
        """A new connection under this snapshot.

        Raises:
            SnapshotLostError: the source doesn't hold it any more.
        """

    def open_steady_reader(self) -> Reader:
        """A reader that sees the same state as `query` inside of `steady`; no query is answered while it reads."""
        return self.open_reader()

    def steady(self) -> AbstractContextManager[bool]:
        """Has all queries of the context see one state; gives whether the source can do so."""
        return nullcontext(True)

    @abstractmethod
    def query(self, statement: str) -> list[Row]:
        """Runs one statement under this snapshot, which stays as it is when the statement fails."""

    @abstractmethod
    def cancel_query(self) -> None:
        """Breaks off the statement that another thread is running with `query`; it raises SourceError there."""


class Source(ABC):
    """A database system that rows are read from."""

    @property
    @abstractmethod
    def platform(self) -> SourcePlatform:
        """What the source's SQL looks like."""

    @property
    @abstractmethod
    def parallel_readers(self) -> int:
        """Connections that one run may read with at once."""

    @property
    @abstractmethod
    def reading(self) -> str:
        """How rows are read, in words, for plans."""

    @property
    @abstractmethod
    def snapshot_seconds(self) -> float:
        """The age past which a snapshot is given up, so that it doesn't hold back the source's vacuum."""

    @abstractmethod
    def connect(self, database: str) -> AbstractContextManager[QueryRunner]:
        """A connection for catalogue queries."""

    @abstractmethod
    def open_snapshot(self, table: TableName, *, strict: bool) -> AbstractContextManager[Snapshot]:
        """A consistent state of a table and of what is beside it in its database, kept until the context ends.

        Args:
            strict: all readers have to see one state, whatever that costs the source.

        Raises:
            SourceError: the source can't give all readers one state, and it is asked for.
        """

    def choose_bulk_utility(self, asked: str | None, table_bytes: int, *, strict: bool) -> BulkChoice | None:
        """The bulk utility that reads a table; None where it is read as others are.

        Args:
            asked: the workflow's choice; None is none, and `none` is to have none.
            table_bytes: the estimated size.
            strict: all partitions have to see one state.

        Raises:
            PlatformError: what is asked for can't be had; the text names the cure.
        """
        if asked in (None, "none"):
            return None
        raise PlatformError(f"{self.platform.name} has no bulk utility {asked!r}: remove bulkUtility from the table")

    def open_bulk_reader(self, utility: str, database: str) -> Reader:
        """A reader that runs a bulk utility, which sees a state of its own.

        Raises:
            SourceError: it can't be had.
        """
        raise SourceError(f"{self.platform.name} has no bulk utility {utility!r}: plan the table again")
