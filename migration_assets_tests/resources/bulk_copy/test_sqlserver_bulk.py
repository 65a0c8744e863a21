"""SQL Server as a source whose tables bcp reads, from the plan to the stage. bcp is a recorded executable."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from migration_assets.io_managers import staging as staging_room
from migration_assets.planning import PlanError
from migration_assets.platforms.base import BulkChoice, PlatformError
from migration_assets.resources.sources.base import Reader, SourceError
from migration_assets.resources.sources.sqlserver import SQLServerSource
from migration_assets.source_settings import source_resources
from migration_assets_tests.io_managers.staging import Staging
from migration_assets_tests.planning.catalogue import plan, source_table
from migration_assets_tests.resources.bulk_copy.columns import COLUMNS
from migration_assets_tests.resources.bulk_copy.program import PASSWORD, Program
from migration_assets_tests.resources.bulk_copy.wire import written
from migration_assets_tests.stubs import StubSource, table_plan

ROWS = written([[str(number)] for number in range(5)])


def source_with(program: Program | str, **settings: Any) -> SQLServerSource:
    path = program if isinstance(program, str) else str(program.path)
    return SQLServerSource(
        host="db.example", username="reader", password=PASSWORD, bulk_options={"bcp": {"path": path}}, **settings
    )


def test_the_plan_tells_the_utility_and_what_it_does_not_guarantee(tmp_path: Path) -> None:
    source = source_with(Program.playing(tmp_path, ROWS), threads=3)
    chosen = source.choose_bulk_utility("bcp", 0, strict=False)

    assert chosen is not None
    assert chosen.name == "bcp"
    assert chosen.note.startswith(
        "rows are read with bcp over 3 processes: every partition is one statement at READ COM"
    )


def test_large_tables_are_read_with_the_source_s_own_utility(tmp_path: Path) -> None:
    source = source_with(Program.playing(tmp_path, ROWS), bulk_utility="bcp", bulk_utility_min_mb=100)

    assert source.choose_bulk_utility(None, 99_000_000, strict=False) is None
    assert source.choose_bulk_utility(None, 100_000_000, strict=False) is not None
    assert source.choose_bulk_utility("none", 100_000_000, strict=False) is None


def test_the_choice_and_the_options_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "HOST": "db.example",
        "USERNAME": "reader",
        "PASSWORD": PASSWORD,
        "BULK_UTILITY": "bcp",
        "BULK_UTILITY_MIN_MB": "0.5",
        "BCP_PATH": str(Program.playing(tmp_path, ROWS).path),
    }.items():
        monkeypatch.setenv(f"SOURCE_SQLSERVER_{name}", text)
    source = source_resources()["sqlserver"]

    assert isinstance(source, SQLServerSource)
    with source.process_config_and_initialize_cm() as ready:
        assert ready.choose_bulk_utility(None, 499_999, strict=False) is None
        assert ready.choose_bulk_utility(None, 500_000, strict=False) is not None
        assert sum(table.num_rows for table in ready.open_bulk_reader("bcp", "shop").read("SELECT 1", COLUMNS[:1])) == 5


def test_what_can_not_be_had_is_refused_when_the_table_is_planned(tmp_path: Path) -> None:
    missing = source_with(str(tmp_path / "nowhere"))

    with pytest.raises(PlatformError, match=r"bcp was not found: .*nowhere.*SOURCE_SQLSERVER_BCP_PATH"):
        missing.choose_bulk_utility("bcp", 0, strict=False)
    with pytest.raises(PlatformError, match=r"can't read with strict consistency"):
        missing.choose_bulk_utility("bcp", 0, strict=True)


def test_a_plan_holds_the_choice_and_its_note_in_the_place_of_the_driver_s() -> None:
    calls: list[tuple[str | None, int, bool]] = []

    def choose(asked: str | None, table_bytes: int, *, strict: bool) -> BulkChoice | None:
        calls.append((asked, table_bytes, strict))
        return None if asked == "none" else BulkChoice("bcp", "with bcp")

    table = source_table(bytes=80_000_000)
    chosen = plan(table, bulk_utility=choose)
    without = plan(table, bulk_utility=choose, extraction={"strategy": "regular", "bulkUtility": "none"})

    assert calls == [(None, 80_000_000, False), ("none", 80_000_000, False)]
    assert (chosen.bulk_utility, without.bulk_utility) == ("bcp", None)
    assert "with bcp" in chosen.notes
    assert "with bcp" not in without.notes


def test_a_choice_that_can_not_be_had_refuses_the_table(tmp_path: Path) -> None:
    missing = source_with(str(tmp_path / "nowhere"), bulk_utility="bcp")

    with pytest.raises(PlanError, match=r"bcp was not found"):
        plan(source_table(bytes=1), bulk_utility=missing.choose_bulk_utility)


def test_a_source_without_utilities_refuses_them() -> None:
    assert StubSource({}).choose_bulk_utility("none", 0, strict=False) is None
    with pytest.raises(PlatformError, match=r"postgresql has no bulk utility 'bcp'"):
        StubSource({}).choose_bulk_utility("bcp", 0, strict=False)
    with pytest.raises(SourceError, match=r"no bulk utility 'bcp': plan the table again"):
        StubSource({}).open_bulk_reader("bcp", "shop")


def test_the_limit_of_rows_holds_for_utilities_too(tmp_path: Path) -> None:
    source = source_with(Program.playing(tmp_path, ROWS), max_rows_per_second=5)
    begun = time.monotonic()
    rows = sum(table.num_rows for table in source.open_bulk_reader("bcp", "shop").read("SELECT 1", COLUMNS[:1]))

    assert rows == 5
    assert time.monotonic() - begun > 1


def test_nul_characters_are_refused_where_the_source_refuses_them(tmp_path: Path) -> None:
    program = Program.playing(tmp_path, written([["1", "_a\0b"]]))

    with pytest.raises(SourceError, match=r"NUL character .* in name .1 values so far.*NUL_CHARACTERS is fail"):
        list(source_with(program, nul_characters="fail").open_bulk_reader("bcp", "shop").read("SELECT 1", COLUMNS))
    (table,) = source_with(program).open_bulk_reader("bcp", "shop").read("SELECT 1", COLUMNS)
    assert table["name"].to_pylist() == ["a\0b"]


class _BcpSource(StubSource):
    """Snapshots of a stub, rows of bcp."""

    reads_with: SQLServerSource

    def open_bulk_reader(self, utility: str, database: str) -> Reader:
        return self.reads_with.open_bulk_reader(utility, database)


def _staging(folder: Path) -> Staging:
    return Staging(folder, table_plan(("0001", "0002", "0003")).model_copy(update={"bulk_utility": "bcp"}))


def _bcp_source(program: Program) -> _BcpSource:
    source = _BcpSource({})
    source.reads_with = source_with(program)
    return source


def test_partitions_are_staged_by_processes_each_with_a_state_of_its_own(tmp_path: Path) -> None:
    program = Program.playing(tmp_path, ROWS)
    staging = _staging(tmp_path)

    assert staging.run(_bcp_source(program)).success
    assert staging.rows() == {key: [0, 1, 2, 3, 4] for key in ("0001", "0002", "0003")}
    states = {manifest.snapshot for manifest in staging.manifests().values()}
    assert len(states) == 3
    assert all(state and state.startswith("bcp ") for state in states)
    # One proof for each of the two threads.
    assert len(program.seen) == 5


def test_a_partition_whose_count_is_wrong_is_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_room, "PAUSE", wait_none())
    staging = _staging(tmp_path)
    run = staging.run(_bcp_source(Program.playing(tmp_path, ROWS, reports=6)))

    assert not run.success
    assert "says that it wrote 6 rows, and 5 were read" in staging.failure(run)
    assert staging.manifests() == {}
    assert staging.data_folders() == set()


def test_no_error_or_record_of_a_run_has_the_password(tmp_path: Path) -> None:
    program = Program.playing(tmp_path, ROWS, password="another", tells=True)
    staging = _staging(tmp_path)
    run = staging.run(_bcp_source(program))

    assert not run.success
    assert "Login failed" in staging.failure(run)
    told = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file != program.script]
    assert not any(PASSWORD.encode() in text for text in told)
    assert PASSWORD not in staging.failure(run)
