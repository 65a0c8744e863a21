"""Plans one table: what it is in the source, what it becomes in the target, how it is divided."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from migration_assets.planning.columns import plan_columns, resolve_columns
from migration_assets.planning.division import Divider
from migration_assets.planning.drift import Drift, SettledDrift, settle
from migration_assets.planning.model import (
    Baseline,
    ExistingTarget,
    PlanError,
    PlannedColumn,
    TablePlan,
    continued,
)
from migration_assets.planning.sizing import PartitionSizeError, filtered_bytes
from migration_assets.planning.strategies import (
    added_values_reason,
    changed_key_reason,
    full_load_reason,
    unchanged_columns,
    wanted_synchronization,
)
from migration_assets.platforms.base import (
    BulkChoice,
    PlatformError,
    QueryRunner,
    SourcePlatform,
    TableName,
    TargetColumn,
    TargetPlatform,
)
from migration_assets.platforms.types import ColumnType
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


class ChooseBulkUtility(Protocol):
    """`Source.choose_bulk_utility`."""

    def __call__(self, asked: str | None, table_bytes: int, *, strict: bool) -> BulkChoice | None:
        """The utility that reads a table."""


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
    bulk_utility: ChooseBulkUtility | None = None,
    baseline: Baseline | None = None,
) -> TablePlan:
    """Plans one table. Reads catalogues and statistics; moves nothing.

    Args:
        run: queries the source database of the table.
        target_name: the exact name of a target table from its folded database, schema and table.
        existing: looks the target up as it is now.
        bulk_utility: chooses the program that reads the rows, by the workflow's wish, the size and the consistency;
            None where the source has no such programs.
        baseline: the last generation that was published, if any.

    Raises:
        PlanError: the table can't be moved as the workflow says; every reason at once.
    """
    problems: list[str] = []
    where = config.where_clause_criteria
    name = _source_name(config, source)
    try:
        table = source.describe(run, name)
        goal = _target_name(config, target, target_name)
        found = existing(goal)
        if found is None or not found.made_here:
            # What was moved before is not there any more: nothing to continue, and nothing to lose.
            baseline = None
        wanted = wanted_synchronization(workflow, config, table, source, problems)
        full = full_load_reason(wanted, baseline, found)
        drift = Drift.between(baseline.plan, table) if baseline else Drift()
        if baseline and not full and wanted.strategy == "checksum":
            full = changed_key_reason(drift, baseline)
        known = {} if full or baseline is None else unchanged_columns(baseline.plan, drift)
        columns, column_problems = plan_columns(run, config, table, source, target, known)
        problems += column_problems
        # A table that is started over gets what the source has today.
        evolve = config.schema_drift == "evolve" or (baseline is None and found is not None and found.made_here)
        if baseline and evolve and not full:
            full = added_values_reason(drift, wanted, baseline, source, run, table, where)
        settled = SettledDrift(columns)
        present = found.columns if found else ()
        if baseline and drift:
            replaces = full is not None or wanted.strategy == "checksum"
            settled = settle(
                drift,
                config.schema_drift,
                columns,
                source,
                since=baseline.generation,
                loses=lambda name: (
                    replaces and not config.replace_existing and target.find_column(name, present) is not None
                ),
            )
            problems += settled.problems
        keys = resolve_columns(config.column_names_to_partition_by, table, source, "columnNamesToPartitionBy", problems)
        orphaned = _orphaned(baseline, drift, settled.columns, present, target)
        if orphaned and full and not config.replace_existing and not drift.gone:
            problems.append(
                f"the target's rows would be replaced ({full}), and it would lose what it has in "
                f"{', '.join(orphaned)}, which the source has no more: set replaceExisting to true to let it go, or "
                "drop these columns there"
            )
        # Of a drift that is refused, a column that the target lacks is no news.
        may_lack = evolve or bool(settled.problems)
        problems += _target_problems(config, goal, settled.columns, found, target, may_lack=may_lack)
        if problems:
            raise PlanError(workflow.name, slug, problems)
        synchronization = (
            continued(wanted, baseline)
            if baseline and not full
            else wanted.model_copy(update={"mode": "replace", "reason": full or ""})
        )
        row_key = resolve_columns(config.primary_key_columns, table, source, "primaryKeyColumns", [])
        ordered = _ordering_types(present, target)
        rows = source.estimate_rows(run, table, where)
        size = filtered_bytes(table, rows)
        divider = Divider(config, source, run, table, settled.columns, keys, row_key, rows, size, ordered)
        division = divider.divide(synchronization, baseline)
        strict = config.consistency == "strict"
        bulk = bulk_utility(config.extraction.bulk_utility, size, strict=strict) if bulk_utility else None
        notes = division.notes + ((bulk.note,) if bulk else source.consistency(run, table, strict=strict))
    except (PlatformError, PartitionSizeError) as error:
        raise PlanError(workflow.name, slug, [*problems, str(error)]) from error
    if found is not None and synchronization.is_full and found.rows > 1.1 * rows:
        notes += (f"the target holds {found.rows:,} rows, more than the about {rows:,} that replace them",)
    return TablePlan(
        workflow=workflow.name,
        table=slug,
        source_platform=source.name,
        source=table.name,
        source_kind=table.kind,
        target=goal,
        columns=settled.columns,
        partitions=division.partitions,
        method=division.method,
        physical=division.physical,
        where=where,
        primary_key=row_key or table.primary_key,
        estimated_rows=rows if synchronization.is_full else sum(one.rows for one in division.partitions),
        estimated_bytes=size,
        consistency=config.consistency,
        bulk_utility=bulk.name if bulk else None,
        metrics_check=config.metrics_check,
        fingerprint_check=config.fingerprint_check,
        replace_existing=config.replace_existing,
        synchronization=synchronization.model_copy(update={"key": division.key or synchronization.key}),
        orphaned=() if synchronization.is_full else orphaned,
        left_out=tuple(sorted({column.name for column in table.columns} - {c.source.name for c in settled.columns})),
        drift=settled.told,
        evolve=evolve,
        staged_generations=config.staged_generations,
        notes=notes,
        config_hash=config.config_hash(workflow.source_platform),
    )


def _orphaned(
    baseline: Baseline | None,
    drift: Drift,
    columns: Sequence[PlannedColumn],
    present: Sequence[TargetColumn],
    target: TargetPlatform,
) -> tuple[str, ...]:
    """Columns of the target that were moved once and aren't any more."""
    if baseline is None:
        return ()
    names = [*baseline.plan.orphaned, *(column.target_name for column in drift.gone)]
    return tuple(
        name
        for name in dict.fromkeys(names)
        if target.find_column(name, present) and not any(target.same_name(name, c.target_name) for c in columns)
    )


def _ordering_types(
    present: Sequence[TargetColumn], target: TargetPlatform
) -> Callable[[PlannedColumn], ColumnType | None]:
    """The type by which the target will order a column's values; None where that can't be said."""

    def of(planned: PlannedColumn) -> ColumnType | None:
        column = target.find_column(planned.target_name, present)
        try:
            return target.parse_type(column.type if column else planned.target_type)
        except PlatformError:
            return None

    return of


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
    *,
    may_lack: bool,
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
        column.target_name for column in columns if target.find_column(column.target_name, existing.columns) is None
    ]
    extra = [
        other.name
        for other in existing.columns
        if not other.nullable
        and not other.has_default
        and not any(target.same_name(column.target_name, other.name) for column in columns)
    ]
    problems = []
    if missing and not may_lack:
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
