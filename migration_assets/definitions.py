"""The one Definitions object: the deployment's resources and the assets of the workflow files."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterable

from dagster import Definitions, get_dagster_logger, in_process_executor

from migration_assets.assets.factory import build_table_assets
from migration_assets.assets.generations import WorkflowTable, workflow_tables
from migration_assets.assets.validating import build_validation_assets
from migration_assets.deployments import Deployment, current_deployment, reports_folder
from migration_assets.jobs import build_plan_workflow_job, build_run_workflow_job, build_validate_workflow_job
from migration_assets.schedules import build_schedules
from migration_assets.sensors import (
    build_workflow_files_sensor,
    canceled_runs,
    due_tables,
    failed_runs,
    workflow_paths,
)
from migration_assets.workflow import ValidationWorkflow, Workflow, WorkflowError, load_file


def valid_workflows() -> list[Workflow | ValidationWorkflow]:
    """The workflows of the drop folder. A broken file is the sensor's to report, and blocks no other."""
    workflows: list[Workflow | ValidationWorkflow] = []
    for path in workflow_paths():
        try:
            workflows.append(load_file(path))
        except WorkflowError as error:
            get_dagster_logger().warning(str(error))
    return workflows


def build_definitions(deployment: Deployment, workflows: Iterable[Workflow | ValidationWorkflow]) -> Definitions:
    """Assembles everything; connects to nothing."""
    plan_workflow = build_plan_workflow_job(deployment)
    # Which of two files with one workflow's name is the workflow stands in the ledger, and the sensor refuses the
    # other one. The tables of both have their assets until then, so that neither hides the other's.
    tables: dict[tuple[str, str], tuple[Workflow, WorkflowTable]] = {}
    validations: dict[str, ValidationWorkflow] = {}
    for workflow in workflows:
        if isinstance(workflow, ValidationWorkflow):
            validations.setdefault(workflow.name, workflow)
            continue
        for table in workflow_tables(workflow):
            tables.setdefault((workflow.name, table.slug), (workflow, table))
    return Definitions(
        assets=[
            asset
            for workflow, table in tables.values()
            for asset in build_table_assets(workflow, table, warehouse_kind=deployment.warehouse_kind)
        ]
        + [
            asset
            for validation in validations.values()
            for asset in build_validation_assets(
                validation, warehouse_kind=deployment.warehouse_kind, reports=reports_folder()
            )
        ],
        jobs=[build_run_workflow_job(deployment), plan_workflow, build_validate_workflow_job(deployment)],
        schedules=build_schedules({workflow.name: workflow for workflow, _ in tables.values()}.values(), plan_workflow),
        sensors=[build_workflow_files_sensor(plan_workflow), due_tables, failed_runs, canceled_runs],
        resources=dict(deployment.with_results() if validations else deployment.resources),
        # One run moves many partitions with threads of its own; a process per step would only cost start-up.
        executor=in_process_executor,
    )


defs = build_definitions(current_deployment(), valid_workflows())

# A thousand tables are millions of objects that live as long as the process: walking through them again and again
# would be a seventh of the time it takes to load them. DuckDB wants its own objects back in the end.
gc.freeze()
atexit.register(gc.unfreeze)
