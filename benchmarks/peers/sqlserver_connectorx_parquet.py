"""ConnectorX from SQL Server to a stream of Arrow batches, and pyarrow to a Parquet file."""

from __future__ import annotations

from pathlib import Path

import connectorx
import pyarrow.parquet as pq

from benchmarks.peers.sqlserver_source import QUERY, ROWS, connectorx_uri
from benchmarks.peers.task import run


def extract(table: str, key: str, folder: Path) -> None:
    """Over two connections on ranges of the key."""
    batches = connectorx.read_sql(
        connectorx_uri(), QUERY, return_type="arrow_stream", partition_on=key, partition_num=2, batch_size=ROWS
    )
    with pq.ParquetWriter(folder / f"{table}.parquet", batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


if __name__ == "__main__":
    run(extract)
