"""Brings a published target to the state of the next generation, in one transaction.

`ranges`: the rows of changed key ranges are deleted and put in anew. `append`: rows above the watermark are put in.
`merge`: rows are updated or put in by their key. Keys that are gone in the source are deleted first.

The load table is emptied in the same transaction: its rows are in the load table or in the target, never in both and
never in neither. A publish that crashed before its end was written down is known by that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from migration_assets.planning import PlannedColumn, PlannedPartition, TablePlan
from migration_assets.platforms.base import Bound, TableName, TargetColumn, TargetPlatform
from migration_assets.platforms.canonical_sql import CanonicalColumn
from migration_assets.platforms.ranges import KeyTarget, absent, beyond, in_range, keeps_order
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.warehouses.base import Transaction
from migration_assets.synchronization.progress import Progress
from migration_assets.validation.migrations.source_facts import own_canonical_type

RANGES_PER_STATEMENT = 100

_LOAD = "l"
_PLACE = "migration_place"


class ChangeError(Exception):
    """The target can't be brought to the new state, and is left as it was."""


@dataclass(frozen=True)
class Applied:
    """What changed in the target.

    Attributes:
        deleted: rows deleted, those that were put in anew included.
        written: rows put in or updated.
        repeated: rows of the load that a newer one of the same key has replaced.
        rows: rows of the target afterwards.
    """

    deleted: int
    written: int
    repeated: int
    rows: int


