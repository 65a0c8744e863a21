"""An open session of an empty database, of each platform. One database serves all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.postgresql_server import PostgreSQLServer
from migration_assets_tests.platforms.open_source import OpenSource
from migration_assets_tests.platforms.postgresql.source import Source
from migration_assets_tests.servers import PostgreSQLDatabase
from migration_assets_tests.source_servers import SOURCES, SQLServerDatabase

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
def postgresql_opened(database: PostgreSQLDatabase) -> Iterator[Source]:
    """To empty a database costs less than to make one."""
    database.execute(_EMPTY)
    with Source.of(database) as source:
        yield source


@pytest.fixture
def sqlserver_opened(sqlserver_database: SQLServerDatabase) -> Iterator[OpenSource]:
    from migration_assets.platforms.sqlserver.platform import SQLServer

    with sqlserver_database.session() as session:
        yield OpenSource(sqlserver_database, session, SQLServer(), session.run_by_name)


@pytest.fixture(params=SOURCES)
def opened(request: pytest.FixtureRequest) -> OpenSource:
    """A session of each platform."""
    found: OpenSource = request.getfixturevalue(f"{request.param}_opened")
    return found
