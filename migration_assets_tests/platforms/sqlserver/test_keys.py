"""Partitions of a key are disjoint and cover every row, whatever it is; those of values are the same in a target."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from migration_assets.platforms.base import KeyColumn, Partition, Partitioning, PlatformError, SourceTable
from migration_assets.platforms.canonical_sql import number_of
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.ranges import absent, in_range
from migration_assets.platforms.sqlserver import sql
from migration_assets.platforms.sqlserver.catalogue import estimate_rows
from migration_assets.platforms.sqlserver.key_parts import alike_keys
from migration_assets.platforms.sqlserver.keys import partition_by_key, partition_by_value, split_by_value
from migration_assets.platforms.sqlserver.locations import partition_by_location
from migration_assets.platforms.sqlserver.types import map_column
from migration_assets.platforms.types import TEXT, ColumnType, Kind, decimal, temporal
from migration_assets_tests.platforms.sqlserver.key_source import KeySource

_SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_LETTERS = "aAbBzZéÉß'\"\\|%{}[] \n"


def _text(value: str) -> str:
    return sql.literal(value)


def _words(letters: str = _LETTERS, most: int = 4) -> st.SearchStrategy[str]:
    return st.text(letters, max_size=most).map(_text)


def _cast(values: st.SearchStrategy[Any], native: str) -> st.SearchStrategy[str]:
    return values.map(lambda value: f"CAST('{value}' AS {native})")


def _fraction(value: Any, digits: int) -> str:
    """An ISO time with so many digits of its fraction."""
    whole, _, fraction = value.isoformat().partition(".")
    return f"{whole}.{fraction.ljust(6, '0')[:digits]}" if digits else str(whole)


_STAMPS = st.datetimes(min_value=dt.datetime.fromisoformat("1753-01-01"))
_ZONES = st.sampled_from(["-11:00", "+00:00", "+05:30", "+13:45"])
_VALUES: dict[str, st.SearchStrategy[str]] = {
    "tinyint": st.integers(0, 255).map(str),
    "smallint": st.integers(-5, 5).map(str),
    "int": st.one_of(st.integers(-5, 5), st.integers(-(2**31), 2**31 - 1)).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "bit": st.sampled_from("01"),
    "decimal(10,2)": st.decimals(-(10**6), 10**6, places=2).map(str),
    "numeric(38,0)": st.integers(-(10**37), 10**37).map(str),
    "money": st.decimals(-(10**6), 10**6, places=4).map(str),
    "smallmoney": st.decimals(-200, 200, places=4).map(str),
    "float": _cast(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False).map(repr), "float"),
    "real": _cast(st.integers(-(10**6), 10**6).map(lambda value: value / 8), "real"),
    "date": _cast(st.dates(), "date"),
    "time(6)": _cast(st.times().map(lambda value: _fraction(value, 6)), "time(6)"),
    "smalldatetime": _cast(
        st.integers(0, 10**6).map(lambda n: f"20{n % 79:02}-01-01T{n % 24:02}:{n % 60:02}:00"), "smalldatetime"
    ),
    "datetime": _cast(_STAMPS.map(lambda value: _fraction(value, 3)), "datetime"),
    "datetime2(6)": _cast(st.datetimes().map(lambda value: _fraction(value, 6)), "datetime2(6)"),
    "datetime2(0)": _cast(st.datetimes().map(lambda value: _fraction(value, 0)), "datetime2(0)"),
    "datetimeoffset(6)": st.tuples(_STAMPS, _ZONES).map(
        lambda pair: f"CAST('{_fraction(pair[0], 6)}{pair[1]}' AS datetimeoffset(6))"
    ),
    "uniqueidentifier": _cast(st.uuids(), "uniqueidentifier"),
    "char(4)": _words("aAbé '\\"),
    "varchar(10)": _words(),
    "nchar(4)": _words("aAé '\\"),
    "nvarchar(10)": _words(_LETTERS + "漢😀\ue000"),
    "nvarchar(max)": _words(),
    "varchar(10) COLLATE Latin1_General_CI_AS": _words("aAbBéÉ "),
    "nvarchar(10) COLLATE Latin1_General_CI_AI": _words("aAbBéÉ "),
    "nvarchar(10) COLLATE Latin1_General_BIN2": _words(),
    "binary(3)": st.binary(min_size=3, max_size=3).map(lambda value: f"0x{value.hex()}"),
    "varbinary(4)": st.binary(max_size=4).map(lambda value: f"0x{value.hex()}"),
}

Row = tuple[str | None, ...]


@st.composite
def _tables(draw: st.DrawFn) -> tuple[list[str], list[Row]]:
    """Types of the key columns, and rows with NULLs and duplicates."""
    types = draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=3))
    value = st.tuples(*(st.one_of(st.none(), _VALUES[native], _VALUES[native]) for native in types))
    distinct = draw(st.lists(value, max_size=20))
    return types, [row for row in distinct for _ in range(draw(st.sampled_from([1, 1, 1, 2, 30])))]


@pytest.fixture(scope="module")
def opened() -> Iterator[KeySource]:
    with KeySource.open() as session:
        yield session


@pytest.fixture
def source(opened: KeySource) -> KeySource:
    opened.statements.clear()
    return opened


def _create(source: KeySource, types: Sequence[str], rows: Sequence[Row], *then: str) -> tuple[SourceTable, list[str]]:
    names = [f"k{number}" for number in range(1, len(types) + 1)]
    columns = ", ".join(f"{name} {native}" for name, native in zip(names, types, strict=True))
    return source.create(
        "t", f"i int NOT NULL, {columns}", [(str(i), *row) for i, row in enumerate(rows)], *then
    ), names


def _check(source: KeySource, plan: Partitioning, rows: int, where: str | None = None) -> list[int]:
    """Each row is in exactly one partition; returns the partitions' rows."""
    members = source.members("t", plan.partitions, where)
    assert sorted(itertools.chain(*members)) == sorted(set(itertools.chain(*members)))
    assert sum(map(len, members)) == rows
    return [len(found) for found in members]


