"""Ranges of staged values are disjoint, cover every row, and are the same rows in a target."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.errors import FeatureNotSupported
from psycopg2.extras import execute_values
from sqlglot import exp

from demo.postgresql_server import PostgreSQLServer
from migration_assets.platforms.base import KeyColumn, Partition, PlatformError, SourceTable
from migration_assets.platforms.canonical import CanonicalKind, CanonicalType
from migration_assets.platforms.canonical_sql import CanonicalColumn, ListedBuckets, number_of
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.ranges import absent, in_range
from migration_assets.platforms.types import TEXT, UUID, ColumnType, Kind, decimal, integer, temporal
from migration_assets_tests.conftest import fresh_database
from migration_assets_tests.platforms.postgresql.source import PLATFORM, Source

# On both sides of the surrogates, where the order by UTF-16 differs from the order by bytes.
_LETTERS = "aAbBzZéÉß\u0301\ud7ff\ue000\uffff😀𐀀'\"\\|%{} \n"
_STAMPS = st.one_of(
    st.datetimes().map(str),
    st.sampled_from(["infinity", "-infinity", "0044-03-15 00:00 BC", "20000-01-01 00:00", "2024-02-29 12:00:00.5"]),
)
_DATES = st.one_of(st.dates().map(str), st.sampled_from(["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"]))
_WORDS = st.text(_LETTERS, max_size=4)

_KEYS: Sequence[tuple[str, ColumnType | None, st.SearchStrategy[str]]] = [
    ("smallint", None, st.integers(-5, 5).map(str)),
    ("integer", None, st.one_of(st.integers(-5, 5), st.integers(-(2**31), 2**31 - 1)).map(str)),
    ("integer", TEXT, st.integers(-20, 200).map(str)),
    ("bigint", None, st.integers(-(2**63), 2**63 - 1).map(str)),
    ("bigint", decimal(19, 0), st.integers(-(2**63), 2**63 - 1).map(str)),
    ("oid", None, st.integers(0, 2**32 - 1).map(str)),
    ("xid8", None, st.integers(0, 2**64 - 1).map(str)),
    ("boolean", integer(16), st.sampled_from(["true", "false"])),
    ("numeric(10,2)", None, st.decimals(-(10**6), 10**6, places=2).map(str)),
    (
        "numeric",
        decimal(12, 2),
        st.one_of(
            st.decimals(-(10**6), 10**6, places=2).map(str),
            st.sampled_from(["NaN", "1.0", "1.000", "0", "-0", "1e20"]),
        ),
    ),
    ("numeric", integer(64), st.one_of(st.integers(-9, 99).map(lambda n: f"{n}.00"), st.just("NaN"))),
    ("money", decimal(19, 2), st.integers(-1000, 1000).map(str)),
    ("date", None, _DATES),
    ("date", temporal(Kind.TIMESTAMP), _DATES),
    ("timestamp", None, _STAMPS),
    ("timestamp(0)", None, _STAMPS),
    ("timestamp", temporal(Kind.TIMESTAMP_TZ), _STAMPS),
    ("timestamptz", None, _STAMPS),
    ("timestamptz", temporal(Kind.TIMESTAMP), _STAMPS),
    ("time", None, st.one_of(st.times().map(str), st.just("24:00:00"))),
    ("uuid", None, st.uuids().map(str)),
    ("uuid", TEXT, st.uuids().map(str)),
    ("text", UUID, st.uuids().map(lambda value: str(value).upper())),
    ("text", None, _WORDS),
    ('text COLLATE "C"', None, _WORDS),
    ("character varying(4)", None, _WORDS),
    ("character(4)", None, st.text("aAé '\\", max_size=4)),
    ("name", None, _WORDS),
    ("inet", None, st.sampled_from(["10.0.0.1/8", "10.0.0.1", "::1", "9.0.0.0/8"])),
    ("mood", None, st.sampled_from(["sad", "it's ok", "happy"])),
    ("label", None, st.text(_LETTERS, max_size=3)),
    ("folded", None, st.text("aAbBéÉ", max_size=3)),
    ("linguistic", None, _WORDS),
]
_TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN label AS varchar(3);
"""
# Orders that targets don't have: they need a server with ICU. Without it the domains are plain text.
_COLLATIONS = """
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION words (provider = icu, locale = 'und')
"""

