"""Staged partitions into the load table, each file's rows held against its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dagster._core.definitions.metadata.metadata_set import TableMetadataSet

from migration_assets.assets.generations import load_columns, load_table_name, plan_of, progress_of
from migration_assets.io_managers.layout import generation_folder, manifest_path
from migration_assets.planning import TablePlan
from migration_assets.platforms.base import TableName
from migration_assets.resources.ledger import GenerationRecord, Ledger, PartitionRecord, PartitionStatus
from migration_assets.resources.stages.base import Manifest, Stage
from migration_assets.resources.warehouses.base import LoadColumn, PublishMark, Warehouse, WarehouseError
from migration_assets.synchronization.progress import Progress

DELETED_SUFFIX = "_deleted"

FILES_PER_COPY = 500
"""Files of one COPY: below what Snowflake takes in one statement, so that progress is kept in between."""


class LoadError(Exception):
    """Rows were lost or doubled between the stage and the load table, or partitions are missing."""


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
    progress = progress_of(generation)
    unchanged = unchanged_partitions(ledger.partitions(generation.id))
    missing = [key for key in keys if key not in manifests and key not in unchanged]
    if missing:
        raise LoadError(
            f"{plan.title}: {len(missing)} of {len(keys)} partitions are not on the stage ({', '.join(missing[:5])}): "
            "materialize their staged asset first"
        )
    warehouse.require_stage(stage)
    load, columns = load_table_name(plan, generation.number), load_columns(plan)
    mark = PublishMark(plan.workflow, plan.table, generation.number, plan.token)
    is_full = plan.synchronization.is_full
    moving = [key for key in keys if key in manifests]
    with warehouse.hold(plan.target.database):
        try:
            _load_deleted_keys(plan, load, progress, stage, warehouse, mark)
        except (LoadError, WarehouseError):
            if progress is not None:
                # What the source said is forgotten, so that the next run looks for these keys again.
                ledger.record_progress(generation.id, progress.model_dump_json(), {})
            raise
        wanted = _due(warehouse, load, manifests, moving)
        if is_full or any(manifest.files for manifest in wanted):
            # Rows that are merged may repeat a key, and what is published has to obey the target's rules then.
            warehouse.create_load_table(load, columns, plan.target, mark, constrained=is_full, evolve=plan.evolve)
        for batch in _batches(wanted):
            loaded = [manifest.partition for manifest in batch]
            try:
                _copy(batch, load, columns, stage, warehouse)
            except (LoadError, WarehouseError) as error:
                damaged = _discard_damaged(batch, stage, generation_folder(plan, generation.number))
                _record_failure(ledger, generation, loaded, f"{error}{damaged}")
                raise LoadError(f"{error}{damaged}") from None
            ledger.update_partitions(generation.id, loaded, PartitionStatus.LOADED)
    return {
        key: {
            **TableMetadataSet(partition_row_count=manifests[key].rows, table_name=str(load)),
            "files": len(manifests[key].files),
            "generation": generation.number,
        }
        if key in manifests
        else {"unchanged": True, "generation": generation.number}
        for key in keys
    }


def unchanged_partitions(records: Iterable[PartitionRecord]) -> frozenset[str]:
    """The partitions that the run has found unchanged."""
    return frozenset(record.key for record in records if record.status is PartitionStatus.UNCHANGED)


def deleted_table_name(load: TableName) -> TableName:
    """The table of the keys that are gone, beside the load table."""
    return load.renamed(f"{load.table}{DELETED_SUFFIX}")


def _load_deleted_keys(
    plan: TablePlan,
    load: TableName,
    progress: Progress | None,
    stage: Stage,
    warehouse: Warehouse,
    mark: PublishMark,
) -> None:
    """Copies the keys that are gone in the source beside the load table."""
    table = deleted_table_name(load)
    files = progress.deleted_files if progress else ()
    known = [file.path for file in files]
    if set(warehouse.loaded_files(table, known)) - set(known):
        # What an earlier attempt of the run has found under another snapshot.
        warehouse.drop_table(table)
    if not files:
        return
    columns = [column for column in load_columns(plan) if column.name in _key_names(plan)]
    # Not made like the target: it has the columns of the key alone.
    warehouse.create_load_table(table, columns, table, mark)
    for done, file in zip(warehouse.copy_into(table, columns, files, stage), files, strict=True):
        if done.rows != file.rows:
            warehouse.drop_table(table)
            raise LoadError(
                f"{plan.title}: {file.rows:,} keys are gone in the source, and "
                f"{done.rows:,} of them were loaded from {file.path}: start again"
            )


def _key_names(plan: TablePlan) -> set[str]:
    return {plan.column(name).target_name for name in plan.synchronization.key}


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


def _discard_damaged(batch: Sequence[Manifest], stage: Stage, folder: str) -> str:
    """Has partitions extracted again whose files are not on the stage as they were written.

    Returns:
        What was found, for people.
    """
    damaged: list[str] = []
    for manifest in batch:
        if found := stage.damaged(f"{folder}/data/{manifest.partition}", manifest.files):
            damaged += found
            stage.delete(manifest_path(folder, manifest.partition))
    if not damaged:
        return ". If rows were corrected in the source since, start again with `migrate run --fresh`"
    return f". Not on the stage as they were written: {', '.join(damaged)}: start again, which extracts them anew"


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