@dataclass(frozen=True)
class TargetChange:
    """One change of one target.

    Attributes:
        existing: the target's columns as they are now.
        load: the load table; None when no rows came.
        deleted: the table of the keys that are gone; None when there are none.
        changed: keys of the partitions that are replaced.
    """

    plan: TablePlan
    progress: Progress
    platform: TargetPlatform
    existing: Sequence[TargetColumn]
    load: TableName | None
    deleted: TableName | None
    changed: Collection[str]

    def apply(self, transaction: Transaction) -> Applied:
        """Makes the change.

        Raises:
            ChangeError: rows have no key, or the target would not hold what the source holds.
            WarehouseError: the warehouse refused.
        """
        gone = sum(transaction.change(statement) for statement in self._deletions())
        written, repeated = self._write(transaction)
        for emptied in (self.load, self.deleted):
            if emptied is not None:
                transaction.change(exp.delete(emptied.to_expression()))
        rows = _count(transaction, exp.select(_counted()).from_(self._target))
        self._require_all_rows(rows)
        return Applied(gone, written, repeated, rows)

    def _require_all_rows(self, rows: int) -> None:
        if self.plan.synchronization.mode == "ranges" and self.progress.rows not in (None, rows):
            raise ChangeError(
                f"the target {self.plan.target} would have {rows:,} rows, and the source has {self.progress.rows:,}: "
                "rows of unchanged partitions were written or deleted in the target by somebody else. Start the table "
                "over with `migrate reset`, and compare first with `migrate validate` if these rows matter"
            )

    # -- deleting -------------------------------------------------------------------------------

    def _deletions(self) -> Iterator[exp.Delete]:
        mode = self.plan.synchronization.mode
        if self.deleted is not None:
            names = [self.plan.column(name).target_name for name in self.plan.synchronization.key]
            same = exp.and_(
                *(_column(name, self.deleted.table).eq(_column(name, self.plan.target.table)) for name in names)
            )
            found = exp.select("1").from_(self.deleted.to_expression()).where(same)
            yield exp.delete(self._target).where(exp.Exists(this=found))
        if mode == "ranges":
            conditions = list(self._changed_ranges())
            for start in range(0, len(conditions), RANGES_PER_STATEMENT):
                yield exp.delete(self._target).where(exp.or_(*conditions[start : start + RANGES_PER_STATEMENT]))
        if mode == "append" and (window := self._window()) is not None:
            yield exp.delete(self._target).where(window)

    def _changed_ranges(self) -> Iterator[exp.Condition]:
        """The changed partitions' rows in the target; neighbours are one condition."""
        columns = [(_column(planned.target_name), self._type_of(planned)) for planned in self._key]
        run: list[PlannedPartition] = []
        for partition in self.plan.partitions:
            if partition.key in self.changed and partition.absent:
                yield absent(columns)
            elif partition.key in self.changed:
                run.append(partition)
                continue
            if run:
                yield self._range(columns, run[0].low, run[-1].high)
                run = []
        if run:
            yield self._range(columns, run[0].low, run[-1].high)

    def _range(self, columns: Sequence[KeyTarget], low: Bound | None, high: Bound | None) -> exp.Condition:
        has_absent = any(partition.absent for partition in self.plan.partitions)
        return in_range(columns, low, high, nullable=has_absent) or exp.true()

    def _window(self) -> exp.Condition | None:
        """The rows that are read again; those of an attempt that was published without its end are among them."""
        watermark = self.plan.synchronization.watermark
        assert watermark is not None
        planned = self.plan.column(watermark.column)
        if self.progress.low is None:
            return None
        kept = self._type_of(planned)
        if planned.type.kind is Kind.TEXT or not keeps_order(planned.type, kept):
            if not (self.progress.inclusive or watermark.window):
                return None
            raise ChangeError(
                f"rows with the watermark {self.progress.low} have come, gone or changed since it was read, and "
                f"{planned.target_name} ({kept}) doesn't order as in the source, so the target's rows can't be told "
                "from it on: set trackModifications to true, or start the table over with `migrate reset`"
            )
        return beyond((_column(planned.target_name), kept), self.progress.low, inclusive=self.progress.inclusive)

    # -- writing --------------------------------------------------------------------------------

    def _write(self, transaction: Transaction) -> tuple[int, int]:
        """The rows that were written, and those that a newer one of their key has replaced."""
        if self.load is None:
            return 0, 0
        if self.plan.synchronization.mode != "merge":
            selected = exp.select(*(_column(name) for name in self._names)).from_(self.load.to_expression())
            return transaction.change(exp.insert(selected, self._target, columns=_identifiers(self._names))), 0
        loaded = _count(transaction, exp.select(_counted()).from_(self.load.to_expression()))
        rows, repeated = self._newest(transaction, loaded)
        return transaction.change(self._merge(rows)), repeated

    def _newest(self, transaction: Transaction, loaded: int) -> tuple[exp.Expression, int]:
        """The load's rows, one for each key: that of the largest watermark, then of the largest hash."""
        assert self.load is not None
        keys = [planned.target_name for planned in self._key]
        relation = self.load.to_expression()
        missing = exp.or_(*(_column(name).is_(exp.null()) for name in keys))
        if absent_keys := _count(transaction, exp.select(_counted()).from_(relation.copy()).where(missing)):
            raise ChangeError(
                f"{absent_keys:,} rows have no value in {', '.join(keys)}, by which they are to be merged into "
                f"{self.plan.target}: name columns in primaryKeyColumns that always have one, or leave these rows out "
                "with whereClauseCriteria"
            )
        different = exp.select(*(_column(name) for name in keys)).distinct().from_(relation.copy())
        distinct = _count(transaction, exp.select(_counted()).from_(different.subquery("k")))
        selected = exp.select(*(_column(name) for name in self._names))
        if distinct == loaded:
            return selected.from_(relation).subquery(_LOAD), 0
        watermark = self.plan.synchronization.watermark
        assert watermark is not None
        newest = exp.Ordered(this=_column(self.plan.column(watermark.column).target_name), desc=True, nulls_first=False)
        ordered = [newest, exp.Ordered(this=self._row_hash(), desc=True, nulls_first=False)]
        place = exp.Window(
            this=exp.RowNumber(), partition_by=[_column(name) for name in keys], order=exp.Order(expressions=ordered)
        )
        numbered = selected.copy().select(exp.alias_(place, _PLACE, quoted=True)).from_(relation)
        first = selected.from_(numbered.subquery("n")).where(_column(_PLACE).eq(1))
        return first.subquery(_LOAD), loaded - distinct

    def _row_hash(self) -> exp.Expr:
        sql = self.platform.canonical_sql
        columns = [
            CanonicalColumn(
                planned.target_name,
                _column(planned.target_name).sql(sql.dialect),
                self._type_of(planned),
                own_canonical_type(self._type_of(planned)),
            )
            for planned in self.plan.columns
        ]
        return sqlglot.parse_one(sql.hash(sql.row_text(columns)), dialect=sql.dialect)

    def _merge(self, rows: exp.Expression) -> exp.Merge:
        keys = [planned.target_name for planned in self._key]
        others = [name for name in self._names if name not in keys]
        same = exp.and_(*(_column(name, "t").eq(_column(name, _LOAD)) for name in keys))
        branches = []
        if others:
            values = [
                exp.EQ(this=exp.column(exp.to_identifier(name, quoted=True)), expression=_column(name, _LOAD))
                for name in others
            ]
            branches.append(exp.When(matched=True, then=exp.Update(expressions=values)))
        put_in = exp.Insert(
            this=exp.Tuple(expressions=[_column(name) for name in self._names]),
            expression=exp.Tuple(expressions=[_column(name, _LOAD) for name in self._names]),
        )
        branches.append(exp.When(matched=False, then=put_in))
        target = exp.alias_(self._target, "t", table=True)
        return exp.merge(*branches, into=target, using=rows, on=same)

    # -- names ----------------------------------------------------------------------------------

    @property
    def _target(self) -> exp.Table:
        return self.plan.target.to_expression()

    @property
    def _names(self) -> list[str]:
        return [planned.target_name for planned in self.plan.columns]

    @property
    def _key(self) -> list[PlannedColumn]:
        return [self.plan.column(name) for name in self.plan.synchronization.key]

    def _type_of(self, planned: PlannedColumn) -> ColumnType:
        """The type that the target has for a column."""
        found = self.platform.find_column(planned.target_name, self.existing)
        return self.platform.parse_type(found.type) if found else planned.type


def _column(name: str, table: str | None = None) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True))


def _identifiers(names: Sequence[str]) -> list[exp.Identifier]:
    return [exp.to_identifier(name, quoted=True) for name in names]


def _counted() -> exp.Expr:
    return exp.alias_(exp.Count(this=exp.Star()), "rows", quoted=True)


def _count(transaction: Transaction, query: exp.Select) -> int:
    return int(str(transaction.query(query)[0]["rows"]))
