"""What the user wrote: workflow files as checked, merged, immutable models."""

from migration_assets.workflow.errors import Problem, WorkflowError
from migration_assets.workflow.files import load_file, parse_file
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
from migration_assets.workflow.schema import json_schema, validation_json_schema
from migration_assets.workflow.source_platforms import SOURCE_PLATFORMS, SourcePlatform
from migration_assets.workflow.support import unsupported
from migration_assets.workflow.validation_loading import (
    ValidationWorkflow,
    load_validation_workflow,
    parse_validation_workflow,
)
from migration_assets.workflow.validation_model import (
    Budget,
    ComparisonConfiguration,
    ValidationConfiguration,
    ValidationTable,
    ValidationTableEntry,
    ValidationWorkflowConfiguration,
    Waiver,
)
from migration_assets.workflow.validation_of_migration import validation_of

__all__ = [
    "SOURCE_PLATFORMS",
    "Budget",
    "ColumnNameMapping",
    "ColumnTypeMapping",
    "ComparisonConfiguration",
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
    "ValidationConfiguration",
    "ValidationTable",
    "ValidationTableEntry",
    "ValidationWorkflow",
    "ValidationWorkflowConfiguration",
    "Waiver",
    "Workflow",
    "WorkflowConfiguration",
    "WorkflowError",
    "json_schema",
    "load_file",
    "load_validation_workflow",
    "load_workflow",
    "parse_file",
    "parse_validation_workflow",
    "parse_workflow",
    "unsupported",
    "validation_json_schema",
    "validation_of",
]
