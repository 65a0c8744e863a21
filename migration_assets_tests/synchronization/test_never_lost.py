"""What is never lost, doubled, taken for proven, or stuck: resumed runs, resets, targets that others change."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import build_schedule_context, materialize

from migration_assets.assets import factory, names, publishing
from migration_assets.assets.factory import build_table_assets
from migration_assets.assets.generations import workflow_tables
from migration_assets.cli import session
from migration_assets.cli.session import open_ledger, reset_table
from migration_assets.deployments import current_deployment
from migration_assets.io_managers import staging
from migration_assets.jobs import RunFailure, build_plan_workflow_job, record_run_failure
from migration_assets.resources.ledger import GenerationStatus, Ledger, WorkflowStatus
from migration_assets.resources.warehouses.base import WarehouseError
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.schedules import build_schedules
from migration_assets.workflow import load_workflow
from migration_assets_tests.main_job import (
    errors,
    migrate,
    status,
    table,
    target_change,
    target_rows,
    verdicts,
    write_workflow,
)
from migration_assets_tests.source_servers import SourceDatabase
from migration_assets_tests.synchronization.runs import statuses

CHECKSUM: dict[str, Any] = {"synchronization": {"strategy": "checksum"}}
APPEND: dict[str, Any] = {"synchronization": {"strategy": "watermark", "watermarkColumn": "w"}}
MERGE: dict[str, Any] = {
    "synchronization": {"strategy": "watermark", "watermarkColumn": "w", "trackModifications": True},
    "primaryKeyColumns": ["id"],
}
DELETIONS: dict[str, Any] = {
    "synchronization": {**MERGE["synchronization"], "trackDeletions": True, "deletionLimit": 1},
    "primaryKeyColumns": ["id"],
}
SMALL: dict[str, Any] = {"partitionSize": {"maxRowsPerPartition": 10}}


def failing_once(monkeypatch: pytest.MonkeyPatch, of: Any, name: str, error: Callable[[], Exception]) -> None:
    """The next call of a function fails before it does anything."""
    real = getattr(of, name)

    def fail(*arguments: Any, **keys: Any) -> Any:
        monkeypatch.setattr(of, name, real)
        raise error()

    monkeypatch.setattr(of, name, fail)


def crash_before_the_end_is_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next publish dies between the target's transaction and the ledger."""
    real = Ledger.set_generation_status

    def die(self: Ledger, generation_id: int, status: GenerationStatus, **keys: Any) -> None:
        if status is GenerationStatus.PUBLISHED:
            monkeypatch.setattr(Ledger, "set_generation_status", real)
            raise RuntimeError("killed")
        real(self, generation_id, status, **keys)

    monkeypatch.setattr(Ledger, "set_generation_status", die)


def run(file: Path) -> dict[str, Any]:
    succeeded, found = migrate(file)
    assert succeeded, [row["error"] for row in errors("moved")]
    return found["t"]


# -- the division -------------------------------------------------------------------------------


def test_a_table_that_was_empty_at_first_is_not_cut_into_single_rows(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, note text); ANALYZE t")
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    run(file)
    source.execute("INSERT INTO t SELECT n, 'row' FROM generate_series(1, 1000) n")
    assert run(file)["partitions"] <= 10


# -- resuming -----------------------------------------------------------------------------------


@pytest.mark.parametrize("consistency", ["snapshot", "strict"])
def test_rows_that_are_touched_between_a_crash_and_its_repeat_are_in_the_target(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, consistency: str
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); INSERT INTO t SELECT n, n FROM generate_series(1, 9) n"
    )
    file = write_workflow(tmp_path, source, [table("t", **MERGE, consistency=consistency)])
    failing_once(monkeypatch, staging.StagingRun, "_extract", lambda: RuntimeError("killed"))
    assert not migrate(file)[0]
    source.execute("UPDATE t SET w = 100 WHERE id = 5")
    found = run(file)
    assert target_rows("SELECT count(*) FROM t") == [(9,)], verdicts(found)


def test_a_committed_change_is_not_forgotten_when_the_warehouse_is_away_for_a_moment(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT n, 'a' FROM generate_series(1, 30) n"
    )
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM, **SMALL)])
    run(file)
    source.execute("UPDATE t SET note = 'b' WHERE id = 5")
    crash_before_the_end_is_written_down(monkeypatch)
    assert not migrate(file)[0]
    failing_once(monkeypatch, DuckDBWarehouse, "describe", lambda: WarehouseError("away"))
    assert not migrate(file)[0]
    source.execute("UPDATE t SET note = 'a' WHERE id = 5")
    run(file)
    assert target_rows("SELECT note FROM t WHERE id = 5") == [("a",)]


