"""The ledger in SQLite and in PostgreSQL: one suite."""

from __future__ import annotations

import multiprocessing
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import sqlalchemy as sa

from migration_assets.resources.ledger import (
    CheckRecord,
    GenerationRecord,
    GenerationStatus,
    Ledger,
    PartitionStatus,
    PlannedPartition,
    SubmittedTable,
    TableBusyError,
    WorkflowStatus,
    WorkflowType,
    schema,
)
from migration_assets.resources.ledger.ledger import KEPT_GENERATIONS, KEPT_RESULTS
from migration_assets.resources.ledger.schema import LedgerVersionError

ORDERS = SubmittedTable("orders", "shop.public.orders", "SHOP.PUBLIC.ORDERS")
CUSTOMERS = SubmittedTable("customers", "shop.public.customers", "SHOP.PUBLIC.CUSTOMERS")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite'}"
    address: str = request.getfixturevalue("postgresql_database").url()
    return address


@pytest.fixture
def ledger(url: str) -> Ledger:
    return Ledger(url)


def submit(ledger: Ledger, *tables: SubmittedTable, name: str = "sales", content_hash: str = "a") -> None:
    ledger.submit_workflow(
        name=name,
        file=f"/drop/{name}.json",
        content_hash=content_hash,
        source_platform="postgresql",
        affinity="eu",
        configuration={"name": name},
        tables=tables or (ORDERS,),
    )


def plan(
    ledger: Ledger,
    table: str = "orders",
    keys: Sequence[str] = ("0001", "0002"),
    status: GenerationStatus = GenerationStatus.PLANNED,
) -> GenerationRecord:
    return ledger.start_generation(
        workflow="sales",
        table=table,
        config_hash="c",
        plan='{"plan": 1}',
        partitions=[PlannedPartition(key, f"part {key}", 10) for key in keys],
        status=status,
    )


