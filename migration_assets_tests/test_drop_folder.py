"""The drop folder under a running `dagster dev`: files come, change and break, and nobody does anything else."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from demo.postgresql_server import PostgreSQLServer
from migration_assets.resources.ledger import WorkflowStatus
from migration_assets_tests.conftest import fresh_database
from migration_assets_tests.dagster_dev import DagsterDev, running_dagster_dev, wait_for
from migration_assets_tests.main_job import TARGET_DATABASE, table, write_workflow
from migration_assets_tests.servers import PostgreSQLDatabase

# One process serves the tests of the module, in their order.
pytestmark = pytest.mark.xdist_group("drop_folder")

ZOO = ("ants", "bees", "crabs", "ducks", "eels")
ROWS = 2_000

SOURCE = (
    *(
        f"CREATE TABLE {name} (id int PRIMARY KEY, note text);"
        f"INSERT INTO {name} SELECT n, 'row ' || n FROM generate_series(1, {ROWS}) n;"
        for name in ZOO
    ),
    "CREATE TABLE people (id int PRIMARY KEY);INSERT INTO people SELECT n FROM generate_series(1, 100) n;",
    "CREATE TABLE prices (id int PRIMARY KEY, price numeric(5,2));"
    "INSERT INTO prices SELECT n, CASE WHEN n = 77 THEN numeric 'NaN' ELSE n END FROM generate_series(1, 90) n;",
)

# A third of it on a quiet machine; the rest is for the other tests that run beside it.
SECONDS = 120
"""From the drop of a file to its published tables."""

# Some ticks of a sensor; longer than it takes, for the same reason.
SOON = 60
"""From something that happened to its sight in the ledger or the UI, in seconds."""


@pytest.fixture(scope="module")
def source(postgresql_server: PostgreSQLServer) -> Iterator[PostgreSQLDatabase]:
    """A source database for the whole module."""
    with fresh_database(postgresql_server) as database:
        for statement in SOURCE:
            database.execute(statement)
        yield database


@pytest.fixture(scope="module")
def dev(source: PostgreSQLDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterDev]:
    """`dagster dev` over an empty drop folder."""
    home, workflows = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("workflows")
    environment = {"DAGSTER_DEPLOYMENT": "local", **source.environment()}
    with running_dagster_dev(home, workflows, environment) as dev:
        yield dev


@pytest.fixture(scope="module")
def seconds(dev: DagsterDev, source: PostgreSQLDatabase) -> float:
    """Drops good files, a broken one and one that will fail, all at once.

    Returns:
        Seconds until every table of the good ones was published.
    """
    start = time.monotonic()
    # All of these tables go into one DuckDB file.
    in_partitions: dict[str, Any] = {
        "columnNamesToPartitionBy": ["id"],
        "partitionSize": {"maxRowsPerPartition": ROWS // 4},
    }
    write_workflow(dev.workflows, source, [table(name, **in_partitions) for name in ZOO], name="zoo")
    write_workflow(dev.workflows, source, [table("people")], name="people")
    write_workflow(dev.workflows, source, [table("prices")], name="prices")
    (dev.workflows / "broken.json").write_text('{"tables": [{"source": {}}]}')
    wait_for("published tables", lambda: published(dev, "zoo", ZOO) and published(dev, "people", ["people"]), SECONDS)
    return time.monotonic() - start


def published(dev: DagsterDev, workflow: str, tables: tuple[str, ...] | list[str]) -> bool:
    return dev.generations(workflow) == dict.fromkeys(tables, "published")


def target_rows(dev: DagsterDev, name: str) -> int:
    """Rows of a target; a run that is just ending may still have the file."""
    path = dev.home / "warehouse" / f"{TARGET_DATABASE}.duckdb"

    def count() -> tuple[Any, ...] | None:
        try:
            with duckdb.connect(str(path), read_only=True) as connection:
                return connection.execute(f'SELECT count(*) FROM "PUBLIC"."{name}"').fetchone()
        except duckdb.IOException:
            return None

    return int(wait_for("the DuckDB file", count, SOON)[0])


def test_a_new_file_is_migrated_with_no_other_action(dev: DagsterDev, seconds: float) -> None:
    assert seconds < SECONDS
    assert {name: target_rows(dev, name) for name in ZOO} == dict.fromkeys(ZOO, ROWS)


def test_tables_of_one_duckdb_file_wait_for_their_turn_and_all_succeed(dev: DagsterDev, seconds: float) -> None:
    def ended_runs() -> list[dict[str, Any]] | None:
        runs = dev.runs(migration__workflow="zoo")
        return runs if all(run["endTime"] for run in runs) else None

    runs = wait_for("the end of the runs", ended_runs, SOON)

    assert [run["status"] for run in runs] == ["SUCCESS"] * (1 + len(ZOO))
    assert dev.ledger.workflow("zoo").status == "COMPLETED"  # type: ignore[union-attr]


def test_the_ui_shows_the_assets_of_a_new_file(dev: DagsterDev, seconds: float) -> None:
    def shown() -> dict[str, tuple[str, bool]]:
        nodes = dev.ask("{ assetNodes { assetKey { path } groupName assetMaterializations(limit: 1) { runId } } }")
        return {
            "/".join(node["assetKey"]["path"]): (node["groupName"], bool(node["assetMaterializations"]))
            for node in nodes["assetNodes"]
        }

    targets = {f"zoo/target/{name}": ("zoo", True) for name in ZOO}
    # A table is published before its run writes the event that says so.
    wait_for("the materialized targets", lambda: shown().items() >= targets.items(), SOON)

    assert shown()["prices/target/prices"] == ("prices", False)


def test_a_broken_file_is_explained_and_blocks_nothing(dev: DagsterDev, seconds: float) -> None:
    errors = dev.ledger.view("DATA_MIGRATION_ERROR", "broken")

    assert [error["stage"] for error in errors] == ["workflow file"]
    assert "$.sourcePlatform: is required." in str(errors[0]["error"])
    # The tick that is just running has said nothing yet.
    wait_for(
        "the same words in the UI",
        lambda: any("$.sourcePlatform: is required." in reason for reason in dev.skip_reasons("workflow_files")[:2]),
        SOON,
    )


def test_the_error_of_a_failed_run_is_in_the_ledger(dev: DagsterDev, seconds: float) -> None:
    wait_for("the failed table", lambda: dev.generations("prices") == {"prices": "failed"}, SOON)

    (error,) = dev.ledger.view("DATA_MIGRATION_ERROR", "prices")
    assert (error["partition_key"], error["stage"]) == ("0001", "extraction")
    assert "holds 'NaN'" in str(error["error"])


def test_a_validation_that_is_dropped_is_run_and_its_checks_are_shown(
    dev: DagsterDev, source: PostgreSQLDatabase, seconds: float
) -> None:
    document = {
        "source_platform": "PostgreSQL",
        "target_database": TARGET_DATABASE,
        "schema_mappings": {"public": "PUBLIC"},
        "validation_configuration": {"row_validation": True},
        "tables": [{"fully_qualified_name": f"{source.database}.public.{name}"} for name in ZOO[:2]],
    }
    (dev.workflows / "proof.json").write_text(json.dumps(document))

    def verdicts() -> dict[str, str] | None:
        rows = dev.ledger.view("DATA_VALIDATION_RESULT", "proof")
        found = {str(row["table_name"]): str(row["verdict"]) for row in rows}
        done = dev.ledger.workflow("proof")
        return found if done is not None and done.status is WorkflowStatus.COMPLETED else None

    assert wait_for("the verdicts", verdicts, SECONDS) == dict.fromkeys(ZOO[:2], "pass")
    (run,) = dev.runs(migration__workflow="proof")
    assert wait_for("the end of the run", lambda: dev.runs(migration__workflow="proof")[0]["status"] == "SUCCESS", SOON)
    assert len(dev.runs(migration__workflow="proof")) == 1, run


def test_a_file_that_is_dropped_again_does_not_run_again(dev: DagsterDev, seconds: float) -> None:
    zoo, copy = dev.workflows / "zoo.json", dev.workflows / "copy of zoo.json"
    os.utime(zoo)
    shutil.copy(zoo, copy)

    def refusal() -> str | None:
        return next((reason for reason in dev.skip_reasons("workflow_files")[:3] if copy.name in reason), None)

    message = wait_for("a word about the copy", refusal, SOON)

    assert f"{copy}: the same content as {zoo}, which is the workflow zoo already: delete one of the files" in message
    assert len(dev.runs(migration__workflow="zoo")) == 1 + len(ZOO)
    assert {record.name for record in dev.ledger.workflows()} - {"proof"} == {"zoo", "people", "prices"}


def test_a_changed_file_runs_again(dev: DagsterDev, source: PostgreSQLDatabase, seconds: float) -> None:
    wait_for("the failed table", lambda: dev.generations("prices") == {"prices": "failed"}, SOON)
    changed = [table("people", whereClauseCriteria="id <= 60")]
    repaired = [table("prices", whereClauseCriteria="price <> 'NaN'")]
    write_workflow(dev.workflows, source, changed, name="people")
    write_workflow(dev.workflows, source, repaired, name="prices")

    def both_published() -> bool:
        people = dev.ledger.generation("people", "people")
        return (
            people is not None
            and (people.number, people.status) == (2, "published")
            and published(dev, "prices", ["prices"])
        )

    wait_for("both tables", both_published, SECONDS)

    assert (target_rows(dev, "people"), target_rows(dev, "prices")) == (60, 89)
    errors = dev.ledger.view("DATA_MIGRATION_ERROR", "prices")
    assert [error["generation"] for error in errors] == [1]


def test_a_file_that_is_deleted_takes_its_message_with_it(dev: DagsterDev, seconds: float) -> None:
    for path in (dev.workflows / "broken.json", dev.workflows / "copy of zoo.json"):
        path.unlink(missing_ok=True)

    wait_for(
        "a tick with nothing to say",
        lambda: dev.skip_reasons("workflow_files")[0] == "no new or changed workflow files",
        SOON,
    )

    assert dev.ledger.view("DATA_MIGRATION_ERROR", "broken") == []
