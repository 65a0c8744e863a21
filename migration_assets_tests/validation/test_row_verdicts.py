"""What a comparison of rows must never call equal, and what it must not call different."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from migration_assets.platforms.duckdb.canonical import DuckDBSQL
from migration_assets.resources.warehouses.base import Answer
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.validation.levels import buckets as buckets_level
from migration_assets.validation.levels import rows as rows_level
from migration_assets.validation.sides import BudgetExceededError, Inquiry, Side, SideName
from migration_assets.workflow import Budget
from migration_assets_tests.servers import PostgreSQLDatabase
from migration_assets_tests.validation.pairs import Column, Pair

INTEGERS = (Column("k", "int NOT NULL", "INTEGER NOT NULL"), Column("a", "int", "INTEGER"))
WITH_TEXT = (*INTEGERS, Column("n", "text", "VARCHAR"))
WITH_JSON = (*INTEGERS, Column("doc", "jsonb", "JSON"))
BY_K = {"index_columns": ["k"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def rewritten_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stub of Snowflake's VARIANT: DuckDB is said to write JSON in a form of its own."""
    monkeypatch.setattr(DuckDBSQL, "keeps_json_text", False)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a few hundred rows take every step."""
    monkeypatch.setattr(rows_level, "FEW_ROWS", 20)
    monkeypatch.setattr(buckets_level, "ROWS_PER_BUCKET", 8)


@pytest.mark.usefixtures("rewritten_json")
def test_json_that_changed_places_between_rows_of_one_index_value(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    pair = Pair(postgresql_database, folder, WITH_JSON)
    pair.create([(1, 1, "1"), (1, 2, "2")], key=None)
    pair.change_target("UPDATE t SET doc = CASE a WHEN 1 THEN '2' ELSE '1' END")
    assert pair.validate(**BY_K).verdict == "fail"


@pytest.mark.usefixtures("rewritten_json")
def test_json_of_a_row_without_key_whose_other_difference_is_waived(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    pair = Pair(postgresql_database, folder, (*WITH_JSON, Column("n", "text", "VARCHAR")))
    pair.create([(1, 1, "1", "a")], key=None)
    pair.change_target("UPDATE t SET doc = '999', n = 'a '")
    waiver = {"check": "rows", "column": "n", "cause": "trailing spaces", "reason": "known"}
    assert pair.validate(waivers=[waiver]).verdict in ("fail", "inconclusive")


@pytest.mark.usefixtures("small_steps")
def test_a_swap_between_rows_of_one_index_value_beside_a_waived_difference_everywhere(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    pair = Pair(postgresql_database, folder, WITH_TEXT)
    pair.create([(n // 2, n, "x") for n in range(400)], key=None)
    pair.change_target("UPDATE t SET n = n || ' '", "UPDATE t SET a = 154 + 155 - a, n = 'x ' WHERE k = 77")
    pair.change_target("UPDATE t SET n = 'y ' WHERE k = 78 AND a = 156")
    waiver = {"check": "rows", "column": "n", "cause": "trailing spaces", "reason": "known"}
    assert pair.validate(waivers=[waiver], **BY_K).verdict == "fail"


@pytest.mark.usefixtures("small_steps")
def test_a_target_that_changes_between_two_scans_is_no_pass(
    postgresql_database: PostgreSQLDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(postgresql_database, folder, INTEGERS)
    pair.create([(n, n) for n in range(400)], key="k")
    honest, asked = DuckDBWarehouse.ask, []

    def changing(self: DuckDBWarehouse, statement: Any, database: str) -> Answer:
        answer = honest(self, statement, database)
        asked.append(statement)
        if len(asked) != 2:  # the scan of the buckets
            return answer
        return Answer([{**row, "high": int(str(row["high"])) + 1} for row in answer.rows])

    monkeypatch.setattr(DuckDBWarehouse, "ask", changing)
    result = pair.validate()
    assert result.verdict == "inconclusive", result.levels


def test_two_source_columns_never_share_one_of_the_target(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    pair = Pair(postgresql_database, folder, (Column("v", "text", "VARCHAR"),))
    pair.create([("a",)], key=None)
    postgresql_database.execute('ALTER TABLE t ADD "V" text; UPDATE t SET "V" = v')
    result = pair.validate(schema_validation=True, continue_on_failure=True)
    assert result.verdict == "fail"
    assert list(result.coverage.skipped) == ["V"]


@pytest.mark.usefixtures("small_steps")
def test_json_of_another_spelling_without_a_key_is_no_difference(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    pair = Pair(postgresql_database, folder, WITH_JSON)
    pair.create([(n, n, f'{{"a": {n}}}') for n in range(300)], key=None)
    pair.change_target("UPDATE t SET doc = replace(doc, ': ', ':')")
    assert pair.validate().verdict == "pass"


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ("numeric", ["1", "20", "300"]),
        ("numeric", ["1", "2.5", "3"]),
        ("numeric(10, 0)", ["1", "NaN", "3"]),
        ("bigint", [str(-(2**62)), "0", str(2**62)]),
        ("bigint", [str(-(2**63)), "0", str(2**63 - 1)]),
        ("numeric(38, 0)", ["9" * 38, "-" + "9" * 38, "0"]),
    ],
)
def test_keys_that_are_no_ranges_of_64_bits(
    postgresql_database: PostgreSQLDatabase, folder: Path, declared: str, values: Sequence[str]
) -> None:
    target = "VARCHAR" if "NaN" in values else "BIGINT" if declared == "bigint" else "DECIMAL(38,0)"
    target = "DECIMAL(38,1)" if "2.5" in values else target
    pair = Pair(postgresql_database, folder, (Column("k", declared, target), Column("a", "int", "INTEGER")))
    pair.create([(value, 1) for value in values], key="k")
    assert pair.validate().verdict == "pass"
    pair.change_target("UPDATE t SET a = 2 WHERE k = '3' OR k = '0' OR k = '300'")
    (found,) = pair.validate().rows
    assert found.columns == ("a",)


def test_a_value_that_does_not_fit_the_target_is_a_difference(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    pair = Pair(postgresql_database, folder, (*INTEGERS, Column("v", "double precision", "DECIMAL(5,2)")))
    pair.create([(1, 1, 1.25)], key="k")
    postgresql_database.execute("UPDATE t SET v = 123456.5")
    (found,) = pair.validate().rows
    assert found.columns == ("v",)


def test_a_difference_that_was_found_is_not_lost_when_a_budget_ends_the_search(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    pair = Pair(postgresql_database, folder, INTEGERS)
    pair.create([(n, n) for n in range(200)], key="k")
    pair.change_target("UPDATE t SET a = a + 1")
    result = pair.validate(budget={"rows": 60})
    assert result.verdict == "fail", result.levels


def test_masked_results_hold_no_keys(postgresql_database: PostgreSQLDatabase, folder: Path) -> None:
    pair = Pair(postgresql_database, folder, INTEGERS)
    pair.create([(4711000000 % 2**31 + n, n) for n in range(300)], key="k")
    pair.change_target("UPDATE t SET a = -1 WHERE a = 77")
    result = pair.validate(mask_values=True)
    assert result.verdict == "fail"
    shown = result.model_dump_json()
    for number in range(300):
        assert str(4711000000 % 2**31 + number) not in shown


# -- budgets and ends -----------------------------------------------------------------------------


class SlowSide(Side):
    """A side whose answers take long, unless they are cancelled."""

    name: ClassVar[SideName] = "source"

    def __init__(self, seconds: float) -> None:
        super().__init__(DuckDBSQL(), "t", None, None)
        self.seconds = seconds
        self.asked = 0
        self.cancelled = threading.Event()

    def ask(self, statement: str) -> Answer:
        self.asked += 1
        if self.cancelled.wait(self.seconds):
            raise BudgetExceededError("cancelled")
        return Answer([])

    def read(self, statement: str, names: Sequence[str]) -> Iterator[pa.Table]:
        raise NotImplementedError

    def cancel(self) -> None:
        self.cancelled.set()


class SlowTarget(SlowSide):
    name: ClassVar[SideName] = "target"


def test_a_spent_budget_breaks_off_what_is_asked_and_asks_no_more() -> None:
    source, target = SlowSide(30), SlowTarget(0)
    inquiry = Inquiry(source, target, Budget(seconds=0.2))
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(BudgetExceededError, match="not done in time"):
            inquiry.both("slow", "", "")
    inquiry.close()
    assert time.monotonic() - started < 5
    assert source.asked == 1
