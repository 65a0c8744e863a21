"""Metadata of many partitions of one asset's run."""

from collections.abc import Mapping
from typing import Any

from dagster._core.execution.context.metadata_logging import (
    AssetMetadataHandle,
    OutputMetadataAccumulator,
    OutputMetadataHandle,
)
from dagster._core.execution.context.system import StepExecutionContext


def add_partition_metadata(context: StepExecutionContext, metadata: Mapping[str, Mapping[str, Any]]) -> None:
    """What `add_asset_metadata` does for one partition, for all partitions of the run at once.

    That one reads every key of the table from the instance at each call, and copies what was added before: ten thousand
    partitions would take minutes.

    Args:
        context: of a step with one asset.
        metadata: by partition key.
    """
    assert context.assets_def is not None
    key = context.assets_def.key
    if len(metadata) == 1:
        # Dagster gives a run of one partition the asset's own metadata.
        keys: list[str | None] = [None]
    else:
        keys = list(metadata)
    added: dict[OutputMetadataHandle | AssetMetadataHandle, Mapping[str, Any]] = {
        AssetMetadataHandle(asset_key=key, partition_key=partition): values
        for partition, values in zip(keys, metadata.values(), strict=True)
    }
    known = context._metadata_accumulator.per_output_metadata
    context._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata={**known, **added})
