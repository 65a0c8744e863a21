"""Generations: planning a table into the ledger, going on with an unfinished one, finding the current one."""

from __future__ import annotations

from dataclasses import dataclass

from dagster import DagsterInstance
from pydantic import ValidationError

from migration_assets.assets.names import FINGERPRINT_CHECK, partitions_name
from migration_assets.planning import Baseline, ExistingTarget, PlanError, TablePlan, plan_table, table_slugs
from migration_assets.platforms.base import PlatformError, QueryRunner, TableName, TargetPlatform
from migration_assets.resources.ledger import (
    GenerationRecord,
    GenerationStatus,
    Ledger,
    PlannedPartition,
)
from migration_assets.resources.sources.base import Source
from migration_assets.resources.warehouses.base import (
    LoadColumn,
    TargetTable,
    Warehouse,
    WarehouseError,
    planned_evolution,
)
from migration_assets.synchronization.progress import Progress
from migration_assets.synchronization.scope import checksum_rows
from migration_assets.validation.migrations.plan_fingerprint import is_proof
from migration_assets.validation.results import Verdict
from migration_assets.workflow import Identifier, SourceTable, TableConfiguration, Workflow
from migration_assets.workflow import TargetTable as TargetTableName

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


def qualified_name(name: SourceTable | TargetTableName) -> str:
    """A table as the workflow names it, for people."""
    return f"{name.database_name}.{name.schema_name}.{name.table_name}"


def source_database(table: WorkflowTable, source: Source) -> str:
    """The database to connect to for a table."""
    return Identifier.parse(table.config.source.database_name).folded(source.platform.fold)


def plan(
    workflow: Workflow,
    table: WorkflowTable,
    run: QueryRunner,
    source: Source,
    warehouse: Warehouse,
    ledger: Ledger,
) -> TablePlan:
    """Plans a table; moves and writes nothing.

    Raises:
        PlanError: the table can't be moved as the workflow says.
    """

    target: TargetTable | None = None

    def existing(name: TableName) -> ExistingTarget | None:
        nonlocal target
        target = found = warehouse.describe(name)
        if found is None:
            return None
        mark = found.mark
        made_here = mark is not None and (mark.workflow, mark.table) == (workflow.name, table.slug)
        return ExistingTarget(found.columns, found.rows, made_here, found.is_view, mark.token if mark else None)

    table_plan = plan_table(
        workflow,
        table.config,
        table.slug,
        source=source.platform,
        run=run,
        target=warehouse.platform,
        target_name=warehouse.target_name,
        existing=existing,
        bulk_utility=source.choose_bulk_utility,
        baseline=baseline_of(ledger, workflow.name, table.slug),
    )
    return _with_evolution(table_plan, target, warehouse.platform) if table_plan.evolve and target else table_plan


def _with_evolution(table_plan: TablePlan, target: TargetTable, platform: TargetPlatform) -> TablePlan:
    """The plan with what is about to be changed in the target's columns.

    Raises:
        PlanError: they can't be changed so.
    """
    try:
        changes = planned_evolution(
            platform, table_plan.target, target.columns, load_columns(table_plan), target.primary_key
        )
    except WarehouseError as error:
        raise PlanError(table_plan.workflow, table_plan.table, [str(error)]) from error
    told = tuple(f"in the target: {change}" for change in changes)
    return table_plan.model_copy(update={"drift": (*table_plan.drift, *told)})


def baseline_of(ledger: Ledger, workflow: str, table: str) -> Baseline | None:
    """What the last published generation of a table has left; None when there is none that can be read."""
    generation = ledger.published(workflow, table)
    if generation is None or (table_plan := _readable_plan(generation)) is None:
        return None
    progress = progress_of(generation)
    return Baseline(
        generation=generation.number,
        plan=table_plan,
        watermark=progress.watermark if progress else None,
        missing=progress.missing if progress else None,
        bound=progress.bound if progress else None,
        rows={
            record.key: checksum_rows(record.checksum) for record in ledger.partitions(generation.id) if record.checksum
        },
    )


def progress_of(generation: GenerationRecord) -> Progress | None:
    """What the generation's run has settled so far."""
    return Progress.model_validate_json(generation.progress) if generation.progress else None


def known_checksums(ledger: Ledger, table_plan: TablePlan) -> dict[str, str]:
    """The checksums of the plan's partitions, as of the generation that it continues.

    Raises:
        GenerationError: that generation is not the last published one any more.
    """
    if table_plan.synchronization.mode != "ranges":
        return {}
    before = ledger.published(table_plan.workflow, table_plan.table)
    if before is None or before.number != table_plan.synchronization.continues:
        raise GenerationError(
            f"{table_plan.workflow}/{table_plan.table}: generation {table_plan.synchronization.continues}, which this "
            "one continues, is not the last published one any more: start the table anew"
        )
    bounds = {partition.key: partition.bounds for partition in plan_of(before).partitions}
    checksums = {bounds[one.key]: one.checksum for one in ledger.partitions(before.id) if one.checksum}
    return {one.key: checksums[one.bounds] for one in table_plan.partitions if one.bounds in checksums}


