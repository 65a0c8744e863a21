"""At each stop the target is a state that the source had: the one of the snapshot that the run has read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migration_assets.cli.session import open_ledger
from migration_assets_tests.main_job import errors, migrate, table, target_rows, write_workflow
from migration_assets_tests.servers import PostgreSQLDatabase
from migration_assets_tests.synchronization import live_source

pytestmark = pytest.mark.platforms("postgresql")  # Which tells what a snapshot sees: live_table.py is for all.

SMALL = {"partitionSize": {"maxRowsPerPartition": 300}}
WATERMARK = {"strategy": "watermark", "watermarkColumn": "updated_at", "lookback": "30s"}
STRATEGIES: dict[str, dict[str, Any]] = {
    "none": {"synchronization": {"strategy": "none"}, **SMALL},
    "checksum": {"synchronization": {"strategy": "checksum"}, **SMALL},
    "watermark": {
        "synchronization": {**WATERMARK, "trackModifications": True, "trackDeletions": True, "deletionLimit": 1},
        "primaryKeyColumns": ["id"],
        **SMALL,
    },
}


def follow(source: PostgreSQLDatabase, folder: Path, keys: dict[str, Any], runs: int, **writing: bool) -> None:
    """Synchronizes while the source is written to, and holds the target against the snapshot each time."""
    live_source.create(source, 2000)
    file = write_workflow(folder, source, [table("live", **keys)])
    for number in range(runs):
        with live_source.writers(source, **writing):
            succeeded, _ = migrate(file)
        assert succeeded, [row["error"] for row in errors("moved")]
        with open_ledger() as ledger:
            generation = ledger.published("moved", "live")
        assert generation is not None
        assert generation.progress is not None
        wanted = live_source.rows_under(source, json.loads(generation.progress)["snapshot"])
        found = target_rows(f"SELECT {live_source.COLUMNS} FROM live ORDER BY id")
        assert found == wanted, f"run {number}"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_target_is_what_the_snapshot_showed(source: PostgreSQLDatabase, tmp_path: Path, strategy: str) -> None:
    follow(source, tmp_path, STRATEGIES[strategy], runs=4)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_target_is_what_the_snapshot_showed_twenty_times(
    source: PostgreSQLDatabase, tmp_path: Path, strategy: str
) -> None:
    follow(source, tmp_path, STRATEGIES[strategy], runs=20)


def test_rows_that_only_come_are_appended_once(source: PostgreSQLDatabase, tmp_path: Path) -> None:
    follow(source, tmp_path, {"synchronization": WATERMARK, **SMALL}, runs=4, only_inserts=True)
