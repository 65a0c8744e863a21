"""The sources of the shared suites: one interface over a database of each platform.

Tests write SQL in one language, PostgreSQL's, and a platform spells it in its own (`spell`). What one platform alone
can do stays in tests of its own. A platform more is one class here and one name in `PLATFORMS`.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest

from migration_assets.platforms.base import Row
from migration_assets.resources.sources.sqlserver_drivers import find_driver
from migration_assets_tests import tsql

PLATFORMS = ("postgresql", "sqlserver")

SQLSERVER = "SOURCE_SQLSERVER_"
# Read before any test clears the environment.
SQLSERVER_SETTINGS = {name: value for name, value in os.environ.items() if name.startswith(SQLSERVER)}

NEEDS_SQLSERVER = "needs a server that speaks TDS: set SOURCE_SQLSERVER_HOST (and _PORT, _USERNAME, _PASSWORD)"

_ROWS_PER_INSERT = 500
_STATISTICS = ("UPDATE STATISTICS", "EXEC sp_updatestats")


SOURCES = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in PLATFORMS]
"""The parameters of a fixture that is a source of each platform."""


class Session(ABC):
    """One connection, for one thread. Changes are kept by `commit`, or at once where it commits by itself."""

    @abstractmethod
    def execute(self, sql: str, *arguments: object) -> None:
        """Runs one or more statements; arguments replace `%s`, and without any a `%` is itself."""

    @abstractmethod
    def fetch(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """The rows of one query."""

    @abstractmethod
    def run_own(self, statement: str) -> None:
        """Runs one statement of the platform's own SQL."""

    @abstractmethod
    def commit(self) -> None:
        """Keeps the changes, and ends the transaction."""


