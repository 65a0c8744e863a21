"""From a workflow's table to a plan: its columns, its target and its partitions."""

from migration_assets.planning.model import (
    Baseline,
    ExistingTarget,
    PlanError,
    PlannedColumn,
    PlannedPartition,
    TablePlan,
)
from migration_assets.planning.planner import plan_table, table_slugs

__all__ = [
    "Baseline",
    "ExistingTarget",
    "PlanError",
    "PlannedColumn",
    "PlannedPartition",
    "TablePlan",
    "plan_table",
    "table_slugs",
]
