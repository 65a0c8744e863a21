"""The query that has the server print every value."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from migration_assets.platforms.base import ReadColumn, TableName
from migration_assets.platforms.sqlserver import bulk_text
from migration_assets.platforms.sqlserver.extraction import extraction_query
from migration_assets.platforms.types import Kind, decimal, temporal, text
from migration_assets_tests.resources.bulk_copy.columns import column

TEXT_OF: list[tuple[ReadColumn, str]] = [
    (column("c", "bit"), "CONVERT(varchar(20), c0)"),
    (column("c", "bigint"), "CONVERT(varchar(20), c0)"),
    (column("c", "decimal", 38, 10), "CONVERT(varchar(41), CAST(c0 AS decimal(38, 10)))"),
    (column("c", "money"), "CONVERT(varchar(41), CAST(c0 AS decimal(19, 4)))"),
    (column("c", "float", wanted=decimal(10, 2)), "CONVERT(varchar(41), CAST(c0 AS decimal(10, 2)))"),
    (column("c", "real"), "CONVERT(varchar(32), CAST(c0 AS float(53)), 3)"),
    (column("c", "date"), "CONVERT(varchar(10), c0, 23)"),
    (column("c", "time", 0), "LEFT(CONVERT(varchar(27), CAST(c0 AS time(0)), 121), 8)"),
    (column("c", "datetime2", 6), "LEFT(CONVERT(varchar(27), CAST(c0 AS datetime2(6)), 121), 26)"),
    (column("c", "smalldatetime"), "LEFT(CONVERT(varchar(27), CAST(c0 AS datetime2(0)), 121), 19)"),
    (column("c", "datetime"), "LEFT(CONVERT(varchar(27), CAST(c0 AS datetime2(3)), 121), 23)"),
    # With more digits it would show thirds of a millisecond.
    (
        column("c", "datetime", wanted=temporal(Kind.TIMESTAMP, 6)),
        "LEFT(CONVERT(varchar(27), CAST(c0 AS datetime2(3)), 121), 23)",
    ),
    (
        column("c", "datetimeoffset", 7, wanted=temporal(Kind.TIMESTAMP_TZ, 6)),
        "LEFT(CONVERT(varchar(27), CAST(c0 AS datetime2(6)), 121), 26)",
    ),
    (column("c", "datetime2", 7), "N'_' + CAST(c0 AS nvarchar(50))"),
    (column("c", "datetimeoffset", 7), "N'_' + CAST(c0 AS nvarchar(50))"),
    (column("c", "uniqueidentifier"), "N'_' + CAST(c0 AS nvarchar(50))"),
    (column("c", "nvarchar", 3999), "N'_' + CAST(c0 AS nvarchar(3999))"),
    # With the mark before it, it has 4,001 characters.
    (column("c", "nvarchar", 4000), "N'_' + CAST(c0 AS nvarchar(max))"),
    (column("c", "varchar", 8000), "N'_' + CAST(c0 AS nvarchar(max))"),
    (column("c", "nvarchar", -1), "N'_' + CAST(c0 AS nvarchar(max))"),
    # The target's length must not cut the source's.
    (column("c", "nvarchar", 50, wanted=text(10)), "N'_' + CAST(c0 AS nvarchar(50))"),
    (column("c", "xml"), "N'_' + CAST(c0 AS nvarchar(max))"),
    (column("c", "int", wanted=text(5)), "N'_' + CAST(c0 AS nvarchar(max))"),
    (column("c", "binary", 3999), "CONVERT(varchar(8000), CAST(c0 AS varbinary(max)), 1)"),
    (column("c", "varbinary", 4000), "CONVERT(varchar(max), CAST(c0 AS varbinary(max)), 1)"),
    (column("c", "rowversion"), "CONVERT(varchar(18), CAST(c0 AS varbinary(max)), 1)"),
]


@pytest.mark.parametrize(("one", "printed"), TEXT_OF, ids=[f"{c.source.native_type} as {c.type}" for c, _ in TEXT_OF])
def test_every_type_is_printed_exactly(one: ReadColumn, printed: str) -> None:
    query = bulk_text.text_query("SELECT 1", [one])

    assert query == f"SELECT {printed} FROM (SELECT 1) AS bulk_rows(c0)"


def test_the_query_is_one_select_of_a_text_per_column() -> None:
    columns = [one for one, _ in TEXT_OF]
    inner = extraction_query(TableName("shop", "dbo", "a]b"), columns, "[id] >= 5", "name = N'x'")
    parsed = sqlglot.parse_one(bulk_text.text_query(inner, columns), dialect="tsql")

    assert isinstance(parsed, exp.Select)
    assert len(parsed.selects) == len(columns)


def test_the_sample_is_ascii_but_for_the_characters_that_are_asked_for() -> None:
    assert bulk_text.sample("").query.isascii()
    assert "N'é漢''😀'" in bulk_text.sample("é漢'😀").query
