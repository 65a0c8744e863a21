"""The example "Basic Migration (SQL Server)" of the workflow format, as written, from a server to checked tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import DagsterInstance

from migration_assets.cli.session import migrate_workflow, workflow_errors
from migration_assets.workflow import load_workflow
from migration_assets_tests.main_job import status, verdicts
from migration_assets_tests.source_servers import SQLSERVER_SETTINGS, SQLServerDatabase, SQLServerSession

pytestmark = pytest.mark.sqlserver

EXAMPLE = Path(__file__).parent / "basic_migration_sqlserver.json"
SCHEMA = "data_migration_cloud_test"

EMPLOYEES = f"""
CREATE TABLE {SCHEMA}.store_employee (
    ID int NOT NULL PRIMARY KEY, first_name nvarchar(50) NOT NULL, hired date, salary money, photo varbinary(max)
)
"""
SALES = f"""
CREATE TABLE {SCHEMA}.Sales_Simple (
    ID int IDENTITY(1, 1) PRIMARY KEY, name nvarchar(100), total money NOT NULL,
    UPDATED_AT datetime2(6) NOT NULL, is_deleted bit NOT NULL
)
"""


@pytest.fixture
def store(
    migration_home: Path, monkeypatch: pytest.MonkeyPatch, dagster_in_memory: DagsterInstance
) -> Iterator[SQLServerSession]:
    """The database that the example names, with its tables, which the environment names as the source."""
    for name, value in SQLSERVER_SETTINGS.items():
        monkeypatch.setenv(name, value)
    database = SQLServerDatabase(SQLSERVER_SETTINGS, "SampleStoreDB")
    with SQLServerDatabase(SQLSERVER_SETTINGS, "master").session() as master:
        if master.run("SELECT 1 FROM sys.databases WHERE name = N'SampleStoreDB'"):
            pytest.skip("the server has a database SampleStoreDB, which may be somebody's: drop it first")
    with database.made(), database.session() as session:
        session.run(f"CREATE SCHEMA {SCHEMA}")
        session.run(EMPLOYEES)
        session.run(SALES)
        session.run(
            f"INSERT INTO {SCHEMA}.store_employee VALUES (1, N'Zoë', '2020-02-29', 1234.5678, 0x00FF), "
            "(2, N'漢字 😀', NULL, NULL, NULL), (3, N'', '9999-12-31', -0.0001, 0x)"
        )
        yield session


def sell(session: SQLServerSession, *rows: tuple[str, str, str, int]) -> None:
    """Adds rows of name, total, time and whether they are deleted."""
    values = ", ".join(f"({name}, {total}, '{at}', {gone})" for name, total, at, gone in rows)
    session.run(f"INSERT INTO {SCHEMA}.Sales_Simple (name, total, UPDATED_AT, is_deleted) VALUES {values}")


def run() -> dict[str, dict[str, Any]]:
    """Runs the example as it is written; the platform is said beside it."""
    workflow = load_workflow(EXAMPLE, "sqlserver")
    succeeded = migrate_workflow(workflow, EXAMPLE, "sqlserver", fresh=False, metrics=True, fingerprint=True)
    found = status(workflow.name)
    assert succeeded, (workflow_errors(workflow.name), found)
    return found


def target(query: str) -> list[tuple[Any, ...]]:
    folder = Path(os.environ["MIGRATION_HOME"]) / "warehouse"
    (file,) = folder.glob("*.duckdb")
    assert file.stem.lower() == "samplestoredb"
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute(f"USE {SCHEMA}")
        return connection.execute(query).fetchall()


def test_the_example_runs_as_it_is_written(store: SQLServerSession) -> None:
    sell(
        store,
        ("N'Müller & Söhne'", "922337203685477.5807", "2024-05-01T10:00:00.000001", 0),
        ("NULL", "-0.0001", "2024-05-01T10:00:01", 0),
        ("N'gone already'", "1", "2024-05-01T10:00:02", 1),
        ("N'O''Brien'", "19.99", "2024-05-01T10:00:03.999999", 0),
    )

    tables = run()

    for name, row in tables.items():
        assert set(verdicts(row).values()) == {"pass"}, (name, row["checks"])
    assert sorted(row["rows"] for row in tables.values()) == [3, 3]
    # A name that is mapped is the target's as it is written, any other one as the source's catalogue spells it.
    columns = target("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'Sales_Simple'")
    assert {name.replace("updated_at", "UPDATED_AT"): kind for name, kind in columns} == {
        "old_id": "INTEGER",
        "full_name": "VARCHAR",
        "total": "DECIMAL(19,4)",
        "UPDATED_AT": "TIMESTAMP",
        "is_deleted": "BOOLEAN",
    }
    assert target("SELECT old_id, full_name, total, UPDATED_AT::VARCHAR FROM Sales_Simple ORDER BY old_id") == [
        (1, "Müller & Söhne", Decimal("922337203685477.5807"), "2024-05-01 10:00:00.000001"),
        (2, None, Decimal("-0.0001"), "2024-05-01 10:00:01"),
        (4, "O'Brien", Decimal("19.9900"), "2024-05-01 10:00:03.999999"),
    ]
    assert target("SELECT ID, first_name, hired::VARCHAR, salary, photo FROM target_employee ORDER BY ID") == [
        (1, "Zoë", "2020-02-29", Decimal("1234.5678"), b"\x00\xff"),
        (2, "漢字 😀", None, None, None),
        (3, "", "9999-12-31", Decimal("-0.0001"), b""),
    ]

    sell(
        store,
        ("N'as late as the last one'", "0.0001", "2024-05-01T10:00:03.999999", 0),
        ("N'later'", "-922337203685477.5808", "2024-05-01T10:00:04", 0),
        ("N'later and gone'", "5", "2024-05-01T10:00:05", 1),
    )
    store.run(f"UPDATE {SCHEMA}.store_employee SET salary = 2 WHERE ID = 1")

    tables = run()

    for name, row in tables.items():
        assert set(verdicts(row).values()) == {"pass"}, (name, row["checks"])
    (sales,) = [row for name, row in tables.items() if name.lower().startswith("sales")]
    assert sales["synchronization"]["mode"] == "append"
    assert sales["synchronization"]["watermark"].startswith("2024-05-01 10:00:04.000000")
    assert target("SELECT old_id, total FROM Sales_Simple ORDER BY old_id") == [
        (1, Decimal("922337203685477.5807")),
        (2, Decimal("-0.0001")),
        (4, Decimal("19.9900")),
        (5, Decimal("0.0001")),
        (6, Decimal("-922337203685477.5808")),
    ]
    assert target("SELECT salary FROM target_employee WHERE ID = 1") == [(Decimal("2.0000"),)]
