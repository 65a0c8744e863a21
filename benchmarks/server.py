"""The source of the benchmark: tables of TPC-H in an embedded PostgreSQL that is kept from one run to the next.

The server runs with the settings of `demo.postgresql_server`, and PostgreSQL's own defaults beside them: 128 MB of
shared buffers, so that larger tables come from the page cache of the system.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from demo.postgresql_server import EmbeddedPostgreSQL, PostgreSQLServer, wheel_binaries

DATABASE = "tpch"
# A database that is still being filled has this name, so one named DATABASE is complete.
_UNFINISHED = "tpch_unfinished"


@dataclass(frozen=True)
class Table:
    """A table of TPC-H.

    Attributes:
        key: the primary key; its first column is what peers divide the table by.
        columns: name and type of each, as clause 1.4 of the specification has them.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, str]


TABLES = {
    table.name: table
    for table in (
        Table(
            "lineitem",
            ("l_orderkey", "l_linenumber"),
            {
                "l_orderkey": "bigint",
                "l_partkey": "bigint",
                "l_suppkey": "bigint",
                "l_linenumber": "integer",
                "l_quantity": "numeric(15,2)",
                "l_extendedprice": "numeric(15,2)",
                "l_discount": "numeric(15,2)",
                "l_tax": "numeric(15,2)",
                "l_returnflag": "char(1)",
                "l_linestatus": "char(1)",
                "l_shipdate": "date",
                "l_commitdate": "date",
                "l_receiptdate": "date",
                "l_shipinstruct": "char(25)",
                "l_shipmode": "char(10)",
                "l_comment": "varchar(44)",
            },
        ),
        Table(
            "orders",
            ("o_orderkey",),
            {
                "o_orderkey": "bigint",
                "o_custkey": "bigint",
                "o_orderstatus": "char(1)",
                "o_totalprice": "numeric(15,2)",
                "o_orderdate": "date",
                "o_orderpriority": "char(15)",
                "o_clerk": "char(15)",
                "o_shippriority": "integer",
                "o_comment": "varchar(79)",
            },
        ),
        Table(
            "customer",
            ("c_custkey",),
            {
                "c_custkey": "bigint",
                "c_name": "varchar(25)",
                "c_address": "varchar(40)",
                "c_nationkey": "integer",
                "c_phone": "char(15)",
                "c_acctbal": "numeric(15,2)",
                "c_mktsegment": "char(10)",
                "c_comment": "varchar(117)",
            },
        ),
    )
}


@dataclass(frozen=True)
class Source:
    """The running server with its tables.

    Attributes:
        postmaster: process id of the server's first process.
        programs: the folder of PostgreSQL's programs.
    """

    server: PostgreSQLServer
    postmaster: int
    programs: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name the source to libpq, to the peers' scripts and to this program."""
        server = self.server
        return {
            "PGHOST": server.host,
            "PGPORT": str(server.port),
            "PGUSER": server.username,
            "PGPASSWORD": server.password,
            "PGDATABASE": DATABASE,
            "PGSSLMODE": "disable",
            "SOURCE_POSTGRESQL_HOST": server.host,
            "SOURCE_POSTGRESQL_PORT": str(server.port),
            "SOURCE_POSTGRESQL_USERNAME": server.username,
            "SOURCE_POSTGRESQL_PASSWORD": server.password,
            "SOURCE_POSTGRESQL_SSLMODE": "disable",
        }

    @contextmanager
    def connect(self, database: str = DATABASE) -> Iterator[Connection]:
        """A connection that commits every statement."""
        server = self.server
        with closing(
            psycopg2.connect(
                host=server.host,
                port=server.port,
                user=server.username,
                password=server.password,
                dbname=database,
            )
        ) as connection:
            connection.autocommit = True
            yield connection


@contextmanager
def open_source(folder: Path, scale_factor: str) -> Iterator[Source]:
    """Starts the server in `folder`, and loads its tables the first time.

    Raises:
        ServerError: the server doesn't start.
        CalledProcessError: tpchgen-cli failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    embedded = EmbeddedPostgreSQL(folder, _password(folder))
    with embedded as server:
        postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        source = Source(server, postmaster, wheel_binaries())
        if not _exists(source, DATABASE):
            _load(source, scale_factor)
        yield source


def warm(source: Source, tables: list[str]) -> dict[str, tuple[int, int]]:
    """Reads every table once, so that what runs first is not what fills the caches.

    Returns:
        Rows and bytes (of the heap) of each table.
    """
    figures = {}
    with source.connect() as connection, connection.cursor() as cursor:
        for name in tables:
            cursor.execute(f"SELECT count(*), pg_relation_size('{name}') FROM {name}")
            rows, size = cursor.fetchone() or (0, 0)
            figures[name] = int(rows), int(size)
    return figures


def server_version(source: Source) -> str:
    """PostgreSQL's version, as in "18.0"."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str((cursor.fetchone() or [""])[0])


def create_numbers(source: Source, name: str, rows: int) -> None:
    """A narrow table with the key `id` from 1 to `rows`, made anew."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
        cursor.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text NOT NULL)")
        cursor.execute(f"INSERT INTO {name} SELECT n, 'row ' || n FROM generate_series(1, {rows}) n")
        cursor.execute(f"VACUUM ANALYZE {name}")


def _load(source: Source, scale_factor: str) -> None:
    with source.connect("postgres") as maintenance, maintenance.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {_UNFINISHED}")
        cursor.execute(f"CREATE DATABASE {_UNFINISHED} ENCODING 'UTF8'")
        with source.connect(_UNFINISHED) as connection:
            for table in TABLES.values():
                print(f"loading {table.name} at scale factor {scale_factor}", file=sys.stderr, flush=True)
                _load_table(connection, table, scale_factor)
        cursor.execute(f"ALTER DATABASE {_UNFINISHED} RENAME TO {DATABASE}")


def _load_table(connection: Connection, table: Table, scale_factor: str) -> None:
    columns = ", ".join(f"{name} {kind} NOT NULL" for name, kind in table.columns.items())
    generator = [
        str(Path(sys.executable).with_name("tpchgen-cli")),
        *("csv", "--scale-factor", scale_factor, "--tables", table.name, "--stdout", "--quiet"),
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table.name} ({columns})")
        with subprocess.Popen(generator, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            cursor.copy_expert(f"COPY {table.name} FROM STDIN (FORMAT csv, HEADER match)", process.stdout)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, generator)
        cursor.execute(f"ALTER TABLE {table.name} ADD PRIMARY KEY ({', '.join(table.key)})")
        cursor.execute(f"VACUUM ANALYZE {table.name}")


def _exists(source: Source, database: str) -> bool:
    with source.connect("postgres") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", [database])
        return cursor.fetchone() is not None


def _password(folder: Path) -> str:
    path = folder / "password"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text()
