"""Partitions of what PostgreSQL alone has: blocks, samples of them, domains, other relations."""

from __future__ import annotations

from typing import Any

import pytest

from migration_assets.platforms.base import Partitioning, PlatformError
from migration_assets_tests.platforms.postgresql.source import PLATFORM, Source


def _check(source: Source, plan: Partitioning, table: str, rows: int, where: str | None = None) -> list[int]:
    """Each row is in exactly one partition; returns the partitions' rows."""
    memberships = source.memberships(table, plan.partitions, where)
    assert [partitions for partitions, _ in memberships] == ([1] if rows else [])
    sizes = memberships[0][1] if rows else [0] * len(plan.partitions)
    assert sum(sizes) == rows
    return sizes


def _fill(source: Source, columns: str, select: str, then: str = "") -> None:
    source.execute(f"CREATE TABLE t ({columns}); INSERT INTO t {select}; {then}; ANALYZE t")


def test_large_ranges_are_split_by_a_sample_of_their_own(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_assets.platforms.key_ranges.MOST_SAMPLED_ROWS", 300)
    monkeypatch.setattr("migration_assets.platforms.postgresql.keys._SAMPLED_ROWS", 300)
    _fill(source, "a int", "SELECT CASE WHEN i % 3 = 0 THEN 5 ELSE i END FROM generate_series(1, 20000) i")
    plan = PLATFORM.partition_by_key(source.run, source.table("t"), ["a"], None, 2, 500)
    sizes = sorted(_check(source, plan, "t", 20000))
    assert sizes[-1] == 6667
    assert sizes[-2] <= 500


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
