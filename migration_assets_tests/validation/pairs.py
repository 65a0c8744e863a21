"""The same table in PostgreSQL and in DuckDB, with a column of every type, and its validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.validation.results import TableResult
from migration_assets.validation.table_validation import validate_table
from migration_assets.workflow import ValidationTable
from migration_assets_tests.servers import PostgreSQLDatabase


@dataclass(frozen=True)
class Column:
    """A column as both systems declare it; `cast` is how PostgreSQL's text becomes DuckDB's value."""

    name: str
    postgresql: str
    duckdb: str


COLUMNS = (
    Column("id", "bigint NOT NULL", "BIGINT NOT NULL"),
    Column("flag", "boolean", "BOOLEAN"),
    Column("small", "smallint", "SMALLINT"),
    Column("int_", "integer", "INTEGER"),
    Column("big", "bigint", "BIGINT"),
    Column("price", "numeric(10, 2)", "DECIMAL(10,2)"),
    Column("wide", "numeric(38, 0)", "DECIMAL(38,0)"),
    Column("tiny", "numeric(38, 38)", "DECIMAL(38,38)"),
    Column("single", "real", "FLOAT"),
    Column("ratio", "double precision", "DOUBLE"),
    Column("note", "text", "VARCHAR"),
    Column("code", "varchar(20)", "VARCHAR"),
    Column("padded", "char(10)", "VARCHAR"),
    Column("blob", "bytea", "BLOB"),
    Column("day", "date", "DATE"),
    Column("moment", "time", "TIME"),
    Column("stamp", "timestamp", "TIMESTAMP"),
    Column("instant", "timestamptz", "TIMESTAMPTZ"),
    Column("token", "uuid", "UUID"),
    Column("doc", "jsonb", "JSON"),
)

Row = Sequence[Any]


class Pair:
    """A table `t` on both sides; changes are made to one of them."""

    def __init__(self, database: PostgreSQLDatabase, folder: Path, columns: Sequence[Column] = COLUMNS) -> None:
        self.database = database
        self.columns = columns
        self.source = PostgreSQLSource(**database.login())
        self.warehouse = DuckDBWarehouse(directory=str(folder))
        self.file = folder / "LAKE.duckdb"
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, rows: Sequence[Row], *, key: str | None = "id") -> None:
        """Makes both tables with the same rows; values are Python's, texts of PostgreSQL's for what it has none."""
        primary = f", PRIMARY KEY ({key})" if key else ""
        declared = ", ".join(f"{column.name} {column.postgresql}" for column in self.columns)
        self.database.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t ({declared}{primary})")
        with self.database.connect() as connection, connection.cursor() as cursor:
            places = ", ".join(f"%s::{column.postgresql.removesuffix(' NOT NULL')}" for column in self.columns)
            for row in rows:
                cursor.execute(f"INSERT INTO t VALUES ({places})", list(row))
            cursor.execute("ANALYZE t")
        with duckdb.connect(str(self.file)) as target:
            declared = ", ".join(f"{column.name} {column.duckdb}" for column in self.columns)
            target.execute(f"CREATE OR REPLACE TABLE t ({declared})")
            target.execute("SET TimeZone = 'UTC'")
            if rows:
                values = ", ".join("?" for _ in self.columns)
                target.executemany(f"INSERT INTO t VALUES ({values})", [list(row) for row in rows])

    def change_target(self, *statements: str) -> None:
        """Runs statements on the target."""
        with duckdb.connect(str(self.file)) as target:
            target.execute("SET TimeZone = 'UTC'")
            for statement in statements:
                target.execute(statement)

    def validate(self, **settings: Any) -> TableResult:
        """Validates the rows to the cell; `settings` are those of a `ValidationTable`."""
        config = ValidationTable.model_validate(
            {
                "source": {"database_name": self.database.database, "schema_name": "public", "table_name": "t"},
                "target": {"database_name": "LAKE", "schema_name": "main", "table_name": "t"},
                "schema_validation": False,
                "metrics_validation": False,
                "row_validation": True,
                "row_validation_mode": "cell",
                **settings,
            }
        )
        result = validate_table("test", "t", config, source=self.source, warehouse=self.warehouse)
        assert result.error is None, result.error
        return result
