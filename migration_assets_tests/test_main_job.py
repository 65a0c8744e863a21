"""The main job, from a workflow file to checked tables in DuckDB, with a real PostgreSQL as the source."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from migration_assets.cli.session import open_ledger
from migration_assets_tests.main_job import (
    BAD_PRICE,
    PRICES,
    errors,
    migrate,
    start_migrate,
    status,
    table,
    target_change,
    target_rows,
    verdicts,
    write_workflow,
)
from migration_assets_tests.servers import PostgreSQLDatabase, S3Bucket
from migration_assets_tests.source_servers import SourceDatabase

ALL_PASS = {"schema": "pass", "row_count": "pass", "fingerprint": "pass", "metrics": "pass"}


def fail_in_the_third_partition(source: SourceDatabase, folder: Path) -> Path:
    """Makes the table `t` and runs its workflow once: two of three partitions are finished."""
    source.execute(
        f"""
        CREATE TABLE t (id int PRIMARY KEY, price numeric(6,2));
        INSERT INTO t SELECT n, n FROM generate_series(1, 300) n;
        UPDATE t SET price = {BAD_PRICE} WHERE id = 250
        """
    )
    parts = {"columnNamesToPartitionBy": ["id"], "partitionSize": {"maxRowsPerPartition": 100}}
    file = write_workflow(folder, source, [table("t", **parts, **PRICES)])
    assert not migrate(file)[0]
    return file


def test_every_kind_of_relation_arrives_whole(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(
        """
        CREATE TABLE keyed (id bigint PRIMARY KEY, amount numeric(10,2), note text);
        INSERT INTO keyed SELECT n, n / 4.0, CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'row ' || n END
            FROM generate_series(1, 5000) n;
        CREATE TABLE composite (region text, day date, value int, PRIMARY KEY (region, day));
        INSERT INTO composite SELECT 'r' || n % 7, date '2020-01-01' + n / 7, n FROM generate_series(0, 3000) n;
        CREATE TABLE keyless (a int, b text);
        INSERT INTO keyless SELECT n % 100, 'x' FROM generate_series(1, 4000) n;
        CREATE TABLE nulls_in_key (k int, v int);
        INSERT INTO nulls_in_key SELECT nullif(n % 50, 0), n FROM generate_series(1, 2000) n;
        CREATE TABLE nothing (id int PRIMARY KEY);
        CREATE VIEW seen AS SELECT id, note FROM keyed WHERE id <= 100;
        CREATE TABLE "Größe" ("select" int PRIMARY KEY, "Mixed Case" text, "naïve""quote" int);
        INSERT INTO "Größe" VALUES (1, 'a', 2), (3, NULL, 4);
        """
    )
    small = {"partitionSize": {"maxRowsPerPartition": 700}}
    file = write_workflow(
        tmp_path,
        source,
        [
            table("keyed", columnNamesToPartitionBy=["id"], **small),
            table("composite", columnNamesToPartitionBy=["region", "day"], **small),
            table("keyless", **small),
            table("nulls_in_key", columnNamesToPartitionBy=["k"], **small),
            table("nothing"),
            table("seen"),
            table('"Größe"'),
        ],
    )

    succeeded, tables = migrate(file)

    assert succeeded
    assert {name: verdicts(row) for name, row in tables.items()} == dict.fromkeys(tables, ALL_PASS)
    assert {name: row["rows"] for name, row in tables.items()} == {
        "keyed": 5000,
        "composite": 3001,
        "keyless": 4000,
        "nulls_in_key": 2000,
        "nothing": 0,
        "seen": 100,
        next(name for name in tables if name.startswith("Gr")): 2,
    }
    # What has no key is divided where blocks can be read.
    divided = ["keyed", "composite", "nulls_in_key", *(["keyless"] if source.platform == "postgresql" else [])]
    assert all(tables[name]["partitions"] > 2 for name in divided)
    for relation, order in (("keyed", "id"), ("composite", "region, day"), ('"Größe"', '"select"')):
        assert target_rows(f"SELECT * FROM {relation} ORDER BY {order}") == source.fetch(
            f"SELECT * FROM {relation} ORDER BY {order}"
        )
    counted = "SELECT k, count(*), sum(v) FROM nulls_in_key GROUP BY k ORDER BY k NULLS LAST"
    assert target_rows(counted) == source.fetch(counted)


def test_a_second_run_replaces_and_never_appends(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT n FROM generate_series(1, 100) n")
    file = write_workflow(tmp_path, source, [table("t")])
    assert migrate(file)[0]
    source.execute("DELETE FROM t WHERE id <= 40; INSERT INTO t VALUES (1000)")

    succeeded, tables = migrate(file)

    assert succeeded
    assert (tables["t"]["generation"], tables["t"]["rows"]) == (2, 61)
    assert target_rows("SELECT count(*), max(id) FROM t") == [(61, 1000)]


def test_a_failing_partition_fails_its_table_by_name_and_leaves_its_target_untouched(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(
        """
        CREATE TABLE good (id int PRIMARY KEY); INSERT INTO good SELECT n FROM generate_series(1, 10) n;
        CREATE TABLE bad (id int PRIMARY KEY, price numeric(6,2));
        INSERT INTO bad SELECT n, n FROM generate_series(1, 300) n;
        """
    )
    parts = {"columnNamesToPartitionBy": ["id"], "partitionSize": {"maxRowsPerPartition": 100}}
    file = write_workflow(tmp_path, source, [table("bad", **parts, **PRICES), table("good")])
    assert migrate(file)[0]
    source.execute(f"UPDATE bad SET price = {BAD_PRICE} WHERE id = 250; UPDATE bad SET price = 7 WHERE id = 1")

    succeeded, tables = migrate(file)

    assert not succeeded
    assert tables["good"]["status"] == "published"
    assert tables["bad"]["status"] == "failed"
    assert (tables["bad"]["partitions_failed"], tables["bad"]["partitions"]) == (1, 3)
    assert target_rows("SELECT count(*), sum(price) FROM bad") == [(300, Decimal("45150.00"))]
    (error,) = errors("moved")
    assert (error["table_name"], error["partition_key"], error["stage"]) == ("bad", "0003", "extraction")
    assert all(word in error["error"] for word in ("price", BAD_PRICE, "columnTypeMappings"))


def test_a_repaired_table_goes_on_where_it_failed(source: SourceDatabase, tmp_path: Path, migration_home: Path) -> None:
    file = fail_in_the_third_partition(source, tmp_path)
    finished = _manifests(migration_home)
    assert len(finished) == 2
    source.execute("UPDATE t SET price = 1 WHERE id = 250")

    succeeded, tables = migrate(file)

    assert succeeded
    assert tables["t"]["generation"] == 1
    assert errors("moved") == []
    after = _manifests(migration_home)
    assert {name: after[name] for name in finished} == finished
    assert target_rows("SELECT count(*) FROM t") == [(300,)]


def test_a_table_that_cannot_be_planned_blocks_no_other(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    file = write_workflow(tmp_path, source, [table("missing"), table("t")])

    succeeded, tables = migrate(file)

    assert not succeeded
    assert (tables["missing"]["status"], tables["t"]["status"]) == ("failed", "published")
    assert "missing" in errors("moved")[0]["error"]


def test_a_table_that_may_not_be_read_fails_alone(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute(
        """
        CREATE TABLE open_to_all (id int PRIMARY KEY); INSERT INTO open_to_all VALUES (1);
        CREATE TABLE secret (id int PRIMARY KEY); INSERT INTO secret VALUES (2);
        """
    )
    file = write_workflow(tmp_path, source, [table("secret"), table("open_to_all")])
    with source.reader_of("open_to_all") as login:
        for name, value in login.items():
            monkeypatch.setenv(name, value)
        succeeded, tables = migrate(file)

    assert not succeeded
    assert {name: row["status"] for name, row in tables.items()} == {"secret": "failed", "open_to_all": "published"}
    assert target_rows("SELECT id FROM open_to_all") == [(1,)]
    (error,) = errors("moved")
    assert error["table_name"] == "secret"
    assert "secret" in error["error"]


def test_rows_that_someone_else_put_into_the_target_are_not_replaced_unasked(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    assert migrate(write_workflow(tmp_path, source, [table("t")], name="first"))[0]

    refused, _ = migrate(write_workflow(tmp_path, source, [table("t")], name="second"))
    asked, _ = migrate(write_workflow(tmp_path, source, [table("t", replaceExisting=True)], name="second"))

    assert (refused, asked) == (False, True)


def test_the_stage_may_be_a_bucket(
    source: SourceDatabase, tmp_path: Path, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MIGRATION_STAGE_URL", s3_bucket.url)
    source.execute("CREATE TABLE t AS SELECT n AS id, md5(n::text) AS h FROM generate_series(1, 3000) n")
    file = write_workflow(tmp_path, source, [table("t", partitionSize={"maxRowsPerPartition": 1000})])

    succeeded, tables = migrate(file)

    assert succeeded
    assert verdicts(tables["t"]) == ALL_PASS
    assert any(key.endswith(".parquet") for key in s3_bucket.object_keys())
    digest = "SELECT count(*), min(h), max(h) FROM t"
    assert target_rows(digest) == source.fetch(digest)


@pytest.mark.platforms("postgresql")
def test_the_ledger_may_be_in_postgresql(
    source: PostgreSQLDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATION_LEDGER_URL", source.url())
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")

    succeeded, tables = migrate(write_workflow(tmp_path, source, [table("t")]))

    assert succeeded
    assert tables["t"]["rows"] == 1
    assert source.fetch("SELECT workflow_name, status FROM workflow") == [("moved", "COMPLETED")]


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_run_goes_on_without_loss_and_extracts_nothing_twice(
    source: SourceDatabase, tmp_path: Path, migration_home: Path, seed: int
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, h text, filler text);"
        "INSERT INTO t SELECT n, md5(n::text), repeat('x', 200) FROM generate_series(1, 40000) n"
    )
    partitioned = {"columnNamesToPartitionBy": ["id"], "partitionSize": {"maxRowsPerPartition": 1000}}
    physical = seed % 2 == 0
    keys = {"partitionSize": partitioned["partitionSize"]} if physical else partitioned
    file = write_workflow(tmp_path, source, [table("t", **keys)])
    moment = random.Random(seed)

    for _ in range(3):
        # Killed once so many partitions are finished, or after the last, somewhere in loading and publishing.
        wanted = moment.choice([1, 5, 20, 40])
        before = _manifests(migration_home)
        process = start_migrate(file, {})
        _kill_when(process, lambda wanted=wanted: len(_manifests(migration_home)) >= wanted, moment.random() / 2)  # type: ignore[misc]
        after = _manifests(migration_home)
        same_generation = status("moved")["t"]["generation"] == 1
        if same_generation:
            assert {name: after[name] for name in before} == before

    succeeded, tables = migrate(file)

    assert succeeded
    assert verdicts(tables["t"]) == ALL_PASS
    digest = "SELECT count(*), count(DISTINCT id), min(h), max(h), sum(length(filler)) FROM t"
    assert target_rows(digest) == source.fetch(digest)
    leftovers = "SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%__load_%'"
    assert target_rows(leftovers) == [(0,)]


def test_a_secret_appears_nowhere(source: SourceDatabase, tmp_path: Path, migration_home: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, price numeric(6,2))")
    source.execute(f"INSERT INTO t VALUES (1, {BAD_PRICE})")
    secret = source.password
    file = write_workflow(tmp_path, source, [table("t", **PRICES), table("missing")])
    canary = "canary-0f4e1c"

    outputs: list[str] = []
    for environment in ({}, {f"SOURCE_{source.platform.upper()}_PASSWORD": canary}):
        process = start_migrate(file, environment, "--json")
        outputs += process.communicate(timeout=120)
        assert process.returncode == 1

    assert secret not in "".join(outputs)
    assert canary not in "".join(outputs)
    for path in migration_home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert secret.encode() not in content, path
            assert canary.encode() not in content, path


def test_the_process_ends_with_words_of_its_own_only(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    process = start_migrate(write_workflow(tmp_path, source, [table("t")]), {})
    _, told = process.communicate(timeout=120)

    assert process.returncode == 0
    # DuckDB complains of objects that Python, at its end, has not freed.
    assert "leak" not in told


def test_a_table_is_locked_while_a_run_moves_it(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    file = write_workflow(tmp_path, source, [table("t")])
    monkeypatch.setenv("MIGRATION_LOCK_WAIT_SECONDS", "0.1")

    with open_ledger() as ledger, ledger.lock_table("moved", "t"):
        succeeded, _ = migrate(file)

    assert not succeeded
    assert "another run is moving the table moved/t" in errors("moved")[0]["error"]
    assert migrate(file)[0]


def test_a_lost_ledger_mixes_no_old_partitions_into_a_new_plan(
    source: SourceDatabase, tmp_path: Path, migration_home: Path
) -> None:
    file = fail_in_the_third_partition(source, tmp_path)
    for path in migration_home.glob("ledger.sqlite*"):
        path.unlink()
    source.execute("UPDATE t SET price = 1; INSERT INTO t SELECT n, 1 FROM generate_series(301, 900) n")

    succeeded, tables = migrate(file)

    assert succeeded
    assert verdicts(tables["t"]) == ALL_PASS
    assert target_rows("SELECT count(*), max(price) FROM t") == [(900, Decimal("1.00"))]


def test_a_source_that_changes_between_attempts_is_never_called_proven(source: SourceDatabase, tmp_path: Path) -> None:
    file = fail_in_the_third_partition(source, tmp_path)
    # In partitions that are finished one row goes and another comes.
    source.execute("DELETE FROM t WHERE id = 10; INSERT INTO t VALUES (0, 1); UPDATE t SET price = 1 WHERE id = 250")

    _, tables = migrate(file)

    # As many rows, but not the same ones.
    assert verdicts(tables["t"]) == {**ALL_PASS, "metrics": "inconclusive", "fingerprint": "inconclusive"}


def test_a_target_that_someone_fills_after_the_plan_is_left_alone(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(f"CREATE TABLE t (id int PRIMARY KEY, price numeric(6,2)); INSERT INTO t VALUES (1, {BAD_PRICE})")
    file = write_workflow(tmp_path, source, [table("t", **PRICES)])
    assert not migrate(file)[0]
    source.execute("UPDATE t SET price = 1")
    target_change("CREATE TABLE t (id int, price decimal(6,2)); INSERT INTO t SELECT n, n FROM range(1000) r(n)")

    succeeded, _ = migrate(file)

    assert not succeeded
    assert "replaceExisting" in errors("moved")[0]["error"]
    assert target_rows("SELECT count(*) FROM t") == [(1000,)]


def test_a_column_that_was_dropped_between_attempts_is_planned_anew(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(f"CREATE TABLE t (id int PRIMARY KEY, price numeric(6,2)); INSERT INTO t VALUES (1, {BAD_PRICE})")
    file = write_workflow(tmp_path, source, [table("t", **PRICES)])
    assert not migrate(file)[0]
    source.execute("ALTER TABLE t DROP COLUMN price")

    succeeded, tables = migrate(file)

    assert succeeded
    assert tables["t"]["generation"] == 2


def test_the_operators_views_are_plain_sql(source: SourceDatabase, tmp_path: Path, migration_home: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    assert migrate(write_workflow(tmp_path, source, [table("t")]))[0]

    with sqlite3.connect(migration_home / "ledger.sqlite") as connection:
        progress = connection.execute(
            "SELECT TABLE_NAME, STATUS, PARTITIONS, PARTITIONS_LOADED, ROWS_MOVED, EXAMPLE_ERROR "
            "FROM TABLE_PROGRESS_WITH_EXAMPLE_ERROR"
        ).fetchall()

    assert progress == [("t", "published", 1, 1, 1, None)]


def _manifests(home: Path) -> dict[str, bytes]:
    found = {}
    for path in (home / "stage").rglob("manifests/*.json"):
        found[str(path)] = path.read_bytes()
    return found


def _kill_when(process: subprocess.Popen[str], reached: Callable[[], bool], grace: float) -> None:
    """Kills a process a moment after a condition holds, unless it ends before."""
    deadline = 60.0
    while process.poll() is None and deadline > 0 and not reached():
        deadline -= 0.02
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
