"""The jobs: plan a workflow, and run one from file to checked tables in a single process."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagster import (
    Config,
    DagsterEvent,
    Failure,
    JobDefinition,
    OpExecutionContext,
    build_resources,
    in_process_executor,
    job,
    materialize,
    op,
)

from migration_assets.assets import names
from migration_assets.assets.factory import build_table_assets
from migration_assets.assets.generations import (
    WorkflowTable,
    is_movable,
    plan,
    plan_of,
    qualified_name,
    resumable,
    set_partition_keys,
    source_database,
    start,
    workflow_tables,
    write_down_publish,
)
from migration_assets.assets.validating import ComparedTable, build_validation_assets, compared_tables
from migration_assets.deployments import Deployment, reports_folder
from migration_assets.planning import PlanError
from migration_assets.resources.ledger import (
    GenerationRecord,
    GenerationStatus,
    Ledger,
    SubmittedTable,
    TableBusyError,
    WorkflowStatus,
    WorkflowType,
)
from migration_assets.resources.sources.base import Source, SourceError
from migration_assets.resources.warehouses.base import Warehouse, WarehouseError
from migration_assets.validation.results import Verdict
from migration_assets.workflow import ValidationWorkflow, Workflow, load_file, load_workflow, validation_of

RUN_WORKFLOW = "run_workflow"
PLAN_WORKFLOW = "plan_workflow"
VALIDATE_WORKFLOW = "validate_workflow"

_PROVEN = (Verdict.PASS.value, Verdict.WAIVED.value)


class WorkflowFile(Config):
    """Which workflow file to work on.

    Attributes:
        file: path of the workflow file.
        source_platform: the source's platform, when the file doesn't say it.
        fresh: plan every table anew, also those whose last run was broken off.
        metrics: whether to take metrics of source and target where the workflow asks for them.
        fingerprint: whether to take fingerprints of source and target where the workflow asks for them.
    """

    file: str
    source_platform: str | None = None
    fresh: bool = False
    metrics: bool = True
    fingerprint: bool = True


class ValidationFile(Config):
    """Which workflow file to validate.

    Attributes:
        file: path of a validation workflow file, or of a migration workflow, whose tables are then compared.
        source_platform: the source's platform, when the file doesn't say it.
    """

    file: str
    source_platform: str | None = None


@dataclass(frozen=True)
class Connections:
    """What planning needs, opened."""

    source: Source
    warehouse: Warehouse
    ledger: Ledger
    lock_wait_seconds: float = 0


@contextmanager
def open_connections(deployment: Deployment, platform: str) -> Iterator[Connections]:
    """The deployment's resources for one source platform, with their environment variables read."""
    keys = {
        "source": names.source_resource(platform),
        "warehouse": names.WAREHOUSE,
        "ledger": names.LEDGER,
    }
    with build_resources({key: deployment.resources[key] for key in keys.values()}) as resources:
        yield Connections(
            source=getattr(resources, keys["source"]),
            warehouse=getattr(resources, keys["warehouse"]),
            ledger=getattr(resources, keys["ledger"]).ledger,
            lock_wait_seconds=getattr(resources, keys["ledger"]).lock_wait_seconds,
        )


def build_run_workflow_job(deployment: Deployment) -> JobDefinition:
    """The job that moves every table of a workflow file and checks it, without a daemon.

    Each table is a run of its own in the same instance. A failed table doesn't stop the others; the job
    fails at the end if any failed.
    """

    @op(name="migrate_tables", description="Plans, moves and checks every table of a workflow file.")
    def migrate_tables(context: OpExecutionContext, config: WorkflowFile) -> None:
        workflow = load_workflow(config.file, config.source_platform)
        with open_connections(deployment, workflow.source_platform) as connections:
            ledger = connections.ledger
            submit(ledger, workflow, WorkflowStatus.EXECUTING)
            moved = (
                (table.slug, _plan_and_move(workflow, table, connections, context, config, deployment))
                for table in workflow_tables(workflow)
            )
            failed = [f"{name}: {problem}" for name, problem in moved if problem]
            ledger.set_workflow_status(workflow.name, WorkflowStatus.COMPLETED)
        if failed:
            raise Failure(
                f"{len(failed)} of {len(workflow.tables)} tables of workflow {workflow.name} failed:\n"
                + "\n".join(failed),
                allow_retries=False,
            )

    @job(
        name=RUN_WORKFLOW,
        executor_def=in_process_executor,
        description="Moves a whole workflow file in one process: plan, extract, load, publish, check.",
    )
    def run_workflow() -> None:
        migrate_tables()

    return run_workflow


