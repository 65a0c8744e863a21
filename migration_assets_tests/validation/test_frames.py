"""Frames of results: the same types whatever was found, and tables that a warehouse takes as they are."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from migration_assets.validation.reports.frames import (
    FRAMES,
    causes_frame,
    cells_frame,
    evidence_frame,
    metrics_frame,
    rows_frame,
    schema_frame,
    summary_frame,
)
from migration_assets.validation.results import Cause, CellFinding, Coverage, MetricFinding, Verdict
from migration_assets_tests.validation import result_examples as examples

TABLES = examples.everything().tables


def record(frame: pd.DataFrame, position: int = 0) -> dict[str, object]:
    """A row, with None for what is NULL."""
    row = frame.astype(object).iloc[position]
    return {str(name): None if value is pd.NA else value for name, value in row.items()}


@pytest.mark.parametrize("name", FRAMES)
def test_types_and_columns_are_the_same_with_and_without_findings(name: str) -> None:
    empty, full = FRAMES[name]((), "run"), FRAMES[name](TABLES, "run")

    assert len(empty) == 0
    assert len(full) > 0
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)
    assert [column.upper() for column in full.columns] == list(full.columns)
    assert {str(dtype) for dtype in full.dtypes} <= {"string", "Int64", "Float64", "boolean", "datetime64[ns, UTC]"}


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_starts_with_what_joins_it_to_the_others(name: str) -> None:
    frame = FRAMES[name](TABLES, "run-7")

    assert list(frame.columns[:4]) == ["WORKFLOW_NAME", "TABLE_NAME", "RUN_ID", "EVALUATED_AT"]
    assert set(frame["WORKFLOW_NAME"]) == {"sales"}
    assert set(frame["RUN_ID"]) == {"run-7"}
    assert set(frame["EVALUATED_AT"]) == {pd.Timestamp(examples.STARTED)}


@pytest.mark.parametrize(
    "started",
    [
        datetime(2026, 7, 1, 14, 30, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 7, 1, 12, 30),  # noqa: DTZ001 - as a result read from JSON may have it
    ],
    ids=["another zone", "no zone"],
)
def test_times_are_in_utc(started: datetime) -> None:
    frame = summary_frame([examples.all_pass().model_copy(update={"started_at": started})], "run")

    assert frame["EVALUATED_AT"].tolist() == [pd.Timestamp("2026-07-01 12:30", tz="UTC")]


@pytest.mark.parametrize("name", FRAMES)
def test_duckdb_makes_the_same_table_of_a_frame_with_and_without_rows(name: str) -> None:
    empty, full = FRAMES[name]((), "run"), FRAMES[name](TABLES, "run")
    with duckdb.connect() as connection:
        connection.register("EMPTY_FRAME", empty)
        connection.register("FULL_FRAME", full)
        connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM EMPTY_FRAME')

        connection.execute(f'INSERT INTO "{name}" SELECT * FROM FULL_FRAME')

        made, given = (connection.execute(f"DESCRIBE {each}").fetchall() for each in (f'"{name}"', "FULL_FRAME"))
        assert made == given
        assert connection.execute(f'SELECT count(*) FROM "{name}"').fetchall() == [(len(full),)]


@pytest.mark.parametrize("name", FRAMES)
def test_parquet_as_write_pandas_makes_it_has_types_without_rows(name: str) -> None:
    empty, full = (pa.Schema.from_pandas(FRAMES[name](tables, "run")) for tables in ((), TABLES))

    assert empty.types == full.types
    assert pa.null() not in empty.types


def test_the_summary_has_a_row_per_table_with_verdicts_and_coverage() -> None:
    found = record(summary_frame([examples.waived()], "run"))

    assert found == {
        "WORKFLOW_NAME": "sales",
        "TABLE_NAME": "products",
        "RUN_ID": "run",
        "EVALUATED_AT": pd.Timestamp(examples.STARTED),
        "SPEC": "c3c3",
        "SOURCE_TABLE": "public.products",
        "TARGET_TABLE": "SALES.PRODUCTS",
        "VERDICT": "waived",
        "SCHEMA_VERDICT": "waived",
        "METRICS_VERDICT": None,
        "ROWS_VERDICT": "waived",
        "SCHEMA_SUMMARY": "1 difference is waived.",
        "METRICS_SUMMARY": "No metric was asked for.",
        "ROWS_SUMMARY": "2 differing rows are waived.",
        "SOURCE_ROWS": 9,
        "TARGET_ROWS": 9,
        "ROWS_DIFFERENT": 2,
        "COMPARED_COLUMNS": '["ID", "NAME"]',
        "EXCLUDED_COLUMNS": "[]",
        "SKIPPED_COLUMNS": "{}",
        "KEY_COLUMNS": '["ID"]',
        "NOTES": "[]",
        "BUCKETS": 1,
        "BUCKETS_DIFFERENT": 1,
        "LOCATED": True,
        "SOURCE_SNAPSHOT": None,
        "TARGET_SNAPSHOT": None,
        "SECONDS": 3.0,
        "ERROR": None,
    }


def test_the_summary_says_why_columns_were_skipped_and_what_went_wrong() -> None:
    skipped, ended = (
        record(summary_frame([examples.inconclusive(), examples.ended_with_error()], "run"), at) for at in (0, 1)
    )

    assert json.loads(str(skipped["SKIPPED_COLUMNS"]))["SHAPE"] == "geometry has no canonical text"
    assert ended["ERROR"] == "could not connect to server:\nconnection refused"
    assert ended["VERDICT"] == "inconclusive"
    assert ended["SOURCE_ROWS"] is None


def test_integers_beside_null_keep_all_their_digits() -> None:
    large = examples.all_pass().model_copy(update={"coverage": Coverage(source_rows=2**62 + 1)})

    frame = summary_frame([large, examples.ended_with_error()], "run")

    assert frame["SOURCE_ROWS"].tolist() == [2**62 + 1, pd.NA]


def test_schema_findings_have_a_row_per_property() -> None:
    frame = schema_frame([examples.waived()], "run")

    assert frame["ASPECT"].tolist() == ["type", "length"]
    assert frame["VERDICT"].tolist() == ["pass", "waived"]
    assert record(frame, 1)["WAIVER"] == "VARCHAR is wider on purpose"


def test_metrics_of_every_type_are_text() -> None:
    values = (12, 0.1, "99999999999999999999.5", None)
    metrics = tuple(
        MetricFinding(column="A", metric="max", source=value, target=value, verdict=Verdict.PASS) for value in values
    )

    frame = metrics_frame([examples.all_pass().model_copy(update={"metrics": metrics})], "run")

    assert frame["SOURCE_VALUE"].tolist() == ["12", "0.1", "99999999999999999999.5", pd.NA]


def test_rows_join_their_cells_by_the_number_of_the_finding() -> None:
    tables = [examples.many_differences(kept=10)]
    rows, cells = rows_frame(tables, "run"), cells_frame(tables, "run")

    joined = rows.merge(cells, on=["WORKFLOW_NAME", "TABLE_NAME", "RUN_ID", "FINDING"])

    assert len(joined) == len(cells)
    assert rows["ROW_KEY"].tolist()[0] == '{"ID": "7001"}'
    assert rows["DIFFERENT_COLUMNS"].tolist()[0] == '["NAME", "CITY"]'
    assert rows["KIND"].tolist()[-2:] == ["missing", "extra"]


def test_null_and_empty_text_stay_apart() -> None:
    cells = (CellFinding(row=1, column="A", source="", target=None, cause=Cause.EMPTY_TEXT_AND_NULL),)

    found = record(cells_frame([examples.all_pass().model_copy(update={"cells": cells})], "run"))

    assert (found["SOURCE_VALUE"], found["TARGET_VALUE"]) == ("", None)


def test_keys_with_null_are_json() -> None:
    assert rows_frame([examples.no_key()], "run")["ROW_KEY"].tolist() == ['{"A": "1", "B": null}']


def test_causes_have_their_headline() -> None:
    found = record(causes_frame([examples.many_differences()], "run"))

    assert found["HEADLINE"] == "all 12,000 differences in column NAME are trailing spaces"
    assert (found["CELLS"], found["CELLS_EXAMINED"], found["EXAMPLE_FINDING"]) == (12_000, 12_000, 1)


def test_queries_are_numbered_in_each_table() -> None:
    frame = evidence_frame([examples.all_pass(), examples.many_differences()], "run")

    assert frame["QUERY_NUMBER"].tolist() == [1, 2, 1, 2]
    assert frame["SIDE"].tolist() == ["source", "target"] * 2
    assert record(frame)["QUERY_ID"] is None
