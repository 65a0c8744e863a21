"""dlt with what a careful user sets; imported before dlt, which reads its settings from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.task import source_uri

if TYPE_CHECKING:
    from dlt.extract import DltResource

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["DATA_WRITER__COMPRESSION"] = "zstd"
# Without it the finished load packages stay, a second copy of everything.
os.environ["LOAD__DELETE_COMPLETED_JOBS"] = "true"

_ROWS = 100_000


def sql_table(table: str, key: str, backend: str) -> DltResource:
    """The table, read by ConnectorX over two connections on ranges of the key, or by SQLAlchemy into Arrow tables."""
    from dlt.sources.sql_database import sql_table as dlt_sql_table

    options: dict[str, Any] = {}
    if backend == "connectorx":
        # The default, the whole table at once, would hold it in memory.
        options = {
            "conn": source_uri(),
            "return_type": "arrow_stream",
            "batch_size": _ROWS,
            "partition_on": key,
            "partition_num": 2,
        }
    return dlt_sql_table(
        source_uri("postgresql+psycopg2"),
        table,
        "public",
        backend=backend,
        backend_kwargs=options,
        chunk_size=_ROWS,
        # Precision and scale of decimals.
        reflection_level="full_with_precision",
        write_disposition="replace",
    )


def run_pipeline(table: DltResource, destination: Any, folder: Path) -> None:  # noqa: ANN401 - dlt's own is untyped here
    """Extracts, normalizes and loads, with dlt's working files below `folder`."""
    import dlt

    pipeline = dlt.pipeline(
        "tpch", pipelines_dir=str(folder / "pipelines"), destination=destination, dataset_name="tpch"
    )
    pipeline.run(table, loader_file_format="parquet")