@pytest.mark.parametrize("strategy", [CHECKSUM, DELETIONS], ids=["checksum", "deletions"])
def test_deletions_alone_may_be_made_twice_after_a_crash(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: dict[str, Any]
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); INSERT INTO t SELECT n, n FROM generate_series(1, 30) n"
    )
    source.execute("ANALYZE t")
    file = write_workflow(tmp_path, source, [table("t", **{**SMALL, **strategy})])
    run(file)
    source.execute(
        "DELETE FROM t WHERE id BETWEEN 11 AND 14" if strategy is DELETIONS else "DELETE FROM t WHERE id <= 10"
    )
    crash_before_the_end_is_written_down(monkeypatch)
    assert not migrate(file)[0]
    run(file)
    assert target_rows("SELECT id FROM t ORDER BY id") == source.fetch("SELECT id FROM t ORDER BY id")


def test_rows_with_a_text_watermark_are_not_doubled_when_the_warehouse_is_away_after_a_commit(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute(f"CREATE TABLE t (id int PRIMARY KEY, w {source.sensitive_text} NOT NULL)")
    source.execute("INSERT INTO t VALUES (1, 'a')")
    file = write_workflow(tmp_path, source, [table("t", **APPEND)])
    run(file)
    source.execute("INSERT INTO t VALUES (2, 'b')")
    crash_before_the_end_is_written_down(monkeypatch)
    assert not migrate(file)[0]
    failing_once(monkeypatch, DuckDBWarehouse, "describe", lambda: WarehouseError("away"))
    assert not migrate(file)[0]
    run(file)
    assert target_rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def test_a_target_that_was_dropped_while_a_change_was_unfinished_is_made_anew(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); INSERT INTO t VALUES (1, 1)")
    file = write_workflow(tmp_path, source, [table("t", **MERGE)])
    run(file)
    source.execute("INSERT INTO t VALUES (2, 2)")
    failing_once(monkeypatch, factory, "load_partitions", lambda: RuntimeError("killed"))
    assert not migrate(file)[0]
    target_change("DROP TABLE t")
    migrate(file)
    run(file)
    assert target_rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def test_a_key_that_was_missing_and_is_corrected_in_the_source_is_read_again(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute("CREATE TABLE t (id int, w int NOT NULL); INSERT INTO t VALUES (1, 1)")
    file = write_workflow(tmp_path, source, [table("t", **MERGE)])
    run(file)
    source.execute("INSERT INTO t VALUES (NULL, 2)")
    assert not migrate(file)[0]
    source.execute("UPDATE t SET id = 2 WHERE id IS NULL")
    run(file)
    assert target_rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def test_a_damaged_file_of_deleted_keys_is_written_again(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); INSERT INTO t SELECT n, n FROM generate_series(1, 9) n"
    )
    file = write_workflow(tmp_path, source, [table("t", **DELETIONS)])
    run(file)
    source.execute("DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (10, 10)")
    failing_once(monkeypatch, factory, "load_partitions", lambda: RuntimeError("killed"))
    assert not migrate(file)[0]
    stage = Path(os.environ["MIGRATION_HOME"]) / "stage"
    (damaged,) = [path for path in stage.rglob("*") if path.is_file() and "deleted" in path.parts]
    damaged.write_bytes(damaged.read_bytes()[:20])
    migrate(file)
    run(file)
    assert target_rows("SELECT count(*) FROM t") == [(9,)]


# -- reset --------------------------------------------------------------------------------------


def test_a_run_that_was_broken_off_does_not_undo_a_reset(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); INSERT INTO t VALUES (1, 1)")
    file = write_workflow(tmp_path, source, [table("t", **MERGE)])
    run(file)
    target_change("DELETE FROM t")
    reset_table("moved", "t")
    with open_ledger() as ledger:
        # As the sensor does of a run that was canceled in the queue.
        record_run_failure(ledger, "moved", "t", 1, RunFailure("some run", "canceled"))
    run(file)
    assert target_rows("SELECT id FROM t") == [(1,)]


def test_a_table_that_is_materialized_by_hand_after_a_reset_moves_all_rows(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); INSERT INTO t VALUES (1, 1)")
    file = write_workflow(tmp_path, source, [table("t", **MERGE)])
    run(file)
    source.execute("INSERT INTO t VALUES (2, 2)")
    run(file)
    target_change("DELETE FROM t")
    reset_table("moved", "t")
    # Refused, or all rows.
    by_hand(file, ["0001"])
    run(file)
    assert target_rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


# -- by hand ------------------------------------------------------------------------------------


def by_hand(file: Path, keys: list[str], *steps: str) -> bool:
    """Materializes assets of the table `t` as the UI does."""
    workflow = load_workflow(file)
    (of_table,) = [one for one in workflow_tables(workflow) if one.slug == "t"]
    keys_of = {"staged": names.staged_key, "loaded": names.loaded_key, "target": names.target_key}
    with session.dagster_instance() as instance:
        result = materialize(
            build_table_assets(workflow, of_table, warehouse_kind="duckdb"),
            instance=instance,
            resources=dict(current_deployment().resources),
            selection=[keys_of[step](workflow.name, "t") for step in steps or keys_of],
            tags=dict(zip(names.RANGE_TAGS, (keys[0], keys[-1]), strict=True))
            if len(keys) > 1
            else {"dagster/partition": keys[0]},
            raise_on_error=False,
        )
    return result.success


def test_a_partition_that_changes_between_two_runs_by_hand_is_not_taken_for_unchanged(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT n, 'a' FROM generate_series(1, 30) n"
    )
    source.execute("ANALYZE t")
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM, **SMALL)])
    assert run(file)["partitions"] == 3
    source.execute("UPDATE t SET note = 'b' WHERE id = 25")
    assert by_hand(file, ["0001", "0002"], "staged", "loaded")
    source.execute("UPDATE t SET note = 'b' WHERE id = 5")
    by_hand(file, ["0003"])
    run(file)
    assert target_rows("SELECT id FROM t WHERE note = 'b' ORDER BY id") == [(5,), (25,)]


