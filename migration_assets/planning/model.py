"""What a plan is: everything that moving one table needs to know, fixed before anything moves."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from migration_assets.platforms.base import SourceColumn, SourceTable, TableName, TargetColumn
from migration_assets.platforms.types import ColumnType


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
    """

    columns: tuple[TargetColumn, ...]
    rows: int
    made_here: bool
    is_view: bool = False


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


class PlannedPartition(_Frozen):
    """One partition; `predicate` is in the source's dialect, None is every row."""

    key: str
    predicate: str | None
    description: str
    rows: int


class TablePlan(_Frozen):
    """Everything that moving one table needs to know.

    Attributes:
        token: no two plans have the same; it tells what is left of another plan from what belongs to this one.
        table: the table's name in asset keys, the ledger and paths: letters, digits and underscores.
        method: how the table is divided, in words.
        physical: partitions are ranges of physical blocks, which only one snapshot keeps in place.
        where: the user's row filter in the source's dialect.
        consistency: `snapshot` or `strict` (see the workflow reference).
        replace_existing: rows in the target that this program did not put there may be replaced.
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
    metrics_check: bool
    fingerprint_check: bool = True
    replace_existing: bool = False
    notes: tuple[str, ...]
    config_hash: str

    def renewed(self) -> TablePlan:
        """The same plan once more, for another generation."""
        return self.model_copy(update={"token": uuid.uuid4().hex[:8]})

    def drift(self, table: SourceTable) -> str | None:
        """How the source's columns differ by now from those that were planned; None when they don't."""
        planned = {column.source.name: column.source.native_type for column in self.columns}
        present = {column.name: column.native_type for column in table.columns}
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
