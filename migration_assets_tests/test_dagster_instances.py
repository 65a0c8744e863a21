"""The Dagster instances that the project's two `dagster.yaml` describe."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from migration_assets_tests.servers import PostgreSQLDatabase

_PROJECT = Path(__file__).resolve().parent.parent


@dg.asset(pool="a_source")
def an_asset() -> None:
    """Something to run."""


def test_production_keeps_its_state_in_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_database: PostgreSQLDatabase
) -> None:
    for name, value in {
        "HOST": postgresql_database.host,
        "PORT": postgresql_database.port,
        "USER": postgresql_database.username,
        "PASSWORD": postgresql_database.password,
        "DB": postgresql_database.database,
    }.items():
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", str(value))
    configuration = (_PROJECT / "deploy/production/dagster.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(configuration)

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = dg.materialize([an_asset], instance=instance)

    assert run.success
    assert postgresql_database.fetch("SELECT run_id, status FROM runs") == [(run.run_id, "SUCCESS")]


def test_local_state_is_below_the_migration_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text((_PROJECT / "dagster.yaml").read_text())
    monkeypatch.chdir(tmp_path)

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert dg.materialize([an_asset], instance=instance).success

    state = tmp_path / ".migration" / "dagster"
    assert {path.name for path in state.iterdir()} >= {"history", "schedules", "compute_logs"}
    # `logs` is made empty by Dagster wherever its home is.
    assert {path.name for path in tmp_path.iterdir()} <= {"dagster.yaml", ".migration", "logs", ".logs_queue"}
