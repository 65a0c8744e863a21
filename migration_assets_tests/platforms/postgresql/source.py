"""A PostgreSQL source as the tests see it: planned and extracted with the settings that the room publishes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2.extensions
import psycopg2.extras
import pyarrow as pa

from migration_assets.platforms.base import ColumnMapping, Partition, Row, SourceTable, TableName
from migration_assets.platforms.postgresql import (
    SESSION_SETTINGS,
    PostgreSQL,
    extraction_query,
)
from migration_assets.platforms.types import ColumnType
from migration_assets.resources.sources.base import ReadColumn
from migration_assets.resources.sources.csv_blocks import parse_csv_block
from migration_assets_tests.servers import PostgreSQLDatabase

PLATFORM = PostgreSQL()


@dataclass(frozen=True)
class Source:
    """One session of a database."""

    connection: psycopg2.extensions.connection
    database: str

    @classmethod
    @contextmanager
    def of(cls, database: PostgreSQLDatabase) -> Iterator[Source]:
        with database.connect() as connection:
            source = cls(connection, database.database)
            for name, value in SESSION_SETTINGS.items():
                source.execute(f"SET {name} = '{value}'")
            yield source

    def execute(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)

    def run(self, sql: str) -> Sequence[Row]:
        with self.connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def value(self, sql: str) -> Any:
        return next(iter(self.run(sql)[0].values()))

    def name(self, table: str, schema: str = "public") -> TableName:
        return TableName(self.database, schema, table)

    def table(self, table: str, schema: str = "public") -> SourceTable:
        return PLATFORM.describe(self.run, self.name(table, schema))

    def mappings(
        self, table: SourceTable, overrides: Mapping[str, ColumnType] | None = None
    ) -> dict[str, ColumnMapping]:
        mappings = {
            column.name: PLATFORM.map_column(column, (overrides or {}).get(column.name)) for column in table.columns
        }
        unknown = [column for column in table.columns if mappings[column.name].needs_profile]
        if unknown:
            mappings |= PLATFORM.profile(self.run, table, None, unknown)
        return mappings

    def extract(
        self,
        table: SourceTable,
        overrides: Mapping[str, ColumnType] | None = None,
        predicate: str | None = None,
        where: str | None = None,
    ) -> pa.Table:
        """The rows as Arrow; BadValueError when a value doesn't read as its type."""
        mappings = self.mappings(table, overrides)
        query = extraction_query(
            table.name, [(name, mapping.expression) for name, mapping in mappings.items()], predicate, where
        )
        data = io.BytesIO()
        with self.connection.cursor() as cursor:
            cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv)", data)
        columns = [ReadColumn(name, mapping.type, table.column(name)) for name, mapping in mappings.items()]
        read = parse_csv_block(data.getvalue(), columns, check_utf8=True)
        read.validate(full=True)
        return read

    def memberships(
        self, table: str, partitions: Sequence[Partition], where: str | None = None
    ) -> list[tuple[int, list[int]]]:
        """How many partitions hold each row, counted; and the rows of each partition."""
        predicates = [f"(({part.predicate or 'true'}) IS TRUE)::int" for part in partitions]
        sums = ", ".join(f"coalesce(sum({predicate}), 0)::int" for predicate in predicates)
        query = (
            f"SELECT {' + '.join(predicates)} AS partitions, ARRAY[{sums}] AS sizes "
            f"FROM {table} WHERE {where or 'true'} GROUP BY 1"
        )
        return [(int(str(row["partitions"])), list(row["sizes"])) for row in self.run(query)]  # type: ignore[call-overload]