def test_a_target_that_is_materialized_again_without_staged_files_stays_proven(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    file = write_workflow(tmp_path, source, [table("t", stagedGenerations=0)])
    assert verdicts(run(file))["row_count"] == "pass"
    by_hand(file, ["0001"], "target")
    assert verdicts(status("moved")["t"])["row_count"] == "pass"


# -- targets that were there before -------------------------------------------------------------


def test_ranges_of_a_number_are_found_in_a_target_that_has_it_as_text(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT n, 'a' FROM generate_series(1, 30) n"
    )
    source.execute("ANALYZE t")
    target_change("CREATE TABLE t (id VARCHAR, note VARCHAR)")
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM, **SMALL)])
    run(file)
    source.execute("UPDATE t SET note = 'b' WHERE id = 5")
    run(file)
    assert target_rows("SELECT count(*), count(DISTINCT id) FROM t") == [(30, 30)]


@pytest.mark.parametrize("strategy", [CHECKSUM, DELETIONS], ids=["checksum", "merge"])
def test_a_target_with_a_primary_key_takes_changed_rows(
    source: SourceDatabase, tmp_path: Path, strategy: dict[str, Any]
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); INSERT INTO t SELECT n, n FROM generate_series(1, 30) n"
    )
    target_change("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER NOT NULL)")
    file = write_workflow(tmp_path, source, [table("t", **strategy)])
    run(file)
    source.execute("UPDATE t SET w = 100 WHERE id = 5; DELETE FROM t WHERE id = 6; INSERT INTO t VALUES (31, 101)")
    run(file)
    assert target_rows("SELECT id, w FROM t ORDER BY id") == source.fetch("SELECT id, w FROM t ORDER BY id")


def test_rows_that_somebody_else_deletes_from_the_target_are_noticed(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); INSERT INTO t SELECT n, n FROM generate_series(1, 30) n"
    )
    file = write_workflow(tmp_path, source, [table("t", **DELETIONS)])
    run(file)
    target_change("DELETE FROM t WHERE id <= 20")
    source.execute("INSERT INTO t VALUES (31, 31)")
    succeeded, found = migrate(file)
    assert (
        not succeeded
        or set(verdicts(found["t"]).values()) != {"pass"}
        or target_rows("SELECT count(*) FROM t") == [(31,)]
    )


# -- changed columns ----------------------------------------------------------------------------


