"""The one Definitions object: the deployment's resources and the assets of the workflow files."""

from __future__ import annotations

from dagster import Definitions, get_dagster_logger, in_process_executor

from migration_assets.assets.factory import build_table_assets
from migration_assets.assets.generations import workflow_tables
from migration_assets.deployments import Deployment, current_deployment
from migration_assets.jobs import build_plan_workflow_job, build_run_workflow_job
from migration_assets.sensors import build_workflow_files_sensor, due_tables, failed_runs, workflow_paths
from migration_assets.workflow import Workflow, WorkflowError, load_workflow


def valid_workflows() -> list[Workflow]:
    """The workflows of the drop folder. A broken file is the sensor's to report, and blocks no other."""
    workflows: dict[str, Workflow] = {}
    for path in workflow_paths():
        try:
            workflow = load_workflow(path)
        except WorkflowError as error:
            get_dagster_logger().warning(str(error))
            continue
        workflows.setdefault(workflow.name, workflow)
    return list(workflows.values())


def build_definitions(deployment: Deployment, workflows: list[Workflow]) -> Definitions:
    """Assembles everything; connects to nothing."""
    plan_workflow = build_plan_workflow_job(deployment)
    return Definitions(
        assets=[
            asset
            for workflow in workflows
            for table in workflow_tables(workflow)
            for asset in build_table_assets(workflow, table, warehouse_kind=deployment.warehouse_kind)
        ],
        jobs=[build_run_workflow_job(deployment), plan_workflow],
        sensors=[build_workflow_files_sensor(plan_workflow), due_tables, failed_runs],
        resources=dict(deployment.resources),
        # One run moves many partitions with threads of its own; a process per step would only cost start-up.
        executor=in_process_executor,
    )


defs = build_definitions(current_deployment(), valid_workflows())
