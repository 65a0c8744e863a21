"""The assets of a validation workflow: one per table with its checks, and what they found as tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetOut,
    AssetsDefinition,
    MaterializeResult,
    MetadataValue,
    Output,
    StaticPartitionsDefinition,
    asset,
    multi_asset,
)

from migration_assets.assets import names
from migration_assets.assets.generations import qualified_name
from migration_assets.planning import table_slugs
from migration_assets.resources.ledger import Ledger, LedgerResource, WorkflowStatus
from migration_assets.resources.sources.base import Source
from migration_assets.resources.warehouses.base import Warehouse
from migration_assets.validation.reports.frame_names import FRAME_NAMES
from migration_assets.validation.results import Level, LevelResult, TableResult, Verdict, WorkflowResult
from migration_assets.validation.table_validation import levels_of, validate_table
from migration_assets.workflow import ValidationTable, ValidationWorkflow

_DESCRIPTIONS: dict[Level, str] = {
    "schema": "Columns of source and target: existence, type, precision, scale, length, nullability, order, key.",
    "metrics": "Counts, NULLs, smallest, largest, sums and lengths of every column.",
    "rows": "The rows themselves, by fingerprints, and cell by cell where these differ.",
}
_VERDICTS = {
    Verdict.PASS: (True, AssetCheckSeverity.WARN),
    Verdict.WAIVED: (True, AssetCheckSeverity.WARN),
    Verdict.INCONCLUSIVE: (False, AssetCheckSeverity.WARN),
    Verdict.FAIL: (False, AssetCheckSeverity.ERROR),
}


@dataclass(frozen=True)
class ComparedTable:
    """A table of a validation workflow with its short name."""

    slug: str
    config: ValidationTable

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that the workflow asks for."""
        return levels_of(self.config)


def compared_tables(workflow: ValidationWorkflow) -> list[ComparedTable]:
    """The tables of a validation workflow in the file's order."""
    slugs = table_slugs(workflow.tables)
    return [ComparedTable(slug, config) for slug, config in zip(slugs, workflow.tables, strict=True)]


def workflow_result(ledger: Ledger, workflow: ValidationWorkflow) -> WorkflowResult:
    """The last result of every table that has one."""
    found = [TableResult.model_validate_json(record.result) for record in ledger.validations(workflow.name)]
    return WorkflowResult(workflow=workflow.name, file=str(workflow.file), tables=tuple(found))


def build_validation_assets(
    workflow: ValidationWorkflow, *, warehouse_kind: str, reports: Path
) -> list[AssetsDefinition]:
    """An asset for each table, and one for what they found.

    Args:
        warehouse_kind: the target's platform, for the icon in the UI.
        reports: the folder of the HTML reports.
    """
    tables = compared_tables(workflow)
    built = [_table_asset(workflow, table, warehouse_kind, reports) for table in tables]
    return [*built, _results_asset(workflow, tables, warehouse_kind)]


def _table_asset(workflow: ValidationWorkflow, table: ComparedTable, kind: str, reports: Path) -> AssetsDefinition:
    key = names.validated_key(workflow.name, table.slug)
    tags = {names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)}

    @asset(
        key=key,
        required_resource_keys={names.LEDGER, names.WAREHOUSE, names.source_resource(workflow.source_platform)},
        check_specs=[AssetCheckSpec(level, asset=key, description=_DESCRIPTIONS[level]) for level in table.levels],
        group_name=workflow.name,
        kinds={kind},
        code_version=table.config.config_hash(workflow.source_platform)[:12],
        pool=names.source_resource(workflow.source_platform),
        tags=tags,
        op_tags=tags,
        description=f"{qualified_name(table.config.source)} compared with {qualified_name(table.config.target)}.",
    )
    def validated(context: AssetExecutionContext) -> Iterator[AssetCheckResult | MaterializeResult[None]]:
        state: LedgerResource = getattr(context.resources, names.LEDGER)
        of_source: Source = getattr(context.resources, names.source_resource(workflow.source_platform))
        warehouse: Warehouse = getattr(context.resources, names.WAREHOUSE)
        result = validate_table(workflow.name, table.slug, table.config, source=of_source, warehouse=warehouse)
        state.ledger.record_validation(
            workflow=workflow.name,
            table=table.slug,
            run_id=context.run_id,
            verdict=result.verdict.value,
            result=result.model_dump_json(),
        )
        report = write_report(workflow_result(state.ledger, workflow), reports)
        if result.error is not None:
            context.log.error(result.error)
        for level in table.levels:
            yield _check(level, result, report)
        yield MaterializeResult(
            metadata={
                "verdict": result.verdict.value,
                "rows in source": result.coverage.source_rows,
                "rows in target": result.coverage.target_rows,
                "rows that differ": result.rows_different,
                "spec": result.spec,
                "report": MetadataValue.url(report.as_uri()),
            }
        )

    return validated


def _check(level: Level, result: TableResult, report: Path) -> AssetCheckResult:
    found = result.level(level) or LevelResult(
        level=level, verdict=Verdict.INCONCLUSIVE, summary=result.error or "not run", ran=False
    )
    passed, severity = _VERDICTS[found.verdict]
    return AssetCheckResult(
        check_name=level,
        passed=passed,
        severity=severity,
        description=found.summary,
        metadata={"verdict": found.verdict.value, "report": MetadataValue.url(report.as_uri())},
    )


def _results_asset(workflow: ValidationWorkflow, tables: Sequence[ComparedTable], kind: str) -> AssetsDefinition:
    # All workflows write into the same tables. Each has a partition of them, which its next run replaces.
    partitions = StaticPartitionsDefinition([workflow.name])

    @multi_asset(
        name=f"{workflow.name}__results",
        outs={
            frame: AssetOut(
                key=names.results_key(workflow.name, frame),
                io_manager_key=names.VALIDATION_IO_MANAGER,
                metadata={"partition_expr": "WORKFLOW_NAME"},
                kinds={kind, "table"},
                group_name=workflow.name,
                description=f"{frame} of all validations; the partition {workflow.name} holds this workflow's.",
            )
            for frame in FRAME_NAMES
        },
        deps=[names.validated_key(workflow.name, table.slug) for table in tables],
        partitions_def=partitions,
        required_resource_keys={names.LEDGER},
        op_tags={names.WORKFLOW_TAG: workflow.name, **names.affinity_tags(workflow.affinity)},
    )
    def results(context: AssetExecutionContext) -> Iterator[Output[object]]:
        # Imported here: pandas is needed for nothing else.
        from migration_assets.validation.reports.frames import FRAMES

        state: LedgerResource = getattr(context.resources, names.LEDGER)
        found = workflow_result(state.ledger, workflow).tables
        for name, build in FRAMES.items():
            yield Output(build(found, context.run_id), output_name=name)
        state.ledger.set_workflow_status(workflow.name, WorkflowStatus.COMPLETED)

    return results


def write_report(result: WorkflowResult, folder: Path) -> Path:
    """The HTML report of a workflow, in the place of the last one."""
    # Imported here: no start needs its templates.
    from migration_assets.validation.reports.html import render

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result.workflow}.html"
    draft = file.with_suffix(".html.part")
    draft.write_text(render(result), encoding="utf-8")
    draft.replace(file)
    return file.absolute()
