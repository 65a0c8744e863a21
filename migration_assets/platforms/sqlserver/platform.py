"""SQL Server as a source, behind the interface that every platform has."""

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
from migration_assets.platforms.measures import Measures
from migration_assets.platforms.sqlserver import (
    canonical,
    catalogue,
    extraction,
    key_parts,
    locations,
    measures,
    sql,
    types,
    watermarks,
)
from migration_assets.platforms.sqlserver.keys import partition_by_key, partition_by_value, split_by_value
from migration_assets.platforms.types import ColumnType


class SQLServer(SourcePlatform):
    """SQL Server 2016 or newer, and Azure SQL."""

    name: ClassVar[str] = "sqlserver"
    dialect: ClassVar[str] = sql.DIALECT
    ignores_case: ClassVar[bool] = True

    def canonical_sql(self, run: QueryRunner) -> CanonicalSQL:
        return canonical.canonical_sql(run)

    def measures(self, run: QueryRunner) -> Measures:
        return measures.measures(run)

    def fold(self, identifier: str) -> str:
        # What a name is compared by, the database's collation decides: `describe` returns the catalogue's spelling.
        return identifier

    def normalised_type(self, written: str) -> str:
        return types.normalised_type(written)

    def describe(self, run: QueryRunner, name: TableName) -> SourceTable:
        return catalogue.describe(run, name)

    def consistency(self, run: QueryRunner, table: SourceTable, *, strict: bool) -> tuple[str, ...]:
        return extraction.consistency(run, table, strict=strict)

    def map_column(self, column: SourceColumn, override: ColumnType | None = None) -> ColumnMapping:
        return types.map_column(column, override)

    def profile(
        self, run: QueryRunner, table: SourceTable, where: str | None, columns: Sequence[SourceColumn]
    ) -> Mapping[str, ColumnMapping]:
        # Every type says what its values need.
        return {column.name: types.map_column(column) for column in columns}

    def estimate_rows(self, run: QueryRunner, table: SourceTable, where: str | None) -> int:
        return catalogue.estimate_rows(run, table, where)

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
        return extraction.extraction_query(table, columns, predicate, where)

    def location_mark(self, table: TableName) -> str:
        return extraction.location_mark()

    def changed_since(self, table: TableName, mark: str) -> str:
        return extraction.changed_since()
