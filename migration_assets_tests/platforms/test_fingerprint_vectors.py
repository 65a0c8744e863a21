"""Every platform's SQL gives the tokens, hashes and sums of the golden vectors.

PostgreSQL and DuckDB run it. What can't run here (Snowflake, SQL Server, Redshift) is kept as a snapshot and parsed
in its dialect: that it means the same is not shown by these tests.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
import sqlglot

from migration_assets.platforms.canonical import SPEC, CanonicalKind, CanonicalType, Fingerprint
from migration_assets.platforms.canonical_sql import (
    CanonicalColumn,
    CanonicalSQL,
    HashBuckets,
    RangeBuckets,
)
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.duckdb.canonical import DuckDBSQL
from migration_assets.platforms.postgresql import SESSION_SETTINGS
from migration_assets.platforms.postgresql.canonical import PostgreSQLSQL
from migration_assets.platforms.redshift import RedshiftSQL
from migration_assets.platforms.snowflake.canonical import SnowflakeSQL
from migration_assets.platforms.sqlserver import LegacySQLServerSQL, SQLServerSQL
from migration_assets.platforms.types import TEXT, ColumnType, Kind, decimal, floating, integer, temporal, text
from migration_assets_tests.platforms.fingerprint_vectors import DOCUMENT, Vector, vectors
from migration_assets_tests.servers import PostgreSQLDatabase

SNAPSHOTS = Path(__file__).with_name("fingerprint_sql")
VALUES = vectors("values")
SOME_SYSTEMS = vectors("values_of_some_systems")

_POSTGRESQL_TYPES = {
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: "text",
    Kind.BINARY: "bytea",
    Kind.DATE: "date",
    Kind.TIME: "time without time zone",
    Kind.TIMESTAMP: "timestamp without time zone",
    Kind.TIMESTAMP_TZ: "timestamp with time zone",
    Kind.UUID: "uuid",
}


def postgresql_type(column_type: ColumnType) -> str:
    match column_type.kind:
        case Kind.INTEGER:
            return {16: "smallint", 32: "integer", 64: "bigint"}[column_type.bits or 64]
        case Kind.FLOAT:
            return "real" if column_type.bits == 32 else "double precision"
        case Kind.DECIMAL:
            return "numeric"
        case kind:
            return "character varying" if column_type.length else _POSTGRESQL_TYPES[kind]


def postgresql_column(vector: Vector) -> CanonicalColumn:
    column_type = vector.type
    instant = column_type.kind is Kind.TIMESTAMP_TZ
    return CanonicalColumn(
        "v",
        "(v AT TIME ZONE 'UTC')" if instant else "v",
        column_type,
        vector.canonical,
        native=postgresql_type(column_type),
        native_arguments=(column_type.precision or 0, column_type.scale or 0)
        if column_type.kind is Kind.DECIMAL
        else (),
    )


def postgresql_rows(database: PostgreSQLDatabase, query: str) -> list[tuple[object, ...]]:
    with database.connect() as connection, connection.cursor() as cursor:
        for name, value in SESSION_SETTINGS.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        cursor.execute(query)
        return cursor.fetchall()


def duckdb_connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@pytest.mark.parametrize("vector", [*VALUES, *SOME_SYSTEMS], ids=str)
def test_postgresql_gives_the_tokens(vector: Vector, postgresql_database: PostgreSQLDatabase) -> None:
    column = postgresql_column(vector)
    declared = postgresql_type(vector.type)
    if vector.type.kind is Kind.DECIMAL:
        declared = f"numeric({vector.type.precision}, {vector.type.scale})"
    postgresql_database.execute(f"CREATE TABLE t (n serial, v {declared})")
    for value in vector.values:
        written = "

".join([f"-- Fingerprint spec {SPEC}", *(f"-- {what}
{query};" for what, query in found.items()), ""])
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(written, encoding="utf-8")
        pytest.fail(f"{file.name} was missing and is written now: read it, and commit it")
    assert written == file.read_text(encoding="utf-8")


def test_the_vectors_are_of_this_spec() -> None:
    assert DOCUMENT["spec"] == SPEC
    assert json.dumps(DOCUMENT)  # plain JSON, for implementations in other languages
