"""Results as tables to be kept in a warehouse: one data frame per kind of finding, one row per finding.

Types don't depend on what was found: a frame without rows, or with a column of nothing but NULL, makes and fills the
same table. Metrics and properties are text, as they are of any type; what has several parts is JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from migration_assets.validation.results import Level, TableResult

_TEXT = "string"
_INTEGER = "Int64"
_FLOAT = "Float64"
_BOOLEAN = "boolean"
_MOMENT = "datetime64[ns, UTC]"

_COMMON = {"WORKFLOW_NAME": _TEXT, "TABLE_NAME": _TEXT, "RUN_ID": _TEXT, "EVALUATED_AT": _MOMENT}
"""What every frame starts with. `EVALUATED_AT` is when the validation of the table started, the same in all frames."""

Finding = tuple[object, ...]


def summary_frame(results: Sequence[TableResult], run_id: str) -> pd.DataFrame:
    """A row per table; the verdict of a level that did not run is NULL."""
    columns = {
        "SPEC": _TEXT,
        "SOURCE_TABLE": _TEXT,
        "TARGET_TABLE": _TEXT,
        "VERDICT": _TEXT,
        "SCHEMA_VERDICT": _TEXT,
        "METRICS_VERDICT": _TEXT,
        "ROWS_VERDICT": _TEXT,
        "SCHEMA_SUMMARY": _TEXT,
        "METRICS_SUMMARY": _TEXT,
        "ROWS_SUMMARY": _TEXT,
        "SOURCE_ROWS": _INTEGER,
        "TARGET_ROWS": _INTEGER,
        "ROWS_DIFFERENT": _INTEGER,
        "COMPARED_COLUMNS": _TEXT,
        "EXCLUDED_COLUMNS": _TEXT,
        "SKIPPED_COLUMNS": _TEXT,
        "KEY_COLUMNS": _TEXT,
        "NOTES": _TEXT,
        "BUCKETS": _INTEGER,
        "BUCKETS_DIFFERENT": _INTEGER,
        "LOCATED": _BOOLEAN,
        "SOURCE_SNAPSHOT": _TEXT,
        "TARGET_SNAPSHOT": _TEXT,
        "SECONDS": _FLOAT,
        "ERROR": _TEXT,
    }

    def findings(table: TableResult) -> Iterator[Finding]:
        coverage = table.coverage
        yield (
            table.spec,
            table.source,
            table.target,
            table.verdict.value,
            _verdict(table, "schema"),
            _verdict(table, "metrics"),
            _verdict(table, "rows"),
            _summary(table, "schema"),
            _summary(table, "metrics"),
            _summary(table, "rows"),
            coverage.source_rows,
            coverage.target_rows,
            table.rows_different,
            _json(coverage.compared),
            _json(coverage.excluded),
            _json(coverage.skipped),
            _json(coverage.key),
            _json(coverage.notes),
            coverage.buckets,
            coverage.different,
            coverage.located,
            coverage.source_snapshot,
            coverage.target_snapshot,
            table.seconds,
            table.error,
        )

    return _frame(results, run_id, columns, findings)


def schema_frame(results: Sequence[TableResult], run_id: str) -> pd.DataFrame:
    """A row per property that was compared, equal ones too."""
    columns = {
        "COLUMN_NAME": _TEXT,
        "ASPECT": _TEXT,
        "SOURCE_VALUE": _TEXT,
        "TARGET_VALUE": _TEXT,
        "VERDICT": _TEXT,
        "MESSAGE": _TEXT,
        "WAIVER": _TEXT,
    }

    def findings(table: TableResult) -> Iterator[Finding]:
        for each in table.schema_findings:
            yield each.column, each.aspect, each.source, each.target, each.verdict.value, each.message, each.waiver

    return _frame(results, run_id, columns, findings)


def metrics_frame(results: Sequence[TableResult], run_id: str) -> pd.DataFrame:
    """A row per metric that was compared, equal ones too."""
    columns = {
        "COLUMN_NAME": _TEXT,
        "METRIC": _TEXT,
        "SOURCE_VALUE": _TEXT,
        "TARGET_VALUE": _TEXT,
        "DIFFERENCE": _TEXT,
        "RELATIVE_DIFFERENCE": _FLOAT,
        "VERDICT": _TEXT,
        "WAIVER": _TEXT,
    }

    def findings(table: TableResult) -> Iterator[Finding]:
        for each in table.metrics:
            yield (
                each.column,
                each.metric,
                None if each.source is None else str(each.source),
                None if each.target is None else str(each.target),
                each.difference,
                each.relative,
                each.verdict.value,
                each.waiver,
            )

    return _frame(results, run_id, columns, findings)


def rows_frame(results: Sequence[TableResult], run_id: str) -> pd.DataFrame:
    """A row per differing row that was kept; `FINDING` joins it with its cells."""
    columns = {
        "FINDING": _INTEGER,
        "KIND": _TEXT,
        "ROW_KEY": _TEXT,
        "SOURCE_ROWS": _INTEGER,
        "TARGET_ROWS": _INTEGER,
        "DIFFERENT_COLUMNS": _TEXT,
        "WAIVER": _TEXT,
    }

    def findings(table: TableResult) -> Iterator[Finding]:
        for each in table.rows:
            yield (
                each.row,
                each.kind.value,
                _json(each.key),
                each.source_rows,
                each.target_rows,
                _json(each.columns),
                each.waiver,
            )

    return _frame(results, run_id, columns, findings)


def cells_frame(results: Sequence[TableResult], run_id: str) -> pd.DataFrame:
    """A row per differing cell that was kept."""
    columns = {
        "FINDING": _INTEGER,
        "COLUMN_NAME": _TEXT,
        "SOURCE_VALUE": _TEXT,
        "TARGET_VALUE": _TEXT,
        "CAUSE": _TEXT,
        "DETAIL": _TEXT,
    }

    def findings(table: TableResult) -> Iterator[Finding]:
        for each in table.cells:
            yield each.row, each.column, each.source, each.target, each.cause.value, each.detail

    return _frame(results, run_id, columns, findings)


def causes_frame(results: Sequence[TableResult], run_id: str) -> pd.DataFrame:
    """A row per column and likely cause: `CELLS` of the `CELLS_EXAMINED` of the column have it."""
    columns = {
        "COLUMN_NAME": _TEXT,
        "CAUSE": _TEXT,
        "DETAIL": _TEXT,
        "CELLS": _INTEGER,
        "CELLS_EXAMINED": _INTEGER,
        "EXAMPLE_FINDING": _INTEGER,
        "HEADLINE": _TEXT,
        "WAIVER": _TEXT,
    }

    def findings(table: TableResult) -> Iterator[Finding]:
        for each in table.causes:
            yield (
                each.column,
                each.cause.value,
                each.detail,
                each.cells,
                each.of,
                each.example_row,
                str(each),
                each.waiver,
            )

    return _frame(results, run_id, columns, findings)


def evidence_frame(results: Sequence[TableResult], run_id: str) -> pd.DataFrame:
    """A row per query, numbered from 1 in each table."""
    columns = {
        "QUERY_NUMBER": _INTEGER,
        "STEP": _TEXT,
        "SIDE": _TEXT,
        "SQL_TEXT": _TEXT,
        "QUERY_ID": _TEXT,
        "SECONDS": _FLOAT,
        "ROW_COUNT": _INTEGER,
        "BYTE_COUNT": _INTEGER,
        "FINGERPRINT": _TEXT,
    }

    def findings(table: TableResult) -> Iterator[Finding]:
        for number, each in enumerate(table.evidence, start=1):
            yield (
                number,
                each.step,
                each.side,
                each.sql,
                each.query_id,
                each.seconds,
                each.rows,
                each.bytes,
                each.fingerprint,
            )

    return _frame(results, run_id, columns, findings)


FRAMES: Mapping[str, Callable[[Sequence[TableResult], str], pd.DataFrame]] = MappingProxyType(
    {
        "SUMMARY": summary_frame,
        "SCHEMA_FINDINGS": schema_frame,
        "METRIC_FINDINGS": metrics_frame,
        "ROW_FINDINGS": rows_frame,
        "CELL_FINDINGS": cells_frame,
        "CAUSES": causes_frame,
        "EVIDENCE": evidence_frame,
    }
)
"""The frames by the name of the table that they fill."""


def _frame(
    results: Sequence[TableResult],
    run_id: str,
    columns: Mapping[str, str],
    findings: Callable[[TableResult], Iterator[Finding]],
) -> pd.DataFrame:
    types = _COMMON | dict(columns)
    rows = [
        (table.workflow, table.table, run_id, table.started_at, *finding)
        for table in results
        for finding in findings(table)
    ]
    # Column by column: pandas would make floats of integers beside NULL, and lose digits.
    by_column = zip(*rows, strict=True) if rows else ((),) * len(types)
    return pd.DataFrame(
        {name: _series(values, types[name]) for name, values in zip(types, by_column, strict=True)},
    )


def _series(values: Sequence[Any], dtype: str) -> pd.Series[Any]:
    if dtype == _MOMENT:
        return pd.Series(pd.to_datetime(list(values), utc=True), dtype=dtype)
    return pd.Series(list(values), dtype=dtype)


def _verdict(table: TableResult, name: Level) -> str | None:
    level = table.level(name)
    return level.verdict.value if level is not None and level.ran else None


def _summary(table: TableResult, name: Level) -> str | None:
    level = table.level(name)
    return None if level is None else level.summary


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
