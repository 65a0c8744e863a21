"""What the source itself says of a table's rows under the snapshot that is extracted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from migration_assets.planning import PlannedColumn, TablePlan
from migration_assets.platforms.base import SourcePlatform
from migration_assets.platforms.canonical import SPEC, CanonicalType, Fingerprint, canonical_type
from migration_assets.platforms.canonical_sql import CanonicalColumn
from migration_assets.platforms.measures import Measures
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.sources.base import Snapshot, SourceError
from migration_assets.validation.levels.column_metrics import (
    MetricColumn,
    in_parts,
    metrics_query,
    read_metrics,
)
from migration_assets.validation.questions import total_of
from migration_assets.validation.results import Value
from migration_assets.validation.sides import SourceSide

_SEMI_STRUCTURED = ("VARIANT", "OBJECT", "ARRAY")


class SourceFacts(BaseModel):
    """The independent evidence that target and extraction are held against.

    Attributes:
        snapshot: the snapshot that was asked.
        rows: the rows that move, under the user's filter, counted apart from the extraction.
        metrics: metrics by column; None when they were not asked for or could not be had.
        fingerprint: of all rows, as `v1 rows:high:low`; None when it was not asked for or could not be had.
        problem: why they could not be had.
        where: the filter of the rows that are meant.
        unchanged_since: marks of older snapshots since which no row was written. Rows may have been deleted since,
            which the number of rows tells.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: str | None
    rows: int | None
    metrics: dict[str, dict[str, Value]] | None = None
    fingerprint: str | None = None
    problem: str | None = None
    where: str | None = None
    unchanged_since: tuple[str, ...] = ()


@dataclass(frozen=True)
class MovedRows:
    """The rows that move, for which facts are collected.

    Attributes:
        where: their filter.
        fingerprint: of all of them, where it is known already.
        with_metrics: whether their metrics can be taken.
    """

    where: str | None
    fingerprint: Fingerprint | None = None
    with_metrics: bool = True


def collect_source_facts(
    plan: TablePlan, platform: SourcePlatform, snapshot: Snapshot, mark: str, moved: MovedRows
) -> SourceFacts:
    """Asks the source: in one scan the metrics, or just the number of rows, in another one the fingerprint.

    A table of very many columns takes several scans for its metrics. What is known already isn't asked.

    Args:
        mark: stands for the snapshot.
    """
    with_metrics = plan.metrics_check and moved.with_metrics
    measures = platform.measures(snapshot.query)
    columns = source_metric_columns(plan, measures) if with_metrics else []
    relation = plan.source.to_expression(with_database=False)
    known = moved.fingerprint
    rows: Value = known.rows if known else None
    metrics: dict[str, dict[str, Value]] = {}
    if with_metrics or known is None:
        try:
            for part in in_parts(columns):
                statement = metrics_query(relation, part, moved.where, measures).sql(dialect=measures.dialect)
                metrics |= read_metrics(snapshot.query(statement)[0], part)
        except SourceError as error:
            return SourceFacts(snapshot=mark, rows=None, problem=str(error), where=moved.where)
        rows = metrics[""]["row_count"]
    assert isinstance(rows, int)
    facts = SourceFacts(snapshot=mark, rows=rows, metrics=metrics if with_metrics else None, where=moved.where)
    columns_of_both = fingerprinted_columns(plan)
    if known is not None and len(columns_of_both) == len(plan.columns):
        return facts.model_copy(update={"fingerprint": f"{SPEC} {known}"})
    if not plan.fingerprint_check:
        return facts
    try:
        found = source_fingerprint(plan, platform, snapshot, moved.where, columns_of_both)
        return facts.model_copy(update={"fingerprint": found})
    except SourceError as error:
        return facts.model_copy(update={"problem": str(error)})


def source_metric_columns(plan: TablePlan, measures: Measures) -> list[MetricColumn]:
    """The columns as the source computes them."""
    return [
        MetricColumn(
            column.target_name,
            column.type,
            measures.measurable(column.expression, column.type, column.source.base_type),
        )
        for column in plan.columns
    ]


def fingerprinted_columns(plan: TablePlan) -> tuple[PlannedColumn, ...]:
    """The columns that a fingerprint covers: all but JSON that the target writes in a form of its own."""
    return tuple(
        column
        for column in plan.columns
        if not (column.type.kind is Kind.JSON and column.target_type.partition("(")[0] in _SEMI_STRUCTURED)
    )


def source_fingerprint(
    plan: TablePlan,
    platform: SourcePlatform,
    snapshot: Snapshot,
    where: str | None,
    columns: Sequence[PlannedColumn],
) -> str:
    """The fingerprint of some rows of a plan's source, by the source itself: `v1 rows:high:low`.

    It doesn't depend on the target: every column is taken as the type that travels.

    Raises:
        SourceError: the source refused.
    """
    side = SourceSide(snapshot, platform.canonical_sql(snapshot.query), plan.source, where)
    rows = side.answer(total_of(side, canonical_columns(columns, platform)))
    return f"{SPEC} {sum(map(Fingerprint.of, rows), Fingerprint.ZERO)}"


def canonical_columns(columns: Iterable[PlannedColumn], platform: SourcePlatform) -> list[CanonicalColumn]:
    """Planned columns as the source computes their canonical texts: each as the type that travels."""
    return [
        CanonicalColumn(
            column.target_name,
            platform.unchecked(column.source, column.type, column.expression),
            column.type,
            own_canonical_type(column.type),
            nullable=column.source.nullable,
            native=column.source.base_type,
            native_arguments=column.source.type_arguments,
        )
        for column in columns
    ]


def own_canonical_type(column_type: ColumnType) -> CanonicalType:
    """What a column is compared as with one of the same type."""
    found = canonical_type(column_type, column_type)
    assert found is not None
    return found
