"""States of a SQL Server's table: one per partition, or one for all readers where the user asks for it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from migration_assets.platforms.base import ReadColumn, Row, TableName
from migration_assets.platforms.sqlserver.sql import relation
from migration_assets.resources.sources.base import Reader, Snapshot, SnapshotLostError, SourceError
from migration_assets.resources.sources.sqlserver_drivers import load_arrow_odbc, load_pyodbc
from migration_assets.resources.sources.sqlserver_errors import login_error, query_error
from migration_assets.resources.sources.sqlserver_readers import ReadRules, SQLServerReader
from migration_assets.resources.sources.sqlserver_rows import fetch_all, fetch_from, in_utf8

if TYPE_CHECKING:
    from migration_assets.resources.sources.sqlserver import SQLServerSource

SNAPSHOT_ISOLATION = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"

_STATES = """
SELECT
    CAST(snapshot_isolation_state AS INT) AS versions,
    CAST(is_read_only AS INT) AS is_read_only,
    CONVERT(NVARCHAR(60), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) AS updateability,
    CONVERT(VARCHAR(27), SYSUTCDATETIME(), 126) AS taken_at,
    @@SPID AS session
FROM sys.databases WHERE database_id = DB_ID()
"""

_ALLOWED = 1
"""Of `snapshot_isolation_state`: on, and no longer on its way."""

ROWS_AT_ONCE = 10_000
"""Rows that a steady reader fetches at once."""


class SQLServerSnapshot(Snapshot):
    """What one run, or one validation, sees of a table.

    With ALLOW_SNAPSHOT_ISOLATION each read is a SNAPSHOT transaction of its own, no longer than a partition; without,
    it is one statement under READ COMMITTED. A `strict` snapshot has all its connections from the beginning, each in a
    SNAPSHOT transaction that has begun while nobody could write into the table.
    """

    def __init__(self, source: SQLServerSource, table: TableName, *, strict: bool) -> None:
        """Connects; takes the state if it is strict.

        Raises:
            SourceError: the server can't be reached, or can't give all readers one state.
        """
        self._source = source
        self._table = table
        self._strict = strict
        self._lock = threading.Lock()
        # Apart from the other one, which a query holds for as long as it takes.
        self._lending = threading.Lock()
        self._asks = False
        self._lost = False
        self._in_transaction = False
        self._numbers = itertools.count(1)
        self._idle: list[SQLServerReader] = []
        self._members: list[SQLServerReader] = []
        self._is_open = True
        self._connection, self._lifeline = source.open_connection(table.database)
        try:
            (known,) = fetch_all(self._connection, _STATES)
            self._versions = known["versions"] == _ALLOWED
            self._identity = f"{known['taken_at']}Z, session {known['session']}"
            self._taken_at = time.monotonic()
            if self._versions:
                fetch_all(self._connection, SNAPSHOT_ISOLATION)
            self._rules = ReadRules(
                table=table,
                hands_on_bytes=not source.odbc_driver().is_freetds,
                nul_characters=source.nul_characters,
                limiter=source.limiter,
                in_transaction=not strict,
                session=(*source.session, *((SNAPSHOT_ISOLATION,) if self._versions else ())),
            )
            if strict:
                _require_one_state(table, known)
                self._begin_together()
        except BaseException:
            self.close()
            raise

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self._taken_at

    def open_reader(self) -> Reader:
        if not self._strict:
            return self._new_reader()
        with self._lending:
            if self._idle:
                return self._idle.pop()
        raise SnapshotLostError(
            f"a connection that read {self._table} was lost, and SQL Server lets no other one into its snapshot"
        )

    def open_steady_reader(self) -> Reader:
        return _SteadyReader(self)

    @contextmanager
    def steady(self) -> Iterator[bool]:
        if self._strict:
            yield True
            return
        if self._versions:
            self._begin()
        try:
            yield self._versions
        finally:
            self._end()

    def query(self, statement: str) -> list[Row]:
        with self._lock, self._asking() as cursor:
            return fetch_from(cursor, statement)

    def cancel_query(self) -> None:
        if self._asks:
            self._lifeline.cut()

    def close(self) -> None:
        """Ends the transactions that see the snapshot's state."""
        self._is_open = False
        for reader in self._members:
            reader.close()
        self._lifeline.release()
        with suppress(load_pyodbc().Error):
            self._connection.close()

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """A cursor, which `cancel_query` breaks off."""
        if self._lost:
            raise SnapshotLostError(f"SQL Server has ended the transaction that saw one state of {self._table}")
        try:
            cursor = self._connection.cursor()
        except load_pyodbc().Error as error:
            raise query_error(error) from None
        self._asks = True
        try:
            yield cursor
        except SourceError:
            # Some errors end the transaction, and what is asked behind it would see another state.
            self._lost = self._in_transaction and not self._has_transaction()
            raise
        finally:
            self._asks = False

    def _has_transaction(self) -> bool:
        try:
            return fetch_all(self._connection, "SELECT XACT_STATE() AS state")[0]["state"] == 1
        except SourceError:
            return False

    def _begin(self) -> None:
        with self._lock:
            fetch_all(self._connection, "BEGIN TRANSACTION")
            self._in_transaction = True

    def _end(self) -> None:
        with self._lock:
            self._in_transaction = self._lost = False
            with suppress(SourceError):  # A lost connection has no transaction, and the next query says so.
                fetch_all(self._connection, "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION")

    def _new_reader(self) -> SQLServerReader:
        login = self._source.login(self._table.database)
        text = login.connection_string(self._source.odbc_driver())
        try:
            return SQLServerReader(login, text, self._rules, self._next_state, give_back=self._take_back)
        except load_arrow_odbc().Error as error:
            raise login_error(error, login.place, login.database) from None

    def _next_state(self) -> str | None:
        return None if self._strict else f"{self._identity}, read {next(self._numbers)}"

    def _take_back(self, reader: SQLServerReader) -> bool:
        with self._lending:
            if not self._strict or not self._is_open:
                return False
            # It may be let go twice, and must not be lent to two.
            if reader not in self._idle:
                self._idle.append(reader)
            return True

    def _begin_together(self) -> None:
        """Begins the transactions of all connections while nobody can write into the table.

        A SNAPSHOT transaction sees the state of its first access to data, not of its BEGIN.
        """
        name = relation(self._table)
        touch = f"SELECT TOP (1) 1 AS one FROM {name}"  # noqa: S608 - a quoted name
        for _ in range(self._source.parallel_readers):
            self._members.append(self._new_reader())
        guard, lifeline = self._source.open_connection(self._table.database)
        lifeline.release()
        try:
            fetch_all(guard, "BEGIN TRANSACTION")
            fetch_all(guard, f"SELECT TOP (1) 1 AS one FROM {name} WITH (TABLOCK, HOLDLOCK)")  # noqa: S608
            self._begin()
            fetch_all(self._connection, touch)
            for reader in self._members:
                reader.begin(touch)
        finally:
            with suppress(load_pyodbc().Error):
                guard.close()
        self._idle += self._members
        self._taken_at = time.monotonic()