@settings(_SETTINGS, max_examples=60)
@given(table=_tables(), count=st.integers(1, 6), max_rows=st.one_of(st.none(), st.integers(1, 12)))
def test_every_row_is_in_exactly_one_partition(
    source: KeySource, table: tuple[list[str], list[Row]], count: int, max_rows: int | None
) -> None:
    described, names = _create(source, *table)
    rows = table[1]
    plan = partition_by_key(source.run, described, names, None, count, max_rows)
    sizes = _check(source, plan, len(rows))
    if max_rows is None:
        return
    assert [part.rows for part in plan.partitions] == sizes or not rows
    for part, size in zip(plan.partitions, sizes, strict=True):
        if size > max_rows:
            # Only one key value, or no key at all, may have more rows.
            found = source.run(
                f"SELECT COUNT(*) AS keys FROM t WHERE {part.predicate or '1 = 1'} GROUP BY {', '.join(names)}"
            )
            assert len(found) == 1 or "is null" in part.description


@pytest.mark.parametrize("native", sorted(_VALUES))
@pytest.mark.parametrize("index", [False, True])
@settings(_SETTINGS, max_examples=3)
@given(data=st.data())
def test_keys_of_every_type_are_divided(source: KeySource, native: str, index: bool, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(_VALUES[native]), min_size=25, max_size=40))
    indexed = index and "max" not in native
    then = ["CREATE INDEX x ON t (k1)"] if indexed else []
    described, names = _create(source, [native], [*rows, (None,)], *then)
    plan = partition_by_key(source.run, described, names, None, 10)
    _check(source, plan, len(rows) + 1)
    assert bool(plan.notes) is (not indexed and len(plan.partitions) > 2)
    distinct = source.value("SELECT COUNT(*) AS n FROM (SELECT k1 FROM t WHERE k1 IS NOT NULL GROUP BY k1) AS d")
    assert len(plan.partitions) >= min(distinct, 5)
    limited = partition_by_key(source.run, described, names, None, 2, 4)
    assert _check(source, limited, len(rows) + 1) == [part.rows for part in limited.partitions]


