"""A source's catalogue in memory: PostgreSQL's knowledge without its server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migration_assets.planning import ExistingTarget, TablePlan, plan_table
from migration_assets.planning.planner import ChooseBulkUtility, table_slugs
from migration_assets.platforms import types
from migration_assets.platforms.base import (
    ColumnMapping,
    Partition,
    Partitioning,
    PlatformError,
    QueryRunner,
    Row,
    SourceColumn,
    SourceTable,
    TableName,
    TargetPlatform,
)
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.postgresql import PostgreSQL
from migration_assets.workflow import Workflow, parse_workflow


@dataclass
class Catalogue(PostgreSQL):
    """One table; what is asked of its partitions is written down."""

    table: SourceTable
    divided: tuple[str, Sequence[str], int, int | None] | None = None

    def describe(self, run: QueryRunner, name: TableName) -> SourceTable:
        if name.table != self.table.name.table:
            raise PlatformError(f"there is no table {name}")
        return self.table

    def profile(
        self, run: QueryRunner, table: SourceTable, where: str | None, columns: Sequence[SourceColumn]
    ) -> Mapping[str, ColumnMapping]:
        return {column.name: ColumnMapping(types.decimal(12, 3), f'"{column.name}"') for column in columns}

    def estimate_rows(self, run: QueryRunner, table: SourceTable, where: str | None) -> int:
        return table.estimated_rows

    def partition_by_key(
        self,
        run: QueryRunner,
        table: SourceTable,
        columns: Sequence[str],
        where: str | None,
        count: int,
        max_rows: int | None = None,
    ) -> Partitioning:
        self.divided = ("key", columns, count, max_rows)
        return Partitioning("ranges", tuple(Partition(f"range {number}", f"range {number}") for number in range(count)))

    def partition_by_location(
        self, run: QueryRunner, table: SourceTable, where: str | None, count: int, max_rows: int | None = None
    ) -> Partitioning:
        self.divided = ("location", (), count, max_rows)
        return Partitioning("blocks", (Partition(None, "every row", rows=table.estimated_rows),), physical=True)


def no_query(statement: str) -> Sequence[Row]:
    raise AssertionError(statement)


def column(name: str, native_type: str = "integer", base_type: str | None = None, **more: Any) -> SourceColumn:
    base = base_type or native_type.partition("(")[0]
    return SourceColumn(name, native_type, base, more.pop("nullable", True), **more)


def source_table(*columns: SourceColumn, **more: Any) -> SourceTable:
    return SourceTable(
        TableName("shop", "public", "orders"), "table", columns or (column("id"),), **{"estimated_rows": 1000, **more}
    )


def workflow_of(*tables: dict[str, Any], name: str = "sales") -> Workflow:
    """A workflow; each table needs no more than its own keys."""
    document = {
        "sourcePlatform": "postgresql",
        "defaultTableConfiguration": {
            "source": {"databaseName": "shop", "schemaName": "public", "tableName": "orders"},
            "target": {"databaseName": "shop", "schemaName": "public", "tableName": "orders"},
        },
        "tables": list(tables) or [{}],
    }
    return parse_workflow(json.dumps(document), file=f"{name}.json")


def plan(
    table: SourceTable,
    target: TargetPlatform | None = None,
    /,
    *,
    existing: Callable[[TableName], ExistingTarget | None] = lambda name: None,
    catalogue: Catalogue | None = None,
    bulk_utility: ChooseBulkUtility | None = None,
    **keys: Any,
) -> TablePlan:
    """The plan of a table whose workflow has these keys."""
    workflow = workflow_of(keys)
    (slug,) = table_slugs(workflow.tables)
    return plan_table(
        workflow,
        workflow.tables[0],
        slug,
        source=catalogue or Catalogue(table),
        run=no_query,
        target=target or DuckDB(),
        target_name=TableName,
        existing=existing,
        bulk_utility=bulk_utility,
    )
