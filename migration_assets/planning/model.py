"""What a plan is: everything that moving one table needs to know, fixed before anything moves."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from migration_assets.platforms.base import Bound, SourceColumn, SourceTable, TableName, TargetColumn
from migration_assets.platforms.types import ColumnType, Kind


class PlanError(Exception):
    """A table can't be planned. Holds every reason, each with its cure."""

    def __init__(self, workflow: str, table: str, problems: list[str]) -> None:
        self.workflow = workflow
        self.table = table
        self.problems = problems
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"workflow {workflow}, table {table} can't be moved as it is:\n{listed}")


@dataclass(frozen=True)
class ExistingTarget:
    """The target table as it is before the migration.

    Attributes:
        rows: how many rows it holds.
        made_here: whether this program made it, so that it may be replaced without asking.
        token: of the plan that replaced it last, where this program made it.
    """

    columns: tuple[TargetColumn, ...]
    rows: int
    made_here: bool
    is_view: bool = False
    token: str | None = None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedColumn(_Frozen):
    """One column from source to target.

    Attributes:
        expression: SQL in the source's dialect whose value is staged.
        target_type: the type in the target's DDL.
        repeats: whether the values repeat enough for a dictionary in the staged files.
        notes: what a reader of the plan should know.
    """

    source: SourceColumn
    target_name: str
    type: ColumnType
    target_type: str
    expression: str
    repeats: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the value is the column as it stands, of a type that says its digits."""
        is_column = self.expression[1:-1] == self.source.name
        return is_column and (self.type.kind is Kind.INTEGER or bool(self.source.type_arguments))


class PlannedPartition(_Frozen):
    """One partition; `predicate` is in the source's dialect, None is every row.

    Attributes:
        low: the first key of the range, as text that source and target read alike; None is open.
        high: the first key after it.
        below: whether a row's key is before `high`, in the source's dialect; None in the last range.
        absent: these are the rows without a key.
    """

    key: str
    predicate: str | None
    description: str
    rows: int
    low: Bound | None = None
    high: Bound | None = None
    below: str | None = None
    absent: bool = False

    @property
    def bounds(self) -> tuple[Bound | None, Bound | None, bool]:
        """What tells the same partition of two generations."""
        return self.low, self.high, self.absent


class WatermarkPlan(_Frozen):
    """The watermark that a generation begins at.

    Attributes:
        column: the source's column.
        low: the last watermark, as the source prints it; None before the first one.
        missing: the fingerprint of the rows that had no watermark then.
        bound: the fingerprint of the rows that had this very watermark then.
        lookback: seconds, or a count in the column's unit, by which rows are read again; None is not at all.
        lookback_unit: which of the two it is.
    """

    column: str
    low: str | None = None
    missing: str | None = None
    bound: str | None = None
    lookback: Decimal | None = None
    lookback_unit: Literal["seconds", "count"] = "seconds"

    @property
    def window(self) -> timedelta | Decimal | None:
        """The lookback as a duration or a count."""
        if self.lookback is None or self.lookback_unit == "count":
            return self.lookback
        return timedelta(seconds=float(self.lookback))


class SynchronizationPlan(_Frozen):
    """How a generation changes the target.

    Attributes:
        mode: `replace` the whole target; replace the `ranges` that have changed; `append` new rows; `merge` new and
            modified ones by key.
        reason: why all rows move, or which generation is continued, in words.
        content_hash: of what decides which rows and values the target holds.
        continues: number of the generation whose target is changed; None when the target is replaced.
        target_token: token of the plan that replaced the target last, which its mark holds.
        key: source columns: those whose ranges are compared, or those that identify a row.
        deletion_limit: the largest share of the target's rows that may be deleted.
    """

    strategy: Literal["none", "checksum", "watermark"] = "none"
    mode: Literal["replace", "ranges", "append", "merge"] = "replace"
    reason: str = ""
    content_hash: str = ""
    continues: int | None = None
    target_token: str | None = None
    key: tuple[str, ...] = ()
    watermark: WatermarkPlan | None = None
    track_modifications: bool = False
    track_deletions: bool = False
    deletion_limit: float = 0.2

    @property
    def is_full(self) -> bool:
        """Whether all rows move and the target is replaced."""
        return self.mode == "replace"


class TablePlan(_Frozen):
    """Everything that moving one table needs to know.

    Attributes:
        token: no two plans have the same; it tells what is left of another plan from what belongs to this one.
        table: the table's name in asset keys, the ledger and paths: letters, digits and underscores.
        method: how the table is divided, in words.
        physical: partitions are ranges of physical blocks, which only one snapshot keeps in place.
        where: the user's row filter in the source's dialect.
        consistency: `snapshot` or `strict` (see the workflow reference).
        bulk_utility: the program that reads the rows; None where the source's driver does.
        replace_existing: rows in the target that this program did not put there may be replaced.
        orphaned: columns of the target whose values the source has no more.
        left_out: columns of the source that are not moved, because they were new under schemaDrift "ignore".
        drift: how the source's columns have changed since the last run, and what comes of it, in words.
        evolve: the target gets new columns and wider types together with the data.
        staged_generations: published generations whose files stay on the stage.
        config_hash: of the table's configuration; another one is another plan.
    """

    version: Literal[1] = 1
    token: str = Field(default_factory=lambda: uuid.uuid4().hex[:8])
    workflow: str
    table: str
    source_platform: str
    source: TableName
    source_kind: str
    target: TableName
    columns: tuple[PlannedColumn, ...]
    partitions: tuple[PlannedPartition, ...]
    method: str
    physical: bool
    where: str | None
    primary_key: tuple[str, ...]
    estimated_rows: int
    estimated_bytes: int
    consistency: str
    bulk_utility: str | None = None
    metrics_check: bool
    fingerprint_check: bool = True
    replace_existing: bool = False
    synchronization: SynchronizationPlan = SynchronizationPlan()
    orphaned: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    evolve: bool = False
    staged_generations: int = 1
    notes: tuple[str, ...]
    config_hash: str

    @property
    def title(self) -> str:
        """The workflow and the table, for errors."""
        return f"workflow {self.workflow}, table {self.table}"

    @property
    def target_token(self) -> str:
        """The token that the target's mark holds once this plan is published."""
        return self.synchronization.target_token or self.token

    def column(self, source: str) -> PlannedColumn:
        """The column of that name in the source; KeyError when the plan has none."""
        for column in self.columns:
            if column.source.name == source:
                return column
        raise KeyError(source)

    def renewed(self, baseline: Baseline) -> TablePlan:
        """The same partitions once more, for the generation that continues this one."""
        return self.model_copy(
            update={
                "token": uuid.uuid4().hex[:8],
                "synchronization": continued(self.synchronization, baseline),
                "drift": (),
                "evolve": False,
            }
        )

    def differs_from(self, table: SourceTable) -> str | None:
        """How the source's columns differ by now from those that were planned; None when they don't."""
        planned = {column.source.name: column.source.native_type for column in self.columns}
        present = {column.name: column.native_type for column in table.columns if column.name not in self.left_out}
        changes = [f"{name} is gone" for name in planned.keys() - present.keys()]
        changes += [f"{name} is new" for name in present.keys() - planned.keys()]
        changes += [
            f"{name} was {planned[name]} and is {present[name]}"
            for name in planned.keys() & present.keys()
            if planned[name] != present[name]
        ]
        return "; ".join(sorted(changes)) or None

    def partition(self, key: str) -> PlannedPartition:
        """The partition of that key; KeyError when the plan has none."""
        for partition in self.partitions:
            if partition.key == key:
                return partition
        raise KeyError(key)

    @property
    def ddl(self) -> str:
        """The target table, for people: what a CREATE TABLE would say."""
        lines = [
            f'  "{column.target_name}" {column.target_type}{"" if column.source.nullable else " NOT NULL"}'
            for column in self.columns
        ]
        return f"CREATE TABLE {self.target} (\n" + ",\n".join(lines) + "\n)"


@dataclass(frozen=True)
class Baseline:
    """What the target holds: the last generation that was published, and what its run has written down.

    Attributes:
        watermark: the largest one that was moved.
        missing: the fingerprint of the source's rows without a watermark then.
        bound: the fingerprint of its rows with the largest one.
        rows: the source's rows by partition.
    """

    generation: int
    plan: TablePlan
    watermark: str | None = None
    missing: str | None = None
    bound: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)


def continued(wanted: SynchronizationPlan, baseline: Baseline) -> SynchronizationPlan:
    """How the generation after the baseline changes the target that the baseline has left."""
    if wanted.strategy == "none":
        return wanted
    watermark = wanted.watermark
    if watermark is None:
        mode = "ranges"
    else:
        mode = "merge" if wanted.track_modifications else "append"
        watermark = watermark.model_copy(
            update={"low": baseline.watermark, "missing": baseline.missing, "bound": baseline.bound}
        )
    return wanted.model_copy(
        update={
            "mode": mode,
            "reason": f"changes since generation {baseline.generation}",
            "continues": baseline.generation,
            "target_token": baseline.plan.target_token,
            "watermark": watermark,
        }
    )
