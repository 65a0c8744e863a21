"""The contestants: how each is started, and where it leaves what it has written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.homes import new_home, write_workflow
from benchmarks.server import DATABASE, Source, Table

Group = Literal["extraction", "job"]

OURS: Mapping[Group, str] = {"extraction": "migration-staged", "job": "migration-run"}
"""The contestant of each group that the others are compared with."""


@dataclass(frozen=True)
class Task:
    """What a contestant is to do.

    Attributes:
        folder: where it writes; empty.
        environments: the folder of the peers' virtual environments.
    """

    table: Table
    folder: Path
    source: Source
    environments: Path


@dataclass(frozen=True)
class Start:
    """A command, and the variables it needs beside the source's."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contestant:
    """One row of the report.

    Attributes:
        output: a pattern below the task's folder for the files that hold the rows; None for what writes nothing.
        environment: the peer's virtual environment; None for this program's own.
    """

    name: str
    label: str
    group: Group
    start: Callable[[Task], Start]
    output: str | None
    environment: str | None = None


def _peer(
    name: str, label: str, group: Group, environment: str, module: str, output: str, *arguments: str
) -> Contestant:
    """A script of `benchmarks.peers` in an environment of its own."""

    def start(task: Task) -> Start:
        python = str(task.environments / environment / "bin" / "python")
        script = [python, "-m", f"benchmarks.peers.{module}", *arguments]
        return Start([*script, task.table.name, task.table.key[0], str(task.folder)])

    return Contestant(name, label, group, start, output, environment)


def _floor(task: Task) -> Start:
    copy = f"COPY (SELECT * FROM {task.table.name}) TO STDOUT (FORMAT binary)"
    psql = str(task.source.programs / "psql")
    return Start([psql, "--no-psqlrc", "--quiet", "--output", "/dev/null", "--command", copy])


def _staged(task: Task) -> Start:
    workflow = write_workflow(
        task.folder / "tpch.json", DATABASE, [task.table.name], metricsCheck=False, fingerprintCheck=False
    )
    return Start([sys.executable, "-m", "benchmarks.staged", str(workflow)], new_home(task.folder))


def _migrate(*options: str) -> Callable[[Task], Start]:
    def start(task: Task) -> Start:
        workflow = write_workflow(task.folder / "tpch.json", DATABASE, [task.table.name])
        command = [sys.executable, "-m", "migration_assets.cli", "run", str(workflow), *options]
        return Start(command, new_home(task.folder))

    return start


_DLT_FILES = "files/tpch/{table}/*.parquet"
_STAGED_FILES = "stage/**/data/**/*.parquet"
_TARGET_FILE = "warehouse/*.duckdb"

CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("floor", "COPY binary into nothing (psql)", "extraction", _floor, None),
        Contestant("migration-staged", "this program: staged asset", "extraction", _staged, _STAGED_FILES),
        _peer("duckdb-parquet", "DuckDB", "extraction", "duckdb", "duckdb_parquet", "*.parquet"),
        _peer("connectorx-parquet", "ConnectorX", "extraction", "arrow", "connectorx_parquet", "*.parquet"),
        _peer(
            "connectorx-stream-parquet",
            "ConnectorX, streamed",
            "extraction",
            "arrow",
            "connectorx_stream_parquet",
            "*.parquet",
        ),
        _peer("adbc-parquet", "ADBC", "extraction", "arrow", "adbc_parquet", "*.parquet"),
        _peer(
            "dlt-connectorx-parquet",
            "dlt, ConnectorX backend",
            "extraction",
            "arrow",
            "dlt_parquet",
            _DLT_FILES,
            "connectorx",
        ),
        _peer(
            "dlt-pyarrow-parquet",
            "dlt, PyArrow backend",
            "extraction",
            "arrow",
            "dlt_parquet",
            _DLT_FILES,
            "pyarrow",
        ),
        Contestant(
            "migration-run",
            "this program: migrate run --no-metrics --no-fingerprint",
            "job",
            _migrate("--no-metrics", "--no-fingerprint"),
            _TARGET_FILE,
        ),
        Contestant(
            "migration-run-metrics",
            "this program: migrate run, with metrics",
            "job",
            _migrate("--no-fingerprint"),
            _TARGET_FILE,
        ),
        Contestant("migration-run-checks", "this program: migrate run, all checks", "job", _migrate(), _TARGET_FILE),
        _peer("duckdb-table", "DuckDB: CREATE TABLE AS", "job", "duckdb", "duckdb_table", "*.duckdb"),
        _peer(
            "dlt-connectorx-table",
            "dlt, ConnectorX backend",
            "job",
            "arrow",
            "dlt_table",
            "*.duckdb",
            "connectorx",
        ),
        _peer("ingestr-table", "ingestr 1", "job", "ingestr", "ingestr_table", "*.duckdb", "default"),
        _peer(
            "ingestr-0-table",
            "ingestr 0.14",
            "job",
            "ingestr-0",
            "ingestr_table",
            "*.duckdb",
            "default",
        ),
        _peer(
            "ingestr-0-connectorx-table",
            "ingestr 0.14, ConnectorX backend",
            "job",
            "ingestr-0",
            "ingestr_table",
            "*.duckdb",
            "connectorx",
        ),
    )
}
