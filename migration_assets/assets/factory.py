"""The asset factory: one table of a workflow becomes source → staged → loaded → target, with its checks.

Nothing is read here but the workflow: plans and state are in the ledger, connections in the resources.
"""

import warnings
from collections.abc import Iterator

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetIn,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    BetaWarning,
    DynamicPartitionsDefinition,
    MaterializeResult,
    asset,
)
from dagster._core.storage.tags import PARTITION_NAME_TAG

from migration_assets.assets import names
from migration_assets.assets.generations import (
    GenerationError,
    WorkflowTable,
    current,
    known_checksums,
    plan_of,
    progress_of,
    renewed,
)
from migration_assets.assets.loading import load_partitions, unchanged_partitions
from migration_assets.assets.publishing import PublishError, PublishOutcome, publish_table
from migration_assets.io_managers.extraction import Extraction
from migration_assets.io_managers.partition_metadata import add_partition_metadata
from migration_assets.resources.ledger import GenerationRecord, GenerationStatus, Ledger, LedgerResource
from migration_assets.resources.sources.base import Source
from migration_assets.resources.stages.base import Manifest
from migration_assets.synchronization.plan_deletions import deletions_finder
from migration_assets.validation.migrations.source_facts import SourceFacts
from migration_assets.validation.results import Verdict
from migration_assets.workflow import Workflow

# Two per table in every process, for what has to be: one run that moves many partitions.
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", BetaWarning)

SOURCE_KINDS = {
    "postgresql": "postgres",
    "sqlserver": "sqlserver",
    "redshift": "redshift",
    "teradata": "teradata",
}


def build_table_assets(
    workflow: Workflow, table: WorkflowTable, *, warehouse_kind: str
) -> list[AssetsDefinition | AssetSpec]:
    """The assets of one table.

    Args:
        warehouse_kind: the target's platform, for the icon in the UI.
    """
    slug, config = table.slug, table.config
    platform = workflow.source_platform
    code_version = config.config_hash(platform)[:12]
    partitions = DynamicPartitionsDefinition(name=names.partitions_name(workflow.name, slug))
    tags = {names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)}
    source = config.source
    origin = f"{source.database_name}.{source.schema_name}.{source.table_name}"
    goal = f"{config.target.database_name}.{config.target.schema_name}.{config.target.table_name}"

    source_spec = AssetSpec(
        names.source_key(workflow.name, slug),
        group_name=workflow.name,
        kinds={SOURCE_KINDS[platform]},
        description=f"{origin}, in the source.",
        tags=tags,
    )

    @asset(
        key=names.staged_key(workflow.name, slug),
        deps=[source_spec.key],
        partitions_def=partitions,
        backfill_policy=BackfillPolicy.single_run(),
        io_manager_key=names.STAGE_IO_MANAGER,
        required_resource_keys={names.LEDGER, names.WAREHOUSE, names.source_resource(platform)},
        group_name=workflow.name,
        kinds={"parquet"},
        code_version=code_version,
        pool=names.source_resource(platform),
        tags=tags,
        op_tags=tags,
        description=f"Partitions of {origin} as Parquet files on the stage.",
    )
    def staged(context: AssetExecutionContext) -> Extraction:
        state: LedgerResource = getattr(context.resources, names.LEDGER)
        source: Source = getattr(context.resources, names.source_resource(platform))
        with state.ledger.lock_table(workflow.name, slug, state.lock_wait_seconds):
            generation = _current(context, state.ledger, workflow.name, slug)
            if generation.status is GenerationStatus.PUBLISHED:
                if names.GENERATION_TAG in context.run.tags:
                    raise GenerationError(
                        f"{workflow.name}/{slug}: generation {generation.number} is published already: to move the "
                        "table once more, materialize it anew instead of executing its run again"
                    )
                # Started by hand: the same partitions again, as the next generation.
                generation = renewed(state.ledger, generation, source, config.config_hash(platform))
            plan = plan_of(generation)
            checksums = known_checksums(state.ledger, plan)
        return Extraction(
            plan=plan,
            generation_id=generation.id,
            generation=generation.number,
            keys=_partition_keys(context, generation),
            source=source,
            has_source_facts=_has_source_facts(generation),
            progress=progress_of(generation),
            known_checksums=checksums,
            unchanged=unchanged_partitions(state.ledger.partitions(generation.id)),
            find_deletions=deletions_finder(plan, source, getattr(context.resources, names.WAREHOUSE)),
        )

    @asset(
        key=names.loaded_key(workflow.name, slug),
        ins={"manifests": AssetIn(key=staged.key, input_manager_key=names.STAGE_IO_MANAGER)},
        partitions_def=partitions,
        backfill_policy=BackfillPolicy.single_run(),
        required_resource_keys={names.LEDGER, names.STAGE, names.WAREHOUSE},
        group_name=workflow.name,
        kinds={warehouse_kind},
        code_version=code_version,
        tags=tags,
        op_tags=tags,
        description=f"Partitions of {origin} in the load table of {goal}.",
    )
    def loaded(context: AssetExecutionContext, manifests: dict[str, Manifest]) -> None:
        resources = context.resources
        state: LedgerResource = getattr(resources, names.LEDGER)
        with state.ledger.lock_table(workflow.name, slug, state.lock_wait_seconds):
            generation = _current(context, state.ledger, workflow.name, slug)
            if generation.status is GenerationStatus.PUBLISHED:
                raise GenerationError(
                    f"{workflow.name}/{slug}: generation {generation.number} is published already, and its load table "
                    "is gone: materialize the staged asset anew, and then this one"
                )
            figures = load_partitions(
                generation,
                _partition_keys(context, generation),
                manifests,
                ledger=state.ledger,
                stage=getattr(resources, names.STAGE),
                warehouse=getattr(resources, names.WAREHOUSE),
            )
        add_partition_metadata(context.get_step_execution_context(), figures)

    @asset(
        key=names.target_key(workflow.name, slug),
        deps=[loaded.key],
        required_resource_keys={names.LEDGER, names.STAGE, names.WAREHOUSE, names.source_resource(platform)},
        check_specs=[
            AssetCheckSpec(
                names.SCHEMA_CHECK,
                asset=names.target_key(workflow.name, slug),
                blocking=True,
                description="Every planned column is in the target; in a table that this program made, with its type.",
            ),
            AssetCheckSpec(
                names.ROW_COUNT_CHECK,
                asset=names.target_key(workflow.name, slug),
                blocking=True,
                description="Source, manifests, COPY and target hold the same number of rows.",
            ),
            AssetCheckSpec(
                names.FINGERPRINT_CHECK,
                asset=names.target_key(workflow.name, slug),
                blocking=True,
                description="All rows of the source and of the load table are the same, by their fingerprints.",
            ),
            AssetCheckSpec(
                names.METRICS_CHECK,
                asset=names.target_key(workflow.name, slug),
                description="Counts, NULLs, smallest, largest and sums of every column agree.",
            ),
        ],
        group_name=workflow.name,
        kinds={warehouse_kind, "table"},
        code_version=code_version,
        tags=tags,
        op_tags=tags,
        description=f"{goal}: {origin} as of the last published generation.",
    )
    def target(context: AssetExecutionContext) -> Iterator[AssetCheckResult | MaterializeResult[None]]:
        resources = context.resources
        state: LedgerResource = getattr(resources, names.LEDGER)
        with state.ledger.lock_table(workflow.name, slug, state.lock_wait_seconds):
            generation = _current(context, state.ledger, workflow.name, slug)
            # Another table, perhaps of another workflow and in another spelling, may have the same target.
            place = str(plan_of(generation).target).lower()
            with state.ledger.lock_table("target", place, state.lock_wait_seconds):
                outcome = publish_table(
                    generation,
                    ledger=state.ledger,
                    stage=getattr(resources, names.STAGE),
                    warehouse=getattr(resources, names.WAREHOUSE),
                    source=getattr(resources, names.source_resource(platform)),
                )
        yield from check_results(outcome)
        if outcome.refusal:
            raise PublishError(outcome.refusal)
        yield MaterializeResult(metadata=outcome.metadata)

    return [source_spec, staged, loaded, target]