def query(url: str, statement: str) -> list[dict[str, object]]:
    """What a plain SQL client sees."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.row_factory = sqlite3.Row
        rows = [{name.lower(): row[name] for name in row.keys()} for row in connection.execute(statement)]  # noqa: SIM118
        connection.close()
        return rows
    engine = sa.create_engine(url)
    with engine.connect() as opened:
        found = [dict(row) for row in opened.execute(sa.text(statement)).mappings()]
    engine.dispose()
    return found


# -- files and workflows ------------------------------------------------------------------------


def test_a_file_is_known_by_its_last_content(ledger: Ledger) -> None:
    assert ledger.file("/drop/a.json") is None
    ledger.record_file("/drop/a.json", "1", "is no JSON")
    ledger.record_file("/drop/a.json", "2")

    found = ledger.file("/drop/a.json")

    assert found is not None
    assert (found.content_hash, found.valid, found.problems) == ("2", True, "")


def test_a_workflow_begins_as_pending(ledger: Ledger) -> None:
    before = datetime.now(timezone.utc)
    submit(ledger)

    (workflow,) = ledger.workflows()

    assert (workflow.name, workflow.status, workflow.affinity) == ("sales", WorkflowStatus.PENDING, "eu")
    assert before - timedelta(seconds=1) <= workflow.submitted_at <= datetime.now(timezone.utc)
    assert workflow.submitted_at.utcoffset() == timedelta(0)
    assert (workflow.started_at, workflow.ended_at) == (None, None)


def test_a_workflow_starts_and_ends(ledger: Ledger) -> None:
    submit(ledger)
    ledger.set_workflow_status("sales", WorkflowStatus.EXECUTING)
    ledger.set_workflow_status("sales", WorkflowStatus.COMPLETED)

    (workflow,) = ledger.workflows()

    assert workflow.status is WorkflowStatus.COMPLETED
    assert workflow.started_at is not None
    assert workflow.ended_at is not None
    assert workflow.submitted_at <= workflow.started_at <= workflow.ended_at


def test_a_workflow_that_is_submitted_again_takes_the_place_of_the_old_version(ledger: Ledger) -> None:
    submit(ledger)
    ledger.set_workflow_status("sales", WorkflowStatus.COMPLETED)
    submit(ledger, content_hash="b")

    (workflow,) = ledger.workflows()

    assert (workflow.content_hash, workflow.status) == ("b", WorkflowStatus.PENDING)
    assert (workflow.started_at, workflow.ended_at) == (None, None)


def test_a_workflow_is_completed_when_each_table_is_published_or_failed(ledger: Ledger) -> None:
    submit(ledger, ORDERS, CUSTOMERS)
    orders, customers = plan(ledger, "orders"), plan(ledger, "customers")
    states = []
    for generation, status in ((orders, GenerationStatus.PUBLISHED), (customers, GenerationStatus.FAILED)):
        ledger.complete_workflow_if_done("sales")
        states.append(ledger.workflows()[0].status)
        ledger.set_generation_status(generation.id, status)
    ledger.complete_workflow_if_done("sales")

    assert [*states, ledger.workflows()[0].status] == [
        WorkflowStatus.PENDING,
        WorkflowStatus.PENDING,
        WorkflowStatus.COMPLETED,
    ]


def test_a_table_without_a_plan_keeps_its_workflow_from_ending(ledger: Ledger) -> None:
    submit(ledger, ORDERS, CUSTOMERS)
    ledger.set_generation_status(plan(ledger).id, GenerationStatus.PUBLISHED)

    ledger.complete_workflow_if_done("sales")

    assert ledger.workflows()[0].status is WorkflowStatus.PENDING


def test_a_table_that_left_its_workflow_is_no_longer_shown(ledger: Ledger) -> None:
    submit(ledger, ORDERS, CUSTOMERS)
    plan(ledger, "orders")
    plan(ledger, "customers")
    submit(ledger, CUSTOMERS)

    assert [record.table for record in ledger.generations("sales")] == ["customers"]
    assert ledger.generation("sales", "orders") is None
    assert [row["table_name"] for row in ledger.view("TABLE_PROGRESS_WITH_EXAMPLE_ERROR")] == ["customers"]


def test_a_table_that_comes_back_goes_on_with_its_numbers(ledger: Ledger) -> None:
    submit(ledger, ORDERS, CUSTOMERS)
    plan(ledger, "orders")
    submit(ledger, CUSTOMERS)
    submit(ledger, CUSTOMERS, ORDERS)

    found = ledger.generation("sales", "orders")
    assert found is not None
    assert found.number == 1
    assert plan(ledger, "orders").number == 2
    assert [record.table for record in ledger.generations("sales")] == ["orders"]


# -- generations --------------------------------------------------------------------------------


def test_a_generation_is_what_was_planned(ledger: Ledger) -> None:
    submit(ledger)

    generation = plan(ledger, keys=["0001", "0002", "0003"])

    assert (generation.workflow, generation.table, generation.number) == ("sales", "orders", 1)
    assert (generation.status, generation.plan) == (GenerationStatus.PLANNED, '{"plan": 1}')
    assert generation.created_at.utcoffset() == timedelta(0)
    assert [(part.key, part.status, part.rows) for part in ledger.partitions(generation.id)] == [
        (key, PartitionStatus.PLANNED, 0) for key in ("0001", "0002", "0003")
    ]
    assert ledger.generation("sales", "orders") == generation


def test_partitions_stay_in_the_order_of_the_plan(ledger: Ledger) -> None:
    submit(ledger)
    keys = [f"{number:04d}" for number in range(9990, 10020)]

    assert [part.key for part in ledger.partitions(plan(ledger, keys=keys).id)] == keys


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        (GenerationStatus.PLANNED, "superseded"),
        (GenerationStatus.RUNNING, "superseded"),
        (GenerationStatus.FAILED, "superseded"),
        (GenerationStatus.PUBLISHED, "published"),
    ],
)
def test_a_new_generation_supersedes_what_is_not_published(
    ledger: Ledger, url: str, status: GenerationStatus, becomes: str
) -> None:
    submit(ledger)
    first = plan(ledger)
    ledger.set_generation_status(first.id, status)

    second = plan(ledger)

    assert second.number == 2
    assert query(url, "SELECT number, status FROM generations ORDER BY number") == [
        {"number": 1, "status": becomes},
        {"number": 2, "status": "planned"},
    ]


def test_a_generation_knows_when_it_ran_and_what_it_published(ledger: Ledger) -> None:
    submit(ledger)
    generation = plan(ledger)
    ledger.set_generation_status(generation.id, GenerationStatus.RUNNING)
    ledger.record_source_facts(generation.id, '{"rows": 7}')
    ledger.set_generation_status(generation.id, GenerationStatus.PUBLISHED, published_rows=2**40)

    found = ledger.generation("sales", "orders")

    assert found is not None
    assert found.started_at is not None
    assert found.ended_at is not None
    assert found.created_at <= found.started_at <= found.ended_at
    assert (found.source_facts, found.published_rows) == ('{"rows": 7}', 2**40)


def test_the_last_published_generation_is_known_until_the_table_is_reset(ledger: Ledger) -> None:
    submit(ledger)
    assert ledger.published("sales", "orders") is None
    for _ in range(2):
        done = plan(ledger)
        ledger.set_generation_status(done.id, GenerationStatus.PUBLISHED)
    plan(ledger, status=GenerationStatus.RUNNING)

    published = ledger.published("sales", "orders")

    assert published is not None
    assert published.number == 2
    assert ledger.published_numbers("sales", "orders", 5) == [2, 1]

    ledger.reset_table("sales", "orders")
    unfinished = ledger.generation("sales", "orders")
    assert unfinished is not None
    assert (unfinished.number, unfinished.status) == (3, GenerationStatus.SUPERSEDED)
    assert ledger.published("sales", "orders") is None
    # What is on the stage is still theirs.
    assert ledger.published_numbers("sales", "orders", 1) == [2]
    assert plan(ledger).number == 4


def test_old_plans_are_forgotten_but_not_the_one_that_is_continued(ledger: Ledger, url: str) -> None:
    submit(ledger)
    ledger.set_generation_status(plan(ledger).id, GenerationStatus.PUBLISHED)
    ledger.set_generation_status(plan(ledger).id, GenerationStatus.PUBLISHED)
    for _ in range(KEPT_GENERATIONS + 2):
        ledger.set_generation_status(plan(ledger).id, GenerationStatus.FAILED)

    kept = query(
        url,
        "SELECT g.number, count(p.key) AS parts FROM generations g JOIN partitions p "
        "ON p.generation_id = g.id WHERE plan <> '' GROUP BY g.number ORDER BY g.number",
    )

    last = KEPT_GENERATIONS + 4
    assert [row["number"] for row in kept] == [2, *range(last - KEPT_GENERATIONS + 1, last + 1)]
    assert {row["parts"] for row in kept} == {2}
    (count,) = query(url, "SELECT count(*) AS n FROM generations WHERE plan = ''")
    assert count["n"] == last - len(kept)


def test_a_table_that_can_not_be_planned_has_a_failed_generation_without_a_plan(ledger: Ledger) -> None:
    submit(ledger)
    generation = ledger.start_generation(
        workflow="sales", table="orders", config_hash="c", plan="", partitions=[], status=GenerationStatus.FAILED
    )

    assert (generation.plan, generation.status) == ("", GenerationStatus.FAILED)
    assert generation.ended_at is not None
    assert ledger.partitions(generation.id) == []


# -- partitions ---------------------------------------------------------------------------------


def test_a_partition_is_extracted_and_loaded(ledger: Ledger) -> None:
    submit(ledger)
    generation = plan(ledger)
    ledger.update_partitions(generation.id, ["0001"], PartitionStatus.EXTRACTING, rows={"0001": 5})
    ledger.update_partitions(
        generation.id,
        ["0001", "0002"],
        PartitionStatus.EXTRACTED,
        rows={"0001": 2**40, "0002": 0},
        sizes={"0001": 2**41, "0002": 0},
        snapshots={"0001": "s", "0002": None},
    )
    ledger.update_partitions(generation.id, ["0001"], PartitionStatus.LOADED)
    ledger.update_partitions(generation.id, [], PartitionStatus.FAILED)

    first, second = ledger.partitions(generation.id)

    assert (first.status, first.rows, first.bytes, first.snapshot) == (PartitionStatus.LOADED, 2**40, 2**41, "s")
    assert (second.status, second.rows, second.snapshot) == (PartitionStatus.EXTRACTED, 0, None)


def test_a_partition_starts_once_however_often_progress_is_told(ledger: Ledger, url: str) -> None:
    submit(ledger)
    generation = plan(ledger)
    started = []
    for rows in (1, 2):
        ledger.update_partitions(generation.id, ["0001"], PartitionStatus.EXTRACTING, rows={"0001": rows})
        started += query(url, "SELECT started_at FROM partitions WHERE key = '0001'")

    assert started[0]["started_at"] is not None
    assert started[0] == started[1]


def test_partitions_of_other_generations_stay_as_they_are(ledger: Ledger) -> None:
    submit(ledger)
    first, second = plan(ledger), plan(ledger)

    ledger.update_partitions(second.id, ["0001"], PartitionStatus.FAILED)

    assert {part.status for part in ledger.partitions(first.id)} == {PartitionStatus.PLANNED}


# -- checks and errors --------------------------------------------------------------------------


def test_the_last_verdict_of_a_check_counts(ledger: Ledger) -> None:
    submit(ledger)
    generation = plan(ledger)
    ledger.record_check(generation.id, CheckRecord("row_count", "fail", {"rows": 1}))
    ledger.record_check(generation.id, CheckRecord("schema", "pass", {}))
    ledger.record_check(generation.id, CheckRecord("row_count", "pass", {"rows": 2, "note": "żółw"}))

    assert {check.name: (check.verdict, check.details) for check in ledger.checks(generation.id)} == {
        "schema": ("pass", {}),
        "row_count": ("pass", {"rows": 2, "note": "żółw"}),
    }


def submit_validation(ledger: Ledger, *tables: str) -> None:
    ledger.submit_workflow(
        name="proof",
        file="/proof.json",
        content_hash="a",
        source_platform="postgresql",
        affinity=None,
        configuration={},
        tables=[SubmittedTable(name, f"db.public.{name}", f"LAKE.RAW.{name}") for name in tables],
        workflow_type=WorkflowType.VALIDATION,
    )


def test_the_last_validation_of_each_table_counts(ledger: Ledger) -> None:
    submit_validation(ledger, "orders", "items")
    for table, verdict in (("items", "fail"), ("orders", "pass"), ("items", "pass")):
        ledger.record_validation(workflow="proof", table=table, run_id="r", verdict=verdict, result=f'"{verdict}"')
    found = ledger.validations("proof")
    assert [(one.table, one.verdict, one.result) for one in found] == [
        ("orders", "pass", '"pass"'),
        ("items", "pass", '"pass"'),
    ]


def test_only_the_last_validations_are_kept_whole(ledger: Ledger, url: str) -> None:
    submit_validation(ledger, "orders")
    for number in range(KEPT_RESULTS + 3):
        ledger.record_validation(workflow="proof", table="orders", run_id=str(number), verdict="pass", result="{}")
    rows = query(url, "SELECT run_id, result FROM validations ORDER BY id")
    assert [row["run_id"] for row in rows if row["result"] is None] == ["0", "1", "2"]
    assert len(rows) == KEPT_RESULTS + 3


def test_a_plain_client_reads_the_verdicts_of_validations_and_no_progress_of_them(ledger: Ledger, url: str) -> None:
    submit_validation(ledger, "orders", "items")
    ledger.record_validation(workflow="proof", table="orders", run_id="r", verdict="fail", result="{}")
    rows = query(url, "SELECT TABLE_NAME AS t, VERDICT AS v FROM DATA_VALIDATION_RESULT ORDER BY 1")
    assert [(row["t"], row["v"]) for row in rows] == [("items", None), ("orders", "fail")]
    assert query(url, "SELECT * FROM TABLE_PROGRESS_WITH_EXAMPLE_ERROR") == []


def test_errors_of_a_repaired_generation_are_forgotten(ledger: Ledger) -> None:
    submit(ledger)
    first, second = plan(ledger), plan(ledger)
    for generation in (first, second):
        ledger.record_error(
            workflow="sales", table="orders", generation_id=generation.id, stage="loading", message=f"{generation.id}"
        )

    ledger.clear_errors(first.id)

    assert [row["error"] for row in ledger.view("DATA_MIGRATION_ERROR")] == [str(second.id)]


def test_a_run_is_known_to_have_told_its_error(ledger: Ledger) -> None:
    ledger.record_error(workflow="sales", stage="run", message="no", run_id="r1")

    assert ledger.has_error_of_run("r1")
    assert not ledger.has_error_of_run("r2")


# -- the operators' views -----------------------------------------------------------------------


def test_a_plain_client_reads_the_workflows(ledger: Ledger, url: str) -> None:
    submit(ledger)

    (row,) = query(url, "SELECT * FROM WORKFLOW WHERE WORKFLOW_NAME = 'sales'")

    assert (row["workflow_type"], row["status"], row["source_platform"], row["affinity"]) == (
        "data-migration",
        "PENDING",
        "postgresql",
        "eu",
    )
    assert row["configuration"] == '{"name": "sales"}'


def test_a_plain_client_reads_the_progress_of_every_table(ledger: Ledger, url: str) -> None:
    submit(ledger, ORDERS, CUSTOMERS)
    plan(ledger)
    generation = plan(ledger, keys=[f"{number:04d}" for number in range(1, 8)])
    ledger.update_partitions(generation.id, ["0001"], PartitionStatus.EXTRACTING, rows={"0001": 3})
    for key, status in (("0002", PartitionStatus.EXTRACTED), ("0003", PartitionStatus.LOADED)):
        ledger.update_partitions(generation.id, [key], status, rows={key: 10}, sizes={key: 2**33})
    ledger.update_partitions(generation.id, ["0004"], PartitionStatus.FAILED)
    ledger.update_partitions(generation.id, ["0005"], PartitionStatus.UNCHANGED)
    for message in ("the first", "the second"):
        ledger.record_error(
            workflow="sales", table="orders", generation_id=generation.id, stage="extraction", message=message
        )

    customers, orders = query(url, "SELECT * FROM TABLE_PROGRESS_WITH_EXAMPLE_ERROR ORDER BY TABLE_NAME")

    assert {name: orders[name] for name in orders if name.startswith("partitions")} == {
        "partitions": 7,
        "partitions_planned": 2,
        "partitions_extracting": 1,
        "partitions_extracted": 1,
        "partitions_loaded": 1,
        "partitions_failed": 1,
        "partitions_unchanged": 1,
    }
    assert (orders["generation"], orders["status"], orders["example_error"]) == (2, "planned", "the first")
    assert (orders["rows_moved"], orders["bytes_moved"]) == (23, 2**34)
    # A decimal could not be written as JSON.
    assert all(isinstance(orders[name], int) for name in ("rows_moved", "bytes_moved", "partitions_loaded"))
    assert (customers["generation"], customers["status"], customers["partitions"]) == (None, None, 0)


def test_a_plain_client_reads_the_first_error_of_every_partition(ledger: Ledger, url: str) -> None:
    submit(ledger)
    generation = plan(ledger)
    for partition, message in (("0001", "a"), ("0001", "b"), ("0002", "c"), (None, "d"), (None, "e")):
        ledger.record_error(
            workflow="sales",
            table="orders",
            generation_id=generation.id,
            partition=partition,
            stage="extraction",
            message=message,
        )
    ledger.record_error(workflow="broken", stage="workflow file", message="f")

    rows = query(url, "SELECT * FROM DATA_MIGRATION_ERROR ORDER BY ERROR")

    assert [(row["error"], row["partition_key"], row["workflow_name"]) for row in rows] == [
        ("a", "0001", "sales"),
        ("c", "0002", "sales"),
        ("d", None, "sales"),
        ("f", None, "broken"),
    ]


def test_a_view_is_read_for_one_workflow(ledger: Ledger) -> None:
    submit(ledger)
    submit(ledger, name="other")

    assert [row["workflow_name"] for row in ledger.view("WORKFLOW", "other")] == ["other"]
    with pytest.raises(ValueError, match="unknown view GENERATIONS; one of WORKFLOW, "):
        ledger.view("GENERATIONS")


# -- several processes --------------------------------------------------------------------------


def test_a_table_is_locked_by_its_name(url: str) -> None:
    first, second = Ledger(url), Ledger(url)
    submit(first)
    with first.lock_table("sales", "orders"):
        with (
            pytest.raises(TableBusyError, match="another run is moving the table sales/orders"),
            second.lock_table("sales", "orders"),
        ):
            pass
        with second.lock_table("sales", "customers"), second.lock_table("other", "orders"):
            pass
        with pytest.raises(TableBusyError), first.lock_table("sales", "orders"):
            pass
    with second.lock_table("sales", "orders"):
        pass


def test_a_lock_ends_with_an_error_of_its_holder(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.lock_table("sales", "orders"):
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()


def test_a_lock_outlives_a_server_that_ends_idle_transactions(url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a file lock has no transaction")
    with Ledger(url).lock_table("sales", "orders"):
        states = query(
            url,
            "SELECT state FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()",
        )

    assert states == [{"state": "idle"}]


def test_a_lock_ends_with_the_process_that_holds_it(url: str) -> None:
    ledger = Ledger(url)
    submit(ledger)
    program = f"""
