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
            "id IN (SELECT o.id FROM other AS o WHERE o.flag)",
            ("Id",),
            '"Id" IN (SELECT "O"."Id" FROM "OTHER" AS "O" WHERE "O"."FLAG")',
            '"Id" IN (SELECT "o"."Id" FROM "other" AS "o" WHERE "o"."flag")',
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


def test_a_query_in_the_condition_may_have_columns_of_its_own() -> None:
    assert translated("EXISTS (SELECT 1 FROM o WHERE o.x = 1)", "a", platform=Snowflake()) == (
        'EXISTS(SELECT 1 FROM "O" WHERE "O"."X" = 1)'
    )