def build_plan_workflow_job(deployment: Deployment) -> JobDefinition:
    """The job that plans a dropped file's tables into the ledger; the sensors ask for the rest."""

    @op(name="plan_tables", description="Plans every table of a workflow file into the ledger.")
    def plan_tables_op(context: OpExecutionContext, config: WorkflowFile) -> None:
        workflow = load_workflow(config.file, config.source_platform)
        failed = []
        busy = False
        with open_connections(deployment, workflow.source_platform) as connections:
            ledger = connections.ledger
            submit(ledger, workflow, WorkflowStatus.EXECUTING)
            for table in workflow_tables(workflow):
                generation = generation_to_move(workflow, table, connections, context, config, GenerationStatus.PLANNED)
                if isinstance(generation, Exception):
                    busy |= isinstance(generation, TableBusyError)
                    failed.append(f"{table.slug}: {generation}")
            ledger.complete_workflow_if_done(workflow.name)
            if busy:
                # The sensor asks for another plan of it.
                submit(ledger, workflow, WorkflowStatus.PENDING)
        if failed:
            raise Failure(
                f"{len(failed)} of {len(workflow.tables)} tables can't be planned:\n" + "\n".join(failed),
                allow_retries=False,
            )

    @job(
        name=PLAN_WORKFLOW,
        executor_def=in_process_executor,
        description="Plans a workflow file's tables; moves nothing.",
    )
    def plan_workflow() -> None:
        plan_tables_op()

    return plan_workflow


def build_validate_workflow_job(deployment: Deployment) -> JobDefinition:
    """The job that compares every table of a validation workflow with its target, in one process."""

    @op(name="validate_tables", description="Compares every table of a validation workflow file with its target.")
    def validate_tables(context: OpExecutionContext, config: ValidationFile) -> None:
        workflow = load_validation(config.file, config.source_platform)
        with build_resources({names.LEDGER: deployment.resources[names.LEDGER]}) as resources:
            ledger: Ledger = getattr(resources, names.LEDGER).ledger
            submit(ledger, workflow, WorkflowStatus.EXECUTING)
            result = materialize(
                build_validation_assets(workflow, warehouse_kind=deployment.warehouse_kind, reports=reports_folder()),
                instance=context.instance,
                resources=dict(deployment.with_results()),
                partition_key=workflow.name,
                tags={
                    names.WORKFLOW_TAG: workflow.name,
                    **names.affinity_tags(workflow.affinity),
                    "dagster/parent_run_id": context.run_id,
                    "dagster/root_run_id": context.run_id,
                },
                run_config={key: value for key, value in context.run_config.items() if key == "loggers"},
                raise_on_error=False,
            )
            ledger.set_workflow_status(workflow.name, WorkflowStatus.COMPLETED)
            if not result.success:
                failure = RunFailure.of(result.run_id, result.all_events, "the run failed; see its log in Dagster")
                raise Failure(failure.message, allow_retries=False)
            verdicts = {record.table: record.verdict for record in ledger.validations(workflow.name)}
        bad = [f"{table}: {verdict}" for table, verdict in verdicts.items() if verdict not in _PROVEN]
        if bad:
            told = f"{len(bad)} of {len(verdicts)} tables are not proven equal: {'; '.join(bad)}"
            raise Failure(told, allow_retries=False)

    @job(
        name=VALIDATE_WORKFLOW,
        executor_def=in_process_executor,
        description="Compares the tables of a validation workflow file with their targets, and reports.",
    )
    def validate_workflow() -> None:
        validate_tables()

    return validate_workflow


def load_validation(file: str | Path, source_platform: str | None) -> ValidationWorkflow:
    """A validation workflow; of a migration workflow, the validation that it implies."""
    workflow = load_file(file, source_platform)
    return validation_of(workflow) if isinstance(workflow, Workflow) else workflow


