"""How many partitions a table is divided into."""

from __future__ import annotations

import math

from migration_assets.platforms.base import SourceTable
from migration_assets.workflow import PartitionSize

MEGABYTE = 1024 * 1024

AUTO_PARTITION_BYTES = 128 * MEGABYTE
"""Source bytes of a partition under `auto`: a file of tens of megabytes, seconds of work to repeat."""

AUTO_COMPARED_BYTES = 16 * MEGABYTE
"""The same where partitions are compared by their checksums: one changed row moves its whole partition again."""

AUTO_MAX_PARTITIONS = 1_000
AUTO_MAX_PARTITIONS_OF_LARGE = 10_000
LARGE_TABLE_BYTES = 100 * 1024 * MEGABYTE

MAX_PARTITIONS = 100_000
"""What one set of dynamic partitions can hold."""

UNKNOWN_VALUE_BYTES = 8


class PartitionSizeError(ValueError):
    """The partition size asks for more partitions than can be kept."""


def row_bytes(table: SourceTable) -> int:
    """The average width of a row in bytes, by the statistics."""
    return max(1, sum(column.average_bytes or UNKNOWN_VALUE_BYTES for column in table.columns))


def filtered_bytes(table: SourceTable, rows: int) -> int:
    """Source bytes of `rows` of the table's rows."""
    if table.bytes and table.estimated_rows:
        return round(table.bytes * min(1.0, rows / table.estimated_rows))
    return table.bytes or rows * row_bytes(table)


def partition_count(size: PartitionSize, rows: int, size_bytes: int, auto_bytes: int = AUTO_PARTITION_BYTES) -> int:
    """The number of partitions that a partition size asks for; at least 1.

    Args:
        auto_bytes: source bytes of a partition under `auto`.

    Raises:
        PartitionSizeError: the number is beyond MAX_PARTITIONS.
    """
    if size.is_auto:
        most = AUTO_MAX_PARTITIONS_OF_LARGE if size_bytes >= LARGE_TABLE_BYTES else AUTO_MAX_PARTITIONS
        return max(1, min(most, math.ceil(size_bytes / auto_bytes)))
    if size.target_size_mb is not None:
        # Beyond the limit the exact number is of no interest, and may be infinite.
        count = math.ceil(min(size_bytes / (size.target_size_mb * MEGABYTE), 1e15))
        key = "targetSizeMb"
    else:
        assert size.max_rows_per_partition is not None
        count, key = math.ceil(rows / size.max_rows_per_partition), "maxRowsPerPartition"
    if count > MAX_PARTITIONS:
        raise PartitionSizeError(
            f"partitionSize.{key} makes {count:,} partitions of a table of about {rows:,} rows; the most is "
            f"{MAX_PARTITIONS:,}: raise {key}"
        )
    return max(1, count)