Row = tuple[str | None, ...]


@st.composite
def _tables(draw: st.DrawFn) -> tuple[list[tuple[str, ColumnType | None]], list[Row]]:
    """The key columns' types, and rows with NULLs and duplicates."""
    keys = draw(st.lists(st.sampled_from(_KEYS), min_size=1, max_size=3))
    value = st.tuples(*(st.one_of(st.none(), values, values, values) for _, _, values in keys))
    distinct = draw(st.lists(value, max_size=25))
    rows = [row for row in distinct for _ in range(draw(st.sampled_from([1, 1, 1, 2, 30])))]
    return [(native, override) for native, override, _ in keys], rows


@pytest.fixture
def typed(source: Source) -> Source:
    source.execute(_TYPES)
    try:
        source.execute(_COLLATIONS)
        source.execute("CREATE DOMAIN folded AS text COLLATE nocase; CREATE DOMAIN linguistic AS text COLLATE words")
    except FeatureNotSupported:
        source.execute("CREATE DOMAIN folded AS text; CREATE DOMAIN linguistic AS text")
    return source


def _keys(
    source: Source, table: SourceTable, names: Sequence[str], overrides: Mapping[str, ColumnType] | None = None
) -> list[KeyColumn]:
    mappings = source.mappings(table, overrides)
    return [KeyColumn(table.column(name), mappings[name].type, mappings[name].expression) for name in names]


class _Target:
    """The staged values of a key, in DuckDB; values that could not be staged are left out."""

    def __init__(self, source: Source, keys: Sequence[KeyColumn]) -> None:
        self.columns = [(exp.column(f"k{number}"), key.type) for number, key in enumerate(keys)]
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        types = [DuckDB().ddl_type(key.type) for key in keys]
        names = ", ".join(f"k{number} {ddl_type}" for number, ddl_type in enumerate(types))
        self._connection.execute(f"CREATE TABLE t (i INTEGER, {names})")
        staged = ", ".join(
            f"CASE WHEN ({key.expression}) IS NOT NULL THEN format('%s', {key.expression}) END AS k{number}"
            for number, key in enumerate(keys)
        )
        casts = ", ".join(f"TRY_CAST(? AS {ddl_type})" for ddl_type in types)
        for row in source.run(f"SELECT i, {staged} FROM t"):
            values = [row[f"k{number}"] for number in range(len(keys))]
            (read,) = self._connection.execute(f"SELECT ({casts},)", values).fetchall()[0]
            parts = [read[name] for name in read] if isinstance(read, dict) else list(read)
            holdable = all(
                (part is None) == (value is None) and not str(value).endswith(" BC") and value != "24:00:00"
                for part, value in zip(parts, values, strict=True)
            )
            if holdable:
                self._connection.execute(f"INSERT INTO t SELECT ?, {casts}", [row["i"], *values])

    def rows(self, condition: exp.Condition | None) -> set[int]:
        where = "true" if condition is None else condition.sql("duckdb")
        return {row[0] for row in self._connection.execute(f"SELECT i FROM t WHERE {where}").fetchall()}

    def check(self, partitions: Sequence[Partition], memberships: Sequence[set[int]], nullable: bool) -> None:
        """Each partition is the same rows here as in the source."""
        held = self.rows(None)
        for part, members in zip(partitions, memberships, strict=True):
            condition = (
                absent(self.columns) if part.absent else in_range(self.columns, part.low, part.high, nullable=nullable)
            )
            assert self.rows(condition) == members & held, part


def _memberships(source: Source, partitions: Sequence[Partition]) -> list[set[int]]:
    """The rows of each partition; none is in two of them."""
    found = [
        {int(str(row["i"])) for row in source.run(f"SELECT i FROM t WHERE {part.predicate or 'true'}")}
        for part in partitions
    ]
    assert len(set().union(*found)) == sum(len(members) for members in found)
    return found


_SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@settings(_SETTINGS, max_examples=100)
@given(table=_tables(), count=st.integers(1, 6), max_rows=st.one_of(st.none(), st.integers(1, 12)))
def test_ranges_are_the_same_rows_on_both_sides(
    typed: Source, table: tuple[list[tuple[str, ColumnType | None]], list[Row]], count: int, max_rows: int | None
) -> None:
    _check(typed, *table, count, max_rows)


