"""A source that goes away in the middle of a stream: it is read again, and nothing is lost or there twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterInstance
from tenacity import wait_none

from migration_assets.io_managers import staging
from migration_assets_tests.faults.proxies import cutting_proxy
from migration_assets_tests.main_job import migrate, table, target_rows, verdicts, write_workflow
from migration_assets_tests.source_servers import SourceDatabase

ROWS = 20_000
PARTITIONED = {"columnNamesToPartitionBy": ["id"], "partitionSize": {"maxRowsPerPartition": 5000}}
DIGEST = "SELECT count(*), count(DISTINCT id), sum(id), max(h) FROM t"
CONNECTIONS = 6
"""The first so many of a run are cut: those that describe and those that read."""


def test_a_source_that_goes_away_in_the_middle_is_read_again(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dagster_in_memory: DagsterInstance
) -> None:
    monkeypatch.setattr(staging, "PAUSE", wait_none())
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, h text, filler text);"
        f"INSERT INTO t SELECT n, md5(n::text), repeat('x', 100) FROM generate_series(1, {ROWS}) n; ANALYZE t"
    )
    file = write_workflow(tmp_path, source, [table("t", **PARTITIONED)])
    wanted = source.fetch(DIGEST)
    finished = 0
    for connection in range(CONNECTIONS):
        # Late enough for all that comes before the rows.
        with cutting_proxy(source.address, connection=connection, after_bytes=60_000) as port:
            for name, value in source.environment_at(port).items():
                monkeypatch.setenv(name, value)
            succeeded, tables = migrate(file)
        if succeeded:
            finished += 1
            assert verdicts(tables["t"])["fingerprint"] == "pass"
            assert target_rows(DIGEST) == wanted
    # What is cut before it reads is tried again by the next run.
    assert finished >= CONNECTIONS // 2

    for name, value in source.environment().items():
        monkeypatch.setenv(name, value)
    assert migrate(file)[0]
    assert target_rows(DIGEST) == wanted
