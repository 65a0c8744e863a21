"""What the commands do with the deployment: plan, move with progress, read the ledger."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from dagster import DagsterInstance, build_resources

from migration_assets.assets import names
from migration_assets.assets.generations import plan, progress_of, source_database, workflow_tables
from migration_assets.assets.validating import workflow_result
from migration_assets.cli.progress import show_progress
from migration_assets.deployments import current_deployment, migration_home, reports_folder
from migration_assets.instance import CONFIGURATION
from migration_assets.jobs import (
    RunFailure,
    ValidationFile,
    WorkflowFile,
    build_run_workflow_job,
    build_validate_workflow_job,
    load_validation,
    open_connections,
)
from migration_assets.planning import PlanError, TablePlan
from migration_assets.resources.ledger import GenerationRecord, Ledger, PartitionStatus
from migration_assets.resources.sources.base import SourceError
from migration_assets.resources.warehouses.base import WarehouseError
from migration_assets.validation.results import WorkflowResult
from migration_assets.workflow import Workflow

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class SessionError(Exception):
    """A run ended before it did what it was started for; the text says why."""


@contextmanager
def dagster_instance() -> Iterator[DagsterInstance]:
    """The instance that the UI shows too.

    It is the one of DAGSTER_HOME. Without that variable it is the project's when its `dagster.yaml` is in
    the working directory, otherwise one under MIGRATION_HOME.
    """
    if not os.environ.get("DAGSTER_HOME"):
        home = Path.cwd() if Path("dagster.yaml").exists() else migration_home() / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "dagster.yaml").exists():
            # Another process may begin at the same moment, and must not read half of it.
            draft = home / f".dagster.yaml.{os.getpid()}"
            draft.write_text(CONFIGURATION.format(base_dir=json.dumps(str(home))))
            draft.replace(home / "dagster.yaml")
        os.environ["DAGSTER_HOME"] = str(home)
    with DagsterInstance.get() as instance:
        yield instance


@contextmanager
def open_ledger() -> Iterator[Ledger]:
    """The deployment's ledger."""
    with build_resources({names.LEDGER: current_deployment().resources[names.LEDGER]}) as resources:
        yield getattr(resources, names.LEDGER).ledger


def plan_workflow(workflow: Workflow) -> tuple[list[TablePlan], list[str], str]:
    """The plan of every table, why the others have none, and how rows are read."""
    plans, problems = [], []
    with open_connections(current_deployment(), workflow.source_platform) as connections:
        for table in workflow_tables(workflow):
            source = connections.source
            try:
                with source.connect(source_database(table, source)) as run:
                    plans.append(plan(workflow, table, run, source, connections.warehouse, connections.ledger))
            except (PlanError, SourceError, WarehouseError) as error:
                problems.append(str(error))
        return plans, problems, connections.source.reading


def migrate_workflow(
    workflow: Workflow, file: Path, source_platform: str | None, *, fresh: bool, metrics: bool, fingerprint: bool
) -> bool:
    """Runs the whole job in this process, with progress on stderr.

    Returns:
        Whether every table was moved and every blocking check passed.
    """
    deployment = current_deployment()
    config = WorkflowFile(
        file=str(file), source_platform=source_platform, fresh=fresh, metrics=metrics, fingerprint=fingerprint
    )
    # A missing variable is an error of the input: it must show before the job, not as a failed run of it.
    with (
        open_connections(deployment, workflow.source_platform) as connections,
        dagster_instance() as instance,
        show_progress(connections.ledger, workflow.name),
    ):
        result = build_run_workflow_job(deployment).execute_in_process(
            instance=instance,
            run_config={"ops": {"migrate_tables": {"config": config.model_dump()}}, **_QUIET},
            tags={names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)},
            raise_on_error=False,
        )
    return bool(result.success)


def validate_workflow(file: Path, source_platform: str | None) -> tuple[WorkflowResult, Path | None]:
    """Compares every table of a workflow file with its target, in this process.

    Returns:
        What was found, and the HTML report.

    Raises:
        SessionError: the run ended before the tables were compared.
    """
    deployment = current_deployment()
    workflow = load_validation(file, source_platform)
    config = ValidationFile(file=str(file), source_platform=source_platform)
    with open_connections(deployment, workflow.source_platform) as connections, dagster_instance() as instance:
        begun = datetime.now(timezone.utc)
        run = build_validate_workflow_job(deployment).execute_in_process(
            instance=instance,
            run_config={"ops": {"validate_tables": {"config": config.model_dump()}}, **_QUIET},
            tags={names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)},
            raise_on_error=False,
        )
        result = workflow_result(connections.ledger, workflow)
        if len(result.tables) < len(workflow.tables) or any(table.started_at < begun for table in result.tables):
            failure = RunFailure.of(run.run_id, run.all_events, "the run failed; see its log in Dagster")
            raise SessionError(failure.message)
    return result, reports_folder() / f"{workflow.name}.html"


