"""The demo's verdict on the status that `migrate status --json` prints."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from demo import report

_TABLE = {
    "table": "flights",
    "source": "nycflights13.public.flights",
    "target": "NYCFLIGHTS13.PUBLIC.FLIGHTS",
    "status": "published",
    "rows": 336_776,
    "partitions": 7,
    "bytes": 5_000_000,
    "seconds": 2.0,
    "checks": [{"name": "rows", "verdict": "pass"}],
}


def _status(**changes: Any) -> report.Status:
    workflow = {"name": "nycflights13", "status": "published", "tables": [_TABLE, _TABLE | changes]}
    return report.Status.model_validate_json(json.dumps({"workflows": [workflow]}))


def test_published_and_checked_is_complete() -> None:
    assert _status().complete


@pytest.mark.parametrize(
    "changes",
    [{"status": "loaded"}, {"status": "failed"}, {"checks": [{"name": "rows", "verdict": "fail"}]}],
    ids=["not published", "failed", "check failed"],
)
def test_one_table_short_of_it_is_not_complete(changes: dict[str, Any]) -> None:
    assert not _status(**changes).complete


def test_no_table_is_not_complete() -> None:
    assert not report.Status().complete


def test_the_report_shows_rows_partitions_rate_and_checks() -> None:
    console = Console(width=140, record=True, file=io.StringIO())
    report.show(_status(seconds=None, rows=None), console)
    text = console.export_text()
    for shown in ("flights", "published", "336,776", "168,388", "5.0 MB", "rows: pass"):
        assert shown in text
