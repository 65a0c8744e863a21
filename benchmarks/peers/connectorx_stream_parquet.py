"""ConnectorX to a stream of Arrow batches, and pyarrow to a Parquet file."""

from __future__ import annotations

from pathlib import Path

import connectorx
import pyarrow.parquet as pq

from benchmarks.peers.task import run, source_uri

_ROWS = 100_000


def extract(table: str, key: str, folder: Path) -> None:
    """Over two connections on ranges of the key, each in a snapshot of its own."""
    batches = connectorx.read_sql(
        source_uri(),
        f"SELECT * FROM {table}",
        return_type="arrow_stream",
        partition_on=key,
        partition_num=2,
        batch_size=_ROWS,
    )
    with pq.ParquetWriter(folder / f"{table}.parquet", batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


if __name__ == "__main__":
    run(extract)
