"""PostgreSQL as a source: COPY streams under an exported snapshot."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TypeVar

import asyncpg
import psycopg2
import psycopg2.extras
import pyarrow as pa
from dagster import ConfigurableResource

from migration_assets.platforms.base import QueryRunner, Row, SourcePlatform
from migration_assets.platforms.postgresql import SESSION_SETTINGS, PostgreSQL, explain_bad_value
from migration_assets.resources.sources.base import (
    ReadColumn,
    Reader,
    Snapshot,
    SnapshotLostError,
    Source,
    SourceError,
    TransientSourceError,
)
from migration_assets.resources.sources.csv_blocks import BadValueError, parse_csv_block

BLOCK_BYTES = 4 * 1024 * 1024
"""CSV text that is parsed at once: large enough that the cost of a call is nothing beside the parsing."""

BLOCKS_AHEAD = 2
"""Blocks that wait for the parser; with them the memory of a stream is bounded."""

POLL_SECONDS = 0.1
"""How often the two ends of a stream look whether it was closed."""

CLOSE_SECONDS = 2
"""What the server has to break off a query and to say goodbye; then the connection is cut."""

KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 30, 10, 6
"""Seconds without a word, seconds between probes, and probes without an answer until a connection is dead."""

_END = object()


class PostgreSQLSource(ConfigurableResource, Source):  # type: ignore[type-arg]
    """A PostgreSQL server (13 or newer for snapshots that survive a restart of this program).

    Attributes:
        host: name, address, or the folder of a Unix socket.
        sslmode: libpq's modes, `prefer` by default.
        threads: connections that one run reads with at once.
        snapshot_max_age_seconds: the age past which the next partitions take a new snapshot.
    """

    host: str
    port: int = 5432
    username: str
    password: str
    sslmode: str = "prefer"
    threads: int = 2
    connect_timeout_seconds: int = 10
    snapshot_max_age_seconds: float = 4 * 3600

    @property
    def platform(self) -> SourcePlatform:
        return PostgreSQL()

    @property
    def parallel_readers(self) -> int:
        return self.threads

    @property
    def snapshot_seconds(self) -> float:
        return self.snapshot_max_age_seconds

    @contextmanager
    def connect(self, database: str) -> Iterator[QueryRunner]:
        with closing(self._connect(database)) as connection:
            connection.set_session(readonly=True, autocommit=True)
            yield lambda statement: _query(connection, statement)

    @contextmanager
    def open_snapshot(self, database: str) -> Iterator[Snapshot]:
        with closing(self._connect(database)) as connection:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            yield _PostgreSQLSnapshot(self, database, connection)

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        try:
            return psycopg2.connect(
                host=self.host,
                port=self.port,
                user=self.username,
                password=self.password,
                dbname=database,
                sslmode=self.sslmode,
                connect_timeout=self.connect_timeout_seconds,
                application_name="migration-assets",
                options=" ".join(f"-c {name}={_escape(value)}" for name, value in SESSION_SETTINGS.items()),
                keepalives_idle=KEEPALIVE_IDLE,
                keepalives_interval=KEEPALIVE_INTERVAL,
                keepalives_count=KEEPALIVE_COUNT,
            )
        except psycopg2.OperationalError as error:
            raise TransientSourceError(
                f"can't connect to PostgreSQL at {self.host}:{self.port}, database {database}: "
                f"{_message(error)}. Check SOURCE_POSTGRESQL_HOST, _PORT, _USERNAME, _PASSWORD and _SSLMODE."
            ) from None


class _PostgreSQLSnapshot(Snapshot):
    def __init__(self, source: PostgreSQLSource, database: str, connection: psycopg2.extensions.connection) -> None:
        self._source = source
        self._database = database
        self._connection = connection
        self._lock = threading.Lock()
        taken = _query(connection, "SELECT pg_export_snapshot() AS exported, pg_current_snapshot()::text AS identity")[
            0
        ]
        self._exported, self._identity = str(taken["exported"]), str(taken["identity"])
        self._taken_at = time.monotonic()
        # A database in SQL_ASCII never checked what was written into it.
        encoding = self.query("SHOW server_encoding")[0]["server_encoding"]
        self._check_utf8 = encoding == "SQL_ASCII"

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self._taken_at

    def open_reader(self) -> Reader:
        return _PostgreSQLReader(self._source, self._database, self._exported, self._check_utf8)

    def query(self, statement: str) -> list[Row]:
        # A statement that fails would end the transaction, and the snapshot with it. It fails in one of its own.
        with self._lock:
            _execute(self._connection, "SAVEPOINT question")
            try:
                return _query(self._connection, statement)
            finally:
                _execute(self._connection, "ROLLBACK TO SAVEPOINT question")

    def cancel_query(self) -> None:
        if self._lock.locked():
            self._connection.cancel()


class _PostgreSQLReader(Reader):
    """Fetches on a thread of its own, so that the server, the wire and the parser work at the same time."""

    def __init__(self, source: PostgreSQLSource, database: str, snapshot: str, check_utf8: bool) -> None:
        self._source = source
        self._check_utf8 = check_utf8
        self._source_rows = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgresql-reader", daemon=True)
        self._thread.start()
        self._closed = threading.Event()
        self._closing = threading.Lock()
        self._connection: asyncpg.Connection | None = None
        try:
            self._wait(self._connect(database, snapshot))
        except BaseException:
            self.close()
            raise

    @property
    def source_rows(self) -> int:
        return self._source_rows

    def read(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        blocks: queue.Queue[object] = queue.Queue(maxsize=BLOCKS_AHEAD)
        copying = asyncio.run_coroutine_threadsafe(self._copy(query, blocks), self._loop)
        finished = False
        try:
            while (block := self._next(blocks)) is not _END:
                assert isinstance(block, bytearray)
                yield parse_csv_block(block, columns, check_utf8=self._check_utf8)
            self._source_rows = _translated(copying.result)
            finished = True
        except BadValueError as error:
            explained = explain_bad_value(error.column.source, error.column.type, error.value)
            raise SourceError(explained) from None
        finally:
            if not finished:
                self.close()

    def _next(self, blocks: queue.Queue[object]) -> object:
        while not self._closed.is_set():
            with suppress(queue.Empty):
                return blocks.get(timeout=POLL_SECONDS)
        raise TransientSourceError("the connection was closed during a read")

    def _put(self, blocks: queue.Queue[object], item: object) -> None:
        # Blocking the loop is meant: it serves this one connection, and a full queue must hold back the server.
        while not self._closed.is_set():
            with suppress(queue.Full):
                return blocks.put(item, timeout=POLL_SECONDS)
        raise TransientSourceError("the connection was closed during a read")

    def close(self) -> None:
        with self._closing:
            if self._closed.is_set():
                return
            self._closed.set()
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        with suppress(TimeoutError, concurrent.futures.TimeoutError):
            ending.result(timeout=self._source.connect_timeout_seconds + CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end(self) -> None:
        # A cancelled COPY is broken off in the server too, which would notice a connection that was cut only when
        # it has a row to send.
        await _cancel_others()
        if self._connection is not None:
            with suppress(*_TRANSIENT, asyncpg.PostgresError):
                await self._connection.close(timeout=CLOSE_SECONDS)
            self._connection.terminate()
        await _cancel_others()

    async def _connect(self, database: str, snapshot: str) -> None:
        source = self._source
        self._connection = await asyncpg.connect(
            host=source.host,
            port=source.port,
            user=source.username,
            password=source.password,
            database=database,
            ssl=source.sslmode,
            timeout=source.connect_timeout_seconds,
            statement_cache_size=0,
            server_settings={**SESSION_SETTINGS, "application_name": "migration-assets"},
        )
        _keep_alive(self._connection)
        await self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            await self._connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        except _NO_SNAPSHOT as error:
            raise SnapshotLostError(
                f"PostgreSQL doesn't hold the snapshot any more, since the connection that took it was lost: "
                f"{_message(error)}"
            ) from error

    async def _copy(self, query: str, blocks: queue.Queue[object]) -> int:
        assert self._connection is not None
        block = bytearray()

        async def collect(messages: bytes) -> None:
            nonlocal block
            # PostgreSQL sends one row a message and asyncpg joins whole messages: a block ends with a row.
            block += messages
            if len(block) >= BLOCK_BYTES:
                self._put(blocks, block)
                block = bytearray()

        try:
            status = await self._connection.copy_from_query(query, output=collect, format="csv")
            if block:
                self._put(blocks, block)
            return int(status.rpartition(" ")[2])
        finally:
            with suppress(TransientSourceError):
                self._put(blocks, _END)

    def _wait(self, coroutine: Coroutine[None, None, None]) -> None:
        _translated(asyncio.run_coroutine_threadsafe(coroutine, self._loop).result)


async def _cancel_others() -> None:
    """Cancels every other task of the loop and waits for its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _keep_alive(connection: asyncpg.Connection) -> None:
    """Lets the system find out that the server is gone; asyncpg has no setting for it."""
    sock = connection._transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
            ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
            ("TCP_KEEPCNT", KEEPALIVE_COUNT),
        ):
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


