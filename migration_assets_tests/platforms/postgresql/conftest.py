"""A session of an empty database of PostgreSQL."""

from __future__ import annotations

import pytest

from migration_assets_tests.platforms.postgresql.source import Source


@pytest.fixture
def source(postgresql_opened: Source) -> Source:
    return postgresql_opened
