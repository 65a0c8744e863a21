"""The sensors: dropped workflow files are planned, due tables get their run, failed runs reach the ledger.

Each looks at state, at every tick: at the files in the drop folder, at the ledger, at the runs there are. What one
tick missed, as when its process was killed, the next one sees again; the run keys keep that from running twice.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    JobDefinition,
    RunFailureSensorContext,
    RunRequest,
    RunStatusSensorContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    run_failure_sensor,
    run_status_sensor,
    sensor,
)
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.storage.tags import RUN_KEY_TAG

from migration_assets.assets import names
from migration_assets.assets.generations import GenerationError, plan_of
from migration_assets.deployments import workflows_folder
from migration_assets.jobs import (
    PLAN_WORKFLOW,
    RunFailure,
    WorkflowFile,
    record_plan_failure,
    record_run_failure,
    submit,
)
from migration_assets.resources.ledger import (
    FileRecord,
    GenerationRecord,
    GenerationStatus,
    Ledger,
    LedgerResource,
    WorkflowRecord,
    WorkflowStatus,
    WorkflowType,
)
from migration_assets.validation.reports.frame_names import FRAME_NAMES
from migration_assets.workflow import ValidationWorkflow, Workflow, WorkflowError, parse_file

TICK_SECONDS = 3
"""Less than the 5 seconds between two looks of the daemon: a sensor that is due in 5 seconds misses every other one."""

MAX_RUNS_PER_TICK = 50
"""Runs asked for in one evaluation: each costs a fraction of a second, and an evaluation has a time limit."""

SETTLE_SECONDS = 2
"""A broken file younger than this may still be being written."""

RELOAD_SECONDS = 60
"""How long to wait before the definitions are loaded again for the sake of the same tables."""

RELOAD_TIMEOUT_SECONDS = 50
"""Less than an evaluation may take (60 seconds)."""

LONGEST_MESSAGE = 5
"""Files, and lines of each, that a tick's message shows; Dagster keeps the message of every tick."""


def workflow_paths() -> list[Path]:
    """The workflow files in the drop folder, by name."""
    return sorted(workflows_folder().glob("*.json"))


# -- files --------------------------------------------------------------------------------------


def build_workflow_files_sensor(plan_workflow: JobDefinition) -> SensorDefinition:
    """Sees new and changed files by their content, and has each planned in a run of its own."""

    @sensor(
        name="workflow_files",
        job=plan_workflow,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description="Plans workflow files that are new or changed in the drop folder.",
    )
    def workflow_files(context: SensorEvaluationContext, ledger: LedgerResource) -> SensorResult:
        problems = submit_files(ledger.ledger)
        asked = _run_keys(context.instance)
        requests = [
            request
            for workflow in ledger.ledger.workflows()
            if workflow.status is WorkflowStatus.PENDING
            and workflow.type is WorkflowType.MIGRATION
            and (request := _planning(workflow)).run_key not in asked
        ]
        if requests:
            return SensorResult(run_requests=requests[:MAX_RUNS_PER_TICK])
        return SensorResult(skip_reason=_shortened(problems) or "no new or changed workflow files")

    return workflow_files


def submit_files(ledger: Ledger) -> list[str]:
    """Writes the new and changed files of the drop folder into the ledger.

    Returns:
        What is wrong with each of the files that can't be used.
    """
    known = {record.path: record for record in ledger.files()}
    for record in known.values():
        if not record.valid and not Path(record.path).exists():
            ledger.forget_file(record.path)
    problems = (_submit_file(path, known.get(str(path)), ledger) for path in workflow_paths())
    return [problem for problem in problems if problem]


def _submit_file(path: Path, known: FileRecord | None, ledger: Ledger) -> str | None:
    try:
        content, changed_at = path.read_bytes(), path.stat().st_mtime
    except OSError as error:
        # Not written down: it has no content to be known by.
        return f"{path}: can't be read: {error.strerror}"
    content_hash = hashlib.sha256(content).hexdigest()
    # A file that was refused is looked at again: what stood in its way may be gone.
    if known is not None and known.valid and known.content_hash == content_hash:
        return None
    try:
        workflow = parse_file(content, file=path)
        if _require_new(workflow, ledger):
            submit(ledger, workflow, WorkflowStatus.PENDING)
        else:
            ledger.move_workflow(workflow.name, str(path))
            ledger.record_file(str(path), content_hash)
    except (WorkflowError, DuplicateWorkflowError) as error:
        if isinstance(error, WorkflowError) and 0 <= time.time() - changed_at < SETTLE_SECONDS:
            return f"{path}: can't be read yet: it is being written, or broken"
        problem = str(error)
        if known is None or (known.content_hash, known.problems) != (content_hash, problem):
            ledger.record_file(str(path), content_hash, problem)
        return problem
    return None


class DuplicateWorkflowError(Exception):
    """Two files of the drop folder are the same workflow."""


