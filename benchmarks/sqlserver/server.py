"""The source: a database on the server that `SOURCE_SQLSERVER_*` names, with rows of lineitem, kept between runs."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.server import TABLES

DATABASE = "migration_benchmark"
TABLE = TABLES["lineitem"]
_ROWS_AT_ONCE = 20_000
_ROWS_PER_SCALE = 6_000_000
_VALUES: Mapping[str, Callable[[str], object]] = {
    "bigint": int,
    "integer": int,
    "numeric": Decimal,
    "date": date.fromisoformat,
}
_ARROW = {"bigint": pa.int64(), "integer": pa.int32(), "numeric": pa.decimal128(15, 2), "date": pa.date32()}


@dataclass(frozen=True)
class Server:
    """How to reach it.

    Attributes:
        connection_string: for ODBC, without a database; with the password.
        environment: variables for everybody who is measured.
    """

    connection_string: str
    environment: Mapping[str, str]

    def connect(self, database: str) -> Any:  # noqa: ANN401 - pyodbc has no types of its own
        """A connection in autocommit."""
        import pyodbc

        return pyodbc.connect(f"{self.connection_string}Database={database};", autocommit=True)

    @property
    def version(self) -> str:
        """What it says that it is."""
        with closing(self.connect("master")) as connection:
            return str(connection.execute("SELECT @@version").fetchval()).splitlines()[0]


def named_server() -> Server:
    """The server of the environment.

    Raises:
        ClickException: no server is named.
    """
    host = os.environ.get("SOURCE_SQLSERVER_HOST")
    if not host:
        raise click.ClickException(
            "no server: set SOURCE_SQLSERVER_HOST, _PORT, _USERNAME and _PASSWORD of a user who can make databases"
        )
    variables = {name: value for name, value in os.environ.items() if name.startswith("SOURCE_SQLSERVER_")}
    from migration_assets.resources.sources.sqlserver_drivers import find_driver

    driver = find_driver()
    parts = {
        "Driver": driver.name,
        "Server": f"{host},{variables.get('SOURCE_SQLSERVER_PORT') or 1433}",
        "UID": variables["SOURCE_SQLSERVER_USERNAME"],
        "PWD": variables["SOURCE_SQLSERVER_PASSWORD"],
        "Encrypt": variables.get("SOURCE_SQLSERVER_ENCRYPT") or "yes",
        "TrustServerCertificate": variables.get("SOURCE_SQLSERVER_TRUST_SERVER_CERTIFICATE") or "no",
    }
    text = "".join(f"{name}={{{value.replace('}', '}}')}}};" for name, value in parts.items())
    shared = {
        "BENCHMARK_SQLSERVER": text,
        "BENCHMARK_DATABASE": DATABASE,
        "BENCHMARK_COLUMNS": json.dumps(dict(TABLE.columns)),
    }
    return Server(text, {**variables, **shared})


def fill(server: Server, rows: int, reference: Path) -> None:
    """Has the table hold the first `rows` of lineitem, clustered by its key, and the file the same rows.

    Args:
        reference: a Parquet file of the generator's own rows, made beside the table, never read from the server.
    """
    if reference.exists() and _count(server) == rows:
        return
    click.echo(f"loading {rows:,} rows of lineitem into {DATABASE}…", err=True)
    with closing(server.connect("master")) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    kinds = [declared.partition("(")[0] for declared in TABLE.columns.values()]
    schema = pa.schema([(name, _ARROW.get(kind, pa.string())) for name, kind in zip(TABLE.columns, kinds, strict=True)])
    columns = ", ".join(f"{name} {declared} NOT NULL" for name, declared in TABLE.columns.items())
    places = ", ".join("?" * len(kinds))
    with closing(server.connect(DATABASE)) as connection, pq.ParquetWriter(reference, schema) as writer:
        connection.execute(f"CREATE TABLE dbo.lineitem ({columns}, PRIMARY KEY ({', '.join(TABLE.key)}))")
        cursor = connection.cursor()
        cursor.fast_executemany = True
        for batch in _batches(rows, kinds):
            connection.autocommit = False
            cursor.executemany(f"INSERT INTO dbo.lineitem VALUES ({places})", batch)
            connection.commit()
            writer.write_table(pa.table([list(column) for column in zip(*batch, strict=True)], schema=schema))


def _count(server: Server) -> int | None:
    with closing(server.connect("master")) as connection:
        if connection.execute("SELECT DB_ID(?)", DATABASE).fetchval() is None:
            return None
    with closing(server.connect(DATABASE)) as connection:
        if connection.execute("SELECT OBJECT_ID('dbo.lineitem')").fetchval() is None:
            return None
        return int(connection.execute("SELECT COUNT_BIG(*) FROM dbo.lineitem").fetchval())


def _batches(rows: int, kinds: list[str]) -> Iterator[list[tuple[object, ...]]]:
    scale = max(0.01, rows / _ROWS_PER_SCALE * 1.01)
    program = str(Path(sys.executable).with_name("tpchgen-cli"))
    command = [program, "csv", "--scale-factor", f"{scale:.3f}", "--tables", "lineitem", "--stdout", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
        lines = csv.reader(_lines(generator.stdout))
        next(lines)
        makers = [_VALUES.get(kind, str) for kind in kinds]
        left = rows
        while left and (
            batch := [
                tuple(make(text) for make, text in zip(makers, line, strict=True))
                for line in islice(lines, min(left, _ROWS_AT_ONCE))
            ]
        ):
            left -= len(batch)
            yield batch
        generator.kill()
    if left:
        raise click.ClickException(f"the generator has made {left:,} rows too few")


def _lines(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
