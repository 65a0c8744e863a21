"""The demo's source database: its server, its password, and the variables that point the migration at it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import psycopg2

from demo import nycflights13
from demo.postgresql_server import EmbeddedPostgreSQL, PostgreSQLServer


def migration_home() -> Path:
    return Path(os.environ.get("MIGRATION_HOME") or ".migration").resolve()


def demo_home() -> Path:
    """The folder of the demo's state: the server, its password, and the log of the last run."""
    folder = migration_home() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def demo_server(*, bound: bool) -> EmbeddedPostgreSQL:
    """The demo's server, not started; `bound` to this process, or left running after it."""
    return EmbeddedPostgreSQL(demo_home() / "postgresql", _password(), bound=bound)


def load(server: PostgreSQLServer) -> bool:
    """Create the demo's database when it is missing, and fill it; whether there was anything to do."""
    _create_database(server)
    connection = _connect(server, nycflights13.DATABASE)
    try:
        return nycflights13.load(connection)
    finally:
        connection.close()


def environment(server: PostgreSQLServer) -> dict[str, str]:
    """The variables that name `server` as the source of a migration."""
    return {
        "SOURCE_POSTGRESQL_HOST": server.host,
        "SOURCE_POSTGRESQL_PORT": str(server.port),
        "SOURCE_POSTGRESQL_USERNAME": server.username,
        "SOURCE_POSTGRESQL_PASSWORD": server.password,
        # On the loopback interface only, and the embedded server is built without TLS.
        "SOURCE_POSTGRESQL_SSLMODE": "disable",
    }


def source_environment() -> dict[str, str]:
    """The variables of the running demo server; empty when it does not run."""
    server = demo_server(bound=False).running()
    return environment(server) if server else {}


def _password() -> str:
    path = demo_home() / "password"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text()


def _create_database(server: PostgreSQLServer) -> None:
    connection = _connect(server, "postgres")
    # CREATE DATABASE can't run in a transaction.
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", [nycflights13.DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {nycflights13.DATABASE} ENCODING 'UTF8'")
    finally:
        connection.close()


def _connect(server: PostgreSQLServer, database: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(
        host=server.host,
        port=server.port,
        user=server.username,
        password=server.password,
        dbname=database,
        connect_timeout=10,
    )
