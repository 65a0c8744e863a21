"""Watermarks keep every digit, and consecutive ranges of them lose no row and have none twice."""

from __future__ import annotations

import datetime as dt
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from migration_assets.platforms.base import PlatformError, SourceColumn, TableName
from migration_assets.platforms.sqlserver import values, watermarks

NAME = TableName("d", "dbo", "t")


def column(base: str, *arguments: int, nullable: bool = True, collation: str | None = None) -> SourceColumn:
    return SourceColumn("w", base, base, nullable, type_arguments=arguments, collation=collation)


def lookback(one: SourceColumn, low: str, back: timedelta | Decimal) -> str:
    """The text that the query returns: it is computed before."""
    parsed = sqlglot.parse_one(watermarks.lookback_query(one, low, back), dialect="tsql")
    (found,) = parsed.find_all(exp.National, exp.Literal)
    return str(found.this)


_LOOKBACKS: list[tuple[SourceColumn, str, timedelta | Decimal, str]] = [
    (column("tinyint"), "7", Decimal("2.5"), "4"),
    (column("tinyint"), "7", Decimal(8), "0"),
    (column("smallint"), "-32760", Decimal(100), "-32768"),
    (column("bigint"), "9223372036854775807", Decimal(1), "9223372036854775806"),
    (column("bigint"), "-9223372036854775808", Decimal("1e3"), "-9223372036854775808"),
    (
        column("decimal", 38, 10),
        "1234567890123456789012345678.0123456789",
        Decimal("1e-10"),
        "1234567890123456789012345678.0123456788",
    ),
    (column("decimal", 5, 2), "1.00", Decimal("0.001"), "0.99"),
    (column("decimal", 5, 2), "1.00", Decimal(10**9), "-999.99"),
    (column("money"), "1.0000", Decimal("0.00001"), "0.9999"),
    (column("money"), "-922337203685477.5808", Decimal(1), "-922337203685477.5808"),
    (column("smallmoney"), "0.0000", Decimal(10**6), "-214748.3648"),
    (column("float"), "1", Decimal("0.9"), "0.09999999999999999"),
    (column("date"), "2024-03-01", timedelta(hours=1), "2024-02-29"),
    (column("date"), "2024-03-01", timedelta(days=1, microseconds=1), "2024-02-28"),
    (column("date"), "0001-01-05", timedelta(days=10), "0001-01-01"),
    (column("smalldatetime"), "2024-03-01 00:00:00", timedelta(seconds=1), "2024-02-29 23:59:00"),
    (column("smalldatetime"), "1900-01-01 00:05:00", timedelta(days=1), "1900-01-01 00:00:00"),
    (column("datetime"), "2024-03-01 00:00:00.003", timedelta(milliseconds=3), "2024-03-01 00:00:00.000"),
    (column("datetime"), "2024-03-01 00:00:00.000", timedelta(microseconds=1), "2024-02-29 23:59:59.997"),
    (column("datetime"), "1753-01-01 00:00:00.000", timedelta(days=9), "1753-01-01 00:00:00.000"),
    (column("datetime2", 0), "2024-03-01 00:00:00", timedelta(milliseconds=500), "2024-02-29 23:59:59"),
    (column("datetime2", 3), "2024-03-01 00:00:00.001", timedelta(microseconds=1), "2024-03-01 00:00:00.000"),
    (column("datetime2", 7), "2024-03-01 00:00:00.0000001", timedelta(microseconds=1), "2024-02-29 23:59:59.9999991"),
    (
        column("datetimeoffset", 7),
        "2024-03-31 12:00:00.0000000+00",
        timedelta(days=1),
        "2024-03-30 12:00:00.0000000+00",
    ),
]


@pytest.mark.parametrize(("one", "low", "back", "expected"), _LOOKBACKS)
def test_a_lookback_goes_back_in_the_type_of_the_column(
    one: SourceColumn, low: str, back: timedelta | Decimal, expected: str
) -> None:
    assert values.is_exact(one, expected)
    assert lookback(one, low, back) == expected


