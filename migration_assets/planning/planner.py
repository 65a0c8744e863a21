"""Plans one table: what it is in the source, what it becomes in the target, how it is divided."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

from migration_assets.planning.columns import plan_columns, resolve_columns
from migration_assets.planning.model import (
    ExistingTarget,
    PlanError,
    PlannedColumn,
    PlannedPartition,
    TablePlan,
)
from migration_assets.planning.sizing import PartitionSizeError, filtered_bytes, partition_count
from migration_assets.platforms.base import (
    Partitioning,
    PlatformError,
    QueryRunner,
    SourcePlatform,
    SourceTable,
    TableName,
    TargetPlatform,
)
from migration_assets.workflow import Identifier, TableConfiguration, ValidationTable, Workflow

_NOT_IN_A_SLUG = re.compile(r"[^A-Za-z0-9_]+")


def table_slugs(tables: Sequence[TableConfiguration | ValidationTable]) -> list[str]:
    """A short name for each table of a workflow, for asset keys, paths and the ledger.

    It is the source table's name where that is unique and plain, otherwise as much of the whole name as
    tells the tables apart. The same file always gives the same names.
    """
    short = [_slug(table.source.table_name) for table in tables]
    names = []
    for table, name in zip(tables, short, strict=True):
        if [other.lower() for other in short].count(name.lower()) > 1:
            source, target = table.source, table.target
            whole = (
                source.database_name,
                source.schema_name,
                source.table_name,
                target.database_name,
                target.schema_name,
                target.table_name,
            )
            digest = hashlib.sha256("\0".join(whole).encode()).hexdigest()[:6]
            name = f"{_slug(source.schema_name)}_{name}_{digest}"
        names.append(name)
    return names


def plan_table(
    workflow: Workflow,
    config: TableConfiguration,
    slug: str,
    *,
    source: SourcePlatform,
    run: QueryRunner,
    target: TargetPlatform,
    target_name: Callable[[str, str, str], TableName],
    existing: Callable[[TableName], ExistingTarget | None],
) -> TablePlan:
    """Plans one table. Reads catalogues and statistics; moves nothing.

    Args:
        run: queries the source database of the table.
        target_name: the exact name of a target table from its folded database, schema and table.
        existing: looks the target up as it is now.

    Raises:
        PlanError: the table can't be moved as the workflow says; every reason at once.
    """
    problems: list[str] = []
    where = config.where_clause_criteria
    name = _source_name(config, source)
    try:
        table = source.describe(run, name)
        columns, problems = plan_columns(run, config, table, source, target)
        primary_key = resolve_columns(config.primary_key_columns, table, source, "primaryKeyColumns", problems)
        keys = resolve_columns(config.column_names_to_partition_by, table, source, "columnNamesToPartitionBy", problems)
        goal = _target_name(config, target, target_name)
        problems += _target_problems(config, goal, columns, existing(goal), target)
        if problems:
            raise PlanError(workflow.name, slug, problems)
        rows = source.estimate_rows(run, table, where)
        size = filtered_bytes(table, rows)
        partitioning = _divide(config, source, run, table, keys, rows, size)
    except (PlatformError, PartitionSizeError) as error:
        raise PlanError(workflow.name, slug, [*problems, str(error)]) from error
    return TablePlan(
        workflow=workflow.name,
        table=slug,
        source_platform=source.name,
        source=table.name,
        source_kind=table.kind,
        target=goal,
        columns=columns,
        partitions=tuple(
            PlannedPartition(
                key=partition_key(number),
                predicate=partition.predicate,
                description=partition.description,
                rows=partition.rows,
            )
            for number, partition in enumerate(partitioning.partitions, start=1)
        ),
        method=partitioning.method,
        physical=partitioning.physical,
        where=where,
        primary_key=primary_key or table.primary_key,
        estimated_rows=rows,
        estimated_bytes=size,
        consistency=config.consistency,
        metrics_check=config.metrics_check,
        fingerprint_check=config.fingerprint_check,
        replace_existing=config.replace_existing,
        notes=partitioning.notes,
        config_hash=config.config_hash(workflow.source_platform),
    )


def partition_key(number: int) -> str:
    """The key of the partition at a place (from 1) in the plan."""
    return f"{number:04d}"


def _divide(
    config: TableConfiguration,
    source: SourcePlatform,
    run: QueryRunner,
    table: SourceTable,
    keys: Sequence[str],
    rows: int,
    size: int,
) -> Partitioning:
    wanted = config.partition_size
    count = partition_count(wanted, rows, size)
    max_rows = wanted.max_rows_per_partition
    where = config.where_clause_criteria
    # Without columns of the user's: blocks where the table has them, else its own key.
    columns = keys or (() if table.blocks else table.primary_key)
    if columns:
        return source.partition_by_key(run, table, columns, where, count, max_rows)
    return source.partition_by_location(run, table, where, count, max_rows)


def _source_name(config: TableConfiguration, source: SourcePlatform) -> TableName:
    parts = (config.source.database_name, config.source.schema_name, config.source.table_name)
    return TableName(*(Identifier.parse(part).folded(source.fold) for part in parts))


def _target_name(
    config: TableConfiguration,
    target: TargetPlatform,
    target_name: Callable[[str, str, str], TableName],
) -> TableName:
    parts = (config.target.database_name, config.target.schema_name, config.target.table_name)
    return target_name(*(Identifier.parse(part).folded(target.fold) for part in parts))


def _target_problems(
    config: TableConfiguration,
    name: TableName,
    columns: Sequence[PlannedColumn],
    existing: ExistingTarget | None,
    target: TargetPlatform,
) -> list[str]:
    """Why an existing target can't or mustn't be replaced by this table."""
    if existing is None:
        return []
    if existing.is_view:
        return [f"the target {name} is a view: name another target table, or drop the view"]
    if existing.rows and not existing.made_here and not config.replace_existing:
        return [
            f"the target {name} holds {existing.rows:,} rows that this program did not put there: "
            'set "replaceExisting": true in the table to replace them, or name another target'
        ]
    missing = [
        column.target_name
        for column in columns
        if not any(target.same_name(column.target_name, other.name) for other in existing.columns)
    ]
    extra = [
        other.name
        for other in existing.columns
        if not other.nullable
        and not other.has_default
        and not any(target.same_name(column.target_name, other.name) for column in columns)
    ]
    problems = []
    if missing:
        problems.append(
            f"the target {name} exists and has no column {', '.join(missing)}: add it there, drop the target to "
            "have it made anew, or name an existing column with columnNameMappings"
        )
    if extra:
        problems.append(
            f"the target {name} exists and its column {', '.join(extra)} must not be NULL, but the source "
            "has nothing for it: make it nullable, or give it a default"
        )
    return problems


def _slug(name: str) -> str:
    """A name of letters, digits and underscores; a part of a hash stands for what was left out."""
    text = Identifier.parse(name).text
    slug = _NOT_IN_A_SLUG.sub("_", text)
    if slug == text:
        return slug
    return f"{slug.strip('_')}_{hashlib.sha256(text.encode()).hexdigest()[:6]}".lstrip("_")
