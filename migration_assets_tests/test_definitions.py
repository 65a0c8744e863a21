"""The definitions: loading them reads no secret and connects to nothing, and a run asks only for what it needs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

from migration_assets.definitions import build_definitions, valid_workflows
from migration_assets.deployments import UnknownDeploymentError, current_deployment
from migration_assets.jobs import WorkflowFile
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets_tests.main_job import migrate, table, verdicts, write_workflow
from migration_assets_tests.servers import PostgreSQLDatabase

PROJECT = Path(__file__).resolve().parent.parent

# Loads the definitions as a code server does, where no connection can be made.
_LOAD_WITHOUT_NETWORK = """
import socket

def refuse(*arguments, **options):
    raise AssertionError(f"connects to {arguments}")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.create_connection = refuse
from migration_assets.definitions import defs
print(sorted(key.to_user_string() for key in defs.get_repository_def().asset_graph.get_all_asset_keys()))
"""


@pytest.fixture
def folder(migration_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty drop folder."""
    folder = migration_home / "dropped"
    folder.mkdir()
    monkeypatch.setenv("MIGRATION_WORKFLOWS", str(folder))
    return folder


DEPLOYMENTS = ("local", "staging", "production")


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_loading_connects_to_nothing_and_needs_no_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch, deployment: str
) -> None:
    monkeypatch.setenv("DAGSTER_DEPLOYMENT", deployment)
    write_workflow(folder, "shop", [table("orders")], name="shop")

    loaded = subprocess.run(
        [sys.executable, "-c", _LOAD_WITHOUT_NETWORK],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout == f"{[f'shop/{step}/orders' for step in ('loaded', 'source', 'staged', 'target')]}\n"


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_secrets_are_not_among_what_the_web_server_gets(
    folder: Path, monkeypatch: pytest.MonkeyPatch, deployment: str
) -> None:
    monkeypatch.setenv("DAGSTER_DEPLOYMENT", deployment)
    for name in ("SOURCE_POSTGRESQL_PASSWORD", "SNOWFLAKE_PASSWORD", "MIGRATION_LEDGER_URL"):
        monkeypatch.setenv(name, "canary")
    write_workflow(folder, "shop", [table("orders")], name="shop")

    repository = build_definitions(current_deployment(), valid_workflows()).get_repository_def()

    snapshot = serialize_value(RepositorySnap.from_def(repository))
    assert "SOURCE_POSTGRESQL_PASSWORD" in snapshot
    assert "canary" not in snapshot


def test_an_unknown_deployment_is_a_clear_error(migration_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DEPLOYMENT", "prod")

    with pytest.raises(UnknownDeploymentError, match="'prod' is not a deployment: use one of local, staging, product"):
        current_deployment()


def test_the_format_of_copy_is_chosen_by_name(migration_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DEPLOYMENT", "local")
    monkeypatch.setenv("SOURCE_POSTGRESQL_COPY_FORMAT", "csv")
    source = current_deployment().resources["source_postgresql"]
    assert isinstance(source, PostgreSQLSource)
    assert source.copy_format == "csv"
    monkeypatch.setenv("SOURCE_POSTGRESQL_COPY_FORMAT", "parquet")
    with pytest.raises(UnknownDeploymentError, match="'parquet': use auto, binary, csv"):
        current_deployment()


def test_a_broken_file_and_a_second_file_of_a_workflow_keep_no_asset_away(folder: Path) -> None:
    (folder / "broken.json").write_text("{")
    write_workflow(folder, "shop", [table("orders")], name="shop")
    document = json.loads((folder / "shop.json").read_text())
    document["tables"].append({"source": {"tableName": "people"}, "target": {"tableName": "people"}})
    (folder / "another.json").write_text(json.dumps(document))

    definitions = build_definitions(current_deployment(), valid_workflows())

    targets = {f"shop/target/{name}" for name in ("orders", "people")}
    assert {key.to_user_string() for key in definitions.resolve_all_asset_keys()} >= targets


def run_workflow(file: Path) -> dg.ExecuteInProcessResult:
    """The main job as `dagster job execute` runs it."""
    definitions = build_definitions(current_deployment(), [])
    return definitions.resolve_job_def("run_workflow").execute_in_process(
        run_config={"ops": {"migrate_tables": {"config": WorkflowFile(file=str(file)).model_dump()}}},
        instance=dg.DagsterInstance.ephemeral(),
    )


@pytest.mark.parametrize(
    ("deployment", "missing"),
    [("local", "SOURCE_POSTGRESQL_HOST"), ("staging", "MIGRATION_LEDGER_URL"), ("production", "SNOWFLAKE_ACCOUNT")],
)
def test_a_run_names_the_variable_that_it_lacks(
    folder: Path, monkeypatch: pytest.MonkeyPatch, deployment: str, missing: str
) -> None:
    monkeypatch.setenv("DAGSTER_DEPLOYMENT", deployment)
    if deployment != "local":
        for name in ("HOST", "USERNAME", "PASSWORD"):
            monkeypatch.setenv(f"SOURCE_POSTGRESQL_{name}", "x")
    if deployment == "production":
        monkeypatch.setenv("MIGRATION_LEDGER_URL", f"sqlite:///{folder}/ledger.sqlite")
    file = write_workflow(folder, "shop", [table("orders")], name="shop")

    with pytest.raises(Exception, match=missing):
        run_workflow(file)


def test_a_local_run_of_a_postgresql_workflow_asks_for_no_snowflake_variable(
    folder: Path, postgresql_database: PostgreSQLDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in postgresql_database.environment().items():
        monkeypatch.setenv(name, value)
    assert not [name for name in os.environ if name.startswith("SNOWFLAKE_")]
    postgresql_database.execute("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)")
    file = write_workflow(folder, postgresql_database, [table("orders")], name="shop")

    succeeded, tables = migrate(file)

    assert succeeded
    assert set(verdicts(tables["orders"]).values()) == {"pass"}


@pytest.mark.slow
def test_a_thousand_tables_load_in_seconds(folder: Path) -> None:
    write_workflow(folder, "shop", [table(f"orders_{number}") for number in range(1000)], name="shop")

    before = cpu_seconds_of_children()
    validation = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "migration_assets.definitions"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert validation.returncode == 0, validation.stderr[-3000:]
    # About 8, of which more than 2 are for importing Dagster and validating nothing. Other processes don't count.
    assert cpu_seconds_of_children() - before < 12


def cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
