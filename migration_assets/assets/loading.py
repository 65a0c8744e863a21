"""Staged partitions into the load table, each file's rows held against its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dagster._core.definitions.metadata.metadata_set import TableMetadataSet

from migration_assets.assets.generations import plan_of
from migration_assets.planning import TablePlan
from migration_assets.platforms.base import TableName
from migration_assets.resources.ledger import GenerationRecord, Ledger, PartitionStatus
from migration_assets.resources.stages.base import Manifest, Stage
from migration_assets.resources.warehouses.base import LoadColumn, PublishMark, Warehouse, WarehouseError

FILES_PER_COPY = 500
"""Files of one COPY: below what Snowflake takes in one statement, so that progress is kept in between."""


class LoadError(Exception):
    """Rows were lost or doubled between the stage and the load table, or partitions are missing."""


def load_table_name(plan: TablePlan, generation: int) -> TableName:
    """The load table of a generation, beside its target."""
    return plan.target.renamed(f"{load_table_prefix(plan)}{generation}")


def load_table_prefix(plan: TablePlan) -> str:
    """What the names of all load tables of a target begin with."""
    return f"{plan.target.table}__load_{plan.workflow}_"


def load_columns(plan: TablePlan) -> list[LoadColumn]:
    """The columns of the load table and of the staged files."""
    return [
        LoadColumn(column.target_name, column.type, column.target_type, column.source.nullable)
        for column in plan.columns
    ]


def load_partitions(
    generation: GenerationRecord,
    keys: Sequence[str],
    manifests: Mapping[str, Manifest],
    *,
    ledger: Ledger,
    stage: Stage,
    warehouse: Warehouse,
) -> dict[str, dict[str, object]]:
    """Copies partitions into the load table.

    Args:
        manifests: the finished partitions of the generation.

    Returns:
        Metadata by partition.

    Raises:
        LoadError: a partition was not extracted, or the warehouse took another number of rows than were staged.
    """
    plan = plan_of(generation)
    where = f"workflow {plan.workflow}, table {plan.table}"
    missing = [key for key in keys if key not in manifests]
    if missing:
        raise LoadError(
            f"{where}: {len(missing)} of {len(keys)} partitions are not on the stage ({', '.join(missing[:5])}): "
            "materialize their staged asset first"
        )
    warehouse.require_stage(stage)
    load, columns = load_table_name(plan, generation.number), load_columns(plan)
    mark = PublishMark(plan.workflow, plan.table, generation.number, plan.token)
    with warehouse.hold(plan.target.database):
        wanted = _due(warehouse, load, manifests, keys)
        warehouse.create_load_table(load, columns, plan.target, mark)
        for batch in _batches(wanted):
            loaded = [manifest.partition for manifest in batch]
            try:
                _copy(batch, load, columns, stage, warehouse)
            except (LoadError, WarehouseError) as error:
                _record_failure(ledger, generation, loaded, str(error))
                raise
            ledger.update_partitions(generation.id, loaded, PartitionStatus.LOADED)
    return {
        key: {
            **TableMetadataSet(partition_row_count=manifests[key].rows, table_name=str(load)),
            "files": len(manifests[key].files),
            "generation": generation.number,
        }
        for key in keys
    }


def _copy(
    batch: Sequence[Manifest],
    load: TableName,
    columns: Sequence[LoadColumn],
    stage: Stage,
    warehouse: Warehouse,
) -> None:
    """Copies the files of some partitions, and holds the rows that the warehouse took against the manifests."""
    files = [file for manifest in batch for file in manifest.files]
    rows = {done.path: done.rows for done in warehouse.copy_into(load, columns, files, stage)}
    for manifest in batch:
        for file in manifest.files:
            if rows.get(file.path) != file.rows:
                warehouse.drop_table(load)
                raise LoadError(
                    f"workflow {manifest.workflow}, table {manifest.table}, partition {manifest.partition}: "
                    f"the file {file.path} has {file.rows:,} rows and {rows.get(file.path, 0):,} were loaded; "
                    f"the load table {load} is dropped, start again"
                )


def _due(
    warehouse: Warehouse, load: TableName, manifests: Mapping[str, Manifest], keys: Sequence[str]
) -> list[Manifest]:
    """The partitions to copy. A load table with files of a discarded attempt is dropped: all in it are due again."""
    valid = {file.path for manifest in manifests.values() for file in manifest.files}
    present = set(warehouse.loaded_files(load, valid))
    if present <= valid:
        return [manifests[key] for key in keys]
    warehouse.drop_table(load)
    loaded_before = {
        key
        for key, manifest in manifests.items()
        if manifest.files and present >= {file.path for file in manifest.files}
    }
    return [manifest for key, manifest in sorted(manifests.items()) if key in keys or key in loaded_before]


def _batches(manifests: Sequence[Manifest]) -> Iterator[list[Manifest]]:
    batch: list[Manifest] = []
    files = 0
    for manifest in manifests:
        if batch and files + len(manifest.files) > FILES_PER_COPY:
            yield batch
            batch, files = [], 0
        batch.append(manifest)
        files += len(manifest.files)
    if batch:
        yield batch


def _record_failure(ledger: Ledger, generation: GenerationRecord, keys: Sequence[str], message: str) -> None:
    ledger.update_partitions(generation.id, keys, PartitionStatus.FAILED)
    for key in keys:
        ledger.record_error(
            workflow=generation.workflow,
            table=generation.table,
            generation_id=generation.id,
            partition=key,
            stage="loading",
            message=message,
        )
