"""One table's validation, level by level: schema, metrics, rows. Each goes on only where the last one lets it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone

from migration_assets.platforms.base import PlatformError, TableName
from migration_assets.platforms.canonical import SPEC
from migration_assets.resources.sources.base import Snapshot, Source, SourceError
from migration_assets.resources.warehouses.base import TargetTable, Warehouse, WarehouseError
from migration_assets.validation.alignment import AlignmentError, align
from migration_assets.validation.differences.causes import classify, display, group, mask
from migration_assets.validation.differences.cells import RowDifference
from migration_assets.validation.levels.metrics import EXACT_METRICS, MetricsLevel
from migration_assets.validation.levels.rows import RowComparison, RowsOutcome
from migration_assets.validation.levels.schema import compare_schemas, summary_of
from migration_assets.validation.results import (
    LEVELS,
    BucketFinding,
    Cause,
    CauseGroup,
    CellFinding,
    Coverage,
    Evidence,
    Level,
    LevelResult,
    MetricFinding,
    RowFinding,
    SchemaFinding,
    TableResult,
    Verdict,
)
from migration_assets.validation.sides import BudgetExceededError, Inquiry, SourceSide, TargetSide, UnreadableValueError
from migration_assets.validation.target_filter import target_condition
from migration_assets.validation.waivers import waive_metrics, waive_rows, waive_schema
from migration_assets.workflow import Identifier, ValidationTable


def levels_of(config: ValidationTable) -> tuple[Level, ...]:
    """The levels that a workflow asks for, in their order."""
    asked: dict[Level, bool] = {
        "schema": config.schema_validation,
        "metrics": config.metrics_validation,
        "rows": config.row_validation,
    }
    return tuple(level for level in LEVELS if asked[level])


@dataclass
class _Findings:
    """What is known of a table so far."""

    coverage: Coverage = field(default_factory=Coverage)
    levels: list[LevelResult] = field(default_factory=list)
    schema: list[SchemaFinding] = field(default_factory=list)
    metrics: list[MetricFinding] = field(default_factory=list)
    rows: list[RowFinding] = field(default_factory=list)
    rows_different: int = 0
    cells: list[CellFinding] = field(default_factory=list)
    causes: list[CauseGroup] = field(default_factory=list)
    buckets: tuple[BucketFinding, ...] = ()
    evidence: list[Evidence] = field(default_factory=list)


def validate_table(
    workflow: str, table: str, config: ValidationTable, *, source: Source, warehouse: Warehouse
) -> TableResult:
    """Compares a table with its target as the workflow says; an error of either side is part of the result."""
    started, clock = datetime.now(timezone.utc), time.monotonic()
    findings = _Findings()
    error = None
    origin, target = _source_name(config, source), _target_name(config, warehouse)
    try:
        with (
            source.open_snapshot(origin, strict=False) as snapshot,
            snapshot.steady() as pinned,
            warehouse.hold(target.database),
            closing(
                _TableValidation(config, source, snapshot, warehouse, (origin, target), findings, pinned=pinned)
            ) as validation,
        ):
            validation.run()
    except (AlignmentError, PlatformError) as failure:
        error = str(failure)
    except (SourceError, UnreadableValueError, WarehouseError) as failure:
        error = _told(failure, config)
    return TableResult(
        workflow=workflow,
        table=table,
        source=str(origin),
        target=str(target),
        spec=SPEC,
        started_at=started,
        seconds=round(time.monotonic() - clock, 3),
        levels=tuple(findings.levels),
        coverage=findings.coverage,
        schema_findings=tuple(findings.schema),
        metrics=tuple(findings.metrics),
        rows=tuple(findings.rows),
        rows_different=findings.rows_different,
        cells=tuple(findings.cells),
        causes=tuple(findings.causes),
        buckets=findings.buckets,
        evidence=tuple(findings.evidence),
        error=error,
    )


def _source_name(config: ValidationTable, source: Source) -> TableName:
    name, fold = config.source, source.platform.fold
    return TableName(
        Identifier.parse(name.database_name).folded(fold),
        Identifier.parse(name.schema_name).folded(fold),
        Identifier.parse(name.table_name).folded(fold),
    )


def _target_name(config: ValidationTable, warehouse: Warehouse) -> TableName:
    name, fold = config.target, warehouse.platform.fold
    return warehouse.target_name(
        Identifier.parse(name.database_name).folded(fold),
        Identifier.parse(name.schema_name).folded(fold),
        Identifier.parse(name.table_name).folded(fold),
    )


class _TableValidation:
    """The levels of one table, under one snapshot of the source."""

    def __init__(
        self,
        config: ValidationTable,
        source: Source,
        snapshot: Snapshot,
        warehouse: Warehouse,
        tables: tuple[TableName, TableName],
        findings: _Findings,
        *,
        pinned: bool,
    ) -> None:
        origin, target = tables
        self._config = config
        self._source = source
        self._snapshot = snapshot
        self._warehouse = warehouse
        self._findings = findings
        self._source_table = source.platform.describe(snapshot.query, origin)
        self._target_table = _described(warehouse, target)
        self._alignment = align(
            config,
            self._source_table,
            self._target_table,
            source_platform=source.platform,
            target_platform=warehouse.platform,
            run=snapshot.query,
        )
        condition = None
        if config.target_where_clause is not None:
            parsed = target_condition(config.target_where_clause, self._target_table, warehouse.platform)
            condition = parsed.sql(warehouse.platform.dialect)
        self._inquiry = Inquiry(
            SourceSide(
                snapshot,
                source.platform.canonical_sql(snapshot.query),
                self._source_table.name,
                config.where_clause,
                pinned=pinned,
            ),
            TargetSide(warehouse, target, condition),
            config.budget,
            findings.evidence,
        )
        alignment = self._alignment
        findings.coverage = Coverage(
            compared=tuple(column.name for column in alignment.compared),
            excluded=alignment.excluded,
            skipped=dict(alignment.skipped),
            notes=alignment.notes,
            key=alignment.key,
            source_snapshot=self._inquiry.source.moment,
            target_snapshot=self._inquiry.target.moment,
        )

    def close(self) -> None:
        """Ends the threads that ask."""
        self._inquiry.close()

    def run(self) -> None:
        """Every level that is asked for, until one fails and the workflow doesn't go on."""
        run = {"schema": self._schema, "metrics": self._metrics, "rows": self._rows}
        failed: Level | None = None
        for level in levels_of(self._config):
            if failed is not None and not self._config.continue_on_failure:
                summary = f"not run, because {failed} failed (continue_on_failure is false)"
                self._findings.levels.append(
                    LevelResult(level=level, verdict=Verdict.INCONCLUSIVE, summary=summary, ran=False)
                )
                continue
            started = time.monotonic()
            try:
                verdict, summary = run[level]()
            except BudgetExceededError as error:
                verdict, summary = Verdict.INCONCLUSIVE, str(error)
            except (SourceError, WarehouseError) as error:
                if level == "rows":
                    raise
                # A sum that is too large says nothing of the rows.
                verdict, summary = Verdict.INCONCLUSIVE, _told(error, self._config)
            seconds = round(time.monotonic() - started, 3)
            self._findings.levels.append(LevelResult(level=level, verdict=verdict, summary=summary, seconds=seconds))
            failed = level if verdict is Verdict.FAIL else failed

    # -- levels -------------------------------------------------------------------------------------

    def _schema(self) -> tuple[Verdict, str]:
        findings = compare_schemas(
            self._alignment,
            self._source_table,
            self._target_table,
            target_platform=self._warehouse.platform,
            source_platform=self._source.platform,
            config=self._config,
        )
        self._findings.schema = list(waive_schema(findings, self._config.waivers))
        return summary_of(self._findings.schema)

    def _metrics(self) -> tuple[Verdict, str]:
        level = MetricsLevel(self._alignment, self._config, self._source.platform, self._warehouse.platform)
        inquiry = self._inquiry
        findings: list[MetricFinding] = []
        for part in level.parts():
            source_rows, target_rows = inquiry.both(
                "metrics",
                part.source_query(inquiry.source.relation, inquiry.source.where),
                part.target_query(inquiry.target.relation, inquiry.target.where),
            )
            findings += part.findings(source_rows[0], target_rows[0])
        self._findings.metrics = [self._shown_metric(one) for one in waive_metrics(findings, self._config.waivers)]
        verdict, summary = level.summary_of(self._findings.metrics)
        return self._pinned(verdict, summary)

    def _rows(self) -> tuple[Verdict, str]:
        if not self._alignment.compared:
            return Verdict.INCONCLUSIVE, "no column can be compared"
        outcome = RowComparison(
            self._alignment,
            self._inquiry,
            estimated_rows=self._source.platform.estimate_rows(
                self._snapshot.query, self._source_table, self._config.where_clause
            ),
            partition_column=self._partition_column(),
            chunks=self._config.chunk_number,
            hides_keys=self._config.mask_values,
        ).run()
        open_rows = self._note(outcome)
        verdict, summary = self._pinned(*self._rows_verdict(outcome, open_rows))
        skipped = self._alignment.skipped
        if verdict in (Verdict.PASS, Verdict.WAIVED) and skipped:
            reasons = "; ".join(f"{name} ({reason})" for name, reason in skipped.items())
            return Verdict.INCONCLUSIVE, f"{summary}, but not compared: {reasons}"
        return verdict, summary

    def _partition_column(self) -> str | None:
        written = self._config.partition_column
        return Identifier.parse(written).folded(self._source.platform.fold) if written else None

    # -- rows ---------------------------------------------------------------------------------------

    def _note(self, outcome: RowsOutcome) -> int:
        """The outcome as findings: numbered, explained, waived, and no more than the workflow wants.

        Returns:
            How many of all rows that differ no waiver excuses.
        """
        findings, config = self._findings, self._config
        numbered = dict(enumerate(outcome.differences, start=1))
        cells = list(self._cells(numbered))
        rows = [_row_finding(number, difference, self._shown) for number, difference in numbered.items()]
        by_row: dict[int, list[tuple[str, Cause]]] = {}
        for cell in cells:
            by_row.setdefault(cell.row, []).append((cell.column, cell.cause))
        waived, groups = waive_rows(rows, by_row, group(cells), config.waivers)
        most = config.max_failed_rows_number
        # What is not excused comes first: it must not be pushed out by what is.
        kept = sorted(waived, key=lambda row: row.waiver is not None)[:most]
        numbers = {row.row for row in kept}
        findings.rows = kept
        findings.rows_different = len(waived)
        findings.causes = list(groups)
        if config.row_validation_mode == "cell":
            findings.cells = [self._shown_cell(cell) for cell in cells if cell.row in numbers]
        findings.buckets = outcome.differing
        findings.coverage = findings.coverage.model_copy(
            update={
                "source_rows": outcome.source.rows,
                "target_rows": outcome.target.rows,
                "buckets": outcome.buckets,
                "different": len(outcome.differing),
                "located": outcome.located,
                "notes": (*findings.coverage.notes, *outcome.notes),
            }
        )
        return sum(row.waiver is None for row in waived)

    def _cells(self, differences: Mapping[int, RowDifference]) -> Iterator[CellFinding]:
        types = {column.name: column.canonical for column in self._alignment.compared}
        for number, difference in differences.items():
            for cell in difference.cells:
                canonical = types[cell.column]
                cause, detail = classify(cell.source, cell.target, canonical)
                yield CellFinding(
                    row=number,
                    column=cell.column,
                    source=display(cell.source, canonical),
                    target=display(cell.target, canonical),
                    cause=cause,
                    detail=detail,
                )

    def _shown_metric(self, finding: MetricFinding) -> MetricFinding:
        if not self._config.mask_values or finding.metric in EXACT_METRICS:
            return finding
        hidden = {
            name: mask(str(value)) for name in ("source", "target") if (value := getattr(finding, name)) is not None
        }
        return finding.model_copy(update={**hidden, "difference": None, "relative": None})

    def _shown_cell(self, cell: CellFinding) -> CellFinding:
        return cell.model_copy(update={"source": self._shown(cell.source), "target": self._shown(cell.target)})

    def _shown(self, value: str | None) -> str | None:
        return mask(value) if self._config.mask_values else value

    def _rows_verdict(self, outcome: RowsOutcome, open_rows: int) -> tuple[Verdict, str]:
        source, target = outcome.source, outcome.target
        if source == target and not outcome.differing and not outcome.stopped:
            return Verdict.PASS, f"{source.rows:,} rows are the same (fingerprint {source})"
        found = len(outcome.differences)
        told = _differences(self._findings, source.rows, target.rows) or (
            f"{len(outcome.differing):,} of {outcome.buckets:,} buckets differ"
        )
        waives_rows = any(waiver.check == "rows" for waiver in self._config.waivers)
        if open_rows or (outcome.proven and not found and not waives_rows and not outcome.unexplained):
            return Verdict.FAIL, _with_gaps(told, outcome)
        if outcome.stopped or outcome.unexplained:
            return Verdict.INCONCLUSIVE, _with_gaps(told, outcome)
        if found == 0 and outcome.located and not outcome.proven:
            return Verdict.PASS, f"{source.rows:,} rows mean the same; only the text of JSON differs"
        if outcome.located:
            return Verdict.WAIVED, f"all differences are waived: {told}"
        return Verdict.INCONCLUSIVE, _with_gaps(f"all differences looked into are waived: {told}", outcome)

    # -- verdicts -----------------------------------------------------------------------------------

    def _pinned(self, verdict: Verdict, summary: str) -> tuple[Verdict, str]:
        """A verdict that claims no more than was looked at."""
        inquiry = self._inquiry
        loose = [side.name for side in (inquiry.source, inquiry.target) if side.moment is None]
        if loose:
            unpinned = f"the {' and the '.join(loose)} could not be read at one moment"
            if self._config.snapshot == "required":
                return Verdict.INCONCLUSIVE, f"{unpinned}, which the workflow requires: {summary}"
            if verdict is Verdict.FAIL:
                return Verdict.INCONCLUSIVE, f"{unpinned}, so it may have changed meanwhile: {summary}"
        return verdict, summary


