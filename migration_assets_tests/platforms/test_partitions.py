"""Partitions are disjoint and cover every row, whatever the keys are, on every platform."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.errors import FeatureNotSupported

from migration_assets.platforms.base import Partitioning, PlatformError
from migration_assets_tests.platforms.key_values import KEY_VALUES
from migration_assets_tests.platforms.open_source import OpenSource

_TYPES_OF_POSTGRESQL = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN label AS varchar(3);
"""
# Equal regardless of case: needs a server with ICU. Without it the domain is plain text.
_FOLDED = "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"


@pytest.fixture
def typed(opened: OpenSource) -> OpenSource:
    if opened.database.platform == "postgresql":
        opened.execute(_TYPES_OF_POSTGRESQL)
        try:
            opened.execute(f"{_FOLDED}; CREATE DOMAIN folded AS text COLLATE nocase")
        except FeatureNotSupported:
            opened.execute("CREATE DOMAIN folded AS text")
    return opened


def _draw(data: st.DataObject, platform: str) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Types of the key columns, and rows with NULLs and duplicates."""
    values = KEY_VALUES[platform]
    types = data.draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=3))
    value = st.tuples(*(st.one_of(st.none(), values[native], values[native]) for native in types))
    distinct = data.draw(st.lists(value, max_size=25))
    # Skew: some of the rows come very often.
    return types, [row for row in distinct for _ in range(data.draw(st.sampled_from([1, 1, 1, 2, 30])))]


def _check(
    source: OpenSource, plan: Partitioning, rows: int, *, table: str = "t", where: str | None = None
) -> list[int]:
    """Each row is in exactly one partition; returns the partitions' rows."""
    memberships = source.memberships(table, plan.partitions, where)
    assert [partitions for partitions, _ in memberships] == ([1] if rows else [])
    sizes = memberships[0][1] if rows else [0] * len(plan.partitions)
    assert sum(sizes) == rows
    return sizes


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data(), count=st.integers(1, 6), max_rows=st.one_of(st.none(), st.integers(1, 12)))
def test_every_row_is_in_exactly_one_partition(
    typed: OpenSource, data: st.DataObject, count: int, max_rows: int | None
) -> None:
    types, rows = _draw(data, typed.database.platform)
    names = [f"k{number}" for number in range(1, len(types) + 1)]
    typed.replace("t", dict(zip(names, types, strict=True)), rows)
    plan = typed.platform.partition_by_key(typed.run, typed.table("t"), names, None, count, max_rows)
    sizes = _check(typed, plan, len(rows))
    if max_rows is None:
        return
    assert [part.rows for part in plan.partitions] == sizes or not rows
    for part, size in zip(plan.partitions, sizes, strict=True):
        if size <= max_rows:
            continue
        # Only one key value, or no key at all, may have more rows.
        keys = typed.run(f"SELECT 1 AS one FROM t WHERE {part.predicate or '1 = 1'} GROUP BY {', '.join(names)}")
        assert len(keys) == 1 or "is null" in part.description


_BIG: dict[str, tuple[str, str, Sequence[str]]] = {
    "unique": ("id int", "SELECT i FROM generate_series(1, {n}) i", ["id"]),
    "text": ("id text", "SELECT md5(i::text) FROM generate_series(1, {n}) i", ["id"]),
    "composite": ("a int, b int", "SELECT i % 7, i FROM generate_series(1, {n}) i", ["a", "b"]),
    "skewed": ("a int", "SELECT CASE WHEN i % 2 = 0 THEN 7 ELSE i END FROM generate_series(1, {n}) i", ["a"]),
    "all equal": ("a int", "SELECT 1 FROM generate_series(1, {n}) i", ["a"]),
    "mostly null": ("a int", "SELECT nullif(i % 3, 0) * i FROM generate_series(1, {n}) i", ["a"]),
}


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("case", sorted(_BIG))
def test_ranges_have_at_most_max_rows_where_duplicates_allow_it(opened: OpenSource, case: str, index: bool) -> None:
    rows, max_rows = 30_000, 2_000
    columns, select, names = _BIG[case]
    opened.fill(columns, select.format(n=rows), f"CREATE INDEX t_by_key ON t ({', '.join(names)})" if index else "")
    table = opened.table("t")
    plan = opened.platform.partition_by_key(opened.run, table, names, None, 4, max_rows)
    sizes = _check(opened, plan, rows)
    assert [part.rows for part in plan.partitions] == sizes
    large = [part for part in plan.partitions if part.rows > max_rows]
    assert len(large) == len([note for note in plan.notes if "max_rows" in note])
    assert len(large) == (1 if case in ("skewed", "all equal", "mostly null") else 0)


