"""While the source is written to: a strict target is a state that it had, and any is its state once writers pause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration_assets_tests.main_job import errors, migrate, table, target_rows, write_workflow
from migration_assets_tests.source_servers import SourceDatabase
from migration_assets_tests.synchronization.live_table import COLUMNS, LiveTable, Row
from migration_assets_tests.synchronization.test_live_source import SMALL, STRATEGIES, WATERMARK

APPENDED: dict[str, Any] = {"synchronization": WATERMARK, **SMALL}
RUNS = 2

# Of PostgreSQL, test_live_source.py knows the very state that a run has read.
OF_ALL = pytest.mark.parametrize(
    "strategy",
    [
        "watermark",
        *(pytest.param(name, marks=pytest.mark.platforms("sqlserver")) for name in ("none", "checksum", "appended")),
    ],
)


def run(file: Path) -> list[Row]:
    """Runs the workflow; returns the target's rows."""
    succeeded, _ = migrate(file)
    assert succeeded, [row["error"] for row in errors("moved")]
    return target_rows(f"SELECT {COLUMNS} FROM live ORDER BY id")


@OF_ALL
def test_a_strict_target_is_a_state_that_the_source_had(source: SourceDatabase, tmp_path: Path, strategy: str) -> None:
    if not source.can_hold_still:
        pytest.skip("Babelfish has no TABLOCK, under which the transactions of a strict snapshot begin in one state")
    live = LiveTable.create(source, 2000)
    keys = {**STRATEGIES, "appended": APPENDED}[strategy]
    file = write_workflow(tmp_path, source, [table("live", consistency="strict", **keys)])
    for number in range(RUNS):
        begun = len(live.changes)
        with live.writers(only_inserts=strategy == "appended"):
            found = run(file)
        assert live.is_a_state(found, begun), f"run {number}"


@OF_ALL
def test_a_target_is_the_source_once_writers_pause(source: SourceDatabase, tmp_path: Path, strategy: str) -> None:
    live = LiveTable.create(source, 2000)
    keys = {**STRATEGIES, "appended": APPENDED}[strategy]
    file = write_workflow(tmp_path, source, [table("live", **keys)])
    for number in range(RUNS):
        with live.writers(only_inserts=strategy == "appended"):
            migrate(file)
        found = run(file)
        assert found == source.fetch(f"SELECT {COLUMNS} FROM live ORDER BY id"), f"run {number}"
