"""arrow-odbc from SQL Server, and pyarrow to a Parquet file: one connection, nothing else."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from arrow_odbc import read_arrow_batches_from_odbc

from benchmarks.peers.sqlserver_source import QUERY, connection_string
from benchmarks.peers.task import run


def extract(table: str, key: str, folder: Path) -> None:
    """With batches fetched ahead, as it does by itself."""
    batches = read_arrow_batches_from_odbc(QUERY, connection_string=connection_string(), batch_size=65_535)
    with pq.ParquetWriter(folder / f"{table}.parquet", batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


if __name__ == "__main__":
    run(extract)