def _require_new(workflow: Workflow | ValidationWorkflow, ledger: Ledger) -> bool:
    """Whether a workflow is new or changed; not so when only its file's name is another one.

    Raises:
        DuplicateWorkflowError: another file has the same name or content.
    """
    moved = False
    for other in ledger.workflows():
        same_name, same_content = other.name == workflow.name, other.content_hash == workflow.content_hash
        if not (same_name or same_content):
            continue
        if _is_another_file(Path(other.file), workflow.file):
            if same_content:
                reason = f"the same content as {other.file}, which is the workflow {other.name} already"
                raise DuplicateWorkflowError(f"{workflow.file}: {reason}: delete one of the files")
            reason = f"the workflow {workflow.name} is in {other.file} already"
            raise DuplicateWorkflowError(
                f"{workflow.file}: {reason}: give this one another name, or delete one of the files"
            )
        moved |= same_name and same_content
    return not moved


def _is_another_file(other: Path, file: Path) -> bool:
    try:
        return not other.samefile(file)
    except FileNotFoundError:
        return False


def _planning(workflow: WorkflowRecord) -> RunRequest:
    configuration = WorkflowFile(file=workflow.file)
    return RunRequest(
        run_key=_submission_key(workflow),
        run_config={"ops": {"plan_tables": {"config": configuration.model_dump()}}},
        tags={names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)},
    )


def _submission_key(workflow: WorkflowRecord) -> str:
    # A content that comes back after another one is submitted again, and so runs again.
    return f"{workflow.name}/{workflow.content_hash}/{workflow.submitted_at.isoformat()}"


def _shortened(problems: list[str]) -> str:
    lines = []
    for problem in problems[:LONGEST_MESSAGE]:
        said = problem.splitlines()
        lines += said[:LONGEST_MESSAGE]
        if len(said) > LONGEST_MESSAGE:
            lines.append("  …")
    if problems:
        more = len(problems) - LONGEST_MESSAGE
        lines += [f"and {more} more files"] if more > 0 else []
        lines.append("`migrate errors` shows everything.")
    return "\n".join(lines)


# -- tables -------------------------------------------------------------------------------------


@sensor(
    name="due_tables",
    minimum_interval_seconds=TICK_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    asset_selection="*",
    description="Asks for a run of every table that is planned and not moved yet, and of every new validation.",
)
def due_tables(context: SensorEvaluationContext, ledger: LedgerResource) -> SensorResult:
    """Looks at the ledger's state, not at events: what is planned gets a run, whatever was missed before."""
    # The order of planning: who came first is served first.
    planned = sorted(ledger.ledger.generations(status=GenerationStatus.PLANNED), key=lambda generation: generation.id)
    workflows = ledger.ledger.workflows()
    validations = [
        workflow
        for workflow in workflows
        if workflow.type is WorkflowType.VALIDATION and workflow.status is WorkflowStatus.PENDING
    ]
    if not planned and not validations:
        return SensorResult(skip_reason="no table is due")
    asked = _run_keys(context.instance)
    due = [generation for generation in planned if _run_key(generation) not in asked]
    unasked = [workflow for workflow in validations if _submission_key(workflow) not in asked]
    if not due and not unasked:
        return SensorResult(skip_reason=f"tables whose runs wait for their turn: {len(planned) + len(validations)}")
    assert context.repository_def is not None
    assets = context.repository_def.asset_graph
    ready, missing = [], []
    for generation in due:
        if assets.has(names.target_key(generation.workflow, generation.table)):
            ready.append(generation)
        else:
            missing.append(f"{generation.workflow}/{generation.table}")
    affinities = {workflow.name: workflow.affinity for workflow in workflows}
    requests = list(_requests(ready[:MAX_RUNS_PER_TICK], affinities, ledger.ledger))
    for workflow in unasked:
        tables = [str(row["table_name"]) for row in ledger.ledger.view("DATA_VALIDATION_RESULT", workflow.name)]
        selection = [names.validated_key(workflow.name, table) for table in tables]
        if all(assets.has(key) for key in selection):
            requests.append(_validation(workflow, selection))
        else:
            missing.append(workflow.name)
    # There may be neither: of plans that can't be read, only the error is told.
    if requests or not missing:
        return SensorResult(run_requests=requests[:MAX_RUNS_PER_TICK])
    return _reload_definitions(context, missing)


def _validation(workflow: WorkflowRecord, tables: list[AssetKey]) -> RunRequest:
    results = [names.results_key(workflow.name, frame) for frame in FRAME_NAMES]
    return RunRequest(
        run_key=_submission_key(workflow),
        asset_selection=[*tables, *results],
        partition_key=workflow.name,
        tags={names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)},
    )


