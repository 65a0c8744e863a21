"""A SQL Server source as the tests see it: one session of a database, and a catalogue in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import sqlalchemy as sa

from migration_assets.platforms.base import ReadColumn, Row, SourceColumn, SourceTable, TableName
from migration_assets.platforms.sqlserver import catalogue, extraction, types
from migration_assets.platforms.types import ColumnType

NEEDS_SERVER = "needs a server that speaks TDS: set SOURCE_SQLSERVER_HOST (and _PORT, _USERNAME, _PASSWORD)"


def column(name: str, native_type: str, **more: Any) -> SourceColumn:
    """A column of the catalogue, by its type as it is declared."""
    base, _, rest = native_type.partition("(")
    arguments = tuple(int(argument) for argument in rest.rstrip(")").split(",") if argument.isdigit())
    return SourceColumn(name, native_type, base, more.pop("nullable", True), type_arguments=arguments, **more)


def selected(source: SourceColumn, override: ColumnType | None = None) -> str:
    """What is selected of a column."""
    mapping = types.map_column(source, override)
    return types.staged(source, mapping.type, mapping.expression)


@dataclass(frozen=True)
class Source:
    """One session of a database."""

    connection: sa.Connection
    database: str

    @classmethod
    @contextmanager
    def of(cls, database: str) -> Iterator[Source]:
        engine = sa.create_engine(_url(database), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield cls(connection, database)

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self.connection.exec_driver_sql(statement)

    def run(self, statement: str) -> Sequence[Row]:
        return [dict(row) for row in self.connection.exec_driver_sql(statement).mappings()]

    def name(self, table: str, schema: str = "dbo") -> TableName:
        return TableName(self.database, schema, table)

    def table(self, table: str) -> SourceTable:
        return catalogue.describe(self.run, self.name(table))

    def extract(self, table: SourceTable, overrides: Mapping[str, ColumnType] | None = None) -> Sequence[Row]:
        """The rows as the reader gets them."""
        columns = []
        for one in table.columns:
            mapping = types.map_column(one, (overrides or {}).get(one.name))
            columns.append(ReadColumn(one.name, mapping.type, one, mapping.expression))
        return self.run(extraction.extraction_query(table.name, columns, None, None))


def _url(database: str) -> str:
    host, port = os.environ["SOURCE_SQLSERVER_HOST"], os.environ.get("SOURCE_SQLSERVER_PORT") or 1433
    parts = {
        "Driver": os.environ.get("SOURCE_SQLSERVER_DRIVER") or _driver(),
        "Server": f"{host},{port}",
        "Database": database,
        "UID": os.environ.get("SOURCE_SQLSERVER_USERNAME", ""),
        "PWD": os.environ.get("SOURCE_SQLSERVER_PASSWORD", ""),
        "TrustServerCertificate": "yes",
    }
    return "mssql+pyodbc:///?odbc_connect=" + quote_plus(";".join(f"{key}={value}" for key, value in parts.items()))


def _driver() -> str:
    """Microsoft's driver of the wheel, or else of the system."""
    wheel = find_spec("mssql_python_odbc")
    folders = wheel.submodule_search_locations if wheel else None
    found = [
        file for folder in folders or () for file in Path(folder).glob("libs/linux/debian*/x86_64/lib/libmsodbcsql*")
    ]
    return str(found[0]) if found else "ODBC Driver 18 for SQL Server"
