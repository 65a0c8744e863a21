"""SQL Server gives the tokens, hashes and sums of the golden vectors, with UTF-8 and without it.

Run against the server that SOURCE_SQLSERVER_HOST names. One that is PostgreSQL underneath has only microseconds.
"""

from __future__ import annotations

from hashlib import md5
from typing import Any

import pytest

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType, Fingerprint
from migration_assets.platforms.canonical_sql import CanonicalColumn, HashBuckets
from migration_assets.platforms.sqlserver import LegacySQLServerSQL, SQLServerSQL
from migration_assets.platforms.sqlserver.canonical import canonical_sql
from migration_assets.platforms.types import BINARY, TEXT, ColumnType, Kind, decimal, floating, temporal, text
from migration_assets_tests.platforms.fingerprint_vectors import DOCUMENT, Vector, vectors
from migration_assets_tests.source_servers import SQLServerDatabase

pytestmark = pytest.mark.sqlserver

PLATFORMS = [SQLServerSQL(), LegacySQLServerSQL()]

_TYPES = {
    Kind.BOOLEAN: "bit",
    Kind.TEXT: "nvarchar(max)",
    Kind.BINARY: "varbinary(max)",
    Kind.DATE: "date",
    Kind.TIME: "time(7)",
    Kind.TIMESTAMP: "datetime2(7)",
    Kind.TIMESTAMP_TZ: "datetimeoffset(7)",
    Kind.UUID: "uniqueidentifier",
}


def sqlserver_type(column_type: ColumnType) -> str:
    match column_type.kind:
        case Kind.INTEGER:
            return {16: "smallint", 32: "int", 64: "bigint"}[column_type.bits or 64]
        case Kind.FLOAT:
            return "real" if column_type.bits == 32 else "float(53)"
        case Kind.DECIMAL:
            return f"decimal({column_type.precision}, {column_type.scale})"
        case kind:
            return f"nvarchar({column_type.length})" if column_type.length else _TYPES[kind]


def literal(declared: str, value: str | None) -> str:
    if value is None:
        return "NULL"
    if declared.startswith(("varbinary", "binary", "image")):
        return f"0x{value}"
    if declared.startswith(("float", "real")):
        return f"CAST('{value}' AS {declared})"
    # Each character by its code: NUL ends a literal.
    if "char" in declared or "text" in declared:
        escaped = value.replace("'", "''").split("\0")
        return (
            "CAST("
            + " + NCHAR(0) + ".join(f"CAST(N'{part}' AS nvarchar(max))" for part in escaped)
            + f" AS {declared})"
        )
    return f"CAST('{value}' AS {declared})"


def native(declared: str) -> tuple[str, tuple[int, ...]]:
    name, _, arguments = declared.rstrip(")").partition("(")
    return name, tuple(int(one) for one in arguments.split(",") if one != "max") if arguments else ()


def found_tokens(
    database: SQLServerDatabase,
    platform: SQLServerSQL,
    declared: str,
    column_type: ColumnType,
    canonical: CanonicalType,
    values: tuple[str | None, ...],
) -> list[str | None]:
    """The tokens; None for rows that are left to the worker."""
    name, arguments = native(declared)
    column = CanonicalColumn("v", "v", column_type, canonical, native=name, native_arguments=arguments)
    hashable = platform.hashable([column]) or "1 = 1"
    with database.session() as session:
        session.run(f"CREATE TABLE t (n int, v {declared})")
        for number, value in enumerate(values):
            session.run(f"INSERT INTO t (n, v) VALUES ({number}, {literal(declared, value)})")
        token = platform.for_drivers(platform.token(column))
        query = f"SELECT CASE WHEN {hashable} THEN {token} END FROM t ORDER BY n"
        return [token for (token,) in session.run(query)]


