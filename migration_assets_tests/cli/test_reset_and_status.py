"""`migrate status`, `reset` and `plan` of tables that are followed from run to run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dagster import DagsterInstance

from migration_assets.cli.main import main
from migration_assets.cli.session import open_ledger
from migration_assets.jobs import submit
from migration_assets.resources.ledger import WorkflowStatus
from migration_assets.workflow import load_workflow
from migration_assets_tests.main_job import migrate, status, table, write_workflow
from migration_assets_tests.servers import PostgreSQLDatabase

pytestmark = pytest.mark.platforms("postgresql")

WATERMARK: dict[str, Any] = {
    "synchronization": {
        "strategy": "watermark",
        "watermarkColumn": "seen",
        "trackModifications": True,
        "trackDeletions": True,
    },
    "primaryKeyColumns": ["id"],
}
CHECKSUM: dict[str, Any] = {"synchronization": {"strategy": "checksum"}}


def call(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=answer)


@pytest.fixture
def file(dagster_in_memory: DagsterInstance, source: PostgreSQLDatabase, tmp_path: Path) -> Path:
    """A workflow of two tables that has run once."""
    source.execute(
        """
        CREATE TABLE t (id int PRIMARY KEY, seen int); INSERT INTO t SELECT n, n FROM generate_series(1, 20) n;
        CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u SELECT generate_series(1, 20);
        """
    )
    file = write_workflow(tmp_path, source, [table("t", **WATERMARK), table("u", **CHECKSUM)])
    assert migrate(file)[0]
    return file


def test_status_and_plan_tell_how_a_table_is_followed(source: PostgreSQLDatabase, file: Path) -> None:
    source.execute("DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (21, 21)")

    planned = " ".join(call("plan", str(file)).output.split())
    as_json = json.loads(call("plan", str(file), "--json").stdout)

    assert "synchronization watermark: changes since generation 1" in planned
    assert "synchronization checksum: changes since generation 1" in planned
    assert [found["synchronization"]["mode"] for found in as_json["tables"]] == ["merge", "ranges"]

    assert migrate(file)[0]
    first, second = json.loads(call("status", "--json").stdout)["workflows"][0]["tables"]

    found = first["synchronization"]
    assert (found["strategy"], found["mode"], found["generation"]) == ("watermark", "merge", 2)
    assert (found["watermark"], found["keys_deleted"], found["rows_in_target"]) == ("21", 1, 20)
    assert 0 <= found["lag_seconds"] < 600
    assert found["as_of"].endswith("+00:00")
    found = second["synchronization"]
    assert (found["strategy"], found["watermark"], found["partitions_changed"]) == ("checksum", None, 0)
    told = " ".join(call("status").output.split())
    assert "watermark, up to 21, 1 deleted," in told
    assert "checksum," in told


def test_reset_asks_and_has_the_next_run_move_all_rows(file: Path) -> None:
    declined = call("reset", "t", answer="n\n")

    assert declined.exit_code == 1
    assert "Start moved/t over? Its next run moves all rows again." in declined.output
    with open_ledger() as ledger:
        assert ledger.published("moved", "t") is not None

    assert call("reset", "t", answer="y\n").exit_code == 0
    undisturbed = call("reset", "u", "--yes", "--workflow", "moved")
    assert (undisturbed.exit_code, undisturbed.output) == (0, "moved/u: the next run begins anew\n")
    planned = json.loads(call("plan", str(file), "--json").stdout)
    assert [found["synchronization"]["reason"] for found in planned["tables"]] == ["the first load"] * 2

    assert migrate(file)[0]
    assert [row["rows"] for row in status("moved").values()] == [20, 20]


def test_reset_knows_which_table_is_meant(source: PostgreSQLDatabase, file: Path, tmp_path: Path) -> None:
    unknown = call("reset", "nothing", "--yes")

    assert unknown.exit_code == 2
    assert unknown.output == "there is no table nothing in the ledger; the tables are t, u\n"

    other = write_workflow(tmp_path, source, [table("t", target={"tableName": "t2"})], name="other")
    assert migrate(other)[0]
    ambiguous = call("reset", "t", "--yes")
    assert ambiguous.exit_code == 2
    assert "2 workflows have a table t (moved, other): choose with --workflow" in ambiguous.output
    assert call("reset", "t", "--yes", "-w", "nowhere").exit_code == 2
    with open_ledger() as ledger:
        assert ledger.published("moved", "t") is not None


def test_a_table_that_a_run_is_moving_is_not_reset(migration_home: Path, tmp_path: Path) -> None:
    file = write_workflow(tmp_path, "shop", [table("t")])
    with open_ledger() as ledger:
        submit(ledger, load_workflow(file), WorkflowStatus.EXECUTING)
        with ledger.lock_table("moved", "t", whole_run=True):
            refused = call("reset", "t", "--yes")

    assert refused.exit_code == 1
    assert "another run is moving the table moved/t" in refused.output
