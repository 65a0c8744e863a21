"""What of a generation's partitions moves, settled under the snapshot that is read.

`none`: every row. `checksum`: the partitions whose fingerprint in the source is another one than the ledger has.
`watermark`: the rows above the last watermark, up to the largest one that this snapshot shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from sqlglot import exp

from migration_assets.planning import TablePlan
from migration_assets.platforms.base import SourceColumn, SourcePlatform
from migration_assets.platforms.canonical import SPEC, Fingerprint
from migration_assets.platforms.canonical_sql import ListedBuckets
from migration_assets.resources.sources.base import Snapshot, SourceError
from migration_assets.synchronization.progress import Progress
from migration_assets.validation.migrations.source_facts import MovedRows, canonical_columns, source_fingerprint
from migration_assets.validation.sides import read_buckets

MOST_RANGES = 200
"""Changed partitions that one condition names; of more, the metrics are not taken apart."""


def checksum_rows(checksum: str) -> int:
    """The number of rows that a checksum speaks of."""
    return int(checksum.split()[1].partition(":")[0])


@dataclass(frozen=True)
class Scope:
    """What moves.

    Attributes:
        condition: added to the filter of every partition, in the source's dialect.
        checksums: the fingerprint of every partition; empty without the strategy.
        unchanged: partitions that don't move.
    """

    progress: Progress
    condition: str | None = None
    checksums: Mapping[str, Fingerprint] = field(default_factory=dict)
    unchanged: frozenset[str] = frozenset()

    @property
    def moved(self) -> Fingerprint | None:
        """The fingerprint of all rows that move; None without checksums."""
        if not self.checksums:
            return None
        changed = (found for key, found in self.checksums.items() if key not in self.unchanged)
        return sum(changed, Fingerprint.ZERO)

    def filter(self, plan: TablePlan) -> str | None:
        """The user's filter and this scope's condition, for every partition alike."""
        return conjunction(plan.where, self.condition)

    def moved_rows(self, plan: TablePlan) -> MovedRows:
        """The rows that move."""
        if not self.unchanged:
            return MovedRows(self.filter(plan), self.moved)
        changed = [one.predicate for one in plan.partitions if one.key not in self.unchanged]
        if not 0 < len(changed) <= MOST_RANGES:
            return MovedRows(None, self.moved, with_metrics=False)
        ranges = " OR ".join(f"({predicate or '1 = 1'})" for predicate in changed)
        return MovedRows(conjunction(self.filter(plan), ranges), self.moved)


def conjunction(*conditions: str | None) -> str | None:
    """All of some conditions, each in parentheses, in which a line comment can't swallow the closing one."""
    given = [text for text in conditions if text is not None]
    if len(given) < 2:
        return given[0] if given else None
    return " AND ".join(f"({text}\n)" if "--" in text else f"({text})" for text in given)


def checksum_text(fingerprint: Fingerprint) -> str:
    """A partition's checksum as the ledger and manifests have it."""
    return f"{SPEC} {fingerprint}"


def settle(
    plan: TablePlan,
    platform: SourcePlatform,
    snapshot: Snapshot,
    mark: str,
    *,
    earlier: Progress | None = None,
    known: Mapping[str, str] | None = None,
) -> Scope:
    """Asks the source what moves.

    Args:
        mark: stands for the snapshot.
        earlier: what a run of this generation that was broken off has settled: its watermarks stay.
        known: checksums by partition key, as of the generation that is continued.

    Raises:
        SourceError: the source refused, or its watermarks can't be followed.
    """
    if earlier is not None and plan.synchronization.strategy != "checksum":
        progress = earlier.model_copy(update={"snapshot": mark})
        return Scope(progress, _condition(plan, platform, progress))
    progress = Progress(
        strategy=plan.synchronization.strategy,
        mode=plan.synchronization.mode,
        as_of=datetime.now(timezone.utc),
        snapshot=mark,
    )
    if plan.synchronization.strategy == "checksum":
        return _checksums(plan, platform, snapshot, progress, known or {})
    if plan.synchronization.watermark is not None:
        progress = _watermarks(plan, platform, snapshot, progress)
    return Scope(progress, _condition(plan, platform, progress))


def moving_condition(plan: TablePlan, platform: SourcePlatform, progress: Progress) -> str:
    """The rows that move by watermark, whatever has come above it since; never NULL."""
    assert plan.synchronization.watermark is not None
    column = plan.column(plan.synchronization.watermark.column).source
    fresh = _from_low(column, platform, progress)
    return " OR ".join(filter(None, [fresh, _without(column, platform)])) if fresh else "1 = 1"


