"""Staging from a real server that breaks off."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tenacity import wait_none

from migration_assets.io_managers import staging as staging_room
from migration_assets.platforms.base import TableName
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets_tests.io_managers.staging import Staging
from migration_assets_tests.servers import PostgreSQLDatabase
from migration_assets_tests.stubs import table_plan

ROWS = 100_000
GATE = 42

# Every reader waits at one row until the test lets the gate go.
TABLE = f"""
CREATE TABLE orders AS SELECT generate_series(1, {ROWS})::bigint AS id;
CREATE FUNCTION passes(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF id = {ROWS - 10} THEN
        PERFORM pg_advisory_xact_lock_shared({GATE});
    END IF;
    RETURN true;
END $$;
"""


def staging_of(home: Path, database: PostgreSQLDatabase, where: str | None) -> Staging:
    plan = table_plan(["0001", "0002"], where=where)
    partitions = (
        plan.partitions[0].model_copy(update={"predicate": f"id < {ROWS // 2}"}),
        plan.partitions[1].model_copy(update={"predicate": f"id >= {ROWS // 2}"}),
    )
    source = TableName(database.database, "public", "orders")
    return Staging(home, plan.model_copy(update={"source": source, "partitions": partitions}))


def source_of(database: PostgreSQLDatabase) -> PostgreSQLSource:
    return PostgreSQLSource(
        host=database.host,
        port=database.port,
        username=database.username,
        password=database.password,
        sslmode="disable",
    )


@pytest.mark.parametrize("victims", ["the reader", "every connection"])
def test_a_connection_that_is_ended_in_the_middle_loses_and_doubles_nothing(
    tmp_path: Path, postgresql_database: PostgreSQLDatabase, monkeypatch: pytest.MonkeyPatch, victims: str
) -> None:
    monkeypatch.setattr(staging_room, "PAUSE", wait_none())
    monkeypatch.setattr("migration_assets.resources.sources.postgresql_readers.BLOCK_BYTES", 10_000)
    monkeypatch.setattr("migration_assets.resources.sources.copy_binary.TABLE_BYTES", 10_000)
    postgresql_database.execute(TABLE)
    staging = staging_of(tmp_path, postgresql_database, "passes(id)")
    ended: list[int] = []

    def end_connections() -> None:
        with postgresql_database.connect() as gate, gate.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [GATE])
            locked.set()
            while not ended:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid, 10000), pid FROM pg_stat_activity "
                    "WHERE application_name = 'migration-assets' AND (query LIKE 'COPY%%' OR %s) AND EXISTS ("
                    "SELECT FROM pg_stat_activity WHERE query LIKE 'COPY%%' AND wait_event_type = 'Lock')"
                    "AND (wait_event_type = 'Lock' OR %s)",
                    [victims == "every connection"] * 2,
                )
                ended.extend(pid for _, pid in cursor.fetchall())

    locked = threading.Event()
    breaking = threading.Thread(target=end_connections)
    breaking.start()
    assert locked.wait(30)
    run = staging.run(source_of(postgresql_database))
    breaking.join()

    assert run.success
    assert len(ended) == 1 or victims == "every connection"
    assert sorted(row for rows in staging.rows().values() for row in rows) == list(range(1, ROWS + 1))
    assert {attempt for _, attempt in staging.data_folders()} == {
        manifest.attempt for manifest in staging.manifests().values()
    }


def test_the_source_s_own_figures_stand_beside_the_staged_rows(
    tmp_path: Path, postgresql_database: PostgreSQLDatabase
) -> None:
    postgresql_database.execute(TABLE)
    staging = staging_of(tmp_path, postgresql_database, "id % 2 = 0")

    assert staging.run(source_of(postgresql_database)).success

    facts = staging.facts()
    assert facts is not None
    assert facts.rows == ROWS // 2 == sum(manifest.rows for manifest in staging.manifests().values())
    assert facts.snapshot == staging.manifests()["0001"].snapshot
    assert facts.where == "id % 2 = 0"
    assert staging.manifests()["0002"].predicate == f"(id >= {ROWS // 2}) AND ({facts.where})"