def workflow_status(workflow: str | None) -> dict[str, list[dict[str, object]]]:
    """The state of workflows and their tables, ready for JSON."""
    with open_ledger() as ledger:
        generations: dict[tuple[str, str], GenerationRecord] = {
            (generation.workflow, generation.table): generation for generation in ledger.generations(workflow)
        }
        progress = ledger.view("TABLE_PROGRESS_WITH_EXAMPLE_ERROR", workflow)
        compared = ledger.view("DATA_VALIDATION_RESULT", workflow)
        return {
            "workflows": [
                {
                    "name": record.name,
                    "type": record.type.value,
                    "status": record.status.value,
                    "file": record.file,
                    "started_at": record.started_at and record.started_at.isoformat(),
                    "ended_at": record.ended_at and record.ended_at.isoformat(),
                    "tables": [
                        _table_status(ledger, row, generations.get((record.name, str(row["table_name"]))))
                        for row in progress
                        if row["workflow_name"] == record.name
                    ]
                    + [_comparison_status(row) for row in compared if row["workflow_name"] == record.name],
                }
                for record in ledger.workflows()
                if workflow in (None, record.name)
            ]
        }


def _comparison_status(row: dict[str, object]) -> dict[str, object]:
    return {
        "table": row["table_name"],
        "source": row["source"],
        "target": row["target"],
        "verdict": row["verdict"],
        "evaluated_at": row["evaluated_at"],
    }


def workflow_errors(workflow: str | None) -> list[dict[str, object]]:
    """The first error of every failed partition, table and file."""
    with open_ledger() as ledger:
        return ledger.view("DATA_MIGRATION_ERROR", workflow)


def _table_status(ledger: Ledger, row: dict[str, object], generation: GenerationRecord | None) -> dict[str, object]:
    seconds = None
    checks: list[dict[str, object]] = []
    synchronization: dict[str, object] = {}
    if generation is not None:
        if generation.started_at and generation.ended_at:
            seconds = round((generation.ended_at - generation.started_at).total_seconds(), 3)
        checks = [
            {"name": check.name, "verdict": check.verdict, **check.details} for check in ledger.checks(generation.id)
        ]
        synchronization = _synchronization_status(ledger, generation)
    return {
        "table": row["table_name"],
        "source": row["source"],
        "target": row["target"],
        "generation": row["generation"],
        "status": row["status"] or PartitionStatus.PLANNED.value,
        "rows": row["rows_moved"],
        "bytes": row["bytes_moved"],
        "partitions": row["partitions"],
        "partitions_loaded": row["partitions_loaded"],
        "partitions_failed": row["partitions_failed"],
        "partitions_unchanged": row["partitions_unchanged"],
        "seconds": seconds,
        "synchronization": synchronization,
        "checks": checks,
        "error": row["example_error"],
    }


def _synchronization_status(ledger: Ledger, generation: GenerationRecord) -> dict[str, object]:
    """The state of the source that the target shows; empty while there is none."""
    published = ledger.published(generation.workflow, generation.table)
    progress = progress_of(published) if published else None
    if published is None or progress is None:
        return {}
    return {
        "strategy": progress.strategy,
        "mode": progress.mode,
        "generation": published.number,
        "as_of": progress.as_of.isoformat(),
        "lag_seconds": round((datetime.now(timezone.utc) - progress.as_of).total_seconds(), 1),
        "watermark": progress.watermark,
        "partitions_changed": progress.changed,
        "keys_deleted": progress.deleted,
        "rows_in_target": published.published_rows,
    }


class UnknownTableError(Exception):
    """No table, or more than one, has the name that was given."""


def find_table(name: str, workflow: str | None) -> tuple[str, str]:
    """The workflow and the name of a table of a migration.

    Raises:
        UnknownTableError: no table has the name, or tables of several workflows have it.
    """
    with open_ledger() as ledger:
        rows = ledger.view("TABLE_PROGRESS_WITH_EXAMPLE_ERROR", workflow)
    tables = [(str(row["workflow_name"]), str(row["table_name"])) for row in rows]
    found = [one for one in tables if one[1] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownTableError(
            f"{len(found)} workflows have a table {name} ({', '.join(one[0] for one in found)}): choose with --workflow"
        )
    known = ", ".join(sorted({one[1] for one in tables})) or "none"
    raise UnknownTableError(f"there is no table {name} in the ledger; the tables are {known}")


def reset_table(workflow: str, table: str) -> None:
    """Has the table's next run move all rows; the target stays as it is until then.

    Raises:
        TableBusyError: a run is moving the table.
    """
    with (
        open_ledger() as ledger,
        ledger.lock_table(workflow, table, whole_run=True),
        ledger.lock_table(workflow, table),
    ):
        ledger.reset_table(workflow, table)