class SourceDatabase(ABC):
    """An empty database whose tables a migration reads, in the schema that unqualified names mean.

    Attributes:
        platform: the `sourcePlatform` of workflows.
        schema: the name of that schema.
        database: the name of the database.
        sensitive_text: a type of texts that differ where only their case does.
    """

    platform: ClassVar[str]
    schema: ClassVar[str]
    sensitive_text: ClassVar[str] = "text"
    database: str
    password: str

    @property
    def can_hold_still(self) -> bool:
        """Whether a table can be kept from being written for a moment, in which several transactions begin."""
        return True

    @property
    def orders_text_by_bytes(self) -> bool:
        """Whether the server knows the order that texts have in every target: that of their bytes in UTF-8."""
        return True

    @abstractmethod
    def session(self, *, autocommit: bool = True) -> AbstractContextManager[Session]:
        """A connection of its own."""

    @abstractmethod
    def spell(self, sql: str) -> str:
        """Statements of PostgreSQL's SQL as this platform writes them."""

    @abstractmethod
    def native(self, kind: str) -> str:
        """A type of PostgreSQL's as the catalogue of this platform spells the one that stands for it."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """An identifier as the platform's own SQL writes it."""

    @abstractmethod
    def own_literal(self, text: str | None) -> str:
        """The text of a value as a literal of the platform's own SQL."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The variables that name the server as a migration's source."""

    @property
    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""

    @abstractmethod
    def environment_at(self, port: int) -> dict[str, str]:
        """`environment`, where the server is behind another port of 127.0.0.1."""

    def execute(self, sql: str, *arguments: object) -> None:
        """Runs one or more statements; arguments replace `%s`, and without any a `%` is itself."""
        with self.session() as session:
            session.execute(sql, *arguments)

    def fetch(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """The rows of one query."""
        with self.session() as session:
            return session.fetch(sql, *arguments)

    def insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Inserts rows in the order of the table's columns."""
        with self.session() as session:
            for first in range(0, len(rows), _ROWS_PER_INSERT):
                values = ", ".join(
                    f"({', '.join(literal(value) for value in row)})" for row in rows[first : first + _ROWS_PER_INSERT]
                )
                session.execute(f"INSERT INTO {table} VALUES {values}")

    @abstractmethod
    def reader_of(self, *tables: str) -> AbstractContextManager[dict[str, str]]:
        """A user who may read these tables alone, for as long as the context lasts.

        Returns:
            The variables with which the program logs in as that user.
        """

    @abstractmethod
    def change_column(self, table: str, column: str, kind: str, *, nullable: bool) -> None:
        """Gives a column another type, and says anew whether it may be NULL."""

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns."""
        found = self.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position", table
        )
        return [name for (name,) in found]


def literal(value: object) -> str:
    """A value as the tests' SQL writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, float):
        return f"'{value!r}'"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    if isinstance(value, (dt.date, dt.time, UUID, str)):
        escaped = str(value).replace("'", "''")
        return f"'{escaped}'"
    raise TypeError(f"no literal for {value!r}")


@dataclass(frozen=True)
class SQLServerDatabase(SourceDatabase):
    """A database of a server that speaks TDS, whose schema `dbo` is empty when a test begins."""

    platform: ClassVar[str] = "sqlserver"
    schema: ClassVar[str] = "dbo"
    sensitive_text: ClassVar[str] = 'text COLLATE "C"'

    settings: Mapping[str, str] = field(repr=False)
    database: str

    @property
    def password(self) -> str:  # type: ignore[override]
        return self.settings["SOURCE_SQLSERVER_PASSWORD"]

    def environment(self) -> dict[str, str]:
        return dict(self.settings)

    @property
    def address(self) -> tuple[str, int]:
        return self.settings["SOURCE_SQLSERVER_HOST"], int(self.settings.get("SOURCE_SQLSERVER_PORT") or 1433)

    def environment_at(self, port: int) -> dict[str, str]:
        return {**self.settings, "SOURCE_SQLSERVER_HOST": "127.0.0.1", "SOURCE_SQLSERVER_PORT": str(port)}

    @contextmanager
    def session(self, *, autocommit: bool = True) -> Iterator[SQLServerSession]:
        # Needs a library of the system, which machines without such a server haven't.
        import pyodbc

        pyodbc.pooling = False
        connection = pyodbc.connect(self._connection_string(), autocommit=autocommit, timeout=10)
        try:
            yield SQLServerSession(connection)
        finally:
            connection.close()

    def spell(self, sql: str) -> str:
        return ";\n".join(tsql.from_postgresql(sql))

    def native(self, kind: str) -> str:
        return tsql.native_type(kind)

    def quoted(self, name: str) -> str:
        return quoted(name)

    def own_literal(self, text: str | None) -> str:
        if text is None or text.startswith("0x"):
            return text or "NULL"
        return "N'" + text.replace("'", "''") + "'"

    @contextmanager
    def reader_of(self, *tables: str) -> Iterator[dict[str, str]]:
        # Long and of all kinds of letters, as the policies of servers want it.
        name, password = f"reader_{secrets.token_hex(4)}", f"Aa1_{secrets.token_hex(12)}"
        with self.session() as session:
            session.run(f"CREATE LOGIN {name} WITH PASSWORD = '{password}'")
            try:
                session.run(f"CREATE USER {name} FOR LOGIN {name}")
                for table in tables:
                    session.run(f"GRANT SELECT ON {self.schema}.{quoted(table)} TO {name}")
                yield {"SOURCE_SQLSERVER_USERNAME": name, "SOURCE_SQLSERVER_PASSWORD": password}
                for table in tables:
                    session.run(f"REVOKE SELECT ON {self.schema}.{quoted(table)} FROM {name}")
                session.run(f"DROP USER {name}")
            finally:
                session.run(f"DROP LOGIN {name}")

    def change_column(self, table: str, column: str, kind: str, *, nullable: bool) -> None:
        null = "NULL" if nullable else "NOT NULL"
        with self.session() as session:
            if session.is_babelfish:
                ((was,),) = session.run(
                    "SELECT is_nullable FROM information_schema.columns "
                    f"WHERE table_name = '{table}' AND column_name = '{column}'"
                )
                if (was == "YES") is not nullable:
                    pytest.skip("Babelfish has no ALTER COLUMN that says whether a column may be NULL")
                null = ""
            session.run(f"ALTER TABLE {table} ALTER COLUMN {column} {self.native(kind)} {null}")

    @property
    def can_hold_still(self) -> bool:
        return not self.is_babelfish  # Which reads TABLOCK and locks nothing.

    @property
    def orders_text_by_bytes(self) -> bool:
        with self.session() as session:
            ((code_page,),) = session.run(
                "SELECT CAST(COLLATIONPROPERTY(N'Latin1_General_100_BIN2_UTF8', 'CodePage') AS int)"
            )
        return code_page is not None

    @property
    def is_babelfish(self) -> bool:
        """Whether the server is PostgreSQL that speaks TDS: it has neither all statements nor all types."""
        with self.session() as session:
            return session.is_babelfish

    def empty(self) -> None:
        """Drops what the last test has made."""
        with self.session() as session:
            objects = session.run(
                "SELECT RTRIM(o.type), s.name, o.name FROM sys.objects o "
                "JOIN sys.schemas s ON s.schema_id = o.schema_id "
                "WHERE o.is_ms_shipped = 0 AND o.type IN ('V', 'U', 'P', 'FN', 'IF', 'TF', 'SO')"
            )
            kinds = {"V": "VIEW", "P": "PROCEDURE", "U": "TABLE", "SO": "SEQUENCE"}
            for kind, schema, name in sorted(objects, key=lambda one: "VPUSFIT".index(one[0][0])):
                session.run(f"DROP {kinds.get(kind, 'FUNCTION')} {quoted(schema)}.{quoted(name)}")

    @contextmanager
    def made(self) -> Iterator[None]:
        """The database itself, for as long as the context lasts."""
        master = SQLServerDatabase(self.settings, "master")
        with master.session() as session:
            session.run(f"CREATE DATABASE {quoted(self.database)}")
            if not self.is_babelfish:
                session.run(f"ALTER DATABASE {quoted(self.database)} SET ALLOW_SNAPSHOT_ISOLATION ON")
        try:
            yield
        finally:
            with master.session() as session:
                if not master.is_babelfish:  # Which can't end the sessions of others.
                    session.run(f"ALTER DATABASE {quoted(self.database)} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
                session.run(f"DROP DATABASE {quoted(self.database)}")

    def _connection_string(self) -> str:
        given = {name.removeprefix(SQLSERVER): value for name, value in self.settings.items()}
        host, port = self.address
        parts = {
            "Driver": find_driver(given.get("DRIVER")).name,
            "Server": f"{host},{port}",
            "Database": self.database,
            "UID": given.get("USERNAME"),
            "PWD": given.get("PASSWORD"),
            "Encrypt": given.get("ENCRYPT") or "yes",
            "TrustServerCertificate": "yes",
        }
        return ";".join(f"{name}={{{value}}}" for name, value in parts.items())


class SQLServerSession(Session):
    """A connection of pyodbc."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, sql: str, *arguments: object) -> None:
        for statement in tsql.from_postgresql(_filled(sql, arguments)):
            # What has no statistics of its own to bring up to date.
            if not (statement.startswith(_STATISTICS) and self.is_babelfish):
                self.run(statement)

    def fetch(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        (statement,) = tsql.from_postgresql(_filled(sql, arguments))
        return self.run(statement)

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """One statement of T-SQL, and its rows if it has any."""
        cursor: Any = self._connection.execute(statement)
        try:
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            cursor.close()

    def run_own(self, statement: str) -> None:
        self.run(statement)

    def run_by_name(self, statement: str) -> list[Row]:
        """As `run`, with the values by the names of their columns."""
        cursor: Any = self._connection.execute(statement)
        try:
            names = [entry[0] for entry in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def commit(self) -> None:
        self._connection.commit()

    @property
    def is_babelfish(self) -> bool:
        """Whether the server is PostgreSQL that speaks TDS: it has neither all statements nor all types."""
        ((version,),) = self.run("SELECT @@version")
        return "Babelfish" in str(version)


def quoted(name: str) -> str:
    """An identifier of T-SQL."""
    return "[" + name.replace("]", "]]") + "]"


def _filled(sql: str, arguments: Sequence[object]) -> str:
    return sql % tuple(literal(argument) for argument in arguments) if arguments else sql
