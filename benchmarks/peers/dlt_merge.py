"""dlt keeps a table of a DuckDB file in step: rows above the last value of a column, merged by the primary key."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import dlt_settings
from benchmarks.peers.task import run

import dlt  # isort: skip


def main() -> None:
    """Runs the pipeline once; its state is in the folder."""

    def load(table: str, cursor: str, folder: Path) -> None:
        rows = dlt_settings.sql_table(table, cursor, "pyarrow")
        rows.apply_hints(write_disposition="merge", incremental=dlt.sources.incremental(cursor))
        dlt_settings.run_pipeline(rows, dlt.destinations.duckdb(str(folder / "warehouse.duckdb")), folder)

    run(load)


if __name__ == "__main__":
    main()
