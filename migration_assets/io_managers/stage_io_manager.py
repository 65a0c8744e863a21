"""The stage-backed I/O manager: what it is given is an extraction, what it hands on are manifests."""

from collections.abc import Iterator

from dagster import (
    AssetMaterialization,
    ConfigurableIOManager,
    InputContext,
    MetadataValue,
    OutputContext,
    ResourceDependency,
)
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.definitions.metadata.metadata_set import TableMetadataSet, UriMetadataSet

from migration_assets.io_managers.extraction import Extraction
from migration_assets.io_managers.layout import generation_folder, read_manifests
from migration_assets.io_managers.partition_metadata import add_partition_metadata
from migration_assets.io_managers.staging import StagingRun
from migration_assets.planning import TablePlan
from migration_assets.resources.ledger import GenerationStatus, LedgerResource
from migration_assets.resources.stages.base import Manifest, Stage


class ExtractionError(Exception):
    """Partitions of a table could not be extracted; names each with its cause."""


class StageIOManager(ConfigurableIOManager):
    """Writes an `Extraction` to the stage, and hands manifests (never data) to what comes after.

    A partition whose manifest is on the stage is finished and not read again. When partitions fail, those
    that are finished stay so, and the run fails with the names of the others.

    Attributes:
        target_file_mb: size past which a file is closed, in megabytes of compressed Parquet.
    """

    stage: ResourceDependency[Stage]
    ledger: ResourceDependency[LedgerResource]
    target_file_mb: int = 128

    def handle_output(self, context: OutputContext, obj: Extraction) -> Iterator[AssetMaterialization]:  # type: ignore[override]
        staging = StagingRun(obj, self.stage, self.ledger.ledger, self.target_file_mb * 1024 * 1024, context.run_id)
        ledger = self.ledger.ledger
        with ledger.lock_table(obj.plan.workflow, obj.plan.table, self.ledger.lock_wait_seconds):
            ledger.set_generation_status(obj.generation_id, GenerationStatus.RUNNING)
            ledger.clear_errors(obj.generation_id)
            staging.run()
        if staging.failures:
            for key in obj.keys:
                if key in staging.manifests:
                    metadata = partition_metadata(staging.manifests[key], self.stage)
                    event = AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
                    context.log_event(event)
            # Dagster stores the logged events when something is yielded; the error below drops this one.
            yield AssetMaterialization(context.asset_key)
            raise ExtractionError(staging.describe_failures())
        add_partition_metadata(
            context.step_context,
            {
                key: unchanged_metadata(obj)
                if key in staging.unchanged
                else partition_metadata(staging.manifests[key], self.stage)
                for key in obj.keys
            },
        )

    def load_input(self, context: InputContext) -> dict[str, Manifest]:
        """The manifests of all partitions of the table's generation that are finished, by partition key."""
        workflow, _, table = context.asset_key.path
        generation = self.ledger.ledger.generation(workflow, table)
        assert generation is not None, f"{workflow}/{table} was never planned"
        plan = TablePlan.model_validate_json(generation.plan)
        return read_manifests(self.stage, generation_folder(plan, generation.number))


def unchanged_metadata(extraction: Extraction) -> dict[str, RawMetadataValue]:
    """What the UI shows of a partition whose rows are those of the last run."""
    return {
        **TableMetadataSet(partition_row_count=0),
        "unchanged": True,
        "note": "the source's checksum is that of the last run: nothing moves",
        "generation": extraction.generation,
    }


def partition_metadata(manifest: Manifest, stage: Stage) -> dict[str, RawMetadataValue]:
    """What the UI shows of a staged partition."""
    seconds = (manifest.finished_at - manifest.started_at).total_seconds()
    return {
        **TableMetadataSet(partition_row_count=manifest.rows),
        **UriMetadataSet(uri=stage.uri_of(manifest.files[0].path.rpartition("/")[0]) if manifest.files else stage.uri),
        "bytes": manifest.bytes,
        "files": len(manifest.files),
        "seconds": round(seconds, 3),
        "generation": manifest.generation,
        "unchanged": False,
        "predicate": MetadataValue.text(manifest.predicate or "every row"),
        "snapshot": MetadataValue.text(manifest.snapshot or "none"),
    }
