"""Rows of pyodbc from SQL Server, and pyarrow to a Parquet file: what a script of one's own does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyodbc

from benchmarks.peers.sqlserver_source import QUERY, ROWS, connection_string
from benchmarks.peers.task import run

# As the catalogue says; left to the values, every batch would have decimals of another precision.
_TYPES = {"l_quantity": "m", "l_extendedprice": "m", "l_discount": "m", "l_tax": "m"}


def extract(table: str, key: str, folder: Path) -> None:
    """Over one connection, a hundred thousand rows at a time."""
    writer: pq.ParquetWriter | None = None
    with closing(pyodbc.connect(connection_string())) as connection:
        cursor = connection.execute(QUERY)
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(ROWS):
            columns = [
                pa.array(list(values), pa.decimal128(15, 2) if name in _TYPES else None)
                for name, values in zip(names, zip(*rows, strict=True), strict=True)
            ]
            batch = pa.table(columns, names=names)
            writer = writer or pq.ParquetWriter(folder / f"{table}.parquet", batch.schema, compression="zstd")
            writer.write_table(batch)
    if writer is not None:
        writer.close()


if __name__ == "__main__":
    run(extract)
