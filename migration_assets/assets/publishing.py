"""Verify, publish, prove: the load table takes the target's place only when every row is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dagster import TableColumn, TableColumnConstraints, TableSchema
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.definitions.metadata.metadata_set import TableMetadataSet

from migration_assets.assets import names
from migration_assets.assets.generations import plan_of
from migration_assets.assets.loading import load_table_name, load_table_prefix
from migration_assets.io_managers.layout import generation_folder, read_manifests, table_folder
from migration_assets.planning import TablePlan
from migration_assets.platforms.base import TableName
from migration_assets.resources.ledger import (
    CheckRecord,
    GenerationRecord,
    GenerationStatus,
    Ledger,
)
from migration_assets.resources.sources.base import Source, SourceError
from migration_assets.resources.stages.base import Manifest, Stage
from migration_assets.resources.warehouses.base import (
    PublishMark,
    TargetTable,
    Warehouse,
    WarehouseError,
)
from migration_assets.validation.levels.column_metrics import in_parts, metrics_query, read_metrics
from migration_assets.validation.migrations.plan_fingerprint import check_fingerprint, explain_difference
from migration_assets.validation.migrations.source_facts import SourceFacts
from migration_assets.validation.migrations.target_checks import (
    CheckResult,
    check_metrics,
    check_row_counts,
    check_schema,
    target_metric_columns,
)
from migration_assets.validation.results import Value, Verdict
from migration_assets.validation.sides import TargetSide


class PublishError(Exception):
    """The target was left as it was, or what was published is not proven; the text says why and what to do."""


@dataclass(frozen=True)
class PublishOutcome:
    """What came of a publish.

    Attributes:
        checks: the verdicts by check name.
        refusal: why the load table was not published; None when it was.
        metadata: what the UI shows of the target.
    """

    checks: Mapping[str, CheckResult]
    refusal: str | None = None
    metadata: Mapping[str, RawMetadataValue] = field(default_factory=dict)


def publish_table(
    generation: GenerationRecord, *, ledger: Ledger, stage: Stage, warehouse: Warehouse, source: Source
) -> PublishOutcome:
    """Publishes a generation whose partitions are all loaded. May be repeated at any point.

    Args:
        source: asked only when the fingerprints differ, for the rows that do.

    Raises:
        PublishError: partitions are missing.
    """
    plan = plan_of(generation)
    with warehouse.hold(plan.target.database):
        return _publish(plan, generation, ledger, stage, warehouse, source)


def _publish(
    plan: TablePlan,
    generation: GenerationRecord,
    ledger: Ledger,
    stage: Stage,
    warehouse: Warehouse,
    source: Source,
) -> PublishOutcome:
    folder = generation_folder(plan, generation.number)
    manifests = read_manifests(stage, folder)
    mark = PublishMark(plan.workflow, plan.table, generation.number, plan.token)
    load = load_table_name(plan, generation.number)
    facts = SourceFacts.model_validate_json(generation.source_facts) if generation.source_facts else None
    before = warehouse.describe(plan.target)
    if before is None or before.mark != mark:
        _require_every_partition(plan, manifests)
        _require_own_target(plan, before)
        candidate = warehouse.describe(load)
        if candidate is None:
            raise PublishError(_named(plan, f"there is no load table {load}: materialize the loaded asset first"))
        files = warehouse.loaded_files(load, [file.path for found in manifests.values() for file in found.files])
        _require_loaded(plan, manifests, files)
        loaded: int | None = sum(files.values())
        checks = _blocking_checks(plan, list(manifests.values()), loaded, candidate, before, facts, warehouse)
        fingerprint = _fingerprint(plan, list(manifests.values()), load, candidate, facts, warehouse, source)
        checks[names.FINGERPRINT_CHECK] = fingerprint
        if any(check.verdict is Verdict.FAIL for check in checks.values()):
            _record(ledger, generation, checks)
            reasons = "; ".join(check.summary for check in checks.values() if check.verdict is Verdict.FAIL)
            return PublishOutcome(checks, _named(plan, f"not published, {plan.target} is as it was before: {reasons}"))
        warehouse.publish(load, plan.target)
    else:
        # A crash after the publish: only what was there before may be left under the load table's name, and with
        # the load table its history is gone.
        loaded = None
        warehouse.drop_table(load)
        fingerprint = None
    after = warehouse.describe(plan.target)
    assert after is not None
    checks = _blocking_checks(plan, list(manifests.values()), loaded, after, before, facts, warehouse)
    # What was the load table is the target now.
    checks[names.FINGERPRINT_CHECK] = fingerprint or _fingerprint(
        plan, list(manifests.values()), plan.target, after, facts, warehouse, source
    )
    checks[names.METRICS_CHECK] = _metrics(plan, list(manifests.values()), facts, warehouse)
    _record(ledger, generation, checks)
    ledger.set_generation_status(generation.id, GenerationStatus.PUBLISHED, published_rows=after.rows)
    ledger.clear_errors(generation.id)
    ledger.complete_workflow_if_done(plan.workflow)
    _clean_up(plan, generation, stage, warehouse)
    return PublishOutcome(checks, None, _metadata(plan, generation, after, manifests))


def _require_every_partition(plan: TablePlan, manifests: Mapping[str, Manifest]) -> None:
    missing = [partition.key for partition in plan.partitions if partition.key not in manifests]
    if missing:
        raise PublishError(
            _named(
                plan,
                f"{len(missing)} of {len(plan.partitions)} partitions are not extracted yet "
                f"({', '.join(missing[:5])}): materialize the missing and failed partitions, then the target",
            )
        )


def _require_own_target(plan: TablePlan, target: TargetTable | None) -> None:
    """What was put into the target since it was planned is not replaced unasked."""
    if target is None or plan.replace_existing or not target.rows:
        return
    if target.mark is None or (target.mark.workflow, target.mark.table) != (plan.workflow, plan.table):
        raise PublishError(
            _named(
                plan,
                f"the target {plan.target} holds {target.rows:,} rows that this table did not put there, and is left "
                'as it is: set "replaceExisting": true in the table to replace them, or name another target',
            )
        )


def _require_loaded(plan: TablePlan, manifests: Mapping[str, Manifest], files: Mapping[str, int]) -> None:
    missing = [key for key, manifest in manifests.items() if any(file.path not in files for file in manifest.files)]
    if missing:
        raise PublishError(
            _named(
                plan,
                f"{len(missing)} of {len(plan.partitions)} partitions are extracted and not loaded yet "
                f"({', '.join(missing[:5])}): materialize them in the loaded asset, then the target",
            )
        )


def _blocking_checks(
    plan: TablePlan,
    manifests: list[Manifest],
    loaded: int | None,
    table: TargetTable,
    before: TargetTable | None,
    facts: SourceFacts | None,
    warehouse: Warehouse,
) -> dict[str, CheckResult]:
    return {
        names.SCHEMA_CHECK: check_schema(plan, table.columns, warehouse.platform, types_are_ours=before is None),
        names.ROW_COUNT_CHECK: check_row_counts(manifests, loaded, table.rows, facts, planned=plan.estimated_rows),
    }


def _fingerprint(
    plan: TablePlan,
    manifests: list[Manifest],
    name: TableName,
    table: TargetTable,
    facts: SourceFacts | None,
    warehouse: Warehouse,
    source: Source,
) -> CheckResult:
    if not plan.fingerprint_check:
        return CheckResult(Verdict.INCONCLUSIVE, "switched off by fingerprintCheck")
    try:
        side = TargetSide(warehouse, name, None)
        check = check_fingerprint(plan, manifests, table, facts, side)
    except WarehouseError as error:
        return CheckResult(Verdict.INCONCLUSIVE, f"no fingerprint: {error}")
    if check.verdict is not Verdict.FAIL or facts is None:
        return check
    try:
        with source.open_snapshot(plan.source.database) as snapshot:
            told = explain_difference(plan, table, facts, source, snapshot, side)
    except (SourceError, WarehouseError) as error:
        told = f"which rows differ could not be asked: {error}"
    return replace(check, summary=f"{check.summary}: {told}")


def _metrics(
    plan: TablePlan, manifests: list[Manifest], facts: SourceFacts | None, warehouse: Warehouse
) -> CheckResult:
    if not plan.metrics_check:
        return CheckResult(Verdict.INCONCLUSIVE, "switched off by metricsCheck")
    columns = target_metric_columns(plan, warehouse.platform)
    measured: dict[str, dict[str, Value]] = {}
    try:
        for part in in_parts(columns):
            query = metrics_query(plan.target.to_expression(), part, None, warehouse.platform.dialect)
            measured |= read_metrics(warehouse.query(query, plan.target.database)[0], part)
    except WarehouseError as error:
        return check_metrics(plan, manifests, None, facts, str(error))
    return check_metrics(plan, manifests, measured, facts)


def _record(ledger: Ledger, generation: GenerationRecord, checks: Mapping[str, CheckResult]) -> None:
    for name, check in checks.items():
        details = {"summary": check.summary, **check.figures}
        ledger.record_check(generation.id, CheckRecord(name, check.verdict.value, details))


def _clean_up(plan: TablePlan, generation: GenerationRecord, stage: Stage, warehouse: Warehouse) -> None:
    """Drops load tables and staged files of other generations; those of this one stay until the next."""
    prefix = load_table_prefix(plan)
    for leftover in warehouse.list_tables(plan.target.database, plan.target.schema, prefix):
        if leftover.table.removeprefix(prefix).isdecimal():
            warehouse.drop_table(leftover)
    folder = table_folder(plan.workflow, plan.table)
    keep = generation_folder(plan, generation.number)
    others = {"/".join(path.split("/")[:3]) for path in stage.list_files(folder)} - {keep}
    for other in sorted(others):
        stage.delete(other)


def _metadata(
    plan: TablePlan, generation: GenerationRecord, table: TargetTable, manifests: Mapping[str, Manifest]
) -> dict[str, RawMetadataValue]:
    schema = TableSchema(
        columns=[
            TableColumn(
                column.name,
                column.type,
                constraints=TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )
    return {
        **TableMetadataSet(column_schema=schema, row_count=table.rows, table_name=str(plan.target)),
        "bytes": sum(manifest.bytes for manifest in manifests.values()),
        "partitions": len(plan.partitions),
        "generation": generation.number,
        "source": str(plan.source),
        "divided": plan.method,
    }


def _named(plan: TablePlan, text: str) -> str:
    return f"workflow {plan.workflow}, table {plan.table}: {text}"