def test_values_of_a_column_that_is_gone_survive_a_later_full_load_or_it_is_refused(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL, c text); INSERT INTO t VALUES (1, 1, 'precious')"
    )
    file = write_workflow(tmp_path, source, [table("t", **MERGE, schemaDrift="evolve")])
    run(file)
    source.execute("ALTER TABLE t DROP COLUMN c; INSERT INTO t VALUES (2, 2)")
    run(file)
    source.execute("ALTER TABLE t ADD COLUMN d text; UPDATE t SET d = 'x'")
    migrate(file)
    assert target_rows("SELECT c FROM t WHERE id = 1") == [("precious",)]


def test_a_column_that_became_finer_is_not_cut_without_a_word(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL, moment timestamp(0))")
    source.execute("INSERT INTO t VALUES (1, 1, '2024-01-01 10:00:00')")
    file = write_workflow(tmp_path, source, [table("t", **MERGE, schemaDrift="ignore")])
    run(file)
    source.execute("ALTER TABLE t ALTER COLUMN moment TYPE timestamp(6)")
    source.execute("INSERT INTO t VALUES (2, 2, '2024-01-01 10:00:00.123456')")
    succeeded, found = migrate(file)
    kept = target_rows("SELECT CAST(moment AS VARCHAR) FROM t WHERE id = 2")
    assert not succeeded or kept == [("2024-01-01 10:00:00.123456",)], verdicts(found["t"])


# -- watermarks ---------------------------------------------------------------------------------


def test_a_row_without_watermark_that_takes_the_place_of_another_is_not_lost(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, w int); INSERT INTO t VALUES (1, 1), (2, NULL)")
    file = write_workflow(tmp_path, source, [table("t", **APPEND)])
    run(file)
    source.execute("UPDATE t SET w = 5 WHERE id = 2; INSERT INTO t VALUES (3, NULL)")
    succeeded, found = migrate(file)
    ids = {row[0] for row in target_rows("SELECT id FROM t")}
    assert not succeeded or 3 in ids, verdicts(found["t"])


WATERMARKS = {
    "char(6)": "right('000000' || n, 6)",
    "varchar(6)": "right('000000' || n, 6)",
    "numeric(20,3)": "n + 0.125",
    "real": "n + 0.1",
    "double precision": "n + 0.1",
    "date": "date '2024-01-01' + n",
    "timestamp": "timestamp '2024-01-01' + n * interval '1000001 microseconds'",
    "time": "time '00:00' + n * interval '1000001 microseconds'",
    "uuid": "('00000000-0000-0000-0000-' || right('000000000000' || n, 12))::uuid",
}
WATERMARKS_OF_POSTGRESQL = {
    "numeric": "n + 0.5",
    "timestamptz": "timestamptz '2024-01-01 00:00+00' + n * interval '1000001 microseconds'",
    "interval": "n * interval '1 day'",
    '"char"': 'chr(64 + n)::"char"',
    "inet": "('10.0.0.' || n)::inet",
    "oid": "n::oid",
}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [APPEND, DELETIONS], ids=["append", "merge"])
def test_a_watermark_may_be_of_many_types(source: SourceDatabase, tmp_path: Path, strategy: dict[str, Any]) -> None:
    kinds = {**WATERMARKS, **(WATERMARKS_OF_POSTGRESQL if source.platform == "postgresql" else {})}
    tables = {f"t{number}": (kind, value) for number, (kind, value) in enumerate(kinds.items())}
    for name, (kind, value) in tables.items():
        sensitive = source.sensitive_text.removeprefix("text") if "char(" in kind else ""
        source.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, w {kind}{sensitive} NOT NULL)")
        source.execute(f"INSERT INTO {name} SELECT n, {value} FROM generate_series(1, 5) n")
    file = write_workflow(tmp_path, source, [table(name, **strategy) for name in tables])
    migrate(file)
    for name, (_, value) in tables.items():
        source.execute(f"INSERT INTO {name} SELECT n, {value} FROM generate_series(6, 10) n")
    migrate(file)
    migrate(file)
    told = {row["table_name"]: row["error"] for row in errors("moved")}
    wrong = {}
    for name, (kind, _) in tables.items():
        try:
            found = target_rows(f"SELECT count(*), count(DISTINCT id) FROM {name}")
        except duckdb.Error as error:
            found = [(str(error),)]
        if found != [(10, 10)] or name in told:
            wrong[kind] = (found, told.get(name))
    assert not list(wrong), wrong


