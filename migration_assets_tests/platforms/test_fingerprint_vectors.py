"""Every platform's SQL gives the tokens, hashes and sums of the golden vectors.

PostgreSQL and DuckDB run it, and SQL Server does in `sqlserver/test_fingerprints.py`. What can't run here (Snowflake,
Redshift) is kept as a snapshot and parsed in its dialect: that it means the same is not shown by these tests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg2.errors
import pytest
import sqlglot

from demo.postgresql_server import PostgreSQLServer
from migration_assets.platforms.canonical import SPEC, CanonicalKind, CanonicalType, Fingerprint
from migration_assets.platforms.canonical_sql import (
    CanonicalColumn,
    CanonicalSQL,
    HashBuckets,
    RangeBuckets,
)
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.duckdb.canonical import DuckDBSQL
from migration_assets.platforms.postgresql import SESSION_SETTINGS, PostgreSQL
from migration_assets.platforms.postgresql.canonical import PostgreSQLSQL
from migration_assets.platforms.redshift import RedshiftSQL
from migration_assets.platforms.snowflake.canonical import SnowflakeSQL
from migration_assets.platforms.sqlserver import LegacySQLServerSQL, SQLServerSQL
from migration_assets.platforms.types import TEXT, ColumnType, Kind, decimal, floating, integer, temporal, text
from migration_assets_tests.conftest import fresh_database
from migration_assets_tests.platforms.fingerprint_vectors import DOCUMENT, Vector, vectors
from migration_assets_tests.servers import PostgreSQLDatabase

SNAPSHOTS = Path(__file__).with_name("fingerprint_sql")
VALUES = vectors("values")
SOME_SYSTEMS = vectors("values_of_some_systems")

_POSTGRESQL_TYPES = {
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: "text",
    Kind.BINARY: "bytea",
    Kind.DATE: "date",
    Kind.TIME: "time without time zone",
    Kind.TIMESTAMP: "timestamp without time zone",
    Kind.TIMESTAMP_TZ: "timestamp with time zone",
    Kind.UUID: "uuid",
}


def postgresql_type(column_type: ColumnType) -> str:
    match column_type.kind:
        case Kind.INTEGER:
            return {16: "smallint", 32: "integer", 64: "bigint"}[column_type.bits or 64]
        case Kind.FLOAT:
            return "real" if column_type.bits == 32 else "double precision"
        case Kind.DECIMAL:
            return "numeric"
        case kind:
            return "character varying" if column_type.length else _POSTGRESQL_TYPES[kind]


def postgresql_column(vector: Vector) -> CanonicalColumn:
    column_type = vector.type
    instant = column_type.kind is Kind.TIMESTAMP_TZ
    return CanonicalColumn(
        "v",
        "(v AT TIME ZONE 'UTC')" if instant else "v",
        column_type,
        vector.canonical,
        native=postgresql_type(column_type),
        native_arguments=(column_type.precision or 0, column_type.scale or 0)
        if column_type.kind is Kind.DECIMAL
        else (),
    )


def postgresql_rows(database: PostgreSQLDatabase, query: str) -> list[tuple[object, ...]]:
    with database.connect() as connection, connection.cursor() as cursor:
        connection.set_client_encoding("UTF8")
        for name, value in SESSION_SETTINGS.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        cursor.execute(query)
        return cursor.fetchall()


def duckdb_connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@pytest.mark.parametrize("vector", [*VALUES, *SOME_SYSTEMS], ids=str)
def test_postgresql_gives_the_tokens(vector: Vector, postgresql_database: PostgreSQLDatabase) -> None:
    column = postgresql_column(vector)
    declared = postgresql_type(vector.type)
    if vector.type.kind is Kind.DECIMAL:
        declared = f"numeric({vector.type.precision}, {vector.type.scale})"
    postgresql_database.execute(f"CREATE TABLE t (n serial, v {declared})")
    for value in vector.values:
        written = f"\\x{value}" if vector.type.kind is Kind.BINARY and value is not None else value
        postgresql_database.execute(f"INSERT INTO t (v) VALUES (%s::{declared})", written)
    found = postgresql_rows(postgresql_database, f"SELECT {PostgreSQLSQL().token(column)} FROM t ORDER BY n")
    assert [token for (token,) in found] == list(vector.tokens)


@pytest.mark.parametrize("vector", [vector for vector in VALUES if vector.type.kind is Kind.DECIMAL], ids=str)
def test_postgresql_gives_the_tokens_of_types_that_don_t_say_their_digits(
    vector: Vector, postgresql_database: PostgreSQLDatabase
) -> None:
    postgresql_database.execute("CREATE TABLE t (n serial, v numeric)")
    for value in vector.values:
        postgresql_database.execute("INSERT INTO t (v) VALUES (%s::numeric)", value)
    column = CanonicalColumn("v", "v", vector.type, vector.canonical, native="numeric")
    found = postgresql_rows(postgresql_database, f"SELECT {PostgreSQLSQL().token(column)} FROM t ORDER BY n")
    assert [token for (token,) in found] == list(vector.tokens)


@pytest.mark.parametrize("vector", [*VALUES, *SOME_SYSTEMS], ids=str)
def test_duckdb_gives_the_tokens(vector: Vector) -> None:
    connection = duckdb_connection()
    connection.execute(f"CREATE TABLE t (n INTEGER, v {DuckDB().ddl_type(vector.type)})")
    for number, value in enumerate(vector.values):
        parameter: object = value
        if vector.type.kind is Kind.BINARY and value is not None:
            parameter = bytes.fromhex(value)
        elif value is not None and value.endswith(" BC"):
            day, _, time = value.removesuffix(" BC").partition(" ")
            parameter = f"{day} (BC) {time}".strip()
        connection.execute("INSERT INTO t VALUES (?, ?)", [number, parameter])
    column = CanonicalColumn("v", "v", vector.type, vector.canonical)
    query = parsed(DuckDBSQL(), f"SELECT {DuckDBSQL().token(column)} FROM t ORDER BY n")
    assert [token for (token,) in connection.execute(query).fetchall()] == list(vector.tokens)


def parsed(platform: CanonicalSQL, query: str) -> str:
    """A query as the warehouse runs it: parsed, and rendered in its dialect; Snowflake's with every name quoted."""
    dialect = platform.dialect
    return sqlglot.parse_one(query, dialect=dialect).sql(dialect=dialect, identify=dialect == SnowflakeSQL.dialect)


