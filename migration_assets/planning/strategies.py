"""What of a table has to move this time: all of it, or what has changed since the last run."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from sqlglot import exp

from migration_assets.planning.columns import resolve_columns
from migration_assets.planning.drift import Drift
from migration_assets.planning.model import (
    Baseline,
    ExistingTarget,
    PlannedColumn,
    SynchronizationPlan,
    TablePlan,
    WatermarkPlan,
)
from migration_assets.platforms.base import QueryRunner, SourcePlatform, SourceTable
from migration_assets.workflow import TableConfiguration, Workflow


def full_load_reason(
    wanted: SynchronizationPlan, baseline: Baseline | None, found: ExistingTarget | None
) -> str | None:
    """Why all rows have to move; None when what the target holds can be continued."""
    if wanted.strategy == "none":
        return "strategy none moves all rows"
    if baseline is None or found is None:
        return "the first load"
    if baseline.plan.synchronization.content_hash != wanted.content_hash:
        return (
            f"the strategy, key, filter, columns or mappings have changed since generation {baseline.generation}, so "
            "what the target holds can't be continued"
        )
    if found.token != baseline.plan.target_token:
        return f"the target is not the one that generation {baseline.generation} has left"
    return None


def wanted_synchronization(
    workflow: Workflow,
    config: TableConfiguration,
    table: SourceTable,
    source: SourcePlatform,
    problems: list[str],
) -> SynchronizationPlan:
    """The table's synchronization with its names resolved; the mode is decided later."""
    asked = config.synchronization
    watermark = None
    key: tuple[str, ...] = ()
    if asked.strategy == "watermark":
        assert asked.watermark_column is not None
        key = resolve_columns(config.primary_key_columns, table, source, "primaryKeyColumns", problems)
        found = resolve_columns([asked.watermark_column], table, source, "watermarkColumn", problems)
        if not problems:
            window = asked.lookback_window
            if problem := source.watermark_problem(table.column(found[0]), window):
                problems.append(f"synchronization.watermarkColumn: {problem}")
            is_duration = isinstance(window, timedelta)
            watermark = WatermarkPlan(
                column=found[0],
                lookback=Decimal(str(window.total_seconds())) if isinstance(window, timedelta) else window,
                lookback_unit="seconds" if is_duration else "count",
            )
    else:
        resolve_columns(config.primary_key_columns, table, source, "primaryKeyColumns", problems)
    return SynchronizationPlan(
        strategy=asked.strategy,
        content_hash=config.content_hash(workflow.source_platform),
        key=key,
        watermark=watermark,
        track_modifications=asked.track_modifications,
        track_deletions=asked.track_deletions,
        deletion_limit=asked.deletion_limit,
    )


def changed_key_reason(drift: Drift, baseline: Baseline) -> str | None:
    """Why ranges of a key that has changed have to be made anew; None when it hasn't."""
    changed = {now.name for _, now in drift.changed} | {column.source.name for column in drift.gone}
    found = [name for name in baseline.plan.synchronization.key if name in changed]
    return f"the table was divided by {', '.join(found)}, which has changed" if found else None


def unchanged_columns(plan: TablePlan, drift: Drift) -> dict[str, PlannedColumn]:
    """The columns that stay as they were planned, by their names in the source."""
    changed = {now.name for _, now in drift.changed} | {column.source.name for column in drift.gone}
    return {column.source.name: column for column in plan.columns if column.source.name not in changed}


def added_values_reason(
    drift: Drift,
    wanted: SynchronizationPlan,
    baseline: Baseline,
    source: SourcePlatform,
    run: QueryRunner,
    table: SourceTable,
    where: str | None,
) -> str | None:
    """Why new columns make a full load necessary: rows that wouldn't move have values in them. None when none has."""
    added = [column.name for column in drift.added]
    if not added:
        return None
    told = f"the source has the new columns {', '.join(added)}"
    if wanted.watermark is None or baseline.watermark is None:
        return told
    mark = table.column(wanted.watermark.column)
    quoted = {
        name: exp.column(exp.to_identifier(name, quoted=True)).sql(source.dialect) for name in (*added, mark.name)
    }
    settled = f"NOT ({source.after(mark, baseline.watermark)})"
    if mark.nullable:
        settled = f"({settled} OR {quoted[mark.name]} IS NULL)"
    has_values = " OR ".join(f"{quoted[name]} IS NOT NULL" for name in added)
    found = run(source.count_query(table.name, f"({has_values}) AND {settled}", where))[0]["rows"]
    return f"{told}, with values in rows that were moved before" if int(str(found)) else None
