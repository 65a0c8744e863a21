"""The source of the main job, whose runs are in a Dagster instance in memory."""

from __future__ import annotations

import pytest
from dagster import DagsterInstance

from migration_assets_tests.servers import PostgreSQLDatabase


@pytest.fixture
def source(source: PostgreSQLDatabase, dagster_in_memory: DagsterInstance) -> PostgreSQLDatabase:
    """An empty source database that the environment names."""
    return source
