"""A validation workflow file read and checked: a `ValidationWorkflow`, or one error with everything that is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from migration_assets.workflow.documents import bytes_of, in_reading_order, read_bytes, read_document
from migration_assets.workflow.errors import Finding, WorkflowError
from migration_assets.workflow.loading import chosen_platform, workflow_name
from migration_assets.workflow.rules import object_at
from migration_assets.workflow.source_platforms import SourcePlatform, spelled_platform
from migration_assets.workflow.support import unsupported_platform
from migration_assets.workflow.type_mappings import TypeMappings, read_type_mappings
from migration_assets.workflow.validation_merging import QualifiedParts, merged_settings, source_parts, target_parts
from migration_assets.workflow.validation_model import (
    ValidationTable,
    ValidationTableEntry,
    ValidationWorkflowConfiguration,
)
from migration_assets.workflow.validation_rules import TYPE_OF, entries_of, workflow_findings
from migration_assets.workflow.wording import validated


@dataclass(frozen=True)
class ValidationWorkflow:
    """A validation that can be run.

    Args:
        name: From the file's `name` key, else from the file's own name; letters, digits and underscores.
        file: The file as the user named it.
        content_hash: SHA-256, in hexadecimal, of the file's bytes; a type mapping file is not in it.
        source_platform: Database system of all sources.
        affinity: Queue of the workers that may run the workflow, if it is bound to one.
        tables: The tables, then the views, with everything they inherit, each in the file's order.
        raw: The JSON object of the file, as it was written.
    """

    name: str
    file: Path
    content_hash: str
    source_platform: SourcePlatform
    affinity: str | None
    tables: tuple[ValidationTable, ...]
    raw: dict[str, object] = field(repr=False, compare=False)


def load_validation_workflow(
    path: str | Path, source_platform: str | None = None, *, require_supported: bool = True
) -> ValidationWorkflow:
    """Read a validation workflow file.

    Args:
        path: The JSON file.
        source_platform: The platform, for a file that doesn't name it; both must agree.
        require_supported: Also refuse platforms that the format allows and this version hasn't built.

    Raises:
        WorkflowError: With every problem of the file.
    """
    file = Path(path)
    return parse_validation_workflow(
        read_bytes(file), file=file, source_platform=source_platform, require_supported=require_supported
    )


def parse_validation_workflow(
    text: str | bytes, *, file: str | Path, source_platform: str | None = None, require_supported: bool = True
) -> ValidationWorkflow:
    """A validation workflow from the text of a file, which itself isn't read; a type mapping file beside it is.

    Otherwise as `load_validation_workflow`.
    """
    data = bytes_of(text)
    document = read_document(data, str(file))
    content = {key: value for key, value in document.content.items() if key != "$schema"}

    configuration, findings = validated(ValidationWorkflowConfiguration, content)
    findings += document.findings
    platform, platform_problems = chosen_platform(
        content.get("source_platform"), source_platform, ("source_platform",), spelled_platform
    )
    findings += platform_problems
    name, name_problems = workflow_name(content.get("name"), Path(file))
    findings += name_problems
    findings += workflow_findings(content, platform)
    type_mappings, mapping_problems = _type_mappings(content, Path(file).parent)
    findings += mapping_problems
    if require_supported:
        known = {finding.location for finding in findings}
        unbuilt = unsupported_platform(("source_platform",), platform)
        findings += [finding for finding in unbuilt if finding.location not in known]
    if findings or configuration is None or platform is None:
        raise WorkflowError([f.in_file(str(file)) for f in in_reading_order(findings, content)])
    return ValidationWorkflow(
        name=name,
        file=Path(file),
        content_hash=hashlib.sha256(data).hexdigest(),
        source_platform=platform,
        affinity=configuration.affinity,
        tables=tuple(_tables(content, configuration, platform, type_mappings)),
        raw=document.content,
    )


def _type_mappings(content: dict[str, object], folder: Path) -> tuple[TypeMappings, list[Finding]]:
    written = object_at(content, "comparison_configuration").get("type_mapping_file_path")
    # An empty path is reported by the model.
    return read_type_mappings(written, folder) if isinstance(written, str) and written else ({}, [])


def _tables(
    content: dict[str, object],
    configuration: ValidationWorkflowConfiguration,
    platform: SourcePlatform,
    type_mappings: TypeMappings,
) -> Iterator[ValidationTable]:
    comparison = configuration.comparison_configuration
    for place, index, written in entries_of(content):
        entry: ValidationTableEntry = getattr(configuration, place)[index]
        source = source_parts(entry.fully_qualified_name, platform)
        assert source is not None  # the rules passed it
        excludes = entry.use_column_selection_as_exclude_list
        yield ValidationTable.model_validate(
            {
                **merged_settings(content, written),
                "source": _named(source),
                "target": _named(target_parts(content, written, source, platform)),
                "object_type": entry.object_type or TYPE_OF[place],
                "included_columns": () if excludes else entry.column_selection_list,
                "excluded_columns": entry.column_selection_list if excludes else (),
                "where_clause": entry.where_clause,
                "target_where_clause": entry.target_where_clause,
                "index_columns": entry.index_column_list,
                "target_index_columns": entry.target_index_column_list,
                "column_mappings": entry.column_mappings,
                "is_case_sensitive": entry.is_case_sensitive,
                "chunk_number": entry.chunk_number,
                "partition_column": entry.partition_column,
                "tolerance": comparison.tolerance,
                "absolute_tolerance": comparison.absolute_tolerance,
                "type_mappings": type_mappings,
                "waivers": entry.waivers,
            }
        )


def _named(parts: QualifiedParts) -> dict[str, str]:
    database, schema, table = parts
    return {"database_name": database, "schema_name": schema, "table_name": table}
