"""Watermarks keep every digit, and consecutive ranges of them lose no row and have none twice."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from migration_assets.platforms.base import PlatformError, SourceColumn
from migration_assets_tests.platforms.postgresql.source import PLATFORM, Source


def _column(source: Source, name: str = "w") -> SourceColumn:
    return source.table("t").column(name)


def _watermark(source: Source, where: str | None = None) -> dict[str, Any]:
    return dict(source.run(PLATFORM.watermark_query(source.name("t"), _column(source), where))[0])


def _ids(source: Source, *conditions: str) -> list[int]:
    rows = source.run(f"SELECT id FROM t WHERE {' AND '.join(conditions)} ORDER BY id")
    return [int(str(row["id"])) for row in rows]


_MOMENTS = ["2024-10-27 02:30:00.000001+02", "2024-10-27 02:30:00.000001+01", "2024-10-27 02:30:00.000002+01"]


def test_sessions_of_every_zone_read_the_same_rows(source: Source) -> None:
    source.execute("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, w timestamptz)")
    low: str | None = None
    for number, value in enumerate(_MOMENTS):
        source.execute(f"SET TimeZone = 'America/New_York'; INSERT INTO t (w) VALUES ('{value}'); SET TimeZone = 'UTC'")
        column, high = _column(source), _watermark(source)["high"]
        conditions = [PLATFORM.up_to(column, high), *([] if low is None else [PLATFORM.after(column, low)])]
        assert _ids(source, *conditions) == [number + 1]
        # The text names its offset.
        source.execute("SET TimeZone = 'Asia/Kolkata'")
        assert _ids(source, *conditions) == [number + 1]
        low = high


def test_an_instant_is_written_in_utc(source: Source) -> None:
    source.execute("CREATE TABLE t (id int, w timestamptz); INSERT INTO t VALUES (1, '2024-10-27 02:30:00.000001+02')")
    assert _watermark(source)["high"] == "2024-10-27 00:30:00.000001+00"


@pytest.mark.parametrize("null", ["", "NOT NULL"])
@pytest.mark.parametrize(
    "native", ["bigint", "timestamptz", "uuid", "text", "numeric", "smallint", "real", "date", "xid8"]
)
def test_an_index_serves_a_watermark_and_its_ranges(source: Source, native: str, null: str) -> None:
    values = {
        "timestamptz": "now() + i * interval '1 s'",
        "date": "date '1900-01-01' + i",
        "uuid": "md5(i::text)::uuid",
        "xid8": "i::text::xid8",
        "smallint": "i",
        "real": "i",
    }
    source.execute(
        f"CREATE TABLE t (id int, w {native} {null}, payload text);"
        f"INSERT INTO t SELECT i, {values.get(native, f'i::{native}')}, repeat('x', 200)"
        f" FROM generate_series(1, 9000) i;"
        f"CREATE INDEX ON t (w); ANALYZE t"
    )
    high = _watermark(source)["high"]
    column = _column(source)
    for query in (
        PLATFORM.watermark_query(source.name("t"), column, None),
        PLATFORM.count_query(
            source.name("t"), f"{PLATFORM.after(column, high)} AND {PLATFORM.up_to(column, high)}", None
        ),
    ):
        plan = json.dumps(source.value(f"EXPLAIN (FORMAT JSON) {query}"))
        assert "Index" in plan
        assert "Seq Scan" not in plan


_LOOKBACKS: list[tuple[str, str, timedelta | Decimal, str]] = [
    ("smallint", "7", Decimal("2.5"), "4"),
    ("smallint", "-32760", Decimal(100), "-32768"),
    ("bigint", "9223372036854775807", Decimal(1), "9223372036854775806"),
    ("bigint", "-9223372036854775808", Decimal("1e3"), "-9223372036854775808"),
    ("xid8", "18446744073709551615", Decimal(15), "18446744073709551600"),
    ("oid", "5", Decimal(9), "0"),
    (
        "numeric(38,10)",
        "1234567890123456789012345678.0123456789",
        Decimal("0.0000000001"),
        "1234567890123456789012345678.0123456788",
    ),
    ("date", "2024-03-01", timedelta(days=1), "2024-02-29"),
    ("date", "2024-03-01", timedelta(hours=1), "2024-02-29"),
    ("date", "2024-03-01", timedelta(days=1, microseconds=1), "2024-02-28"),
    ("date", "2024-03-01", timedelta(0), "2024-03-01"),
    (
        "timestamp",
        "2024-03-01 00:00:00.000001",
        timedelta(days=400, seconds=5, microseconds=2),
        "2023-01-25 23:59:54.999999",
    ),
    ("timestamp(0)", "2024-03-01 00:00:00", timedelta(milliseconds=500), "2024-02-29 23:59:59.5"),
    ("timestamptz", "2024-03-31 12:00:00+00", timedelta(days=1), "2024-03-30 12:00:00+00"),
    ("double precision", "1", Decimal("0.9"), "0.09999999999999999"),
    ("double precision", "0.30000000000000004", Decimal(0), "0.30000000000000004"),
    ("real", "1", Decimal("0.5"), "0.5"),
]


@pytest.mark.parametrize(("native", "low", "lookback", "expected"), _LOOKBACKS)
def test_a_lookback_goes_back_in_the_type_of_the_column(
    source: Source, native: str, low: str, lookback: timedelta | Decimal, expected: str
) -> None:
    source.execute(f"CREATE TABLE t (id int, w {native})")
    column = _column(source)
    assert source.value(PLATFORM.lookback_query(column, low, lookback)) == expected
    assert _ids(source, PLATFORM.after(column, expected)) == []


@pytest.mark.parametrize("lookback", ["0.1", "0.7", "1e-9", "3.3333"])
@pytest.mark.parametrize("native", ["real", "double precision"])
def test_a_lookback_of_a_float_is_never_rounded_up(source: Source, native: str, lookback: str) -> None:
    source.execute(f"CREATE TABLE t (id int, w {native})")
    column = _column(source)
    for low in ("0.1", "1", "12345.678", "16777216", "-5.5"):
        found = source.value(PLATFORM.lookback_query(column, low, Decimal(lookback)))
        written, exact = source.run(
            f"SELECT '{found}'::{native}::float8 AS f UNION ALL SELECT '{low}'::{native}::float8"
        )
        difference = Fraction(float(str(exact["f"]))) - Fraction(float(str(written["f"])))
        most = max(abs(float(low)), float(lookback)) * 1e-6
        assert Fraction(lookback) <= difference <= Fraction(lookback) + Fraction(most)


def test_a_day_back_is_24_hours_in_every_zone(source: Source) -> None:
    source.execute("CREATE TABLE t (id int, w timestamptz); SET TimeZone = 'Europe/Berlin'")
    query = PLATFORM.lookback_query(_column(source), "2024-03-31 12:00:00+00", timedelta(days=1))
    assert source.value(query) == "2024-03-30 13:00:00+01"


@pytest.mark.parametrize(
    ("native", "lookback", "words"),
    [
        ("json", None, "its type json has no order. Choose"),
        ("xid", None, "has no order"),
        ("point[]", None, "has no order"),
        ("text", timedelta(hours=1), "nothing can be subtracted from its type text. Leave the lookback out"),
        ("uuid", Decimal(1), "nothing can be subtracted"),
        ("time", timedelta(hours=1), "nothing can be subtracted"),
        ("integer[]", Decimal(1), "nothing can be subtracted"),
        ("bigint", timedelta(hours=1), "is a duration, and its type bigint needs a number"),
        ("timestamp", Decimal(60), "is a number, and its type timestamp without time zone needs a duration"),
        ("date", timedelta(days=-1), "must not be below zero"),
        ("integer", Decimal(-1), "must not be below zero"),
        ("integer", Decimal("NaN"), "must not be below zero"),
    ],
)
def test_a_column_that_can_t_be_a_watermark_says_why(
    source: Source, native: str, lookback: timedelta | Decimal | None, words: str
) -> None:
    source.execute(f"CREATE TABLE t (id int, w {native})")
    problem = PLATFORM.watermark_problem(_column(source), lookback)
    assert problem is not None
    assert words in problem
    if lookback is not None:
        with pytest.raises(PlatformError, match="lookback"):
            PLATFORM.lookback_query(_column(source), "1", lookback)


@pytest.mark.parametrize(
    ("native", "value", "is_last"),
    [
        ("timestamptz", "infinity", True),
        ("date", "infinity", True),
        ("date", "-infinity", False),
        ("numeric", "NaN", True),
        ("double precision", "Infinity", True),
        ("real", "NaN", True),
        ("text", "infinity", False),
        ("timestamp", "2024-01-01", False),
    ],
)
def test_nothing_comes_after_infinity(source: Source, native: str, value: str, is_last: bool) -> None:
    source.execute(f"CREATE TABLE t (id int, w {native}); INSERT INTO t VALUES (1, '{value}')")
    problem = PLATFORM.high_problem(_column(source), _watermark(source)["high"])
    assert (problem is not None) is is_last
    assert problem is None or "whereClauseCriteria" in problem
