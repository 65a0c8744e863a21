"""Metrics: the query that every platform understands, its answer in one form, and what counts as equal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from math import inf, nan

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from migration_assets.platforms import types
from migration_assets.platforms.measures import Measures
from migration_assets.platforms.sqlserver.measures import SQLServerMeasures
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.validation.levels.column_metrics import (
    MetricColumn,
    MetricDifference,
    compare_metrics,
    in_parts,
    metrics_query,
    read_metrics,
)
from migration_assets.validation.results import Value

EXACT = Context(prec=100)
TABLE = exp.Table(this=exp.to_identifier("My Table", quoted=True), db=exp.to_identifier("S", quoted=True))
KINDS = {
    "boolean": types.BOOLEAN,
    "integer": types.integer(64),
    "decimal": types.decimal(38, 10),
    "float": types.floating(32),
    "text": types.TEXT,
    "binary": types.BINARY,
    "date": types.DATE,
    "time": types.temporal(Kind.TIME),
    "timestamp": types.temporal(Kind.TIMESTAMP),
    "timestamp_tz": types.temporal(Kind.TIMESTAMP_TZ),
    "json": types.JSON,
    "uuid": types.UUID,
}
MEASURED = {
    "boolean": ["count", "min", "max", "sum"],
    "integer": ["count", "min", "max", "sum"],
    "decimal": ["count", "min", "max", "sum"],
    "float": ["count", "min", "max", "sum"],
    "text": ["count", "min", "max", "sum"],
    "binary": ["count", "min", "max", "sum"],
    "date": ["count", "min", "max"],
    "time": ["count", "min", "max"],
    "timestamp": ["count", "min", "max"],
    "timestamp_tz": ["count", "min", "max"],
    "json": ["count"],
    "uuid": ["count"],
}


def test_the_cases_cover_every_kind() -> None:
    assert {kind.kind for kind in KINDS.values()} == set(Kind)


POSTGRESQL = Measures("postgres", sums_any_digits=True)
ALL_MEASURES = [POSTGRESQL, Measures("duckdb"), Measures("snowflake")]


@pytest.mark.parametrize("measures", ALL_MEASURES, ids=lambda measures: measures.dialect)
def test_the_query_is_read_back_as_it_was_meant(measures: Measures) -> None:
    columns = [MetricColumn(name, kind, f'"{name}"') for name, kind in KINDS.items()]
    dialect = measures.dialect

    text = metrics_query(TABLE, columns, '"integer" > 1 OR "text" = \'x\'', measures).sql(dialect=dialect)

    read = sqlglot.parse_one(text, dialect=dialect)
    assert read.sql(dialect=dialect) == text
    assert isinstance(read, exp.Select)
    sums = {"decimal": ["count", "min", "max", "sum_high", "sum_low"]} if not measures.sums_any_digits else {}
    names = [output.alias for output in read.expressions]
    assert names == [
        "row_count",
        *(f"c{position}_{metric}" for position, name in enumerate(KINDS) for metric in (MEASURED | sums)[name]),
    ]
    assert text.endswith("""WHERE ("integer" > 1 OR "text" = 'x')""")


def test_the_query_of_no_columns_counts() -> None:
    assert metrics_query(TABLE, [], None, POSTGRESQL).sql(dialect="postgres") == (
        'SELECT COUNT(*) AS row_count FROM "S"."My Table"'
    )


@pytest.mark.parametrize(("columns", "sizes"), [(0, [0]), (1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3])])
def test_columns_come_in_as_many_parts_as_they_need(columns: int, sizes: list[int]) -> None:
    wanted = list(range(columns))

    parts = in_parts(wanted, 3)

    assert [len(part) for part in parts] == sizes
    assert [column for part in parts for column in part] == wanted


def test_the_largest_part_has_fewer_columns_than_postgresql_allows() -> None:
    column = MetricColumn("x", types.TEXT, '"x"', counts_empty=True, counts_distinct=True)

    query = metrics_query(TABLE, in_parts([column] * 1000)[0], None, POSTGRESQL)

    assert len(query.expressions) <= 1664


# -- sums of long numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (types.decimal(28, 0), ["sum"]),
        (types.decimal(28, 28), ["sum"]),
        (types.integer(64), ["sum"]),
        (types.decimal(29, 0), ["sum_e15", "sum_low"]),
        (types.decimal(38, 9), ["sum_e15", "sum_low"]),
        (types.decimal(38, 10), ["sum_high", "sum_low"]),
    ],
)
@pytest.mark.parametrize("measures", [*ALL_MEASURES[1:], SQLServerMeasures()], ids=lambda measures: measures.dialect)
def test_numbers_whose_sum_may_be_too_long_are_summed_up_in_parts(
    kind: ColumnType, parts: list[str], measures: Measures
) -> None:
    column = MetricColumn("x", kind, '"x"')

    def sums(measures: Measures) -> list[str]:
        query = metrics_query(TABLE, [column], None, measures)
        return [name.removeprefix("c0_") for name in query.named_selects if "sum" in name]

    assert sums(measures) == parts
    assert sums(POSTGRESQL) == ["sum"]


@pytest.mark.parametrize("precision", [29, 38])
@pytest.mark.parametrize("scale", [*range(0, 29, 4), 9, 10, 19, 29, 33, 37, 38])
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_in_parts_are_exact(precision: int, scale: int, sign: int) -> None:
    if scale > precision:
        pytest.skip("more digits after the point than there are")
    numbers = [
        sign * number for number in (10**precision - 1, 10**precision - 2, int("1234567890" * 4) % 10**precision)
    ]
    kind = f"DECIMAL({precision}, {scale})"
    column = MetricColumn("x", types.decimal(precision, scale), '"x"')
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t (x {kind})")
        rows = [[f"{Decimal(number).scaleb(-scale, EXACT):f}"] for number in [*numbers, *numbers, -sign]]
        connection.executemany("INSERT INTO t VALUES (?)", rows)
        query = metrics_query(exp.to_table("t"), [column], None, Measures("duckdb")).sql(dialect="duckdb")
        (row,) = connection.sql(query).to_arrow_table().to_pylist()

    total = read_metrics(row, [column])["x"]["sum"]

    assert Decimal(str(total)) == Decimal(2 * sum(numbers) - sign).scaleb(-scale, EXACT)


def test_without_values_there_is_no_sum() -> None:
    column = MetricColumn("x", types.decimal(38, 0), "x")

    row = {"row_count": 1, "c0_count": 0, "c0_sum_e15": None, "c0_sum_low": None}

    assert read_metrics(row, [column])["x"] == {"count": 0, "sum": None}


# -- reading ------------------------------------------------------------------------------------

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", 7, 7),
        ("integer", Decimal(7), "7"),
        ("integer", None, None),
        ("decimal", Decimal("1.500"), "1.5"),
        ("decimal", Decimal("-0.00"), "0"),
        ("decimal", Decimal("1E+2"), "100"),
        ("decimal", Decimal("100"), "100"),
        ("decimal", Decimal("1E-10"), "0.0000000001"),
        ("decimal", Decimal("9" * 60), "9" * 60),
        ("decimal", Decimal("9" * 40 + "." + "9" * 20 + "00"), "9" * 40 + "." + "9" * 20),
        ("decimal", Decimal("-" + "9" * 38), "-" + "9" * 38),
        ("float", Decimal("NaN"), "nan"),
        ("float", nan, "nan"),
        ("float", inf, "inf"),
        ("float", -inf, "-inf"),
        ("float", 0.1, 0.1),
        ("date", date(1, 1, 1), "0001-01-01"),
        ("time", time(23, 59, 59, 999_999), "23:59:59.999999"),
        ("timestamp", NOON.replace(tzinfo=None), "2024-05-01T12:00:00"),
        ("date", "infinity", "infinity"),
        ("date", "2024-05-01", "2024-05-01"),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("date", "10000-01-01", "10000-01-01"),
        ("timestamp", "-infinity", "-infinity"),
        ("timestamp", "2024-05-01 12:00:00", "2024-05-01T12:00:00"),
        ("timestamp", "2024-05-01", "2024-05-01T00:00:00"),
        ("timestamp", "0044-03-15 12:00:00.5 BC", "0044-03-15T12:00:00.500000 BC"),
        ("timestamp", "10000-01-01 12:00:00.000001", "10000-01-01T12:00:00.000001"),
        ("timestamp_tz", "infinity", "infinity"),
        ("timestamp_tz", "0044-03-15 12:00:00+00 BC", "0044-03-15T12:00:00+00:00 BC"),
        ("timestamp_tz", "0044-03-15 12:00:00 BC", "0044-03-15T12:00:00+00:00 BC"),
        ("timestamp_tz", "10000-01-01", "10000-01-01T00:00:00+00:00"),
        ("timestamp_tz", "2024-05-01T12:00:00+00:00", "2024-05-01T12:00:00+00:00"),
        ("text", "2024-05-01 12:00:00", "2024-05-01 12:00:00"),
        ("timestamp_tz", NOON.replace(tzinfo=None), "2024-05-01T12:00:00+00:00"),
        ("timestamp_tz", NOON.astimezone(timezone(timedelta(hours=5))), "2024-05-01T12:00:00+00:00"),
    ],
)
def test_a_value_has_one_form(kind: str, value: object, expected: object) -> None:
    column = MetricColumn("x", KINDS[kind], "x")

    metrics = read_metrics({"ROW_COUNT": 3, "C0_MAX": value}, [column])

    assert metrics == {"": {"row_count": 3}, "x": {"max": expected}}
    json.dumps(metrics, allow_nan=False)


def test_the_tenth_column_is_not_taken_for_the_first() -> None:
    columns = [MetricColumn(f"n{position}", types.JSON, "x") for position in range(11)]

    metrics = read_metrics({"row_count": 1, **{f"c{position}_count": position for position in range(11)}}, columns)

    assert [metrics[f"n{position}"] for position in range(11)] == [{"count": position} for position in range(11)]


# -- comparing ----------------------------------------------------------------------------------


def differences(
    kind: ColumnType, source: Mapping[str, Value], target: Mapping[str, Value]
) -> list[tuple[str, Value, Value]]:
    found = compare_metrics({"x": source}, {"x": target}, {"x": kind})
    assert all(difference.column == "x" for difference in found)
    return [(difference.metric, difference.source, difference.target) for difference in found]


@pytest.mark.parametrize(
    ("source", "target"),
    [(7, 7), (7, "7"), ("7.0", 7), (None, None), ("nan", "nan"), (0.0, -0.0), ("1.5", 1.5), (0, "0"), (7, 7.0)],
)
def test_equal_values_of_two_forms_are_equal(source: Value, target: Value) -> None:
    assert differences(KINDS["decimal"], {"max": source}, {"max": target}) == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (7, 8),
        (None, 0),
        (0, None),
        ("nan", None),
        ("nan", "inf"),
        ("inf", "-inf"),
        ("nan", 0.0),
        ("2024-01-01", "2024-01-02"),
        ("9" * 38, "9" * 37 + "8"),
        (2**63 - 1, 2**63 - 2),
        ("0.1", "0.1000000001"),
        (0.1, 0.1 + 2e-17 * 2),
    ],
)
def test_other_values_are_different(source: Value, target: Value) -> None:
    assert differences(KINDS["decimal"], {"max": source}, {"max": target}) == [("max", source, target)]


@pytest.mark.parametrize(
    ("source", "target", "equal"),
    [
        (1.0, 1.0 + 1e-9, True),
        (1.0, 1.0 + 1e-6, False),
        (0.0, 1e-9, True),
        (0.0, 1e-6, False),
        (1e300, 1e300 * (1 + 1e-12), False),
        ("nan", "nan", True),
        ("nan", 1.0, False),
        ("inf", "inf", True),
        (None, None, True),
        (1.0, None, False),
    ],
)
def test_a_sum_of_floats_may_differ_by_what_another_order_makes(source: Value, target: Value, equal: bool) -> None:
    # Four values between -1 and 1: their sum may be small although they are not.
    around: dict[str, Value] = {"count": 4, "min": -1.0, "max": 1.0}

    found = differences(KINDS["float"], {**around, "sum": source}, {**around, "sum": target})

    assert (found == []) is equal


def test_only_sums_of_floats_may_differ() -> None:
    source: dict[str, Value] = {"count": 4, "min": -1.0, "max": 1.0, "sum": 1.0}
    target: dict[str, Value] = {"count": 4, "min": -1.0, "max": 1.0 + 1e-12, "sum": 1.0 + 1e-12}

    assert [metric for metric, _, _ in differences(KINDS["float"], source, target)] == ["max"]
    assert [metric for metric, _, _ in differences(KINDS["decimal"], source, target)] == ["max", "sum"]


def test_a_sum_of_infinities_is_compared_as_text() -> None:
    source: dict[str, Value] = {"count": 2, "min": "-inf", "max": "inf", "sum": "nan"}

    assert differences(KINDS["float"], source, dict(source)) == []
    assert differences(KINDS["float"], source, {**source, "sum": 1.0}) == [("sum", "nan", 1.0)]


def test_differences_come_in_the_order_of_the_columns() -> None:
    source: dict[str, dict[str, Value]] = {"": {"row_count": 1}, "b": {"count": 1}, "a": {"count": 1}}
    target: dict[str, dict[str, Value]] = {"a": {"count": 3}, "b": {"count": 2}, "": {"row_count": 2}}

    assert compare_metrics(source, target, {}) == [
        MetricDifference("", "row_count", 1, 2),
        MetricDifference("b", "count", 1, 2),
        MetricDifference("a", "count", 1, 3),
    ]
