"""The same table in PostgreSQL and in DuckDB, with a column of every type, and its validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from migration_assets.platforms.base import ReadColumn, TableName
from migration_assets.platforms.canonical import CanonicalType, Fingerprint, canonical_type
from migration_assets.platforms.canonical_sql import CanonicalColumn
from migration_assets.platforms.types import ColumnType
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.validation.differences.arrow_lane import fingerprint
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

    def fingerprints(self) -> dict[str, Fingerprint]:
        """The fingerprint of all columns but JSON: by each system's SQL, and by the worker over what each sends."""
        name = TableName(self.database.database, "public", "t")
        found = {}
        with self.source.open_snapshot(name, strict=False) as snapshot:
            platform = self.source.platform
            columns = [column for column in platform.describe(snapshot.query, name).columns if column.name != "doc"]
            mappings = {column.name: platform.map_column(column) for column in columns}
            read = [ReadColumn(c.name, mappings[c.name].type, c, mappings[c.name].expression) for c in columns]
            types = {column.name: canonical_of(column.type) for column in read}
            of_source = [
                CanonicalColumn(
                    column.name,
                    column.expression,
                    column.type,
                    types[column.name],
                    native=column.source.base_type,
                    native_arguments=column.source.type_arguments,
                )
                for column in read
            ]
            sql = platform.canonical_sql(snapshot.query)
            found["postgresql"] = Fingerprint.of(snapshot.query(sql.total_query("t", of_source, None))[0])
            with closing(snapshot.open_reader()) as reader:
                query = platform.extraction_query(name, read, None, None)
                found["worker, of postgresql"] = sum_of(reader.read(query, read), types)
        duck = self.warehouse.platform
        with duckdb.connect(str(self.file)) as target:
            target.execute("SET TimeZone = 'UTC'")
            declared = {column.name: column.duckdb.removesuffix(" NOT NULL") for column in self.columns}
            of_target = [
                CanonicalColumn(n, n, duck.parse_type(declared[n]), canonical) for n, canonical in types.items()
            ]
            row = target.sql(duck.canonical_sql.total_query("t", of_target, None)).to_arrow_table().to_pylist()[0]
            found["duckdb"] = Fingerprint.of(row)
            exported = target.sql(f"SELECT {', '.join(types)} FROM t").to_arrow_table()
            exported = exported.set_column(
                exported.schema.get_field_index("token"), "token", exported.column("token").cast(pa.string())
            )
            found["worker, of duckdb"] = sum_of([exported], types)
        return found


def canonical_of(column_type: ColumnType) -> CanonicalType:
    """What a column is compared as with one of the same type."""
    found = canonical_type(column_type, column_type)
    assert found is not None
    return found


def sum_of(tables: Iterable[pa.Table], types: Mapping[str, CanonicalType]) -> Fingerprint:
    """The worker's fingerprint of some tables."""
    return sum((fingerprint(table, types) for table in tables), Fingerprint.ZERO)
