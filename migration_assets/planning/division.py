"""How a table is divided into partitions, for each way of changing the target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from migration_assets.planning.model import Baseline, PlannedColumn, PlannedPartition, SynchronizationPlan
from migration_assets.planning.sizing import (
    AUTO_COMPARED_BYTES,
    MAX_PARTITIONS,
    MEGABYTE,
    PartitionSizeError,
    filtered_bytes,
    partition_count,
    row_bytes,
)
from migration_assets.platforms.base import (
    KeyColumn,
    Partition,
    Partitioning,
    QueryRunner,
    SourcePlatform,
    SourceTable,
)
from migration_assets.platforms.ranges import keeps_order
from migration_assets.platforms.types import ColumnType
from migration_assets.workflow import TableConfiguration

OUTGROWN = 2
"""A range of so many times its planned rows is divided anew."""


@dataclass(frozen=True)
class Division:
    """The partitions of a plan.

    Attributes:
        key: the columns whose ranges are compared by checksums.
    """

    partitions: tuple[PlannedPartition, ...]
    method: str
    physical: bool = False
    notes: tuple[str, ...] = ()
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Divider:
    """One table, about to be divided.

    Attributes:
        columns: the planned columns.
        keys: the user's columns to partition by.
        row_key: and those that identify a row.
        rows, size: about the rows that the user's filter leaves, and their bytes in the source.
        ordered_as: the type by which the target orders a column's values, where that can be said.
    """

    config: TableConfiguration
    source: SourcePlatform
    run: QueryRunner
    table: SourceTable
    columns: Sequence[PlannedColumn]
    keys: Sequence[str]
    row_key: Sequence[str]
    rows: int
    size: int
    ordered_as: Callable[[PlannedColumn], ColumnType | None]

    def divide(self, synchronization: SynchronizationPlan, baseline: Baseline | None) -> Division:
        """The partitions for a way of changing the target; `ranges` continue those of the baseline."""
        if synchronization.mode == "ranges":
            assert baseline is not None
            return self._again(baseline)
        if synchronization.strategy == "checksum":
            return self._by_value()
        if synchronization.mode == "replace":
            return _division(self._by_key_or_location())
        return self._changes(synchronization)

    def _by_key_or_location(self) -> Partitioning:
        count = partition_count(self.config.partition_size, self.rows, self.size)
        # Without columns of the user's: blocks where the table has them, else its own key.
        columns = self.keys or (() if self.table.blocks else self.table.primary_key)
        where, most = self._where, self.config.partition_size.max_rows_per_partition
        if columns:
            return self.source.partition_by_key(self.run, self.table, columns, where, count, most)
        return self.source.partition_by_location(self.run, self.table, where, count, most)

    def _by_value(self) -> Division:
        """Ranges that mean the same rows in the source and in the target, to be kept from run to run."""
        wanted = self.config.partition_size
        count = partition_count(wanted, self.rows, self.size, AUTO_COMPARED_BYTES)
        keys = self._alike_keys()
        if not keys:
            told = (
                "no key orders alike in source and target, so the table is one partition, which any change moves "
                "again: name columns of numbers, dates, times or text in columnNamesToPartitionBy"
            )
            single = Partition(None, "all rows", rows=self.rows)
            return Division(numbered([single]), "single", notes=(told,))
        made = self.source.partition_by_value(
            self.run, self.table, keys, self._where, count, wanted.max_rows_per_partition
        )
        return Division(
            numbered(made.partitions),
            made.method,
            notes=made.notes,
            key=tuple(key.source.name for key in keys),
        )

    def _rows_per_range(self) -> int:
        """The size that a range is divided at when it has outgrown it; by bytes, for a table that is small today."""
        wanted = self.config.partition_size
        if wanted.max_rows_per_partition is not None:
            return wanted.max_rows_per_partition
        by_bytes = wanted.target_size_mb * MEGABYTE if wanted.target_size_mb else AUTO_COMPARED_BYTES
        count = partition_count(wanted, self.rows, self.size, AUTO_COMPARED_BYTES)
        return max(1, math.ceil(self.rows / count), int(by_bytes / row_bytes(self.table)))

    def _alike_keys(self) -> tuple[KeyColumn, ...]:
        for names in (self.keys, self.row_key, self.table.primary_key, *self.table.unique_keys):
            ordered = list(takewhile(self._keeps_order, names))
            if ordered and (found := self.source.alike_keys(self.run, self._key_columns(ordered))):
                return found
        return ()

    def _keeps_order(self, name: str) -> bool:
        """Whether the target has a column's values in the order that they have everywhere."""
        planned = next((column for column in self.columns if column.source.name == name), None)
        found = self.ordered_as(planned) if planned else None
        return planned is not None and found is not None and keeps_order(planned.type, found)

    def _key_columns(self, names: Sequence[str]) -> list[KeyColumn]:
        planned = {column.source.name: column for column in self.columns}
        return [
            KeyColumn(planned[name].source, planned[name].type, planned[name].expression)
            for name in names
            if name in planned
        ]

    def _again(self, baseline: Baseline) -> Division:
        """The ranges of the baseline. What has outgrown its size is divided; its neighbours stay as they are."""
        before = baseline.plan
        key = before.synchronization.key
        keys = self._key_columns(key)
        most = self._rows_per_range()
        partitions: list[Partition] = []
        for partition in before.partitions:
            rows = baseline.rows.get(partition.key, partition.rows)
            if keys and partition.high is None and not partition.absent:
                # The range that grows: what has come since the last run is counted, by the key's index.
                query = self.source.count_query(self.table.name, partition.predicate, self._where)
                rows = int(str(self.run(query)[0]["rows"]))
            same = Partition(
                partition.predicate,
                partition.description,
                partition.low,
                partition.high,
                rows,
                below=partition.below,
                absent=partition.absent,
            )
            if keys and not partition.absent and rows > OUTGROWN * most:
                partitions += self.source.split_by_value(
                    self.run, self.table, keys, self._where, partition.low, partition.high, most
                )
            else:
                partitions.append(same)
        if len(partitions) > MAX_PARTITIONS:
            raise PartitionSizeError(
                f"the table has grown to {len(partitions):,} partitions; the most is {MAX_PARTITIONS:,}: raise "
                "partitionSize, and start it over with `migrate reset`"
            )
        return Division(numbered(partitions), before.method, key=key)

    def _changes(self, synchronization: SynchronizationPlan) -> Division:
        """Ranges of the watermark above the last one."""
        watermark = synchronization.watermark
        assert watermark is not None
        column = self.table.column(watermark.column)
        fresh = self.source.after(column, watermark.low) if watermark.low is not None else None
        where = " AND ".join(f"({text})" for text in (self._where, fresh) if text) or None
        rows = self.source.estimate_rows(self.run, self.table, where)
        count = partition_count(self.config.partition_size, rows, filtered_bytes(self.table, rows))
        if count == 1:
            return Division(numbered([Partition(None, "rows above the last watermark", rows=rows)]), "watermark")
        return _division(
            self.source.partition_by_key(
                self.run,
                self.table,
                [watermark.column],
                where,
                count,
                self.config.partition_size.max_rows_per_partition,
            )
        )

    @property
    def _where(self) -> str | None:
        return self.config.where_clause_criteria


def _division(made: Partitioning) -> Division:
    return Division(numbered(made.partitions), made.method, made.physical, made.notes)


def numbered(partitions: Sequence[Partition]) -> tuple[PlannedPartition, ...]:
    """The partitions with their keys, in order."""
    return tuple(
        PlannedPartition(
            key=partition_key(number),
            predicate=partition.predicate,
            description=partition.description,
            rows=partition.rows,
            low=partition.low,
            high=partition.high,
            below=partition.below,
            absent=partition.absent,
        )
        for number, partition in enumerate(partitions, start=1)
    )


def partition_key(number: int) -> str:
    """The key of the partition at a place (from 1) in the plan."""
    return f"{number:04d}"
