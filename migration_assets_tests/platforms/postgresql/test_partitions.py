"""Partitions are disjoint and cover every row, whatever the keys are."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.errors import FeatureNotSupported
from psycopg2.extras import execute_values

from migration_assets.platforms.base import Partitioning, PlatformError
from migration_assets_tests.platforms.postgresql.source import PLATFORM, Source

_ODD_LETTERS = "aAbBzé😀'\"\\%_ \n\t{}()ß\u0301"

_VALUES: dict[str, st.SearchStrategy[str]] = {
    "integer": st.one_of(st.integers(-5, 5), st.integers(-(2**31), 2**31 - 1)).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "numeric": st.one_of(
        st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000).map(str),
        st.sampled_from(["NaN", "Infinity", "-Infinity", "1.0", "1.00", "0", "-0"]),
    ),
    "double precision": st.floats(allow_nan=True).map(repr),
    "text": st.text(_ODD_LETTERS, max_size=4),
    'text COLLATE "C"': st.text(_ODD_LETTERS, max_size=4),
    "character(4)": st.text("ab '\\", max_size=4),
    "character varying(4)": st.text(_ODD_LETTERS, max_size=4),
    "date": st.one_of(st.dates().map(str), st.sampled_from(["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"])),
    "timestamptz": st.one_of(
        st.datetimes().map(lambda value: f"{value}+02"), st.sampled_from(["infinity", "0044-03-15 00:00 BC"])
    ),
    "uuid": st.uuids().map(str),
    "boolean": st.sampled_from(["true", "false"]),
    "interval": st.integers(-(10**6), 10**6).map(lambda minutes: f"{minutes} minutes"),
    "bytea": st.binary(max_size=3).map(lambda value: "\\x" + value.hex()),
    '"char"': st.sampled_from("ab'\\"),
    "bit(3)": st.sampled_from(["000", "010", "111"]),
    "money": st.integers(-1000, 1000).map(str),
    "inet": st.sampled_from(["10.0.0.1/8", "10.0.0.1", "::1"]),
    "int4range": st.sampled_from(["empty", "[1,2)", "(,5)", "[1,)"]),
    "integer[]": st.sampled_from(["{}", "{1,2}", "{NULL}", "{1,NULL}"]),
    "mood": st.sampled_from(["sad", "it's ok", "happy"]),
    "label": st.text(_ODD_LETTERS, max_size=3),
    "folded": st.text("aAbB", max_size=3),
}
_TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN label AS varchar(3);
"""
# Equal regardless of case: needs a server with ICU. Without it the domain is plain text.
_FOLDED = "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"


@st.composite
def _tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Types of the key columns, and rows with NULLs and duplicates."""
    types = draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=3))
    value = st.tuples(*(st.one_of(st.none(), _VALUES[native], _VALUES[native]) for native in types))
    distinct = draw(st.lists(value, max_size=25))
    # Skew: some of the rows come very often.
    rows = [row for row in distinct for _ in range(draw(st.sampled_from([1, 1, 1, 2, 30])))]
    return types, rows


def _check(source: Source, plan: Partitioning, table: str, rows: int, where: str | None = None) -> list[int]:
    """Each row is in exactly one partition; returns the partitions' rows."""
    memberships = source.memberships(table, plan.partitions, where)
    assert [partitions for partitions, _ in memberships] == ([1] if rows else [])
    sizes = memberships[0][1] if rows else [0] * len(plan.partitions)
    assert sum(sizes) == rows
    return sizes


@pytest.fixture
def typed(source: Source) -> Source:
    source.execute(_TYPES)
    try:
        source.execute(f"{_FOLDED}; CREATE DOMAIN folded AS text COLLATE nocase")
    except FeatureNotSupported:
        source.execute("CREATE DOMAIN folded AS text")
    return source


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(table=_tables(), count=st.integers(1, 6), max_rows=st.one_of(st.none(), st.integers(1, 12)))
def test_every_row_is_in_exactly_one_partition(
    typed: Source, table: tuple[list[str], list[tuple[str | None, ...]]], count: int, max_rows: int | None
) -> None:
    types, rows = table
    names = [f"k{number}" for number in range(1, len(types) + 1)]
    columns = ", ".join(f"{name} {native}" for name, native in zip(names, types, strict=True))
    typed.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t ({columns})")
    if rows:
        with typed.connection.cursor() as cursor:
            execute_values(cursor, "INSERT INTO t VALUES %s", rows)
    plan = PLATFORM.partition_by_key(typed.run, typed.table("t"), names, None, count, max_rows)
    sizes = _check(typed, plan, "t", len(rows))
    if max_rows is None:
        return
    assert [part.rows for part in plan.partitions] == sizes or not rows
    for part, size in zip(plan.partitions, sizes, strict=True):
        if size <= max_rows:
            continue
        # Only one key value, or no key at all, may have more rows.
        keys = typed.run(f"SELECT 1 FROM t WHERE {part.predicate or 'true'} GROUP BY {', '.join(names)}")
        assert len(keys) == 1 or "is null" in part.description


