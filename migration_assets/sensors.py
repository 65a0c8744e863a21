"""The sensors: dropped workflow files are planned, due tables get their run, failed runs reach the ledger."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from dagster import (
    AssetKey,
    DefaultSensorStatus,
    JobDefinition,
    RunFailureSensorContext,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_failure_sensor,
    sensor,
)
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError, ReloadRepositoryLocationStatus

from migration_assets.assets import names
from migration_assets.deployments import workflows_folder
from migration_assets.jobs import WorkflowFile, record_run_failure
from migration_assets.planning import TablePlan
from migration_assets.resources.ledger import GenerationRecord, GenerationStatus, Ledger, LedgerResource
from migration_assets.workflow import Workflow, WorkflowError, load_workflow

FILES_SECONDS = 5
DUE_SECONDS = 5

MAX_RUNS_PER_TICK = 50
"""Runs asked for in one evaluation: each costs a fraction of a second, and an evaluation has a time limit."""

CODE_LOCATION = "migration_assets"

WEBSERVER_URL = "MIGRATION_WEBSERVER_URL"


def workflow_paths() -> list[Path]:
    """The workflow files in the drop folder, by name."""
    return sorted(workflows_folder().glob("*.json"))


def build_workflow_files_sensor(plan_workflow: JobDefinition) -> SensorDefinition:
    """Sees new and changed files by their content, and has each planned in a run of its own."""

    @sensor(
        name="workflow_files",
        job=plan_workflow,
        minimum_interval_seconds=FILES_SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        required_resource_keys={names.LEDGER},
        description="Plans workflow files that are new or changed in the drop folder.",
    )
    def workflow_files(context: SensorEvaluationContext) -> SensorResult:
        ledger: Ledger = getattr(context.resources, names.LEDGER).ledger
        requests: list[RunRequest] = []
        messages: list[str] = []
        for path in workflow_paths():
            content = path.read_bytes()
            content_hash = hashlib.sha256(content).hexdigest()
            known = ledger.file(str(path))
            if known is not None and known.content_hash == content_hash:
                continue
            try:
                workflow = load_workflow(path)
                _require_unique(workflow, ledger)
            except (WorkflowError, DuplicateWorkflowError) as error:
                ledger.record_file(str(path), content_hash, str(error))
                ledger.record_error(workflow=path.stem, stage="workflow file", message=str(error))
                messages.append(str(error))
                continue
            changed = path.stat().st_mtime_ns
            requests.append(
                RunRequest(
                    run_key=f"{path.name}:{content_hash}:{changed}",
                    run_config={"ops": {"plan_tables": {"config": WorkflowFile(file=str(path)).model_dump()}}},
                    tags={names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)},
                )
            )
        if requests:
            return SensorResult(run_requests=requests)
        return SensorResult(skip_reason="\n".join(messages) or "no new or changed workflow files")

    return workflow_files


class DuplicateWorkflowError(Exception):
    """Two files of the drop folder are the same workflow."""


def _require_unique(workflow: Workflow, ledger: Ledger) -> None:
    other = ledger.workflow(workflow.name)
    if other is not None and other.file != str(workflow.file) and Path(other.file).exists():
        raise DuplicateWorkflowError(
            f"{workflow.file}: the workflow {workflow.name} is in {other.file} already: "
            "give this one another name, or delete one of the files"
        )
    same = [
        record.file
        for record in ledger.workflows()
        if record.content_hash == workflow.content_hash and record.file != str(workflow.file)
    ]
    if same and Path(same[0]).exists():
        raise DuplicateWorkflowError(
            f"{workflow.file}: the same content as {same[0]}, which is a workflow already: delete one of the files"
        )


@sensor(
    name="due_tables",
    minimum_interval_seconds=DUE_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    required_resource_keys={names.LEDGER},
    asset_selection="*",
    description="Asks for a run of every table that is planned and not moved yet.",
)
def due_tables(context: SensorEvaluationContext) -> SensorResult | SkipReason:
    """Looks at the ledger's state, not at events: what is planned gets a run, whatever was missed before."""
    ledger: Ledger = getattr(context.resources, names.LEDGER).ledger
    due = [
        generation
        for generation in ledger.generations()
        if generation.status is GenerationStatus.PLANNED and generation.plan
    ]
    if not due:
        return SkipReason("no table is due")
    assert context.repository_def is not None
    known = context.repository_def.asset_graph.get_all_asset_keys()
    ready = [generation for generation in due if names.target_key(generation.workflow, generation.table) in known]
    if not ready:
        return SkipReason(f"{len(due)} tables are due; {_reload_code_location()}")
    return SensorResult(run_requests=list(_requests(ready[:MAX_RUNS_PER_TICK], ledger)))


def _requests(due: list[GenerationRecord], ledger: Ledger) -> Iterator[RunRequest]:
    affinities = {record.name: record.affinity for record in ledger.workflows()}
    for generation in due:
        keys = [partition.key for partition in TablePlan.model_validate_json(generation.plan).partitions]
        workflow, table = generation.workflow, generation.table
        selection: list[AssetKey] = [
            names.staged_key(workflow, table),
            names.loaded_key(workflow, table),
            names.target_key(workflow, table),
        ]
        yield RunRequest(
            run_key=f"{workflow}/{table}/{generation.number}",
            asset_selection=selection,
            tags=names.run_tags(workflow, affinities[workflow], table, generation.number, (keys[0], keys[-1])),
        )


def _reload_code_location() -> str:
    """Has the web server load the definitions again, so that the assets of new tables exist."""
    address = os.environ.get(WEBSERVER_URL) or "http://127.0.0.1:3000"
    parts = urlsplit(address)
    failure = (
        f"their assets are not loaded, and the code location could not be reloaded through {address}: "
        f"reload it by hand, or set {WEBSERVER_URL} to the web server's address"
    )
    try:
        client = DagsterGraphQLClient(
            parts.hostname or "127.0.0.1",
            port_number=parts.port,
            use_https=parts.scheme == "https",
            timeout=30,
        )
        result = client.reload_repository_location(CODE_LOCATION)
    except DagsterGraphQLClientError:
        return failure
    if result.status is ReloadRepositoryLocationStatus.SUCCESS:
        return "their assets are new, so the code location was reloaded"
    return f"{failure} ({result.message})"


@run_failure_sensor(
    name="failed_runs",
    default_status=DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
    description="Writes the errors of failed runs into the ledger.",
)
def failed_runs(context: RunFailureSensorContext, ledger: LedgerResource) -> None:
    """A run that ends without a word, as when its process is killed, still leaves its error in the ledger."""
    tags = context.dagster_run.tags
    if names.TABLE_TAG in tags:
        record_run_failure(
            ledger.ledger,
            tags[names.WORKFLOW_TAG],
            tags[names.TABLE_TAG],
            context.dagster_run.run_id,
            context.failure_event.message or "the run failed; see its log in Dagster",
        )
