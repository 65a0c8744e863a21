"""What the source itself says of a table's rows under the snapshot that is extracted."""

from __future__ import annotations

import sqlglot
from pydantic import BaseModel, ConfigDict
from sqlglot import exp

from migration_assets.planning import PlannedColumn, TablePlan
from migration_assets.platforms.base import SourcePlatform
from migration_assets.platforms.types import Kind
from migration_assets.resources.sources.base import Snapshot, SourceError
from migration_assets.validation.metrics import MetricColumn, Value, metrics_query, read_metrics


class SourceFacts(BaseModel):
    """The independent evidence that target and extraction are held against.

    Attributes:
        snapshot: the snapshot that was asked.
        rows: the rows of the whole table under the user's filter, counted apart from the extraction.
        metrics: metrics by column; None when they were not asked for or could not be had.
        problem: why they could not be had.
        unchanged_since: marks of older snapshots since which no row was written. Rows may have been deleted since,
            which the number of rows tells.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: str | None
    rows: int | None
    metrics: dict[str, dict[str, Value]] | None = None
    problem: str | None = None
    unchanged_since: tuple[str, ...] = ()


def collect_source_facts(plan: TablePlan, platform: SourcePlatform, snapshot: Snapshot, mark: str) -> SourceFacts:
    """Asks the source in one scan: all metrics, or just the number of rows. `mark` stands for the snapshot."""
    columns = source_metric_columns(plan, platform) if plan.metrics_check else []
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


def source_metric_columns(plan: TablePlan, platform: SourcePlatform) -> list[MetricColumn]:
    """The columns as the source computes them."""
    return [
        MetricColumn(column.target_name, column.type, _measurable(column, platform.dialect)) for column in plan.columns
    ]


_TEXT_TYPES = ("text", "character varying", "varchar", "bpchar", "char", "nvarchar", "nchar")
_PADDED_TYPES = ("bpchar",)
_INTEGER_TYPES = ("tinyint", "smallint", "integer", "int", "bigint")


def _measurable(column: PlannedColumn, dialect: str) -> str:
    """SQL of the staged value in a type that has lengths and sums.

    What is staged is a value's text: an enum, an address or a number under a check of its digits has the text
    that is wanted, but not yet the type.
    """
    value = sqlglot.parse_one(column.expression, dialect=dialect)
    # CONCAT writes a value as it is extracted, where a cast may add to it (PostgreSQL: the mask of an inet).
    as_text = exp.Concat(expressions=[value.copy(), exp.Literal.string("")], safe=True, coalesce=True)
    base_type, kind = column.source.base_type, column.type.kind
    if kind is Kind.TEXT and base_type in _PADDED_TYPES and isinstance(value, exp.Cast):
        # The length of a padded value is that without its padding; the cast would cost five times as much.
        value = value.this
    elif kind is Kind.TEXT and base_type not in _TEXT_TYPES:
        value = exp.Case().when(value.is_(exp.null()).not_(), as_text)
    elif kind is Kind.INTEGER and isinstance(value, exp.Column) and base_type not in _INTEGER_TYPES:
        value = exp.Case().when(value.is_(exp.null()).not_(), exp.cast(as_text, exp.DataType.Type.BIGINT))
    elif kind is Kind.DECIMAL and not isinstance(value, exp.Column):
        exact = exp.DataType.build(f"DECIMAL({column.type.precision}, {column.type.scale})")
        value = exp.cast(value, exact)
    return value.sql(dialect=dialect)
