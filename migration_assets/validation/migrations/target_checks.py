"""The checks of a moved table: schema, row counts at every hop, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from migration_assets.planning import TablePlan
from migration_assets.platforms.base import PlatformError, TableName, TargetColumn, TargetPlatform, split_type
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.stages.base import Manifest
from migration_assets.resources.warehouses.base import Warehouse, WarehouseError
from migration_assets.validation.levels.column_metrics import (
    MetricColumn,
    compare_metrics,
    in_parts,
    metrics_query,
    read_metrics,
)
from migration_assets.validation.migrations.source_facts import SourceFacts
from migration_assets.validation.results import Value, Verdict


@dataclass(frozen=True)
class CheckResult:
    """A verdict, the sentence that explains it, and the figures behind it."""

    verdict: Verdict
    summary: str
    figures: Mapping[str, Value] = field(default_factory=dict)


def check_schema(
    plan: TablePlan, actual: Sequence[TargetColumn], platform: TargetPlatform, *, types_are_ours: bool
) -> CheckResult:
    """Every planned column is in the target, under its name and with a type that is the planned one.

    Args:
        types_are_ours: whether the table has the planned types. One that was there before keeps its own, and
            that the rows were loaded into them is the proof that they fit.
    """
    problems = []
    for column in plan.columns:
        found = platform.find_column(column.target_name, actual)
        if found is None:
            problems.append(f"{column.target_name} is missing")
        elif types_are_ours and not _same_type(platform, found.type, column.target_type):
            problems.append(f"{column.target_name} is {found.type} and should be {column.target_type}")
    figures: dict[str, Value] = {"columns": len(plan.columns), "columns_in_target": len(actual)}
    if problems:
        return CheckResult(Verdict.FAIL, "; ".join(problems), figures)
    return CheckResult(Verdict.PASS, f"{len(plan.columns)} columns as planned", figures)


def check_row_counts(
    manifests: Sequence[Manifest],
    loaded: int | None,
    target: int,
    facts: SourceFacts | None,
    *,
    planned: int = 0,
) -> CheckResult:
    """Source, manifests, COPY and target hold the same number of rows.

    The source's own count is taken apart from the extraction, so it also proves that the partitions cover
    the table. Where partitions were read under several snapshots of a source that moved on, a count that differs
    refutes nothing: a row may have gone or come in between.

    Args:
        loaded: rows that COPY reports; None when its history went with a load table that was published before.
        planned: rows that the statistics had the planner expect.
    """
    sent = sum(manifest.source_rows for manifest in manifests)
    staged = sum(manifest.rows for manifest in manifests)
    counted = facts.rows if facts else None
    figures: dict[str, Value] = {
        "source": counted,
        "sent_by_source": sent,
        "manifests": staged,
        "copied": loaded,
        "target": target,
    }
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
    if not sent == staged == (target if loaded is None else loaded) == target:
        return CheckResult(Verdict.FAIL, f"row counts differ: {told}", figures)
    if counted is None:
        if target == 0 and planned > 0:
            return CheckResult(Verdict.FAIL, f"about {planned:,} rows were planned, and none arrived", figures)
        why = facts.problem if facts and facts.problem else "the source was not asked"
        return CheckResult(Verdict.INCONCLUSIVE, f"no count from the source: {why}", figures)
    mixed = mixed_snapshots(manifests, facts)
    if counted == target:
        summary = f"{target:,} rows in source, manifests, COPY and target"
        return CheckResult(Verdict.PASS, with_snapshots(summary, mixed), figures)
    if mixed:
        return CheckResult(Verdict.INCONCLUSIVE, f"row counts differ: {told} ({mixed_reason(mixed)})", figures)
    return CheckResult(Verdict.FAIL, f"row counts differ: {told}", figures)


def mixed_snapshots(manifests: Sequence[Manifest], facts: SourceFacts | None) -> int:
    """The number of states that the source's figures and the partitions may speak of; 0 when it is one."""
    proven = {facts.snapshot, *facts.unchanged_since} if facts else set()
    # A partition with a checksum is the same under every snapshot that gives it, if it was read under one that did.
    snapshots = {manifest.snapshot for manifest in manifests if manifest.checksum is None or manifest.has_own_state}
    return 0 if snapshots <= proven else len(snapshots | proven)