def test_a_dense_unique_key_is_divided_by_arithmetic(opened: OpenSource) -> None:
    opened.fill("id bigint PRIMARY KEY", "SELECT i FROM generate_series(1001, 11000) i")
    plan = opened.platform.partition_by_key(opened.run, opened.table("t"), ["id"], None, 4)
    assert plan.method == "arithmetic ranges"
    assert [part.description for part in plan.partitions] == [
        "id below 3501",
        "id from 3501 to 6001",
        "id from 6001 to 8501",
        "id from 8501",
    ]
    assert _check(opened, plan, 10000) == [2500] * 4
    limited = opened.platform.partition_by_key(opened.run, opened.table("t"), ["id"], None, 4, 999)
    assert max(_check(opened, limited, 10000)) <= 999


def test_a_key_with_gaps_is_divided_into_ranges_of_similar_size(opened: OpenSource) -> None:
    opened.fill("id int PRIMARY KEY", "SELECT i * i FROM generate_series(1, 20000) i")
    plan = opened.platform.partition_by_key(opened.run, opened.table("t"), ["id"], None, 8)
    sizes = _check(opened, plan, 20000)
    assert len(sizes) == 8
    assert max(sizes) < 5000


def test_a_filter_shapes_the_ranges(opened: OpenSource) -> None:
    opened.fill("id int PRIMARY KEY", "SELECT i FROM generate_series(1, 100000) i")
    table = opened.table("t")
    where = "id > 90000 OR id = 1"
    plan = opened.platform.partition_by_key(opened.run, table, ["id"], where, 4)
    sizes = _check(opened, plan, 10001, where=where)
    assert max(sizes) < 5000
    assert opened.platform.estimate_rows(opened.run, table, where) == pytest.approx(10000, rel=0.5)


def test_a_nullable_key_has_a_partition_for_null(opened: OpenSource) -> None:
    opened.fill("a int, b int NOT NULL", "SELECT nullif(i % 5, 0), i FROM generate_series(1, 1000) i")
    plan = opened.platform.partition_by_key(opened.run, opened.table("t"), ["a", "b"], None, 3)
    column = opened.database.quoted("a")
    assert plan.partitions[-1].predicate == f"{column} IS NULL"
    assert plan.partitions[-1].description == "a is null"
    assert all(f"{column} IS NOT NULL" in (part.predicate or "") for part in plan.partitions[:-1])
    assert _check(opened, plan, 1000)[-1] == 200


def test_views_are_divided_too(opened: OpenSource) -> None:
    opened.execute(
        "CREATE TABLE t (a int); INSERT INTO t SELECT i FROM generate_series(1, 5000) i; INSERT INTO t VALUES (NULL)"
    )
    opened.execute("CREATE VIEW v AS SELECT a FROM t")
    plan = opened.platform.partition_by_key(opened.run, opened.table("v"), ["a"], None, 4, 1300)
    assert len(plan.partitions) >= 5
    assert max(_check(opened, plan, 5001, table="v")) <= 1300


@pytest.mark.parametrize("where", [None, "a > 0"])
@pytest.mark.parametrize("divide", ["key", "location"])
def test_an_empty_table_is_one_partition(opened: OpenSource, where: str | None, divide: str) -> None:
    opened.execute("CREATE TABLE t (a int)")
    table = opened.table("t")
    plan = (
        opened.platform.partition_by_key(opened.run, table, ["a"], where, 8)
        if divide == "key"
        else opened.platform.partition_by_location(opened.run, table, where, 8)
    )
    assert [part.predicate for part in plan.partitions] == [None]


def test_a_key_that_has_no_order_or_does_not_exist_is_refused(opened: OpenSource) -> None:
    opened.execute("CREATE TABLE t (payload xml, customer_id int)")
    table = opened.table("t")
    with pytest.raises(PlatformError, match="'payload': its type xml has no order"):
        opened.platform.partition_by_key(opened.run, table, ["payload"], None, 2)
    with pytest.raises(PlatformError, match="Did you mean 'customer_id'"):
        opened.platform.partition_by_key(opened.run, table, ["Customer"], None, 2)


def test_many_random_tables_keep_the_limit(opened: OpenSource) -> None:
    shapes: list[Callable[[random.Random], int]] = [
        lambda chance: chance.randrange(50),
        lambda chance: int(chance.expovariate(0.01)),
        lambda chance: chance.randrange(10**9),
    ]
    for seed in range(6):
        chance = random.Random(seed)
        values = [shapes[seed % 3](chance) for _ in range(3000)]
        opened.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (a int)")
        opened.insert("t", [(value,) for value in values])
        most = max(values.count(value) for value in set(values))
        plan = opened.platform.partition_by_key(opened.run, opened.table("t"), ["a"], None, 3, max(most, 100))
        assert max(_check(opened, plan, 3000)) <= max(most, 100)
