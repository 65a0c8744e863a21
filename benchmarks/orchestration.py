"""What Dagster costs a table: many tiny tables through `migrate run`, and the bare data path beside it.

    python -m benchmarks.orchestration [TABLES]

Makes TABLES (100) tables of ten rows in an embedded PostgreSQL, then moves them twice, each time into an empty
MIGRATION_HOME: by `migrate run`, and by the same functions called one after the other without Dagster. Prints seconds
(wall, and CPU of the client) in all and a table, and the difference.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from benchmarks.homes import new_home, write_workflow
from benchmarks.measure import measure
from demo import source
from demo.postgresql_server import EmbeddedPostgreSQL, PostgreSQLServer

DATABASE = "tiny"


def main(tables: int) -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as name, EmbeddedPostgreSQL(None, "benchmark") as server:
        folder = Path(name)
        _fill(server, tables)
        file = write_workflow(folder / "tiny.json", DATABASE, [f"t{number}" for number in range(tables)])
        whole = _measure(["migration_assets.cli", "run", str(file)], server, folder / "a")
        bare = _measure(["benchmarks.orchestration", "--bare", str(file)], server, folder / "b")
    for label, (wall, cpu) in (("migrate run", whole), ("bare data path", bare)):
        print(f"{label:16} {wall:7.1f} s wall {cpu:7.1f} s CPU, {wall / tables:.3f} / {cpu / tables:.3f} s a table")
    wall, cpu = ((one - other) / tables for one, other in zip(whole, bare, strict=True))
    print(f"{'orchestration':16} {wall:.3f} s wall, {cpu:.3f} s CPU a table")


def bare(file: str) -> None:
    """Plans, extracts, loads, publishes and checks every table, without Dagster's runs."""
    from dagster import DagsterInstance, build_resources

    from migration_assets.assets import generations, names
    from migration_assets.assets.loading import load_partitions
    from migration_assets.assets.publishing import publish_table
    from migration_assets.deployments import current_deployment
    from migration_assets.io_managers.extraction import Extraction
    from migration_assets.io_managers.layout import generation_folder, read_manifests
    from migration_assets.io_managers.staging import StagingRun
    from migration_assets.jobs import open_connections, submit
    from migration_assets.resources.ledger import GenerationStatus, WorkflowStatus
    from migration_assets.workflow import load_workflow

    deployment = current_deployment()
    workflow = load_workflow(file)
    stage_resource = {names.STAGE: deployment.resources[names.STAGE]}
    with (
        DagsterInstance.ephemeral() as instance,
        open_connections(deployment, workflow.source_platform) as connections,
        build_resources(stage_resource) as resources,
    ):
        stage, source, ledger = getattr(resources, names.STAGE), connections.source, connections.ledger
        submit(ledger, workflow, WorkflowStatus.EXECUTING)
        for table in generations.workflow_tables(workflow):
            with source.connect(generations.source_database(table, source)) as run:
                plan = generations.plan(workflow, table, run, source, connections.warehouse, ledger)
            generation = generations.start(ledger, instance, plan, GenerationStatus.RUNNING)
            keys = tuple(partition.key for partition in plan.partitions)
            extraction = Extraction(plan, generation.id, generation.number, keys, source)
            StagingRun(extraction, stage, ledger, 128 << 20, "bare").run()
            manifests = read_manifests(stage, generation_folder(plan, generation.number))
            load_partitions(generation, keys, manifests, ledger=ledger, stage=stage, warehouse=connections.warehouse)
            generation = generations.current(ledger, plan.workflow, plan.table, None)
            publish_table(generation, ledger=ledger, stage=stage, warehouse=connections.warehouse, source=source)


def _measure(arguments: list[str], server: PostgreSQLServer, home: Path) -> tuple[float, float]:
    """Wall and CPU seconds of a module of Python in a new home."""
    environment = {**new_home(home), **source.environment(server)}
    run = measure([sys.executable, "-m", *arguments], environment, home)
    if run.exit_code:
        sys.exit(f"{' '.join(arguments)} failed:\n{run.errors}")
    return run.wall, run.client_cpu


def _fill(server: PostgreSQLServer, tables: int) -> None:
    maintenance = _connect(server, "postgres")
    maintenance.autocommit = True
    maintenance.cursor().execute(f"CREATE DATABASE {DATABASE}")
    maintenance.close()
    with _connect(server, DATABASE) as connection, connection.cursor() as cursor:
        for number in range(tables):
            cursor.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, v text)")
            cursor.execute(f"INSERT INTO t{number} SELECT n, 'row ' || n FROM generate_series(1, 10) n")
    connection.close()


def _connect(server: PostgreSQLServer, database: str) -> Connection:
    return psycopg2.connect(
        host=server.host, port=server.port, user=server.username, password=server.password, dbname=database
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        bare(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