def submit(ledger: Ledger, workflow: Workflow | ValidationWorkflow, status: WorkflowStatus) -> None:
    """Writes the workflow, its tables and its file down."""
    file = str(workflow.file.absolute())
    tables: Sequence[WorkflowTable | ComparedTable]
    if isinstance(workflow, ValidationWorkflow):
        workflow_type, tables = WorkflowType.VALIDATION, compared_tables(workflow)
    else:
        workflow_type, tables = WorkflowType.MIGRATION, workflow_tables(workflow)
    ledger.record_file(file, workflow.content_hash)
    ledger.submit_workflow(
        name=workflow.name,
        file=file,
        content_hash=workflow.content_hash,
        source_platform=workflow.source_platform,
        affinity=workflow.affinity,
        configuration=workflow.raw,
        tables=[
            SubmittedTable(table.slug, qualified_name(table.config.source), qualified_name(table.config.target))
            for table in tables
        ],
        status=status,
        workflow_type=workflow_type,
    )


def generation_to_move(
    workflow: Workflow,
    table: WorkflowTable,
    connections: Connections,
    context: OpExecutionContext,
    config: WorkflowFile,
    status: GenerationStatus,
) -> GenerationRecord | Exception:
    """The unfinished generation to go on with, or a new one; or the reason why the table can't be planned."""
    ledger = connections.ledger
    lock = ledger.lock_table(workflow.name, table.slug, connections.lock_wait_seconds)
    try:
        # A plan supersedes what another run may be moving at this moment.
        with lock:
            return _generation_to_move(workflow, table, connections, context, config, status)
    except (SourceError, TableBusyError, WarehouseError) as error:
        ledger.record_error(
            workflow=workflow.name, table=table.slug, stage="planning", message=str(error), run_id=context.run_id
        )
        return error


def _generation_to_move(
    workflow: Workflow,
    table: WorkflowTable,
    connections: Connections,
    context: OpExecutionContext,
    config: WorkflowFile,
    status: GenerationStatus,
) -> GenerationRecord | Exception:
    ledger, source = connections.ledger, connections.source
    # While this can't be asked, nothing is planned: a plan would supersede a generation that may be published.
    write_down_publish(ledger, workflow.name, table.slug, connections.warehouse)
    unfinished = None if config.fresh else resumable(ledger, workflow, table)
    if unfinished is not None and is_movable(plan_of(unfinished), source, connections.warehouse):
        context.log.info(f"{table.slug}: going on with generation {unfinished.number}")
        ledger.set_generation_status(unfinished.id, status)
        set_partition_keys(context.instance, plan_of(unfinished))
        return unfinished
    try:
        with source.connect(source_database(table, source)) as run:
            planned = plan(workflow, table, run, source, connections.warehouse, ledger)
    except (PlanError, SourceError, WarehouseError) as error:
        return _not_planned(workflow, table, ledger, context, error)
    for told in planned.drift:
        context.log.warning(f"{table.slug}: {told}")
    if not config.metrics:
        planned = planned.model_copy(update={"metrics_check": False})
    if not config.fingerprint:
        planned = planned.model_copy(update={"fingerprint_check": False})
    return start(ledger, context.instance, planned, status)


def _plan_and_move(
    workflow: Workflow,
    table: WorkflowTable,
    connections: Connections,
    context: OpExecutionContext,
    config: WorkflowFile,
    deployment: Deployment,
) -> str | None:
    """Plans one table and moves it. Another process that does the same waits, and then begins with what this one left.

    Returns:
        What went wrong; None when the table is published and every blocking check passed.
    """
    ledger = connections.ledger
    try:
        with ledger.lock_table(workflow.name, table.slug, connections.lock_wait_seconds, whole_run=True):
            generation = generation_to_move(workflow, table, connections, context, config, GenerationStatus.RUNNING)
            if isinstance(generation, Exception):
                return str(generation)
            return _move(workflow, table, generation, deployment, ledger, context)
    except TableBusyError as error:
        ledger.record_error(
            workflow=workflow.name, table=table.slug, stage="planning", message=str(error), run_id=context.run_id
        )
        return str(error)


