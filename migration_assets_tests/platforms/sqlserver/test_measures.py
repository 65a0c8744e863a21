"""Figures of SQL Server's columns: the statement, and that DuckDB finds the same figures of the same rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from migration_assets.platforms import types
from migration_assets.platforms.measures import Measures
from migration_assets.platforms.sqlserver.measures import SQLServerMeasures, measures
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.validation.levels.column_metrics import (
    MetricColumn,
    compare_metrics,
    metrics_query,
    read_metrics,
)
from migration_assets_tests.source_servers import SQLServerDatabase

SNAPSHOT = Path(__file__).with_name("metrics.sql")

# Declared, type, values. Sums go beyond the types that SQL Server itself would sum them up in.
COLUMNS: dict[str, tuple[str, ColumnType, list[str]]] = {
    "flag": ("bit", types.BOOLEAN, ["1", "0", "1"]),
    "small": ("tinyint", types.integer(16), ["255", "0", "200"]),
    "int": ("int", types.integer(32), ["2147483647", "2147483647", "-1"]),
    "big": ("bigint", types.integer(64), ["9223372036854775807", "9223372036854775807", "5"]),
    "short": ("decimal(28, 4)", types.decimal(28, 4), ["999999999999999999999999.9999", "-0.0001", "7"]),
    "long": (
        "decimal(38, 2)",
        types.decimal(38, 2),
        ["999999999999999999999999999999999999.99", "999999999999999999999999999999999999.98", "-0.01"],
    ),
    "fine": (
        "decimal(38, 20)",
        types.decimal(38, 20),
        ["999999999999999999.99999999999999999999", "0.00000000000000000001", "-1.5"],
    ),
    "cash": ("money", types.decimal(19, 4), ["922337203685477.5807", "922337203685477.5807", "-0.0001"]),
    "ratio": ("float(53)", types.floating(64), ["1.5E300", "-0.25", "0"]),
    "thin": ("real", types.floating(32), ["0.5", "1E-3", "-7"]),
    "name": ("nvarchar(20)", types.text(20), ["N'a '", "N''", "N'żółw 🐢'"]),
    "code": ("char(6)", types.text(6), ["'ab'", "''", "' b'"]),
    "note": ("ntext", types.TEXT, ["N'x  '", "N''", "NULL"]),
    "blob": ("image", types.BINARY, ["0x00FF", "0x", "NULL"]),
    "mark": ("varbinary(8)", types.BINARY, ["0x0000", "0x01", "NULL"]),
    "day": ("date", types.DATE, ["'0001-01-01'", "'9999-12-31'", "NULL"]),
    "clock": ("time(6)", types.temporal(Kind.TIME), ["'23:59:59.999999'", "'00:00:00'", "NULL"]),
    "seen": (
        "datetime",
        types.temporal(Kind.TIMESTAMP, 3),
        ["'17530101 00:00:00.003'", "'99991231 23:59:59.997'", "NULL"],
    ),
    "stamp": ("datetime2(6)", types.temporal(Kind.TIMESTAMP), ["'0001-01-01'", "'2024-02-29 12:00:00.000001'", "NULL"]),
    "instant": (
        "datetimeoffset(6)",
        types.temporal(Kind.TIMESTAMP_TZ),
        ["'2024-01-01 00:30:00 +14:00'", "'2024-01-01 00:30:00.5 -05:30'", "NULL"],
    ),
    "token": ("uniqueidentifier", types.UUID, ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "NULL", "NULL"]),
}


def columns(platform: Measures, *, modified: bool = True) -> list[MetricColumn]:
    found = []
    for name, (declared, column_type, _) in COLUMNS.items():
        expression = f"[{name}]" if platform.dialect == "tsql" else f'"{name}"'
        if platform.dialect == "tsql" and modified:
            expression = platform.measurable(expression, column_type, declared.partition("(")[0])
        found.append(
            MetricColumn(
                name,
                column_type,
                expression,
                only_counted=column_type.kind is Kind.UUID,
                counts_empty=True,
                counts_distinct=column_type.kind is not Kind.UUID,
            )
        )
    return found


def query(platform: Measures) -> str:
    return metrics_query(exp.to_table("t"), columns(platform), None, platform).sql(platform.dialect)


def test_the_statement_is_its_snapshot_and_can_be_parsed() -> None:
    found = query(SQLServerMeasures())
    assert sqlglot.parse_one(found, dialect="tsql").sql("tsql") == found
    written = found.replace(", ", ",\n").replace(" FROM t", "\nFROM t") + ";\n"
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(written, encoding="utf-8")
        pytest.fail(f"{SNAPSHOT.name} was missing and is written now: read it, and commit it")
    assert written == SNAPSHOT.read_text(encoding="utf-8")


@pytest.mark.sqlserver
def test_duckdb_finds_the_same_figures(sqlserver_database: SQLServerDatabase) -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    target = Measures("duckdb")
    with sqlserver_database.session() as session:
        declared = ", ".join(f"[{name}] {one[0]}" for name, one in COLUMNS.items())
        session.run(f"CREATE TABLE t ({declared})")
        for row in zip(*(one[2] for one in COLUMNS.values()), strict=True):
            session.run(f"INSERT INTO t VALUES ({', '.join(row)})")
        found = measures(lambda statement: [{"code_page": value} for (value,) in session.run(statement)])
        statement = metrics_query(exp.to_table("t"), columns(found), None, found)
        (answer,) = session.run(statement.sql("tsql"))
    duckdb_types = {
        "bit": "BOOLEAN",
        "tinyint": "SMALLINT",
        "int": "INTEGER",
        "bigint": "BIGINT",
        "money": "DECIMAL(19, 4)",
        "float": "DOUBLE",
        "real": "REAL",
        "uniqueidentifier": "UUID",
        "date": "DATE",
        "time": "TIME",
        "datetime": "TIMESTAMP",
        "datetime2": "TIMESTAMP",
        "datetimeoffset": "TIMESTAMPTZ",
    }
    described = []
    for name, (kind, column_type, _) in COLUMNS.items():
        base = kind.partition("(")[0]
        plain = {Kind.TEXT: "VARCHAR", Kind.BINARY: "BLOB", Kind.DECIMAL: kind}.get(column_type.kind, kind)
        described.append(f'"{name}" {duckdb_types.get(base, plain)}')
    connection.execute(f"CREATE TABLE t ({', '.join(described)})")
    for row in zip(*(one[2] for one in COLUMNS.values()), strict=True):
        values = []
        for (kind, column_type, _), value in zip(COLUMNS.values(), row, strict=True):
            text = value.removeprefix("N").strip("'") if value != "NULL" else None
            if text is not None and column_type.kind is Kind.TEXT and kind.startswith("char"):
                text = text.rstrip(" ")
            if text is not None and kind == "datetime":
                text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
            if text is not None and column_type.kind is Kind.TIMESTAMP_TZ:
                text = text.replace(" +", "+").replace(" -", "-")
            values.append(bytes.fromhex(value[2:]) if column_type.kind is Kind.BINARY and text is not None else text)
        connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(values))})", values)
    of_target = connection.sql(query(target)).fetchall()[0]

    source_metrics = read_metrics(dict(zip(statement.named_selects, answer, strict=True)), columns(found))
    names = metrics_query(exp.to_table("t"), columns(target), None, target).named_selects
    target_metrics = read_metrics(dict(zip(names, of_target, strict=True)), columns(target))

    assert compare_metrics(source_metrics, target_metrics, {name: one[1] for name, one in COLUMNS.items()}) == []


@pytest.mark.sqlserver
def test_columns_that_nothing_is_done_to_have_figures_too(sqlserver_database: SQLServerDatabase) -> None:
    found = SQLServerMeasures(None)
    plain = [
        one
        for one in columns(found, modified=False)
        if found.is_measurable(one.type, COLUMNS[one.name][0].partition("(")[0])
    ]
    counted = [MetricColumn(name, one[1], f"[{name}]", only_counted=True) for name, one in COLUMNS.items()]
    with sqlserver_database.session() as session:
        session.run(f"CREATE TABLE t ({', '.join(f'[{name}] {one[0]}' for name, one in COLUMNS.items())})")
        for some in (plain, counted):
            statement = metrics_query(exp.to_table("t"), some, None, found)
            (answer,) = session.run(statement.sql("tsql"))
            assert answer[0] == 0
