"""The state of all workflows, in a SQL database."""

from migration_assets.resources.ledger.ledger import (
    CheckRecord,
    FileRecord,
    GenerationRecord,
    GenerationStatus,
    Ledger,
    PartitionRecord,
    PartitionStatus,
    PlannedPartition,
    SubmittedTable,
    TableBusyError,
    ValidationRecord,
    WorkflowRecord,
    WorkflowStatus,
    WorkflowType,
)
from migration_assets.resources.ledger.resource import LedgerResource

__all__ = [
    "CheckRecord",
    "FileRecord",
    "GenerationRecord",
    "GenerationStatus",
    "Ledger",
    "LedgerResource",
    "PartitionRecord",
    "PartitionStatus",
    "PlannedPartition",
    "SubmittedTable",
    "TableBusyError",
    "ValidationRecord",
    "WorkflowRecord",
    "WorkflowStatus",
    "WorkflowType",
]
