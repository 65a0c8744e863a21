"""What the catalogue says of tables, and what is refused with a cure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from migration_assets.platforms.base import PlatformError, Row, SourceTable, TableName
from migration_assets.platforms.sqlserver import catalogue, extraction
from migration_assets.platforms.sqlserver.types import CLR, COLUMN_SET, ENCRYPTED, MASKED
from migration_assets_tests.platforms.sqlserver.source import Source

SNAPSHOT = Path(__file__).parent / "statements.sql"
NAME = TableName("shop", "dbo", "orders")

_FACTS: Row = {
    "database": "Shop",
    "schema": "dbo",
    "table": "Orders",
    "object_id": 7,
    "type": "U",
    "base_object": None,
    "is_memory_optimized": 0,
    "is_external": 0,
    "partitions": 1,
    "rows": 1000,
    "has_sizes": 1,
    "has_policies": 1,
    "has_histograms": 1,
}
_COLUMN: Row = {
    "name": "ID",
    "base_type": "int",
    "type_schema": "sys",
    "is_clr": 0,
    "max_length": 4,
    "precision": 10,
    "scale": 0,
    "is_nullable": 0,
    "is_identity": 0,
    "is_generated": 0,
    "is_column_set": 0,
    "is_encrypted": 0,
    "is_masked": 0,
    "collation": None,
    "code_page": None,
    "is_readable": 1,
}


class Server:
    """Answers the catalogue's queries, and writes down what it is asked."""

    def __init__(self, columns: Sequence[Row] = (_COLUMN,), **facts: object) -> None:
        self.asked: list[str] = []
        self.answers: Mapping[str, Sequence[Row]] = {
            "AS always": [{**_FACTS, **facts}],
            "FROM sys.security_predicates": [{"filters": facts.get("filters", 0)}],
            "JOIN sys.types": columns,
            "sys.index_columns": [
                {"index_id": 1, "is_primary_key": 1, "name": "ID", "is_nullable": 0},
                {"index_id": 2, "is_primary_key": 0, "name": "a", "is_nullable": 0},
                {"index_id": 2, "is_primary_key": 0, "name": "b", "is_nullable": 0},
                {"index_id": 3, "is_primary_key": 0, "name": "c", "is_nullable": 1},
            ],
            "JOIN sys.allocation_units": [{"bytes": 8192}],
            "CROSS APPLY sys.dm_db_stats_histogram": [{"name": "ID", "found": 900.0}],
            "COUNT_BIG": [{"rows": 12, "kept": 3}],
            "sys.databases": [{"allows_snapshots": facts.get("allows", 1), "versions_rows": facts.get("versions", 0)}],
            "o.type IN": [{"schema": "dbo", "name": "Orders"}, {"schema": "old", "name": "ordres"}],
            "FROM sys.schemas": [{"name": "dbo"}, {"name": "sales"}],
        }

    def run(self, statement: str) -> Sequence[Row]:
        self.asked.append(statement)
        return next(answer for words, answer in self.answers.items() if words in statement)


def described(server: Server) -> SourceTable:
    return catalogue.describe(server.run, NAME)


def test_a_table_has_the_names_keys_and_statistics_of_the_catalogue() -> None:
    table = described(Server())
    assert table.name == TableName("Shop", "dbo", "Orders")
    assert (table.kind, table.estimated_rows, table.bytes) == ("table", 1000, 8192)
    assert table.primary_key == ("ID",)
    assert table.unique_keys == (("a", "b"),)
    assert table.columns[0].distinct == 900
    assert table.columns[0].average_bytes == 4


def test_what_another_server_lacks_is_not_asked_for() -> None:
    server = Server(rows=None, has_sizes=0, has_policies=0, has_histograms=0)
    table = described(server)
    assert (table.estimated_rows, table.bytes) == (12, 0)
    assert not any(
        "allocation_units AS" in sql or "histogram(s" in sql or "predicates AS" in sql for sql in server.asked
    )


