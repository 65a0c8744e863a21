"""A source of any platform as the tests of its room see it: statements, descriptions, and the rows of partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migration_assets.platforms.base import (
    ColumnMapping,
    Partition,
    QueryRunner,
    Row,
    SourcePlatform,
    SourceTable,
    TableName,
)
from migration_assets.platforms.types import ColumnType
from migration_assets_tests.source_servers import Session, SourceDatabase


@dataclass(frozen=True)
class OpenSource:
    """One session of a database.

    Attributes:
        session: it takes the tests' SQL.
        run: it takes the platform's own.
    """

    database: SourceDatabase
    session: Session
    platform: SourcePlatform
    run: QueryRunner

    def execute(self, sql: str) -> None:
        """Runs statements of the tests' SQL."""
        self.session.execute(sql)

    def insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Inserts rows in the order of the table's columns."""
        if rows:
            self.database.insert(table, rows)

    def replace(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[str | None]]) -> None:
        """Makes a table anew.

        Args:
            columns: the platform's own types by the names of the columns.
            rows: values as texts that the types read; a text that begins with `0x` is a number of bytes where the
                platform writes them so.
        """
        declared = ", ".join(f"{name} {native}" for name, native in columns.items())
        self.session.run_own(f"DROP TABLE IF EXISTS {table}")
        self.session.run_own(f"CREATE TABLE {table} ({declared})")
        types = [native.partition(" COLLATE ")[0] for native in columns.values()]
        written = [
            ", ".join(
                f"CAST({self.database.own_literal(value)} AS {native})"
                for value, native in zip(row, types, strict=True)
            )
            for row in rows
        ]
        for first in range(0, len(written), 500):
            self.session.run_own(f"INSERT INTO {table} VALUES ({'), ('.join(written[first : first + 500])})")

    def fill(self, columns: str, select: str, then: str = "") -> None:
        """Makes the table `t` of the rows of a query."""
        self.execute(f"CREATE TABLE t ({columns}); INSERT INTO t {select}; {then}; ANALYZE t")

    def value(self, sql: str) -> Any:
        """The one value of a query of the platform's own."""
        return next(iter(self.run(sql)[0].values()))

    def name(self, table: str, schema: str | None = None) -> TableName:
        return TableName(self.database.database, schema or self.database.schema, table)

    def table(self, table: str, schema: str | None = None) -> SourceTable:
        return self.platform.describe(self.run, self.name(table, schema))

    def mappings(
        self, table: SourceTable, overrides: Mapping[str, ColumnType] | None = None
    ) -> dict[str, ColumnMapping]:
        mappings = {
            column.name: self.platform.map_column(column, (overrides or {}).get(column.name))
            for column in table.columns
        }
        unknown = [column for column in table.columns if mappings[column.name].needs_profile]
        if unknown:
            mappings |= self.platform.profile(self.run, table, None, unknown)
        return mappings

    def memberships(
        self, table: str, partitions: Sequence[Partition], where: str | None = None
    ) -> list[tuple[int, list[int]]]:
        """How many partitions hold each row, counted; and the rows of each partition."""
        names = [f"p{number}" for number in range(len(partitions))]
        members = ", ".join(
            f"CASE WHEN {part.predicate or '1 = 1'} THEN 1 ELSE 0 END AS {name}"
            for name, part in zip(names, partitions, strict=True)
        )
        sums = ", ".join(f"sum({name}) AS {name}" for name in names)
        query = (
            f"SELECT partitions, {sums} FROM (SELECT {' + '.join(names)} AS partitions, {', '.join(names)} "
            f"FROM (SELECT {members} FROM {table} WHERE {where or '1 = 1'}) AS one) AS counted GROUP BY partitions"
        )
        return [(int(str(row["partitions"])), [int(str(row[name])) for name in names]) for row in self.run(query)]


def rows_of(description: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]]) -> list[Row]:
    """Rows by name, from a cursor's description."""
    names = [entry[0] for entry in description]
    return [dict(zip(names, row, strict=True)) for row in rows]