from migration_assets.resources.ledger import Ledger
with Ledger({url!r}).lock_table("sales", "orders"):
    print("locked", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(TableBusyError), ledger.lock_table("sales", "orders"):
            pass
        holder.send_signal(signal.SIGKILL)
    assert _is_free(ledger)


def _is_free(ledger: Ledger) -> bool:
    """Whether the lock can be had; a server notices a moment later that its client is dead."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with ledger.lock_table("sales", "orders"):
                return True
        except TableBusyError:
            continue
    return False


def test_several_processes_may_create_the_ledger_at_once(url: str) -> None:
    # Forked: to import Dagster in four processes would take longer than all other tests here.
    forked = multiprocessing.get_context("fork")
    together = forked.Barrier(4)
    processes = [forked.Process(target=_create, args=(url, f"sales{number}", together)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0] * 4
    assert [workflow.name for workflow in Ledger(url).workflows()] == ["sales0", "sales1", "sales2", "sales3"]
    assert query(url, "SELECT version FROM ledger_version") == [{"version": schema.VERSION}]


def _create(url: str, name: str, together: Barrier) -> None:
    together.wait(30)
    submit(Ledger(url), name=name)


def test_generations_that_are_planned_at_once_have_numbers_of_their_own(url: str) -> None:
    submit(Ledger(url))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(plan, [Ledger(url) for _ in range(20)]))

    stored = query(url, "SELECT number FROM generations ORDER BY number")
    assert [row["number"] for row in stored] == list(range(1, 21))


# -- the ledger's own version -------------------------------------------------------------------


def test_a_ledger_of_a_newer_release_is_refused(url: str) -> None:
    ledger = Ledger(url)
    submit(ledger)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE ledger_version SET version = version + 1"))
    engine.dispose()

    message = re.escape(f"the ledger has version {schema.VERSION + 1}, this release knows {schema.VERSION}")
    with pytest.raises(LedgerVersionError, match=message):
        Ledger(url).workflows()


def test_opening_a_ledger_again_keeps_what_is_in_it(url: str) -> None:
    submit(Ledger(url))

    assert [workflow.name for workflow in Ledger(url).workflows()] == ["sales"]


def test_a_ledger_of_the_second_version_gets_the_new_columns_and_keeps_its_rows(url: str) -> None:
    ledger = Ledger(url)
    submit(ledger, ORDERS)
    generation = plan(ledger)
    ledger.update_partitions(generation.id, ["0001"], PartitionStatus.LOADED, rows={"0001": 10})
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for view in ("TABLE_PROGRESS_WITH_EXAMPLE_ERROR", "WORKFLOW", "DATA_VALIDATION_RESULT", "DATA_MIGRATION_ERROR"):
            connection.execute(sa.text(f"DROP VIEW {view}"))
        connection.execute(sa.text("ALTER TABLE generations DROP COLUMN progress"))
        connection.execute(sa.text("ALTER TABLE partitions DROP COLUMN checksum"))
        connection.execute(sa.text("UPDATE ledger_version SET version = 2"))
    engine.dispose()

    upgraded = Ledger(url)

    found = upgraded.generation("sales", "orders")
    assert found == generation
    assert [(one.rows, one.checksum) for one in upgraded.partitions(generation.id)] == [(10, None), (0, None)]
    upgraded.record_progress(generation.id, "{}", {"0001": "v1 1:2:3", "0002": "v1 0:0:0"})
    assert [one.checksum for one in upgraded.partitions(generation.id)] == ["v1 1:2:3", "v1 0:0:0"]
    (row,) = upgraded.view("TABLE_PROGRESS_WITH_EXAMPLE_ERROR")
    assert (row["rows_moved"], row["partitions_unchanged"]) == (10, 0)


def test_partitions_that_are_published_unproven_lose_their_checksums_and_others_do_not(url: str) -> None:
    ledger = Ledger(url)
    submit(ledger, ORDERS)
    generation = plan(ledger)
    ledger.record_progress(generation.id, "{}", {"0001": "v1 1:2:3", "0002": "v1 0:0:0"})

    ledger.set_generation_status(generation.id, GenerationStatus.PUBLISHED, unproven=["0001"])

    assert [one.checksum for one in ledger.partitions(generation.id)] == [None, "v1 0:0:0"]


def test_a_password_is_not_in_the_error_of_a_ledger_that_can_not_be_reached() -> None:
    ledger = Ledger("postgresql+psycopg2://someone:canary-secret@127.0.0.1:1/nothing")

    with pytest.raises(sa.exc.OperationalError) as caught:
        ledger.workflows()

    assert "canary-secret" not in str(caught.value)
