"""A database of a server that speaks TDS, whose tables are divided."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from migration_assets.platforms.base import Partition, Row, SourceTable, TableName
from migration_assets.platforms.sqlserver import catalogue
from migration_assets.resources.sources.sqlserver_drivers import find_driver

SETTINGS = {
    name: os.environ.get(f"SOURCE_SQLSERVER_{name}", "")
    for name in ("HOST", "PORT", "USERNAME", "PASSWORD", "DRIVER", "ENCRYPT")
}
NEEDS_SERVER = "needs a server that speaks TDS: set SOURCE_SQLSERVER_HOST (and _PORT, _USERNAME, _PASSWORD)"
_DATABASE = f"keys_{os.getpid()}"
_ROWS_PER_INSERT = 500


@dataclass(frozen=True)
class KeySource:
    """One session of an empty database."""

    connection: Any
    statements: list[str]

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[KeySource]:
        """Skips the tests when no server is named."""
        if not SETTINGS["HOST"]:
            pytest.skip(NEEDS_SERVER)
        with _connected("master") as master:
            master.execute(f"CREATE DATABASE {_DATABASE}")
            try:
                with _connected(_DATABASE) as connection:
                    yield cls(connection, [])
            finally:
                # Some servers end a session only after its connection is closed.
                dropped = Retrying(stop=stop_after_delay(20), wait=wait_fixed(0.2), reraise=True)
                dropped(master.execute, f"DROP DATABASE {_DATABASE}")

    def run(self, sql: str) -> Sequence[Row]:
        self.statements.append(sql)
        cursor = self.connection.execute(sql)
        names = [entry[0] for entry in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self.connection.execute(statement)

    def value(self, sql: str) -> Any:
        return next(iter(self.run(sql)[0].values()))

    def create(self, name: str, columns: str, rows: Sequence[Sequence[str | None]] = (), *then: str) -> SourceTable:
        """A table with rows of literals."""
        self.execute(f"DROP TABLE IF EXISTS {name}", f"CREATE TABLE {name} ({columns})")
        written = ["(" + ", ".join(value or "NULL" for value in row) + ")" for row in rows]
        for start in range(0, len(written), _ROWS_PER_INSERT):
            self.execute(f"INSERT INTO {name} VALUES {', '.join(written[start : start + _ROWS_PER_INSERT])}")
        self.execute(*then)
        return self.table(name)

    def table(self, name: str) -> SourceTable:
        return catalogue.describe(self.run, TableName(_DATABASE, "dbo", name))

    def members(self, table: str, partitions: Sequence[Partition], where: str | None = None) -> list[list[int]]:
        """The places `i` of the rows of each partition."""
        return [
            [
                int(str(row["i"]))
                for row in self.run(
                    f"SELECT i FROM {table} WHERE ({where or '1 = 1'}) AND ({part.predicate or '1 = 1'}) ORDER BY i"
                )
            ]
            for part in partitions
        ]


@contextmanager
def _connected(database: str) -> Iterator[Any]:
    # Needs a library of the system, which machines without such a server haven't.
    import pyodbc

    pyodbc.pooling = False
    parts = {
        "Driver": find_driver(SETTINGS["DRIVER"]).name,
        "Server": f"{SETTINGS['HOST']},{SETTINGS['PORT'] or 1433}",
        "Database": database,
        "UID": SETTINGS["USERNAME"],
        "PWD": SETTINGS["PASSWORD"],
        "Encrypt": SETTINGS["ENCRYPT"] or "yes",
        "TrustServerCertificate": "yes",
    }
    connection = pyodbc.connect(";".join(f"{name}={{{value}}}" for name, value in parts.items()), autocommit=True)
    try:
        yield connection
    finally:
        connection.close()
