"""Targets that somebody else has made, dropped or replaced; and tables that are materialized by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagster import materialize
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from migration_assets.assets.factory import build_table_assets
from migration_assets.assets.generations import workflow_tables
from migration_assets.cli import session
from migration_assets.deployments import current_deployment
from migration_assets.workflow import load_workflow
from migration_assets_tests.main_job import BAD_PRICE, PRICES, table, target_change, write_workflow
from migration_assets_tests.source_servers import SourceDatabase
from migration_assets_tests.synchronization.runs import (
    SMALL,
    assert_same,
    generation,
    last_plan,
    partitions,
    plan_problems,
    plans,
    refused,
    statuses,
    synchronize,
)

CHECKSUM: dict[str, Any] = {"synchronization": {"strategy": "checksum"}, **SMALL, **PRICES}
WATERMARK: dict[str, Any] = {"synchronization": {"strategy": "watermark", "watermarkColumn": "id"}}
STRATEGIES: dict[str, dict[str, Any]] = {"none": {}, "checksum": CHECKSUM, "watermark": WATERMARK}

ROWS = (
    "CREATE TABLE t (id int PRIMARY KEY, price numeric(6,2)); INSERT INTO t SELECT n, n FROM generate_series(1, 300) n;"
)
"""Fits three partitions; a price may be made one that can't be moved."""


def test_a_target_of_somebody_else_is_never_replaced_or_changed_unasked(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS)
    target_change("CREATE TABLE t (id int, price decimal(6, 2)); INSERT INTO t VALUES (1, 1)")
    for keys in STRATEGIES.values():
        file = write_workflow(tmp_path, source, [table("t", **keys)])
        (told,) = plan_problems(file)
        assert "holds 1 rows that this program did not put there" in told
        assert "replaceExisting" in told
    assert "replaceExisting" in refused(file)["t"]


def test_a_target_that_was_dropped_or_replaced_is_loaded_anew(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS + "CREATE TABLE v AS TABLE t; ALTER TABLE v ADD PRIMARY KEY (id); ANALYZE")
    tables = [table("t", **WATERMARK), table("v", **CHECKSUM)]
    file = write_workflow(tmp_path, source, tables)
    synchronize(file)
    target_change(
        """
        DROP TABLE t;
        CREATE OR REPLACE TABLE v (id int, price decimal(6, 2)); INSERT INTO v VALUES (1, 1);
        """
    )
    (told,) = plan_problems(write_workflow(tmp_path, source, tables[1:]))
    assert "holds 1 rows that this program did not put there" in told
    tables[1] |= {"replaceExisting": True}

    found = synchronize(write_workflow(tmp_path, source, tables))

    assert {row["synchronization"]["mode"] for row in found.values()} == {"replace"}
    assert {row["rows"] for row in found.values()} == {300}
    assert_same(source, "t", "v")


def test_an_unfinished_run_whose_target_is_gone_is_planned_anew(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS + "ANALYZE t")
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    synchronize(file)
    source.execute(f"UPDATE t SET price = {BAD_PRICE} WHERE id = 250")
    assert BAD_PRICE in refused(file)["t"]
    source.execute("UPDATE t SET price = 7 WHERE id = 250")
    target_change("DROP TABLE t")

    synchronize(file)

    assert last_plan().synchronization.mode == "replace"
    assert_same(source, "t")


def test_the_plan_says_when_the_target_has_more_rows_than_the_source(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS)
    file = write_workflow(tmp_path, source, [table("t")])
    synchronize(file)
    source.execute("DELETE FROM t WHERE id > 100; ANALYZE t")

    notes = [note for note in plans(file)["t"].notes if "the target" in note]
    assert notes == ["the target holds 300 rows, more than the about 100 that replace them"]


# -- by hand ------------------------------------------------------------------------------------


def materialize_by_hand(file: Path) -> None:
    """What the button in Dagster's UI does for all assets of the one table: no generation is named."""
    workflow, deployment = load_workflow(file), current_deployment()
    (only,) = workflow_tables(workflow)
    keys = [partition.key for partition in last_plan().partitions]
    with session.dagster_instance() as instance:
        result = materialize(
            build_table_assets(workflow, only, warehouse_kind=deployment.warehouse_kind),
            instance=instance,
            resources=dict(deployment.resources),
            tags={ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]},
        )
    assert result.success
    assert {check.passed for check in result.get_asset_check_evaluations()} == {True}


def test_a_table_that_is_materialized_by_hand_moves_its_changed_partitions(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(ROWS + "ANALYZE t")
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    synchronize(file)
    source.execute("UPDATE t SET price = 0 WHERE id = 150")

    materialize_by_hand(file)

    assert partitions() == [("unchanged", 0), ("loaded", 100), ("unchanged", 0)]
    assert_same(source, "t")

    materialize_by_hand(file)
    assert set(statuses()) == {"unchanged"}
    assert (generation().number, generation().status) == (3, "published")


def test_a_table_that_is_materialized_by_hand_moves_rows_above_its_watermark(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(ROWS)
    file = write_workflow(tmp_path, source, [table("t", **WATERMARK)])
    synchronize(file)
    source.execute("INSERT INTO t VALUES (301, 1), (302, 2)")

    materialize_by_hand(file)

    assert sum(rows for _, rows in partitions()) == 2
    assert_same(source, "t")

    assert synchronize(file)["t"]["rows"] == 0
    assert_same(source, "t")
