"""How every type of SQL Server travels: what is selected for the stage, and what it becomes."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
import sqlglot

from migration_assets.platforms.base import PlatformError, SourceColumn
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.sqlserver import types
from migration_assets.platforms.sqlserver.types import CLR, COLUMN_SET, ENCRYPTED, MASKED, POLICIES
from migration_assets.platforms.types import (
    BINARY,
    BOOLEAN,
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
from migration_assets_tests.platforms.sqlserver.source import Source, column, selected

_UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
_LONG_TEXT = "CAST([c] AS nvarchar(max))"
_SPATIAL = "N'SRID=' + CAST([c].STSrid AS nvarchar(11)) + N';' + [c].AsTextZM()"
_BINARY_8 = ColumnType(Kind.BINARY, length=8)


def times(kind: Kind, digits: int) -> ColumnType:
    return temporal(kind, digits)


# As declared, the type that travels, what is selected; None is a matter of its own.
DEFAULTS: list[tuple[str, ColumnType, str | None]] = [
    ("bit", BOOLEAN, "[c]"),
    ("tinyint", integer(16), "CAST([c] AS smallint)"),
    ("smallint", integer(16), "[c]"),
    ("int", integer(32), "[c]"),
    ("bigint", integer(64), "[c]"),
    ("decimal(38,10)", decimal(38, 10), "[c]"),
    ("numeric(5,0)", decimal(5, 0), "[c]"),
    ("money", decimal(19, 4), "[c]"),
    ("smallmoney", decimal(10, 4), "[c]"),
    ("float", floating(64), "[c]"),
    ("real", floating(32), "[c]"),
    ("date", DATE, "[c]"),
    ("time(3)", times(Kind.TIME, 3), "[c]"),
    ("time(7)", times(Kind.TIME, 7), "CONVERT(varchar(16), [c], 121)"),
    ("smalldatetime", times(Kind.TIMESTAMP, 0), "[c]"),
    ("datetime", times(Kind.TIMESTAMP, 3), "[c]"),
    ("datetime2(0)", times(Kind.TIMESTAMP, 0), "[c]"),
    ("datetime2(6)", times(Kind.TIMESTAMP, 6), "[c]"),
    ("datetime2(7)", times(Kind.TIMESTAMP, 7), "CONVERT(varchar(27), [c], 121)"),
    ("datetimeoffset(7)", times(Kind.TIMESTAMP_TZ, 7), "CONVERT(varchar(34), [c], 121)"),
    (
        "datetimeoffset(3)",
        times(Kind.TIMESTAMP_TZ, 7),
        "CONVERT(varchar(34), CAST([c] AS datetimeoffset(7)), 121)",
    ),
    ("char(5)", text(5), "[c]"),
    ("nchar(5)", text(5), "[c]"),
    ("varchar(50)", text(50), "[c]"),
    ("varchar(max)", TEXT, "[c]"),
    ("nvarchar(50)", text(50), "[c]"),
    ("nvarchar(max)", TEXT, "[c]"),
    ("text", TEXT, "CAST([c] AS varchar(max))"),
    ("ntext", TEXT, _LONG_TEXT),
    ("binary(4)", ColumnType(Kind.BINARY, length=4), "CAST([c] AS varbinary(4))"),
    ("varbinary(100)", ColumnType(Kind.BINARY, length=100), "[c]"),
    ("varbinary(max)", BINARY, "[c]"),
    ("image", BINARY, "CAST([c] AS varbinary(max))"),
    ("rowversion", _BINARY_8, "CAST([c] AS varbinary(8))"),
    ("uniqueidentifier", UUID, "LOWER(CAST([c] AS char(36)))"),
    ("xml", TEXT, _LONG_TEXT),
    ("sql_variant", TEXT, None),
    ("hierarchyid", TEXT, "[c].ToString()"),
    ("geometry", TEXT, _SPATIAL),
    ("geography", TEXT, _SPATIAL),
    ("json", JSON, _LONG_TEXT),
    ("vector(3)", JSON, _LONG_TEXT),
]


def test_every_type_has_a_policy_here() -> None:
    assert {native.partition("(")[0] for native, _, _ in DEFAULTS} == set(POLICIES)


@pytest.mark.parametrize(("native", "travels", "sql"), DEFAULTS, ids=[native for native, _, _ in DEFAULTS])
def test_a_type_travels_by_its_policy(native: str, travels: ColumnType, sql: str | None) -> None:
    found = column("c", native)
    mapping = types.map_column(found)
    assert (mapping.type, mapping.refusal, mapping.needs_profile) == (travels, None, False)
    assert sql in (None, selected(found))


_DATETIME2 = "datetime2(7)"
_CUT_6 = "CAST(DATEADD(NANOSECOND, -(DATEPART(NANOSECOND, {0}) % 1000), {0}) AS {1}(6))"
_IN_UTC = "SWITCHOFFSET([c], '+00:00')"

# As declared, the target's type of the workflow, the type that travels, what is selected, a piece of the note.
OVERRIDES: list[tuple[str, str, ColumnType, str, str]] = [
    ("money", "DECIMAL(19,4)", decimal(19, 4), "[c]", ""),
    ("money", "DECIMAL(20,4)", decimal(20, 4), "CAST([c] AS decimal(20, 4))", ""),
    (
        "decimal(10,2)",
        "NUMBER(8,2)",
        decimal(8, 2),
        "CASE WHEN TRY_CAST([c] AS decimal(8, 2)) IS NOT NULL THEN CAST([c] AS decimal(8, 2)) ELSE "
        "CAST(CAST(N'column c holds ' + CAST([c] AS nvarchar(60)) + N', which decimal(8, 2) does not: "
        "map it to another type in columnTypeMappings' AS int) AS decimal(8, 2)) END",
        "",
    ),
    ("bigint", "NUMBER(19,0)", decimal(19, 0), "CAST([c] AS decimal(19, 0))", ""),
    ("decimal(10,2)", "FLOAT", floating(64), "CAST([c] AS float(53))", "rounded to floating point"),
    (
        "decimal(10,4)",
        "NUMBER(8,2)",
        decimal(8, 2),
        "CASE WHEN [c] = ROUND([c], 2, 1) THEN CAST([c] AS decimal(8, 2)) ELSE CAST(CAST(N'column c holds ' + "
        "CAST([c] AS nvarchar(60)) + N', which decimal(8, 2) does not: map it to another type in columnTypeMappings' "
        "AS int) AS decimal(8, 2)) END",
        "",
    ),
    (
        "float",
        "NUMBER(8,2)",
        decimal(8, 2),
        "CASE WHEN CAST(CAST([c] AS decimal(8, 2)) AS float(53)) = [c] THEN CAST([c] AS decimal(8, 2)) ELSE "
        "CAST(CAST(N'column c holds ' + CONVERT(nvarchar(40), [c], 3) + N', which decimal(8, 2) does not: "
        "map it to another type in columnTypeMappings' AS int) AS decimal(8, 2)) END",
        "reads back as the same floating-point number",
    ),
    ("datetime", "TIMESTAMP", times(Kind.TIMESTAMP, 6), "[c]", ""),
    (_DATETIME2, "TIMESTAMP", times(Kind.TIMESTAMP, 6), _CUT_6.format("[c]", "datetime2"), "cut after 6 of 7"),
    (
        "datetime2(3)",
        "TIMESTAMP_NTZ(9)",
        times(Kind.TIMESTAMP, 7),
        "CONVERT(varchar(27), CAST([c] AS datetime2(7)), 121)",
        "",
    ),
    (
        "datetime",
        "TIMESTAMP_NTZ(9)",
        times(Kind.TIMESTAMP, 7),
        "CONVERT(varchar(27), CAST(CAST([c] AS datetime2(3)) AS datetime2(7)), 121)",
        "",
    ),
    ("date", "TIMESTAMP", times(Kind.TIMESTAMP, 6), "CAST([c] AS datetime2(0))", ""),
    ("time(7)", "TIME", times(Kind.TIME, 6), _CUT_6.format("[c]", "time"), "cut after 6 of 7"),
    (
        "datetimeoffset(7)",
        "TIMESTAMPTZ",
        times(Kind.TIMESTAMP_TZ, 6),
        f"CAST({_CUT_6.format(_IN_UTC, 'datetimeoffset')} AS datetime2(6))",
        "without its offset",
    ),
    (
        "datetimeoffset(3)",
        "TIMESTAMP_NTZ(3)",
        times(Kind.TIMESTAMP, 3),
        f"CAST({_IN_UTC} AS datetime2(3))",
        "wall time in UTC",
    ),
    (
        "datetime2(3)",
        "TIMESTAMPTZ",
        times(Kind.TIMESTAMP_TZ, 6),
        "CAST(TODATETIMEOFFSET([c], '+00:00') AS datetime2(6))",
        "taken as UTC",
    ),
    ("bigint", "VARCHAR", TEXT, "CAST([c] AS nvarchar(60))", "as SQL Server prints it"),
    ("money", "VARCHAR(30)", text(30), "CAST(CAST([c] AS decimal(19, 4)) AS nvarchar(40))", ""),
    ("float", "VARCHAR", TEXT, "CONVERT(nvarchar(40), [c], 3)", ""),
    (_DATETIME2, "VARCHAR", TEXT, "CONVERT(varchar(34), [c], 121)", ""),
    ("datetimeoffset(7)", "VARCHAR", TEXT, "CONVERT(varchar(34), [c], 121)", ""),
    ("varbinary(8)", "VARCHAR", TEXT, "CONVERT(varchar(max), CAST([c] AS varbinary(max)), 1)", ""),
    ("uniqueidentifier", "VARCHAR(36)", text(36), "LOWER(CAST([c] AS char(36)))", ""),
    ("json", "VARCHAR", TEXT, _LONG_TEXT, ""),
]


@pytest.mark.parametrize(("native", "target", "travels", "sql", "note"), OVERRIDES)
def test_the_workflow_s_type_is_taken(native: str, target: str, travels: ColumnType, sql: str, note: str) -> None:
    override = Snowflake().parse_type(target)
    mapping = types.map_column(column("c", native), override)
    assert (mapping.type, selected(column("c", native), override)) == (travels, sql)
    assert note in "; ".join(mapping.notes)


@pytest.mark.parametrize("native", [native for native, _, _ in DEFAULTS])
def test_every_type_can_be_text_and_every_statement_is_t_sql(native: str) -> None:
    found = column("a]b'{c}", native)
    for override in (None, TEXT):
        mapping = types.map_column(found, override)
        assert mapping.type.kind is (Kind.TEXT if override else mapping.type.kind)
        for sql in (mapping.expression, types.staged(found, mapping.type, mapping.expression)):
            parsed = sqlglot.parse_one(sql, dialect="tsql")
            assert "a]b'{c}" in {one.name for one in parsed.find_all(sqlglot.exp.Identifier)}


@pytest.mark.parametrize(
    ("native", "override"),
    [
        ("datetime2(7)", DATE),
        ("varchar(10)", decimal(10, 2)),
        ("xml", BINARY),
        ("int", temporal(Kind.TIMESTAMP)),
    ],
)
def test_a_type_that_makes_no_sense_is_refused_with_those_that_do(native: str, override: ColumnType) -> None:
    with pytest.raises(PlatformError, match=r"can't be mapped to .* Possible in columnTypeMappings: .*text"):
        types.map_column(column("c", native), override)


@pytest.mark.parametrize(
    ("category", "words"),
    [(ENCRYPTED, "Always Encrypted .* decrypt it"), (MASKED, "masks in place of the values: GRANT UNMASK TO")],
)
def test_values_that_the_user_can_t_see_are_refused_with_the_cure(category: str, words: str) -> None:
    refusal = types.map_column(column("c", "varchar(20)", category=category)).refusal
    assert refusal is not None
    assert re.search(words, refusal)


@pytest.mark.parametrize(
    ("found", "travels", "note"),
    [
        (SourceColumn("c", "dbo.Point", "Point", True, CLR), BINARY, "not SQL Server's own"),
        (column("c", "xml", category=COLUMN_SET), TEXT, "sparse columns, which travel themselves"),
        (column("c", "brand_new"), TEXT, "does not know"),
        (column("c", "int", generated=True), integer(32), "not its expression"),
        (column("c", "int", identity=True), integer(32), "not its sequence"),
        (column("c", "char(3)"), text(3), "blanks that pad"),
        (column("c", "sql_variant"), TEXT, "by its own type, which is not kept"),
        (column("c", "vector(3)"), JSON, "a JSON array"),
    ],
)
def test_what_a_reader_of_the_plan_should_know_is_noted(found: SourceColumn, travels: ColumnType, note: str) -> None:
    mapping = types.map_column(found)
    assert mapping.type == travels
    assert note in "; ".join(mapping.notes)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("numeric(10, 2)", "DECIMAL(10,2)"),
        ("dec(10,2)", "decimal(10,2)"),
        ("INTEGER", "int"),
        ("float(53)", "FLOAT"),
        ("float(24)", "real"),
        ("timestamp", "ROWVERSION"),
        ("character varying(5)", "varchar(5)"),
        ("national character varying(max)", "NATIONAL CHARACTER VARYING(MAX)"),
        ("sysname", "nvarchar(128)"),
    ],
)
def test_synonyms_of_a_type_are_one(first: str, second: str) -> None:
    assert types.normalised_type(first) == types.normalised_type(second)


def test_types_that_the_dialect_takes_for_one_are_two() -> None:
    assert types.normalised_type("real") != types.normalised_type("float")
    assert types.normalised_type("text") != types.normalised_type("varchar(max)")


# Declaration, value as SQL, override, what the reader gets.
_VALUES: list[tuple[str, str, ColumnType | None, Any]] = [
    ("bit", "1", None, True),
    ("tinyint", "255", None, 255),
    ("bigint", "-9223372036854775808", None, -(2**63)),
    (
        "decimal(38,10)",
        "1234567890123456789012345678.0123456789",
        None,
        Decimal("1234567890123456789012345678.0123456789"),
    ),
    ("money", "922337203685477.5807", None, Decimal("922337203685477.5807")),
    ("smallmoney", "-1.2345", None, Decimal("-1.2345")),
    ("float", "1.5e300", None, 1.5e300),
    ("real", "0.5", None, 0.5),
    ("date", "'0001-01-01'", None, dt.date(1, 1, 1)),
    ("smalldatetime", "'2024-01-02 03:04'", None, dt.datetime.fromisoformat("2024-01-02T03:04")),
    ("datetime", "'2024-01-02 03:04:05.997'", None, dt.datetime.fromisoformat("2024-01-02T03:04:05.997")),
    ("datetime2(3)", "'9999-12-31 23:59:59.999'", None, dt.datetime.fromisoformat("9999-12-31T23:59:59.999")),
    ("datetime2(6)", "'2024-01-02 03:04:05.123456'", None, dt.datetime.fromisoformat("2024-01-02T03:04:05.123456")),
    ("time(3)", "'23:59:59.123'", None, dt.time(23, 59, 59, 123000)),
    ("datetimeoffset(3)", "'2024-01-02 03:04:05.123 +05:30'", None, "2024-01-02 03:04:05.1230000 +05:30"),
    # The reader takes the blanks off that pad it.
    ("char(5)", "'ab'", None, "ab   "),
    ("nchar(5)", "N'ü'", None, "ü    "),
    ("nvarchar(50)", "N'Zoë 漢字 😀'", None, "Zoë 漢字 😀"),
    ("varchar(max)", "'a''b'", None, "a'b"),
    ("text", "'t'", None, "t"),
    ("ntext", "N'é'", None, "é"),
    ("varbinary(10)", "0x00FF10", None, b"\x00\xff\x10"),
    ("binary(4)", "0x01020304", None, b"\x01\x02\x03\x04"),
    ("image", "0x01", None, b"\x01"),
    ("uniqueidentifier", f"'{_UUID}'", None, _UUID),
    ("xml", "'<a><b>1</b></a>'", None, "<a><b>1</b></a>"),
    ("sql_variant", "CAST(5 AS int)", None, "5"),
    ("sql_variant", "CAST(12.5 AS decimal(10,3))", None, "12.500"),
    ("sql_variant", "CAST('2024-01-02' AS date)", None, "2024-01-02"),
    ("sql_variant", "CAST(N'é' AS nvarchar(10))", None, "é"),
    ("bigint", "7", decimal(38, 0), Decimal(7)),
    ("decimal(10,4)", "1.2500", decimal(10, 2), Decimal("1.25")),
    ("float", "1.25", decimal(10, 2), Decimal("1.25")),
    ("decimal(10,2)", "5.00", integer(64), 5),
    ("money", "1.2345", TEXT, "1.2345"),
    ("bit", "1", TEXT, "1"),
    ("varbinary(2)", "0x0AFF", TEXT, "0x0AFF"),
    ("date", "'2024-02-29'", TEXT, "2024-02-29"),
    (
        "datetime2(6)",
        "'2024-12-31 23:59:59.999999'",
        temporal(Kind.TIMESTAMP, 3),
        dt.datetime.fromisoformat("2024-12-31T23:59:59.999"),
    ),
    (
        "datetime",
        "'2024-12-31 23:59:59.997'",
        temporal(Kind.TIMESTAMP, 0),
        dt.datetime.fromisoformat("2024-12-31T23:59:59"),
    ),
    ("time(6)", "'23:59:59.999999'", temporal(Kind.TIME, 0), dt.time(23, 59, 59)),
    (
        "datetimeoffset(6)",
        "'2024-01-02 03:04:05.123456 +05:30'",
        temporal(Kind.TIMESTAMP_TZ),
        dt.datetime.fromisoformat("2024-01-01T21:34:05.123456"),
    ),
    (
        "datetime2(3)",
        "'2024-01-02 03:04:05.123'",
        temporal(Kind.TIMESTAMP_TZ),
        dt.datetime.fromisoformat("2024-01-02T03:04:05.123"),
    ),
    ("nvarchar(50)", "N'{\"a\": 1}'", JSON, '{"a": 1}'),
]


@pytest.mark.parametrize(("declared", "value", "override", "expected"), _VALUES)
def test_a_value_is_read_as_the_plan_says(
    source: Source, declared: str, value: str, override: ColumnType | None, expected: object
) -> None:
    source.execute(f"CREATE TABLE v (c {declared})", f"INSERT INTO v VALUES ({value}), (NULL)")
    rows = source.extract(source.table("v"), {"c": override} if override else None)
    assert sorted((row["c"] for row in rows), key=lambda found: found is None) == [expected, None]


@pytest.mark.parametrize(
    ("declared", "value", "override"),
    [
        ("decimal(10,4)", "1.2345", decimal(10, 2)),
        ("float", "1.0125", decimal(10, 2)),
        ("decimal(10,2)", "5.25", integer(64)),
        ("nvarchar(50)", "N'no JSON'", JSON),
    ],
)
def test_a_value_that_does_not_fit_fails(source: Source, declared: str, value: str, override: ColumnType) -> None:
    source.execute(f"CREATE TABLE v (c {declared})", f"INSERT INTO v VALUES ({value})")
    with pytest.raises(sa.exc.DBAPIError):
        source.extract(source.table("v"), {"c": override})


@pytest.mark.parametrize(
    ("native", "wanted", "is_cut"),
    [
        ("datetime2(7)", temporal(Kind.TIMESTAMP, 3), True),
        ("datetime2(3)", temporal(Kind.TIMESTAMP, 3), False),
        ("varchar(50)", text(50), False),
        ("decimal(18,2)", decimal(18, 2), False),
    ],
)
def test_a_mapping_tells_whether_digits_of_times_are_left_out(native: str, wanted: ColumnType, is_cut: bool) -> None:
    assert types.map_column(column("c", native), wanted).cuts is is_cut