@pytest.mark.parametrize("key", _KEYS, ids=[f"{native} {override or ''}" for native, override, _ in _KEYS])
@settings(_SETTINGS, max_examples=4)
@given(data=st.data())
def test_ranges_of_every_type_are_the_same_rows_on_both_sides(
    typed: Source, key: tuple[str, ColumnType | None, st.SearchStrategy[str]], data: st.DataObject
) -> None:
    native, override, values = key
    rows = data.draw(st.lists(st.tuples(values), min_size=20, max_size=40))
    _check(typed, [(native, override)], rows, 15, None)


def _check(
    typed: Source, types: Sequence[tuple[str, ColumnType | None]], rows: Sequence[Row], count: int, max_rows: int | None
) -> None:
    names = [f"c{number}" for number in range(1, len(types) + 1)]
    columns = ", ".join(f"{name} {native}" for name, (native, _) in zip(names, types, strict=True))
    typed.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t (i int, {columns})")
    if rows:
        with typed.connection.cursor() as cursor:
            execute_values(cursor, "INSERT INTO t VALUES %s", [(i, *row) for i, row in enumerate(rows)])
    described = typed.table("t")
    overrides = {name: override for name, (_, override) in zip(names, types, strict=True) if override is not None}
    keys = _keys(typed, described, names, overrides)
    assert PLATFORM.alike_keys(typed.run, keys) == tuple(keys)

    plan = PLATFORM.partition_by_value(typed.run, described, keys, None, count, max_rows)
    parts = plan.partitions
    memberships = _memberships(typed, parts)
    assert set().union(*memberships) == set(range(len(rows)))
    assert [part.absent for part in parts] == [False] * (len(parts) - 1) + [True]
    assert [part.high for part in parts[:-2]] == [part.low for part in parts[1:-1]]

    target = _Target(typed, keys)
    target.check(parts, memberships, nullable=True)

    number = number_of([part.below for part in parts if part.below is not None], parts[-1].predicate)
    for row in typed.run(f"SELECT i, {number} AS number FROM t"):
        assert row["i"] in memberships[int(str(row["number"]))]

    largest = max(range(len(parts) - 1), key=lambda place: len(memberships[place]))
    part, most = parts[largest], max_rows or 3
    pieces = PLATFORM.split_by_value(typed.run, described, keys, None, part.low, part.high, most)
    assert (pieces[0].low, pieces[-1].high) == (part.low, part.high)
    assert [piece.high for piece in pieces[:-1]] == [piece.low for piece in pieces[1:]]
    split = _memberships(typed, pieces)
    assert set().union(*split) == memberships[largest]
    assert [piece.rows for piece in pieces] == [len(members) for members in split]
    target.check(pieces, split, nullable=True)


def _fill(source: Source, columns: str, select: str, then: str = "") -> None:
    source.execute(f"CREATE TABLE t ({columns}); INSERT INTO t {select}; {then}; ANALYZE t")


def test_a_key_that_is_never_null_has_no_partition_without_key(source: Source) -> None:
    _fill(source, "id text PRIMARY KEY", "SELECT md5(i::text) FROM generate_series(1, 3000) i")
    table = source.table("t")
    keys = _keys(source, table, ["id"])
    parts = PLATFORM.partition_by_value(source.run, table, keys, None, 4).partitions
    assert not any(part.absent for part in parts)
    assert parts[1].predicate == (
        f"""("id" COLLATE "C") >= ('{parts[1].low[0]}'::text) AND """  # type: ignore[index]
        f"""("id" COLLATE "C") < ('{parts[1].high[0]}'::text)"""  # type: ignore[index]
    )
    (whole,) = PLATFORM.partition_by_value(source.run, table, keys, None, 1).partitions
    assert whole.predicate is None
    assert whole.rows == 3000


@pytest.mark.parametrize("relation", ["t", "v", "m"])
@pytest.mark.parametrize("where", [None, "a % 3 = 0 -- every third"])
def test_views_are_divided_and_a_filter_is_kept(source: Source, relation: str, where: str | None) -> None:
    _fill(source, "i int, a int, b text", "SELECT i, i % 50, md5(i::text) FROM generate_series(1, 6000) i")
    source.execute("CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM t; ANALYZE")
    table = source.table(relation)
    plan = PLATFORM.partition_by_value(source.run, table, _keys(source, table, ["a", "b"]), where, 4, 300)
    assert max(part.rows for part in plan.partitions) <= 300
    for part in plan.partitions:
        assert source.value(PLATFORM.count_query(table.name, part.predicate, where)) == part.rows
    assert sum(part.rows for part in plan.partitions) == source.value(PLATFORM.count_query(table.name, None, where))


