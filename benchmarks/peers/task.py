"""What the peers' scripts share: their arguments, the source's URI, and the line that tells their time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote


def run(work: Callable[[str, str, Path], None]) -> None:
    """Calls `work` with the script's arguments (table, key, folder), and prints the seconds that it took."""
    table, key, folder = sys.argv[1:]
    started = time.monotonic()
    work(table, key, Path(folder))
    print(json.dumps({"seconds": time.monotonic() - started}))


def source_uri(scheme: str = "postgresql") -> str:
    """The source as a URI, for what doesn't read libpq's variables."""
    user, password = quote(os.environ["PGUSER"], safe=""), quote(os.environ["PGPASSWORD"], safe="")
    host, port, database = os.environ["PGHOST"], os.environ["PGPORT"], os.environ["PGDATABASE"]
    return f"{scheme}://{user}:{password}@{host}:{port}/{database}?sslmode=disable"
