"""The local instance's storage holds what Dagster's own holds, with batches and without."""

from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    BackfillPolicy,
    DagsterInstance,
    DynamicPartitionsDefinition,
    MaterializeResult,
    asset,
    materialize,
)
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from migration_assets.instance import CONFIGURATION, BatchingEventLogStorage
from migration_assets.io_managers.partition_metadata import add_partition_metadata

CHECK = AssetCheckKey(AssetKey("target"), "whole")
KEYS = [f"{number:04}" for number in range(1, 31)]
PARTITIONS = DynamicPartitionsDefinition(name="rows")
SQLITE = "storage:\n  sqlite:\n    base_dir: {base_dir}\ntelemetry:\n  enabled: false\n"


@asset(partitions_def=PARTITIONS, backfill_policy=BackfillPolicy.single_run())
def staged(context: AssetExecutionContext) -> None:
    rows = {key: {"rows": int(key)} for key in context.partition_keys}
    add_partition_metadata(context.get_step_execution_context(), rows)


@asset(deps=[staged], check_specs=[AssetCheckSpec("whole", asset="target")])
def target() -> Any:
    yield AssetCheckResult(check_name="whole", passed=True)
    yield MaterializeResult(metadata={"rows": 7})


def last_partition(record: AssetRecord) -> str | None:
    last = record.asset_entry.last_materialization
    assert last is not None
    return last.get_dagster_event().partition


def facts(configuration: str, folder: Path) -> dict[str, object]:
    """What an instance knows after two runs, the second of a single partition."""
    folder.mkdir()
    (folder / "dagster.yaml").write_text(configuration.format(base_dir=folder))
    with DagsterInstance.from_config(str(folder)) as instance:
        instance.add_dynamic_partitions("rows", KEYS)
        for first, last in ((KEYS[0], KEYS[-1]), (KEYS[4], KEYS[4])):
            tags = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
            run = materialize([staged, target], instance=instance, tags=tags)
            assert run.success
        storage = instance.event_log_storage
        records = storage.get_asset_records()
        found = instance.fetch_materializations(AssetKey("staged"), limit=1000).records
        logged = instance.all_logs(run.run_id)
        return {
            "storage": type(storage),
            "partitions": instance.get_materialized_partitions(AssetKey("staged")),
            "metadata": [(each.partition_key, each.asset_materialization.metadata["rows"].value) for each in found],  # type: ignore[union-attr]
            "tags": [sorted(each.asset_materialization.tags or {}) for each in found],  # type: ignore[union-attr]
            "last": {record.asset_entry.asset_key.to_user_string(): last_partition(record) for record in records},
            "log": sorted(event.dagster_event_type.value for event in logged if event.dagster_event_type),
            "checks": [check.status.value for check in storage.get_asset_check_execution_history(CHECK, 10)],
        }


def test_both_storages_know_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    own = facts(SQLITE, tmp_path / "dagster")
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "8")
    batching = facts(CONFIGURATION, tmp_path / "batching")

    assert batching.pop("storage") is BatchingEventLogStorage
    assert own.pop("storage") is not BatchingEventLogStorage
    assert batching == own
    assert dict(batching["metadata"]) == {key: int(key) for key in KEYS}  # type: ignore[call-overload]
    assert batching["last"] == {"staged": KEYS[4], "target": None}


def test_batches_are_written_in_few_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    store = BatchingEventLogStorage._store_asset_events

    def counting(storage: BatchingEventLogStorage, run: str, events: Any) -> None:
        written.append(len(events))
        store(storage, run, events)

    monkeypatch.setattr(BatchingEventLogStorage, "_store_asset_events", counting)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
    facts(CONFIGURATION, tmp_path / "batching")

    # Planned: 30 partitions and the target, then one and the target. Materialized: 30; single events are no batch.
    assert sorted(written) == [2, 30, 31]