def require_collation(database: SQLServerDatabase, name: str) -> None:
    """Skips the test where a server doesn't know a collation. Its list of them isn't asked: it may lack some."""
    import pyodbc

    with database.session() as session:
        try:
            session.run(f"SELECT CAST(N'a' COLLATE {name} AS VARCHAR(MAX))")
        except pyodbc.ProgrammingError:
            pytest.skip(f"needs a server with the collation {name}: SQL Server 2019 or newer has it")


@pytest.fixture(params=PLATFORMS, ids=["2019", "before"])
def platform(request: pytest.FixtureRequest, sqlserver_database: SQLServerDatabase) -> SQLServerSQL:
    """SQL for servers with UTF-8, and for those without."""
    chosen: SQLServerSQL = request.param
    require_collation(sqlserver_database, chosen.collation)
    return chosen


def shown_by(database: SQLServerDatabase, value: str | None) -> bool:
    """Whether the server's own functions keep a value. One that is PostgreSQL doubles no backslash in REPLACE."""
    return not (database.is_babelfish and value is not None and "\\" in value)


@pytest.mark.parametrize("vector", vectors("values"), ids=str)
def test_sql_server_gives_the_tokens(
    vector: Vector, platform: SQLServerSQL, sqlserver_database: SQLServerDatabase
) -> None:
    # It has neither NaN nor infinity.
    pairs = [
        (value, token)
        for value, token in zip(vector.values, vector.tokens, strict=True)
        if shown_by(sqlserver_database, value) and token not in ("NaN", "Infinity", "-Infinity")
    ]
    values = tuple(value for value, _ in pairs)

    found = found_tokens(
        sqlserver_database, platform, sqlserver_type(vector.type), vector.type, vector.canonical, values
    )

    is_blind = isinstance(platform, LegacySQLServerSQL) and vector.type.kind is Kind.TEXT
    assert found == [None if is_blind and not is_ascii(value) else token for value, token in pairs]


def is_ascii(value: str | None) -> bool:
    return value is None or (value.isascii() and "\0" not in value)


TIMESTAMP, TIME = CanonicalType(CanonicalKind.TIMESTAMP), CanonicalType(CanonicalKind.TIME)
OF_TEXT, OF_BYTES = CanonicalType(CanonicalKind.TEXT), CanonicalType(CanonicalKind.BINARY)


