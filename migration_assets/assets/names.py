"""The names that assets, partitions, tags and resources have in Dagster."""

from __future__ import annotations

from dagster import AssetKey
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

WORKFLOW_TAG = "migration/workflow"
TABLE_TAG = "migration/table"
GENERATION_TAG = "migration/generation"
AFFINITY_TAG = "migration/affinity"
CELERY_QUEUE_TAG = "dagster-celery/queue"

RANGE_TAGS = (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)

LEDGER = "ledger"
STAGE = "stage"
WAREHOUSE = "warehouse"
STAGE_IO_MANAGER = "stage_io_manager"

SCHEMA_CHECK = "schema"
ROW_COUNT_CHECK = "row_count"
METRICS_CHECK = "metrics"
FINGERPRINT_CHECK = "fingerprint"

VALIDATION_IO_MANAGER = "validation_io_manager"


def source_key(workflow: str, table: str) -> AssetKey:
    """The table in the source: an asset that others make."""
    return AssetKey([workflow, "source", table])


def staged_key(workflow: str, table: str) -> AssetKey:
    """The partitions as files on the stage."""
    return AssetKey([workflow, "staged", table])


def loaded_key(workflow: str, table: str) -> AssetKey:
    """The partitions in the load table."""
    return AssetKey([workflow, "loaded", table])


def target_key(workflow: str, table: str) -> AssetKey:
    """The published table in the target."""
    return AssetKey([workflow, "target", table])


def validated_key(workflow: str, table: str) -> AssetKey:
    """A table of a validation workflow, compared with its target."""
    return AssetKey([workflow, "validated", table])


def results_key(workflow: str, frame: str) -> AssetKey:
    """What a validation workflow found, as a table in the validation schema; its last part is the table's name."""
    return AssetKey([workflow, "results", frame])


def partitions_name(workflow: str, table: str) -> str:
    """The table's own set of dynamic partitions."""
    return f"{workflow}/{table}"


def source_resource(platform: str) -> str:
    """The resource that reads from a platform."""
    return f"source_{platform}"


def affinity_tags(affinity: str | None) -> dict[str, str]:
    """Tags that bind runs to workers of the same affinity; it is the queue of Celery's run launcher too."""
    return {} if affinity is None else {AFFINITY_TAG: affinity, CELERY_QUEUE_TAG: affinity}


def run_tags(workflow: str, affinity: str | None, table: str, generation: int, keys: tuple[str, str]) -> dict[str, str]:
    """The tags of a run that moves the partitions from one key to another (both included)."""
    first, last = keys
    # A single partition is cheaper than a range of one, whose ends Dagster looks up again and again.
    partitions = {PARTITION_NAME_TAG: first} if first == last else dict(zip(RANGE_TAGS, keys, strict=True))
    return {
        WORKFLOW_TAG: workflow,
        TABLE_TAG: table,
        GENERATION_TAG: str(generation),
        **partitions,
        **affinity_tags(affinity),
    }
