"""From run to run: all rows (`none`), or the partitions whose checksum has changed (`checksum`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration_assets.cli.session import reset_table
from migration_assets_tests.main_job import status, table, target_change, target_rows, write_workflow
from migration_assets_tests.source_servers import SourceDatabase, literal
from migration_assets_tests.synchronization.runs import (
    SMALL,
    WORKFLOW,
    assert_same,
    last_plan,
    materialized,
    partitions,
    plans,
    refused,
    staged_files,
    statuses,
    synchronize,
)

CHECKSUM: dict[str, Any] = {"synchronization": {"strategy": "checksum"}, **SMALL}

THREE_PARTITIONS = """
    CREATE TABLE t (id int PRIMARY KEY, note text);
    INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 300) n;
    ANALYZE t;
"""


def test_none_replaces_everything_so_that_deleted_rows_are_gone(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(THREE_PARTITIONS)
    file = write_workflow(tmp_path, source, [table("t", **SMALL)])
    synchronize(file)
    source.execute("DELETE FROM t WHERE id IN (1, 150, 300); UPDATE t SET note = NULL WHERE id = 2")

    row = synchronize(file)["t"]

    assert row["rows"] == 297
    assert last_plan().synchronization.reason == "strategy none moves all rows"
    assert_same(source, "t")


def test_an_unchanged_table_is_not_extracted(source: SourceDatabase, tmp_path: Path, migration_home: Path) -> None:
    source.execute(THREE_PARTITIONS)
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    first = synchronize(file)["t"]
    assert (first["rows"], first["partitions_loaded"], len(staged_files(migration_home))) == (300, 3, 3)

    row = synchronize(file)["t"]

    assert partitions() == [("unchanged", 0)] * 3
    assert (row["status"], row["rows"], row["partitions_loaded"], row["partitions_unchanged"]) == ("published", 0, 0, 3)
    assert row["synchronization"]["partitions_changed"] == 0
    assert staged_files(migration_home) == []
    assert [found["unchanged"] for found in materialized("staged", 3).values()] == [True] * 3
    assert [found["unchanged"] for found in materialized("loaded", 3).values()] == [True] * 3
    target = materialized("target", 1)[None]
    assert (target["partitions unchanged"], target["dagster/row_count"]) == (3, 300)
    assert_same(source, "t")


def test_a_changed_row_moves_exactly_its_partition(
    source: SourceDatabase, tmp_path: Path, migration_home: Path
) -> None:
    source.execute(THREE_PARTITIONS)
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    synchronize(file)
    source.execute("UPDATE t SET note = 'changed' WHERE id = 150")

    row = synchronize(file)["t"]

    assert partitions() == [("unchanged", 0), ("loaded", 100), ("unchanged", 0)]
    assert (row["rows"], row["synchronization"]["partitions_changed"]) == (100, 1)
    assert len(staged_files(migration_home)) == 1
    staged = materialized("staged", 3)
    assert {key: found["unchanged"] for key, found in staged.items()} == {"0001": True, "0002": False, "0003": True}
    target = materialized("target", 1)[None]
    assert (target["rows deleted"], target["rows written"], target["partitions unchanged"]) == (100, 100, 2)
    assert_same(source, "t")


def test_a_range_whose_rows_are_all_gone_is_emptied(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(THREE_PARTITIONS)
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    synchronize(file)
    source.execute("DELETE FROM t WHERE id BETWEEN 101 AND 200")

    synchronize(file)

    assert [found[0] for found in partitions()].count("unchanged") == 2
    assert sum(rows for _, rows in partitions()) == 0
    assert_same(source, "t")


def test_a_tail_that_has_outgrown_its_size_is_divided_and_its_neighbours_stay(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(THREE_PARTITIONS)
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    synchronize(file)
    bounds = [partition.bounds for partition in last_plan().partitions]
    source.execute("INSERT INTO t SELECT n, 'new' FROM generate_series(301, 600) n")

    row = synchronize(file)["t"]

    after = last_plan().partitions
    assert [partition.bounds for partition in after[:2]] == bounds[:2]
    assert len(after) >= 6
    assert statuses() == ["unchanged"] * 2 + ["loaded"] * (len(after) - 2)
    assert row["rows"] == 400
    assert_same(source, "t")


def test_tables_are_compared_by_keys_of_every_kind(source: SourceDatabase, tmp_path: Path) -> None:
    words = ("Zebra", "zebra", "éclair", "Eclair", "Äpfel", "apfel", "ß", "", "a b", "Łódź")
    word = f"CASE n % 10 {' '.join(f'WHEN {place} THEN {literal(one)}' for place, one in enumerate(words))} END"
    moment = "timestamptz" if source.platform == "postgresql" else "timestamp"
    source.execute(
        f"""
        CREATE TABLE texts (k {source.sensitive_text} PRIMARY KEY, v int);
        INSERT INTO texts SELECT {word} || n / 10, n FROM generate_series(1, 400) n;
        CREATE TABLE uuids (k uuid PRIMARY KEY, v int);
        INSERT INTO uuids SELECT md5(n::text)::uuid, n FROM generate_series(1, 400) n;
        CREATE TABLE times (k {moment}, region {source.sensitive_text}, v int, PRIMARY KEY (k, region));
        INSERT INTO times SELECT
            timestamp '2024-03-30 23:00:00.000001' + n / 5 * interval '420001 milliseconds', {word}, n
            FROM generate_series(1, 400) n;
        """
    )
    names = ("texts", "uuids", "times")
    for name in names:
        source.execute(f"ANALYZE {name}")
    file = write_workflow(tmp_path, source, [table(name, **CHECKSUM) for name in names])
    synchronize(file)
    divided = [name for name in names if name != "texts" or source.orders_text_by_bytes]
    assert {name: len(statuses(name)) >= 3 for name in names} == {name: name in divided for name in names}
    for name in names:
        source.execute(f"UPDATE {name} SET v = -1 WHERE v = 177")

    tables = synchronize(file)

    assert {name: tables[name]["synchronization"]["partitions_changed"] for name in names} == dict.fromkeys(names, 1)
    for name in names:
        columns = "lower(k::text), v" if name == "uuids" else "*"
        assert_same(source, name, columns=columns)


def test_rows_without_key_are_a_partition_of_their_own(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(
        """
        CREATE TABLE t (k int, v int);
        INSERT INTO t SELECT CASE WHEN n > 20 THEN n END, n FROM generate_series(1, 320) n;
        ANALYZE t;
        """
    )
    file = write_workflow(tmp_path, source, [table("t", columnNamesToPartitionBy=["k"], **CHECKSUM)])
    synchronize(file)
    (absent,) = [place for place, one in enumerate(last_plan().partitions) if one.absent]
    # One of them changes, and another one gets a key.
    source.execute("UPDATE t SET v = -1 WHERE v = 5; UPDATE t SET k = 1 WHERE v = 6")

    synchronize(file)

    changed = [place for place, name in enumerate(statuses()) if name != "unchanged"]
    assert changed == [0, absent]
    assert_same(source, "t")


def test_a_table_without_a_key_that_orders_alike_is_one_partition(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(
        """
        CREATE TABLE keyless (a int, b text);
        INSERT INTO keyless SELECT n % 7, CASE n WHEN 300 THEN 'last' ELSE 'x' END FROM generate_series(1, 300) n;
        CREATE TABLE floats (k float8 PRIMARY KEY); INSERT INTO floats SELECT n / 3.0 FROM generate_series(1, 300) n;
        """
    )
    file = write_workflow(tmp_path, source, [table(name, **CHECKSUM) for name in ("keyless", "floats")])
    for plan in plans(file).values():
        assert len(plan.partitions) == 1
        assert "one partition" in plan.notes[0]
        assert "columnNamesToPartitionBy" in plan.notes[0]
    file = write_workflow(tmp_path, source, [table("keyless", **CHECKSUM)])
    synchronize(file)
    source.execute("DELETE FROM keyless WHERE b = 'last'")

    assert synchronize(file)["keyless"]["rows"] == 299
    assert_same(source, "keyless")
    assert synchronize(file)["keyless"]["partitions_unchanged"] == 1


def test_rows_that_leave_the_filter_leave_the_target(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(
        """
        CREATE TABLE t (id int PRIMARY KEY, hidden boolean NOT NULL);
        INSERT INTO t SELECT n, n % 10 = 0 FROM generate_series(1, 300) n;
        ANALYZE t;
        """
    )
    file = write_workflow(tmp_path, source, [table("t", whereClauseCriteria=source.spell("NOT hidden"), **CHECKSUM)])
    synchronize(file)
    source.execute("UPDATE t SET hidden = true WHERE id = 7; INSERT INTO t VALUES (1000, true)")

    row = synchronize(file)["t"]

    assert row["synchronization"]["partitions_changed"] == 1
    assert_same(source, "t", where="NOT hidden")


def test_what_others_did_to_the_target_is_noticed_and_mended_by_a_reset(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(THREE_PARTITIONS)
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    synchronize(file)
    target_change("DELETE FROM t WHERE id = 1; INSERT INTO t SELECT 2, 'a foreign row' FROM range(3)")
    source.execute("UPDATE t SET note = 'changed' WHERE id = 300")

    told = refused(file)["t"]

    assert "the target TARGET.PUBLIC.t holds 302 rows, and generation" in told
    assert "`migrate reset`" in told

    reset_table(WORKFLOW, "t")
    synchronize(file)
    assert_same(source, "t")


@pytest.mark.platforms("postgresql")
def test_documents_are_compared_by_what_they_mean(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(
        """
        CREATE TABLE t (id int PRIMARY KEY, a json, b jsonb);
        INSERT INTO t SELECT n, json_build_object('n', n, 'ü', 'é'), jsonb_build_array(n, NULL, 1.50)
            FROM generate_series(1, 300) n;
        ANALYZE t;
        """
    )
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    synchronize(file)
    source.execute("""UPDATE t SET b = '{"deep": [1, {"x": null}]}' WHERE id = 250""")

    synchronize(file)

    assert statuses() == ["unchanged", "unchanged", "loaded"]
    assert target_rows("SELECT b::VARCHAR FROM t WHERE id = 250")[0][0].replace(" ", "") == '{"deep":[1,{"x":null}]}'


def test_a_table_that_was_empty_at_first_is_followed(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, note text)")
    file = write_workflow(tmp_path, source, [table("t", **CHECKSUM)])
    synchronize(file)
    source.execute("INSERT INTO t SELECT n, 'row' FROM generate_series(1, 250) n; ANALYZE t")

    synchronize(file)

    assert_same(source, "t")
    assert status(WORKFLOW)["t"]["synchronization"]["mode"] == "ranges"
