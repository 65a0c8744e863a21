"""PostgreSQL as a source: COPY streams under an exported snapshot."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Literal

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from dagster import ConfigurableResource
from pydantic import PrivateAttr

from migration_assets.platforms.base import QueryRunner, Row, SourcePlatform, TableName
from migration_assets.platforms.postgresql import SESSION_SETTINGS, PostgreSQL
from migration_assets.resources.sources import copy_binary
from migration_assets.resources.sources.base import (
    Reader,
    Snapshot,
    Source,
    SourceError,
    TransientSourceError,
)
from migration_assets.resources.sources.postgresql_readers import (
    KEEPALIVE_COUNT,
    KEEPALIVE_IDLE,
    KEEPALIVE_INTERVAL,
    BinaryReader,
    CsvReader,
    Login,
    message_of,
)
from migration_assets.resources.sources.rate_limit import RateLimiter

CopyFormat = Literal["auto", "binary", "csv"]

_COMPILE = (
    "install a C compiler (on Debian and Ubuntu: apt-get install gcc libc6-dev) and then this package again "
    "(pip install --editable .)"
)


class PostgreSQLSource(ConfigurableResource, Source):  # type: ignore[type-arg]
    """A PostgreSQL server (13 or newer for snapshots that survive a restart of this program).

    Attributes:
        host: name, address, or the folder of a Unix socket.
        sslmode: libpq's modes, `prefer` by default.
        threads: connections that one run reads with at once.
        copy_format: what COPY sends; `auto` is `binary` where its decoder was compiled, else `csv`.
        snapshot_max_age_seconds: the age past which the next partitions take a new snapshot.
        max_rows_per_second: of all connections of one run; 0 is without limit.
    """

    host: str
    port: int = 5432
    username: str
    password: str
    sslmode: str = "prefer"
    threads: int = 2
    copy_format: CopyFormat = "auto"
    connect_timeout_seconds: int = 10
    snapshot_max_age_seconds: float = 4 * 3600
    max_rows_per_second: float = 0

    _limiter: RateLimiter | None = PrivateAttr(default=None)

    @property
    def platform(self) -> SourcePlatform:
        return PostgreSQL(binary=self._is_binary)

    @property
    def _is_binary(self) -> bool:
        return self.copy_format == "binary" or (self.copy_format == "auto" and copy_binary.is_available())

    @property
    def parallel_readers(self) -> int:
        return self.threads

    @property
    def reading(self) -> str:
        over = f"over {self.threads} connections"
        if self._is_binary:
            return f"COPY in binary format {over}"
        if self.copy_format == "csv":
            return f"COPY as CSV {over}"
        return f"COPY as CSV {over}, because the decoder of the binary format was not compiled: {_COMPILE}"

    @property
    def snapshot_seconds(self) -> float:
        return self.snapshot_max_age_seconds

    @contextmanager
    def connect(self, database: str) -> Iterator[QueryRunner]:
        with closing(self._connect(database)) as connection:
            connection.set_session(readonly=True, autocommit=True)
            yield lambda statement: _query(connection, statement)

    @contextmanager
    def open_snapshot(self, table: TableName, *, strict: bool) -> Iterator[Snapshot]:
        with closing(self._connect(table.database)) as connection:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            yield _PostgreSQLSnapshot(self, table.database, connection)

    def open_reader(self, database: str, exported: str, *, check_utf8: bool) -> Reader:
        """A connection that reads under an exported snapshot.

        Raises:
            SnapshotLostError: the server doesn't hold the snapshot any more.
        """
        if self._limiter is None:
            self._limiter = RateLimiter(self.max_rows_per_second)
        login = Login(
            self.host,
            self.port,
            self.username,
            self.password,
            database,
            self.sslmode,
            self.connect_timeout_seconds,
            self._limiter,
        )
        if not self._is_binary:
            return CsvReader(login, exported, check_utf8=check_utf8)
        if not copy_binary.is_available():
            raise SourceError(
                "SOURCE_POSTGRESQL_COPY_FORMAT is binary, but its decoder was not compiled: leave it at auto, or "
                f"{_COMPILE}"
            )
        return BinaryReader(login, exported, check_utf8=check_utf8)

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        try:
            connection = psycopg2.connect(
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
                f"{message_of(error)}. Check SOURCE_POSTGRESQL_HOST, _PORT, _USERNAME, _PASSWORD and _SSLMODE."
            ) from None
        _register_times(connection)
        return connection


class _PostgreSQLSnapshot(Snapshot):
    def __init__(self, source: PostgreSQLSource, database: str, connection: psycopg2.extensions.connection) -> None:
        self._source = source
        self._database = database
        self._connection = connection
        self._lock = threading.Lock()
        # The source's own figures are one query, which would otherwise go on long after the rows are read.
        _execute(connection, f"SET LOCAL max_parallel_workers_per_gather = {source.threads - 1}")
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
        return self._source.open_reader(self._database, self._exported, check_utf8=self._check_utf8)

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


def _query(connection: psycopg2.extensions.connection, statement: str) -> list[Row]:
    try:
        with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise TransientSourceError(f"PostgreSQL broke off: {message_of(error)}") from error
    except psycopg2.Error as error:
        raise SourceError(f"PostgreSQL refused the query: {message_of(error)}") from error
    except ValueError as error:
        raise SourceError(f"PostgreSQL's answer can't be read: {message_of(error)}") from error


_Cast = Callable[["str | bytes | None", psycopg2.extensions.cursor], Any]

_TIMES: tuple[tuple[str, int, _Cast], ...] = (
    ("DATE", 1082, psycopg2.extensions.PYDATE),
    ("TIMESTAMP", 1114, psycopg2.extensions.PYDATETIME),
    ("TIMESTAMPTZ", 1184, psycopg2.extensions.PYDATETIMETZ),
)
"""Types with PostgreSQL's number of each, and psycopg2's own conversion."""

_USUAL_YEAR = re.compile(r"\d{4}-(?!.* BC$)")


def _register_times(connection: psycopg2.extensions.connection) -> None:
    """Dates beyond Python's calendar are read as their text: psycopg2 takes infinity for the year 9999, or 1."""
    for name, number, convert in _TIMES:
        cast = psycopg2.extensions.new_type((number,), name, _or_text(convert))
        psycopg2.extensions.register_type(cast, connection)


def _or_text(convert: _Cast) -> _Cast:
    """A conversion that leaves infinities and years that are not 1 to 9999 as they are."""

    def cast(text: str | bytes | None, cursor: psycopg2.extensions.cursor) -> object:
        return text if isinstance(text, str) and not _USUAL_YEAR.match(text) else convert(text, cursor)

    return cast


def _execute(connection: psycopg2.extensions.connection, statement: str) -> None:
    """Runs a statement that has no rows; one that a lost connection can't run is passed over."""
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute(statement)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
