"""A workflow with a schedule is planned when its time comes, unless it is still on its way."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest

from migration_assets.assets import names
from migration_assets.definitions import build_definitions, valid_workflows
from migration_assets.deployments import current_deployment
from migration_assets.jobs import PLAN_WORKFLOW, submit
from migration_assets.resources.ledger import GenerationStatus, Ledger, LedgerResource, WorkflowStatus
from migration_assets.workflow import load_workflow
from migration_assets_tests.main_job import table, write_workflow

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def file(migration_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dropped workflow with a schedule, beside one without."""
    monkeypatch.setenv("MIGRATION_WORKFLOWS", str(migration_home))
    write_workflow(migration_home, "shop", [table("people")], name="seldom")
    return write_workflow(
        migration_home,
        "shop",
        [table("orders")],
        name="shop",
        schedule="30 2 * * 1-5",
        scheduleTimeZone="Europe/Berlin",
        affinity="eu",
    )


@pytest.fixture
def ledger(migration_home: Path) -> LedgerResource:
    return LedgerResource(url=f"sqlite:///{migration_home}/ledger.sqlite")


def repository() -> dg.RepositoryDefinition:
    return build_definitions(current_deployment(), valid_workflows()).get_repository_def()


def tick(ledger: LedgerResource) -> dg.RunRequest | dg.SkipReason:
    """What the schedule asks for."""
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance=instance, scheduled_execution_time=NOON, resources={names.LEDGER: ledger}
        ) as context,
    ):
        found = repository().get_schedule_def("shop_schedule")(context)
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def submitted(ledger: LedgerResource, file: Path, status: WorkflowStatus) -> Ledger:
    submit(ledger.ledger, load_workflow(file), status)
    return ledger.ledger


def test_the_workflow_s_words_are_those_of_its_schedule(file: Path) -> None:
    (schedule,) = repository().schedule_defs

    assert (schedule.name, schedule.job.name) == ("shop_schedule", PLAN_WORKFLOW)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 2 * * 1-5", "Europe/Berlin")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_workflow_that_is_done_is_planned_again(file: Path, ledger: LedgerResource) -> None:
    submitted(ledger, file, WorkflowStatus.COMPLETED)

    asked = tick(ledger)

    assert isinstance(asked, dg.RunRequest)
    assert asked.run_key == "shop/2024-05-01T12:00:00+00:00"
    assert asked.tags[names.WORKFLOW_TAG] == "shop"
    assert asked.tags[names.AFFINITY_TAG] == "eu"
    # The job takes it as it is.
    job = repository().get_job(PLAN_WORKFLOW)
    assert asked.run_config["ops"]["plan_tables"]["config"]["file"] == str(file)
    assert dg.validate_run_config(job, asked.run_config)


def test_a_workflow_that_is_about_to_be_planned_is_left_alone(file: Path, ledger: LedgerResource) -> None:
    submitted(ledger, file, WorkflowStatus.PENDING)

    asked = tick(ledger)

    assert isinstance(asked, dg.SkipReason)
    assert asked.skip_message == "workflow shop is about to be planned"


def test_a_workflow_whose_tables_are_on_their_way_is_left_alone(file: Path, ledger: LedgerResource) -> None:
    state = submitted(ledger, file, WorkflowStatus.EXECUTING)
    (table,) = (str(row["table_name"]) for row in state.view("TABLE_PROGRESS_WITH_EXAMPLE_ERROR"))
    generation = state.start_generation(workflow="shop", table=table, config_hash="c", plan="{}", partitions=[])
    waiting = tick(ledger)
    state.set_generation_status(generation.id, GenerationStatus.RUNNING)
    with state.lock_table("shop", table):
        moving = tick(ledger)
    left_by_a_killed_run = tick(ledger)

    assert [type(asked) for asked in (waiting, moving, left_by_a_killed_run)] == [
        dg.SkipReason,
        dg.SkipReason,
        dg.RunRequest,
    ]
    assert f"still on their way since the last run: {table}" == str(getattr(moving, "skip_message", ""))