def test_a_small_table_keeps_a_place_for_rows_without_key(source: Source) -> None:
    _fill(source, "a int", "SELECT 1")
    table = source.table("t")
    parts = PLATFORM.partition_by_value(source.run, table, _keys(source, table, ["a"]), None, 1).partitions
    assert [(part.predicate, part.absent) for part in parts] == [('"a" IS NOT NULL', False), ('"a" IS NULL', True)]


_INDEXED = [
    ("bigint", None, "SELECT i FROM generate_series(1, 20000) i"),
    ("numeric", decimal(12, 2), "SELECT i FROM generate_series(1, 20000) i"),
    ("timestamptz", None, "SELECT timestamptz '2024-01-01' + i * interval '1 second' FROM generate_series(1, 20000) i"),
    ("uuid", None, "SELECT md5(i::text)::uuid FROM generate_series(1, 20000) i"),
    ('text COLLATE "C"', None, "SELECT md5(i::text) FROM generate_series(1, 20000) i"),
]


@pytest.mark.parametrize(("native", "override", "select"), _INDEXED, ids=[native for native, _, _ in _INDEXED])
def test_a_range_is_found_by_the_index_of_the_column(
    source: Source, native: str, override: ColumnType | None, select: str
) -> None:
    _fill(source, f"id {native} PRIMARY KEY, payload text DEFAULT repeat('x', 200)", select)
    table = source.table("t")
    keys = _keys(source, table, ["id"], {"id": override} if override else {})
    plan = PLATFORM.partition_by_value(source.run, table, keys, None, 100)
    assert not plan.notes
    lines = source.run(f"EXPLAIN {PLATFORM.count_query(table.name, plan.partitions[50].predicate, None)}")
    shown = str(lines)
    assert "Index Cond" in shown
    assert "Filter" not in shown


def test_a_text_key_in_another_collation_says_that_it_has_no_index(source: Source) -> None:
    _fill(source, 'id text COLLATE "POSIX" PRIMARY KEY', "SELECT md5(i::text) FROM generate_series(1, 500) i")
    table = source.table("t")
    plan = PLATFORM.partition_by_value(source.run, table, _keys(source, table, ["id"]), None, 4)
    assert "no index begins with the key" in plan.notes[0]


def test_values_without_a_common_form_are_no_bounds(source: Source) -> None:
    _fill(
        source,
        "d date",
        "SELECT unnest(ARRAY['infinity', '-infinity', '0044-03-15 BC', '20000-01-01']::date[]) "
        "FROM generate_series(1, 50) UNION ALL SELECT date '2024-01-01' + i FROM generate_series(1, 100) i",
    )
    table = source.table("t")
    keys = _keys(source, table, ["d"])
    plan = PLATFORM.partition_by_value(source.run, table, keys, None, 20, 10)
    bounds = [part.low[0] for part in plan.partitions if part.low]
    assert len(bounds) >= 10
    assert all(bound.startswith("2024-") for bound in bounds)
    assert any("no form that a target reads" in note for note in plan.notes)


def test_a_range_that_is_small_enough_stays_one(source: Source) -> None:
    _fill(source, "id int PRIMARY KEY", "SELECT i FROM generate_series(1, 1000) i")
    table = source.table("t")
    keys = _keys(source, table, ["id"])
    (one,) = PLATFORM.split_by_value(source.run, table, keys, None, ("100",), ("200",), 100)
    assert (one.low, one.high, one.rows) == (("100",), ("200",), 100)
    pieces = PLATFORM.split_by_value(source.run, table, keys, "id % 2 = 0", ("100",), None, 60)
    assert sum(piece.rows for piece in pieces) == 451
    assert max(piece.rows for piece in pieces) <= 60
    (empty,) = PLATFORM.split_by_value(source.run, table, keys, None, ("2000",), None, 10)
    assert (empty.low, empty.high, empty.rows) == (("2000",), None, 0)


