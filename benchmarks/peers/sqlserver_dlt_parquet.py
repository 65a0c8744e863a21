"""dlt from SQL Server to Parquet files; the backend is the script's first argument."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import CHAR, BigInteger, Column, Date, Integer, MetaData, Numeric, String, Table
from sqlalchemy.types import TypeEngine

from benchmarks.peers import dlt_settings
from benchmarks.peers.sqlserver_source import ROWS, sqlalchemy_uri
from benchmarks.peers.task import run

import dlt  # isort: skip
from dlt.sources.sql_database import sql_table  # isort: skip

COLUMNS: dict[str, str] = json.loads(os.environ["BENCHMARK_COLUMNS"])
_TYPES: dict[str, Callable[..., TypeEngine[Any]]] = {
    "bigint": BigInteger,
    "integer": Integer,
    "numeric": Numeric,
    "char": CHAR,
    "varchar": String,
    "date": Date,
}


def _metadata() -> MetaData:
    """The table's columns: not every server that speaks TDS has all of the catalogue that SQLAlchemy looks into."""
    metadata = MetaData(schema="dbo")
    columns = [Column(name, _type(declared), nullable=False) for name, declared in COLUMNS.items()]
    Table("lineitem", metadata, *columns, schema="dbo")
    return metadata


def _type(declared: str) -> TypeEngine[Any]:
    name, _, arguments = declared.rstrip(")").partition("(")
    return _TYPES[name](*map(int, filter(None, arguments.split(","))))


def main(backend: str) -> None:
    """Runs the pipeline with one of dlt's backends."""

    def extract(table: str, key: str, folder: Path) -> None:
        rows = sql_table(
            sqlalchemy_uri(),
            table,
            "dbo",
            backend=backend,
            chunk_size=ROWS,
            metadata=_metadata(),
            reflection_level="full_with_precision",
            write_disposition="replace",
        )
        destination = dlt.destinations.filesystem(bucket_url=(folder / "files").as_uri())
        dlt_settings.run_pipeline(rows, destination, folder)

    run(extract)


if __name__ == "__main__":
    main(sys.argv.pop(1))