@pytest.mark.parametrize(
    ("facts", "native_type", "base_type", "arguments", "category"),
    [
        ({"base_type": "decimal", "precision": 10, "scale": 2}, "decimal(10,2)", "decimal", (10, 2), "b"),
        ({"base_type": "nvarchar", "max_length": 100}, "nvarchar(50)", "nvarchar", (50,), "b"),
        ({"base_type": "nvarchar", "max_length": -1}, "nvarchar(max)", "nvarchar", (), "b"),
        ({"base_type": "varbinary", "max_length": 20}, "varbinary(20)", "varbinary", (20,), "b"),
        ({"base_type": "datetime2", "scale": 7}, "datetime2(7)", "datetime2", (7,), "b"),
        ({"base_type": "timestamp", "max_length": 8}, "rowversion", "rowversion", (), "b"),
        ({"base_type": "Point", "type_schema": "dbo", "is_clr": 1}, "dbo.Point", "point", (), CLR),
        ({"base_type": "xml", "is_column_set": 1}, "xml", "xml", (), COLUMN_SET),
        ({"is_encrypted": 1}, "int", "int", (), ENCRYPTED),
        ({"is_masked": 1}, "int", "int", (), MASKED),
    ],
)
def test_a_column_is_what_its_base_type_is(
    facts: Mapping[str, object], native_type: str, base_type: str, arguments: tuple[int, ...], category: str
) -> None:
    (found,) = described(Server([{**_COLUMN, **facts}])).columns
    assert (found.native_type, found.base_type, found.type_arguments, found.category) == (
        native_type,
        base_type,
        arguments,
        category,
    )


@pytest.mark.parametrize(("base_type", "page"), [("varchar", 1251), ("nvarchar", None)])
def test_a_text_knows_its_collation_and_one_of_bytes_its_code_page(base_type: str, page: int | None) -> None:
    facts = {"base_type": base_type, "max_length": 20, "collation": "Cyrillic_General_CI_AS", "code_page": 1251}
    (found,) = described(Server([{**_COLUMN, **facts}])).columns
    assert (found.collation, found.code_page) == ("Cyrillic_General_CI_AS", page)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (Server(database="other"), r"not in the database 'other' .* connect to 'shop'"),
        (Server(schema=None, object_id=None), r"no schema 'dbo' in the database 'Shop'. Did you mean \"dbo\""),
        (
            Server(object_id=None),
            r"no table or view 'orders' .* Did you mean \"Orders\" .*\"old\".\"ordres\".*GRANT SELECT",
        ),
        (Server(type="SN", base_object="[b].[dbo].[t]"), r"a synonym of \[b\].\[dbo\].\[t\]: name that table"),
        (Server(type="P"), "is a procedure, not a table or view"),
        (Server(filters=1), r"Row-level security filters .* \(STATE = OFF\)"),
        (Server([{**_COLUMN, "is_readable": 0}]), r"read the table of .*: GRANT SELECT ON \[dbo\].\[Orders\] TO"),
        (Server([_COLUMN, {**_COLUMN, "name": "x", "is_readable": 0}]), r"read the columns 'x' of"),
    ],
)
def test_what_can_t_be_read_whole_is_refused_with_the_cure(server: Server, words: str) -> None:
    with pytest.raises(PlatformError, match=words):
        described(server)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"partitions": 3}, "partitioned table"),
        ({"is_memory_optimized": 1}, "memory-optimized table"),
        ({"is_external": 1}, "external table"),
        ({"type": "V", "rows": None}, "view"),
    ],
)
def test_a_relation_is_of_a_kind(facts: Mapping[str, Any], kind: str) -> None:
    assert described(Server(**facts)).kind == kind


def test_rows_of_a_filter_are_counted_in_a_small_table_and_sampled_in_a_large_one() -> None:
    server = Server()
    table = described(server)
    assert catalogue.estimate_rows(server.run, table, None) == 1000
    assert catalogue.estimate_rows(server.run, table, "a = 1") == 12
    large = described(Server(rows=4_000_000))
    assert catalogue.estimate_rows(server.run, large, "a = 1") == 1_000_000
    assert "TABLESAMPLE SYSTEM (25.000000 PERCENT)" in server.asked[-1]


@pytest.mark.parametrize(
    ("facts", "note"),
    [
        ({}, "snapshot transaction of its own"),
        ({"allows": 0, "versions": 1}, "one statement, which sees one moment"),
        ({"allows": 0}, "readers wait for writers. ALTER DATABASE [Shop] SET ALLOW_SNAPSHOT_ISOLATION ON"),
        ({"is_memory_optimized": 1}, "one statement on a memory-optimized table"),
    ],
)
def test_what_is_not_guaranteed_is_said(facts: Mapping[str, Any], note: str) -> None:
    server = Server(**facts)
    (found,) = extraction.consistency(server.run, described(server), strict=False)
    assert note in found


