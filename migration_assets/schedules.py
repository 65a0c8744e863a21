"""The schedules that workflow files ask for: each has its workflow planned, and the sensors ask for the rest."""

from __future__ import annotations

from collections.abc import Iterable

from dagster import (
    DefaultScheduleStatus,
    JobDefinition,
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from migration_assets.assets import names
from migration_assets.jobs import WorkflowFile
from migration_assets.resources.ledger import GenerationStatus, Ledger, LedgerResource, WorkflowStatus
from migration_assets.workflow import Workflow


def build_schedules(workflows: Iterable[Workflow], plan_workflow: JobDefinition) -> list[ScheduleDefinition]:
    """A schedule for every workflow that has one."""
    return [_schedule(workflow, workflow.schedule, plan_workflow) for workflow in workflows if workflow.schedule]


def _schedule(workflow: Workflow, cron: str, plan_workflow: JobDefinition) -> ScheduleDefinition:
    @schedule(
        name=f"{workflow.name}_schedule",
        job=plan_workflow,
        cron_schedule=cron,
        execution_timezone=workflow.schedule_time_zone,
        default_status=DefaultScheduleStatus.RUNNING,
        description=f"Runs workflow {workflow.name} again: what has changed moves.",
    )
    def run_again(context: ScheduleEvaluationContext, ledger: LedgerResource) -> RunRequest | SkipReason:
        found = ledger.ledger.workflow(workflow.name)
        if found is not None and found.status is WorkflowStatus.PENDING:
            return SkipReason(f"workflow {workflow.name} is about to be planned")
        if moving := _moving_tables(ledger.ledger, workflow.name):
            return SkipReason(f"still on their way since the last run: {', '.join(moving)}")
        configuration = WorkflowFile(file=str(workflow.file))
        return RunRequest(
            run_key=f"{workflow.name}/{context.scheduled_execution_time.isoformat()}",
            run_config={"ops": {"plan_tables": {"config": configuration.model_dump()}}},
            tags={names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)},
        )

    return run_again


def _moving_tables(ledger: Ledger, workflow: str) -> list[str]:
    """Tables that wait for their run, or that a run is moving: not those that one has left when it was killed."""
    return [
        generation.table
        for generation in ledger.generations(workflow)
        if generation.status is GenerationStatus.PLANNED
        or (generation.status is GenerationStatus.RUNNING and ledger.is_locked(workflow, generation.table))
    ]
