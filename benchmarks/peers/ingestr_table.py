"""ingestr to a table of a DuckDB file; its SQL backend is the script's first argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.peers.task import source_uri


def main(backend: str, table: str, _key: str, folder: Path) -> None:
    """Becomes the command; the source is named in the environment, because its URI holds the password."""
    settings = {
        "INGESTR_DISABLE_TELEMETRY": "true",
        "DISABLE_TELEMETRY": "true",
        "SOURCE_URI": source_uri(),
        "DESTINATION_URI": f"duckdb:///{folder / 'warehouse.duckdb'}",
        "SOURCE_TABLE": f"public.{table}",
        "DESTINATION_TABLE": f"tpch.{table}",
        "PIPELINES_DIR": str(folder / "pipelines"),
    }
    command = str(Path(sys.executable).with_name("ingestr"))
    arguments = ["ingest", "--yes", "--progress", "log", "--sql-backend", backend]
    os.execve(command, [command, *arguments], {**os.environ, **settings})  # noqa: S606 - no shell


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
