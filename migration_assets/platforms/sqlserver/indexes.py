"""What SQL Server's catalogue says of a table's keys: columns that are never NULL, and indexes that begin with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migration_assets.platforms.base import QueryRunner, TableName
from migration_assets.platforms.sqlserver import sql

# What a view or a computed column says of NULL need not hold for every row.
_COLUMNS = """\
SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = {schema} AND o.name = {table} AND o.parent_object_id = 0"""

# Rowstore, clustered (1) or not (2): neither columnstore nor hash indexes keep an order. A view's index is not sought
# by every edition.
_INDEXES = """\
SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = {object_id} AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal"""


@dataclass(frozen=True)
class Index:
    """An index that can be sought by its first columns, in order."""

    columns: tuple[str, ...]
    clustered: bool

    def begins_with(self, names: Sequence[str]) -> bool:
        return self.columns[: len(names)] == tuple(names)


@dataclass(frozen=True)
class KeyFacts:
    """What keys of a table need.

    Attributes:
        object_id: the table's, in the catalogue's views.
        has_histograms: those of statistics can be read (SQL Server 2016 SP1 CU2 or newer).
    """

    object_id: int
    not_null: frozenset[str]
    indexes: tuple[Index, ...]
    has_histograms: bool


def read_facts(run: QueryRunner, name: TableName) -> KeyFacts:
    """The facts of a table or view that there is."""
    columns = run(sql.fill(_COLUMNS, schema=sql.literal(name.schema), table=sql.literal(name.table)))
    object_id = int(str(columns[0]["object_id"]))
    by_index: dict[object, list[tuple[str, bool]]] = {}
    for row in run(sql.fill(_INDEXES, object_id=object_id)):
        by_index.setdefault(row["index_id"], []).append((str(row["name"]), bool(row["is_clustered"])))
    return KeyFacts(
        object_id,
        frozenset(str(row["name"]) for row in columns if row["is_not_null"]),
        tuple(Index(tuple(name for name, _ in found), found[0][1]) for found in by_index.values()),
        bool(columns[0]["has_histograms"]),
    )