def mixed_reason(snapshots: int) -> str:
    """Why a difference between figures of several states refutes nothing, and the cure."""
    return (
        f"the source was read under {snapshots} snapshots, and rows may have changed between them; "
        '"consistency": "strict" reads all partitions under one'
    )


def with_snapshots(summary: str, snapshots: int) -> str:
    """What a check that passed says, where the figures that agree are of several states."""
    return f"{summary}, read under {snapshots} snapshots" if snapshots else summary


def check_metrics(
    plan: TablePlan,
    manifests: Sequence[Manifest],
    target: Mapping[str, Mapping[str, Value]] | None,
    facts: SourceFacts | None,
    problem: str | None = None,
) -> CheckResult:
    """Counts, NULLs, smallest, largest and sums of every column agree."""
    if target is None or facts is None or facts.metrics is None:
        why = problem or (facts.problem if facts else None) or "the source was not asked"
        return CheckResult(Verdict.INCONCLUSIVE, f"no metrics: {why}")
    types: dict[str, ColumnType] = {column.target_name: column.type for column in plan.columns}
    differences = compare_metrics(facts.metrics, target, types)
    compared = sum(len(metrics) for metrics in facts.metrics.values())
    figures: dict[str, Value] = {"compared": compared, "different": len(differences)}
    mixed = mixed_snapshots(manifests, facts)
    if not differences:
        summary = f"{compared} metrics of {len(types)} columns agree"
        return CheckResult(Verdict.PASS, with_snapshots(summary, mixed), figures)
    told = "; ".join(
        f"{difference.metric} of {difference.column or 'the table'}: source {difference.source}, "
        f"target {difference.target}"
        for difference in differences[:20]
    )
    if mixed:
        return CheckResult(Verdict.INCONCLUSIVE, f"{told} ({mixed_reason(mixed)})", figures)
    return CheckResult(Verdict.FAIL, told, figures)


def check_target_metrics(
    plan: TablePlan, manifests: Sequence[Manifest], facts: SourceFacts | None, warehouse: Warehouse, table: TableName
) -> CheckResult:
    """Takes the metrics of the target, or of the load table, and compares them."""
    if not plan.metrics_check:
        return CheckResult(Verdict.INCONCLUSIVE, "switched off by metricsCheck")
    platform = warehouse.platform
    measured: dict[str, dict[str, Value]] = {}
    try:
        for part in in_parts(target_metric_columns(plan, platform)):
            query = metrics_query(table.to_expression(), part, None, platform.measures)
            measured |= read_metrics(warehouse.query(query, table.database)[0], part)
    except WarehouseError as error:
        return check_metrics(plan, manifests, None, facts, str(error))
    return check_metrics(plan, manifests, measured, facts)


def target_metric_columns(plan: TablePlan, platform: TargetPlatform) -> list[MetricColumn]:
    """The columns as the target computes them."""
    return [
        MetricColumn(
            column.target_name,
            column.type,
            exp.column(exp.to_identifier(column.target_name, quoted=True)).sql(dialect=platform.dialect),
        )
        for column in plan.columns
    ]


_TIMES = (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)


def _same_type(platform: TargetPlatform, found: str, planned: str) -> bool:
    if found == planned:
        return True
    try:
        one, other = platform.parse_type(found), platform.parse_type(planned)
    except PlatformError:
        return False
    # A time that is written without digits has as many as the target gives it.
    return one == other or (one.kind is other.kind and one.kind in _TIMES and not split_type(planned)[1])
