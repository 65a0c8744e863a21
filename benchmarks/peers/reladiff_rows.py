"""reladiff: a table or view of the source against one of a DuckDB file, as its manual has it for two databases.

    python -m benchmarks.peers.reladiff_rows TABLE KEYS COLUMNS FILE TARGET THREADS ANSWER

writes to the file ANSWER, as JSON, what it found and what that took; KEYS and COLUMNS have commas between.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import reladiff  # type: ignore[import-not-found]
from sqeleton.databases.base import Database  # type: ignore[import-not-found]

from benchmarks.peers.task import source_uri

_SAMPLED_ROWS = 500


class _Received:
    """About how much came back from both databases; of a long answer, only the first rows are looked at."""

    def __init__(self) -> None:
        self.bytes = 0
        self.rows = 0
        self._query = Database._query_cursor
        Database._query_cursor = self._counted_query()

    def _counted_query(self) -> Any:  # noqa: ANN401 - a method of a library without types
        received, query = self, self._query

        def counted(database: Any, cursor: Any, statement: Any) -> Any:  # noqa: ANN401
            answer = query(database, cursor, statement)
            if answer is not None and len(answer):
                sample = answer.rows[:_SAMPLED_ROWS]
                size = sum(len(str(value)) for row in sample for value in row)
                received.bytes += round(size * len(answer) / len(sample))
                received.rows += len(answer)
            return answer

        return counted


def main(table: str, keys: str, columns: str, file: str, target: str, threads: str, answer: str) -> None:
    """Diffs, and writes the answer."""
    # What the command line prints: without a handler, a difference in types would go unmentioned.
    logging.basicConfig(level=logging.WARNING)
    key, compared, number = tuple(keys.split(",")), tuple(columns.split(",")), int(threads)
    received = _Received()
    started = time.monotonic()
    options = {"thread_count": number, "extra_columns": compared}
    # It takes what follows a question mark for the database's name; without it, psycopg2 reads PGSSLMODE.
    source = reladiff.connect_to_table(source_uri().partition("?")[0], table, key, **options)
    other = reladiff.connect_to_table(f"duckdb://{file}", target, key, **options)
    # Twice the threads of a database, as its command line does.
    with reladiff.diff_tables(source, other, max_threadpool_size=2 * number) as diff:
        found = [(sign, row[: len(key)]) for sign, row in diff]
    seconds = time.monotonic() - started
    signs = [sign for sign, _ in found]
    differing = sorted({tuple(map(int, values)) for _, values in found})
    told = {
        "seconds": seconds,
        "bytes": received.bytes,
        "rows": received.rows,
        "verdict": "different" if found else "equal",
        "said": f"{signs.count('-'):,} lines with -, {signs.count('+'):,} with +",
        "found": [{"key": values} for values in differing],
    }
    Path(answer).write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
