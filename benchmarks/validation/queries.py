"""One turn of a bare query, to compare this program with; a process of its own.

    python -m benchmarks.validation.queries checksum | counts DIRECTORY ANSWER

asks the source in libpq's variables, and the embedded warehouse's folder DIRECTORY, and writes to the file ANSWER what
came and what that took.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg2

from benchmarks.server import DATABASE
from benchmarks.validation.answers import SOURCE_PROCESSES, Answer
from benchmarks.validation.targets import SCHEMA, TABLE

_TEXTS = ", ".join(rf"coalesce({name}::text, '\N')" for name in TABLE.columns)
_CHECKSUM = (
    f"SELECT count(*), sum(('x' || substr(md5(concat_ws('|', {_TEXTS})), 18, 15))::bit(60)::bigint) FROM {TABLE.name}"
)
_COUNT = f"SELECT count(*) FROM {TABLE.name}"


def _source_query(statement: str) -> tuple[list[object], float]:
    """The one row of an answer, and the seconds that it took."""
    with closing(psycopg2.connect("")) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET max_parallel_workers_per_gather = {SOURCE_PROCESSES - 1}")
        started = time.monotonic()
        cursor.execute(statement)
        row = list(cursor.fetchone() or ())
        return row, time.monotonic() - started


def _checksum(_directory: Path) -> Answer:
    """One checksum over the source alone: what nothing that reads every value of it can go below."""
    row, seconds = _source_query(_CHECKSUM)
    return Answer(
        seconds=seconds,
        source_seconds=seconds,
        bytes=sum(len(str(value)) for value in row),
        rows=1,
        verdict="inconclusive",
        said=f"{row[0]:,} rows",
    )


def _counts(directory: Path) -> Answer:
    """The rows of both sides, counted."""
    started = time.monotonic()
    (rows,), seconds = _source_query(_COUNT)
    with duckdb.connect(directory / f"{DATABASE}.duckdb", read_only=True) as database:
        ((target_rows,),) = database.execute(f'SELECT count(*) FROM "{SCHEMA}".{TABLE.name}').fetchall()
    return Answer(
        seconds=time.monotonic() - started,
        source_seconds=seconds,
        bytes=len(str(rows)) + len(str(target_rows)),
        rows=2,
        verdict="equal" if rows == target_rows else "different",
        complete=False,
        said=f"source {rows:,}, target {target_rows:,} rows",
    )


_TURNS: dict[str, Callable[[Path], Answer]] = {"checksum": _checksum, "counts": _counts}

if __name__ == "__main__":
    turn, folder, file = sys.argv[1:]
    Path(file).write_text(_TURNS[turn](Path(folder)).model_dump_json())
