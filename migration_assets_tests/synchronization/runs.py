"""Runs of a workflow one after the other, and what each of them has done."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb
from dagster import AssetKey

from migration_assets.cli import session
from migration_assets.cli.session import plan_workflow
from migration_assets.planning import TablePlan
from migration_assets.resources.ledger import GenerationRecord, Ledger
from migration_assets.workflow import load_workflow
from migration_assets_tests.main_job import TARGET_SCHEMA, errors, migrate, target_rows, verdicts
from migration_assets_tests.source_servers import SourceDatabase

WORKFLOW = "moved"
SMALL = {"partitionSize": {"maxRowsPerPartition": 100}}


def synchronize(file: Path) -> dict[str, dict[str, Any]]:
    """Runs a workflow whose tables are all published and proven, and returns their state by name."""
    succeeded, tables = migrate(file)
    assert succeeded, [row["error"] for row in errors(WORKFLOW)]
    for name, row in tables.items():
        assert set(verdicts(row).values()) == {"pass"}, (name, row["checks"])
    return tables


def refused(file: Path) -> dict[str, str]:
    """Runs a workflow of which no table is moved: the targets stay as they are.

    Returns:
        The errors by table.
    """
    before = target_tables()
    succeeded, tables = migrate(file)
    assert not succeeded
    assert {row["status"] for row in tables.values()} == {"failed"}
    after = target_tables()
    assert {name: after[name] for name in before} == before
    return {name: row["error"] for name, row in tables.items()}


def target_tables() -> dict[str, list[tuple[Any, ...]]]:
    """Every table of the target database with its rows."""
    try:
        names = target_rows(f"SELECT table_name FROM duckdb_tables() WHERE schema_name = '{TARGET_SCHEMA}'")
    except duckdb.IOException:
        return {}  # Nothing has made it yet.
    return {name: target_contents(name) for (name,) in names}


def target_contents(table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """The rows of a target, in an order of their own."""
    return sorted(target_rows(f'SELECT {columns} FROM "{table}"'), key=repr)


def assert_same(source: SourceDatabase, *tables: str, columns: str = "*", where: str = "true") -> None:
    """The targets hold exactly the rows of their sources."""
    for table in tables:
        wanted = source.fetch(f"SELECT {columns} FROM {table} WHERE {where}")
        assert target_contents(table, columns) == sorted(wanted, key=repr), table


def generation(table: str = "t") -> GenerationRecord:
    """The latest generation of a table."""
    found = _ledger().generation(WORKFLOW, table)
    assert found is not None
    return found


def last_plan(table: str = "t") -> TablePlan:
    """The plan that the last run has followed."""
    return TablePlan.model_validate_json(generation(table).plan)


def partitions(table: str = "t") -> list[tuple[str, int]]:
    """Status and moved rows of every partition of the last run."""
    records = _ledger().partitions(generation(table).id)
    return [(record.status.value, record.rows) for record in records]


def statuses(table: str = "t") -> list[str]:
    """The status of every partition of the last run."""
    return [status for status, _ in partitions(table)]


def plans(file: Path) -> dict[str, TablePlan]:
    """What the next run would do."""
    found, problems, _ = plan_workflow(load_workflow(file))
    assert not problems
    return {plan.table: plan for plan in found}


def plan_problems(file: Path) -> list[str]:
    """Why the next run can't be planned."""
    found, problems, _ = plan_workflow(load_workflow(file))
    assert not found
    return problems


def progress(table: str = "t") -> dict[str, Any]:
    """What the last run has settled."""
    text = generation(table).progress
    assert text is not None
    found: dict[str, Any] = json.loads(text)
    return found


def staged_files(home: Path, table: str = "t") -> list[str]:
    """The data files that the last run has left on the stage."""
    number = f"g{generation(table).number:06d}-"
    return sorted(path.name for path in (home / "stage").rglob("*.parquet") if f"/{table}/{number}" in str(path))


def materialized(asset: str, count: int, table: str = "t") -> dict[str | None, dict[str, Any]]:
    """The metadata of the last materializations of an asset (`staged`, `loaded` or `target`), by partition."""
    with session.dagster_instance() as instance:
        records = instance.fetch_materializations(AssetKey([WORKFLOW, asset, table]), limit=count).records
    found: dict[str | None, dict[str, Any]] = {}
    for record in records:
        event = record.asset_materialization
        assert event is not None
        found[event.partition] = {name: value.value for name, value in event.metadata.items()}
    return found


def _ledger() -> Ledger:
    return Ledger(f"sqlite:///{os.environ['MIGRATION_HOME']}/ledger.sqlite")