_Result = TypeVar("_Result")

# Faults of the connection or of the server's state, not of the query.
_TRANSIENT = (
    OSError,
    asyncio.TimeoutError,
    concurrent.futures.CancelledError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)

# What PostgreSQL 12 to 18 answer to the name of a snapshot whose transaction is over.
_NO_SNAPSHOT = (
    asyncpg.InvalidParameterValueError,
    asyncpg.UndefinedObjectError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)


def _translated(result: Callable[[], _Result]) -> _Result:
    """Calls `result` and gives asyncpg's errors the names of this interface."""
    try:
        return result()
    except _TRANSIENT as error:
        raise TransientSourceError(f"PostgreSQL broke off: {_message(error)}") from error
    except asyncpg.PostgresError as error:
        raise SourceError(f"PostgreSQL refused the query: {_message(error)}") from error


def _query(connection: psycopg2.extensions.connection, statement: str) -> list[Row]:
    try:
        with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise TransientSourceError(f"PostgreSQL broke off: {_message(error)}") from error
    except psycopg2.Error as error:
        raise SourceError(f"PostgreSQL refused the query: {_message(error)}") from error
    except ValueError as error:
        raise SourceError(f"PostgreSQL's answer can't be read: {_message(error)}") from error


def _execute(connection: psycopg2.extensions.connection, statement: str) -> None:
    """Runs a statement that has no rows; one that a lost connection can't run is passed over."""
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute(statement)


def _message(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
