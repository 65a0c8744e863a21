"""A run that stages a table: an asset with the I/O manager, a ledger in a file, a stage in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from migration_assets.io_managers.extraction import Extraction
from migration_assets.io_managers.layout import generation_folder, read_manifests
from migration_assets.io_managers.stage_io_manager import StageIOManager
from migration_assets.planning import TablePlan
from migration_assets.resources.ledger import (
    GenerationRecord,
    Ledger,
    LedgerResource,
    PartitionRecord,
    PlannedPartition,
    SubmittedTable,
)
from migration_assets.resources.sources.base import Source
from migration_assets.resources.stages.base import Manifest, Stage
from migration_assets.resources.stages.filesystem import FileSystemStage
from migration_assets.validation.migrations.source_facts import SourceFacts

STAGED = dg.AssetKey(["sales", "staged", "orders"])


@dataclass
class Staging:
    """Where a plan's partitions are staged, run after run.

    Attributes:
        target_file_mb: size past which a file is closed.
    """

    home: Path
    plan: TablePlan
    target_file_mb: int = 128
    stage: Stage = field(init=False)
    ledger: Ledger = field(init=False)
    generation: GenerationRecord = field(init=False)
    instance: dg.DagsterInstance = field(init=False)

    def __post_init__(self) -> None:
        self.stage = FileSystemStage(url=(self.home / "stage").as_uri())
        self.ledger = Ledger(self._ledger_url)
        self.instance = dg.DagsterInstance.ephemeral()
        plan = self.plan
        self.ledger.submit_workflow(
            name=plan.workflow,
            file="sales.json",
            content_hash="0" * 64,
            source_platform="postgresql",
            affinity=None,
            configuration={},
            tables=[SubmittedTable(plan.table, str(plan.source), str(plan.target))],
        )
        self.generation = self.ledger.start_generation(
            workflow=plan.workflow,
            table=plan.table,
            config_hash=plan.config_hash,
            plan=plan.model_dump_json(),
            partitions=[PlannedPartition(part.key, part.description, part.rows) for part in plan.partitions],
        )

    @property
    def _ledger_url(self) -> str:
        return f"sqlite:///{self.home / 'ledger.sqlite'}"

    def run(
        self, source: Source, keys: Sequence[str] | None = None, *, has_source_facts: bool = False
    ) -> dg.ExecuteInProcessResult:
        """A run over the plan's partitions, or over those from the first to the last of `keys`."""
        plan, generation = self.plan, self.generation
        wanted = tuple(keys or (part.key for part in plan.partitions))
        partitions = dg.StaticPartitionsDefinition([part.key for part in plan.partitions])

        @dg.asset(
            key=STAGED, partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run(), io_manager_key="io"
        )
        def staged() -> Extraction:
            return Extraction(plan, generation.id, generation.number, wanted, source, has_source_facts)

        manager = StageIOManager(
            stage=self.stage,
            ledger=LedgerResource(url=self._ledger_url, lock_wait_seconds=0),
            target_file_mb=self.target_file_mb,
        )
        return dg.materialize(
            [staged],
            instance=self.instance,
            resources={"io": manager},
            tags={ASSET_PARTITION_RANGE_START_TAG: wanted[0], ASSET_PARTITION_RANGE_END_TAG: wanted[-1]},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )

    def failure(self, run: dg.ExecuteInProcessResult) -> str:
        """The innermost cause of a failed run."""
        (failed,) = [event for event in run.all_events if event.is_step_failure]
        error = failed.step_failure_data.error
        assert error is not None
        while error.cause is not None:
            error = error.cause
        return error.message

    def manifests(self) -> dict[str, Manifest]:
        return read_manifests(self.stage, self._folder)

    def rows(self) -> dict[str, list[int]]:
        """The ids in the files of every finished partition."""
        return {
            key: [row for file in manifest.files for row in self.read(file.path)]
            for key, manifest in self.manifests().items()
        }

    def read(self, path: str) -> list[int]:
        return list(pq.read_table(self.home / "stage" / path)["id"].to_pylist())

    def data_folders(self) -> set[tuple[str, str]]:
        """Partition and attempt of every data file on the stage, whole or not."""
        return {
            (parts[-3], parts[-2])
            for path in self.stage.list_files(f"{self._folder}/data")
            if (parts := path.split("/"))
        }

    def partitions(self) -> dict[str, PartitionRecord]:
        """The ledger's partitions by key."""
        return {record.key: record for record in self.ledger.partitions(self.generation.id)}

    def statuses(self) -> dict[str, str]:
        return {key: record.status.value for key, record in self.partitions().items()}

    def facts(self) -> SourceFacts | None:
        """What the ledger knows of the source."""
        found = self.ledger.generation(self.plan.workflow, self.plan.table)
        assert found is not None
        return SourceFacts.model_validate_json(found.source_facts) if found.source_facts else None

    def materialized(self) -> set[str]:
        """The partitions that Dagster shows as materialized."""
        return self.instance.get_materialized_partitions(STAGED)

    def metadata(self, key: str) -> dict[str, object]:
        """Dagster's metadata of the last materialization of a partition."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=STAGED, asset_partitions=[key]), limit=1
        ).records
        materialization = records[0].asset_materialization
        assert materialization is not None
        return {name: value.value for name, value in materialization.metadata.items()}

    def manifest_on_disk(self, key: str) -> dict[str, object]:
        """The manifest as any program reads it."""
        file = self.home / "stage" / self._folder / "manifests" / f"{key}.json"
        content: dict[str, object] = json.loads(file.read_text())
        return content

    @property
    def _folder(self) -> str:
        return generation_folder(self.plan, self.generation.number)
