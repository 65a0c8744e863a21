"""A session of a database of its own, on the server that the environment names."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tenacity import Retrying, stop_after_delay, wait_fixed

from migration_assets_tests.platforms.sqlserver.source import NEEDS_SERVER, Source


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The name of an empty database."""
    if not os.environ.get("SOURCE_SQLSERVER_HOST"):
        pytest.skip(NEEDS_SERVER)
    name = f"types_{os.getpid()}"
    with Source.of("master") as session:
        session.execute(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            # Some servers end a session only after its connection is closed.
            dropped = Retrying(stop=stop_after_delay(20), wait=wait_fixed(0.2), reraise=True)
            dropped(session.execute, f"DROP DATABASE {name}")


@pytest.fixture
def source(database: str) -> Iterator[Source]:
    """A session that leaves no table behind."""
    with Source.of(database) as session:
        yield session
        for kind, objects in (("VIEW", "sys.views"), ("TABLE", "sys.tables")):
            for row in session.run(f"SELECT name FROM {objects} WHERE schema_id = SCHEMA_ID('dbo')"):
                session.execute(f"DROP {kind} [{row['name']}]")
