"""Runs the main job in this process or in one of its own, and reads what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from migration_assets.cli.session import migrate_workflow, workflow_errors, workflow_status
from migration_assets.workflow import load_workflow
from migration_assets_tests.source_servers import SourceDatabase

PROJECT = Path(__file__).resolve().parent.parent

# A table with a price that can't be moved: it fits the source's type and not the target's.
PRICES = {"columnTypeMappings": [{"sourceType": "numeric(6,2)", "targetType": "NUMBER(5,2)"}]}
BAD_PRICE = "9999.99"

TARGET_DATABASE = "TARGET"
TARGET_SCHEMA = "PUBLIC"


def write_workflow(
    folder: Path,
    source: SourceDatabase | str,
    tables: Sequence[Mapping[str, Any]],
    name: str = "moved",
    **keys: object,
) -> Path:
    """A workflow file; each table needs no more than its source's `tableName`.

    Args:
        source: the database, or the name of one of PostgreSQL that nothing will connect to.
    """
    if isinstance(source, str):
        platform, database, schema = "postgresql", source, "public"
    else:
        platform, database, schema = source.platform, source.database, source.schema
    document = {
        "name": name,
        "sourcePlatform": platform,
        "defaultTableConfiguration": {
            "source": {"databaseName": database, "schemaName": schema},
            "target": {"databaseName": TARGET_DATABASE, "schemaName": TARGET_SCHEMA},
        },
        **keys,
        "tables": [{"target": {"tableName": table["source"]["tableName"]}, **table} for table in tables],
    }
    file = folder / f"{name}.json"
    file.write_text(json.dumps(document))
    return file


def table(name: str, **keys: object) -> dict[str, Any]:
    """One table of a workflow."""
    return {"source": {"tableName": name}, **keys}


def migrate(file: Path, **options: bool) -> tuple[bool, dict[str, dict[str, Any]]]:
    """Runs a workflow in this process.

    Returns:
        Whether it succeeded, and the state of its tables by name.
    """
    workflow = load_workflow(file)
    succeeded = migrate_workflow(
        workflow, file, None, **{"fresh": False, "metrics": True, "fingerprint": True, **options}
    )
    return succeeded, status(workflow.name)


def status(workflow: str) -> dict[str, dict[str, Any]]:
    """The state of a workflow's tables by name."""
    tables: Any = workflow_status(workflow)["workflows"][0]["tables"]
    return {row["table"]: row for row in tables}


def errors(workflow: str) -> list[dict[str, Any]]:
    """The errors of a workflow."""
    return workflow_errors(workflow)


def verdicts(row: Mapping[str, Any]) -> dict[str, str]:
    """The verdicts of a table's checks."""
    return {check["name"]: check["verdict"] for check in row["checks"]}


def start_migrate(file: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Starts `migrate run` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "migration_assets.cli", "run", str(file), *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def target_change(script: str) -> None:
    """Changes the target database behind the program's back."""
    path = Path(os.environ["MIGRATION_HOME"]) / "warehouse" / f"{TARGET_DATABASE}.duckdb"
    path.parent.mkdir(exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{TARGET_SCHEMA}"; USE "{TARGET_SCHEMA}"; {script}')


def target_rows(query: str) -> list[tuple[Any, ...]]:
    """Queries the target database."""
    path = Path(os.environ["MIGRATION_HOME"]) / "warehouse" / f"{TARGET_DATABASE}.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute(f'USE "{TARGET_SCHEMA}"')
        return connection.execute(query).fetchall()
