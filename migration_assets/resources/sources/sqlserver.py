"""SQL Server as a source: catalogue and figures over pyodbc, rows as Arrow over arrow-odbc."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from dagster import ConfigurableResource
from pydantic import Field, PrivateAttr

from migration_assets.platforms.base import BulkChoice, PlatformError, QueryRunner, SourcePlatform, TableName
from migration_assets.platforms.sqlserver import SQLServer
from migration_assets.resources.sources.base import Reader, Snapshot, Source, SourceError
from migration_assets.resources.sources.bulk_utilities import BulkSettings
from migration_assets.resources.sources.rate_limit import RateLimiter
from migration_assets.resources.sources.sqlserver_bulk import SQLServerBulkReader
from migration_assets.resources.sources.sqlserver_drivers import OdbcDriver, find_driver, load_pyodbc
from migration_assets.resources.sources.sqlserver_errors import login_error
from migration_assets.resources.sources.sqlserver_login import (
    ApplicationIntent,
    Authentication,
    Encryption,
    SQLServerLogin,
)
from migration_assets.resources.sources.sqlserver_readers import NulCharacters
from migration_assets.resources.sources.sqlserver_rows import fetch_all, register_converters
from migration_assets.resources.sources.sqlserver_snapshots import SQLServerSnapshot
from migration_assets.resources.sources.sqlserver_sockets import Lifeline, connected


class SQLServerSource(ConfigurableResource, Source):  # type: ignore[type-arg]
    """A SQL Server (2016 or newer) or an Azure SQL database.

    Attributes:
        instance: of a named instance; `port` doesn't count then.
        authentication: `windows` takes the Kerberos ticket of the process, `entra-managed-identity` the machine's.
        encrypt: `strict` is TDS 8.
        trust_server_certificate: whether any certificate will do.
        driver: name in odbcinst.ini or path of a driver; None is the best one that is there.
        threads: connections that one run reads with at once.
        max_rows_per_second: of all connections of one run; 0 is without limit.
        lock_timeout_seconds: how long a read waits for a writer's lock.
        snapshot_max_age_seconds: the age past which a state that all readers see is given up.
        nul_characters: what becomes of text with U+0000.
        bulk_utility: the program that reads tables instead of the driver, where the workflow names none.
        bulk_utility_min_mb: the estimated megabytes of a table from which on it does.
        bulk_options: of each utility, as text.
    """

    host: str
    port: int = 1433
    instance: str = ""
    username: str = ""
    password: str = ""
    authentication: Authentication = "sql"
    encrypt: Encryption = "yes"
    trust_server_certificate: bool = False
    application_intent: ApplicationIntent = "ReadOnly"
    multi_subnet_failover: bool = False
    driver: str | None = None
    threads: int = 2
    max_rows_per_second: float = 0
    connect_timeout_seconds: int = 15
    lock_timeout_seconds: float = 60
    snapshot_max_age_seconds: float = 4 * 3600
    nul_characters: NulCharacters = "keep"
    bulk_utility: str | None = None
    bulk_utility_min_mb: float = 0
    bulk_options: dict[str, Any] = Field(default_factory=dict)

    _limiter: RateLimiter | None = PrivateAttr(default=None)
    _found_driver: OdbcDriver | None = PrivateAttr(default=None)

    @property
    def platform(self) -> SourcePlatform:
        return SQLServer()

    @property
    def parallel_readers(self) -> int:
        return self.threads

    @property
    def reading(self) -> str:
        try:
            name = self.odbc_driver().name.rpartition("/")[2]
        except SourceError as error:
            name = f"no driver ({error})"
        return f"arrow-odbc over {self.threads} connections, with {name}"

    @property
    def snapshot_seconds(self) -> float:
        return self.snapshot_max_age_seconds

    @property
    def limiter(self) -> RateLimiter:
        """One for all readers."""
        if self._limiter is None:
            self._limiter = RateLimiter(self.max_rows_per_second)
        return self._limiter

    @contextmanager
    def connect(self, database: str) -> Iterator[QueryRunner]:
        connection, lifeline = self.open_connection(database)
        lifeline.release()
        with closing(connection):
            yield lambda statement: fetch_all(connection, statement)

    @contextmanager
    def open_snapshot(self, table: TableName, *, strict: bool) -> Iterator[Snapshot]:
        with closing(SQLServerSnapshot(self, table, strict=strict)) as snapshot:
            yield snapshot

    def choose_bulk_utility(self, asked: str | None, table_bytes: int, *, strict: bool) -> BulkChoice | None:
        try:
            utility = self._bulk_settings.choose(asked, table_bytes, self.login(""), strict=strict)
        except SourceError as error:
            raise PlatformError(str(error)) from error
        if utility is None:
            return None
        return BulkChoice(
            utility.name, f"rows are read with {utility.name} over {self.threads} processes: {utility.note}"
        )

    def open_bulk_reader(self, utility: str, database: str) -> Reader:
        chosen = self._bulk_settings.utility(utility, self.login(database))
        return SQLServerBulkReader(chosen, nul_characters=self.nul_characters, limiter=self.limiter)

    @property
    def _bulk_settings(self) -> BulkSettings:
        return BulkSettings("sqlserver", self.bulk_utility, self.bulk_utility_min_mb, self.bulk_options)

    def odbc_driver(self) -> OdbcDriver:
        """The driver.

        Raises:
            SourceError: there is none.
        """
        if self._found_driver is None:
            self._found_driver = find_driver(self.driver)
        return self._found_driver

    def login(self, database: str) -> SQLServerLogin:
        """Where and as whom to connect."""
        return SQLServerLogin(
            host=self.host,
            port=self.port,
            instance=self.instance,
            username=self.username,
            password=self.password,
            database=database,
            authentication=self.authentication,
            encrypt=self.encrypt,
            trust_server_certificate=self.trust_server_certificate,
            application_intent=self.application_intent,
            multi_subnet_failover=self.multi_subnet_failover,
            timeout_seconds=self.connect_timeout_seconds,
        )

    @property
    def session(self) -> tuple[str, ...]:
        """What every connection is set to."""
        return (
            f"SET LOCK_TIMEOUT {round(self.lock_timeout_seconds * 1000)}",
            # Whoever writes comes first.
            "SET DEADLOCK_PRIORITY LOW",
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        )

    def open_connection(self, database: str) -> tuple[Any, Lifeline]:
        """A connection of pyodbc in autocommit, and what ends it from another thread.

        Raises:
            SourceError: it can't be made; transient where another attempt may help.
        """
        pyodbc = load_pyodbc()
        login = self.login(database)
        text = login.connection_string(self.odbc_driver())
        try:
            connection, lifeline = connected(
                login, lambda: pyodbc.connect(text, autocommit=True, timeout=self.connect_timeout_seconds)
            )
        except pyodbc.Error as error:
            raise login_error(error, login.place, database) from None
        register_converters(connection)
        try:
            for statement in self.session:
                fetch_all(connection, statement)
        except SourceError:
            lifeline.cut()
            raise
        return connection, lifeline