_MANY: dict[str, tuple[list[str], str]] = {
    "unique": (["int"], "{i}"),
    "guid": (["uniqueidentifier"], "CAST('{h}' AS uniqueidentifier)"),
    "text": (["nvarchar(20) COLLATE Latin1_General_CI_AI"], "N'{h}'"),
    "composite": (["int", "int"], "{m}, {i}"),
    "skewed": (["int"], "{s}"),
    "all equal": (["int"], "1"),
    "mostly null": (["int"], "{n}"),
}


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("case", sorted(_MANY))
def test_ranges_have_at_most_max_rows_where_duplicates_allow_it(source: KeySource, case: str, index: bool) -> None:
    rows, max_rows = 6_000, 500
    types, template = _MANY[case]
    values = [
        (
            template.format(
                i=i,
                h=f"{i * 2654435761 % 2**32:08x}-0000-4000-8000-{i:012d}"[: 36 if case == "guid" else 8],
                m=i % 7,
                s=7 if i % 2 == 0 else i,
                n=i if i % 3 == 0 else "NULL",
            ),
        )
        for i in range(rows)
    ]
    keys = ", ".join(f"k{number}" for number in range(1, len(types) + 1))
    described, names = _create(source, types, values, *([f"CREATE INDEX x ON t ({keys})"] if index else []))
    plan = partition_by_key(source.run, described, names, None, 4, max_rows)
    assert _check(source, plan, rows) == [part.rows for part in plan.partitions]
    large = [part for part in plan.partitions if part.rows > max_rows]
    assert len(large) == (1 if case in ("skewed", "all equal", "mostly null") else 0)
    assert len([note for note in plan.notes if "max_rows" in note]) == len(large)