def _require_one_state(table: TableName, known: Row) -> None:
    if known["updateability"] == "READ_ONLY" and not known["is_read_only"]:
        raise SourceError(
            f'"consistency": "strict" can\'t be had for {table} on a secondary replica, whose state nothing holds: '
            "read the primary one with SOURCE_SQLSERVER_APPLICATION_INTENT=ReadWrite"
        )
    if known["versions"] != _ALLOWED:
        raise SourceError(
            f'"consistency": "strict" needs snapshot isolation for {table}: ALTER DATABASE '
            f"[{table.database}] SET ALLOW_SNAPSHOT_ISOLATION ON"
        )


def _array(values: Sequence[object], wanted: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, wanted)
    except UnicodeEncodeError:
        return pa.array([in_utf8(value) for value in values], wanted)


class _SteadyReader(Reader):
    """Reads texts over the snapshot's own connection."""

    def __init__(self, snapshot: SQLServerSnapshot) -> None:
        self._snapshot = snapshot
        self._source_rows = 0

    @property
    def source_rows(self) -> int:
        return self._source_rows

    def read(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        snapshot = self._snapshot
        schema = pa.schema([(column.name, column.type.to_arrow()) for column in columns])
        self._source_rows = 0
        with snapshot._lock, snapshot._asking() as cursor:
            try:
                cursor.execute(query)
                while rows := cursor.fetchmany(ROWS_AT_ONCE):
                    self._source_rows += len(rows)
                    values = zip(*rows, strict=True)
                    arrays = [_array(value, field.type) for value, field in zip(values, schema, strict=True)]
                    yield pa.Table.from_arrays(arrays, schema=schema)
            except load_pyodbc().Error as error:
                raise query_error(error) from None
            finally:
                with suppress(load_pyodbc().Error):
                    cursor.close()

    def close(self) -> None:
        self._snapshot.cancel_query()
