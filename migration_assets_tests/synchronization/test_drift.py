"""When the source's columns have changed since the last run, schemaDrift decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration_assets.cli.reports import print_plan
from migration_assets_tests.main_job import table, target_rows, write_workflow
from migration_assets_tests.source_servers import SourceDatabase
from migration_assets_tests.synchronization.runs import (
    assert_same,
    last_plan,
    plan_problems,
    plans,
    refused,
    synchronize,
)

STRATEGIES: dict[str, dict[str, Any]] = {
    "none_of": {},
    "checksums": {"synchronization": {"strategy": "checksum"}},
    "watermarks": {
        "synchronization": {"strategy": "watermark", "watermarkColumn": "seen", "trackModifications": True},
        "primaryKeyColumns": ["id"],
    },
}
"""By the name of the table that has it."""


def create(source: SourceDatabase, *names: str) -> None:
    for name in names:
        source.execute(
            f"""
            CREATE TABLE {name} (id int PRIMARY KEY, seen bigint NOT NULL, n int, code varchar(5), old text);
            INSERT INTO {name} SELECT n, n, n, 'c' || n, 'old ' || n FROM generate_series(1, 50) n;
            """
        )


def workflow(folder: Path, source: SourceDatabase, policy: str, *names: str, **keys: object) -> Path:
    tables = [table(name, schemaDrift=policy, **STRATEGIES[name], **keys) for name in names]
    return write_workflow(folder, source, tables)


def target_types(name: str) -> dict[str, str]:
    return dict(target_rows(f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{name}'"))


def test_fail_lists_every_change_and_moves_nothing(source: SourceDatabase, tmp_path: Path) -> None:
    create(source, *STRATEGIES)
    file = workflow(tmp_path, source, "fail", *STRATEGIES)
    synchronize(file)
    for name in STRATEGIES:
        source.execute(
            f"""
            ALTER TABLE {name} ADD fresh date, ALTER n TYPE bigint, DROP old;
            INSERT INTO {name} (id, seen) VALUES (51, 51);
            """
        )
        source.change_column(name, "seen", "bigint", nullable=True)

    told = refused(file)

    for name, error in told.items():
        assert (
            "the source's columns have changed since generation 1: old is gone; fresh (date) is new; "
            f"seen was NOT NULL and may be NULL; n was {source.native('integer')} and is bigint" in error
        ), name
        assert 'set schemaDrift to "evolve"' in error
        assert 'or to "ignore"' in error
    assert len(plan_problems(file)) == 3


def test_evolve_takes_new_columns_and_wider_types_over(
    source: SourceDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(source, *STRATEGIES)
    file = workflow(tmp_path, source, "evolve", *STRATEGIES)
    synchronize(file)
    for name in STRATEGIES:
        source.execute(
            f"""
            ALTER TABLE {name} ADD fresh text, ALTER n TYPE bigint, ALTER code TYPE varchar(50);
            INSERT INTO {name} VALUES (51, 51, 5000000000, 'longer than five', 'old', 'new');
            UPDATE {name} SET seen = 52, fresh = 'late' WHERE id = 7;
            """
        )
    planned = plans(file)
    print_plan(list(planned.values()), "nothing")
    shown = " ".join(capsys.readouterr().out.split())
    assert f"source has changed: fresh ({source.native('text')}) is new: the target gets fresh" in shown
    widened = f"n was {source.native('integer')} and is bigint: the target's column is widened where it has to be"
    assert f"source has changed: {widened}" in shown
    # The rows that have moved before have no value in the new column: that of row 7 moves by its watermark.
    assert {name: plan.synchronization.mode for name, plan in planned.items()} == {
        "none_of": "replace",
        "checksums": "replace",
        "watermarks": "merge",
    }
    assert planned["checksums"].synchronization.reason == "the source has the new columns fresh"

    tables = synchronize(file)

    # With them that of the last watermark, whose fingerprint has a column more now.
    assert tables["watermarks"]["rows"] == 3
    assert_same(source, *STRATEGIES)
    for name in STRATEGIES:
        assert (target_types(name)["n"], target_types(name)["fresh"]) == ("BIGINT", "VARCHAR")


def test_a_new_column_with_values_in_rows_that_were_moved_makes_a_full_load(
    source: SourceDatabase, tmp_path: Path
) -> None:
    create(source, "watermarks")
    file = workflow(tmp_path, source, "evolve", "watermarks")
    synchronize(file)
    source.execute("ALTER TABLE watermarks ADD fresh text DEFAULT 'everywhere'")

    planned = plans(file)["watermarks"].synchronization

    assert planned.mode == "replace"
    assert planned.reason == "the source has the new columns fresh, with values in rows that were moved before"


def test_a_wider_type_alone_moves_nothing_that_is_unchanged(source: SourceDatabase, tmp_path: Path) -> None:
    create(source, "checksums")
    file = workflow(tmp_path, source, "evolve", "checksums", partitionSize={"maxRowsPerPartition": 10})
    source.execute("ANALYZE checksums")
    synchronize(file)
    source.execute("ALTER TABLE checksums ALTER n TYPE bigint; UPDATE checksums SET n = 5000000000 WHERE id = 50")

    row = synchronize(file)["checksums"]

    assert (row["synchronization"]["mode"], row["synchronization"]["partitions_changed"]) == ("ranges", 1)
    assert target_types("checksums")["n"] == "BIGINT"
    assert_same(source, "checksums")


def test_a_narrower_type_leaves_the_target_s(source: SourceDatabase, tmp_path: Path) -> None:
    create(source, "watermarks")
    file = workflow(tmp_path, source, "evolve", "watermarks")
    synchronize(file)
    source.execute("ALTER TABLE watermarks ALTER code TYPE varchar(4)")
    source.change_column("watermarks", "seen", "int", nullable=False)
    source.execute("INSERT INTO watermarks (id, seen) VALUES (51, 51)")

    row = synchronize(file)["watermarks"]

    assert row["rows"] == 1
    narrowed = f"seen was bigint and is {source.native('integer')}: the target's column stays BIGINT"
    assert narrowed in last_plan("watermarks").drift
    assert target_types("watermarks")["seen"] == "BIGINT"
    assert_same(source, "watermarks")


@pytest.mark.parametrize("policy", ["evolve", "ignore"])
def test_a_type_that_the_target_can_not_take_over_is_refused_with_the_cure(
    source: SourceDatabase, tmp_path: Path, policy: str
) -> None:
    create(source, "watermarks")
    file = workflow(tmp_path, source, policy, "watermarks")
    synchronize(file)
    source.execute("ALTER TABLE watermarks ALTER n TYPE text")

    (told,) = plan_problems(file)

    changed = f"n was {source.native('integer')} and is {source.native('text')}"
    assert f"{changed}, which INTEGER in the target can't take over" in told
    assert "`migrate reset`" in told


def test_ignore_goes_on_and_says_each_time_what_is_not_moved(source: SourceDatabase, tmp_path: Path) -> None:
    create(source, *STRATEGIES)
    file = workflow(tmp_path, source, "ignore", *STRATEGIES)
    synchronize(file)
    for name in STRATEGIES:
        source.execute(f"ALTER TABLE {name} ADD fresh text DEFAULT 'x'; INSERT INTO {name} (id, seen) VALUES (51, 51)")

    told = f"fresh ({source.native('text')}) is new in the source, and not moved"
    synchronize(file)

    for name in STRATEGIES:
        assert last_plan(name).drift == (told,)
        assert "fresh" not in target_types(name)
    assert_same(source, *STRATEGIES, columns="id, seen, n, code, old")
    assert {plan.drift for plan in plans(file).values()} == {(told,)}


def test_a_dropped_column_is_not_lost_in_the_target_unasked(source: SourceDatabase, tmp_path: Path) -> None:
    create(source, *STRATEGIES)
    file = workflow(tmp_path, source, "evolve", *STRATEGIES)
    synchronize(file)
    for name in STRATEGIES:
        source.execute(f"ALTER TABLE {name} DROP old; UPDATE {name} SET code = 'new', seen = 60 WHERE id = 5")
        source.execute(f"INSERT INTO {name} (id, seen) VALUES (61, 61)")
    replacing = workflow(tmp_path, source, "evolve", "none_of", "checksums")
    for problem in plan_problems(replacing) + plan_problems(
        workflow(tmp_path, source, "ignore", "none_of", "checksums")
    ):
        assert "old is gone in the source, and replacing the target's rows would lose its values there" in problem
        assert "set replaceExisting to true" in problem
    synchronize(workflow(tmp_path, source, "evolve", "watermarks"))
    assert last_plan("watermarks").drift == ("old is gone in the source: what the target has in old stays",)
    kept = target_rows("SELECT id, code, old FROM watermarks WHERE id IN (5, 6, 61) ORDER BY id")
    assert kept == [(5, "new", "old 5"), (6, "c6", "old 6"), (61, None, None)]

    synchronize(workflow(tmp_path, source, "evolve", "none_of", "checksums", replaceExisting=True))

    assert_same(source, "none_of", "checksums", columns="id, seen, n, code")
    assert [target_types(name).get("old") for name in ("none_of", "checksums")] == ["VARCHAR", "VARCHAR"]