def _requests(
    due: list[GenerationRecord], affinities: Mapping[str, str | None], ledger: Ledger
) -> Iterator[RunRequest]:
    for generation in due:
        workflow, table = generation.workflow, generation.table
        try:
            keys = [partition.key for partition in plan_of(generation).partitions]
        except GenerationError as error:
            ledger.record_error(
                workflow=workflow, table=table, generation_id=generation.id, stage="planning", message=str(error)
            )
            ledger.set_generation_status(generation.id, GenerationStatus.FAILED)
            continue
        selection: list[AssetKey] = [
            names.staged_key(workflow, table),
            names.loaded_key(workflow, table),
            names.target_key(workflow, table),
        ]
        yield RunRequest(
            run_key=_run_key(generation),
            asset_selection=selection,
            tags=names.run_tags(workflow, affinities[workflow], table, generation.number, (keys[0], keys[-1])),
        )


def _run_key(generation: GenerationRecord) -> str:
    # A generation that has failed and is planned to go on gets one more run.
    ended = f"/{generation.ended_at.isoformat()}" if generation.ended_at else ""
    return f"{generation.workflow}/{generation.table}/{generation.number}{ended}"


def _run_keys(instance: DagsterInstance) -> set[str]:
    """The keys of all runs that sensors have asked for; one cheap query, whatever number of runs is queued."""
    return {key for _, keys in instance.get_run_tags(tag_keys=[RUN_KEY_TAG]) for key in keys}


def _reload_definitions(context: SensorEvaluationContext, missing: list[str]) -> SensorResult:
    """Has the code server load the definitions again, so that the assets of new tables exist.

    The web server and the daemon watch the code server, and have its new definitions a second later.
    """
    tables = sorted(missing)
    digest = hashlib.sha256("\n".join(tables).encode()).hexdigest()
    before, _, moment = (context.cursor or "").partition(" ")
    text = f"tables that are due, and not among the definitions: {len(tables)} ({', '.join(tables[:LONGEST_MESSAGE])})"
    if before == digest and time.time() - float(moment) < RELOAD_SECONDS:
        return SensorResult(
            skip_reason=f"{text}. They were loaded again just now: is their workflow file in the drop folder, and "
            "valid? They are loaded once more in a minute.",
            cursor=context.cursor,
        )
    origin = context.code_location_origin
    if not isinstance(origin, GrpcServerCodeLocationOrigin):
        return SensorResult(
            skip_reason=f"{text}. The daemon loads its definitions again every minute; for the UI, reload the code "
            "location by hand, or start both with `dagster dev`, or give them a `dagster code-server`"
        )
    cursor = f"{digest} {time.time():.0f}"
    try:
        origin.create_client().reload_code(timeout=RELOAD_TIMEOUT_SECONDS)
    except DagsterUserCodeUnreachableError as error:
        return SensorResult(
            skip_reason=f"{text}. The code server could not load them again: {error}. It has to be started with "
            "`dagster code-server start` (`dagster dev` does); `dagster api grpc` can't reload.",
            cursor=cursor,
        )
    return SensorResult(skip_reason=f"{text}. The definitions were loaded again.", cursor=cursor)


# -- failures -----------------------------------------------------------------------------------


@run_failure_sensor(
    name="failed_runs",
    default_status=DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=TICK_SECONDS,
    description="Writes the errors of failed runs into the ledger.",
)
def failed_runs(context: RunFailureSensorContext, ledger: LedgerResource) -> None:
    """A run that ends without a word, as when its process is killed, still leaves its error in the ledger."""
    run, events = context.dagster_run, context.get_step_failure_events()
    otherwise = context.failure_event.message or "the run failed; see its log in Dagster"
    failed_steps = {event.step_key for event in events if event.step_key}
    _record(run, RunFailure.of(run.run_id, events, otherwise), ledger.ledger, failed_steps)


@run_status_sensor(
    name="canceled_runs",
    run_status=DagsterRunStatus.CANCELED,
    default_status=DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=TICK_SECONDS,
    description="Writes into the ledger that runs were canceled.",
)
def canceled_runs(context: RunStatusSensorContext, ledger: LedgerResource) -> None:
    """The tables of a canceled run are not on their way any more, even when it had not begun."""
    run = context.dagster_run
    _record(run, RunFailure(run.run_id, "the run was canceled: materialize the table again"), ledger.ledger, set())


def _record(run: DagsterRun, failure: RunFailure, ledger: Ledger, failed_steps: Iterable[str]) -> None:
    if run.job_name == PLAN_WORKFLOW and names.WORKFLOW_TAG in run.tags:
        record_plan_failure(ledger, run.tags[names.WORKFLOW_TAG], failure)
        return
    number = run.tags.get(names.GENERATION_TAG)
    for workflow, table in _tables(run, set(failed_steps)):
        record_run_failure(ledger, workflow, table, int(number) if number else None, failure)


def _tables(run: DagsterRun, failed_steps: set[str]) -> set[tuple[str, str]]:
    """The tables that a run has failed to move; one that was started by hand may have moved several."""
    if names.TABLE_TAG in run.tags:
        return {(run.tags[names.WORKFLOW_TAG], run.tags[names.TABLE_TAG])}
    return {
        (key.path[0], key.path[-1])
        for key in run.asset_selection or ()
        if not failed_steps or key.to_python_identifier() in failed_steps
    }
