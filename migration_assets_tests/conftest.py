"""Fixtures: servers for a session, databases, buckets and a home for one test.

With pytest-xdist every worker has servers of its own: they start in less than a second and share nothing.
"""

from __future__ import annotations

import gc
import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.postgresql_server import EmbeddedPostgreSQL, PostgreSQLServer, has_contrib
from migration_assets_tests.servers import PostgreSQLDatabase, S3Bucket, S3Server, postgresql_binaries
from migration_assets_tests.source_servers import (
    NEEDS_SQLSERVER,
    PLATFORMS,
    SOURCES,
    SQLSERVER_SETTINGS,
    SourceDatabase,
    SQLServerDatabase,
)

if TYPE_CHECKING:
    from dagster import DagsterInstance

_number = itertools.count(1)

# A test must not reach what the developer's shell is configured for.
_FOREIGN_VARIABLES = (
    "AWS_",
    "AZURE_",
    "DAGSTER_",
    "MIGRATION_",
    "SNOWFLAKE_",
    "SOURCE_",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--slow` runs everything."""
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is slow or what this machine has no server for, and say which setting would run it."""
    foreign = [item for item in items if _is_of_another_platform(item)]
    config.hook.pytest_deselected(items=foreign)
    items[:] = [item for item in items if item not in foreign]
    if not config.getoption("--slow"):
        slow = pytest.mark.skip(reason="slow: run it with --slow, or all with `make test SLOW=1`")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(slow)
    needs_account = pytest.mark.skip(reason="needs a Snowflake account: set SNOWFLAKE_ACCOUNT and its credentials")
    needs_contrib = pytest.mark.skip(
        reason="needs a PostgreSQL with hstore and citext: name its folder of programs in TEST_POSTGRESQL_BIN"
    )
    marked_contrib = [item for item in items if item.get_closest_marker("postgres_contrib")]
    if marked_contrib and not has_contrib(postgresql_binaries()):
        for item in marked_contrib:
            item.add_marker(needs_contrib)
    if not SQLSERVER_SETTINGS.get("SOURCE_SQLSERVER_HOST"):
        needs_sqlserver = pytest.mark.skip(reason=NEEDS_SQLSERVER)
        for item in items:
            if item.get_closest_marker("sqlserver"):
                item.add_marker(needs_sqlserver)
    if not os.environ.get("SNOWFLAKE_ACCOUNT"):
        for item in items:
            if item.get_closest_marker("snowflake"):
                item.add_marker(needs_account)


def _is_of_another_platform(item: pytest.Item) -> bool:
    """Whether a test with a mark `platforms` has been given a platform that is not among them."""
    asked = item.get_closest_marker("platforms")
    return asked is not None and any(item.get_closest_marker(name) for name in PLATFORMS if name not in asked.args)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """A PostgreSQL server on a free port of 127.0.0.1 and on a Unix socket, with password authentication."""
    with EmbeddedPostgreSQL(None, secrets.token_hex(16), binaries=postgresql_binaries()) as server:
        yield server


@pytest.fixture
def postgresql_database(postgresql_server: PostgreSQLServer) -> Iterator[PostgreSQLDatabase]:
    """An empty database in UTF-8."""
    with fresh_database(postgresql_server) as database:
        yield database


@contextmanager
def fresh_database(postgresql_server: PostgreSQLServer, encoding: str = "UTF8") -> Iterator[PostgreSQLDatabase]:
    """An empty database, for fixtures that live longer than a test."""
    maintenance = PostgreSQLDatabase.of(postgresql_server, "postgres")
    name = f"test_{next(_number)}"
    # template0 is the one that no open session can hold.
    # Only this locale goes with every encoding.
    locale = "" if encoding == "UTF8" else "LOCALE 'C'"
    maintenance.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' {locale} TEMPLATE template0")
    yield PostgreSQLDatabase.of(postgresql_server, name)
    maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlserver_session_database() -> Iterator[SQLServerDatabase]:
    """One database for all tests: there it takes seconds to make one."""
    database = SQLServerDatabase(SQLSERVER_SETTINGS, f"migration_tests_{secrets.token_hex(4)}")
    with database.made():
        yield database


@pytest.fixture
def sqlserver_database(sqlserver_session_database: SQLServerDatabase) -> SQLServerDatabase:
    """An empty database of a server that speaks TDS."""
    sqlserver_session_database.empty()
    return sqlserver_session_database


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server in this process, which keeps its objects in memory."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}", access_key="test", secret_key=secrets.token_hex(16))
    server.stop()


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Iterator[S3Bucket]:
    """An empty bucket."""
    bucket = S3Bucket(s3_server, f"bucket-{next(_number)}")
    client = s3_server.client()
    client.create_bucket(Bucket=bucket.name)
    yield bucket
    for key in bucket.object_keys():
        client.delete_object(Bucket=bucket.name, Key=key)
    client.delete_bucket(Bucket=bucket.name)


@pytest.fixture
def migration_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MIGRATION_HOME that is DAGSTER_HOME as well, in an environment that names nothing else."""
    for name in os.environ:
        if name.startswith(_FOREIGN_VARIABLES):
            monkeypatch.delenv(name)
    home = tmp_path / "migration_home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n")
    monkeypatch.setenv("MIGRATION_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("DAGSTER_DEPLOYMENT", "local")
    return home


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, migration_home: Path, monkeypatch: pytest.MonkeyPatch) -> SourceDatabase:
    """An empty source database that the environment names, of each platform; of some only with the mark `platforms`."""
    database: SourceDatabase = request.getfixturevalue(f"{request.param}_database")
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    return database


@pytest.fixture(scope="session")
def frozen_imports() -> None:
    """Keeps the collection of garbage from walking through all of Dagster, as `migrate run` does."""
    import migration_assets.jobs  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture
def dagster_in_memory(frozen_imports: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    """The instance of all runs of a test. In files, Dagster's storage is most of the time of a run of few rows."""
    from dagster import DagsterInstance

    from migration_assets.cli import session

    with DagsterInstance.ephemeral() as instance:

        @contextmanager
        def in_memory() -> Iterator[DagsterInstance]:
            yield instance

        monkeypatch.setattr(session, "dagster_instance", in_memory)
        yield instance
