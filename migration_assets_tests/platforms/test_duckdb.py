"""DuckDB holds every type that travels, and its own spellings are understood."""

from __future__ import annotations

import duckdb
import pytest

from migration_assets.platforms.base import PlatformError
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.types import (
    BINARY,
    BOOLEAN,
    DATE,
    JSON,
    TEXT,
    UUID,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
    text,
)

DDL_TYPES = [
    (BOOLEAN, "BOOLEAN"),
    (integer(16), "SMALLINT"),
    (integer(32), "INTEGER"),
    (integer(64), "BIGINT"),
    (decimal(10, 2), "DECIMAL(10,2)"),
    (decimal(38, 38), "DECIMAL(38,38)"),
    (floating(32), "FLOAT"),
    (floating(64), "DOUBLE"),
    (TEXT, "VARCHAR"),
    (text(10), "VARCHAR"),
    (BINARY, "BLOB"),
    (DATE, "DATE"),
    (temporal(Kind.TIME, 3), "TIME"),
    (temporal(Kind.TIME, 7), "TIME_NS"),
    (temporal(Kind.TIMESTAMP), "TIMESTAMP"),
    (temporal(Kind.TIMESTAMP, 7), "TIMESTAMP_NS"),
    (temporal(Kind.TIMESTAMP_TZ), "TIMESTAMPTZ"),
    (JSON, "JSON"),
    (UUID, "UUID"),
]

SPELLINGS = [
    ("decimal", decimal(18, 3)),
    ("NUMERIC(12)", decimal(12, 0)),
    ("DECIMAL( 12 , 3 )", decimal(12, 3)),
    ("UBIGINT", decimal(20, 0)),
    ("HUGEINT", decimal(38, 0)),
    ("UINTEGER", integer(64)),
    ("TINYINT", integer(16)),
    ("real", floating(32)),
    ("double precision", floating(64)),
    ("VARCHAR(5)", text(5)),
    ("TIMESTAMP WITH TIME ZONE", temporal(Kind.TIMESTAMP_TZ)),
    ("TIMESTAMP_MS", temporal(Kind.TIMESTAMP, 3)),
    ("TIMESTAMP_NS", temporal(Kind.TIMESTAMP, 7)),
    ("TIME_NS", temporal(Kind.TIME, 7)),
]


@pytest.mark.parametrize(("column_type", "ddl_type"), DDL_TYPES)
def test_every_type_has_a_ddl_type(column_type: ColumnType, ddl_type: str) -> None:
    assert DuckDB().ddl_type(column_type) == ddl_type


@pytest.mark.parametrize(("column_type", "ddl_type"), DDL_TYPES)
def test_the_catalogue_s_spelling_of_a_ddl_type_is_read_as_the_type(column_type: ColumnType, ddl_type: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t (c {ddl_type})")
        (spelling,) = connection.execute("SELECT data_type FROM duckdb_columns()").fetchall()[0]

    assert DuckDB().ddl_type(DuckDB().parse_type(spelling)) == ddl_type


@pytest.mark.parametrize(("spelling", "column_type"), SPELLINGS)
def test_other_spellings_are_understood(spelling: str, column_type: ColumnType) -> None:
    assert DuckDB().parse_type(spelling) == column_type


@pytest.mark.parametrize("column_type", [decimal(39, 0), decimal(5, 6), decimal(5, -1)])
def test_a_decimal_that_duckdb_can_t_hold_is_refused(column_type: ColumnType) -> None:
    with pytest.raises(PlatformError, match=r"Map the column to VARCHAR"):
        DuckDB().ddl_type(column_type)


@pytest.mark.parametrize("spelling", ["INTERVAL", "STRUCT(a INTEGER)", "INTEGER[]", "ENUM('a')", "", "INT(3)"])
def test_a_type_that_can_t_be_staged_is_refused(spelling: str) -> None:
    with pytest.raises(PlatformError):
        DuckDB().parse_type(spelling)


def test_a_mistyped_type_gets_a_suggestion() -> None:
    with pytest.raises(PlatformError, match=r"Did you mean .*BOOLEAN"):
        DuckDB().parse_type("BOLEAN")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [("Amount", "AMOUNT", True), ("Ä", "ä", False), ("a", "b", False), ("Größe", "gRößE", True)],
)
def test_names_are_compared_as_duckdb_does(first: str, second: str, *, same: bool) -> None:
    assert DuckDB().same_name(first, second) is same
    with duckdb.connect() as connection:
        statement = f'CREATE TABLE t ("{first}" INTEGER, "{second}" INTEGER)'
        if same:
            with pytest.raises(duckdb.CatalogException, match="already exists"):
                connection.execute(statement)
        else:
            connection.execute(statement)


def test_names_keep_their_case() -> None:
    assert DuckDB().fold("OrderLines") == "OrderLines"


def test_an_instant_with_offset_and_100_ns_has_no_type_and_a_cure() -> None:
    with pytest.raises(PlatformError, match=r"keeps neither offset nor 100 ns. Map the column to TIMESTAMPTZ"):
        DuckDB().ddl_type(temporal(Kind.TIMESTAMP_TZ, 7))
