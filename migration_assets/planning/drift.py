"""How the source's columns have changed since the last run, and what the table's policy makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from migration_assets.planning.model import PlannedColumn, TablePlan
from migration_assets.platforms.base import PlatformError, SourceColumn, SourcePlatform, SourceTable

DriftPolicy = Literal["fail", "evolve", "ignore"]


@dataclass(frozen=True)
class Drift:
    """The source's columns as they were planned last, held against those of today."""

    added: tuple[SourceColumn, ...] = ()
    gone: tuple[PlannedColumn, ...] = ()
    changed: tuple[tuple[PlannedColumn, SourceColumn], ...] = ()

    @classmethod
    def between(cls, plan: TablePlan, table: SourceTable) -> Drift:
        """What has changed since a plan."""
        planned = {column.source.name: column for column in plan.columns}
        present = {column.name: column for column in table.columns}
        return cls(
            added=tuple(c for name, c in present.items() if name not in planned),
            gone=tuple(column for name, column in planned.items() if name not in present),
            changed=tuple(
                (column, present[name])
                for name, column in planned.items()
                if name in present and _differs(column.source, present[name])
            ),
        )

    def __bool__(self) -> bool:
        return bool(self.added or self.gone or self.changed)

    def __str__(self) -> str:
        told = [f"{column.source.name} is gone" for column in self.gone]
        told += [f"{column.name} ({column.native_type}) is new" for column in self.added]
        told += [f"{_change(before.source, now)}" for before, now in self.changed]
        return "; ".join(told)


@dataclass(frozen=True)
class SettledDrift:
    """What becomes of a drift.

    Attributes:
        columns: those that move.
        told: a sentence for each change.
        problems: why the table can't go on, each with its cure.
    """

    columns: tuple[PlannedColumn, ...]
    told: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def settle(
    drift: Drift,
    policy: DriftPolicy,
    columns: Sequence[PlannedColumn],
    source: SourcePlatform,
    *,
    since: int,
    loses: Callable[[str], bool],
) -> SettledDrift:
    """Applies a table's policy.

    Args:
        columns: as they would be planned without a past.
        since: the generation that was planned before.
        loses: whether the target would lose what it has in a column of its own, because its rows are replaced.
    """
    if policy == "fail":
        problem = (
            f"the source's columns have changed since generation {since}: {drift}: set schemaDrift to "
            '"evolve" to take new columns and wider types over, or to "ignore" to go on without'
        )
        return SettledDrift(tuple(columns), problems=(problem,))
    problems, told = [], []
    for column in drift.gone:
        name = column.source.name
        if loses(column.target_name):
            problems.append(
                f"{name} is gone in the source, and replacing the target's rows would lose its values there: set "
                f"replaceExisting to true to let them go, or drop {column.target_name} from the target"
            )
        else:
            told.append(f"{name} is gone in the source: what the target has in {column.target_name} stays")
    settled = {column.source.name: column for column in columns}
    for added in drift.added:
        if policy == "ignore":
            settled.pop(added.name, None)
            told.append(f"{added.name} ({added.native_type}) is new in the source, and not moved")
        elif added.name in settled:
            told.append(f"{added.name} ({added.native_type}) is new: the target gets {settled[added.name].target_name}")
    for before, now in drift.changed:
        name, planned = now.name, settled.get(now.name)
        if planned is None:
            continue
        if planned.type.holds(before.type) and policy == "evolve":
            told.append(f"{_change(before.source, now)}: the target's column is widened where it has to be")
            continue
        kept = _as_before(before, now, source)
        if kept is None or not (policy == "ignore" or before.type.holds(planned.type)):
            problems.append(
                f"{_change(before.source, now)}, which {before.target_type} in the target can't take over: drop the "
                "target, and start the table over with `migrate reset`"
            )
            continue
        settled[name] = kept
        told.append(f"{_change(before.source, now)}: the target's column stays {before.target_type}")
    return SettledDrift(tuple(settled.values()), tuple(told), tuple(problems))


def _as_before(before: PlannedColumn, now: SourceColumn, source: SourcePlatform) -> PlannedColumn | None:
    """The column of today, moved as the type that it was moved as before; None when that is impossible."""
    if before.source.native_type == now.native_type:
        return before.model_copy(update={"source": now})
    try:
        mapping = source.map_column(now, before.type)
    except PlatformError:
        return None
    # What the user has asked to be cut, when the column was planned first, was asked of other digits.
    if mapping.refusal or mapping.cuts or mapping.type != before.type:
        return None
    return before.model_copy(update={"source": now, "expression": mapping.expression, "notes": mapping.notes})


def _differs(before: SourceColumn, now: SourceColumn) -> bool:
    return before.native_type != now.native_type or (now.nullable and not before.nullable)


def _change(before: SourceColumn, now: SourceColumn) -> str:
    if before.native_type != now.native_type:
        return f"{now.name} was {before.native_type} and is {now.native_type}"
    return f"{now.name} was NOT NULL and may be NULL"
