"""bcp's own functions against a server that speaks TDS: what they write, and the SQL whose values they print.

bcp itself is not run: a stand-in has its arguments and questions, and exports with the functions of Microsoft's ODBC
driver that bcp is made of. What stands for SQL Server may lack its 100 ns and its character 0.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migration_assets.platforms.base import ReadColumn
from migration_assets.platforms.types import Kind, temporal
from migration_assets.resources.sources.base import SourceError
from migration_assets.resources.sources.sqlserver_login import SQLServerLogin
from migration_assets_tests.resources.bulk_copy.columns import column
from migration_assets_tests.resources.bulk_copy.program import Program, sql_login

_SETTINGS = {name: text for name, text in os.environ.items() if name.startswith("SOURCE_SQLSERVER_")}
_HOST = _SETTINGS.get("SOURCE_SQLSERVER_HOST", "")
_PORT = _SETTINGS.get("SOURCE_SQLSERVER_PORT", "1433")

pytestmark = pytest.mark.skipif(not _HOST, reason="needs a server that speaks TDS: set SOURCE_SQLSERVER_HOST, _PORT, …")


@pytest.fixture
def login() -> SQLServerLogin:
    return sql_login(
        host=_HOST,
        port=int(_PORT),
        username=_SETTINGS["SOURCE_SQLSERVER_USERNAME"],
        password=_SETTINGS["SOURCE_SQLSERVER_PASSWORD"],
        database="master",
        encrypt="no",
    )


@pytest.fixture
def program(tmp_path: Path, login: SQLServerLogin) -> Program:
    server = f"Server={_HOST},{_PORT};Encrypt=no;TrustServerCertificate=yes"
    return Program.playing(tmp_path, server=server, password=login.password, sample=None)


VALUES: list[tuple[ReadColumn, str, Any]] = [
    (column("c", "bit"), "CAST(1 AS bit)", "True"),
    (column("c", "tinyint"), "CAST(255 AS smallint)", "255"),
    (column("c", "bigint"), "CAST(-9223372036854775808 AS bigint)", str(-(2**63))),
    (
        column("c", "decimal", 38, 10),
        "CAST(-1234567890123456789012345678.0123456789 AS decimal(38, 10))",
        "-1234567890123456789012345678.0123456789",
    ),
    (column("c", "decimal", 10, 4), "CAST(0.5 AS decimal(10, 4))", "0.5000"),
    (column("c", "money"), "CAST(922337203685477.5807 AS money)", "922337203685477.5807"),
    (column("c", "smallmoney"), "CAST(-0.0001 AS smallmoney)", "-0.0001"),
    (column("c", "float"), "CAST(0.1 AS float) + CAST(0.2 AS float)", "0.30000000000000004"),
    (column("c", "float"), "CAST(1.7976931348623157E308 AS float)", "1.7976931348623157e+308"),
    (column("c", "float"), "CAST(-2.2250738585072014E-308 AS float)", "-2.2250738585072014e-308"),
    (column("c", "real"), "CAST(0.1 AS real)", "0.10000000149011612"),
    (column("c", "date"), "CAST('0001-01-01' AS date)", "0001-01-01"),
    (column("c", "time", 6), "CAST('23:59:59.999999' AS time(6))", "23:59:59.999999"),
    (column("c", "time", 0), "CAST('00:00:00' AS time(0))", "00:00:00"),
    (column("c", "datetime2", 6), "CAST('9999-12-31T23:59:59.999999' AS datetime2(6))", "9999-12-31 23:59:59.999999"),
    (column("c", "datetime"), "CAST('1753-01-01T00:00:00.003' AS datetime)", "1753-01-01 00:00:00.003000"),
    (column("c", "smalldatetime"), "CAST('2079-06-06T23:59:00' AS smalldatetime)", "2079-06-06 23:59:00"),
    (
        column("c", "datetimeoffset", 6, wanted=temporal(Kind.TIMESTAMP_TZ)),
        "CAST('1969-12-31T23:59:59.5' AS datetime2(6))",
        "1969-12-31 23:59:59.500000+00:00",
    ),
    (column("c", "nvarchar", 20), "N''", ""),
    (column("c", "nvarchar", 20), "N'  x  '", "  x  "),
    (column("c", "nvarchar", 20), "N'a' + NCHAR(13) + NCHAR(10) + NCHAR(9) + NCHAR(31) + N'b'", "a\r\n\t\x1fb"),
    (column("c", "nvarchar", 20), "N'Zoë 漢字 😀'", "Zoë 漢字 😀"),
    (column("c", "nvarchar", 20), "NCHAR(65279) + N'x'", "\ufeffx"),
    (column("c", "nvarchar", -1), "REPLICATE(CAST(N'漢字' AS nvarchar(max)), 10000)", "漢字" * 10_000),
    (column("c", "varchar", 8000), "REPLICATE('x', 8000)", "x" * 8000),
    (
        column("c", "uniqueidentifier"),
        "LOWER(CAST(CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier) AS char(36)))",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    ),
    (column("c", "varbinary", 20), "CAST(0x AS varbinary(20))", "b''"),
    (column("c", "varbinary", 20), "CAST(0x00FF0A1F AS varbinary(20))", repr(b"\x00\xff\n\x1f")),
    (column("c", "varbinary", -1), "CAST(0xDEADBEEF AS varbinary(max))", repr(b"\xde\xad\xbe\xef")),
]


def test_every_type_reads_back_exactly_beside_a_null(program: Program, login: SQLServerLogin) -> None:
    columns = [
        ReadColumn(f"c{number}", one.type, one.source, one.expression) for number, (one, _, _) in enumerate(VALUES)
    ]
    values = ", ".join(f"{value} AS c{number}" for number, (_, value, _) in enumerate(VALUES))
    nothing = ", ".join(f"CASE WHEN 1 = 0 THEN {value} END" for _, value, _ in VALUES)
    reader = program.reader(login)

    (table,) = reader.read(f"SELECT {values} UNION ALL SELECT {nothing}", columns)

    assert reader.source_rows == 2
    first, second = sorted(table.to_pylist(), key=lambda row: row["c0"] is None)
    assert [str(value) for value in first.values()] == [expected for _, _, expected in VALUES]
    assert set(second.values()) == {None}


def test_a_password_that_is_wrong_is_refused_by_the_server(program: Program, login: SQLServerLogin) -> None:
    with pytest.raises(SourceError, match=r"Login failed"):
        list(program.reader(replace(login, password="wrong")).read("SELECT 1", [column("x", "int")]))


def test_a_query_that_the_server_refuses_says_why(program: Program, login: SQLServerLogin) -> None:
    with pytest.raises(SourceError, match=r"no_such_table"):
        list(program.reader(login).read("SELECT [x] FROM [dbo].[no_such_table]", [column("x", "int")]))


def test_many_rows_stream(program: Program, login: SQLServerLogin) -> None:
    hundred = ", ".join(f"({number})" for number in range(100))
    query = f"SELECT a.n * 10000 + b.n * 100 + c.n AS id, N'é' AS name FROM (VALUES {hundred}) AS a(n) "
    query += f"CROSS JOIN (VALUES {hundred}) AS b(n) CROSS JOIN (VALUES {hundred}) AS c(n)"
    reader = program.reader(login)
    rows = total = tables = 0
    for table in reader.read(query, [column("id", "int"), column("name", "nvarchar", 10)]):
        rows, total, tables = rows + table.num_rows, total + sum(table["id"].to_pylist()), tables + 1

    assert (rows, total) == (1_000_000, 499_999_500_000)
    assert reader.source_rows == rows
    assert tables > 1