@pytest.mark.platforms("postgresql")
@pytest.mark.parametrize("kind", ["bit(8)", "money"])
def test_a_watermark_whose_text_does_not_say_its_value_is_refused(
    source: SourceDatabase, tmp_path: Path, kind: str
) -> None:
    source.execute(f"CREATE TABLE t (id int PRIMARY KEY, w {kind} NOT NULL)")
    assert not migrate(write_workflow(tmp_path, source, [table("t", **APPEND)]))[0]
    assert "doesn't say its value" in errors("moved")[0]["error"]


KEYS = {
    "char(6)": "right('000000' || n, 6)",
    "text": "chr(64 + n % 60) || n",
    "numeric(20,3)": "(n - 15) + 0.125",
    "date": "date '2024-01-01' + n",
    "timestamp": "timestamp '2024-01-01' + n * interval '1000001 microseconds'",
    "uuid": "md5(n::text)::uuid",
    "bigint": "n - 15",
    "double precision": "n + 0.1",
    "boolean": "n % 2 = 0",
}
KEYS_OF_POSTGRESQL = {
    "numeric": "(n - 15) + 0.5",
    "timestamptz": "timestamptz '2024-01-01 00:00+00' + n * interval '1000001 microseconds'",
    "inet": "('10.0.0.' || n)::inet",
}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["checksum", "merge"])
def test_a_key_may_be_of_many_types(source: SourceDatabase, tmp_path: Path, strategy: str) -> None:
    kinds = {**KEYS, **(KEYS_OF_POSTGRESQL if source.platform == "postgresql" else {})}
    tables = {
        f"t{number}": (kind, value)
        for number, (kind, value) in enumerate(kinds.items())
        if strategy == "checksum" or kind != "boolean"
    }
    listed = []
    for name, (kind, value) in tables.items():
        null = "NULL" if strategy == "checksum" else ""
        source.execute(f'CREATE TABLE {name} ("K""ey" {kind} {null}, w int NOT NULL, n int)')
        source.execute(f"INSERT INTO {name} SELECT {value}, n, n FROM generate_series(1, 30) n; ANALYZE {name}")
        if strategy == "checksum":
            source.execute(f"INSERT INTO {name} VALUES (NULL, 0, 0)")
            keys = {**CHECKSUM, **SMALL, "columnNamesToPartitionBy": ['"K""ey"']}
        else:
            keys = {**DELETIONS, "primaryKeyColumns": ['"K""ey"']}
        listed.append(table(name, **keys, columnNameMappings=[{"sourceName": '"K""ey"', "targetName": '"ke\'y"'}]))
    file = write_workflow(tmp_path, source, listed)
    migrate(file)
    for name in tables:
        source.execute(f"UPDATE {name} SET w = 100 + n WHERE n IN (5, 17)")
        source.execute(f"DELETE FROM {name} WHERE n BETWEEN 7 AND 9")
        if strategy == "checksum":
            source.execute(f"UPDATE {name} SET w = -1 WHERE n = 0")
    migrate(file)
    told = {row["table_name"]: row["error"] for row in errors("moved")}
    wrong = {}
    for name, (kind, _) in tables.items():
        found = target_rows(f"SELECT n, w FROM {name} ORDER BY n, w")
        if found != source.fetch(f"SELECT n, w FROM {name} ORDER BY n, w") or name in told:
            wrong[kind] = (len(found), told.get(name))
    assert not wrong


# -- several attempts at one generation ---------------------------------------------------------


def killed_after(monkeypatch: pytest.MonkeyPatch, partition: str, *, with_facts: bool) -> None:
    """The next extraction ends when it has finished one partition, before or after the source told its figures."""
    extract, collect = staging.StagingRun._extract, staging.StagingRun._collect_facts

    def some(self: Any, keys: list[str], keeper: Any, scope: Any) -> None:
        monkeypatch.setattr(staging.StagingRun, "_extract", extract)
        extract(self, [key for key in keys if key == partition], keeper, scope)
        monkeypatch.setattr(staging.StagingRun, "_collect_facts", collect)
        raise RuntimeError("killed")

    monkeypatch.setattr(staging.StagingRun, "_extract", some)
    if not with_facts:
        monkeypatch.setattr(staging.StagingRun, "_collect_facts", lambda *_: None)


