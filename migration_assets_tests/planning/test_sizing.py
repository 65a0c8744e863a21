"""How many partitions: a table of cases."""

from __future__ import annotations

import pytest

from migration_assets.planning.sizing import (
    AUTO_MAX_PARTITIONS,
    AUTO_MAX_PARTITIONS_OF_LARGE,
    LARGE_TABLE_BYTES,
    MAX_PARTITIONS,
    MEGABYTE,
    PartitionSizeError,
    filtered_bytes,
    partition_count,
)
from migration_assets.platforms.base import SourceColumn, SourceTable, TableName
from migration_assets.workflow import PartitionSize

GIGABYTE = 1024 * MEGABYTE


@pytest.mark.parametrize(
    ("size", "rows", "size_bytes", "count"),
    [
        ("auto", 0, 0, 1),
        ("auto", 1, 1, 1),
        ("auto", 10**6, 128 * MEGABYTE, 1),
        ("auto", 10**6, 128 * MEGABYTE + 1, 2),
        ("auto", 10**6, 10 * GIGABYTE, 80),
        ("auto", 10**6, LARGE_TABLE_BYTES - 1, 800),
        ("auto", 10**9, LARGE_TABLE_BYTES, 800),
        ("auto", 10**12, 10**15, AUTO_MAX_PARTITIONS_OF_LARGE),
        ({"targetSizeMb": 10}, 0, 0, 1),
        ({"targetSizeMb": 10}, 1, 10 * MEGABYTE, 1),
        ({"targetSizeMb": 10}, 1, 10 * MEGABYTE + 1, 2),
        ({"targetSizeMb": 0.5}, 1, 10 * MEGABYTE, 20),
        ({"targetSizeMb": 1e9}, 1, 10**15, 1),
        ({"targetSizeMb": 1}, 1, MAX_PARTITIONS * MEGABYTE, MAX_PARTITIONS),
        ({"maxRowsPerPartition": 10}, 0, 0, 1),
        ({"maxRowsPerPartition": 10}, 10, 0, 1),
        ({"maxRowsPerPartition": 10}, 11, 0, 2),
        ({"maxRowsPerPartition": 10}, 11, 10**15, 2),
        ({"maxRowsPerPartition": 1}, MAX_PARTITIONS, 0, MAX_PARTITIONS),
    ],
)
def test_a_partition_size_asks_for_so_many_partitions(size: object, rows: int, size_bytes: int, count: int) -> None:
    assert partition_count(PartitionSize.model_validate(size), rows, size_bytes) == count


def test_auto_stays_below_its_bound_for_tables_that_are_not_large() -> None:
    assert partition_count(PartitionSize.model_validate("auto"), 1, LARGE_TABLE_BYTES - 1) <= AUTO_MAX_PARTITIONS


@pytest.mark.parametrize(
    ("size", "rows", "size_bytes", "key"),
    [
        ({"targetSizeMb": 1}, 7, MAX_PARTITIONS * MEGABYTE + 1, "targetSizeMb"),
        ({"targetSizeMb": 5e-324}, 7, 10**15, "targetSizeMb"),
        ({"maxRowsPerPartition": 1}, MAX_PARTITIONS + 1, 0, "maxRowsPerPartition"),
    ],
)
def test_more_partitions_than_can_be_kept_are_refused(size: object, rows: int, size_bytes: int, key: str) -> None:
    with pytest.raises(PartitionSizeError, match=rf"partitionSize\.{key} makes [\d,]+ partitions.*raise {key}"):
        partition_count(PartitionSize.model_validate(size), rows, size_bytes)


@pytest.mark.parametrize(
    ("table_rows", "table_bytes", "rows", "expected"),
    [
        (100, 1000, 100, 1000),
        (100, 1000, 25, 250),
        (100, 1000, 1000, 1000),
        (100, 1000, 0, 0),
        (0, 1000, 50, 1000),
        (0, 0, 50, 50 * (4 + 8)),
    ],
)
def test_a_filter_shrinks_a_table_by_its_rows(table_rows: int, table_bytes: int, rows: int, expected: int) -> None:
    columns = (
        SourceColumn("a", "integer", "integer", True, average_bytes=4),
        SourceColumn("b", "text", "text", True),
    )
    table = SourceTable(TableName("d", "s", "t"), "table", columns, estimated_rows=table_rows, bytes=table_bytes)

    assert filtered_bytes(table, rows) == expected
