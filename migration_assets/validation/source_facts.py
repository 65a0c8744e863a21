"""What the source itself says of a table's rows under the snapshot that is extracted."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from migration_assets.planning import TablePlan
from migration_assets.platforms.base import SourcePlatform
from migration_assets.resources.sources.base import Snapshot, SourceError
from migration_assets.validation.metrics import MetricColumn, Value, metrics_query, read_metrics


class SourceFacts(BaseModel):
    """The independent evidence that target and extraction are held against.

    Attributes:
        snapshot: the snapshot that was asked.
        rows: the rows of the whole table under the user's filter, counted apart from the extraction.
        metrics: metrics by column; None when they were not asked for or could not be had.
        problem: why they could not be had.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: str | None
    rows: int | None
    metrics: dict[str, dict[str, Value]] | None = None
    problem: str | None = None


def collect_source_facts(plan: TablePlan, platform: SourcePlatform, snapshot: Snapshot, mark: str) -> SourceFacts:
    """Asks the source in one scan: all metrics, or just the number of rows. `mark` stands for the snapshot."""
    columns = source_metric_columns(plan) if plan.metrics_check else []
    statement = metrics_query(
        plan.source.to_expression(with_database=False), columns, plan.where, platform.dialect
    ).sql(dialect=platform.dialect)
    try:
        metrics = read_metrics(snapshot.query(statement)[0], columns)
    except SourceError as error:
        return SourceFacts(snapshot=mark, rows=None, problem=str(error))
    rows = metrics[""]["row_count"]
    assert isinstance(rows, int)
    return SourceFacts(snapshot=mark, rows=rows, metrics=metrics if plan.metrics_check else None)


def source_metric_columns(plan: TablePlan) -> list[MetricColumn]:
    """The columns as the source computes them."""
    return [MetricColumn(column.target_name, column.type, column.expression) for column in plan.columns]