@pytest.mark.parametrize("columns", [99, 100, 250, 1600])
def test_a_table_may_have_as_many_columns_as_postgresql_allows(
    columns: int, postgresql_database: PostgreSQLDatabase
) -> None:
    names = [f"c{number}" for number in range(columns)]
    postgresql_database.execute(f"CREATE TABLE t ({', '.join(f'{name} integer' for name in names)})")
    connection = duckdb_connection()
    connection.execute(f"CREATE TABLE t ({', '.join(f'{name} INTEGER' for name in names)})")
    rows = ["NULL" if number % 7 == 3 else str(number) for number in range(columns)]
    for values in (rows, rows[::-1]):
        insert = f"INSERT INTO t VALUES ({', '.join(values)})"
        postgresql_database.execute(insert)
        connection.execute(insert)
    compared = [
        CanonicalColumn(name, name, integer(32), CanonicalType(CanonicalKind.NUMBER), native="integer")
        for name in names
    ]

    (source,) = postgresql_rows(postgresql_database, PostgreSQLSQL().total_query("t", compared, None))
    target = connection.execute(parsed(DuckDBSQL(), DuckDBSQL().total_query("t", compared, None))).fetchone()

    assert target is not None
    assert [int(str(value)) for value in source] == [int(value) for value in target]
    assert source[0] == 2


def _text_column(name: str) -> CanonicalColumn:
    return CanonicalColumn(name, name, TEXT, CanonicalType(CanonicalKind.TEXT), native="text")