def _checksums(
    plan: TablePlan, platform: SourcePlatform, snapshot: Snapshot, progress: Progress, known: Mapping[str, str]
) -> Scope:
    """One scan for the fingerprints of all partitions."""
    sql = platform.canonical_sql(snapshot.query)
    ranges = [partition for partition in plan.partitions if not partition.absent]
    absent = next((partition for partition in plan.partitions if partition.absent), None)
    ordered = [*ranges, *([absent] if absent else [])]
    number = sql.number_of([one.below for one in ranges if one.below is not None], absent.predicate if absent else None)
    relation = plan.source.to_expression(with_database=False).sql(sql.dialect)
    statement = sql.bucket_query(relation, canonical_columns(plan.columns, platform), ListedBuckets(number), plan.where)
    found = read_buckets(snapshot.query(statement))
    checksums = {one.key: found.get(place, Fingerprint.ZERO) for place, one in enumerate(ordered)}
    if len(found.keys() - set(range(len(ordered)))):
        raise SourceError(
            f"{plan.title}: rows of {plan.source} are in none of its partitions: start the table over with "
            "`migrate reset`"
        )
    unchanged = frozenset(key for key, one in checksums.items() if known.get(key) == checksum_text(one))
    total = sum(checksums.values(), Fingerprint.ZERO)
    progress = progress.model_copy(update={"rows": total.rows, "changed": len(checksums) - len(unchanged)})
    return Scope(progress, None, checksums, unchanged)


def _watermarks(plan: TablePlan, platform: SourcePlatform, snapshot: Snapshot, progress: Progress) -> Progress:
    """Both bounds, from one snapshot."""
    watermark = plan.synchronization.watermark
    assert watermark is not None
    column = plan.column(watermark.column).source
    last = None if plan.synchronization.is_full else watermark.low
    fresh = platform.after(column, last) if last is not None else None
    found = snapshot.query(platform.watermark_query(plan.source, column, conjunction(plan.where, fresh)))[0]
    high = None if found["high"] is None else str(found["high"])
    if high is not None and (problem := platform.high_problem(column, high)):
        raise SourceError(f"{plan.title}: the largest value of {column.name} is {high}: {problem}")
    absent = _without(column, platform)
    missing = _fingerprint(plan, platform, snapshot, absent) if absent else None
    if plan.synchronization.mode == "append" and missing != watermark.missing:
        raise SourceError(
            f"{plan.title}: the rows without {column.name} are others than at the last run: without a watermark, new "
            "ones can't be told from those that were moved. Set trackModifications to true, leave these rows out with "
            "whereClauseCriteria, or start the table over with `migrate reset`"
        )
    low, window = last, watermark.window
    at_last = _bound(plan, platform, snapshot, column, last)
    inclusive = last is not None and at_last != watermark.bound
    if low is not None and window is not None:
        low, inclusive = str(snapshot.query(platform.lookback_query(column, low, window))[0]["low"]), False
    return progress.model_copy(
        update={
            "low": low,
            "inclusive": inclusive,
            # Nothing above the last watermark: it stays what it was, also where its row is gone.
            "watermark": last if high is None else high,
            "bound": at_last if high is None else _bound(plan, platform, snapshot, column, high),
            "missing": missing,
        }
    )


def _bound(
    plan: TablePlan, platform: SourcePlatform, snapshot: Snapshot, column: SourceColumn, value: str | None
) -> str | None:
    """The fingerprint of the rows that have a watermark: rows that come later with the same one show by it."""
    if value is None:
        return None
    at = conjunction(platform.after(column, value, inclusive=True), platform.up_to(column, value))
    return _fingerprint(plan, platform, snapshot, at)


def _fingerprint(plan: TablePlan, platform: SourcePlatform, snapshot: Snapshot, condition: str | None) -> str:
    """The fingerprint of the rows under the user's filter that meet a condition."""
    return source_fingerprint(plan, platform, snapshot, conjunction(plan.where, condition), plan.columns)


def _condition(plan: TablePlan, platform: SourcePlatform, progress: Progress) -> str | None:
    """The rows that move, in the source's dialect.

    A full load that is merged later has no bound: what a run that goes on under a later snapshot finds above the
    watermark is a row that would be missing otherwise, and the next run merges it once more.
    """
    watermark = plan.synchronization.watermark
    if watermark is None:
        return None
    if plan.synchronization.is_full and plan.synchronization.track_modifications:
        return None
    column = plan.column(watermark.column).source
    up_to = platform.up_to(column, progress.watermark) if progress.watermark is not None else "1 = 0"
    within = conjunction(_from_low(column, platform, progress), up_to)
    absent = None if plan.synchronization.mode == "append" else _without(column, platform)
    return " OR ".join(filter(None, [within, absent]))


def _from_low(column: SourceColumn, platform: SourcePlatform, progress: Progress) -> str | None:
    """The rows above the last watermark; None before the first one."""
    return None if progress.low is None else platform.after(column, progress.low, inclusive=progress.inclusive)


def _without(column: SourceColumn, platform: SourcePlatform) -> str | None:
    """The condition for rows without a watermark; None where there can't be any."""
    if not column.nullable:
        return None
    return f"{exp.column(exp.to_identifier(column.name, quoted=True)).sql(platform.dialect)} IS NULL"
