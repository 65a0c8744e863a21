"""What the catalogue says about a table, and why one can't be read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migration_assets.platforms.base import PlatformError, SourceTable, TableName
from migration_assets_tests.platforms.postgresql.source import PLATFORM, Source

_ROLE = "catalogue_reader"


@pytest.fixture
def reader(source: Source) -> Iterator[Source]:
    """The same session as a user who may do nothing yet."""
    source.execute(f"CREATE ROLE {_ROLE}")
    yield source
    source.execute(f"RESET ROLE; DROP OWNED BY {_ROLE}; DROP ROLE {_ROLE}")


def _columns(table: SourceTable) -> dict[str, tuple[str, str, tuple[int, ...], bool]]:
    return {c.name: (c.native_type, c.base_type, c.type_arguments, c.nullable) for c in table.columns}


@pytest.mark.parametrize(
    ("identifier", "folded"),
    [
        ("Orders", "orders"),
        ("ÄÖ_Ab", "ÄÖ_ab"),
        ("a" * 70, "a" * 63),
        ("é" * 40, "é" * 31),
        ("x" + "😀" * 20, "x" + "😀" * 15),
    ],
)
def test_names_are_folded_as_the_server_folds_them(source: Source, identifier: str, folded: str) -> None:
    assert PLATFORM.fold(identifier) == folded
    source.execute(f"CREATE TABLE {identifier} (a int)")
    assert source.table(folded).name.table == folded


def test_columns_have_their_types_followed_through_domains(source: Source) -> None:
    source.execute(
        "CREATE DOMAIN amount AS numeric(8,3); CREATE DOMAIN price AS amount NOT NULL;"
        "CREATE TYPE mood AS ENUM ('a'); CREATE TYPE pair AS (x int, y json);"
        "CREATE TABLE t (a int PRIMARY KEY, b price, c varchar(7)[], d mood, e pair, f numeric(2,-3), g char(4),"
        "h timestamptz(2), i bit(5), j json, k json[], l interval(3), m interval, n point, o int4range, p xml)"
    )
    table = source.table("t")
    assert _columns(table) == {
        "a": ("integer", "integer", (), False),
        "b": ("price", "numeric", (8, 3), False),
        "c": ("character varying(7)[]", "character varying[]", (), True),
        "d": ("mood", "mood", (), True),
        "e": ("pair", "pair", (), True),
        "f": ("numeric(2,-3)", "numeric", (2, -3), True),
        "g": ("character(4)", "bpchar", (4,), True),
        "h": ("timestamp(2) with time zone", "timestamp with time zone", (2,), True),
        "i": ("bit(5)", '"bit"', (5,), True),
        "j": ("json", "json", (), True),
        "k": ("json[]", "json[]", (), True),
        "l": ("interval(3)", "interval", (3,), True),
        "m": ("interval", "interval", (), True),
        "n": ("point", "point", (), True),
        "o": ("int4range", "int4range", (), True),
        "p": ("xml", "xml", (), True),
    }
    assert {c.name: c.category for c in table.columns if c.category != "b"} == {
        "c": "a",
        "d": "e",
        "e": "c",
        "k": "a",
        "o": "r",
    }
    assert {c.name for c in table.columns if not c.orderable} == {"e", "j", "k", "n", "p"}


def test_keys_are_in_key_order_and_only_those_that_hold(source: Source) -> None:
    source.execute(
        "CREATE TABLE t (a int, b int, c int NOT NULL, d int NOT NULL, e int, PRIMARY KEY (b, a),"
        "UNIQUE (d, c), UNIQUE (e), UNIQUE (c) DEFERRABLE);"
        "CREATE UNIQUE INDEX ON t (d) WHERE a > 0; CREATE UNIQUE INDEX ON t ((c + 1));"
        "CREATE UNIQUE INDEX ON t (c) INCLUDE (d)"
    )
    table = source.table("t")
    assert table.primary_key == ("b", "a")
    assert table.unique_keys == (("d", "c"), ("c",))


def test_a_dropped_column_is_gone_and_generated_ones_are_marked(source: Source) -> None:
    source.execute(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, gone int, twice int GENERATED ALWAYS AS (1 + 1) STORED);"
        "ALTER TABLE t DROP COLUMN gone"
    )
    table = source.table("t")
    assert [(c.name, c.identity, c.generated) for c in table.columns] == [
        ("id", True, False),
        ("twice", False, True),
    ]


def test_a_virtual_generated_column_is_marked_and_read(source: Source) -> None:
    if int(source.value("SHOW server_version_num")) < 180000:
        pytest.skip("virtual generated columns came with PostgreSQL 18")
    source.execute("CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL); INSERT INTO t VALUES (4)")
    table = source.table("t")
    assert table.column("b").generated
    assert source.extract(table).to_pylist() == [{"a": 4, "b": 8}]


def test_statistics_size_and_blocks_of_a_table(source: Source) -> None:
    source.execute(
        "CREATE TABLE t (a int, b text); INSERT INTO t SELECT i, 'x' || i % 10 FROM generate_series(1, 10000) i;"
        "ANALYZE t"
    )
    table = source.table("t")
    assert table.kind == "table"
    assert table.estimated_rows == 10000
    assert table.blocks > 10
    assert table.bytes >= table.blocks * 8192
    assert table.column("a").distinct == -1
    assert (table.column("b").distinct, table.column("b").average_bytes) == (10, 3)
    source.execute("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 10000) i")
    assert source.table("t").estimated_rows == pytest.approx(20000, rel=0.1)


def test_an_empty_table_has_no_rows_and_a_table_without_statistics_some(source: Source) -> None:
    source.execute("CREATE TABLE empty (a int); CREATE TABLE fresh AS SELECT generate_series(1, 5000) AS a")
    assert source.table("empty").estimated_rows == 0
    assert source.table("fresh").estimated_rows > 1000
    assert source.table("fresh").column("a").distinct is None


def test_a_partitioned_table_sums_its_leaves_and_has_no_blocks(source: Source) -> None:
    source.execute(
        "CREATE TABLE t (a int PRIMARY KEY) PARTITION BY RANGE (a);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (5000);"
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (5000) TO (10001) PARTITION BY RANGE (a);"
        "CREATE TABLE t3 PARTITION OF t2 FOR VALUES FROM (5000) TO (10001);"
        "INSERT INTO t SELECT generate_series(1, 10000); ANALYZE t"
    )
    table = source.table("t")
    assert (table.kind, table.blocks, table.primary_key) == ("partitioned table", 0, ("a",))
    assert table.estimated_rows == 10000
    assert table.bytes == source.table("t1").bytes + source.table("t3").bytes
    assert source.table("t1").blocks > 0
    assert not table.columns[0].nullable


def test_a_parent_promises_nothing_about_its_childrens_rows(source: Source) -> None:
    source.execute("CREATE TABLE p (a int PRIMARY KEY); CREATE TABLE c () INHERITS (p); INSERT INTO c VALUES (1)")
    table = source.table("p")
    assert (table.primary_key, table.unique_keys, table.blocks) == ((), (), 0)
    assert table.columns[0].nullable
    assert source.table("c").blocks == 1


def test_a_constraint_that_is_not_validated_does_not_count(source: Source) -> None:
    if int(source.value("SHOW server_version_num")) < 180000:
        pytest.skip("NOT NULL constraints that are not valid came with PostgreSQL 18")
    source.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (NULL); ALTER TABLE t ADD NOT NULL a NOT VALID")
    assert source.table("t").columns[0].nullable


def test_views_and_materialized_views_are_tables_to_read(source: Source) -> None:
    source.execute(
        "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a; ANALYZE t;"
        "CREATE VIEW v AS SELECT a FROM t; CREATE MATERIALIZED VIEW m AS SELECT a FROM t"
    )
    view, materialized = source.table("v"), source.table("m")
    assert (view.kind, view.bytes, view.blocks, view.estimated_rows) == ("view", 0, 0, 1000)
    assert materialized.kind == "materialized view"
    assert materialized.blocks > 0


@pytest.mark.parametrize(
    ("statement", "name", "words"),
    [
        ("", TableName("elsewhere", "public", "t"), "one database per connection"),
        ("CREATE SCHEMA sales", TableName("", "sale", "t"), '"sales"'),
        ('CREATE SCHEMA "Sales"', TableName("", "sales", "t"), r'"\"Sales\""'),
        ('CREATE TABLE "Orders" (a int)', TableName("", "public", "orders"), r'"\"Orders\""'),
        ("CREATE TABLE orders (a int)", TableName("", "public", "order"), '"orders"'),
        ("CREATE SCHEMA s CREATE TABLE orders (a int)", TableName("", "public", "orders"), '"s"."orders"'),
        ("CREATE SEQUENCE s", TableName("", "public", "s"), "a sequence"),
        ("CREATE TYPE pair AS (a int)", TableName("", "public", "pair"), "a composite type"),
        ("CREATE TABLE t ()", TableName("", "public", "t"), "has no columns"),
        ("CREATE TABLE t (a int)", TableName("", "public", "no'such"), "There is no table or view"),
    ],
)
def test_what_cannot_be_read_is_named_with_a_cure(source: Source, statement: str, name: TableName, words: str) -> None:
    if statement:
        source.execute(statement)
    wanted = TableName(name.database or source.database.database, name.schema, name.table)
    with pytest.raises(PlatformError) as raised:
        PLATFORM.describe(source.run, wanted)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        ("CREATE TABLE t (a int)", "No permission to read the table"),
        (f"CREATE TABLE t (a int, b int); GRANT SELECT (a) ON t TO {_ROLE}", "the columns 'b'"),
        (f"CREATE SCHEMA s; CREATE TABLE s.t (a int); GRANT SELECT ON s.t TO {_ROLE}", "GRANT USAGE ON SCHEMA"),
        (
            f"CREATE TABLE t (a int); GRANT SELECT ON t TO {_ROLE}; ALTER TABLE t ENABLE ROW LEVEL SECURITY",
            "Row-level security hides rows",
        ),
    ],
)
def test_a_user_without_the_right_to_all_rows_is_told(reader: Source, grants: str, words: str) -> None:
    reader.execute(f"{grants}; SET ROLE {_ROLE}")
    with pytest.raises(PlatformError) as raised:
        reader.table("t", "s" if "SCHEMA s" in grants else "public")
    assert words in str(raised.value)


def test_rights_to_every_column_are_enough(reader: Source) -> None:
    reader.execute(f"CREATE TABLE t (a int, b int); GRANT SELECT (a, b) ON t TO {_ROLE}; SET ROLE {_ROLE}")
    assert len(reader.table("t").columns) == 2
