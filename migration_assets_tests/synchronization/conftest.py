"""The source of the main job."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration_assets_tests.servers import PostgreSQLDatabase


@pytest.fixture
def source(
    postgresql_database: PostgreSQLDatabase, migration_home: Path, monkeypatch: pytest.MonkeyPatch
) -> PostgreSQLDatabase:
    """An empty source database that the environment names."""
    for name, value in postgresql_database.environment().items():
        monkeypatch.setenv(name, value)
    return postgresql_database
