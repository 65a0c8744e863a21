"""DuckDB's PostgreSQL scanner to a table of a DuckDB file."""

from __future__ import annotations

from pathlib import Path

import duckdb
from duckdb_extensions import import_extension

from benchmarks.peers.task import run


def load(table: str, _key: str, folder: Path) -> None:
    """Over as many connections as DuckDB has threads, on ranges of pages, in one snapshot."""
    with duckdb.connect(folder / "warehouse.duckdb") as connection:
        import_extension("postgres_scanner", con=connection)
        connection.execute("LOAD postgres_scanner")
        connection.execute("ATTACH '' AS pg (TYPE postgres, READ_ONLY)")
        connection.execute(f"CREATE TABLE {table} AS FROM pg.public.{table}")


if __name__ == "__main__":
    run(load)