def write_down_publish(ledger: Ledger, workflow: str, table: str, warehouse: Warehouse) -> None:
    """Writes down that a generation was published, when the run that did it has died before it could."""
    latest = ledger.generation(workflow, table)
    if latest is None or latest.status not in _RESUMABLE or (table_plan := _readable_plan(latest)) is None:
        return
    target = warehouse.describe(table_plan.target)
    if table_plan.synchronization.is_full:
        done = _has_token(target, table_plan.token)
    else:
        staged = sum(record.rows for record in ledger.partitions(latest.id))
        name = load_table_name(table_plan, latest.number)
        load = warehouse.describe(name)
        # Its files were loaded, and the transaction that publishes has emptied it.
        done = (
            load is not None and not load.rows and staged > 0 and sum(warehouse.loaded_files(name).values()) == staged
        )
    if done:
        rows = target.rows if target else None
        unproven = _unproven(ledger, latest)
        ledger.set_generation_status(latest.id, GenerationStatus.PUBLISHED, published_rows=rows, unproven=unproven)
        ledger.clear_errors(latest.id)


def _unproven(ledger: Ledger, generation: GenerationRecord) -> list[str]:
    """Partitions that may have been read in a later state than that of their checksums."""
    progress = progress_of(generation)
    checks = {one.name: one.details for one in ledger.checks(generation.id)}
    if progress is None or is_proof(checks.get(FINGERPRINT_CHECK, {})):
        return []
    return [one.key for one in ledger.partitions(generation.id) if one.checksum and one.snapshot != progress.snapshot]


def resumable(ledger: Ledger, workflow: Workflow, table: WorkflowTable) -> GenerationRecord | None:
    """The unfinished generation that the same configuration has planned before, if any."""
    latest = ledger.generation(workflow.name, table.slug)
    if latest is None or latest.status not in _RESUMABLE:
        return None
    if latest.config_hash != table.config.config_hash(workflow.source_platform):
        return None
    # What a check has refused is not made right by going on with it.
    refused = any(check.verdict == Verdict.FAIL.value for check in ledger.checks(latest.id))
    return None if refused or _readable_plan(latest) is None else latest


def start(
    ledger: Ledger, instance: DagsterInstance, table_plan: TablePlan, status: GenerationStatus
) -> GenerationRecord:
    """Writes a plan down as the table's next generation: RUNNING when the caller moves it, PLANNED for a sensor."""
    generation = _write_down(ledger, table_plan, status)
    set_partition_keys(instance, table_plan)
    return generation


def load_table_name(plan: TablePlan, generation: int) -> TableName:
    """The load table of a generation, beside its target."""
    return plan.target.renamed(f"{load_table_prefix(plan)}{generation}")


def load_table_prefix(plan: TablePlan) -> str:
    """What the names of all load tables of a target begin with."""
    return f"{plan.target.table}__load_{plan.workflow}_"


def load_columns(plan: TablePlan) -> list[LoadColumn]:
    """The columns of the load table and of the staged files."""
    return [
        LoadColumn(column.target_name, column.type, column.target_type, column.source.nullable)
        for column in plan.columns
    ]


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
    if generation.status in (GenerationStatus.RESET, GenerationStatus.SUPERSEDED):
        raise GenerationError(
            f"{workflow}/{table} was reset after generation {generation.number}: run the workflow again with "
            "`migrate run`, which plans it anew"
        )
    if wanted is not None and int(wanted) != generation.number:
        raise GenerationError(
            f"{workflow}/{table}: this run is for generation {wanted}, but generation {generation.number} "
            "has been planned since: start the table anew"
        )
    return generation


def renewed(ledger: Ledger, generation: GenerationRecord, source: Source, config_hash: str) -> GenerationRecord:
    """A new generation with the same partitions, for a table that is materialized again by hand: what has changed.

    Args:
        config_hash: of the table as the workflow has it now.

    Raises:
        GenerationError: the workflow or the source's columns have changed, so that the table must be planned anew.
    """
    if generation.config_hash != config_hash:
        raise GenerationError(
            f"{generation.workflow}/{generation.table}: the workflow has changed since the table was planned: run it "
            "again with `migrate run`, or let the sensor plan it"
        )
    baseline = baseline_of(ledger, generation.workflow, generation.table)
    assert baseline is not None
    table_plan = baseline.plan
    if drift := source_drift(table_plan, source):
        raise GenerationError(
            f"{generation.workflow}/{generation.table}: the source's columns have changed since it was planned "
            f"({drift}): run the workflow again with `migrate run`, which plans it anew"
        )
    return _write_down(ledger, table_plan.renewed(baseline), GenerationStatus.RUNNING)


def source_drift(table_plan: TablePlan, source: Source) -> str | None:
    """How the source's columns differ by now from the planned ones; None when they don't."""
    with source.connect(table_plan.source.database) as run:
        try:
            return table_plan.differs_from(source.platform.describe(run, table_plan.source))
        except PlatformError as error:
            return str(error)


def is_movable(table_plan: TablePlan, source: Source, warehouse: Warehouse) -> bool:
    """Whether an unfinished plan can be gone on with: source and target are those that it was made for."""
    if source_drift(table_plan, source):
        return False
    if table_plan.synchronization.is_full:
        return True
    return _has_token(warehouse.describe(table_plan.target), table_plan.target_token)


def _has_token(target: TargetTable | None, token: str) -> bool:
    """Whether a target is there, and was made by the plan of a token."""
    return target is not None and target.mark is not None and target.mark.token == token


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


def _readable_plan(generation: GenerationRecord) -> TablePlan | None:
    """The plan of a generation; None when there is none, or another release wrote it."""
    try:
        return plan_of(generation) if generation.plan else None
    except GenerationError:
        return None


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
