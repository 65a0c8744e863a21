"""The sensors, tick by tick, over a real ledger and a real Dagster instance."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.storage.tags import RUN_KEY_TAG
from dagster._core.test_utils import create_run_for_test

from migration_assets import sensors
from migration_assets.assets import names
from migration_assets.definitions import build_definitions, valid_workflows
from migration_assets.deployments import current_deployment
from migration_assets.jobs import PLAN_WORKFLOW, build_plan_workflow_job, submit
from migration_assets.planning.model import PlannedPartition as PartitionPlan
from migration_assets.planning.model import TablePlan
from migration_assets.platforms.base import TableName
from migration_assets.resources.ledger import (
    GenerationRecord,
    GenerationStatus,
    Ledger,
    LedgerResource,
    PlannedPartition,
    WorkflowStatus,
)
from migration_assets.workflow import load_workflow


@pytest.fixture
def folder(migration_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty drop folder."""
    folder = migration_home / "dropped"
    folder.mkdir()
    monkeypatch.setenv("MIGRATION_WORKFLOWS", str(folder))
    return folder


@pytest.fixture
def ledger(folder: Path) -> Ledger:
    """The ledger that the sensors see, too."""
    return ledger_resource().ledger


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def ledger_resource() -> LedgerResource:
    return LedgerResource(url=f"sqlite:///{os.environ['MIGRATION_HOME']}/ledger.sqlite")


def drop(path: Path, *tables: str, settled: bool = True, **keys: object) -> Path:
    """Writes a workflow file; as one that was written a while ago unless told else."""
    document = {
        "sourcePlatform": "postgresql",
        "tables": [
            {
                "source": {"databaseName": "shop", "schemaName": "public", "tableName": name},
                "target": {"databaseName": "LAKE", "schemaName": "RAW", "tableName": name.upper()},
            }
            for name in tables or ("orders",)
        ],
        **keys,
    }
    return write(path, json.dumps(document), settled=settled)


def write(path: Path, text: str, *, settled: bool = True) -> Path:
    path.write_text(text)
    if settled:
        os.utime(path, (time.time() - 60,) * 2)
    return path


def evaluate(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, *, cursor: str | None = None, origin: object = None
) -> dg.SensorResult:
    """One tick."""
    definitions = build_definitions(current_deployment(), valid_workflows())
    with dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        repository_def=definitions.get_repository_def(),
        resources={names.LEDGER: ledger_resource()},
    ) as context:
        context._code_location_origin = origin  # type: ignore[assignment]
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def look_at_files(instance: dg.DagsterInstance) -> dg.SensorResult:
    """A tick of the sensor of the drop folder."""
    return evaluate(sensors.build_workflow_files_sensor(build_plan_workflow_job(current_deployment())), instance)


def look_at_tables(instance: dg.DagsterInstance, **context: Any) -> dg.SensorResult:
    """A tick of the sensor of due tables."""
    return evaluate(sensors.due_tables, instance, **context)


def ask_for(instance: dg.DagsterInstance, result: dg.SensorResult) -> list[str]:
    """Makes the runs that a tick asks for, as the daemon does, and returns their keys."""
    keys = []
    for request in result.run_requests or ():
        assert request.run_key is not None
        create_run_for_test(instance, tags={**request.tags, RUN_KEY_TAG: request.run_key})
        keys.append(request.run_key)
    return keys


def reason(result: dg.SensorResult) -> str:
    """What a tick without runs says."""
    assert not result.run_requests
    assert result.skip_reason is not None
    return str(result.skip_reason.skip_message)


def planned(
    ledger: Ledger, file: Path, *, status: GenerationStatus = GenerationStatus.PLANNED
) -> list[GenerationRecord]:
    """Submits a file and writes a generation of two partitions down for each of its tables, as the plan job does."""
    workflow = load_workflow(file)
    submit(ledger, workflow, WorkflowStatus.EXECUTING)
    return [
        ledger.start_generation(
            workflow=workflow.name,
            table=config.source.table_name,
            config_hash="c",
            plan=plan(workflow.name, config.source.table_name, ["0001", "0002"]),
            partitions=[PlannedPartition(key, "", 1) for key in ("0001", "0002")],
            status=status,
        )
        for config in workflow.tables
    ]