def _not_planned(
    workflow: Workflow, table: WorkflowTable, ledger: Ledger, context: OpExecutionContext, error: Exception
) -> Exception:
    """Writes down that a table can't be planned."""
    failed = ledger.start_generation(
        workflow=workflow.name,
        table=table.slug,
        config_hash=table.config.config_hash(workflow.source_platform),
        plan="",
        partitions=[],
        status=GenerationStatus.FAILED,
    )
    ledger.record_error(
        workflow=workflow.name,
        table=table.slug,
        generation_id=failed.id,
        stage="planning",
        message=str(error),
        run_id=context.run_id,
    )
    return error


def _move(
    workflow: Workflow,
    table: WorkflowTable,
    generation: GenerationRecord,
    deployment: Deployment,
    ledger: Ledger,
    context: OpExecutionContext,
) -> str | None:
    """Moves one table in a run of its own.

    Returns:
        What went wrong; None when the table is published and every blocking check passed.
    """
    keys = [partition.key for partition in plan_of(generation).partitions]
    assets = build_table_assets(workflow, table, warehouse_kind=deployment.warehouse_kind)
    result = materialize(
        assets,
        instance=context.instance,
        resources=dict(deployment.resources),
        tags={
            **names.run_tags(workflow.name, workflow.affinity, table.slug, generation.number, (keys[0], keys[-1])),
            "dagster/parent_run_id": context.run_id,
            "dagster/root_run_id": context.run_id,
        },
        run_config={key: value for key, value in context.run_config.items() if key == "loggers"},
        raise_on_error=False,
    )
    if result.success:
        return None
    failure = RunFailure.of(
        result.run_id, result.all_events, "the run failed before its first step; see its log in Dagster"
    )
    record_run_failure(ledger, workflow.name, table.slug, generation.number, failure)
    return failure.message


@dataclass(frozen=True)
class RunFailure:
    """Why a run failed.

    Attributes:
        message: the innermost cause.
        another_run_moves: the run was refused, because another one was moving the table.
    """

    run_id: str
    message: str
    another_run_moves: bool = False

    @classmethod
    def of(cls, run_id: str, events: Iterable[DagsterEvent], otherwise: str) -> "RunFailure":
        """The failure that the events of a run tell first."""
        for event in events:
            if event.is_step_failure and (error := event.step_failure_data.error) is not None:
                # Dagster's own errors are around ours, and what ours were raised from says less than they do.
                while error.cause is not None and (error.cls_name or "").startswith("Dagster"):
                    error = error.cause
                return cls(run_id, error.message.strip(), error.cls_name == TableBusyError.__name__)
        return cls(run_id, otherwise)


def record_run_failure(ledger: Ledger, workflow: str, table: str, number: int | None, failure: RunFailure) -> None:
    """Marks the generation that a run worked on as failed, and keeps the error unless the run has told one already.

    Args:
        number: the generation; None for the latest. The failure of an older one is no longer of interest.
    """
    generation = ledger.generation(workflow, table)
    if generation is not None and number not in (None, generation.number):
        return
    if not ledger.has_error_of_run(failure.run_id):
        ledger.record_error(
            workflow=workflow,
            table=table,
            generation_id=generation.id if generation else None,
            stage="run",
            message=failure.message,
            run_id=failure.run_id,
        )
    if failure.another_run_moves:
        # What that run moves is its own matter; a generation that nobody has begun yet is asked for again.
        if generation is not None and generation.status is GenerationStatus.PLANNED:
            ledger.ask_again(generation.id)
        return
    if generation is not None and generation.status in (GenerationStatus.PLANNED, GenerationStatus.RUNNING):
        ledger.set_generation_status(generation.id, GenerationStatus.FAILED)
    ledger.complete_workflow_if_done(workflow)


def record_plan_failure(ledger: Ledger, workflow: str, failure: RunFailure) -> None:
    """Keeps the error of a run that could not plan a workflow, unless the run has told one already."""
    if not ledger.has_error_of_run(failure.run_id):
        ledger.record_error(workflow=workflow, stage="planning", message=failure.message, run_id=failure.run_id)
    going_on = (GenerationStatus.PLANNED, GenerationStatus.RUNNING)
    if not any(generation.status in going_on for generation in ledger.generations(workflow)):
        ledger.set_workflow_status(workflow, WorkflowStatus.COMPLETED)