@pytest.mark.parametrize(
    ("declared", "column_type", "canonical", "value", "token"),
    [
        (
            "money",
            decimal(19, 4),
            CanonicalType(CanonicalKind.NUMBER, 4),
            "-922337203685477.5808",
            "-922337203685477.5808",
        ),
        ("money", decimal(19, 4), CanonicalType(CanonicalKind.NUMBER, 4), "0.0001", "0.0001"),
        ("money", decimal(19, 4), CanonicalType(CanonicalKind.NUMBER, 2), "12.3400", "12.34"),
        ("smallmoney", decimal(10, 4), CanonicalType(CanonicalKind.NUMBER, 4), "214748.3647", "214748.3647"),
        ("tinyint", ColumnType(Kind.INTEGER, bits=16), CanonicalType(CanonicalKind.NUMBER), "255", "255"),
        ("datetime", temporal(Kind.TIMESTAMP, 3), TIMESTAMP, "1753-01-01T00:00:00.003", "1753-01-01 00:00:00.003"),
        ("datetime", temporal(Kind.TIMESTAMP, 3), TIMESTAMP, "9999-12-31T23:59:59.997", "9999-12-31 23:59:59.997"),
        ("datetime", temporal(Kind.TIMESTAMP, 3), TIMESTAMP, "2024-02-29T12:00:00", "2024-02-29 12:00:00"),
        ("smalldatetime", temporal(Kind.TIMESTAMP, 0), TIMESTAMP, "2079-06-06T23:59:00", "2079-06-06 23:59:00"),
        ("datetime2(0)", temporal(Kind.TIMESTAMP, 0), TIMESTAMP, "2024-02-29 12:00:01", "2024-02-29 12:00:01"),
        ("time(0)", temporal(Kind.TIME, 0), TIME, "23:59:59", "23:59:59"),
        (
            "datetimeoffset(7)",
            temporal(Kind.TIMESTAMP_TZ, 7),
            TIMESTAMP,
            "2024-01-01 00:30:00.120 +14:00",
            "2023-12-31 10:30:00.12",
        ),
        ("char(5)", text(5), OF_TEXT, "ab", "ab"),
        ("nchar(5)", text(5), OF_TEXT, " b", " b"),
        ("varchar(5)", text(5), OF_TEXT, "ab ", "ab "),
        ("text", TEXT, OF_TEXT, "a|b ", r"a\pb "),
        ("ntext", TEXT, OF_TEXT, "", ""),
        ("nvarchar(max)", TEXT, OF_TEXT, "x" * 20_000, r"\h4ab21ae9bf8b9aa0e9d4a5ad1c5a5a1c"),
        ("xml", TEXT, OF_TEXT, "<a>1</a>", "<a>1</a>"),
        ("sql_variant", TEXT, OF_TEXT, "one", "one"),
        (
            "uniqueidentifier",
            ColumnType(Kind.UUID),
            OF_TEXT,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        ("binary(4)", BINARY, OF_BYTES, "00FF", "00ff0000"),
        ("image", BINARY, OF_BYTES, "DEADBEEF", "deadbeef"),
        ("real", floating(32), CanonicalType(CanonicalKind.FLOAT), "0.1", "7205759511166976p-56"),
    ],
)
def test_types_that_only_sql_server_has_get_tokens(
    declared: str,
    column_type: ColumnType,
    canonical: CanonicalType,
    value: str,
    token: str,
    platform: SQLServerSQL,
    sqlserver_database: SQLServerDatabase,
) -> None:
    if token.startswith(r"\h"):
        token = r"\h" + md5(value.encode(), usedforsecurity=False).hexdigest()
    found = found_tokens(sqlserver_database, platform, declared, column_type, canonical, (value, None))
    assert found == [token, r"\N"]


@pytest.mark.parametrize(
    ("declared", "kind", "value", "token"),
    [
        ("datetime2(7)", Kind.TIMESTAMP, "2024-02-29 12:00:00.1234567", "2024-02-29 12:00:00.1234567"),
        ("datetime2(7)", Kind.TIMESTAMP, "9999-12-31 23:59:59.9999999", "9999-12-31 23:59:59.9999999"),
        ("time(7)", Kind.TIME, "23:59:59.0000001", "23:59:59.0000001"),
        ("datetimeoffset(7)", Kind.TIMESTAMP_TZ, "2024-01-01 00:00:00.0000001 +01:00", "2023-12-31 23:00:00.0000001"),
    ],
)
def test_100_ns_are_in_the_tokens(
    declared: str, kind: Kind, value: str, token: str, platform: SQLServerSQL, sqlserver_database: SQLServerDatabase
) -> None:
    if sqlserver_database.is_babelfish:
        pytest.skip("this server is PostgreSQL, which has microseconds")
    canonical = TIME if kind is Kind.TIME else TIMESTAMP
    found = found_tokens(sqlserver_database, platform, declared, temporal(kind, 7), canonical, (value,))
    assert found == [token]


@pytest.mark.parametrize("entry", DOCUMENT["sets"], ids=lambda entry: str(entry["rows"]))
def test_sums_of_both_lanes_are_the_fingerprint_of_a_set(
    entry: dict[str, Any], platform: SQLServerSQL, sqlserver_database: SQLServerDatabase
) -> None:
    rows = [DOCUMENT["rows"][number] for number in entry["rows"]]
    if isinstance(platform, LegacySQLServerSQL):
        rows = [row for row in rows if is_ascii(row["text"])]
    texts = f"v COLLATE {platform.collation}"
    sums = ", ".join(platform.sum_of(lane("h")) for lane in (platform.high, platform.low))
    with sqlserver_database.session() as session:
        session.run("CREATE TABLE t (v nvarchar(max))")
        for row in rows:
            session.run(f"INSERT INTO t VALUES ({literal('nvarchar(max)', row['text'])})")
        hashed = platform.hashed("t", None, {}, {"h": f"CAST({texts} AS VARCHAR(MAX))"})
        ((count, high, low),) = session.run(f"SELECT COUNT_BIG(*), {sums} FROM ({hashed}) AS hashed")
    expected = sum((Fingerprint(1, int(row["high"]), int(row["low"])) for row in rows), Fingerprint.ZERO)
    assert Fingerprint(count, int(high or 0), int(low or 0)) == expected


def test_texts_of_several_collations_make_one_row(
    platform: SQLServerSQL, sqlserver_database: SQLServerDatabase
) -> None:
    columns = [
        CanonicalColumn(name, name, TEXT, OF_TEXT, native="nvarchar", native_arguments=(20,)) for name in ("v", "w")
    ]
    with sqlserver_database.session() as session:
        session.run(
            "CREATE TABLE t (v nvarchar(20) COLLATE Latin1_General_CI_AS, w nvarchar(20) COLLATE Latin1_General_BIN2)"
        )
        session.run("INSERT INTO t VALUES (N'a', N'b'), (N'A', N'b')")
        found = session.run(platform.bucket_query("t", columns, HashBuckets(tuple(columns), 8), None))
    names = sorted(md5(row, usedforsecurity=False).hexdigest()[:8] for row in (b"a|b", b"A|b"))
    assert sorted((bucket, count) for bucket, count, _, _ in found) == [(name, 1) for name in names]


def test_a_table_may_have_as_many_columns_as_sql_server_allows(
    platform: SQLServerSQL, sqlserver_database: SQLServerDatabase
) -> None:
    names = [f"c{number}" for number in range(1024)]
    column_type = CanonicalType(CanonicalKind.NUMBER)
    columns = [
        CanonicalColumn(name, name, ColumnType(Kind.INTEGER, bits=16), column_type, native="tinyint") for name in names
    ]
    with sqlserver_database.session() as session:
        session.run(f"CREATE TABLE t ({', '.join(f'{name} tinyint' for name in names)})")
        session.run(f"INSERT INTO t VALUES ({', '.join(str(number % 256) for number in range(1024))})")
        ((count, high, low),) = session.run(platform.total_query("t", columns, None))
    digest = md5("|".join(str(number % 256) for number in range(1024)).encode(), usedforsecurity=False).hexdigest()
    assert (count, int(high), int(low)) == (1, int(digest[1:16], 16), int(digest[17:], 16))


def test_a_list_of_very_many_hashes_is_a_table(platform: SQLServerSQL, sqlserver_database: SQLServerDatabase) -> None:
    key = CanonicalColumn(
        "v", "v", ColumnType(Kind.INTEGER, bits=32), CanonicalType(CanonicalKind.NUMBER), native="int"
    )
    buckets = HashBuckets((key,), 4)
    wanted = [md5(str(number).encode(), usedforsecurity=False).hexdigest()[:4] for number in range(2000)]
    with sqlserver_database.session() as session:
        session.run("CREATE TABLE t (v int)")
        session.run("INSERT INTO t VALUES (7), (1999), (-1)")
        condition = platform.in_buckets([key], buckets, set(wanted))
        found = session.run(f"SELECT v FROM t WHERE {condition} ORDER BY v")
    assert [value for (value,) in found] == [7, 1999]


def test_the_server_is_asked_for_utf_8() -> None:
    assert isinstance(canonical_sql(lambda _: [{"code_page": 65001}]), SQLServerSQL)
    assert not isinstance(canonical_sql(lambda _: [{"code_page": 65001}]), LegacySQLServerSQL)
    assert isinstance(canonical_sql(lambda _: [{"code_page": None}]), LegacySQLServerSQL)
