"""What operators do in the UI, through the GraphQL interface that the UI itself uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migration_assets_tests.dagster_dev import DagsterDev, running_dagster_dev, wait_for
from migration_assets_tests.main_job import table, write_workflow
from migration_assets_tests.servers import PostgreSQLDatabase

# The daemon looks for backfills every 30 seconds, and takes two looks for this one.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("user_interface")]

_STATUSES = """
query Partitions($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } } } } }
"""
_LAUNCH = """
mutation Launch($parameters: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $parameters) {
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
_BACKFILL = """
query Backfill($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status error { message } } } }
"""


@pytest.fixture
def dev(postgresql_database: PostgreSQLDatabase, tmp_path: Path) -> Iterator[tuple[DagsterDev, PostgreSQLDatabase]]:
    """`dagster dev` after a run in which the third of four partitions failed, and its source."""
    source = postgresql_database
    source.execute(
        "CREATE TABLE prices (id int PRIMARY KEY, price numeric(5,2));"
        "INSERT INTO prices SELECT n, CASE WHEN n = 250 THEN numeric 'NaN' ELSE n END FROM generate_series(1, 400) n"
    )
    home, workflows = tmp_path / "home", tmp_path / "workflows"
    home.mkdir()
    workflows.mkdir()
    with running_dagster_dev(home, workflows, {"DAGSTER_DEPLOYMENT": "local", **source.environment()}) as dev:
        partitioned: dict[str, Any] = {
            "columnNamesToPartitionBy": ["id"],
            "partitionSize": {"maxRowsPerPartition": 100},
        }
        write_workflow(workflows, source, [table("prices", **partitioned)], name="shop")
        wait_for("the failed table", lambda: dev.generations("shop") == {"prices": "failed"}, 60)
        yield dev, source


def key(step: str) -> dict[str, list[str]]:
    return {"path": ["shop", step, "prices"]}


def partitions(dev: DagsterDev, step: str) -> dict[str, list[str]]:
    """The keys of an asset's partitions by status."""
    found: dict[str, list[str]] = dev.ask(_STATUSES, key=key(step))["assetNodeOrError"]["assetPartitionStatuses"]
    return found


def staged_files(dev: DagsterDev) -> dict[str, int]:
    """The staged data files, and when each was written."""
    files = (dev.home / "stage").rglob("*.parquet")
    return {str(path): path.stat().st_mtime_ns for path in files}


def test_failed_partitions_are_materialized_again_and_only_they_are_extracted(
    dev: tuple[DagsterDev, PostgreSQLDatabase],
) -> None:
    running, source = dev
    assert partitions(running, "staged") == {
        "materializedPartitions": ["0001", "0002", "0004"],
        "failedPartitions": ["0003"],
    }
    before = staged_files(running)
    source.execute("UPDATE prices SET price = 25 WHERE id = 250")

    # "Materialize" on the three assets, with "Failed and missing": what any of them lacks.
    failed = sorted({one for step in ("staged", "loaded") for one in partitions(running, step)["failedPartitions"]})
    selection = [key(step) for step in ("staged", "loaded", "target")]
    parameters = {"assetSelection": selection, "partitionNames": failed}
    launched = running.ask(_LAUNCH, parameters=parameters)["launchPartitionBackfill"]
    assert "backfillId" in launched, launched

    def outcome() -> dict[str, Any] | None:
        backfill: dict[str, Any] = running.ask(_BACKFILL, id=launched["backfillId"])["partitionBackfillOrError"]
        return backfill if str(backfill["status"]).startswith(("COMPLETED", "FAILED")) else None

    assert wait_for("the backfill", outcome, 150) == {"status": "COMPLETED_SUCCESS", "error": None}
    after = staged_files(running)
    assert before.items() <= after.items()
    assert {path.split("/data/")[1][:4] for path in after.keys() - before.keys()} == {"0003"}
    assert running.generations("shop") == {"prices": "published"}
    assert running.ledger.view("DATA_MIGRATION_ERROR", "shop") == []