def test_large_ranges_are_split_by_a_sample_of_their_own(source: KeySource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_assets.platforms.key_ranges.MOST_SAMPLED_ROWS", 300)
    monkeypatch.setattr("migration_assets.platforms.sqlserver.keys._SAMPLED_ROWS", 300)
    described, names = _create(source, ["int"], [("5" if i % 3 == 0 else str(i),) for i in range(5000)])
    plan = partition_by_key(source.run, described, names, None, 2, 200)
    sizes = sorted(_check(source, plan, 5000))
    assert sizes[-1] >= 1666
    assert sizes[-2] <= 200
    assert any("TABLESAMPLE" in statement for statement in source.statements)
    assert any("CHECKSUM(NEWID()" in statement for statement in source.statements)


def test_statements_of_many_ranges_are_taken_apart(source: KeySource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_assets.platforms.sqlserver.keys._MOST_NAMED_BOUNDS", 7)
    rows = [("NULL" if i % 50 == 0 else str(i % 40), str(i)) for i in range(1000)]
    described, names = _create(source, ["int", "int"], rows)
    plan = partition_by_key(source.run, described, names, None, 2, 30)
    assert _check(source, plan, 1000) == [part.rows for part in plan.partitions]
    assert max(part.rows for part in plan.partitions) <= 30


def test_a_dense_unique_key_is_divided_by_arithmetic(source: KeySource) -> None:
    rows = [(str(i), str(i)) for i in range(1001, 3001)]
    table = source.create("t", "i int NOT NULL, id numeric(18, 0) NOT NULL PRIMARY KEY", rows)
    plan = partition_by_key(source.run, table, ["id"], None, 4)
    assert plan.method == "arithmetic ranges"
    assert [part.description for part in plan.partitions] == [
        "id below 1501",
        "id from 1501 to 2001",
        "id from 2001 to 2501",
        "id from 2501",
    ]
    assert (
        plan.partitions[1].predicate
        == "[id] >= CAST(N'1501' AS numeric(18, 0)) AND [id] < CAST(N'2001' AS numeric(18, 0))"
    )
    assert _check(source, plan, 2000) == [500] * 4


@pytest.mark.parametrize("relation", ["t", "v"])
def test_a_filter_shapes_the_ranges_of_tables_and_views(source: KeySource, relation: str) -> None:
    source.execute("DROP VIEW IF EXISTS v")
    _create(source, ["int"], [(str(i),) for i in range(3000)], "CREATE VIEW v AS SELECT * FROM t")
    where = "k1 > 2500 OR k1 = 1 -- few"
    plan = partition_by_key(source.run, source.table(relation), ["k1"], f"{where}\n", 4)
    source.execute("DROP VIEW v")
    assert max(_check(source, plan, 500, "k1 > 2500 OR k1 = 1")) < 300


@pytest.mark.parametrize("where", [None, "k1 > 0"])
def test_an_empty_table_is_one_partition(source: KeySource, where: str | None) -> None:
    described, names = _create(source, ["int"], [])
    for plan in (
        partition_by_key(source.run, described, names, where, 8),
        partition_by_location(source.run, described, where, 8),
    ):
        assert [part.predicate for part in plan.partitions] == [None]


def test_a_key_without_order_or_literals_or_that_does_not_exist_is_refused(source: KeySource) -> None:
    described, _ = _create(source, ["xml", "sql_variant"], [])
    with pytest.raises(PlatformError, match="'k1': its type xml has no order"):
        partition_by_key(source.run, described, ["k1"], None, 2)
    with pytest.raises(PlatformError, match="'k2': values of its type sql_variant"):
        partition_by_key(source.run, described, ["k2"], None, 2)
    with pytest.raises(PlatformError, match="has no column 'k12'"):
        partition_by_key(source.run, described, ["k12"], None, 2)


def test_a_heap_is_one_partition_and_says_why(source: KeySource) -> None:
    described, _ = _create(source, ["int"], [("1",)])
    plan = partition_by_location(source.run, described, None, 4)
    assert len(plan.partitions) == 1
    assert "give it a clustered index" in plan.notes[0]


# -- values -------------------------------------------------------------------------------------------

_OVERRIDES: list[tuple[str, ColumnType]] = [
    ("int", decimal(12, 2)),
    ("decimal(10,2)", decimal(20, 4)),
    ("date", temporal(Kind.TIMESTAMP)),
    ("datetime", temporal(Kind.TIMESTAMP_TZ)),
    ("datetime2(6)", temporal(Kind.TIMESTAMP_TZ)),
    ("datetimeoffset(6)", temporal(Kind.TIMESTAMP_TZ, 6)),
    ("datetimeoffset(6)", temporal(Kind.TIMESTAMP)),
    ("int", TEXT),
]
_NOT_ALIKE = ("bit", "float", "real", "binary(3)", "varbinary(4)")


@pytest.mark.parametrize(
    ("native", "override"), [*((native, None) for native in sorted(_VALUES) if native not in _NOT_ALIKE), *_OVERRIDES]
)
@settings(_SETTINGS, max_examples=3)
@given(data=st.data())
def test_ranges_of_values_are_the_same_rows_in_a_target(
    source: KeySource, native: str, override: ColumnType | None, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.tuples(_VALUES[native]), min_size=20, max_size=40))
    _check_values(source, [(native, override)], [*rows, (None,)])


@settings(_SETTINGS, max_examples=30)
@given(table=_tables())
def test_ranges_of_composite_values_are_the_same_rows_in_a_target(
    source: KeySource, table: tuple[list[str], list[Row]]
) -> None:
    types, rows = table
    _check_values(source, [(native, None) for native in types], rows)


def _check_values(source: KeySource, types: Sequence[tuple[str, ColumnType | None]], rows: Sequence[Row]) -> None:
    described, names = _create(source, [native for native, _ in types], rows)
    keys = []
    for name, (_, override) in zip(names, types, strict=True):
        if described.column(name).base_type == "datetimeoffset":
            # DuckDB keeps no offsets.
            override = override or temporal(Kind.TIMESTAMP_TZ, 6)
        mapping = map_column(described.column(name), override)
        keys.append(KeyColumn(described.column(name), mapping.type, mapping.expression))
    keys = list(alike_keys(source.run, keys))
    if not keys:
        assert any(key in str(types) for key in ("char", "float", "real", "bit", "binary", "text"))
        return
    plan = partition_by_value(source.run, described, keys, None, 8)
    parts = plan.partitions
    members = [set(found) for found in source.members("t", parts)]
    assert sum(map(len, members)) == len(rows)
    assert [part.absent for part in parts] == [False] * (len(parts) - 1) + [True]
    target = _Target(source, keys)
    target.check(parts, members)
    number = number_of([part.below for part in parts if part.below is not None], parts[-1].predicate, sql.DEEPEST_CASE)
    for row in source.run(f"SELECT i, {number} AS number FROM t"):
        assert row["i"] in members[int(str(row["number"]))]
    largest = max(range(len(parts) - 1), key=lambda place: len(members[place]))
    part = parts[largest]
    pieces = split_by_value(source.run, described, keys, None, part.low, part.high, 3)
    assert (pieces[0].low, pieces[-1].high) == (part.low, part.high)
    split = [set(found) for found in source.members("t", pieces)]
    assert set().union(*split) == members[largest]
    assert [piece.rows for piece in pieces] == [len(found) for found in split]
    target.check(pieces, split)


class _Target:
    """The staged values of a key, in DuckDB."""

    def __init__(self, source: KeySource, keys: Sequence[KeyColumn]) -> None:
        self.columns = [(exp.column(f"k{number}"), key.type) for number, key in enumerate(keys)]
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        types = [DuckDB().ddl_type(key.type) for key in keys]
        names = ", ".join(f"k{number} {ddl_type}" for number, ddl_type in enumerate(types))
        self._connection.execute(f"CREATE TABLE t (i INTEGER, {names})")
        staged = ", ".join(f"{_staged(key)} AS k{number}" for number, key in enumerate(keys))
        casts = ", ".join(f"CAST(? AS {ddl_type})" for ddl_type in types)
        for row in source.run(f"SELECT i, {staged} FROM t"):
            values = [row["i"], *(row[f"k{number}"] for number in range(len(keys)))]
            self._connection.execute(f"INSERT INTO t SELECT ?, {casts}", values)

    def check(self, partitions: Sequence[Partition], members: Sequence[set[int]]) -> None:
        """Each partition is the same rows here as in the source."""
        for part, expected in zip(partitions, members, strict=True):
            condition = absent(self.columns) if part.absent else in_range(self.columns, part.low, part.high)
            where = "true" if condition is None else condition.sql("duckdb")
            found = {row[0] for row in self._connection.execute(f"SELECT i FROM t WHERE {where}").fetchall()}
            assert found == expected, part


def _staged(key: KeyColumn) -> str:
    """The value as text, as the stage has it."""
    value = key.expression
    if key.type.kind is Kind.TIMESTAMP_TZ:
        return f"CONVERT(varchar(27), CAST(SWITCHOFFSET({value}, '+00:00') AS datetime2(7)), 121) + '+00'"
    if key.type.kind in (Kind.TIME, Kind.TIMESTAMP, Kind.DATE):
        return f"CONVERT(varchar(27), {value}, {23 if key.type.kind is Kind.DATE else 121})"
    if key.source.base_type in ("money", "smallmoney"):
        return f"CONVERT(varchar(41), CAST({value} AS decimal(19, 4)))"
    return (
        f"RTRIM(CONVERT(nvarchar(100), {value}))"
        if "char" in key.source.base_type
        else f"CONVERT(varchar(50), {value})"
    )


def test_the_rows_of_a_view_are_counted(source: KeySource) -> None:
    source.execute("DROP VIEW IF EXISTS v")
    _create(source, ["int"], [(str(i),) for i in range(100)], "CREATE VIEW v AS SELECT * FROM t")
    assert estimate_rows(source.run, source.table("v"), "k1 < 10") == 10
    source.execute("DROP VIEW v")
