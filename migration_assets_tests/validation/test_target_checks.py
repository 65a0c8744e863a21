"""The verdicts: what is proof, what is refutation, and what is neither."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from migration_assets.platforms import types
from migration_assets.platforms.base import TargetColumn
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.resources.stages.base import Manifest
from migration_assets.validation.migrations.source_facts import SourceFacts
from migration_assets.validation.migrations.target_checks import (
    CheckResult,
    check_metrics,
    check_row_counts,
    check_schema,
    target_metric_columns,
)
from migration_assets.validation.results import Value, Verdict
from migration_assets_tests.stubs import planned_column, table_plan

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
NOW = datetime(2024, 1, 1, tzinfo=timezone.utc)


def manifest(rows: int, snapshot: str | None = "s1", *, sent: int | None = None) -> Manifest:
    return Manifest(
        workflow="sales",
        table="orders",
        generation=1,
        partition="0001",
        attempt="a",
        predicate=None,
        snapshot=snapshot,
        source_rows=rows if sent is None else sent,
        rows=rows,
        bytes=1,
        files=(),
        started_at=NOW,
        finished_at=NOW,
    )


def facts(
    rows: int | None, snapshot: str = "s1", problem: str | None = None, unchanged_since: tuple[str, ...] = ()
) -> SourceFacts:
    return SourceFacts(snapshot=snapshot, rows=rows, problem=problem, unchanged_since=unchanged_since)


# -- row counts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manifests", "loaded", "target", "counted", "verdict"),
    [
        ([manifest(6), manifest(4)], 10, 10, facts(10), PASS),
        ([], 0, 0, facts(0), PASS),
        ([manifest(0)], 0, 0, facts(0), PASS),
        # Between several snapshots rows may have been written, unless the source says that none was: then a figure that
        # differs is the partitions' own fault.
        ([manifest(6), manifest(4, "s2")], 10, 10, facts(10, "s2", unchanged_since=("s1",)), PASS),
        ([manifest(6), manifest(4, "s2")], 10, 10, facts(11, "s2", unchanged_since=("s1",)), FAIL),
        ([manifest(6), manifest(4, "s2")], 10, 10, facts(10, "s2"), PASS),
        # COPY's history went with the load table of a publish that crashed at its end.
        ([manifest(10)], None, 10, facts(10), PASS),
        ([manifest(10)], None, 9, facts(10), FAIL),
        # A row was lost or doubled on the way.
        ([manifest(10, sent=11)], 10, 10, facts(10), FAIL),
        ([manifest(10)], 9, 10, facts(10), FAIL),
        ([manifest(10)], 10, 9, facts(10), FAIL),
        ([manifest(10)], 10, 11, facts(10), FAIL),
        ([manifest(10)], 10, 9, None, FAIL),
        ([manifest(6), manifest(4, "s2")], 10, 11, facts(10), FAIL),
        # The partitions don't cover the table, or overlap.
        ([manifest(10)], 10, 10, facts(11), FAIL),
        ([manifest(0)], 0, 0, facts(11), FAIL),
        ([manifest(10)], 10, 10, facts(9), FAIL),
        # The source moved on, or never said.
        ([manifest(6), manifest(4, "s2")], 10, 10, facts(11, "s2"), INCONCLUSIVE),
        ([manifest(10)], 10, 10, facts(11, "s2"), INCONCLUSIVE),
        ([manifest(10)], 10, 10, None, INCONCLUSIVE),
        ([manifest(10)], 10, 10, facts(None, problem="timeout"), INCONCLUSIVE),
    ],
)
def test_rows_are_held_against_each_other_at_every_hop(
    manifests: list[Manifest], loaded: int | None, target: int, counted: SourceFacts | None, verdict: Verdict
) -> None:
    check = check_row_counts(manifests, loaded, target, counted)

    assert check.verdict is verdict
    assert check.figures == {
        "source": counted.rows if counted else None,
        "sent_by_source": sum(one.source_rows for one in manifests),
        "manifests": sum(one.rows for one in manifests),
        "copied": loaded,
        "target": target,
    }


def test_a_count_that_failed_is_told_with_the_reason() -> None:
    assert "timeout" in check_row_counts([manifest(1)], 1, 1, facts(None, problem="timeout")).summary
    assert "the source was not asked" in check_row_counts([manifest(1)], 1, 1, None).summary


# -- metrics ------------------------------------------------------------------------------------

METRICS: dict[str, dict[str, Value]] = {"": {"row_count": 2}, "id": {"count": 2, "min": 1, "max": 2, "sum": 3}}


def metrics(
    target: dict[str, dict[str, Value]] | None,
    source: dict[str, dict[str, Value]] | None = METRICS,
    *,
    snapshots: tuple[str, ...] = ("s1",),
    problem: str | None = None,
) -> CheckResult:
    known = SourceFacts(snapshot="s1", rows=2, metrics=source)
    return check_metrics(table_plan(["0001"]), [manifest(1, name) for name in snapshots], target, known, problem)


def test_equal_metrics_pass() -> None:
    check = metrics(METRICS)

    assert (check.verdict, check.figures) == (PASS, {"compared": 5, "different": 0})


def test_figures_that_agree_say_under_how_many_snapshots_they_do() -> None:
    counts = check_row_counts([manifest(6), manifest(4, "s2")], 10, 10, facts(10, "s2"))
    equal = metrics(METRICS, snapshots=("s1", "s2"))

    assert (counts.verdict, equal.verdict) == (PASS, PASS)
    assert counts.summary.endswith("10 rows in source, manifests, COPY and target, read under 2 snapshots")
    assert equal.summary.endswith("agree, read under 2 snapshots")


def test_a_partition_read_in_a_state_of_its_own_is_not_that_of_its_checksum() -> None:
    same = manifest(10, "s2").model_copy(update={"checksum": "v1 10:1:2"})
    later = same.model_copy(update={"has_own_state": True})

    assert check_row_counts([same], 10, 10, facts(11)).verdict is FAIL
    assert check_row_counts([later], 10, 10, facts(11)).verdict is INCONCLUSIVE


def test_a_difference_under_several_snapshots_names_the_cure() -> None:
    counts = check_row_counts([manifest(6), manifest(4, "s2")], 10, 10, facts(11, "s2"))
    different = metrics({**METRICS, "id": {**METRICS["id"], "sum": 4}}, snapshots=("s1", "s2"))

    for check in (counts, different):
        assert check.verdict is INCONCLUSIVE
        assert '"consistency": "strict"' in check.summary


OTHER: dict[str, dict[str, Value]] = {**METRICS, "id": {**METRICS["id"], "sum": 4}}


def test_a_difference_fails_and_is_named() -> None:
    check = metrics(OTHER)

    assert (check.verdict, check.figures["different"]) == (FAIL, 1)
    assert check.summary == "sum of id: source 3, target 4"


def test_a_difference_to_a_source_that_moved_on_proves_nothing() -> None:
    check = metrics(OTHER, snapshots=("s1", "s2"))

    assert check.verdict is INCONCLUSIVE
    assert "sum of id" in check.summary


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (metrics(None, problem="the target said no"), "the target said no"),
        (metrics(METRICS, None), "the source was not asked"),
        (check_metrics(table_plan(["0001"]), [], METRICS, None), "the source was not asked"),
        (check_metrics(table_plan(["0001"]), [], METRICS, facts(None, problem="overflow")), "overflow"),
    ],
)
def test_metrics_that_are_missing_prove_nothing(check: CheckResult, why: str) -> None:
    assert check.verdict is INCONCLUSIVE
    assert why in check.summary


def test_a_hundred_differences_are_told_briefly() -> None:
    source: dict[str, dict[str, Value]] = {f"c{number}": {"count": 1} for number in range(100)}
    target: dict[str, dict[str, Value]] = {name: {"count": 2} for name in source}

    check = metrics(target, source)

    assert check.figures["different"] == 100
    assert check.summary.count("source 1, target 2") == 20


# -- schema -------------------------------------------------------------------------------------

PLAN = table_plan(
    ["0001"],
    [
        planned_column("ID", types.integer(64), target_type="NUMBER(19,0)"),
        planned_column("NOTE", types.TEXT, target_type="VARCHAR"),
    ],
)


@pytest.mark.parametrize(
    ("actual", "types_are_ours", "verdict", "said"),
    [
        ({"ID": "NUMBER(19,0)", "NOTE": "VARCHAR"}, True, PASS, "2 columns as planned"),
        ({"NOTE": "VARCHAR", "ID": "NUMBER(19,0)"}, True, PASS, "2 columns as planned"),
        ({"ID": "NUMBER(19, 0)", "NOTE": "text"}, True, PASS, "2 columns as planned"),
        ({"ID": "NUMBER(19,0)", "NOTE": "VARCHAR", "MORE": "DATE"}, True, PASS, "2 columns as planned"),
        ({"ID": "NUMBER(19,0)"}, True, FAIL, "NOTE is missing"),
        ({"ID": "NUMBER(19,0)", "note": "VARCHAR"}, True, FAIL, "NOTE is missing"),
        ({"ID": "NUMBER(10,0)", "NOTE": "VARCHAR"}, True, FAIL, "ID is NUMBER(10,0) and should be NUMBER(19,0)"),
        ({"ID": "GEOGRAPHY", "NOTE": "VARCHAR"}, True, FAIL, "ID is GEOGRAPHY and should be NUMBER(19,0)"),
        ({"ID": "NUMBER(10,0)", "NOTE": "VARCHAR(10)"}, False, PASS, "2 columns as planned"),
        ({"ID": "NUMBER(10,0)"}, False, FAIL, "NOTE is missing"),
        ({}, True, FAIL, "ID is missing; NOTE is missing"),
    ],
)
def test_the_target_s_columns_are_those_of_the_plan(
    actual: dict[str, str], types_are_ours: bool, verdict: Verdict, said: str
) -> None:
    columns = [TargetColumn(name, kind) for name, kind in actual.items()]

    check = check_schema(PLAN, columns, Snowflake(), types_are_ours=types_are_ours)

    assert (check.verdict, check.summary) == (verdict, said)


@pytest.mark.parametrize(
    ("planned", "actual", "verdict"),
    [
        ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ(9)", PASS),
        ("TIME", "TIME(9)", PASS),
        ("TIMESTAMP_TZ", "TIMESTAMP_TZ(9)", PASS),
        ("TIMESTAMP_NTZ(6)", "TIMESTAMP_NTZ(9)", FAIL),
        ("TIMESTAMP_NTZ", "TIMESTAMP_LTZ(9)", FAIL),
    ],
)
def test_a_time_without_digits_has_as_many_as_the_target_gives_it(planned: str, actual: str, verdict: Verdict) -> None:
    plan = table_plan(["0001"], [planned_column("AT", types.temporal(types.Kind.TIMESTAMP), target_type=planned)])

    check = check_schema(plan, [TargetColumn("AT", actual)], Snowflake(), types_are_ours=True)

    assert check.verdict is verdict


def test_names_are_compared_as_the_target_does() -> None:
    columns = [TargetColumn("id", "DECIMAL(19,0)"), TargetColumn("note", "TEXT")]

    assert check_schema(PLAN, columns, DuckDB(), types_are_ours=False).verdict is PASS


def test_the_target_measures_its_own_columns() -> None:
    plan = table_plan(["0001"], [planned_column('a"b', types.TEXT)])

    assert [column.expression for column in target_metric_columns(plan, Snowflake())] == ['"a""b"']
