"""ADBC's PostgreSQL driver to Arrow batches, and pyarrow to a Parquet file."""

from __future__ import annotations

from pathlib import Path

import adbc_driver_postgresql.dbapi
import pyarrow.parquet as pq

from benchmarks.peers.task import run, source_uri


def extract(table: str, _key: str, folder: Path) -> None:
    """Over one connection. Numerics arrive as text, which is what ADBC makes of them."""
    with adbc_driver_postgresql.dbapi.connect(source_uri()) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        batches = cursor.fetch_record_batch()
        with pq.ParquetWriter(folder / f"{table}.parquet", batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)


if __name__ == "__main__":
    run(extract)