@given(
    thirds=st.integers(0, 300 * 86_400 * 400),
    back=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=100)),
)
def test_a_datetime_goes_back_by_whole_ticks(thirds: int, back: timedelta) -> None:
    day = dt.date(2020, 1, 1)

    def shown(count: int) -> str:
        days, rest = divmod(count, 300 * 86_400)
        seconds, ticks = divmod(rest, 300)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{day + timedelta(days=days)} {clock}.{round(ticks * 10 / 3):03}"

    expected = Fraction(thirds) - Fraction(back // timedelta(microseconds=1)) * 300 / 10**6
    assert lookback(column("datetime"), shown(thirds), back) == shown(expected.numerator // expected.denominator)


@pytest.mark.parametrize(
    ("one", "back", "words"),
    [
        (column("xml"), None, "no order in which later values are larger"),
        (column("bit"), None, "Choose a rowversion"),
        (column("uniqueidentifier"), None, "no order in which later"),
        (column("sql_variant"), None, "no order in which later"),
        (column("nvarchar", 20, collation="Latin1_General_CI_AS"), None, "Latin1_General_CI_AS holds texts for equal"),
        (column("nvarchar", collation="Latin1_General_BIN2"), None, "more than 1000 characters"),
        (column("nvarchar", 20, collation="Latin1_General_BIN2"), Decimal(1), "nothing can be subtracted"),
        (column("rowversion"), Decimal(1), "nothing can be subtracted from its type rowversion"),
        (column("time", 7), timedelta(hours=1), "nothing can be subtracted"),
        (column("bigint"), timedelta(hours=1), "is a duration, and its type bigint needs a number"),
        (column("datetime"), Decimal(60), "is a number, and its type datetime needs a duration"),
        (column("date"), timedelta(days=-1), "must not be below zero"),
        (column("int"), Decimal("NaN"), "must not be below zero"),
    ],
)
def test_a_column_that_can_t_be_a_watermark_says_why(
    one: SourceColumn, back: timedelta | Decimal | None, words: str
) -> None:
    problem = watermarks.watermark_problem(one, back)
    assert problem is not None
    assert words in problem
    if back is not None:
        with pytest.raises(PlatformError, match="lookback"):
            watermarks.lookback_query(one, "1", back)


@pytest.mark.parametrize(
    ("one", "high", "is_last"),
    [
        (column("datetime2", 7), "9999-12-31 00:00:00.0000000", True),
        (column("date"), "9999-12-31", True),
        (column("smalldatetime"), "2079-06-06 23:59:00", True),
        (column("datetime"), "2079-06-06 00:00:00.000", False),
        (column("date"), "9999-12-30", False),
        (column("nvarchar", 30, collation="Latin1_General_BIN2"), "9999-12-31", False),
        (column("bigint"), "9223372036854775807", False),
    ],
)
def test_nothing_comes_after_the_last_day(one: SourceColumn, high: str, is_last: bool) -> None:
    problem = watermarks.high_problem(one, high)
    assert (problem is not None) is is_last
    assert problem is None or "whereClauseCriteria" in problem


@pytest.mark.parametrize("half", ["a\ud83d", "a\0"])
def test_a_text_that_no_statement_holds_is_no_watermark(half: str) -> None:
    problem = watermarks.high_problem(column("nvarchar", 30, collation="Latin1_General_BIN2"), half)
    assert problem is not None
    assert "surrogate" in problem


def test_a_rowversion_of_an_open_transaction_is_no_watermark() -> None:
    query = watermarks.watermark_query(NAME, column("rowversion", nullable=False), None)
    assert query.index("MIN_ACTIVE_ROWVERSION()") < query.index("SELECT")
    # A replica doesn't know them: an error there, and nowhere else.
    assert "SOURCE_SQLSERVER_APPLICATION_INTENT=ReadWrite. The database is ' + DB_NAME() AS int) END" in query
    assert "Updateability" not in watermarks.watermark_query(NAME, column("bigint", nullable=False), None)
    assert "[w] < @open" in query
    assert watermarks.watermark_problem(column("rowversion"), None) is None
