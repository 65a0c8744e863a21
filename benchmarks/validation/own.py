"""One turn of this program; a process of its own.

    python -m benchmarks.validation.own rows | all DIRECTORY ANSWER

validates the source's table against the one in the embedded warehouse's folder DIRECTORY, and writes to the file ANSWER
what it found and what that took. The source is in this program's variables.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks.server import DATABASE
from benchmarks.validation.answers import SOURCE_PROCESSES, Answer, Found
from benchmarks.validation.targets import SCHEMA, TABLE, Key
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.validation.results import RowFinding, TableResult, Verdict
from migration_assets.validation.table_validation import validate_table
from migration_assets.workflow import ValidationTable
from migration_assets.workflow.model import SourceTable, TargetTable

_MOST_FOUND = 100_000

_VERDICTS = {Verdict.PASS: "equal", Verdict.FAIL: "different"}


def _validate(directory: Path, *, only_rows: bool) -> Answer:
    """This program's own validation."""
    environment = os.environ
    source = PostgreSQLSource(
        host=environment["SOURCE_POSTGRESQL_HOST"],
        port=int(environment["SOURCE_POSTGRESQL_PORT"]),
        username=environment["SOURCE_POSTGRESQL_USERNAME"],
        password=environment["SOURCE_POSTGRESQL_PASSWORD"],
        sslmode=environment["SOURCE_POSTGRESQL_SSLMODE"],
        threads=SOURCE_PROCESSES,
    )
    warehouse = DuckDBWarehouse(directory=str(directory))
    config = ValidationTable(
        source=SourceTable(database_name=DATABASE, schema_name="public", table_name=TABLE.name),
        target=TargetTable(database_name=DATABASE, schema_name=SCHEMA, table_name=TABLE.name),
        schema_validation=not only_rows,
        metrics_validation=not only_rows,
        row_validation=True,
        row_validation_mode="cell",
        continue_on_failure=True,
        max_failed_rows_number=_MOST_FOUND,
    )
    started = time.monotonic()
    result = validate_table("bench", TABLE.name, config, source=source, warehouse=warehouse)
    seconds = time.monotonic() - started
    if result.error is not None:
        raise SystemExit(result.error)
    return _answer(result, seconds)


def _answer(result: TableResult, seconds: float) -> Answer:
    return Answer.model_validate(
        {
            "seconds": seconds,
            "source_seconds": sum(query.seconds for query in result.evidence if query.side == "source"),
            "bytes": sum(query.bytes for query in result.evidence),
            "rows": sum(query.rows for query in result.evidence),
            "verdict": _VERDICTS.get(result.verdict, "inconclusive"),
            "said": "; ".join(f"{level.level} {level.verdict.value}: {level.summary}" for level in result.levels),
            "complete": result.coverage.located,
            "found": tuple(map(_found, result.rows)),
        }
    )


def _found(row: RowFinding) -> Found:
    order, line = (int(str(row.key[name])) for name in TABLE.key)
    return Found(key=Key(order, line), kind=row.kind.value, columns=row.columns)


if __name__ == "__main__":
    turn, folder, file = sys.argv[1:]
    Path(file).write_text(_validate(Path(folder), only_rows=turn == "rows").model_dump_json())