def check_results(outcome: PublishOutcome) -> Iterator[AssetCheckResult]:
    """The verdicts as Dagster's check results; a check that is not blocking warns."""
    for name, check in outcome.checks.items():
        blocking = name != names.METRICS_CHECK and check.verdict is Verdict.FAIL
        yield AssetCheckResult(
            check_name=name,
            passed=check.verdict is Verdict.PASS,
            severity=AssetCheckSeverity.ERROR if blocking else AssetCheckSeverity.WARN,
            description=check.summary,
            metadata={"verdict": check.verdict.value, **check.figures},
        )


def _current(context: AssetExecutionContext, ledger: Ledger, workflow: str, table: str) -> GenerationRecord:
    return current(ledger, workflow, table, context.run.tags.get(names.GENERATION_TAG))


def _has_source_facts(generation: GenerationRecord) -> bool:
    facts = generation.source_facts
    return facts is not None and SourceFacts.model_validate_json(facts).problem is None


def _partition_keys(context: AssetExecutionContext, generation: GenerationRecord) -> tuple[str, ...]:
    """The run's partitions in plan order, by its tags: asking Dagster would read all keys of the table again."""
    planned = [partition.key for partition in plan_of(generation).partitions]
    tags = context.run.tags
    first, last = (tags.get(tag) or tags.get(PARTITION_NAME_TAG) for tag in names.RANGE_TAGS)
    places = {key: place for place, key in enumerate(planned)}
    start, end = places.get(first or ""), places.get(last or "")
    if start is None or end is None or start > end:
        raise GenerationError(
            f"{generation.workflow}/{generation.table}: the run's partitions {first} to {last} are not partitions of "
            f"generation {generation.number} in its order ({planned[0]} to {planned[-1]}): start the table anew"
        )
    return tuple(planned[start : end + 1])