def _fill(source: Source, columns: str, select: str, then: str = "") -> None:
    source.execute(f"CREATE TABLE t ({columns}); INSERT INTO t {select}; {then}; ANALYZE t")


_BIG: dict[str, tuple[str, str, list[str]]] = {
    "unique": ("id int", "SELECT i FROM generate_series(1, {n}) i", ["id"]),
    "text": ("id text", "SELECT md5(i::text) FROM generate_series(1, {n}) i", ["id"]),
    "composite": ("a int, b int", "SELECT i % 7, i FROM generate_series(1, {n}) i", ["a", "b"]),
    "skewed": ("a int", "SELECT CASE WHEN i % 2 = 0 THEN 7 ELSE i END FROM generate_series(1, {n}) i", ["a"]),
    "all equal": ("a int", "SELECT 1 FROM generate_series(1, {n}) i", ["a"]),
    "mostly null": ("a int", "SELECT nullif(i % 3, 0) * i FROM generate_series(1, {n}) i", ["a"]),
}


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("case", sorted(_BIG))
def test_ranges_have_at_most_max_rows_where_duplicates_allow_it(source: Source, case: str, index: bool) -> None:
    rows, max_rows = 30_000, 2_000
    columns, select, names = _BIG[case]
    _fill(
        source,
        columns,
        select.format(n=rows),
        f"CREATE INDEX ON t ({', '.join(names)})" if index else "",
    )
    table = source.table("t")
    plan = PLATFORM.partition_by_key(source.run, table, names, None, 4, max_rows)
    sizes = _check(source, plan, "t", rows)
    assert [part.rows for part in plan.partitions] == sizes
    large = [part for part in plan.partitions if part.rows > max_rows]
    assert len(large) == len([note for note in plan.notes if "max_rows" in note])
    assert len(large) == (1 if case in ("skewed", "all equal", "mostly null") else 0)


