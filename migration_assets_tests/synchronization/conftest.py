"""The source of the main job, whose runs are in a Dagster instance in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from dagster import DagsterInstance

from migration_assets.cli import session
from migration_assets_tests.servers import PostgreSQLDatabase


@pytest.fixture
def source(source: PostgreSQLDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgreSQLDatabase]:
    """An empty source database that the environment names. Dagster's files would be most of the time of small runs."""
    with DagsterInstance.ephemeral() as instance:

        @contextmanager
        def in_memory() -> Iterator[DagsterInstance]:
            yield instance

        monkeypatch.setattr(session, "dagster_instance", in_memory)
        yield source
