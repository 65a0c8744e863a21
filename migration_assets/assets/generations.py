"""Generations: planning a table into the ledger, going on with an unfinished one, finding the current one."""

from __future__ import annotations

from dataclasses import dataclass

from dagster import DagsterInstance
from pydantic import ValidationError

from migration_assets.assets.names import partitions_name
from migration_assets.planning import ExistingTarget, TablePlan, plan_table, table_slugs
from migration_assets.platforms.base import PlatformError, QueryRunner, TableName
from migration_assets.resources.ledger import (
    GenerationRecord,
    GenerationStatus,
    Ledger,
    PlannedPartition,
)
from migration_assets.resources.sources.base import Source
from migration_assets.resources.warehouses.base import Warehouse
from migration_assets.validation.results import Verdict
from migration_assets.workflow import Identifier, SourceTable, TableConfiguration, TargetTable, Workflow

_RESUMABLE = (GenerationStatus.PLANNED, GenerationStatus.RUNNING, GenerationStatus.FAILED)


class GenerationError(Exception):
    """A run asks for a generation that is not the current one, or there is none."""


@dataclass(frozen=True)
class WorkflowTable:
    """A table of a workflow with its short name."""

    slug: str
    config: TableConfiguration


def workflow_tables(workflow: Workflow) -> list[WorkflowTable]:
    """The tables of a workflow in the file's order."""
    slugs = table_slugs(workflow.tables)
    return [WorkflowTable(slug, config) for slug, config in zip(slugs, workflow.tables, strict=True)]


def qualified_name(name: SourceTable | TargetTable) -> str:
    """A table as the workflow names it, for people."""
    return f"{name.database_name}.{name.schema_name}.{name.table_name}"


def source_database(table: WorkflowTable, source: Source) -> str:
    """The database to connect to for a table."""
    return Identifier.parse(table.config.source.database_name).folded(source.platform.fold)


def plan(workflow: Workflow, table: WorkflowTable, run: QueryRunner, source: Source, warehouse: Warehouse) -> TablePlan:
    """Plans a table; moves and writes nothing.

    Raises:
        PlanError: the table can't be moved as the workflow says.
    """

    def existing(name: TableName) -> ExistingTarget | None:
        found = warehouse.describe(name)
        if found is None:
            return None
        mark = found.mark
        made_here = mark is not None and (mark.workflow, mark.table) == (workflow.name, table.slug)
        return ExistingTarget(found.columns, found.rows, made_here, found.is_view)

    return plan_table(
        workflow,
        table.config,
        table.slug,
        source=source.platform,
        run=run,
        target=warehouse.platform,
        target_name=warehouse.target_name,
        existing=existing,
    )


def resumable(ledger: Ledger, workflow: Workflow, table: WorkflowTable) -> GenerationRecord | None:
    """The unfinished generation that the same configuration has planned before, if any."""
    latest = ledger.generation(workflow.name, table.slug)
    if latest is None or latest.status not in _RESUMABLE or not latest.plan:
        return None
    if latest.config_hash != table.config.config_hash(workflow.source_platform):
        return None
    # What a check has refused is not made right by going on with it.
    refused = any(check.verdict == Verdict.FAIL.value for check in ledger.checks(latest.id))
    return None if refused or not _is_readable(latest) else latest


def start(
    ledger: Ledger, instance: DagsterInstance, table_plan: TablePlan, status: GenerationStatus
) -> GenerationRecord:
    """Writes a plan down as the table's next generation: RUNNING when the caller moves it, PLANNED for a sensor."""
    generation = _write_down(ledger, table_plan, status)
    set_partition_keys(instance, table_plan)
    return generation


def set_partition_keys(instance: DagsterInstance, table_plan: TablePlan) -> None:
    """Makes the table's dynamic partitions exactly those of the plan, in its order.

    Keys are numbers in order, so two plans of a table differ only at the end of the list.
    """
    name = partitions_name(table_plan.workflow, table_plan.table)
    wanted = [partition.key for partition in table_plan.partitions]
    present = set(instance.get_dynamic_partitions(name))
    for key in present - set(wanted):
        instance.delete_dynamic_partition(name, key)
    missing = [key for key in wanted if key not in present]
    if missing:
        instance.add_dynamic_partitions(name, missing)


def current(ledger: Ledger, workflow: str, table: str, wanted: str | None) -> GenerationRecord:
    """The generation that a run works on.

    Args:
        wanted: the generation in the run's tags; None when the run was started by hand.

    Raises:
        GenerationError: the table was never planned, or was planned anew since the run was asked for.
    """
    generation = ledger.generation(workflow, table)
    if generation is None:
        raise GenerationError(
            f"{workflow}/{table} has no plan yet: run the workflow once with `migrate run`, or let the sensor plan it"
        )
    if not generation.plan:
        raise GenerationError(f"{workflow}/{table} can't be planned: see `migrate errors --workflow {workflow}`")
    if wanted is not None and int(wanted) != generation.number:
        raise GenerationError(
            f"{workflow}/{table}: this run is for generation {wanted}, but generation {generation.number} "
            "has been planned since: start the table anew"
        )
    return generation


def renewed(ledger: Ledger, generation: GenerationRecord, source: Source) -> GenerationRecord:
    """A new generation with the same partitions, for a table that is materialized again by hand.

    Raises:
        GenerationError: the source's columns have changed, so that the table must be planned anew.
    """
    table_plan = plan_of(generation)
    if drift := source_drift(table_plan, source):
        raise GenerationError(
            f"{generation.workflow}/{generation.table}: the source's columns have changed since it was planned "
            f"({drift}): run the workflow again with `migrate run`, which plans it anew"
        )
    return _write_down(ledger, table_plan.renewed(), GenerationStatus.RUNNING)


def source_drift(table_plan: TablePlan, source: Source) -> str | None:
    """How the source's columns differ by now from the planned ones; None when they don't."""
    with source.connect(table_plan.source.database) as run:
        try:
            return table_plan.drift(source.platform.describe(run, table_plan.source))
        except PlatformError as error:
            return str(error)


def plan_of(generation: GenerationRecord) -> TablePlan:
    """The plan of a generation.

    Raises:
        GenerationError: another release of this program wrote it, in another form.
    """
    try:
        return TablePlan.model_validate_json(generation.plan)
    except ValidationError as error:
        raise GenerationError(
            f"{generation.workflow}/{generation.table}: generation {generation.number} was planned by another release "
            "of this program: plan it anew with `migrate run --fresh`"
        ) from error


def _is_readable(generation: GenerationRecord) -> bool:
    try:
        plan_of(generation)
    except GenerationError:
        return False
    return True


def _write_down(ledger: Ledger, table_plan: TablePlan, status: GenerationStatus) -> GenerationRecord:
    return ledger.start_generation(
        workflow=table_plan.workflow,
        table=table_plan.table,
        config_hash=table_plan.config_hash,
        plan=table_plan.model_dump_json(),
        partitions=[
            PlannedPartition(partition.key, partition.description, partition.rows)
            for partition in table_plan.partitions
        ],
        status=status,
    )