def test_large_ranges_are_split_by_a_sample_of_their_own(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_assets.platforms.key_ranges.MOST_SAMPLED_ROWS", 300)
    monkeypatch.setattr("migration_assets.platforms.postgresql.keys._SAMPLED_ROWS", 300)
    _fill(source, "a int", "SELECT CASE WHEN i % 3 = 0 THEN 5 ELSE i END FROM generate_series(1, 20000) i")
    plan = PLATFORM.partition_by_key(source.run, source.table("t"), ["a"], None, 2, 500)
    sizes = sorted(_check(source, plan, "t", 20000))
    assert sizes[-1] == 6667
    assert sizes[-2] <= 500


def test_a_dense_unique_key_is_divided_by_arithmetic(source: Source) -> None:
    _fill(source, "id bigint PRIMARY KEY", "SELECT i FROM generate_series(1001, 11000) i")
    plan = PLATFORM.partition_by_key(source.run, source.table("t"), ["id"], None, 4)
    assert plan.method == "arithmetic ranges"
    assert [part.description for part in plan.partitions] == [
        "id below 3501",
        "id from 3501 to 6001",
        "id from 6001 to 8501",
        "id from 8501",
    ]
    assert _check(source, plan, "t", 10000) == [2500] * 4
    limited = PLATFORM.partition_by_key(source.run, source.table("t"), ["id"], None, 4, 999)
    assert max(_check(source, limited, "t", 10000)) <= 999


def test_a_key_with_gaps_is_divided_by_a_sample(source: Source) -> None:
    _fill(source, "id int PRIMARY KEY", "SELECT i * i FROM generate_series(1, 20000) i")
    plan = PLATFORM.partition_by_key(source.run, source.table("t"), ["id"], None, 8)
    assert plan.method == "sampled ranges"
    assert _check(source, plan, "t", 20000) == [2500] * 8


def test_a_sample_of_blocks_makes_ranges_of_similar_size(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_assets.platforms.postgresql.keys._SAMPLED_ROWS", 10_000)
    _fill(source, "id text", "SELECT md5(i::text) FROM generate_series(1, 100000) i")
    statements: list[str] = []

    def run(sql: str) -> Any:
        statements.append(sql)
        return source.run(sql)

    table = source.table("t")
    plan = PLATFORM.partition_by_key(run, table, ["id"], None, 10)
    assert any("TABLESAMPLE SYSTEM" in statement for statement in statements)
    sizes = _check(source, plan, "t", 100_000)
    assert len(sizes) == 11
    assert max(sizes) < 15_000
    again = PLATFORM.partition_by_key(run, table, ["id"], None, 10)
    assert again.partitions == plan.partitions


def test_a_filter_shapes_the_ranges(source: Source) -> None:
    _fill(source, "id int PRIMARY KEY", "SELECT i FROM generate_series(1, 100000) i")
    table = source.table("t")
    where = "id > 90000 OR id = 1"
    plan = PLATFORM.partition_by_key(source.run, table, ["id"], where, 4)
    sizes = _check(source, plan, "t", 10001, where)
    assert max(sizes) < 5000
    assert PLATFORM.estimate_rows(source.run, table, where) == pytest.approx(10000, rel=0.5)


def test_a_nullable_key_has_a_partition_for_null(source: Source) -> None:
    _fill(source, "a int, b int NOT NULL", "SELECT nullif(i % 5, 0), i FROM generate_series(1, 1000) i")
    plan = PLATFORM.partition_by_key(source.run, source.table("t"), ["a", "b"], None, 3)
    assert plan.partitions[-1].predicate == '"a" IS NULL'
    assert plan.partitions[-1].description == "a is null"
    assert all('"a" IS NOT NULL' in (part.predicate or "") for part in plan.partitions[:-1])
    assert _check(source, plan, "t", 1000)[-1] == 200


def test_a_domain_that_says_not_null_is_not_trusted(source: Source) -> None:
    source.execute("CREATE DOMAIN present AS int NOT NULL; CREATE TABLE t (a present)")
    source.execute("INSERT INTO t SELECT i FROM generate_series(1, 100) i")
    source.execute("INSERT INTO t VALUES ((SELECT a FROM t WHERE false))")
    table = source.table("t")
    assert not table.columns[0].nullable
    _check(source, PLATFORM.partition_by_key(source.run, table, ["a"], None, 4), "t", 101)


@pytest.mark.parametrize("relation", ["v", "m", "p"])
def test_views_and_partitioned_tables_are_divided_too(source: Source, relation: str) -> None:
    source.execute(
        "CREATE TABLE p (a int) PARTITION BY HASH (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO p SELECT i FROM generate_series(1, 5000) i; INSERT INTO p VALUES (NULL);"
        "CREATE VIEW v AS SELECT a FROM p; CREATE MATERIALIZED VIEW m AS SELECT a FROM p; ANALYZE"
    )
    plan = PLATFORM.partition_by_key(source.run, source.table(relation), ["a"], None, 4, 1300)
    assert len(plan.partitions) >= 5
    assert max(_check(source, plan, relation, 5001)) <= 1300


@pytest.mark.parametrize("where", [None, "a > 0"])
@pytest.mark.parametrize("divide", ["key", "location"])
def test_an_empty_table_is_one_partition(source: Source, where: str | None, divide: str) -> None:
    source.execute("CREATE TABLE t (a int)")
    table = source.table("t")
    plan = (
        PLATFORM.partition_by_key(source.run, table, ["a"], where, 8)
        if divide == "key"
        else PLATFORM.partition_by_location(source.run, table, where, 8)
    )
    assert [part.predicate for part in plan.partitions] == [None]


def test_a_key_that_has_no_order_or_does_not_exist_is_refused(source: Source) -> None:
    source.execute("CREATE TABLE t (payload json, customer_id int)")
    table = source.table("t")
    with pytest.raises(PlatformError, match="'payload': its type json has no order"):
        PLATFORM.partition_by_key(source.run, table, ["payload"], None, 2)
    with pytest.raises(PlatformError, match="Did you mean 'customer_id'"):
        PLATFORM.partition_by_key(source.run, table, ["Customer"], None, 2)


def test_types_of_a_schema_off_the_search_path_are_divided_too(source: Source) -> None:
    source.execute(
        "CREATE SCHEMA app; CREATE DOMAIN app.code AS text; CREATE TYPE app.mood AS ENUM ('b', 'a');"
        "CREATE TABLE t (c app.code, m app.mood);"
        "INSERT INTO t SELECT md5(i::text), (ARRAY['a', 'b'])[1 + i % 2]::app.mood FROM generate_series(1, 500) i"
    )
    table = source.table("t")
    for names in (["c"], ["m"], ["m", "c"]):
        _check(source, PLATFORM.partition_by_key(source.run, table, names, None, 5), "t", 500)


@pytest.mark.postgres_contrib
def test_citext_is_divided_where_its_operators_are_found_and_refused_where_not(source: Source) -> None:
    words = (
        "SELECT chr(65 + i % 26) || i FROM generate_series(1, 500) i "
        "UNION ALL SELECT lower(chr(65 + i)) FROM generate_series(0, 25) i"
    )
    source.execute(f"CREATE EXTENSION citext; CREATE TABLE t (c citext); INSERT INTO t {words}")
    _check(source, PLATFORM.partition_by_key(source.run, source.table("t"), ["c"], None, 30, 20), "t", 526)
    source.execute("CREATE SCHEMA app; ALTER EXTENSION citext SET SCHEMA app")
    with pytest.raises(PlatformError, match="not on the search_path"):
        PLATFORM.partition_by_key(source.run, source.table("t"), ["c"], None, 30)


@pytest.mark.parametrize("max_rows", [None, 1000, 60])
def test_block_ranges_are_disjoint_and_cover_the_table(source: Source, max_rows: int | None) -> None:
    _fill(source, "a int, b text", "SELECT i, repeat('x', i % 500) FROM generate_series(1, 10000) i")
    source.execute("DELETE FROM t WHERE a BETWEEN 2000 AND 5000")
    table = source.table("t")
    plan = PLATFORM.partition_by_location(source.run, table, None, 6, max_rows)
    assert plan.physical
    sizes = _check(source, plan, "t", 6999)
    if max_rows is None:
        assert len(plan.partitions) == 6
        assert plan.partitions[1].description == f"blocks {table.blocks // 6} to {table.blocks * 2 // 6}"
    else:
        assert sizes == [part.rows for part in plan.partitions]
        assert max(sizes) <= max_rows or plan.notes
        assert max_rows < 1000 or max(sizes) <= max_rows


def test_block_ranges_take_blocks_that_are_added_later(source: Source) -> None:
    _fill(source, "a int", "SELECT i FROM generate_series(1, 10000) i")
    plan = PLATFORM.partition_by_location(source.run, source.table("t"), "a % 2 = 0", 4, 800)
    source.execute("INSERT INTO t SELECT i FROM generate_series(1, 50000) i")
    _check(source, plan, "t", 60000)


def test_what_has_no_blocks_is_one_partition_and_says_why(source: Source) -> None:
    source.execute("CREATE TABLE p (a int); CREATE TABLE c () INHERITS (p); INSERT INTO c VALUES (1)")
    plan = PLATFORM.partition_by_location(source.run, source.table("p"), None, 4)
    assert len(plan.partitions) == 1
    assert not plan.physical
    assert "can't be read in ranges" in plan.notes[0]


def test_many_random_tables_keep_the_limit(source: Source) -> None:
    shapes: list[Callable[[random.Random], int]] = [
        lambda chance: chance.randrange(50),
        lambda chance: int(chance.expovariate(0.01)),
        lambda chance: chance.randrange(10**9),
    ]
    for seed in range(6):
        chance = random.Random(seed)
        values = [shapes[seed % 3](chance) for _ in range(3000)]
        source.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (a int)")
        with source.connection.cursor() as cursor:
            execute_values(cursor, "INSERT INTO t VALUES %s", [(value,) for value in values], page_size=3000)
        most = max(values.count(value) for value in set(values))
        plan = PLATFORM.partition_by_key(source.run, source.table("t"), ["a"], None, 3, max(most, 100))
        assert max(_check(source, plan, "t", 3000)) <= max(most, 100)
