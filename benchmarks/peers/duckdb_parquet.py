"""DuckDB's PostgreSQL scanner to a Parquet file."""

from __future__ import annotations

from pathlib import Path

import duckdb
from duckdb_extensions import import_extension

from benchmarks.peers.task import run


def extract(table: str, _key: str, folder: Path) -> None:
    """Over as many connections as DuckDB has threads, on ranges of pages, in one snapshot."""
    with duckdb.connect() as connection:
        import_extension("postgres_scanner", con=connection)
        connection.execute("LOAD postgres_scanner")
        connection.execute("ATTACH '' AS pg (TYPE postgres, READ_ONLY)")
        target = folder / f"{table}.parquet"
        connection.execute(f"COPY (FROM pg.public.{table}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    run(extract)
