"""ConnectorX to Arrow, and pyarrow to a Parquet file."""

from __future__ import annotations

from pathlib import Path

import connectorx
import pyarrow.parquet as pq

from benchmarks.peers.task import run, source_uri


def extract(table: str, key: str, folder: Path) -> None:
    """Over two connections on ranges of the key, each in its own snapshot; the whole table is in memory at once."""
    rows = connectorx.read_sql(
        source_uri(), f"SELECT * FROM {table}", return_type="arrow", partition_on=key, partition_num=2
    )
    pq.write_table(rows, folder / f"{table}.parquet", compression="zstd")


if __name__ == "__main__":
    run(extract)