def _described(warehouse: Warehouse, target: TableName) -> TargetTable:
    found = warehouse.describe(target)
    if found is None:
        raise WarehouseError(
            f"there is no {target} in the target: check target_name, target_schema, target_database and the mappings"
        )
    return found


def _row_finding(number: int, difference: RowDifference, shown: Callable[[str | None], str | None]) -> RowFinding:
    return RowFinding(
        row=number,
        kind=difference.kind,
        key={name: shown(value) for name, value in difference.key.items()},
        source_rows=difference.source_rows,
        target_rows=difference.target_rows,
        columns=difference.columns,
    )


def _differences(findings: _Findings, source_rows: int, target_rows: int) -> str:
    """The differences in a sentence: how many, and what they have in common."""
    total = findings.rows_different
    parts = [f"{total:,} rows differ"] if total else []
    if source_rows != target_rows:
        parts.append(f"source has {source_rows:,} rows, target {target_rows:,}")
    parts += [str(cause) for cause in findings.causes[:5]]
    return "; ".join(parts)


def _with_gaps(told: str, outcome: RowsOutcome) -> str:
    """The differences, and what is not known of them."""
    parts = [told] if outcome.located else [f"at least {told}" if outcome.differences else told]
    parts += [outcome.stopped] if outcome.stopped else []
    if outcome.unexplained:
        parts.append(
            f"in {outcome.unexplained:,} places fingerprints differ more than the rows do: the tables changed while "
            "they were compared, or a platform's SQL is not exact"
        )
    return "; ".join(part for part in parts if part)


def _told(error: Exception, config: ValidationTable) -> str:
    """An error of a side; without the values that a database puts into its messages, where they are to be hidden."""
    if not config.mask_values:
        return str(error)
    return "a query was refused; its error may hold values, which mask_values hides: run it without to see it"
