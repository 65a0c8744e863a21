"""The fingerprint of a migrated table: asked of the source under the extracted snapshot, and of the load table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from sqlglot import exp

from migration_assets.planning import TablePlan
from migration_assets.platforms.base import PlatformError, TargetColumn, TargetPlatform
from migration_assets.platforms.canonical import SPEC, Fingerprint, canonical_type
from migration_assets.resources.sources.base import Snapshot, Source
from migration_assets.resources.stages.base import Manifest
from migration_assets.resources.warehouses.base import TargetTable
from migration_assets.validation.alignment import Alignment, ColumnPair, ComparedColumn
from migration_assets.validation.levels.rows import RowComparison
from migration_assets.validation.migrations.source_facts import (
    SourceFacts,
    fingerprinted_columns,
    own_canonical_type,
    source_fingerprint,
)
from migration_assets.validation.migrations.target_checks import CheckResult, mixed_reason, mixed_snapshots
from migration_assets.validation.results import Value, Verdict
from migration_assets.validation.sides import BudgetExceededError, Inquiry, SourceSide, TargetSide

SHOWN_DIFFERENCES = 5


def check_fingerprint(
    plan: TablePlan,
    manifests: Sequence[Manifest],
    target: TargetTable,
    facts: SourceFacts | None,
    side: TargetSide,
) -> CheckResult:
    """The rows of source and target are the same, by their fingerprints.

    Raises:
        WarehouseError: the target refused.
    """
    if facts is None or facts.fingerprint is None:
        why = (facts.problem if facts else None) or "the source was not asked"
        return CheckResult(Verdict.INCONCLUSIVE, f"no fingerprint: {why}")
    alignment = align_plan(plan, target.columns, side.platform)
    covered = {column.target_name for column in fingerprinted_columns(plan)}
    left_out = [column.target_name for column in plan.columns if column.target_name not in covered]
    if alignment.skipped:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in alignment.skipped.items())
        return CheckResult(Verdict.INCONCLUSIVE, f"not compared: {reasons}")
    statement = side.sql.total_query(side.relation, [column.of_target for column in alignment.compared], side.where)
    (row,) = side.ask(statement).rows
    found = f"{SPEC} {Fingerprint.of(row)}"
    figures: dict[str, Value] = {"source": facts.fingerprint, "target": found, "columns": len(covered)}
    if found != facts.fingerprint:
        if mixed := mixed_snapshots(manifests, facts):
            return CheckResult(Verdict.INCONCLUSIVE, f"the fingerprints differ: {mixed_reason(mixed)}", figures)
        return CheckResult(Verdict.FAIL, f"source {facts.fingerprint}, target {found}", figures)
    if left_out:
        return CheckResult(
            Verdict.INCONCLUSIVE,
            f"all other columns are the same, but the target writes JSON in a form of its own: {', '.join(left_out)}",
            figures,
        )
    return CheckResult(Verdict.PASS, f"{len(covered)} columns of all rows are the same: {found}", figures)


def is_proof(figures: Mapping[str, object]) -> bool:
    """Whether by the check's figures both sides hold the same rows."""
    return figures.get("source") is not None and figures.get("source") == figures.get("target")


def explain_difference(
    plan: TablePlan, target: TargetTable, facts: SourceFacts, source: Source, snapshot: Snapshot, side: TargetSide
) -> str:
    """Which rows of the source, as it is now, and of the target differ, in a sentence.

    Raises:
        SourceError, WarehouseError: a side refused.
    """
    if (
        source_fingerprint(plan, source.platform, snapshot, facts.where, fingerprinted_columns(plan))
        != facts.fingerprint
    ):
        return "the source has changed since, so the rows can't be told"
    alignment = align_plan(plan, target.columns, side.platform)
    of_source = SourceSide(snapshot, source.platform.canonical_sql(snapshot.query), plan.source, facts.where)
    try:
        with closing(Inquiry(of_source, side)) as inquiry:
            outcome = RowComparison(alignment, inquiry, estimated_rows=plan.estimated_rows).run()
    except BudgetExceededError as error:
        return str(error)
    shown = [
        f"{difference.kind.value} {', '.join(f'{name} {value}' for name, value in difference.key.items())}"
        + (f" in {', '.join(difference.columns)}" if difference.columns else "")
        for difference in outcome.differences[:SHOWN_DIFFERENCES]
    ]
    return f"{len(outcome.differences):,} rows differ: " + "; ".join(shown)


def align_plan(plan: TablePlan, columns: Sequence[TargetColumn], platform: TargetPlatform) -> Alignment:
    """The planned columns, held against the columns that the target has."""
    pairs, compared, skipped = [], [], {}
    for planned in fingerprinted_columns(plan):
        found = platform.find_column(planned.target_name, columns)
        pairs.append(ColumnPair(planned.source, found, planned.target_name))
        if found is None:
            skipped[planned.target_name] = "the target has no such column"
            continue
        canonical = own_canonical_type(planned.type)
        try:
            target_type = platform.parse_type(found.type)
        except PlatformError as error:
            skipped[planned.target_name] = str(error)
            continue
        common = canonical_type(planned.type, target_type)
        # The source was asked for its own form; a number's digits are the only thing that the target can adapt.
        if common is None or common.kind is not canonical.kind:
            skipped[planned.target_name] = f"{planned.type} became {found.type}, which has other values"
            continue
        quoted = exp.column(exp.to_identifier(found.name, quoted=True)).sql(platform.dialect)
        compared.append(
            ComparedColumn(
                name=planned.target_name,
                source=planned.source,
                target=found,
                source_type=planned.type,
                target_type=target_type,
                source_sql=planned.expression,
                target_sql=quoted,
                canonical=canonical,
                source_is_plain=planned.is_plain,
            )
        )
    by_source = {planned.source.name: planned.target_name for planned in plan.columns}
    names = {column.name for column in compared}
    key = tuple(by_source[name] for name in plan.primary_key if name in by_source)
    return Alignment(
        pairs=tuple(pairs),
        compared=tuple(compared),
        excluded=(),
        skipped=skipped,
        extra=(),
        key=key if key and names.issuperset(key) else (),
        # A plan's key may be the user's word.
        key_is_unique=False,
    )
