"""The test servers themselves: what tests rely on, and that nothing is left running."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psycopg2
import pyarrow.fs
import pytest
from pyarrow import parquet, table

from demo.postgresql_server import EmbeddedPostgreSQL, PostgreSQLServer
from migration_assets_tests.servers import PostgreSQLDatabase, S3Bucket, S3Server

_OWNER = """
import sys, time
from demo.postgresql_server import EmbeddedPostgreSQL
server = EmbeddedPostgreSQL(None, "secret").start()
print(server.port, server.socket_directory, flush=True)
time.sleep(600)
"""


def test_a_database_is_empty_and_in_utf8(postgresql_database: PostgreSQLDatabase) -> None:
    assert postgresql_database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    assert postgresql_database.fetch("SHOW server_encoding") == [("UTF8",)]


def test_a_database_takes_statements_with_arguments(postgresql_database: PostgreSQLDatabase) -> None:
    postgresql_database.execute("CREATE TABLE t (a int, b text)")
    postgresql_database.execute("INSERT INTO t VALUES (%s, %s)", 1, "50 % é")
    postgresql_database.insert("t", [(2, None), (3, "c")])
    assert postgresql_database.fetch("SELECT * FROM t ORDER BY a") == [(1, "50 % é"), (2, None), (3, "c")]
    assert postgresql_database.fetch("SELECT 7 % 4") == [(3,)]


def test_a_test_that_leaves_a_connection_open_does_not_keep_its_database(
    postgresql_server: PostgreSQLServer, postgresql_database: PostgreSQLDatabase
) -> None:
    other = PostgreSQLDatabase.of(postgresql_server, "left_open")
    postgresql_database.execute("CREATE DATABASE left_open")
    with other.connect():
        postgresql_database.execute("DROP DATABASE left_open WITH (FORCE)")


@pytest.mark.parametrize("through", ["tcp", "socket"])
def test_the_server_refuses_a_wrong_password(postgresql_server: PostgreSQLServer, through: str) -> None:
    host = postgresql_server.host if through == "tcp" else str(postgresql_server.socket_directory)
    database = replace(PostgreSQLDatabase.of(postgresql_server, "postgres"), host=host)
    assert database.fetch("SELECT current_user") == [(postgresql_server.username,)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        replace(database, password="wrong").fetch("SELECT 1")


@pytest.mark.postgres_contrib
def test_contrib_extensions_can_be_created(postgresql_database: PostgreSQLDatabase) -> None:
    postgresql_database.execute("CREATE EXTENSION hstore; CREATE EXTENSION citext")
    assert postgresql_database.fetch("SELECT 'A'::citext = 'a'") == [(True,)]


def test_stopping_removes_the_temporary_server() -> None:
    embedded = EmbeddedPostgreSQL(None, "secret")
    with embedded as server:
        assert embedded.running() == server
    assert embedded.running() is None
    assert not server.socket_directory.exists()
    assert not embedded.log.parent.exists()


def test_a_cluster_in_a_folder_keeps_its_data() -> None:
    # Not in `tmp_path`: when root runs the tests, that is closed to the server's user.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for statement in ("CREATE DATABASE kept", "DROP DATABASE kept"):
            with EmbeddedPostgreSQL(Path(folder), "secret") as server:
                PostgreSQLDatabase.of(server, "postgres").execute(statement)


def test_a_folder_closed_to_the_servers_user_still_gets_a_server(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with EmbeddedPostgreSQL(tmp_path, "secret") as server:
        assert PostgreSQLDatabase.of(server, "postgres").fetch("SELECT 1") == [(1,)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent's death is told on Linux only")
def test_a_server_ends_with_its_owner_even_when_that_is_killed() -> None:
    # What a killed owner leaves behind is in a folder of this test.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        owner = subprocess.Popen(
            [sys.executable, "-c", _OWNER],
            env=os.environ | {"TMPDIR": folder},
            stdout=subprocess.PIPE,
            text=True,
        )
        with owner:
            assert owner.stdout is not None
            port, sockets = owner.stdout.readline().split()
            owner.kill()
        deadline = time.monotonic() + 30
        while (socket := Path(sockets) / f".s.PGSQL.{port}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not socket.exists()


def test_a_bucket_takes_parquet_from_pyarrow(s3_server: S3Server, s3_bucket: S3Bucket) -> None:
    filesystem = pyarrow.fs.S3FileSystem(
        endpoint_override=s3_server.endpoint_url,
        access_key=s3_server.access_key,
        secret_key=s3_server.secret_key,
        region=s3_server.region,
    )
    rows = table({"a": [1, 2, 3]})
    parquet.write_table(rows, f"{s3_bucket.name}/folder/rows.parquet", filesystem=filesystem)
    assert s3_bucket.object_keys() == ["folder/rows.parquet"]
    assert parquet.read_table(f"{s3_bucket.name}/folder/rows.parquet", filesystem=filesystem).equals(rows)


def test_a_home_is_empty_and_hides_the_shell(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv("SNOWFLAKE_ACCOUNT", "real")
    monkeypatch.setenv("SOURCE_POSTGRESQL_HOST", "real")
    home = request.getfixturevalue("migration_home")
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"]
    assert os.environ["MIGRATION_HOME"] == os.environ["DAGSTER_HOME"] == str(home)
    assert not {"SNOWFLAKE_ACCOUNT", "SOURCE_POSTGRESQL_HOST"} & set(os.environ)
