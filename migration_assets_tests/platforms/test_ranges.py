"""A range is the same rows in a target, whatever the key's types; each target gets it in its own dialect."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import duckdb
import pytest
from sqlglot import exp

from migration_assets.platforms.base import Bound
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.ranges import KeyTarget, absent, beyond, in_range, keeps_order
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import (
    DATE,
    JSON,
    TEXT,
    UUID,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
    text,
)

_UUID = "0b0e0c0a-0000-4000-8000-00000000000f"


def _columns(*types: ColumnType) -> list[KeyTarget]:
    return [(exp.column(name, quoted=True), column_type) for name, column_type in zip("abc", types, strict=False)]


_SAME_EVERYWHERE: list[tuple[ColumnType, str, str]] = [
    (integer(64), "-9223372036854775808", '"a" >= -9223372036854775808'),
    (decimal(38, 2), "-12.50", "\"a\" >= CAST('-12.50' AS DECIMAL(38, 2))"),
    (DATE, "2024-02-29", "\"a\" >= CAST('2024-02-29' AS DATE)"),
    (temporal(Kind.TIME), "23:59:59.5", "\"a\" >= CAST('23:59:59.5' AS TIME)"),
    (TEXT, "É z", "\"a\" >= 'É z'"),
    (text(36), _UUID, f"\"a\" >= '{_UUID}'"),
    (
        temporal(Kind.TIMESTAMP_TZ),
        "2024-02-29 01:02:03.000004+00",
        "\"a\" >= CAST('2024-02-29 01:02:03.000004+00:00' AS TIMESTAMPTZ)",
    ),
]
_BY_DIALECT: list[tuple[str, ColumnType, str, str]] = [
    ("duckdb", temporal(Kind.TIMESTAMP), "2024-02-29 01:02:03", "\"a\" >= CAST('2024-02-29 01:02:03' AS TIMESTAMP)"),
    (
        "snowflake",
        temporal(Kind.TIMESTAMP),
        "2024-02-29 01:02:03",
        "\"a\" >= CAST('2024-02-29 01:02:03' AS TIMESTAMPNTZ)",
    ),
    (
        "duckdb",
        temporal(Kind.TIMESTAMP, 7),
        "2024-02-29 01:02:03.1234567",
        "\"a\" >= CAST('2024-02-29 01:02:03.1234567' AS TIMESTAMP(7))",
    ),
    (
        "snowflake",
        temporal(Kind.TIMESTAMP, 7),
        "2024-02-29 01:02:03.1234567",
        "\"a\" >= CAST('2024-02-29 01:02:03.1234567' AS TIMESTAMPNTZ(7))",
    ),
    ("duckdb", UUID, _UUID, f"\"a\" >= CAST('{_UUID}' AS UUID)"),
    ("duckdb", TEXT, "it's \\ |", "\"a\" >= 'it''s \\ |'"),
    ("snowflake", TEXT, "it's \\ |", "\"a\" >= 'it\\'s \\\\ |'"),
]


@pytest.mark.parametrize(
    ("dialect", "column_type", "bound", "condition"),
    [(dialect, *case) for dialect in ("duckdb", "snowflake") for case in _SAME_EVERYWHERE] + _BY_DIALECT,
)
def test_a_bound_is_written_by_the_column_s_type(
    dialect: str, column_type: ColumnType, bound: str, condition: str
) -> None:
    found = in_range(_columns(column_type), (bound,), None)
    assert found is not None
    assert found.sql(dialect) == condition


@pytest.mark.parametrize("dialect", ["duckdb", "snowflake"])
def test_the_columns_of_a_key_are_compared_one_after_the_other(dialect: str) -> None:
    columns = _columns(integer(32), TEXT, integer(64))
    found = in_range(columns, ("1", "x", "2"), ("3", "y", "4"), nullable=False)
    assert found is not None
    assert found.sql(dialect) == (
        """("a" >= 1 AND ("a" > 1 OR ("b" >= 'x' AND ("b" > 'x' OR "c" >= 2))))"""
        """ AND ("a" <= 3 AND ("a" < 3 OR ("b" <= 'y' AND ("b" < 'y' OR "c" < 4))))"""
    )
    assert absent(columns).sql(dialect) == '"a" IS NULL OR "b" IS NULL OR "c" IS NULL'


@pytest.mark.parametrize(
    ("low", "high", "nullable", "condition"),
    [
        (None, None, False, None),
        (None, None, True, 'NOT "a" IS NULL AND NOT "b" IS NULL'),
        (("1", "2"), None, True, '("a" >= 1 AND ("a" > 1 OR "b" >= 2)) AND NOT "b" IS NULL'),
        (None, ("1", "2"), True, '("a" <= 1 AND ("a" < 1 OR "b" < 2)) AND NOT "b" IS NULL'),
    ],
)
def test_rows_without_key_are_in_no_range(
    low: Bound | None, high: Bound | None, nullable: bool, condition: str | None
) -> None:
    found = in_range(_columns(integer(32), integer(32)), low, high, nullable=nullable)
    assert (None if found is None else found.sql("duckdb")) == condition


def _selected(connection: duckdb.DuckDBPyConnection, condition: exp.Condition | None) -> list[int]:
    where = "" if condition is None else f" WHERE {condition.sql('duckdb')}"
    return [row[0] for row in connection.execute(f"SELECT i FROM t{where} ORDER BY i").fetchall()]


@pytest.mark.parametrize(
    ("types", "bounds"),
    [
        ((integer(16),), [("-3",), ("0",), ("7",)]),
        ((decimal(38, 0),), [("-99999999999999999999999999999999999999",), ("0",), ("9" * 38,)]),
        ((decimal(38, 38),), [("-0.1",), ("0",), ("0.00000000000000000000000000000000000001",)]),
        ((DATE,), [("0001-01-01",), ("1969-12-31",), ("9999-12-31",)]),
        ((temporal(Kind.TIME, 3),), [("00:00:00.001",), ("12:00:00",), ("23:59:59.999999",)]),
        ((temporal(Kind.TIMESTAMP),), [("0001-01-01 00:00:00",), ("2024-02-29 12:00:00.000001",)]),
        (
            (temporal(Kind.TIMESTAMP, 7),),
            [("2024-02-29 12:00:00.1234566",), ("2024-02-29 12:00:00.1234567",), ("2024-02-29 12:00:00.1234568",)],
        ),
        ((temporal(Kind.TIMESTAMP_TZ),), [("1999-12-31 23:59:59.999999+00",), ("2024-02-29 12:00:00+00",)]),
        ((UUID,), [("00000000-0000-0000-0000-00000000000a",), (_UUID,), ("ffffffff-ffff-ffff-ffff-fffffffffffe",)]),
        ((TEXT,), [(" ",), ("A",), ("a",), ("a ",), ("É",), ("\ud7ff",), ("\ue000",), ("\uffff",), ("😀",)]),
        ((integer(32), TEXT), [("1", "a"), ("1", "b"), ("2", "")]),
        (
            (DATE, UUID, integer(64)),
            [("2024-01-01", _UUID, "-1"), ("2024-01-01", _UUID, "5"), ("2024-01-02", _UUID, "0")],
        ),
    ],
)
def test_ranges_are_disjoint_and_cover_a_duckdb_table(types: Sequence[ColumnType], bounds: Sequence[Bound]) -> None:
    """Each bound is a row; it begins its range. Each has a row with a NULL beside it."""
    columns = _columns(*types)
    with duckdb.connect() as connection:
        # The target's session may have any zone: the bounds name theirs.
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        named = ", ".join(f"{column.sql('duckdb')} {DuckDB().ddl_type(type_)}" for column, type_ in columns)
        connection.execute(f"CREATE TABLE t (i INTEGER, {named})")
        for number, bound in enumerate(bounds):
            connection.execute(f"INSERT INTO t VALUES (?{', ?' * len(bound)})", [number, *bound])
        for place in range(len(types)):
            row = [None if other == place else value for other, value in enumerate(bounds[-1])]
            connection.execute(f"INSERT INTO t VALUES (?{', ?' * len(row)})", [100 + place, *row])
        edges: list[Bound | None] = [None, *bounds, None]
        found = [_selected(connection, in_range(columns, *pair)) for pair in itertools.pairwise(edges)]
        assert found == [[], *([number] for number in range(len(bounds)))]
        assert _selected(connection, absent(columns)) == [100 + place for place in range(len(types))]


def test_a_column_without_ranges_and_a_bound_of_another_key_are_refused() -> None:
    with pytest.raises(ValueError, match="has no ranges"):
        in_range(_columns(JSON), ("1",), None)
    with pytest.raises(ValueError, match="2 values for 1 columns"):
        in_range(_columns(integer(32)), ("1", "2"), None)


@pytest.mark.parametrize(
    ("travels", "target", "kept"),
    [
        (integer(32), integer(64), True),
        (integer(64), decimal(38, 0), True),
        (integer(64), TEXT, False),
        (integer(64), floating(64), False),
        (decimal(10, 2), decimal(38, 2), True),
        (decimal(10, 2), decimal(10, 1), False),
        (UUID, UUID, True),
        (UUID, text(36), True),
        (TEXT, UUID, False),
        (DATE, temporal(Kind.TIMESTAMP), True),
        (temporal(Kind.TIMESTAMP), DATE, False),
        (temporal(Kind.TIMESTAMP, 6), temporal(Kind.TIMESTAMP, 3), False),
        (temporal(Kind.TIMESTAMP, 7), temporal(Kind.TIMESTAMP), False),
        (temporal(Kind.TIMESTAMP, 7), temporal(Kind.TIMESTAMP, 7), True),
        (temporal(Kind.TIME, 7), temporal(Kind.TIME, 7), False),
        (temporal(Kind.TIMESTAMP_TZ), temporal(Kind.TIMESTAMP), False),
        (JSON, JSON, False),
    ],
)
def test_a_target_column_keeps_the_order_or_not(travels: ColumnType, target: ColumnType, kept: bool) -> None:
    assert keeps_order(travels, target) is kept


@pytest.mark.parametrize("target", [DuckDB(), Snowflake()])
@pytest.mark.parametrize(
    "travels",
    [
        *(integer(64), decimal(38, 4), TEXT, text(10), UUID, DATE),
        *(temporal(kind, 3) for kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)),
    ],
)
def test_the_columns_that_targets_make_keep_the_order(travels: ColumnType, target: DuckDB | Snowflake) -> None:
    assert keeps_order(travels, target.parse_type(target.ddl_type(travels)))


def test_rows_above_a_watermark_are_told_by_100_ns() -> None:
    (column,) = _columns(temporal(Kind.TIMESTAMP, 7))
    with duckdb.connect() as connection:
        connection.execute('CREATE TABLE t (i INTEGER, "a" TIMESTAMP_NS)')
        for number in range(3):
            connection.execute("INSERT INTO t VALUES (?, ?)", [number, f"2024-02-29 12:00:00.123456{number}"])
        mark = "2024-02-29 12:00:00.1234561"
        assert _selected(connection, beyond(column, mark, inclusive=False)) == [2]
        assert _selected(connection, beyond(column, mark, inclusive=True)) == [1, 2]
