"""dlt to a table of a DuckDB file; the backend is the script's first argument."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.peers import dlt_settings
from benchmarks.peers.task import run

import dlt  # isort: skip


def main(backend: str) -> None:
    """Runs the pipeline with one of dlt's backends."""

    def load(table: str, key: str, folder: Path) -> None:
        destination = dlt.destinations.duckdb(str(folder / "warehouse.duckdb"))
        dlt_settings.run_pipeline(dlt_settings.sql_table(table, key, backend), destination, folder)

    run(load)


if __name__ == "__main__":
    main(sys.argv.pop(1))
