"""The demo's source: complete, typed, and loaded only once."""

from __future__ import annotations

import pytest

from demo import nycflights13, source
from demo.postgresql_server import PostgreSQLServer
from migration_assets_tests.servers import PostgreSQLDatabase


@pytest.fixture(scope="module")
def loaded(postgresql_server: PostgreSQLServer) -> PostgreSQLDatabase:
    assert source.load(postgresql_server)
    return PostgreSQLDatabase.of(postgresql_server, nycflights13.DATABASE)


@pytest.mark.parametrize(
    ("table", "rows"),
    [("airlines", 16), ("airports", 1_458), ("planes", 3_322), ("weather", 26_115), ("flights", 336_776)],
)
def test_every_row_is_loaded(loaded: PostgreSQLDatabase, table: str, rows: int) -> None:
    assert loaded.fetch(f"SELECT count(*) FROM {table}") == [(rows,)]


def test_gaps_are_null_and_numbers_exact(loaded: PostgreSQLDatabase) -> None:
    assert loaded.fetch(
        "SELECT count(*) - count(dep_time), sum(distance), min(flight_id), max(flight_id) FROM flights"
    ) == [(8_255, 350_217_607, 1, 336_776)]
    assert loaded.fetch("SELECT count(*) FROM weather WHERE wind_gust IS NULL") == [(20_778,)]


@pytest.mark.parametrize(
    ("table", "column", "type_name"),
    [
        ("flights", "flight_id", "bigint"),
        ("flights", "dep_time", "integer"),
        ("flights", "time_hour", "timestamp with time zone"),
        ("weather", "temp", "numeric"),
        ("weather", "wind_speed", "double precision"),
        ("planes", "year", "smallint"),
        ("airports", "faa", "character varying"),
    ],
)
def test_types_are_those_of_the_data(loaded: PostgreSQLDatabase, table: str, column: str, type_name: str) -> None:
    found = loaded.fetch(
        "SELECT data_type FROM information_schema.columns WHERE table_name = %s AND column_name = %s",
        table,
        column,
    )
    assert found == [(type_name,)]


def test_every_table_has_a_primary_key_and_statistics(loaded: PostgreSQLDatabase) -> None:
    rows = loaded.fetch(
        """
        SELECT relname, reltuples::bigint, relhasindex
        FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        """
    )
    assert {(name, count) for name, count, _ in rows} == {(table.name, table.rows) for table in nycflights13.TABLES}
    assert all(indexed for *_, indexed in rows)


def test_a_second_load_does_nothing(loaded: PostgreSQLDatabase, postgresql_server: PostgreSQLServer) -> None:
    before = loaded.fetch("SELECT oid FROM pg_class WHERE relname = 'flights'")
    assert not source.load(postgresql_server)
    assert loaded.fetch("SELECT oid FROM pg_class WHERE relname = 'flights'") == before


def test_an_incomplete_load_is_made_whole(loaded: PostgreSQLDatabase, postgresql_server: PostgreSQLServer) -> None:
    loaded.execute("DELETE FROM planes WHERE tailnum = 'N10156'")
    assert source.load(postgresql_server)
    assert loaded.fetch("SELECT count(*) FROM planes") == [(3_322,)]


def test_the_source_variables_name_the_server(postgresql_server: PostgreSQLServer) -> None:
    assert source.environment(postgresql_server) == {
        "SOURCE_POSTGRESQL_HOST": "127.0.0.1",
        "SOURCE_POSTGRESQL_PORT": str(postgresql_server.port),
        "SOURCE_POSTGRESQL_USERNAME": postgresql_server.username,
        "SOURCE_POSTGRESQL_PASSWORD": postgresql_server.password,
        "SOURCE_POSTGRESQL_SSLMODE": "disable",
    }
