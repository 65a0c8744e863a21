"""A PostgreSQL source as the tests see it: planned and extracted with the settings that the room publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import psycopg2.extensions
import psycopg2.extras
import pyarrow as pa

from migration_assets.platforms.base import ReadColumn, Row, SourceTable
from migration_assets.platforms.postgresql import SESSION_SETTINGS, PostgreSQL
from migration_assets.platforms.types import ColumnType
from migration_assets.resources.sources import copy_binary
from migration_assets.resources.sources.base import SourceError
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets_tests.platforms.open_source import OpenSource
from migration_assets_tests.servers import PostgreSQLDatabase, PostgreSQLSession

PLATFORM = PostgreSQL()

FORMATS: tuple[Literal["binary", "csv"], ...] = ("binary", "csv") if copy_binary.is_available() else ("csv",)


@dataclass(frozen=True)
class Source(OpenSource):
    """One session of a database."""

    connection: psycopg2.extensions.connection
    readers: Sequence[PostgreSQLSource]

    @classmethod
    @contextmanager
    def of(cls, database: PostgreSQLDatabase) -> Iterator[Source]:
        with database.connect() as connection:

            def run(sql: str) -> Sequence[Row]:
                with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                    cursor.execute(sql)
                    return list(cursor.fetchall())

            readers = [PostgreSQLSource(**database.login(), copy_format=name) for name in FORMATS]
            source = cls(database, PostgreSQLSession(connection), PLATFORM, run, connection, readers)
            for name, value in SESSION_SETTINGS.items():
                source.execute(f"SET {name} = '{value}'")
            yield source

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