def test_one_snapshot_is_promised_or_refused() -> None:
    server = Server()
    assert extraction.consistency(server.run, described(server), strict=True) == ()
    for facts, words in (
        ({"allows": 0}, "ALLOW_SNAPSHOT_ISOLATION ON"),
        ({"type": "V"}, "is a view, which can't be locked"),
    ):
        server = Server(**facts)
        with pytest.raises(PlatformError, match=words):
            extraction.consistency(server.run, described(server), strict=True)


def test_every_statement_is_its_snapshot_and_t_sql() -> None:
    server = Server()
    table = described(server)
    catalogue.estimate_rows(server.run, table, "a = 1 -- b")
    catalogue.estimate_rows(server.run, described(Server(rows=4_000_000)), "a = 1")
    extraction.consistency(server.run, table, strict=False)
    for missing in (Server(object_id=None), Server(schema=None, object_id=None)):
        with pytest.raises(PlatformError):
            described(missing)
        server.asked += missing.asked[1:]
    statements = [
        *dict.fromkeys(server.asked),
        extraction.count_query(table.name, "a >= 1", "b = 2 -- c"),
        extraction.location_mark(),
        extraction.changed_since(),
    ]
    for statement in statements:
        assert isinstance(sqlglot.parse_one(statement, dialect="tsql"), sqlglot.exp.Query)
    written = "\n\n".join(f"{statement};" for statement in statements) + "\n"
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(written, encoding="utf-8")
        pytest.fail(f"{SNAPSHOT.name} was missing and is written now: read it, and commit it")
    assert written == SNAPSHOT.read_text(encoding="utf-8")


# With a server.


def test_a_server_s_table_is_described_with_whatever_case_is_written(source: Source) -> None:
    source.execute(
        "CREATE TABLE orders (id int IDENTITY PRIMARY KEY, code char(5) NOT NULL, name nvarchar(50), amount money, "
        "twice AS (id * 2), big varchar(max), price decimal(10,2), UNIQUE (code, id))",
        "INSERT INTO orders (code) VALUES ('a'), ('b')",
    )
    table = catalogue.describe(source.run, TableName(source.database.upper(), "DBO", "ORDERS"))
    assert table.name == source.name("orders")
    assert (table.kind, table.primary_key, table.unique_keys) == ("table", ("id",), (("code", "id"),))
    assert table.estimated_rows == 2
    spelled = {found.name: found.native_type for found in table.columns}
    assert spelled == {
        "id": "int",
        "code": "char(5)",
        "name": "nvarchar(50)",
        "amount": "money",
        "twice": "int",
        "big": "varchar(max)",
        "price": "decimal(10,2)",
    }
    assert table.column("id").identity
    assert table.column("twice").generated
    assert table.column("name").nullable
    assert table.column("name").collation is not None
    assert table.column("code").code_page is not None


def test_a_server_s_alias_types_are_their_base_types(source: Source) -> None:
    source.execute("CREATE TYPE phone FROM varchar(20) NOT NULL")
    try:
        source.execute("CREATE TABLE t (number phone)")
        (found,) = source.table("t").columns
        assert (found.native_type, found.base_type, found.type_arguments) == ("varchar(20)", "varchar", (20,))
        source.execute("DROP TABLE t")
    finally:
        source.execute("DROP TYPE phone")


def test_a_server_s_view_is_counted(source: Source) -> None:
    source.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1), (2), (3)", "CREATE VIEW v AS SELECT a FROM t")
    view = source.table("v")
    assert view.kind == "view"
    assert catalogue.estimate_rows(source.run, view, None) == 3
    assert catalogue.estimate_rows(source.run, view, "a > 1") == 2


def test_a_server_s_missing_table_is_told_with_near_names(source: Source) -> None:
    source.execute("CREATE TABLE orders (a int)")
    with pytest.raises(PlatformError, match=r'Did you mean "orders"'):
        source.table("ordres")
    with pytest.raises(PlatformError, match=r'no schema .* Did you mean "dbo"'):
        catalogue.describe(source.run, source.name("orders", schema="dbu"))


def test_a_server_says_how_it_isolates(source: Source) -> None:
    source.execute("CREATE TABLE t (a int)")
    table = source.table("t")
    assert len(extraction.consistency(source.run, table, strict=False)) == 1
    assert source.run(extraction.count_query(table.name, "a = 1", None)) == [{"rows": 0}]
    first, second = (source.run(extraction.location_mark())[0]["mark"] for _ in range(2))
    assert first != second
    assert source.run(extraction.changed_since()) == [{"changed": True}]
