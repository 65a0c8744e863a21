"""PostgreSQL as a source, behind the interface that every platform has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

from migration_assets.platforms.base import (
    Bound,
    ColumnMapping,
    KeyColumn,
    Partition,
    Partitioning,
    QueryRunner,
    ReadColumn,
    SourceColumn,
    SourcePlatform,
    SourceTable,
    TableName,
)
from migration_assets.platforms.canonical_sql import CanonicalSQL
from migration_assets.platforms.postgresql import (
    catalogue,
    extraction,
    key_parts,
    locations,
    profiling,
    sql,
    types,
    watermarks,
)
from migration_assets.platforms.postgresql.canonical import PostgreSQLSQL
from migration_assets.platforms.postgresql.keys import partition_by_key, partition_by_value, split_by_value
from migration_assets.platforms.types import ColumnType, Kind


class PostgreSQL(SourcePlatform):
    """PostgreSQL 12 or newer. Every query expects a session with `SESSION_SETTINGS`."""

    name: ClassVar[str] = "postgresql"
    dialect: ClassVar[str] = sql.DIALECT

    def __init__(self, *, binary: bool = False) -> None:
        """Chooses the format of COPY that rows are read in: binary, or CSV."""
        self._binary = binary

    def canonical_sql(self, run: QueryRunner) -> CanonicalSQL:
        encoding = run("SHOW server_encoding")[0]["server_encoding"]
        # A database in SQL_ASCII holds the bytes as they came; they are taken for UTF-8, as when they are moved.
        return PostgreSQLSQL(is_utf8=encoding in ("UTF8", "SQL_ASCII"))

    def fold(self, identifier: str) -> str:
        return sql.fold(identifier)

    def describe(self, run: QueryRunner, name: TableName) -> SourceTable:
        return catalogue.describe(run, name)

    def consistency(self, run: QueryRunner, table: SourceTable, *, strict: bool) -> tuple[str, ...]:
        # Every reader joins one snapshot, whatever is asked for.
        return ()

    def map_column(self, column: SourceColumn, override: ColumnType | None = None) -> ColumnMapping:
        return types.map_column(column, override)

    def unchecked(self, column: SourceColumn, wanted: ColumnType, expression: str) -> str:
        is_number = wanted.kind in (Kind.INTEGER, Kind.DECIMAL)
        return types.binary_expression(column, wanted, expression) if is_number else expression

    def profile(
        self, run: QueryRunner, table: SourceTable, where: str | None, columns: Sequence[SourceColumn]
    ) -> Mapping[str, ColumnMapping]:
        return profiling.profile(run, table, where, columns)

    def estimate_rows(self, run: QueryRunner, table: SourceTable, where: str | None) -> int:
        return table.estimated_rows if where is None else catalogue.explain_rows(run, table.name, where)

    def partition_by_key(
        self,
        run: QueryRunner,
        table: SourceTable,
        columns: Sequence[str],
        where: str | None,
        count: int,
        max_rows: int | None = None,
    ) -> Partitioning:
        return partition_by_key(run, table, columns, where, count, max_rows)

    def partition_by_location(
        self, run: QueryRunner, table: SourceTable, where: str | None, count: int, max_rows: int | None = None
    ) -> Partitioning:
        return locations.partition_by_location(run, table, where, count, max_rows)

    def alike_keys(self, run: QueryRunner, keys: Sequence[KeyColumn]) -> tuple[KeyColumn, ...]:
        return key_parts.alike_keys(run, keys)

    def partition_by_value(
        self,
        run: QueryRunner,
        table: SourceTable,
        keys: Sequence[KeyColumn],
        where: str | None,
        count: int,
        max_rows: int | None = None,
    ) -> Partitioning:
        return partition_by_value(run, table, keys, where, count, max_rows)

    def split_by_value(
        self,
        run: QueryRunner,
        table: SourceTable,
        keys: Sequence[KeyColumn],
        where: str | None,
        low: Bound | None,
        high: Bound | None,
        max_rows: int,
    ) -> list[Partition]:
        return split_by_value(run, table, keys, where, low, high, max_rows)

    def count_query(self, table: TableName, predicate: str | None, where: str | None) -> str:
        return extraction.count_query(table, predicate, where)

    def watermark_problem(self, column: SourceColumn, lookback: timedelta | Decimal | None) -> str | None:
        return watermarks.watermark_problem(column, lookback)

    def watermark_query(self, table: TableName, column: SourceColumn, where: str | None) -> str:
        return watermarks.watermark_query(table, column, where)

    def high_problem(self, column: SourceColumn, high: str) -> str | None:
        return watermarks.high_problem(column, high)

    def lookback_query(self, column: SourceColumn, low: str, lookback: timedelta | Decimal) -> str:
        return watermarks.lookback_query(column, low, lookback)

    def after(self, column: SourceColumn, low: str, *, inclusive: bool = False) -> str:
        return watermarks.after(column, low, inclusive=inclusive)

    def up_to(self, column: SourceColumn, high: str) -> str:
        return watermarks.up_to(column, high)

    def extraction_query(
        self, table: TableName, columns: Sequence[ReadColumn], predicate: str | None, where: str | None
    ) -> str:
        return extraction.extraction_query(table, columns, predicate, where, binary=self._binary)

    def location_mark(self, table: TableName) -> str:
        return extraction.location_mark(table)

    def changed_since(self, table: TableName, mark: str) -> str:
        return extraction.changed_since(table, mark)
