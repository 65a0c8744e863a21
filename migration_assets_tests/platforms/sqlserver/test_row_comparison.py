"""Rows of SQL Server are compared with DuckDB's, also where the server can hash only some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import duckdb
import pyarrow as pa
import pytest

from migration_assets.platforms.base import SourceColumn, TargetColumn
from migration_assets.platforms.canonical import canonical_type
from migration_assets.platforms.canonical_sql import CanonicalSQL
from migration_assets.platforms.duckdb.canonical import DuckDBSQL
from migration_assets.platforms.sqlserver import LegacySQLServerSQL, SQLServerSQL
from migration_assets.platforms.types import ColumnType, decimal, integer, text
from migration_assets.resources.warehouses.base import Answer
from migration_assets.synchronization.deletions import find_deletions
from migration_assets.validation.alignment import Alignment, ComparedColumn
from migration_assets.validation.levels.rows import RowComparison
from migration_assets.validation.results import RowKind
from migration_assets.validation.sides import Inquiry, Side, SideName
from migration_assets_tests.platforms.sqlserver.test_fingerprints import require_collation
from migration_assets_tests.source_servers import SQLServerDatabase

pytestmark = pytest.mark.sqlserver

NAMES = ["a", "É", "żółw 🐢", "it is", "", "x" * 200, "ж" * 90]


class SQLServerSide(Side):
    name: ClassVar[SideName] = "source"

    def __init__(self, sql: CanonicalSQL, database: SQLServerDatabase) -> None:
        super().__init__(sql, "[dbo].[t]", "[id] >= 0", "a test")
        self._database = database
        self.read_rows = 0

    def ask(self, statement: str) -> Answer:
        return Answer([{name.lower(): value for name, value in row.items()} for row in self._rows(statement)])

    def read(self, statement: str, names: Sequence[str]) -> Iterator[pa.Table]:
        rows = self._rows(statement)
        self.read_rows += len(rows)
        columns = [[None if value is None else str(value) for value in row.values()] for row in rows]
        arrays = [pa.array(values, pa.string()) for values in zip(*columns, strict=True)] if rows else []
        yield pa.table(arrays or [pa.array([], pa.string()) for _ in names], names=list(names))

    def cancel(self) -> None: ...

    def _rows(self, statement: str) -> list[dict[str, object]]:
        with self._database.session() as session:
            cursor = session._connection.execute(statement)
            names = [one[0] for one in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class DuckDBSide(Side):
    name: ClassVar[SideName] = "target"

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(DuckDBSQL(), "t", None, "a test")
        self._connection = connection

    def ask(self, statement: str) -> Answer:
        return Answer(self._connection.cursor().sql(statement).to_arrow_table().to_pylist())

    def read(self, statement: str, names: Sequence[str]) -> Iterator[pa.Table]:
        yield self._connection.cursor().sql(statement).to_arrow_table().rename_columns(list(names))

    def cancel(self) -> None: ...


def compared(name: str, column_type: ColumnType, native: str, *arguments: int) -> ComparedColumn:
    canonical = canonical_type(column_type, column_type)
    assert canonical is not None
    return ComparedColumn(
        name=name,
        source=SourceColumn(name, native, native, nullable=name != "id", type_arguments=arguments),
        target=TargetColumn(name, ""),
        source_type=column_type,
        target_type=column_type,
        source_sql=f"[{name}]",
        target_sql=f'"{name}"',
        canonical=canonical,
        source_is_plain=native == "bigint",
    )


COLUMNS = (
    compared("id", integer(64), "bigint"),
    compared("name", text(300), "nvarchar", 300),
    compared("price", decimal(12, 4), "decimal", 12, 4),
)


@pytest.fixture
def sides(sqlserver_database: SQLServerDatabase, platform: SQLServerSQL) -> tuple[SQLServerSide, DuckDBSide]:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (id BIGINT, name VARCHAR, price DECIMAL(12, 4))")
    rows = [
        (n, None if n % 11 == 3 else f"{NAMES[n % len(NAMES)]}{n}", None if n % 5 == 4 else f"{n}.{n % 100:02}")
        for n in range(400)
    ]
    with sqlserver_database.session() as session:
        session.run("CREATE TABLE t (id bigint, name nvarchar(300) COLLATE Latin1_General_CI_AS, price decimal(12, 4))")
        shown = [f"({n}, {'NULL' if name is None else f'N{name!r}'}, {price or 'NULL'})" for n, name, price in rows]
        session.run(f"INSERT INTO t VALUES {', '.join(shown)}")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    return SQLServerSide(platform, sqlserver_database), DuckDBSide(connection)


@pytest.fixture(params=[SQLServerSQL(), LegacySQLServerSQL()], ids=["2019", "before"])
def platform(request: pytest.FixtureRequest, sqlserver_database: SQLServerDatabase) -> SQLServerSQL:
    chosen: SQLServerSQL = request.param
    require_collation(sqlserver_database, chosen.collation)
    return chosen


@pytest.mark.parametrize("key", [("id",), ("name",), ()], ids=["ranges", "hashes of texts", "without a key"])
def test_rows_that_differ_are_found(sides: tuple[SQLServerSide, DuckDBSide], key: tuple[str, ...]) -> None:
    source, target = sides
    target._connection.execute("UPDATE t SET price = price + 1 WHERE id IN (8, 15)")
    target._connection.execute("DELETE FROM t WHERE id = 16")
    alignment = Alignment((), COLUMNS, (), {}, (), key, (), key == ("id",))
    inquiry = Inquiry(source, target)

    outcome = RowComparison(alignment, inquiry, estimated_rows=400).run()
    inquiry.close()

    assert (outcome.source.rows, outcome.target.rows) == (400, 399)
    kinds = sorted(one.kind.value for one in outcome.differences)
    assert kinds == sorted([RowKind.CHANGED.value, RowKind.CHANGED.value, RowKind.MISSING.value])
    assert outcome.unexplained == 0
    # Those with letters beyond ASCII, and no others.
    assert (source.read_rows > 0) is isinstance(source.sql, LegacySQLServerSQL)


@pytest.mark.parametrize("key", [("id",), ("name", "id")], ids=["ranges", "hashes of texts"])
def test_keys_that_are_gone_are_found(sides: tuple[SQLServerSide, DuckDBSide], key: tuple[str, ...]) -> None:
    source, target = sides
    target._connection.execute("UPDATE t SET name = 'none' WHERE name IS NULL")
    with source._database.session() as session:
        session.run("UPDATE t SET name = N'none' WHERE name IS NULL")
        session.run("DELETE FROM t WHERE id IN (9, 20, 300)")
    columns = [next(column for column in COLUMNS if column.name == name) for name in key]
    inquiry = Inquiry(source, target)

    found = find_deletions(inquiry, columns, "[id] % 10 = 0", estimated_rows=400, limit=10)
    inquiry.close()

    assert sorted(found.keys.column("id").to_pylist()) == [9, 20, 300]
    assert (found.source_rows, found.target_rows) == (397, 400)
