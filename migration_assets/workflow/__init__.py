"""What the user wrote: workflow files as checked, merged, immutable models."""

from migration_assets.workflow.errors import Problem, WorkflowError
from migration_assets.workflow.identifiers import Identifier, IdentifierError
from migration_assets.workflow.loading import Workflow, load_workflow, parse_workflow
from migration_assets.workflow.model import (
    ColumnNameMapping,
    ColumnTypeMapping,
    ExtractionStrategy,
    IcebergConfig,
    PartitionSize,
    SourceTable,
    SynchronizationStrategy,
    TableConfiguration,
    TargetTable,
    WorkflowConfiguration,
)
from migration_assets.workflow.schema import json_schema
from migration_assets.workflow.source_platforms import SOURCE_PLATFORMS, SourcePlatform
from migration_assets.workflow.support import unsupported

__all__ = [
    "SOURCE_PLATFORMS",
    "ColumnNameMapping",
    "ColumnTypeMapping",
    "ExtractionStrategy",
    "IcebergConfig",
    "Identifier",
    "IdentifierError",
    "PartitionSize",
    "Problem",
    "SourcePlatform",
    "SourceTable",
    "SynchronizationStrategy",
    "TableConfiguration",
    "TargetTable",
    "Workflow",
    "WorkflowConfiguration",
    "WorkflowError",
    "json_schema",
    "load_workflow",
    "parse_workflow",
    "unsupported",
]
