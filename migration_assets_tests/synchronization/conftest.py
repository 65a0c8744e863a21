"""The main job's runs are in a Dagster instance in memory."""

from __future__ import annotations

import pytest
from dagster import DagsterInstance


@pytest.fixture(autouse=True)
def _in_memory(dagster_in_memory: DagsterInstance) -> None:
    """For every test here."""
