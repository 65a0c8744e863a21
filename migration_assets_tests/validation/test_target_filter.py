"""The condition on the target: written for Snowflake, asked of whatever warehouse there is."""

from __future__ import annotations

import pytest

from migration_assets.platforms.base import PlatformError, TargetColumn, TargetPlatform
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.resources.warehouses.base import TargetTable
from migration_assets.validation.target_filter import target_condition


def table(*names: str) -> TargetTable:
    return TargetTable(tuple(TargetColumn(name, "VARCHAR") for name in names), 0)


def translated(clause: str, *columns: str, platform: TargetPlatform) -> str:
    return target_condition(clause, table(*columns), platform).sql(platform.dialect)


@pytest.mark.parametrize(
    ("clause", "columns", "snowflake", "duckdb"),
    [
        ("id > 5", ("ID",), '"ID" > 5', '"ID" > 5'),
        ("ID > 5", ("id",), '"id" > 5', '"id" > 5'),
        ("id > 5", ("id", "ID"), '"ID" > 5', '"id" > 5'),
        ('"Order Date" IS NULL', ("Order Date",), '"Order Date" IS NULL', '"Order Date" IS NULL'),
        ("a = 1 OR b = 2", ("A", "B"), '"A" = 1 OR "B" = 2', '"A" = 1 OR "B" = 2'),
        ("t.a = 1", ("A",), '"T"."A" = 1', '"t"."A" = 1'),
        (
            "day >= '2020-01-01'::date",
            ("day",),
            "\"day\" >= CAST('2020-01-01' AS DATE)",
            "\"day\" >= CAST('2020-01-01' AS DATE)",
        ),
        (
            "DATEADD(day, -1, CURRENT_DATE) < d",
            ("d",),
            'DATEADD(DAY, -1, CURRENT_DATE) < "d"',
            '(CURRENT_DATE + INTERVAL (-1) DAY) < "d"',
        ),
        (
            "d = to_date('20200101', 'YYYYMMDD')",
            ("d",),
            "\"d\" = TO_DATE('20200101', 'yyyymmDD')",
            "\"d\" = CAST(STRPTIME('20200101', '%Y%m%d') AS DATE)",
        ),
    ],
)
def test_names_are_the_catalogue_s_and_the_sql_is_the_target_s(
    clause: str, columns: tuple[str, ...], snowflake: str, duckdb: str
) -> None:
    assert translated(clause, *columns, platform=Snowflake()) == snowflake
    assert translated(clause, *columns, platform=DuckDB()) == duckdb


@pytest.mark.parametrize(
    ("clause", "cure"),
    [
        ("ordred_at > 5", "the target has no column ordred_at; did you mean ORDERED_AT?"),
        ('"ordered_at" > 5', "did you mean ORDERED_AT?"),
        ("xyz = 1", "it has ID, ORDERED_AT"),
    ],
)
def test_an_unknown_column_is_named_with_a_cure(clause: str, cure: str) -> None:
    with pytest.raises(PlatformError, match="target_where_clause") as caught:
        translated(clause, "ID", "ORDERED_AT", platform=Snowflake())

    assert cure in str(caught.value)


@pytest.mark.parametrize("platform", [Snowflake(), DuckDB()], ids=["snowflake", "duckdb"])
@pytest.mark.parametrize(
    "clause", ["EXISTS (SELECT 1 FROM o WHERE o.x = 1)", "id IN (SELECT id FROM o)", "id > (SELECT MAX(id) FROM o)"]
)
def test_a_query_in_the_condition_would_read_another_state(clause: str, platform: TargetPlatform) -> None:
    with pytest.raises(PlatformError, match="another state than the one that is validated"):
        translated(clause, "id", platform=platform)


@pytest.mark.parametrize(
    ("clause", "reason"),
    [
        ("to_varchar(ts, 'YYYY') = '2020'", "'format' is not supported"),
        ("ts::varchar(4) = '2020'", "without 4"),
        ("to_timestamp(ts) > '2020-01-01'", "what TO_TIMESTAMP is in duckdb is not known"),
        ("mod(hash(ts), 7) = 0", "what HASH is in duckdb is not known"),
        ("ts:price > 3", "the path GET_PATH.* has another value there"),
        ("ts:name::varchar = 'x'", "the path GET_PATH.* has another value there"),
        ("ts['name'] = 'x'", "the path .* has another value there"),
    ],
)
def test_what_the_target_can_t_say_is_refused_with_a_cure(clause: str, reason: str) -> None:
    with pytest.raises(PlatformError, match=f"target_where_clause: .*{reason}.*use a deployment on Snowflake"):
        translated(clause, "ts", platform=DuckDB())


@pytest.mark.parametrize(
    ("clause", "sent"),
    [
        ("to_varchar(ts, 'YYYY') = '2020'", "TO_CHAR(\"ts\", 'YYYY') = '2020'"),
        ("ts::varchar(4) = '2020'", "CAST(\"ts\" AS VARCHAR(4)) = '2020'"),
        ("mod(hash(ts), 7) = 0", 'HASH("ts") % 7 = 0'),
        ("ts:price > 3", "GET_PATH(\"ts\", 'price') > 3"),
    ],
)
def test_snowflake_is_asked_what_only_it_understands(clause: str, sent: str) -> None:
    assert translated(clause, "ts", platform=Snowflake()) == sent


def test_what_the_parser_rewrites_even_for_snowflake_is_refused() -> None:
    with pytest.raises(PlatformError, match=r"would become TO_CHAR\(.*without LowerHex"):
        translated("lower(hex_encode(b)) = 'ff'", "b", platform=Snowflake())


@pytest.mark.parametrize(
    "clause",
    [
        "a BETWEEN 1 AND 2 OR a IS NULL",
        "IFF(a > 1, b, 2) = 2",
        "b ILIKE '%x%' AND NOT STARTSWITH(b, 'y')",
        "DATE_TRUNC('month', a) = '2020-01-01'",
        "YEAR(a) = 2020 AND DATEDIFF(day, a, b) > 3",
        "SUBSTR(b, 1, 2) = 'x'",
        "a::number(10, 2) = 1.25",
        "(a, b) IN ((1, 2))",
        "REGEXP_LIKE(b, 'x.*')",
    ],
)
def test_usual_conditions_pass(clause: str) -> None:
    assert translated(clause, "a", "b", platform=Snowflake())
    assert translated(clause, "a", "b", platform=DuckDB())