@pytest.mark.platforms("sqlserver")
@pytest.mark.parametrize("fingerprint", [True, False], ids=["with fingerprint", "without fingerprint"])
@pytest.mark.parametrize("crash", [False, True], ids=["written down", "killed after the commit"])
def test_a_row_that_changes_while_its_partition_is_read_and_then_back_is_not_taken_for_unchanged(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: bool, fingerprint: bool
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT n, 'a' FROM generate_series(1, 30) n"
    )
    source.execute("ANALYZE t")
    file = write_workflow(tmp_path, source, [table("t", fingerprintCheck=fingerprint, **CHECKSUM, **SMALL)])
    run(file)
    source.execute("UPDATE t SET note = 'b' WHERE id = 5")
    extract = staging.StagingRun._extract

    def changed_meanwhile(self: Any, keys: list[str], keeper: Any, scope: Any) -> None:
        monkeypatch.setattr(staging.StagingRun, "_extract", extract)
        source.execute("UPDATE t SET note = 'c' WHERE id = 6")
        extract(self, keys, keeper, scope)

    monkeypatch.setattr(staging.StagingRun, "_extract", changed_meanwhile)
    if crash:
        failing_once(monkeypatch, publishing.Publication, "_published", lambda: RuntimeError("killed"))
    assert migrate(file)[0] is not crash
    source.execute("UPDATE t SET note = 'a' WHERE id = 6")
    run(file)
    assert target_rows("SELECT id, note FROM t WHERE note <> 'a'") == [(5, "b")]
    run(file)
    run(file)
    assert set(statuses()) == {"unchanged"}


def test_a_partition_that_changes_between_two_attempts_is_not_taken_for_unchanged(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT n, 'a' FROM generate_series(1, 30) n"
    )
    source.execute("ANALYZE t")
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM, **SMALL)])
    assert run(file)["partitions"] == 3
    source.execute("UPDATE t SET note = 'b' WHERE id IN (5, 15)")
    killed_after(monkeypatch, "0001", with_facts=True)
    assert not migrate(file)[0]
    source.execute("UPDATE t SET note = 'b' WHERE id = 25")
    killed_after(monkeypatch, "0002", with_facts=False)
    assert not migrate(file)[0]
    run(file)
    run(file)
    assert target_rows("SELECT id FROM t WHERE note = 'b' ORDER BY id") == [(5,), (15,), (25,)]


def test_a_strict_table_that_is_read_again_is_read_up_to_its_newest_watermark(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL)")
    source.execute("INSERT INTO t SELECT n, n FROM generate_series(1, 30) n")
    source.execute("ANALYZE t")
    keys = {**MERGE, **SMALL, "consistency": "strict", "columnNamesToPartitionBy": ["id"]}
    file = write_workflow(tmp_path, source, [table("t", **keys)])
    killed_after(monkeypatch, "0001", with_facts=True)
    assert not migrate(file)[0]
    source.execute("UPDATE t SET w = 100 WHERE id = 5")
    found = run(file)
    assert target_rows("SELECT count(*) FROM t") == [(30,)], verdicts(found)


# -- schedules ----------------------------------------------------------------------------------


def test_a_schedule_goes_on_after_a_run_was_killed(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    file = write_workflow(tmp_path, source, [table("t")], schedule="0 * * * *")
    run(file)
    workflow = load_workflow(file)
    deployment = current_deployment()
    (schedule,) = build_schedules([workflow], build_plan_workflow_job(deployment))
    with open_ledger() as ledger, session.dagster_instance() as instance:
        # What a killed `migrate run` leaves: nobody holds the table's locks.
        generation = ledger.generation("moved", "t")
        assert generation is not None
        ledger.set_generation_status(generation.id, GenerationStatus.RUNNING)
        ledger.set_workflow_status("moved", WorkflowStatus.EXECUTING)
        context = build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2030, 1, 1, tzinfo=timezone.utc),
            resources={"ledger": deployment.resources["ledger"]},
        )
        assert schedule.evaluate_tick(context).run_requests


def test_a_workflow_ends_when_one_of_its_tables_was_reset_meanwhile(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)")
    file = write_workflow(tmp_path, source, [table("t"), table("u")])
    migrate(file)
    with open_ledger() as ledger:
        ledger.set_workflow_status("moved", WorkflowStatus.EXECUTING)
        generation = ledger.generation("moved", "t")
        assert generation is not None
        ledger.set_generation_status(generation.id, GenerationStatus.PLANNED)
    reset_table("moved", "t")
    with open_ledger() as ledger:
        # As at the end of the other table's publish.
        ledger.complete_workflow_if_done("moved")
        found = ledger.workflow("moved")
        assert found is not None
        assert found.status is WorkflowStatus.COMPLETED