def plan(workflow: str, table: str, keys: list[str]) -> str:
    return TablePlan(
        workflow=workflow,
        table=table,
        source_platform="postgresql",
        source=TableName("shop", "public", table),
        source_kind="table",
        target=TableName("LAKE", "RAW", table.upper()),
        columns=(),
        partitions=tuple(PartitionPlan(key=key, predicate=None, description="", rows=1) for key in keys),
        method="",
        physical=False,
        where=None,
        primary_key=(),
        estimated_rows=2,
        estimated_bytes=2,
        consistency="snapshot",
        metrics_check=True,
        notes=(),
        config_hash="c",
    ).model_dump_json()


# -- files --------------------------------------------------------------------------------------


def test_a_new_file_is_submitted_and_its_planning_asked_for_once(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    path = drop(folder / "shop.json")

    result = look_at_files(instance)

    (request,) = result.run_requests or ()
    assert request.run_config == {
        "ops": {
            "plan_tables": {
                "config": {
                    "file": str(path),
                    "source_platform": None,
                    "fresh": False,
                    "metrics": True,
                    "fingerprint": True,
                }
            }
        }
    }
    assert request.tags == {names.WORKFLOW_TAG: "shop"}
    ask_for(instance, result)
    assert reason(look_at_files(instance)) == "no new or changed workflow files"
    path.touch()
    assert reason(look_at_files(instance)) == "no new or changed workflow files"


def test_planning_is_asked_for_again_when_the_first_tick_came_to_nothing(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    drop(folder / "shop.json")

    lost, repeated = look_at_files(instance), look_at_files(instance)

    assert [request.run_key for request in lost.run_requests or ()] == ask_for(instance, repeated)


def test_every_change_is_planned_also_one_back_to_an_earlier_content(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    keys = []
    for table in ("orders", "people", "orders", "people"):
        drop(folder / "shop.json", table)
        keys += ask_for(instance, look_at_files(instance))
        ledger.set_workflow_status("shop", WorkflowStatus.COMPLETED)

    assert len(set(keys)) == 4


def test_the_affinity_of_a_workflow_goes_with_its_runs(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    file = drop(folder / "shop.json", affinity="site_a")
    expected = {names.WORKFLOW_TAG: "shop", names.AFFINITY_TAG: "site_a", "dagster-celery/queue": "site_a"}

    (planning,) = look_at_files(instance).run_requests or ()
    planned(ledger, file)
    (moving,) = look_at_tables(instance).run_requests or ()

    assert planning.tags == expected
    assert moving.tags.items() >= expected.items()


def test_a_broken_file_is_explained_in_the_ledger_and_at_every_tick_until_it_is_repaired(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    path = write(folder / "shop.json", "{")
    for _ in range(2):
        assert "is not JSON" in reason(look_at_files(instance))
    (error,) = ledger.view("DATA_MIGRATION_ERROR", "shop")
    assert (error["stage"], "is not JSON" in str(error["error"])) == ("workflow file", True)

    drop(path)

    assert look_at_files(instance).run_requests
    assert ledger.view("DATA_MIGRATION_ERROR", "shop") == []


def test_a_broken_file_blocks_no_other(folder: Path, ledger: Ledger, instance: dg.DagsterInstance) -> None:
    write(folder / "a.json", "{")
    (folder / "b.json").mkdir()
    drop(folder / "c.json")

    assert [request.tags[names.WORKFLOW_TAG] for request in look_at_files(instance).run_requests or ()] == ["c"]


def test_a_file_that_is_still_being_written_is_not_called_broken(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    write(folder / "shop.json", '{"tables": [', settled=False)

    assert "it is being written, or broken" in reason(look_at_files(instance))
    assert ledger.view("DATA_MIGRATION_ERROR") == []


def test_a_tick_shows_only_the_beginning_of_many_problems(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    for number in range(8):
        drop(folder / f"broken{number}.json", sourcePlatform="none", affinity=1, tables=[{}])

    message = reason(look_at_files(instance))

    assert len(message.splitlines()) < 40
    assert message.endswith("and 3 more files\n`migrate errors` shows everything.")


@pytest.mark.parametrize(
    ("second", "named", "message"),
    [
        ("copy.json", {}, "the same content as {first}, which is the workflow shop already: delete one of the files"),
        (
            "other.json",
            {"name": "shop", "affinity": "b"},
            "the workflow shop is in {first} already: give this one another name, or delete one of the files",
        ),
    ],
)
def test_a_second_file_of_a_workflow_is_refused_until_the_first_is_gone(
    folder: Path,
    ledger: Ledger,
    instance: dg.DagsterInstance,
    second: str,
    named: Mapping[str, Any],
    message: str,
) -> None:
    first = drop(folder / "shop.json")
    ask_for(instance, look_at_files(instance))
    drop(folder / second, **named)

    assert message.format(first=first) in reason(look_at_files(instance))
    assert [workflow.file for workflow in ledger.workflows()] == [str(first)]
    first.unlink()
    (request,) = look_at_files(instance).run_requests or ()
    assert str(folder / second) in str(request.run_config)


def test_a_file_with_a_new_path_only_does_not_run_again(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    path = drop(folder / "old.json", name="shop")
    ask_for(instance, look_at_files(instance))

    path.rename(folder / "new.json")

    assert reason(look_at_files(instance)) == "no new or changed workflow files"
    assert [workflow.file for workflow in ledger.workflows()] == [str(folder / "new.json")]


def test_a_file_that_was_migrated_from_the_command_line_is_known(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(folder / "shop.json")
    monkeypatch.chdir(folder)
    submit(ledger, load_workflow("../dropped/shop.json"), WorkflowStatus.EXECUTING)

    assert reason(look_at_files(instance)) == "no new or changed workflow files"


# -- validations --------------------------------------------------------------------------------


def drop_validation(path: Path, *tables: str) -> Path:
    """Writes a validation workflow file."""
    entries = [{"fully_qualified_name": f"shop.public.{name}"} for name in tables]
    return write(path, json.dumps({"source_platform": "PostgreSQL", "target_database": "LAKE", "tables": entries}))


def test_a_validation_gets_one_run_over_all_of_its_tables_and_results_and_no_planning(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    drop_validation(folder / "proof.json", "orders", "customers")

    assert reason(look_at_files(instance)) == "no new or changed workflow files"
    result = look_at_tables(instance)

    (request,) = result.run_requests or ()
    selected = [key.to_user_string() for key in request.asset_selection or ()]
    assert set(selected[:2]) == {"proof/validated/orders", "proof/validated/customers"}
    assert selected[2:4] == ["proof/results/SUMMARY", "proof/results/SCHEMA_FINDINGS"]
    assert request.partition_key == "proof"
    assert request.tags[names.WORKFLOW_TAG] == "proof"
    ask_for(instance, result)
    assert reason(look_at_tables(instance)) == "tables whose runs wait for their turn: 1"


def test_a_validation_whose_assets_are_missing_has_them_loaded(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    file = drop_validation(folder / "proof.json", "orders")
    look_at_files(instance)
    file.unlink()

    assert "not among the definitions: 1 (proof)" in reason(look_at_tables(instance))


# -- tables -------------------------------------------------------------------------------------


def test_a_due_table_gets_one_run_over_all_of_its_partitions(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    planned(ledger, drop(folder / "shop.json"))

    result = look_at_tables(instance)

    (request,) = result.run_requests or ()
    assert [key.to_user_string() for key in request.asset_selection or ()] == [
        "shop/staged/orders",
        "shop/loaded/orders",
        "shop/target/orders",
    ]
    assert request.tags == {
        names.WORKFLOW_TAG: "shop",
        names.TABLE_TAG: "orders",
        names.GENERATION_TAG: "1",
        "dagster/asset_partition_range_start": "0001",
        "dagster/asset_partition_range_end": "0002",
    }
    ask_for(instance, result)
    assert reason(look_at_tables(instance)) == "tables whose runs wait for their turn: 1"


@pytest.mark.parametrize("status", [status for status in GenerationStatus if status is not GenerationStatus.PLANNED])
def test_only_planned_tables_are_due(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance, status: GenerationStatus
) -> None:
    planned(ledger, drop(folder / "shop.json"), status=status)

    assert reason(look_at_tables(instance)) == "no table is due"


def test_tables_are_asked_for_in_the_order_of_planning_and_some_at_a_time(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "MAX_RUNS_PER_TICK", 2)
    planned(ledger, drop(folder / "shop.json", "zebras", "apes"))
    planned(ledger, drop(folder / "farm.json", "cows"))

    # None of the runs begins: those that wait must not keep the others from being asked for.
    assert ask_for(instance, look_at_tables(instance)) == ["shop/zebras/1", "shop/apes/1"]
    assert ask_for(instance, look_at_tables(instance)) == ["farm/cows/1"]
    assert reason(look_at_tables(instance)) == "tables whose runs wait for their turn: 3"


def test_a_table_that_failed_and_is_planned_to_go_on_gets_another_run(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    (generation,) = planned(ledger, drop(folder / "shop.json"))
    first = ask_for(instance, look_at_tables(instance))
    ledger.set_generation_status(generation.id, GenerationStatus.FAILED)
    ledger.set_generation_status(generation.id, GenerationStatus.PLANNED)

    second = ask_for(instance, look_at_tables(instance))

    assert len({*first, *second}) == 2


def test_a_plan_that_cannot_be_read_fails_its_table_and_has_nothing_loaded_again(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    submit(ledger, load_workflow(drop(folder / "shop.json")), WorkflowStatus.EXECUTING)
    ledger.start_generation(workflow="shop", table="orders", config_hash="c", plan="no plan", partitions=[])

    result = look_at_tables(instance)

    assert (result.run_requests, result.skip_reason) == ([], None)
    (generation,) = ledger.generations("shop")
    assert generation.status is GenerationStatus.FAILED


def test_missing_assets_are_loaded_after_the_others_were_asked_for(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    lost = drop(folder / "lost.json")
    planned(ledger, lost)
    lost.unlink()
    planned(ledger, drop(folder / "shop.json"))

    assert ask_for(instance, look_at_tables(instance)) == ["shop/orders/1"]
    message = reason(look_at_tables(instance))
    assert message.startswith("tables that are due, and not among the definitions: 1 (lost/orders). The daemon loads")


def test_definitions_that_the_code_server_cannot_load_again_are_no_error_and_tried_once_a_minute(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    lost = drop(folder / "lost.json")
    planned(ledger, lost)
    lost.unlink()
    origin = GrpcServerCodeLocationOrigin(host="localhost", socket=str(tmp_path / "nobody"), location_name="gone")

    first = look_at_tables(instance, origin=origin)
    second = look_at_tables(instance, origin=origin, cursor=first.cursor)

    assert "The code server could not load them again: " in reason(first)
    assert "is their workflow file in the drop folder, and valid?" in reason(second)
    assert first.cursor is not None
    digest, moment = first.cursor.split()
    third = look_at_tables(instance, origin=origin, cursor=f"{digest} {float(moment) - 61}")
    assert "The code server could not load them again: " in reason(third)


# -- failures -----------------------------------------------------------------------------------


def moving(instance: dg.DagsterInstance, number: int = 1) -> dg.DagsterRun:
    """A run that moves shop/orders."""
    tags = names.run_tags("shop", None, "orders", number, ("0001", "0002"))
    run: dg.DagsterRun = create_run_for_test(instance, tags=tags, status=dg.DagsterRunStatus.STARTED)
    return run


def fail(instance: dg.DagsterInstance, run: dg.DagsterRun, message: str = "it was killed") -> None:
    """Fails a run, and has the sensor look at it."""
    event = instance.report_run_failed(run, message)
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=run,
        resources={names.LEDGER: ledger_resource()},
    ).for_run_failure()
    sensors.failed_runs(context)


def test_a_run_that_dies_without_a_word_leaves_its_error_and_a_failed_table(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    planned(ledger, drop(folder / "shop.json"), status=GenerationStatus.RUNNING)
    run = moving(instance)

    fail(instance, run)

    (error,) = ledger.view("DATA_MIGRATION_ERROR", "shop")
    assert (error["table_name"], error["generation"], error["run_id"]) == ("orders", 1, run.run_id)
    assert "it was killed" in str(error["error"])
    assert [generation.status for generation in ledger.generations("shop")] == [GenerationStatus.FAILED]
    assert [workflow.status for workflow in ledger.workflows()] == [WorkflowStatus.COMPLETED]


def test_the_failure_of_a_run_for_an_older_generation_does_not_touch_the_newer_one(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    planned(ledger, drop(folder / "shop.json"), status=GenerationStatus.RUNNING)
    run = moving(instance, number=1)
    planned(ledger, folder / "shop.json")

    fail(instance, run)

    assert [generation.status for generation in ledger.generations("shop")] == [GenerationStatus.PLANNED]
    assert ledger.view("DATA_MIGRATION_ERROR") == []


def test_a_run_that_is_refused_because_another_one_moves_the_table_does_not_fail_it(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    planned(ledger, drop(folder / "shop.json"), status=GenerationStatus.RUNNING)

    @dg.asset(key=names.staged_key("shop", "orders"))
    def staged() -> None:
        with ledger.lock_table("shop", "orders"):
            pass

    tags = names.run_tags("shop", None, "orders", 1, ("0001", "0002"))
    with ledger.lock_table("shop", "orders"):
        result = dg.materialize([staged], instance=instance, tags=tags, raise_on_error=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        resources={names.LEDGER: ledger_resource()},
    ).for_run_failure()
    sensors.failed_runs(context)

    (error,) = ledger.view("DATA_MIGRATION_ERROR", "shop")
    assert "another run is moving the table shop/orders" in str(error["error"])
    assert [generation.status for generation in ledger.generations("shop")] == [GenerationStatus.RUNNING]


def test_a_run_that_was_started_by_hand_fails_the_tables_whose_steps_failed(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    planned(ledger, drop(folder / "shop.json", "orders", "people"), status=GenerationStatus.RUNNING)

    @dg.asset(key=names.target_key("shop", "orders"))
    def good() -> None: ...

    @dg.asset(key=names.target_key("shop", "people"))
    def bad() -> None:
        raise ValueError("the disk is full")

    result = dg.materialize([good, bad], instance=instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    run = run._replace(asset_selection={good.key, bad.key})
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=run,
        resources={names.LEDGER: ledger_resource()},
    ).for_run_failure()
    sensors.failed_runs(context)

    assert {generation.table: generation.status.value for generation in ledger.generations("shop")} == {
        "orders": "running",
        "people": "failed",
    }
    (error,) = ledger.view("DATA_MIGRATION_ERROR", "shop")
    assert (error["table_name"], error["error"]) == ("people", "ValueError: the disk is full")


def test_a_workflow_whose_planning_died_is_not_left_pending(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    drop(folder / "shop.json")
    (request,) = look_at_files(instance).run_requests or ()
    run = create_run_for_test(instance, job_name=PLAN_WORKFLOW, tags=request.tags)

    fail(instance, run, "SOURCE_POSTGRESQL_HOST is not set")

    (error,) = ledger.view("DATA_MIGRATION_ERROR", "shop")
    assert (error["stage"], "SOURCE_POSTGRESQL_HOST is not set" in str(error["error"])) == ("planning", True)
    assert [workflow.status for workflow in ledger.workflows()] == [WorkflowStatus.COMPLETED]


def test_a_run_that_is_canceled_before_it_began_fails_its_table(
    folder: Path, ledger: Ledger, instance: dg.DagsterInstance
) -> None:
    planned(ledger, drop(folder / "shop.json"))
    run = moving(instance)
    event = instance.report_run_canceled(run)
    context = dg.build_run_status_sensor_context(
        sensor_name="canceled_runs",
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=run,
        resources={names.LEDGER: ledger_resource()},
    )

    sensors.canceled_runs(context)

    (error,) = ledger.view("DATA_MIGRATION_ERROR", "shop")
    assert error["error"] == "the run was canceled: materialize the table again"
    assert [generation.status for generation in ledger.generations("shop")] == [GenerationStatus.FAILED]
