"""What staging a table promises, with a source that fails on demand."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tenacity import wait_none

from migration_assets.io_managers import staging as staging_room
from migration_assets.io_managers.extraction import Extraction
from migration_assets.io_managers.staging import MAX_FAILURES, StagingRun
from migration_assets.platforms.base import Row
from migration_assets.resources.ledger import Ledger, PartitionStatus
from migration_assets.resources.sources.base import SourceError, TransientSourceError
from migration_assets.resources.stages.base import Manifest, StageError
from migration_assets_tests.io_managers.staging import Staging
from migration_assets_tests.stubs import Fault, Hang, StubSnapshot, StubSource, ids, table_plan

KEYS = ("0001", "0002", "0003", "0004")


@pytest.fixture(autouse=True)
def _retries_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_room, "PAUSE", wait_none())


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path, table_plan(KEYS))


def source_of(staging: Staging, **options: object) -> StubSource:
    """A source whose partition `000n` holds ten numbers from `n0` on."""
    keys = [part.key for part in staging.plan.partitions]
    return StubSource({key: ids(int(key) * 10, 5, tables=2) for key in keys}, **options)  # type: ignore[arg-type]


def everything(staging: Staging) -> dict[str, list[int]]:
    return {part.key: list(range(int(part.key) * 10, int(part.key) * 10 + 10)) for part in staging.plan.partitions}


def test_every_row_is_staged_once(staging: Staging) -> None:
    source = source_of(staging)

    assert staging.run(source).success

    assert staging.rows() == everything(staging)
    assert sorted(source.reads) == list(KEYS)
    assert source.open_readers == 0
    assert not any(snapshot.is_open for snapshot in source.snapshots)


def test_a_null_in_a_column_that_was_planned_without_is_an_error(staging: Staging) -> None:
    def with_null() -> Iterator[pa.Table]:
        yield pa.table({"id": pa.array([1, None], pa.int64())})

    run = staging.run(StubSource({key: with_null if key == "0002" else ids(int(key) * 10, 5) for key in KEYS}))

    assert not run.success
    assert "column 'id' was planned as NOT NULL, and has NULLs in the source by now" in staging.failure(run)
    assert sorted(staging.manifests()) == ["0001", "0003", "0004"]


def test_the_ledger_and_dagster_know_what_was_staged(staging: Staging) -> None:
    staging.run(source_of(staging))

    assert set(staging.statuses().values()) == {"extracted"}
    assert {record.rows for record in staging.partitions().values()} == {10}
    assert {record.snapshot for record in staging.partitions().values()} == {"state 1"}
    assert staging.materialized() == set(KEYS)
    metadata = staging.metadata("0002")
    assert metadata["dagster/partition_row_count"] == 10
    assert metadata["snapshot"] == "state 1"
    assert str(metadata["dagster/uri"]).startswith(staging.stage.uri)


def test_a_manifest_says_what_its_partition_consists_of(staging: Staging) -> None:
    staging.run(source_of(staging))

    manifest = staging.manifest_on_disk("0003")

    assert {name: manifest[name] for name in ("workflow", "table", "generation", "partition", "rows")} == {
        "workflow": "sales",
        "table": "orders",
        "generation": 1,
        "partition": "0003",
        "rows": 10,
    }
    (file,) = staging.manifests()["0003"].files
    assert (staging.home / "stage" / file.path).stat().st_size == file.bytes == manifest["bytes"]
    assert f"/{manifest['attempt']}/" in file.path


def test_partitions_are_read_in_parallel(staging: Staging) -> None:
    # Each waits for the other: in sequence, neither would ever begin.
    both = threading.Barrier(2, timeout=30)
    source = source_of(staging, readers=2, before_read=lambda key, snapshot: both.wait())

    assert staging.run(source).success


def test_a_partition_without_rows_has_a_manifest_and_no_files(tmp_path: Path) -> None:
    staging = Staging(tmp_path, table_plan(["0001", "0002"]))

    assert staging.run(StubSource({"0001": lambda: iter(()), "0002": ids(0, 0)})).success

    assert staging.rows() == {"0001": [], "0002": []}
    assert all(not manifest.files for manifest in staging.manifests().values())
    assert staging.stage.list_files("sales/orders/g000001/data") == []


def test_a_file_is_closed_at_its_target_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_assets.io_managers.parquet_files.ROW_GROUP_ROWS", 200_000)
    staging = Staging(tmp_path, table_plan(["0001"]), target_file_mb=1)

    def tables() -> Iterator[pa.Table]:
        for _ in range(5):
            numbers = pa.py_buffer(os.urandom(1_600_000))
            yield pa.table({"id": pa.Array.from_buffers(pa.int64(), 200_000, [None, numbers])})

    assert staging.run(StubSource({"0001": tables}, facts=lambda _: [{"row_count": 1_000_000}])).success

    files = staging.manifests()["0001"].files
    assert [file.rows for file in files] == [200_000] * 5
    assert all(1_000_000 < file.bytes < 2_500_000 for file in files)


def test_manifests_are_written_behind_all_files(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    write = type(staging.stage).write_bytes

    def look(stage: object, path: str, content: bytes) -> None:
        files = Manifest.model_validate_json(content).files
        seen.extend((staging.home / "stage" / file.path).stat().st_size == file.bytes for file in files)
        write(stage, path, content)  # type: ignore[arg-type]

    monkeypatch.setattr(type(staging.stage), "write_bytes", look)
    staging.run(source_of(staging))

    assert seen == [True] * 4


# -- failures -----------------------------------------------------------------------------------


def test_a_failed_partition_leaves_no_files_and_the_others_finish(staging: Staging) -> None:
    source = source_of(staging, faults={"0002": [Fault(SourceError("the value 'x' is no number"), 1)]})

    run = staging.run(source)

    assert not run.success
    assert staging.rows() == {key: rows for key, rows in everything(staging).items() if key != "0002"}
    assert {partition for partition, _ in staging.data_folders()} == {"0001", "0003", "0004"}
    assert staging.statuses() == {"0001": "extracted", "0002": "failed", "0003": "extracted", "0004": "extracted"}
    assert source.open_readers == 0


def test_the_error_names_workflow_table_partition_and_cause(staging: Staging) -> None:
    run = staging.run(source_of(staging, faults={"0002": [Fault(SourceError("the value 'x' is no number"))]}))

    message = staging.failure(run)

    for part in ("workflow sales", "table orders", "shop.public.orders", "0002", "part 0002", "the value 'x'"):
        assert part in message
    assert "1 of 4 partitions failed; 3 are finished" in message
    (error,) = staging.ledger.view("DATA_MIGRATION_ERROR")
    assert (error["partition_key"], error["error"]) == ("0002", "the value 'x' is no number")


def test_on_a_failure_dagster_shows_the_finished_partitions_and_only_those(staging: Staging) -> None:
    staging.run(source_of(staging, faults={"0002": [Fault(SourceError("no"))]}))

    assert staging.materialized() == {"0001", "0003", "0004"}
    assert staging.metadata("0001")["dagster/partition_row_count"] == 10


def test_a_repeated_run_reads_only_what_is_missing(staging: Staging) -> None:
    staging.run(source_of(staging, faults={"0002": [Fault(SourceError("no"))]}))
    again = source_of(staging)

    assert staging.run(again, ["0002"]).success

    assert again.reads == ["0002"]
    assert staging.rows() == everything(staging)
    assert staging.materialized() == set(KEYS)


def test_what_is_finished_is_not_read_again(staging: Staging) -> None:
    staging.run(source_of(staging))
    again = source_of(staging)

    assert staging.run(again, has_source_facts=True).success

    assert again.reads == []
    assert again.snapshots == []
    assert staging.materialized() == set(KEYS)


def test_a_lost_connection_is_tried_again_in_a_new_folder(staging: Staging) -> None:
    faults: dict[str, list[Fault | Hang]] = {"0002": [Fault(TransientSourceError("the connection was lost"), 1)]}
    source = source_of(staging, faults=faults)

    assert staging.run(source).success

    assert source.reads.count("0002") == 2
    assert staging.rows() == everything(staging)
    assert staging.data_folders() == {(key, staging.manifests()[key].attempt) for key in KEYS}


def test_rows_that_the_source_sent_and_nobody_wrote_fail_the_partition(staging: Staging) -> None:
    run = staging.run(source_of(staging, unsent={"0001": 1}))

    assert "the source sent 11 rows and 10 were written" in staging.failure(run)
    assert "0001" not in staging.manifests()
    assert ("0001") not in {partition for partition, _ in staging.data_folders()}


def test_after_many_failures_the_rest_is_not_tried(tmp_path: Path) -> None:
    keys = [f"{number:04d}" for number in range(1, 41)]
    staging = Staging(tmp_path, table_plan(keys))
    source = source_of(staging, faults={key: [Fault(SourceError(f"fault of {key}"))] for key in keys})

    run = staging.run(source)

    assert MAX_FAILURES <= len(source.reads) < len(keys)
    assert "further partitions were not tried" in staging.failure(run)
    assert "planned" in staging.statuses().values()


def test_a_stage_that_is_full_fails_the_partition_without_waiting_for_the_source(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stage: object, path: str) -> None:
        raise StageError(f"can't write {path}: no space left")

    monkeypatch.setattr(type(staging.stage), "open_output", full)
    source = source_of(staging)

    run = staging.run(source)

    assert "no space left" in staging.failure(run)
    assert source.open_readers == 0


def test_an_unforeseen_error_ends_the_run_and_every_thread(staging: Staging) -> None:
    source = source_of(staging, faults={"0001": [Fault(ZeroDivisionError("a fault of the program"))]})

    run = staging.run(source)

    assert "a fault of the program" in staging.failure(run)
    assert _extracting_threads() == []


def test_a_failure_does_not_wait_for_a_source_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_room, "MAX_FAILURES", 1)
    monkeypatch.setattr(staging_room, "PROGRESS_SECONDS", 0.05)
    staging = Staging(tmp_path, table_plan(["0001", "0002"]))
    hang = Hang()

    def begun(key: str, snapshot: StubSnapshot) -> None:
        if key == "0001":
            assert hang.begun.wait(30)

    source = source_of(staging, faults={"0001": [Fault(SourceError("no"))], "0002": [hang]}, before_read=begun)
    run = staging.run(source)

    assert "1 of 2 partitions failed" in staging.failure(run)
    assert staging.statuses() == {"0001": "failed", "0002": "planned"}


def test_an_interrupt_ends_the_threads_of_a_source_that_hangs(tmp_path: Path) -> None:
    staging = Staging(tmp_path, table_plan(["0001", "0002"]))
    hangs = [Hang(), Hang()]
    asked = threading.Event()

    def hanging_facts(snapshot: StubSnapshot) -> list[Row]:
        asked.set()
        assert snapshot.cancelled.wait(60)
        raise SourceError("the query was cancelled")

    source = source_of(staging, readers=2, faults={"0001": [hangs[0]], "0002": [hangs[1]]}, facts=hanging_facts)

    def interrupt() -> None:
        assert all(event.wait(30) for event in (hangs[0].begun, hangs[1].begun, asked))
        os.kill(os.getpid(), signal.SIGINT)

    extraction = Extraction(staging.plan, staging.generation.id, 1, ("0001", "0002"), source)
    work = StagingRun(extraction, staging.stage, staging.ledger, 1 << 20, "run")
    # A shell has what it starts in the background ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            work.run()
    finally:
        signal.signal(signal.SIGINT, before)
    for thread in _extracting_threads():
        thread.join(10)

    assert _extracting_threads() == []
    assert source.open_readers == 0
    assert not any(snapshot.is_open for snapshot in source.snapshots)
    assert staging.data_folders() == set()
    assert staging.facts() is None


def _extracting_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("extract")]


def test_two_runs_do_not_stage_one_table_at_once(staging: Staging) -> None:
    with Ledger(f"sqlite:///{staging.home / 'ledger.sqlite'}").lock_table("sales", "orders"):
        run = staging.run(source_of(staging))

    assert "another run is moving the table sales/orders" in staging.failure(run)
    assert staging.manifests() == {}


# -- snapshots ----------------------------------------------------------------------------------


def test_partitions_of_one_run_read_one_snapshot(staging: Staging) -> None:
    source = source_of(staging, moves_on=True)
    staging.run(source)

    assert len(source.snapshots) == 1
    assert {manifest.snapshot for manifest in staging.manifests().values()} == {"state 1"}


def test_a_partition_that_was_read_in_a_state_of_its_own_says_so(staging: Staging) -> None:
    source = source_of(staging, readers=1, state_per_read=True)
    staging.run(source)

    assert [staging.manifests()[key].snapshot for key in KEYS] == ["read 1", "read 2", "read 3", "read 4"]
    assert len(source.snapshots) == 1


def test_strict_consistency_asks_the_source_for_one_state(tmp_path: Path) -> None:
    staging = Staging(tmp_path, table_plan(KEYS, consistency="strict"))
    staging.run(source_of(staging, state_per_read=True))

    assert {manifest.snapshot for manifest in staging.manifests().values()} == {"state 1"}


def test_the_source_is_asked_for_its_figures_in_one_state(staging: Staging) -> None:
    steady: list[bool] = []

    def count(snapshot: StubSnapshot) -> list[Row]:
        steady.append(snapshot.is_steady)
        return [{"row_count": 40}]

    staging.run(source_of(staging, facts=count))

    assert steady == [True]


def test_partitions_of_a_later_run_may_stand_beside_the_earlier_ones(staging: Staging) -> None:
    source = source_of(staging, moves_on=True, faults={"0004": [Fault(SourceError("no"))]})
    staging.run(source)
    staging.run(source)

    snapshots = {key: manifest.snapshot for key, manifest in staging.manifests().items()}
    assert snapshots == {"0001": "state 1", "0002": "state 1", "0003": "state 1", "0004": "state 2"}


@pytest.mark.parametrize(
    ("plan", "rows_changed"),
    [({"consistency": "strict"}, False), ({"physical": True}, True)],
    ids=["strict", "physical ranges whose rows have moved"],
)
def test_what_another_snapshot_may_not_continue_is_read_again(
    tmp_path: Path, plan: dict[str, object], rows_changed: bool
) -> None:
    staging = Staging(tmp_path, table_plan(KEYS, **plan))  # type: ignore[arg-type]
    faults: dict[str, list[Fault | Hang]] = {"0004": [Fault(SourceError("no"))]}
    source = source_of(staging, moves_on=True, rows_changed=rows_changed, faults=faults)
    staging.run(source)
    source.reads.clear()

    assert staging.run(source).success

    assert sorted(source.reads) == list(KEYS)
    assert {manifest.snapshot for manifest in staging.manifests().values()} == {"state 2"}
    assert staging.rows() == everything(staging)


@pytest.mark.parametrize(
    ("plan", "moves_on"),
    [({"consistency": "strict"}, False), ({"physical": True}, True)],
    ids=["strict, and the source has not moved on", "physical ranges whose rows have not moved"],
)
def test_what_another_snapshot_may_continue_is_not_read_again(
    tmp_path: Path, plan: dict[str, object], moves_on: bool
) -> None:
    staging = Staging(tmp_path, table_plan(KEYS, **plan))  # type: ignore[arg-type]
    source = source_of(staging, moves_on=moves_on, faults={"0004": [Fault(SourceError("no"))]})
    staging.run(source)
    source.reads.clear()

    assert staging.run(source).success

    assert source.reads == ["0004"]


def _aging_at(wanted: str) -> Callable[[str, StubSnapshot], None]:
    """Makes the snapshot too old once a partition is being read."""

    def age(key: str, snapshot: StubSnapshot) -> None:
        if key == wanted and snapshot.name == "state 1":
            snapshot.age = 1e6

    return age


def test_a_snapshot_that_is_too_old_is_let_go_and_followed_by_another(staging: Staging) -> None:
    states: list[list[bool]] = []

    def before_read(key: str, snapshot: StubSnapshot) -> None:
        _aging_at("0002")(key, snapshot)
        states.append([taken.is_open for taken in snapshot.source.snapshots])

    source = source_of(staging, readers=1, moves_on=True, before_read=before_read)

    assert staging.run(source).success

    snapshots = [staging.manifests()[key].snapshot for key in KEYS]
    assert snapshots == ["state 1", "state 1", "state 2", "state 2"]
    assert states[-1] == [False, True]
    assert staging.partitions()["0003"].snapshot == "state 2"
    assert staging.rows() == everything(staging)


def test_a_snapshot_stays_open_while_the_source_counts_under_it(staging: Staging) -> None:
    counted = threading.Event()
    open_while_counting: list[bool] = []

    def count(snapshot: StubSnapshot) -> list[Row]:
        assert counted.wait(30)
        open_while_counting.append(snapshot.is_open)
        return [{"row_count": 40}]

    def before_read(key: str, snapshot: StubSnapshot) -> None:
        _aging_at("0001")(key, snapshot)
        if snapshot.name == "state 2":
            counted.set()

    source = source_of(staging, readers=1, moves_on=True, facts=count, before_read=before_read)

    assert staging.run(source).success
    assert open_while_counting == [True]


@pytest.mark.parametrize(
    ("plan", "rows_changed"),
    [({"consistency": "strict"}, False), ({"physical": True}, True)],
    ids=["strict", "physical ranges whose rows have moved"],
)
def test_a_snapshot_that_nothing_may_follow_fails_all_partitions_behind_it(
    tmp_path: Path, plan: dict[str, object], rows_changed: bool
) -> None:
    staging = Staging(tmp_path, table_plan(KEYS, **plan))  # type: ignore[arg-type]
    source = source_of(staging, readers=1, moves_on=True, rows_changed=rows_changed, before_read=_aging_at("0002"))

    run = staging.run(source)

    assert "columnNamesToPartitionBy" in staging.failure(run)
    assert sorted(staging.manifests()) == ["0001", "0002"]
    assert source.reads == ["0001", "0002"]


def test_a_snapshot_that_the_source_has_lost_is_followed_by_another(staging: Staging) -> None:
    def lose(key: str, snapshot: StubSnapshot) -> None:
        if key == "0002" and snapshot.name == "state 1":
            snapshot.is_lost = True

    faults: dict[str, list[Fault | Hang]] = {"0002": [Fault(TransientSourceError("the server was restarted"))]}
    source = source_of(staging, readers=1, moves_on=True, before_read=lose, faults=faults)

    assert staging.run(source).success

    assert [staging.manifests()[key].snapshot for key in KEYS] == ["state 1", "state 2", "state 2", "state 2"]
    assert staging.rows() == everything(staging)


# -- the source's own figures -------------------------------------------------------------------


def test_the_source_is_asked_for_its_own_count(staging: Staging) -> None:
    staging.run(source_of(staging))

    facts = staging.facts()
    assert facts is not None
    assert (facts.snapshot, facts.rows, facts.problem) == ("state 1", 40, None)


def test_a_source_that_was_not_asked_before_is_asked_when_nothing_is_left_to_read(staging: Staging) -> None:
    staging.run(source_of(staging))
    again = source_of(staging)

    assert staging.run(again, has_source_facts=False).success

    assert again.reads == []
    assert [question for question in again.questions if "COUNT" in question] == again.questions[1:]
    assert len(again.questions) == 2


def test_a_source_that_can_not_count_does_not_stop_the_extraction(staging: Staging) -> None:
    def refuse(snapshot: StubSnapshot) -> list[Row]:
        raise SourceError("numeric field overflow")

    assert staging.run(source_of(staging, facts=refuse)).success

    facts = staging.facts()
    assert facts is not None
    assert (facts.rows, facts.problem) == (None, "numeric field overflow")


# -- bounds -------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_partition(tmp_path: Path) -> None:
    staging = Staging(tmp_path, table_plan(["0001"]))
    held: list[int] = []

    def two_hundred_megabytes() -> Iterator[pa.Table]:
        for number in range(50):
            held.append(pa.total_allocated_bytes())
            yield pa.table({"id": pa.array(np.arange(number, number + 524_288))})

    before = pa.total_allocated_bytes()
    assert staging.run(StubSource({"0001": two_hundred_megabytes}, facts=lambda _: [{"row_count": 1}])).success

    assert staging.manifests()["0001"].rows == 50 * 524_288
    assert max(held) - before < 100e6


def test_progress_is_told_while_a_partition_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_room, "PROGRESS_SECONDS", 0.01)
    monkeypatch.setattr("migration_assets.io_managers.parquet_files.ROW_GROUP_ROWS", 10)
    staging = Staging(tmp_path, table_plan(["0001"]))
    told = threading.Event()
    update = staging.ledger.update_partitions
    seen: list[int] = []

    def watch(ledger: Ledger, generation: int, keys: list[str], status: PartitionStatus, **known: object) -> None:
        update(generation, keys, status, **known)  # type: ignore[arg-type]
        rows = known.get("rows")
        if status is PartitionStatus.EXTRACTING and isinstance(rows, dict) and rows.get("0001"):
            seen.append(rows["0001"])
            told.set()

    monkeypatch.setattr(Ledger, "update_partitions", watch)

    def tables() -> Iterator[pa.Table]:
        yield from ids(0, 10, tables=2)()
        assert told.wait(30)
        yield from ids(20, 10)()

    assert staging.run(StubSource({"0001": tables}, facts=lambda _: [{"row_count": 30}])).success
    assert seen[-1] == 20
    assert staging.partitions()["0001"].rows == 30