def test_texts_of_a_collation_in_which_different_ones_are_equal_are_told_apart(
    postgresql_database: PostgreSQLDatabase,
) -> None:
    try:
        postgresql_database.execute(
            "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except psycopg2.errors.FeatureNotSupported:
        pytest.skip("needs a PostgreSQL with ICU: name its folder of programs in TEST_POSTGRESQL_BIN")
    postgresql_database.execute("CREATE TABLE t (n serial, v text COLLATE any_case)")
    postgresql_database.execute("INSERT INTO t (v) VALUES ('a|b'), ('A|B'), ('b')")
    column, platform = _text_column("v"), PostgreSQLSQL()

    tokens = postgresql_rows(postgresql_database, f"SELECT {platform.token(column)} FROM t ORDER BY n")
    buckets = postgresql_rows(
        postgresql_database, platform.bucket_query("t", [column], HashBuckets((column,), 8), None)
    )

    assert tokens == [(r"a\pb",), (r"A\pB",), ("b",)]
    assert [count for _, count, _, _ in buckets] == [1, 1, 1]


def test_texts_of_different_collations_may_be_one_key(postgresql_database: PostgreSQLDatabase) -> None:
    postgresql_database.execute('CREATE TABLE t (v text COLLATE "POSIX", w text COLLATE "C")')
    postgresql_database.execute("INSERT INTO t VALUES ('a', 'b'), ('A', 'b')")
    columns, platform = [_text_column("v"), _text_column("w")], PostgreSQLSQL()

    query = platform.bucket_query("t", columns, HashBuckets(tuple(columns), 8), None)

    assert [count for _, count, _, _ in postgresql_rows(postgresql_database, query)] == [1, 1]


@pytest.mark.parametrize(
    ("declared", "value", "token"),
    [
        ("TIMESTAMP_NS", "2020-01-02 03:04:05.123456789", "2020-01-02 03:04:05.123456789"),
        ("TIMESTAMP_NS", "1970-01-01 00:00:00", "1970-01-01 00:00:00"),
        ("TIMESTAMP_NS", "infinity", "infinity"),
        ("TIMESTAMP_MS", "2020-01-02 03:04:05.678", "2020-01-02 03:04:05.678"),
        ("TIMESTAMP_MS", "0044-03-15 (BC) 01:02:03", "0044-03-15 01:02:03 BC"),
        ("TIMESTAMP_S", "2020-01-02 03:04:05", "2020-01-02 03:04:05"),
        ("TIMESTAMP_S", "0044-03-15 (BC) 01:02:03", "0044-03-15 01:02:03 BC"),
        ("TIMESTAMP_S", None, r"\N"),
    ],
)
def test_duckdb_timestamps_of_every_precision_have_tokens(declared: str, value: str | None, token: str) -> None:
    connection = duckdb_connection()
    connection.execute(f"CREATE TABLE t (v {declared})")
    connection.execute("INSERT INTO t VALUES (?)", [value])
    column = CanonicalColumn("v", "v", temporal(Kind.TIMESTAMP), CanonicalType(CanonicalKind.TIMESTAMP))

    query = parsed(DuckDBSQL(), f"SELECT {DuckDBSQL().token(column)} FROM t")

    assert connection.execute(query).fetchall() == [(token,)]


def test_snowflake_s_bytes_stay_hexadecimal_in_the_query_that_is_sent() -> None:
    column = CanonicalColumn("v", '"v"', ColumnType(Kind.BINARY), CanonicalType(CanonicalKind.BINARY))

    assert parsed(SnowflakeSQL(), f"SELECT {SnowflakeSQL().text(column)}") == 'SELECT HEX_ENCODE("v", 0)'


@pytest.mark.parametrize("platform", [SQLServerSQL(), LegacySQLServerSQL()], ids=["2019", "before"])
def test_sql_server_s_row_text_is_not_cut_at_8000_bytes(platform: CanonicalSQL) -> None:
    assert platform.join(["a"]) == "CONCAT(CAST('' AS VARCHAR(MAX)), a)"
    assert platform.join(["a", "b"]) == "CONCAT(CAST('' AS VARCHAR(MAX)), a, '|', b)"


@pytest.mark.parametrize(
    ("native", "column_type", "kind", "expected"),
    [
        ("money", decimal(19, 4), CanonicalKind.NUMBER, "CONVERT(VARCHAR(64), CAST(v AS DECIMAL(19, 4)))"),
        ("smallmoney", decimal(10, 4), CanonicalKind.NUMBER, "CONVERT(VARCHAR(64), CAST(v AS DECIMAL(10, 4)))"),
        ("decimal", decimal(10, 4), CanonicalKind.NUMBER, "CONVERT(VARCHAR(64), CAST(v AS DECIMAL(10, 4)))"),
        (
            "char",
            text(9),
            CanonicalKind.TEXT,
            "CAST(CAST(RTRIM(v) AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(MAX))",
        ),
        ("nchar", text(9), CanonicalKind.TEXT, "CAST(RTRIM(v) COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(MAX))"),
        (
            "varchar",
            text(9),
            CanonicalKind.TEXT,
            "CAST(CAST(v AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(MAX))",
        ),
        (
            "ntext",
            TEXT,
            CanonicalKind.TEXT,
            "CAST(CAST(v AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(MAX))",
        ),
    ],
)
def test_sql_server_prints_what_its_types_hide(
    native: str, column_type: ColumnType, kind: CanonicalKind, expected: str
) -> None:
    digits = column_type.scale or 0
    column = CanonicalColumn("v", "v", column_type, CanonicalType(kind, digits), native=native)

    assert SQLServerSQL().text(column) == expected


@pytest.mark.parametrize(("length", "unicode"), [(9, "NVARCHAR(9)"), (4000, "NVARCHAR(4000)"), (8000, "NVARCHAR(MAX)")])
@pytest.mark.parametrize("dialect", [SQLServerSQL(), LegacySQLServerSQL()], ids=["2019", "2016"])
def test_sql_server_makes_no_utf8_of_a_code_page_by_collate_alone(
    dialect: SQLServerSQL, length: int, unicode: str
) -> None:
    """COLLATE keeps `varchar(n)`: of n letters beyond ASCII, the last ones would be missing in the fingerprint."""
    column = CanonicalColumn(
        "v", "v", text(length), CanonicalType(CanonicalKind.TEXT), native="varchar", native_arguments=(length,)
    )
    assert dialect.text(column).startswith(f"CAST(CAST(v AS {unicode}) COLLATE {dialect.collation} AS VARCHAR(")


@pytest.mark.parametrize("row", DOCUMENT["rows"], ids=lambda row: row["text"])
def test_postgresql_gives_the_lanes(row: dict[str, Any], postgresql_database: PostgreSQLDatabase) -> None:
    platform = PostgreSQLSQL()
    hashed = platform.hash(platform.join([platform.literal(token) for token in row["tokens"]]))
    query = f"SELECT {platform.high('h')}, {platform.low('h')} FROM (SELECT {hashed} AS h) AS hashed"
    assert postgresql_rows(postgresql_database, query) == [(int(row["high"]), int(row["low"]))]


@pytest.mark.parametrize("row", DOCUMENT["rows"], ids=lambda row: row["text"])
def test_duckdb_gives_the_lanes(row: dict[str, Any]) -> None:
    platform = DuckDBSQL()
    hashed = platform.hash(platform.join([platform.literal(token) for token in row["tokens"]]))
    query = f"SELECT {platform.high('h')}, {platform.low('h')} FROM (SELECT {hashed} AS h) AS hashed"
    assert duckdb_connection().execute(parsed(platform, query)).fetchall() == [(int(row["high"]), int(row["low"]))]


def test_postgresql_hashes_utf_8_whatever_the_encoding_of_the_database_is(postgresql_server: PostgreSQLServer) -> None:
    with fresh_database(postgresql_server, "LATIN1") as database:
        platform = PostgreSQL().canonical_sql(
            lambda query: [{"server_encoding": row[0]} for row in postgresql_rows(database, query)]
        )
        found = postgresql_rows(database, f"SELECT {platform.hex_of_text(platform.literal('é'))}")
    assert found == [(hashlib.md5("é".encode(), usedforsecurity=False).hexdigest(),)]


@pytest.mark.parametrize("entry", DOCUMENT["sets"], ids=lambda entry: str(entry["rows"]))
def test_sums_of_both_lanes_are_the_fingerprint_of_a_set(
    entry: dict[str, Any], postgresql_database: PostgreSQLDatabase
) -> None:
    rows = [DOCUMENT["rows"][number] for number in entry["rows"]]
    total = Fingerprint.ZERO
    for row in rows:
        total += Fingerprint(1, int(row["high"]), int(row["low"]))
    assert str(total) == entry["fingerprint"]
    postgresql_database.execute("CREATE TABLE t (v text)")
    connection = duckdb_connection()
    connection.execute("CREATE TABLE t (v VARCHAR)")
    for row in rows:
        postgresql_database.execute("INSERT INTO t VALUES (%s)", row["text"])
        connection.execute("INSERT INTO t VALUES (?)", [row["text"]])
    runs: list[tuple[CanonicalSQL, Callable[[str], list[Any]]]] = [
        (PostgreSQLSQL(), lambda query: postgresql_rows(postgresql_database, query)),
        (DuckDBSQL(), lambda query: connection.execute(query).fetchall()),
    ]
    for platform, run in runs:
        hashed = platform.hash("v")
        sums = f"{platform.sum_of(platform.high('h'))}, {platform.sum_of(platform.low('h'))}"
        ((count, high, low),) = run(f"SELECT COUNT(*), {sums} FROM (SELECT {hashed} AS h FROM t) AS hashed")
        assert Fingerprint(count, int(high or 0), int(low or 0)) == total


# -- what can't run here --------------------------------------------------------------------------


def _column(name: str, column_type: ColumnType, kind: CanonicalKind, *, nullable: bool = True) -> CanonicalColumn:
    digits = column_type.scale or 0 if kind is CanonicalKind.NUMBER else 0
    return CanonicalColumn(name, f'"{name}"', column_type, CanonicalType(kind, digits), nullable)


COLUMNS = [
    _column("flag", ColumnType(Kind.BOOLEAN), CanonicalKind.NUMBER),
    _column("id", integer(64), CanonicalKind.NUMBER, nullable=False),
    CanonicalColumn("amount", '"amount"', decimal(10, 2), CanonicalType(CanonicalKind.NUMBER, 4)),
    CanonicalColumn("price", '"price"', decimal(10, 4), CanonicalType(CanonicalKind.NUMBER, 2)),
    _column("ratio", floating(64), CanonicalKind.FLOAT),
    _column("code", text(20), CanonicalKind.TEXT),
    _column("note", TEXT, CanonicalKind.TEXT),
    _column("blob", ColumnType(Kind.BINARY), CanonicalKind.BINARY),
    _column("day", ColumnType(Kind.DATE), CanonicalKind.DATE),
    _column("moment", temporal(Kind.TIME), CanonicalKind.TIME),
    _column("stamp", temporal(Kind.TIMESTAMP), CanonicalKind.TIMESTAMP),
    _column("instant", temporal(Kind.TIMESTAMP_TZ), CanonicalKind.TIMESTAMP),
    _column("token", ColumnType(Kind.UUID), CanonicalKind.TEXT),
]
TARGETS = ("snowflake", "duckdb")
PLATFORMS: dict[str, CanonicalSQL] = {
    "snowflake": SnowflakeSQL(),
    "sqlserver": SQLServerSQL(),
    "sqlserver_before_2019": LegacySQLServerSQL(),
    "redshift": RedshiftSQL(),
    "postgresql": PostgreSQLSQL(),
    "duckdb": DuckDBSQL(),
}


def queries(platform: CanonicalSQL) -> dict[str, str]:
    """One query of every form, over columns of every type."""
    key = COLUMNS[1]
    ranges = RangeBuckets(key, origin=-5, width=1000)
    hashes = HashBuckets((key,), 3)
    found = {f"token of {column.name}": f"SELECT {platform.token(column)} FROM t" for column in COLUMNS}
    return {
        **found,
        "fingerprints of ranges": platform.bucket_query("t", COLUMNS[:3], ranges, None),
        "fingerprints of hashes": platform.bucket_query("t", COLUMNS[:3], hashes, "id > 0"),
        "fingerprints of rows without a key": platform.bucket_query("t", COLUMNS[:3], HashBuckets((), 3), None),
        "fingerprints of some ranges": platform.bucket_query(
            "t", COLUMNS[:3], ranges, platform.in_buckets(COLUMNS[:3], ranges, [0, 1000, 5000, None])
        ),
        "fingerprints of some hashes": platform.bucket_query(
            "t", COLUMNS[:3], HashBuckets((key,), 4), platform.in_buckets(COLUMNS[:3], hashes, ["0a3", "fff"])
        ),
        "fingerprints of marked ranges": platform.bucket_query("t", COLUMNS[1:2], ranges, None, mark="id > 9"),
        "fingerprints of columns": platform.column_query("t", COLUMNS[2:4], [key], None),
        "rows": platform.rows_query("t", COLUMNS[:2], None, platform.bucket(COLUMNS[:2], ranges)),
        "keys": platform.keys_query("t", COLUMNS[:2], "id > 0", with_values=True),
        "bounds": platform.bounds_query("t", key),
    }


@pytest.mark.parametrize("name", sorted(PLATFORMS))
def test_the_sql_of_a_platform_is_its_snapshot_and_can_be_parsed(name: str) -> None:
    platform = PLATFORMS[name]
    found = queries(platform)
    for what, query in found.items():
        sent = parsed(platform, query)
        # Only a target's queries go through the parser on their way.
        found[what] = sent if name in TARGETS else query
    file = SNAPSHOTS / f"{name}.sql"
    parts = [f"-- Fingerprint spec {SPEC}", *(f"-- {what}\n{query};" for what, query in found.items())]
    written = "\n\n".join(parts) + "\n"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_text(written, encoding="utf-8")
        pytest.fail(f"{file.name} was missing and is written now: read it, and commit it")
    assert written == file.read_text(encoding="utf-8")


def test_the_vectors_are_of_this_spec() -> None:
    assert DOCUMENT["spec"] == SPEC
    assert json.dumps(DOCUMENT)  # plain JSON, for implementations in other languages
