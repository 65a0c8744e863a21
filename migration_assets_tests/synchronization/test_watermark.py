"""From run to run: rows above the last watermark, added, or merged by their key; and those that were deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration_assets.cli.session import reset_table
from migration_assets_tests.main_job import table, target_change, target_rows, write_workflow
from migration_assets_tests.source_servers import SourceDatabase
from migration_assets_tests.synchronization.runs import (
    SMALL,
    WORKFLOW,
    assert_same,
    materialized,
    plan_problems,
    plans,
    progress,
    refused,
    staged_files,
    synchronize,
    target_contents,
    target_tables,
)


def watermark(column: str = "seen", **keys: object) -> dict[str, Any]:
    return {"synchronization": {"strategy": "watermark", "watermarkColumn": column, **keys}}


def merging(**keys: object) -> dict[str, Any]:
    return {**watermark("seen", trackModifications=True, **keys), "primaryKeyColumns": ["id"]}


ROWS = """
    CREATE TABLE t (id int PRIMARY KEY, seen timestamp, note text);
    INSERT INTO t SELECT n, timestamp '2024-05-01' + n * interval '1 second', 'row ' || n
        FROM generate_series(1, 100) n;
"""


# -- added --------------------------------------------------------------------------------------


def test_new_rows_are_added_once_also_with_the_watermark_that_was_read_last(
    source: SourceDatabase, tmp_path: Path, migration_home: Path
) -> None:
    source.execute(ROWS)
    file = write_workflow(tmp_path, source, [table("t", **watermark())])
    synchronize(file)
    source.execute(
        """
        INSERT INTO t SELECT 101, max(seen), 'as late as the last one' FROM t;
        INSERT INTO t SELECT 102, max(seen) + interval '1 microsecond', 'later' FROM t;
        """
    )

    row = synchronize(file)["t"]

    assert row["synchronization"]["mode"] == "append"
    # With the digits of its type, or with all that a server has.
    assert row["synchronization"]["watermark"].rstrip("0") == "2024-05-01 00:01:40.000001"
    # The row of the last run that has the very watermark comes a second time, in its own place.
    assert row["rows"] == 3
    assert_same(source, "t")

    target_change("UPDATE t SET note = 'changed in the target'")
    before = target_contents("t")
    row = synchronize(file)["t"]
    assert (row["status"], row["rows"]) == ("published", 0)
    assert row["synchronization"]["watermark"].rstrip("0") == "2024-05-01 00:01:40.000001"
    assert staged_files(migration_home) == []
    target = materialized("target", 1)[None]
    assert (target["rows deleted"], target["rows written"], target["dagster/row_count"]) == (0, 0, 102)
    assert target_tables() == {"t": before}


STEPS = {
    "timestamp": ("'2024-10-27 00:59:59.999999'", "'2024-10-27 01:00:00'"),
    "numeric(38, 10)": ("1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456790"),
    "bigint": ("9223372036854775000", "9223372036854775001"),
    "text": ("'Äb'", "'Äba'"),
}
INSTANTS = {"timestamptz": ("'2024-10-27 00:59:59.999999+00'", "'2024-10-27 01:00:00+00'")}
"""DuckDB has no type for those of SQL Server, which keep their offset."""


def test_watermarks_of_every_kind_are_followed_to_their_last_digit(source: SourceDatabase, tmp_path: Path) -> None:
    steps = {**STEPS, **(INSTANTS if source.platform == "postgresql" else {})}
    names = {f"t{number}": kind for number, kind in enumerate(steps)}
    for name, kind in names.items():
        start, _ = steps[kind]
        declared = source.sensitive_text if kind == "text" else kind
        source.execute(f"CREATE TABLE {name} (id int, seen {declared})")
        source.execute(f"INSERT INTO {name} VALUES (1, {start}), (2, {start})")
    file = write_workflow(tmp_path, source, [table(name, **watermark()) for name in names])
    synchronize(file)
    for name, kind in names.items():
        source.execute(f"INSERT INTO {name} VALUES (3, {steps[kind][1]})")

    tables = synchronize(file)

    assert {names[name]: row["rows"] for name, row in tables.items()} == dict.fromkeys(steps, 1)
    assert_same(source, *names)


def test_a_text_watermark_that_comes_again_is_refused_with_the_cure(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(f"CREATE TABLE t (id int, seen {source.sensitive_text}); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    file = write_workflow(tmp_path, source, [table("t", **watermark())])
    synchronize(file)
    source.execute("INSERT INTO t VALUES (3, 'b')")

    told = refused(file)["t"]

    assert "rows with the watermark b have come, gone or changed" in told
    assert "set trackModifications to true" in told


def test_rows_that_come_late_are_found_with_lookback_only(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS + "CREATE TABLE looked AS TABLE t; CREATE TABLE counted AS SELECT id, id AS seen FROM t;")
    source.execute("INSERT INTO counted VALUES (200, 200)")
    file = write_workflow(
        tmp_path,
        source,
        [
            table("t", **watermark()),
            table("looked", **watermark(lookback="30s")),
            table("counted", **watermark(lookback=50)),
        ],
    )
    synchronize(file)
    for name in ("t", "looked"):
        source.execute(
            f"INSERT INTO {name} VALUES (201, '2024-05-01 00:01:30', 'late'), (202, '2024-05-01', 'too late')"
        )
    source.execute("INSERT INTO counted VALUES (201, 170), (202, 149)")

    tables = synchronize(file)

    assert {name: row["rows"] for name, row in tables.items()} == {"t": 0, "looked": 31, "counted": 2}
    assert len(target_contents("t")) == 100
    assert_same(source, "looked", "counted", where="id <> 202")
    assert [len(target_contents(name)) for name in ("looked", "counted")] == [101, 102]


def test_rows_without_a_watermark_are_moved_by_the_first_run_and_not_lost_later(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(ROWS + "UPDATE t SET seen = NULL WHERE id <= 3")
    file = write_workflow(tmp_path, source, [table("t", **watermark())])
    synchronize(file)
    assert_same(source, "t")
    source.execute("INSERT INTO t VALUES (101, NULL, 'new')")

    told = refused(file)["t"]

    assert "workflow moved, table t: the rows without seen are others than at the last run" in told
    assert "trackModifications" in told
    assert "`migrate reset`" in told

    reset_table(WORKFLOW, "t")
    synchronize(file)
    assert_same(source, "t")


@pytest.mark.platforms("postgresql")
@pytest.mark.parametrize("kind", ["timestamp", "float8"])
def test_an_endless_watermark_is_refused(source: SourceDatabase, tmp_path: Path, kind: str) -> None:
    source.execute(f"CREATE TABLE t (id int PRIMARY KEY, seen {kind}); INSERT INTO t VALUES (1, 'infinity')")

    told = refused(write_workflow(tmp_path, source, [table("t", **watermark())]))["t"]

    assert "The largest value of 'seen' is infinity" in told.replace("Infinity", "infinity")
    assert "whereClauseCriteria" in told


def test_a_table_that_was_empty_at_first_is_followed(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, seen timestamp, note text)")
    source.execute("CREATE TABLE merged (id int PRIMARY KEY, seen timestamp, note text)")
    file = write_workflow(
        tmp_path, source, [table("t", **watermark()), table("merged", **merging(trackDeletions=True))]
    )
    synchronize(file)
    for name in ("t", "merged"):
        source.execute(f"INSERT INTO {name} VALUES (1, '2024-05-01', 'a'), (2, '2024-05-02', 'b')")

    tables = synchronize(file)

    assert [row["rows"] for row in tables.values()] == [2, 2]
    assert_same(source, "t", "merged")


def test_many_new_rows_are_divided_by_the_watermark(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS + "ANALYZE t")
    file = write_workflow(tmp_path, source, [table("t", **watermark(), **SMALL)])
    synchronize(file)
    source.execute(
        "INSERT INTO t SELECT n, timestamp '2024-06-01' + n * interval '1 second', '' FROM generate_series(101, 500) n;"
        "ANALYZE t"
    )

    row = synchronize(file)["t"]

    assert row["partitions"] >= 4
    assert row["rows"] == 400
    assert_same(source, "t")


# -- merged -------------------------------------------------------------------------------------


def test_rows_are_updated_and_added_and_columns_of_the_target_s_own_keep_their_values(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(ROWS + "UPDATE t SET seen = NULL WHERE id IN (7, 8)")
    file = write_workflow(tmp_path, source, [table("t", **merging())])
    synchronize(file)
    target_change("ALTER TABLE t ADD COLUMN remark VARCHAR; UPDATE t SET remark = 'kept ' || id")
    source.execute(
        """
        UPDATE t SET note = 'changed', seen = '2024-06-01' WHERE id = 5;
        UPDATE t SET note = 'changed without a watermark' WHERE id = 7;
        UPDATE t SET id = 200, seen = NULL WHERE id = 99;
        INSERT INTO t VALUES (101, '2024-06-02', 'new');
        """
    )

    row = synchronize(file)["t"]

    # Those above the last watermark, and all without one.
    assert row["rows"] == 5
    assert row["synchronization"]["mode"] == "merge"
    found = target_contents("t", "id, seen, note")
    # A key that is gone stays: deletions are not tracked.
    assert [one for one in found if one[0] != 99] == sorted(source.fetch("SELECT * FROM t"), key=repr)
    assert len(found) == 102
    remarks = dict(target_rows("SELECT id, remark FROM t"))
    assert (remarks[5], remarks[7], remarks[50], remarks[101]) == ("kept 5", "kept 7", "kept 50", None)


def test_of_a_key_that_comes_twice_the_newest_row_wins(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int, seen timestamp, note text); INSERT INTO t VALUES (1, '2024-05-01', 'old')")
    file = write_workflow(tmp_path, source, [table("t", **merging())])
    synchronize(file)
    source.execute(
        """
        INSERT INTO t VALUES (1, '2024-05-03', 'newest'), (1, '2024-05-02', 'newer'), (1, NULL, 'timeless'),
            (2, '2024-05-02', 'same time'), (2, '2024-05-02', 'same time, too'), (3, NULL, 'x'), (3, NULL, 'x')
        """
    )

    synchronize(file)

    found = {row[0]: row[2] for row in target_contents("t")}
    assert len(target_contents("t")) == 3
    assert (found[1], found[3]) == ("newest", "x")
    assert found[2] in ("same time", "same time, too")
    assert materialized("target", 1)[None]["rows replaced by newer ones of their key"] == 4
    assert progress()["watermark"].partition(".")[0] == "2024-05-03 00:00:00"


def test_a_row_without_key_is_refused_by_name(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE t (id int, seen timestamp, note text); INSERT INTO t VALUES (1, '2024-05-01', 'old')")
    file = write_workflow(tmp_path, source, [table("t", **merging())])
    synchronize(file)
    source.execute("INSERT INTO t VALUES (NULL, '2024-05-02', 'nobody'), (1, '2024-05-02', 'new')")

    told = refused(file)["t"]

    assert "1 rows have no value in id, by which they are to be merged" in told
    assert "primaryKeyColumns" in told


@pytest.mark.parametrize("strategy", ["merge", "append", "checksum"])
def test_a_target_with_a_primary_key_is_changed_like_any_other(
    source: SourceDatabase, tmp_path: Path, strategy: str
) -> None:
    source.execute(ROWS)
    target_change(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, seen TIMESTAMP, note VARCHAR, CHECK (id > 0));"
        "INSERT INTO t VALUES (1000, NULL, 'of somebody else')"
    )
    keys = {
        "merge": merging(trackDeletions=True),
        "append": watermark(lookback="5s"),
        "checksum": {"synchronization": {"strategy": "checksum"}},
    }[strategy]
    file = write_workflow(tmp_path, source, [table("t", replaceExisting=True, **keys)])
    synchronize(file)
    changed = "UPDATE t SET note = 'changed', seen = '2024-06-01' WHERE id = 5; DELETE FROM t WHERE id = 6;"
    source.execute("INSERT INTO t VALUES (101, '2024-06-01', 'new');" + (changed if strategy != "append" else ""))

    row = synchronize(file)["t"]

    assert row["synchronization"]["mode"] == {"checksum": "ranges"}.get(strategy, strategy)
    assert_same(source, "t")
    kept = "SELECT constraint_type FROM duckdb_constraints() WHERE table_name = 't' ORDER BY 1"
    assert {"PRIMARY KEY", "CHECK"} <= {kind for (kind,) in target_rows(kept)}


# -- deleted ------------------------------------------------------------------------------------


def test_deleted_rows_and_those_that_left_the_filter_are_deleted(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS)
    keys = merging(trackDeletions=True)
    file = write_workflow(tmp_path, source, [table("t", whereClauseCriteria="note <> 'hidden'", **keys)])
    synchronize(file)
    source.execute(
        """
        DELETE FROM t WHERE id IN (1, 100);
        UPDATE t SET note = 'hidden' WHERE id = 50;
        UPDATE t SET note = 'hidden', seen = '2024-06-01' WHERE id = 51;
        UPDATE t SET note = 'changed', seen = '2024-06-01' WHERE id = 52;
        INSERT INTO t VALUES (101, '2024-06-02', 'new');
        """
    )

    row = synchronize(file)["t"]

    assert row["synchronization"]["keys_deleted"] == 4
    assert materialized("target", 1)[None]["keys gone in the source"] == 4
    assert_same(source, "t", where="note <> 'hidden'")


def test_more_deletions_than_the_limit_are_refused_until_it_is_raised(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS)
    file = write_workflow(tmp_path, source, [table("t", **merging(trackDeletions=True))])
    synchronize(file)
    source.execute("DELETE FROM t WHERE id <= 21; INSERT INTO t VALUES (101, '2024-06-02', 'new')")

    told = refused(file)["t"]

    assert "raise synchronization.deletionLimit (now 0.2)" in told

    file = write_workflow(tmp_path, source, [table("t", **merging(trackDeletions=True, deletionLimit=0.21))])
    row = synchronize(file)["t"]
    assert (row["synchronization"]["keys_deleted"], row["rows"]) == (21, 1)
    assert_same(source, "t")


# -- changes of the configuration ---------------------------------------------------------------


def test_what_decides_over_the_target_s_contents_makes_the_next_run_a_full_load(
    source: SourceDatabase, tmp_path: Path
) -> None:
    source.execute(ROWS)

    def file(**keys: object) -> Path:
        return write_workflow(tmp_path, source, [table("t", **{**merging(), **keys})])

    synchronize(file())
    target_change("ALTER TABLE t ADD COLUMN remark VARCHAR")
    renamed = {"columnNameMappings": [{"sourceName": "note", "targetName": "remark"}]}
    changes: list[dict[str, Any]] = [
        {"synchronization": {"strategy": "checksum"}},
        watermark("id", trackModifications=True),
        watermark("seen"),
        {"whereClauseCriteria": "id <= 50"},
        {"primaryKeyColumns": ["note"]},
        {"columnTypeMappings": [{"sourceType": "int", "targetType": "NUMBER(20, 0)"}]},
        renamed,
    ]
    for change in changes:
        planned = plans(file(**change))["t"].synchronization
        assert planned.mode == "replace", change
        assert planned.reason == (
            "the strategy, key, filter, columns or mappings have changed since generation 1, so what the target holds "
            "can't be continued"
        )
    # What a run from the watermark on would not see.
    source.execute("UPDATE t SET note = 'changed' WHERE id = 5")

    synchronize(file(whereClauseCriteria="id <= 50", **renamed))

    wanted = source.fetch("SELECT * FROM t WHERE id <= 50")
    assert target_contents("t", "id, seen, remark") == sorted(wanted, key=repr)


def test_how_rows_are_moved_may_change_between_two_runs(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute(ROWS + "CREATE TABLE checked (id int PRIMARY KEY)")
    checksum: dict[str, Any] = {"synchronization": {"strategy": "checksum"}}

    def file(**keys: object) -> Path:
        return write_workflow(
            tmp_path,
            source,
            [
                table("t", **{**merging(trackDeletions=True), **keys}),
                table("checked", **{**checksum, **{k: v for k, v in keys.items() if k != "synchronization"}}),
            ],
        )

    synchronize(file())
    changes: list[dict[str, Any]] = [
        {"partitionSize": {"maxRowsPerPartition": 7}},
        {"synchronization": merging(trackDeletions=True, lookback="1d 2h")["synchronization"]},
        {"synchronization": merging(trackDeletions=True, deletionLimit=1)["synchronization"]},
        {"synchronization": merging()["synchronization"]},
        {"consistency": "strict", "metricsCheck": False, "fingerprintCheck": False, "stagedGenerations": 3},
        {"schemaDrift": "evolve", "replaceExisting": True},
    ]
    for change in changes:
        planned = plans(file(**change))
        assert planned["t"].synchronization.reason == "changes since generation 1", change
        assert planned["checked"].synchronization.mode == "ranges", change


def test_a_watermark_that_can_not_be_followed_is_refused_in_the_plan(source: SourceDatabase, tmp_path: Path) -> None:
    source.execute("CREATE TABLE a (id int PRIMARY KEY, doc xml)")
    source.execute(f"CREATE TABLE b (id int PRIMARY KEY, seen {source.sensitive_text})")
    file = write_workflow(tmp_path, source, [table("a", **watermark("doc")), table("b", **watermark(lookback="1h"))])

    first, second = plan_problems(file)

    assert "'doc' can't be a watermark" in first
    assert "The watermark 'seen' can't have a lookback" in second
