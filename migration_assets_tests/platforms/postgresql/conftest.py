"""A session of an empty database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migration_assets_tests.platforms.postgresql.source import Source
from migration_assets_tests.servers import PostgreSQLDatabase


@pytest.fixture
def source(postgresql_database: PostgreSQLDatabase) -> Iterator[Source]:
    with Source.of(postgresql_database) as session:
        yield session
