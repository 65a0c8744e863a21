"""The validation that a migration workflow implies: its own tables, with its own names and filters."""

from __future__ import annotations

from migration_assets.workflow.loading import Workflow
from migration_assets.workflow.model import TableConfiguration
from migration_assets.workflow.validation_loading import ValidationWorkflow
from migration_assets.workflow.validation_model import ValidationTable

NAME_SUFFIX = "_validation"


def validation_of(workflow: Workflow) -> ValidationWorkflow:
    """All levels, to the cell, for every table of a migration; under a name of its own."""
    return ValidationWorkflow(
        name=f"{workflow.name}{NAME_SUFFIX}",
        file=workflow.file,
        content_hash=workflow.content_hash,
        source_platform=workflow.source_platform,
        affinity=workflow.affinity,
        tables=tuple(_table(config) for config in workflow.tables),
        raw=workflow.raw,
    )


def _table(config: TableConfiguration) -> ValidationTable:
    return ValidationTable(
        source=config.source,
        target=config.target,
        where_clause=config.where_clause_criteria,
        index_columns=config.primary_key_columns,
        column_mappings={mapping.source_name: mapping.target_name for mapping in config.column_name_mappings},
        row_validation=True,
        row_validation_mode="cell",
        continue_on_failure=True,
    )
