"""A PostgreSQL source as the tests see it: planned and extracted with the settings that the room publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg2.extensions
import psycopg2.extras
import pyarrow as pa

from migration_assets.platforms.base import ColumnMapping, Partition, ReadColumn, Row, SourceTable, TableName
from migration_assets.platforms.postgresql import SESSION_SETTINGS, PostgreSQL
from migration_assets.platforms.types import ColumnType
from migration_assets.resources.sources import copy_binary
from migration_assets.resources.sources.base import SourceError
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets_tests.servers import PostgreSQLDatabase

PLATFORM = PostgreSQL()

FORMATS: tuple[Literal["binary", "csv"], ...] = ("binary", "csv") if copy_binary.is_available() else ("csv",)


@dataclass(frozen=True)
class Source:
    """One session of a database."""

    connection: psycopg2.extensions.connection
    database: str
    readers: Sequence[PostgreSQLSource]

    @classmethod
    @contextmanager
    def of(cls, database: PostgreSQLDatabase) -> Iterator[Source]:
        with database.connect() as connection:
            readers = [PostgreSQLSource(**database.login(), copy_format=name) for name in FORMATS]
            source = cls(connection, database.database, readers)
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
        """The rows as Arrow, which are the same in both formats of COPY; so are the words of a SourceError."""
        outcomes = [self._extract(reader, table, overrides, predicate, where) for reader in self.readers]
        first = outcomes[0]
        for outcome in outcomes[1:]:
            if isinstance(first, SourceError) or isinstance(outcome, SourceError):
                assert str(outcome) == str(first), f"{first}\n{outcome}"[:3000]
            else:
                # By their text: NaN is equal to NaN here.
                assert str(outcome.to_pylist()) == str(first.to_pylist()), f"{first.to_pylist()}\n{outcome.to_pylist()}"
        if isinstance(first, SourceError):
            raise first
        return first

    def _extract(
        self,
        reader: PostgreSQLSource,
        table: SourceTable,
        overrides: Mapping[str, ColumnType] | None,
        predicate: str | None,
        where: str | None,
    ) -> pa.Table | SourceError:
        columns = [
            ReadColumn(name, mapping.type, table.column(name), mapping.expression)
            for name, mapping in self.mappings(table, overrides).items()
        ]
        query = reader.platform.extraction_query(table.name, columns, predicate, where)
        schema = pa.schema([(column.name, column.type.to_arrow()) for column in columns])
        with reader.open_snapshot(table.name, strict=False) as snapshot:
            rows = snapshot.open_reader()
            try:
                read = pa.concat_tables([schema.empty_table(), *rows.read(query, columns)])
            except SourceError as error:
                return error
            finally:
                rows.close()
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