def test_the_leading_columns_of_one_order_are_what_a_key_is_divided_by(source: Source) -> None:
    source.execute("CREATE TABLE t (a int, f float8, t3 timestamp(6), b text, x xid, l bytea)")
    table = source.table("t")
    keys = {name: _keys(source, table, [name])[0] for name in ("a", "f", "b", "x", "l")}
    keys["t3"] = _keys(source, table, ["t3"], {"t3": temporal(Kind.TIMESTAMP, 3)})[0]

    def alike(*names: str) -> list[str]:
        return [key.source.name for key in PLATFORM.alike_keys(source.run, [keys[name] for name in names])]

    assert alike("a", "b") == ["a", "b"]
    assert alike("a", "f", "b") == ["a"]
    # The source can't compare an xid, and a timestamp would be rounded.
    assert [alike(name) for name in ("f", "t3", "x", "l")] == [[]] * 4
    with pytest.raises(PlatformError, match="'f': values of type float"):
        PLATFORM.partition_by_value(source.run, table, [keys["f"]], None, 4)
    with pytest.raises(PlatformError, match="No key columns"):
        PLATFORM.split_by_value(source.run, table, [], None, None, None, 4)


@pytest.fixture
def latin1(postgresql_server: PostgreSQLServer) -> Iterator[Source]:
    with fresh_database(postgresql_server, "LATIN1") as database, Source.of(database) as session:
        yield session


def test_text_is_not_alike_in_a_database_of_another_encoding(latin1: Source) -> None:
    latin1.execute("CREATE TABLE t (a int, b text)")
    keys = _keys(latin1, latin1.table("t"), ["a", "b"])
    assert PLATFORM.alike_keys(latin1.run, keys) == (keys[0],)


def test_the_buckets_of_one_scan_are_the_partitions(source: Source) -> None:
    source.execute("CREATE TABLE t (a int, b text, payload numeric)")
    chance = random.Random(7)
    rows = [
        (
            chance.choice([None, *range(20)]),
            chance.choice([None, "é", *(chr(97 + chance.randrange(26)) for _ in range(9))]),
            chance.random(),
        )
        for _ in range(3000)
    ]
    with source.connection.cursor() as cursor:
        execute_values(cursor, "INSERT INTO t VALUES %s", rows, page_size=3000)
    table = source.table("t")
    parts = PLATFORM.partition_by_value(source.run, table, _keys(source, table, ["a", "b"]), None, 12).partitions
    assert len(parts) > 8
    columns = [
        CanonicalColumn("a", '"a"', integer(32), CanonicalType(CanonicalKind.NUMBER), native="integer"),
        CanonicalColumn("b", '"b"', TEXT, CanonicalType(CanonicalKind.TEXT), native="text"),
    ]
    platform = PLATFORM.canonical_sql(source.run)
    number = number_of([part.below for part in parts if part.below is not None], parts[-1].predicate)
    found = {
        row["bucket"]: (row["row_count"], row["high"], row["low"])
        for row in source.run(platform.bucket_query('"t"', columns, ListedBuckets(number), None))
    }
    whole = source.run(platform.total_query('"t"', columns, None))[0]
    for place, part in enumerate(parts):
        row = source.run(platform.total_query('"t"', columns, part.predicate))[0]
        assert found.pop(place) == (row["row_count"], row["high"], row["low"])
        for name in whole:
            whole[name] -= row[name]  # type: ignore[index, operator]
    assert not found
    assert set(whole.values()) == {0}


@pytest.mark.parametrize("deepest", [None, 2, 4])
@pytest.mark.parametrize("ranges", [*range(1, 9), 40])
def test_the_number_of_a_range_is_its_place(ranges: int, deepest: int | None) -> None:
    conditions = [f"k < {10 * place}" for place in range(1, ranges)]
    number = number_of(conditions, "k IS NULL", deepest)
    with duckdb.connect() as connection:
        for place in range(ranges):
            assert connection.execute(f"SELECT {number} FROM (SELECT {10 * place + 5} AS k)").fetchall() == [(place,)]
        assert connection.execute(f"SELECT {number} FROM (SELECT NULL::INT AS k)").fetchall() == [(ranges,)]
    assert "NULL" not in number_of(conditions, None)
    depth = max(number[:end].count("CASE") - number[:end].count("END") for end in range(len(number)))
    assert deepest is None or depth <= deepest
