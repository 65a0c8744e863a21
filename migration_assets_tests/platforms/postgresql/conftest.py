"""A session of an empty database. One database serves all tests here: to empty it costs less than to make one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.postgresql_server import PostgreSQLServer
from migration_assets_tests.platforms.postgresql.source import Source
from migration_assets_tests.servers import PostgreSQLDatabase

_NAME = "source_platform"
_EMPTY = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
END $$;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO public;
"""


@pytest.fixture(scope="session")
def database(postgresql_server: PostgreSQLServer) -> Iterator[PostgreSQLDatabase]:
    maintenance = PostgreSQLDatabase.of(postgresql_server, "postgres")
    maintenance.execute(f"CREATE DATABASE {_NAME} ENCODING 'UTF8' TEMPLATE template0")
    yield PostgreSQLDatabase.of(postgresql_server, _NAME)
    maintenance.execute(f"DROP DATABASE {_NAME} WITH (FORCE)")


@pytest.fixture
def source(database: PostgreSQLDatabase) -> Iterator[Source]:
    database.execute(_EMPTY)
    with Source.of(database) as session:
        yield session
