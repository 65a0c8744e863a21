"""Every type of PostgreSQL arrives as the plan says, or is refused with a cure."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pytest

from migration_assets.platforms.base import PlatformError, SourceColumn
from migration_assets.platforms.postgresql.types import POLICIES
from migration_assets.platforms.types import (
    BOOLEAN,
    DATE,
    JSON,
    UUID,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
    text,
)
from migration_assets.resources.sources.base import SourceError
from migration_assets_tests.platforms.postgresql.source import PLATFORM, Source

_UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"

# Type, value as a SQL string, the type that travels, the value that is read.
VALUES: list[tuple[str, str, ColumnType, Any]] = [
    ("boolean", "true", BOOLEAN, True),
    ("smallint", "-32768", integer(16), -32768),
    ("integer", "2147483647", integer(32), 2147483647),
    ("bigint", "-9223372036854775808", integer(64), -9223372036854775808),
    ("oid", "4294967295", integer(64), 4294967295),
    ("xid", "4294967295", integer(64), 4294967295),
    ("cid", "7", integer(64), 7),
    ("xid8", "18446744073709551615", decimal(20, 0), Decimal(18446744073709551615)),
    ("numeric(10,2)", "-12345678.90", decimal(10, 2), Decimal("-12345678.90")),
    ("numeric(38,0)", "9" * 38, decimal(38, 0), Decimal("9" * 38)),
    ("numeric(3,-2)", "99900", decimal(5, 0), Decimal(99900)),
    ("numeric(3,5)", "0.00999", decimal(5, 5), Decimal("0.00999")),
    ("numeric", "12.345", decimal(18, 3), Decimal("12.345")),
    ("money", "-92233720368547758.08", decimal(19, 2), Decimal("-92233720368547758.08")),
    ("real", "0.1", floating(32), 0.10000000149011612),
    ("double precision", "0.1", floating(64), 0.1),
    ("double precision", "-Infinity", floating(64), -math.inf),
    ("double precision", "5e-324", floating(64), 5e-324),
    ("text", 'comma, "quotes"\nline\\.', text(), 'comma, "quotes"\nline\\.'),
    ("text", "", text(), ""),
    ("text", "\\.", text(), "\\."),
    ("character varying(5)", "héé 😀", text(5), "héé 😀"),
    ("character varying", "  kept  ", text(), "  kept  "),
    ("character(5)", "ab", text(5), "ab"),
    ("bpchar", "ab  ", text(), "ab"),
    ("name", "pg_class", text(63), "pg_class"),
    ('"char"', "x", text(4), "x"),
    ("bytea", "\\x00ff5c", ColumnType(Kind.BINARY), b"\x00\xff\\"),
    ("date", "0001-01-01", DATE, dt.date(1, 1, 1)),
    ("date", "9999-12-31", DATE, dt.date(9999, 12, 31)),
    ("time", "23:59:59.999999", temporal(Kind.TIME), dt.time(23, 59, 59, 999999)),
    ("time(0)", "12:00:00", temporal(Kind.TIME, 0), dt.time(12)),
    ("time with time zone", "12:00:00+05:30", text(), "12:00:00+05:30"),
    ("timestamp", "2020-02-29 12:00:00.1", temporal(Kind.TIMESTAMP), dt.datetime(2020, 2, 29, 12, 0, 0, 100000)),  # noqa: DTZ001
    ("timestamp(3)", "0001-01-01 00:00:00", temporal(Kind.TIMESTAMP, 3), dt.datetime(1, 1, 1)),  # noqa: DTZ001
    (
        "timestamptz",
        "2020-01-01 00:00:00+05:30",
        temporal(Kind.TIMESTAMP_TZ),
        dt.datetime(2019, 12, 31, 18, 30, tzinfo=dt.timezone.utc),
    ),
    ("interval", "-1 year 2 months 3 days 04:05:06.7", text(), "P-10M3DT4H5M6.7S"),
    ("json", '{"b": 1,  "a": [null]}', JSON, '{"b": 1,  "a": [null]}'),
    ("jsonb", '{"b": 1,  "a": [null]}', JSON, '{"a": [null], "b": 1}'),
    ("integer[]", "{1,NULL,3}", JSON, "[1,null,3]"),
    ("text[]", '{"a,b",NULL,"NULL"}', JSON, '["a,b",null,"NULL"]'),
    ("numeric[]", "{1.50,NaN}", JSON, '[1.50,"NaN"]'),
    ("integer[]", "[0:1]={1,2}", JSON, "[1,2]"),
    ("uuid", _UUID, UUID, _UUID),
    ("bit(3)", "101", text(3), "101"),
    ("bit varying(5)", "1010", text(5), "1010"),
    ("inet", "10.0.0.1/24", text(), "10.0.0.1/24"),
    ("cidr", "10.0.0.0/24", text(), "10.0.0.0/24"),
    ("macaddr", "08:00:2b:01:02:03", text(), "08:00:2b:01:02:03"),
    ("macaddr8", "08:00:2b:01:02:03:04:05", text(), "08:00:2b:01:02:03:04:05"),
    ("int4range", "[1,5]", text(), "[1,6)"),
    ("datemultirange", "{[2020-01-01,2020-01-03)}", text(), "{[2020-01-01,2020-01-03)}"),
    ("xml", "<a>b</a>", text(), "<a>b</a>"),
    ("tsvector", "a:1 b:2", text(), "'a':1 'b':2"),
    ("tsquery", "a & b", text(), "'a' & 'b'"),
    ("point", "(1,2.5)", text(), "(1,2.5)"),
    ("polygon", "((0,0),(1,1))", text(), "((0,0),(1,1))"),
    ("pg_lsn", "16/B374D848", text(), "16/B374D848"),
    ("tid", "(1,2)", text(), "(1,2)"),
    ("pg_snapshot", "10:20:10,14", text(), "10:20:10,14"),
    ("txid_snapshot", "10:20:10,14", text(), "10:20:10,14"),
    ("jsonpath", "$.a", text(), '$."a"'),
    ("regclass", "pg_class", text(), "pg_class"),
    ("mood", "it's ok", text(63), "it's ok"),
    ("pair", '(1,"a b")', JSON, '{"number":1,"label":"a b"}'),
    ("percent", "12.50", decimal(5, 2), Decimal("12.50")),
    ("percents", "{1.00,2.00}", JSON, "[1.00,2.00]"),
]

TYPES = """
CREATE TYPE mood AS ENUM ('it''s ok', 'sad');
CREATE TYPE pair AS (number int, label text);
CREATE DOMAIN ratio AS numeric(5,2);
CREATE DOMAIN percent AS ratio CHECK (VALUE >= 0);
CREATE DOMAIN percents AS percent[];
"""


def _sql(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _has_xml(source: Source) -> bool:
    return bool(source.value("SELECT count(*) FROM pg_config WHERE name = 'CONFIGURE' AND setting LIKE '%libxml%'"))


@pytest.fixture
def typed(source: Source) -> list[tuple[str, str, ColumnType, Any]]:
    """A table with a column, `c0`, `c1`, …, for each value, a row of values and a row of NULLs."""
    source.execute(TYPES)
    values = [value for value in VALUES if value[0] != "xml" or _has_xml(source)]
    columns = ", ".join(f"c{number} {value[0]}" for number, value in enumerate(values))
    literals = ", ".join(_sql(value[1]) for value in values)
    source.execute(
        f"CREATE TABLE typed (id int, {columns});"
        f"INSERT INTO typed VALUES (1, {literals}); INSERT INTO typed (id) VALUES (2)"
    )
    return values


def test_every_type_arrives_with_its_value(source: Source, typed: list[tuple[str, str, ColumnType, Any]]) -> None:
    table = source.table("typed")
    mappings = source.mappings(table)
    read = source.extract(table, where="id = 1").to_pylist()[0]
    labels = [f"{native} {value}" for native, value, _, _ in typed]
    assert {label: mappings[f"c{n}"].type for n, label in enumerate(labels)} == {
        f"{native} {value}": wanted for native, value, wanted, _ in typed
    }
    assert {label: read[f"c{n}"] for n, label in enumerate(labels)} == {
        f"{native} {value}": wanted for native, value, _, wanted in typed
    }


@pytest.mark.usefixtures("typed")
def test_null_stays_null_in_every_type(source: Source) -> None:
    read = source.extract(source.table("typed"), where="id = 2").to_pylist()[0]
    assert {name for name, value in read.items() if value is not None} == {"id"}


@pytest.mark.usefixtures("typed")
def test_every_type_can_be_mapped_to_the_text_that_postgresql_prints(source: Source) -> None:
    table = source.table("typed")
    padded = {column.name for column in table.columns if column.base_type == "bpchar"}
    read = source.extract(table, {column.name: text() for column in table.columns}, where="id = 1").to_pylist()[0]
    outputs = ", ".join(f"format('%s', {column.name}) AS {column.name}" for column in table.columns)
    printed = source.run(f"SELECT {outputs} FROM typed WHERE id = 1")[0]
    assert read == {name: str(value).rstrip(" ") if name in padded else value for name, value in printed.items()}


def test_every_built_in_base_type_has_a_policy(source: Source) -> None:
    rows = source.run(
        "SELECT format_type(t.oid, -1) AS name FROM pg_type t WHERE t.typtype = 'b' "
        "AND t.typnamespace = 'pg_catalog'::regnamespace "
        "AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)"
    )
    names = {str(row["name"]) for row in rows}
    assert len(names) > 60
    assert names - POLICIES.keys() == set()


def test_a_type_of_another_schema_is_moved_as_it_is_printed(source: Source) -> None:
    source.execute("CREATE SCHEMA app; CREATE TYPE app.money AS ENUM ('little'); CREATE TABLE t (m app.money)")
    source.execute("INSERT INTO t VALUES ('little')")
    assert source.extract(source.table("t")).to_pylist() == [{"m": "little"}]


# Type, value, override, the value that is read.
_OVERRIDES: list[tuple[str, str, ColumnType, Any]] = [
    ("boolean", "true", integer(16), 1),
    ("integer", "5", decimal(10, 2), Decimal("5.00")),
    ("bigint", "9007199254740993", floating(64), 9007199254740992.0),
    ("bigint", "-9223372036854775808", decimal(19, 0), Decimal(-9223372036854775808)),
    ("bigint", "7", integer(16), 7),
    ("numeric(10,2)", "5.00", integer(32), 5),
    ("numeric(10,2)", "5.10", decimal(5, 1), Decimal("5.1")),
    ("numeric(60,20)", "1.5", floating(64), 1.5),
    ("numeric(60,20)", "1.5", decimal(38, 20), Decimal("1.5")),
    ("numeric", "1.5", decimal(5, 2), Decimal("1.50")),
    ("money", "1.50", floating(64), 1.5),
    ("money", "2.00", integer(64), 2),
    ("real", "0.1", floating(64), 0.10000000149011612),
    ("double precision", "0.1", decimal(10, 4), Decimal("0.1")),
    ("double precision", "1e3", integer(64), 1000),
    ("text", '{"a":  1}', JSON, '{"a":  1}'),
    ("text", _UUID.upper(), UUID, _UUID),
    ("date", "2020-01-01", temporal(Kind.TIMESTAMP), dt.datetime(2020, 1, 1)),  # noqa: DTZ001
    ("timestamp", "2020-01-01 01:00", temporal(Kind.TIMESTAMP_TZ), dt.datetime(2020, 1, 1, 1, tzinfo=dt.timezone.utc)),
    ("timestamptz", "2020-01-01 01:00+01", temporal(Kind.TIMESTAMP), dt.datetime(2020, 1, 1)),  # noqa: DTZ001
    ("character(4)", "ab", text(4), "ab"),
    ("character varying(5)", "ab", text(100), "ab"),
    ("double precision", "0.1", floating(32), 0.10000000149011612),
    ("oid", "7", decimal(10, 0), Decimal(7)),
    ("xid8", "7", integer(64), 7),
]


def test_the_users_type_is_read_exactly(source: Source) -> None:
    columns = ", ".join(f"c{n} {native}" for n, (native, *_) in enumerate(_OVERRIDES))
    source.execute(f"CREATE TABLE t ({columns})")
    source.execute(f"INSERT INTO t VALUES ({', '.join(_sql(value) for _, value, _, _ in _OVERRIDES)})")
    overrides = {f"c{n}": override for n, (_, _, override, _) in enumerate(_OVERRIDES)}
    read = source.extract(source.table("t"), overrides)
    assert read.to_pylist()[0] == {f"c{n}": wanted for n, (*_, wanted) in enumerate(_OVERRIDES)}


# Type, value, override (None is the default), words of the explanation.
_BAD_VALUES: list[tuple[str, str, ColumnType | None, str]] = [
    ("numeric(10,2)", "NaN", None, "has no value for"),
    ("date", "infinity", None, "an infinity"),
    ("date", "0044-03-15 BC", None, "before the year 1"),
    ("date", "10000-01-01", None, "after the year 9999"),
    ("timestamp", "-infinity", None, "an infinity"),
    ("timestamptz", "20000-01-01 00:00+00", None, "after the year 9999"),
    ("time", "24:00:00", None, "end of the day"),
    ("integer", "70000", integer(16), "out of the range"),
    ("numeric(10,2)", "5.25", integer(32), "not a whole number"),
    ("numeric(10,2)", "5.25", decimal(10, 1), "more digits"),
    ("numeric(10,2)", "12345", decimal(5, 1), "more digits"),
    ("integer", "12345", decimal(5, 1), "more digits"),
    ("bigint", "-9223372036854775808", decimal(18, 0), "more digits"),
    ("numeric", "1e30", decimal(18, 2), "more digits"),
    ("numeric", "Infinity", decimal(18, 2), "an infinity"),
    ("double precision", "1e20", integer(64), "out of the range"),
]


@pytest.mark.parametrize(("native", "value", "override", "words"), _BAD_VALUES)
def test_a_value_that_does_not_fit_fails_and_is_explained(
    source: Source, native: str, value: str, override: ColumnType | None, words: str
) -> None:
    source.execute(f"CREATE TABLE t (c {native}); INSERT INTO t VALUES ({_sql(value)})")
    table = source.table("t")
    overrides = {} if override is None else {"c": override}
    with pytest.raises(SourceError) as raised:
        source.extract(table, overrides)
    explanation = str(raised.value)
    assert words in explanation
    assert "'c'" in explanation
    assert "VARCHAR" in explanation
    assert source.extract(table, {"c": text()}).to_pylist() == [{"c": source.value("SELECT format('%s', c) FROM t")}]


def _column(native: str, *arguments: int, category: str = "b") -> SourceColumn:
    return SourceColumn("c", native, native, nullable=True, category=category, type_arguments=arguments)


@pytest.mark.parametrize("arguments", [(39, 2), (60, 0), (10, 40), (37, -2)])
def test_a_numeric_with_too_many_digits_is_refused_with_a_cure(arguments: tuple[int, int]) -> None:
    refusal = PLATFORM.map_column(_column("numeric", *arguments)).refusal
    assert refusal is not None
    assert "VARCHAR" in refusal
    assert "DOUBLE" in refusal


@pytest.mark.parametrize(
    ("native", "override"),
    [("boolean", DATE), ("date", integer(32)), ("uuid", decimal(38, 0)), ("interval", temporal(Kind.TIME))],
)
def test_a_mapping_without_sense_is_refused_with_what_is_possible(native: str, override: ColumnType) -> None:
    with pytest.raises(PlatformError, match=r"Possible in columnTypeMappings: .*text"):
        PLATFORM.map_column(_column(native), override)


def test_generated_and_identity_columns_say_that_their_values_move() -> None:
    generated = SourceColumn("c", "integer", "integer", nullable=True, generated=True)
    identity = SourceColumn("c", "integer", "integer", nullable=False, identity=True)
    assert "generated" in PLATFORM.map_column(generated).notes[0]
    assert "identity" in PLATFORM.map_column(identity).notes[0]


def test_an_unknown_extension_type_is_moved_as_text() -> None:
    mapping = PLATFORM.map_column(_column("app.vector"))
    assert mapping.type == text()
    assert "as PostgreSQL prints it" in mapping.notes[0]


def test_numeric_without_precision_becomes_the_smallest_decimal_of_its_values(source: Source) -> None:
    source.execute(
        "CREATE TABLE t (small numeric, large numeric, empty numeric, nan numeric, infinite numeric, "
        "wide numeric, fraction numeric);"
        "INSERT INTO t VALUES (-12.5, 12345678901234567.25, NULL, 'NaN', 'Infinity', 1e30 + 1e-20, 0.001),"
        "(1.125, 0, NULL, 1, '-Infinity', 1, -0.0010)"
    )
    mappings = source.mappings(source.table("t"))
    assert mappings["small"].type == decimal(18, 3)
    assert mappings["large"].type == decimal(38, 2)
    assert mappings["empty"].type == decimal(38, 0)
    assert mappings["fraction"].type == decimal(18, 4)
    assert "1 value(s) NaN" in (mappings["nan"].refusal or "")
    assert "2 value(s) ±Infinity" in (mappings["infinite"].refusal or "")
    assert "31 digits before and 20 after" in (mappings["wide"].refusal or "")


def test_the_profile_sees_the_filtered_rows_only(source: Source) -> None:
    source.execute("CREATE TABLE t (id int, n numeric); INSERT INTO t VALUES (1, 1.5), (2, 'NaN')")
    table = source.table("t")
    mapping = PLATFORM.profile(source.run, table, "id = 1", [table.column("n")])["n"]
    assert mapping.type == decimal(18, 1)
    assert mapping.refusal is None


def test_a_value_that_comes_after_the_profile_and_does_not_fit_fails(source: Source) -> None:
    source.execute("CREATE TABLE t (n numeric); INSERT INTO t VALUES (1.5)")
    table = source.table("t")
    wanted = source.mappings(table)["n"].type
    source.execute("INSERT INTO t VALUES (123456789012345678)")
    with pytest.raises(SourceError, match="more digits"):
        source.extract(table, {"n": wanted})


@pytest.mark.postgres_contrib
def test_hstore_becomes_json_and_citext_text(source: Source) -> None:
    source.execute(
        "CREATE SCHEMA app; CREATE EXTENSION hstore SCHEMA app; CREATE EXTENSION citext;"
        "CREATE TABLE t (h app.hstore, c citext);"
        """INSERT INTO t VALUES ('a=>1, b=>NULL', 'MiXed')"""
    )
    table = source.table("t")
    assert [source.mappings(table)[name].type for name in ("h", "c")] == [JSON, text()]
    assert source.extract(table).to_pylist() == [{"h": '{"a": "1", "b": null}', "c": "MiXed"}]
    assert source.extract(table, {"h": text()}).to_pylist()[0]["h"] == '"a"=>"1", "b"=>NULL'
