"""A workflow file read, merged and checked: a `Workflow`, or one error with everything that is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from migration_assets.workflow import rules
from migration_assets.workflow.documents import bytes_of, in_reading_order, read_bytes, read_document
from migration_assets.workflow.errors import Finding, Location, WorkflowError, echo
from migration_assets.workflow.merging import DEFAULTS_KEY, Merged, merged_tables
from migration_assets.workflow.model import (
    TableConfiguration,
    WorkflowConfiguration,
    is_workflow_name,
)
from migration_assets.workflow.source_platforms import SOURCE_PLATFORMS, SourcePlatform
from migration_assets.workflow.support import unsupported_findings
from migration_assets.workflow.wording import validated


@dataclass(frozen=True)
class Workflow:
    """A workflow that can be planned.

    Args:
        name: From the file's `name` key, else from the file's own name; letters, digits and underscores.
        file: The file as the user named it.
        content_hash: SHA-256, in hexadecimal, of the file's bytes.
        source_platform: Database system of all source tables.
        affinity: Queue of the workers that may run the workflow, if it is bound to one.
        tables: The tables with their defaults merged in, in the file's order.
        raw: The JSON object of the file, as it was written.
        schedule: When the workflow runs by itself, as a cron expression of five fields; None when it doesn't.
        schedule_time_zone: IANA name of the schedule's time zone.
    """

    name: str
    file: Path
    content_hash: str
    source_platform: SourcePlatform
    affinity: str | None
    tables: tuple[TableConfiguration, ...]
    raw: dict[str, object] = field(repr=False, compare=False)
    schedule: str | None = None
    schedule_time_zone: str = "UTC"


def load_workflow(path: str | Path, source_platform: str | None = None, *, require_supported: bool = True) -> Workflow:
    """Read a workflow file.

    Args:
        path: The JSON file.
        source_platform: The platform, for a file that doesn't name it; both must agree.
        require_supported: Also refuse what the format allows and this version hasn't built.

    Raises:
        WorkflowError: With every problem of the file.
    """
    file = Path(path)
    return parse_workflow(
        read_bytes(file), file=file, source_platform=source_platform, require_supported=require_supported
    )


def parse_workflow(
    text: str | bytes, *, file: str | Path, source_platform: str | None = None, require_supported: bool = True
) -> Workflow:
    """A workflow from the text of a file, which itself isn't read; otherwise as `load_workflow`."""
    data = bytes_of(text)
    document = read_document(data, str(file))
    content = {key: value for key, value in document.content.items() if key != "$schema"}

    configuration, findings = validated(WorkflowConfiguration, content)
    findings += document.findings
    findings += rules.schedule_findings(content)
    platform, platform_problems = chosen_platform(
        content.get("sourcePlatform"), source_platform, ("sourcePlatform",), _exact_platform
    )
    findings += platform_problems
    name, name_problems = workflow_name(content.get("name"), Path(file))
    findings += name_problems

    tables, table_problems = _tables(content, platform)
    findings += table_problems
    if require_supported:
        known = {finding.location for finding in findings}
        findings += [f for f in unsupported_findings(content, platform) if f.location not in known]
    if findings or configuration is None or platform is None:
        raise WorkflowError([f.in_file(str(file)) for f in in_reading_order(findings, content)])
    return Workflow(
        name=name,
        file=Path(file),
        content_hash=hashlib.sha256(data).hexdigest(),
        source_platform=platform,
        affinity=configuration.affinity,
        tables=tuple(tables),
        raw=document.content,
        schedule=configuration.schedule,
        schedule_time_zone=configuration.schedule_time_zone,
    )


def chosen_platform(
    written: object,
    argument: str | None,
    location: Location,
    platform_of: Callable[[object], SourcePlatform | None],
) -> tuple[SourcePlatform | None, list[Finding]]:
    """The platform of file or argument, as `platform_of` reads it. A wrong one in the file is reported by the model."""
    in_file, given = platform_of(written), platform_of(argument)
    if argument is not None and given is None:
        known = ", ".join(SOURCE_PLATFORMS)
        return in_file, [
            Finding(location, f"was given from outside the file as {echo(argument)}", f"Use one of: {known}.")
        ]
    if in_file and given and in_file != given:
        return in_file, [
            Finding(
                location,
                f"is {echo(in_file)}, but {echo(given)} was given from outside the file",
                "Make both the same, or leave one out.",
            )
        ]
    if written is None and given is None:
        return None, [
            Finding(location, "is required", "Add it to the file, or give the source platform when you load it.")
        ]
    return in_file or given, []


def workflow_name(written: object, file: Path) -> tuple[str, list[Finding]]:
    """The workflow's name. A wrong one in the file is reported by the model."""
    if written is not None:
        return str(written), []
    name = file.stem.replace("-", "_").replace(".", "_").replace(" ", "_")
    if is_workflow_name(name):
        return name, []
    return name, [
        Finding(
            ("name",),
            f"is not set, and the file's own name can't serve: {echo(name)}",
            'Add "name" with letters, digits and underscores, no digit first, or rename the file.',
        )
    ]


def _exact_platform(written: object) -> SourcePlatform | None:
    return next((platform for platform in SOURCE_PLATFORMS if platform == written), None)


def _tables(
    content: dict[str, object], platform: SourcePlatform | None
) -> tuple[list[TableConfiguration], list[Finding]]:
    defaults = content.get(DEFAULTS_KEY)
    findings = list(_default_findings(defaults, platform))
    # Where a default is broken, what its tables then lack is no news.
    broken = [finding.location[1:] for finding in findings]
    if defaults is not None and not isinstance(defaults, dict):
        broken.append(())
    tables = []
    all_merged = list(merged_tables(content))
    for merged in all_merged:
        table, table_findings = _table(merged, platform)
        findings += [
            finding.at(merged.written_at(finding.location))
            for finding in table_findings
            if not (finding.kind == "missing" and any(finding.location[: len(b)] == b for b in broken))
        ]
        tables += [table] if table is not None else []
    findings += rules.repeated_targets([(merged.index, merged.values) for merged in all_merged])
    return tables, findings


def _default_findings(defaults: object, platform: SourcePlatform | None) -> Iterator[Finding]:
    """What is wrong with the defaults by themselves, used or not; what they lack is for the tables to say."""
    if not isinstance(defaults, dict):
        return
    _, findings = validated(TableConfiguration, defaults)
    if platform is not None:
        findings += rules.predicate_findings(defaults, platform)
    for finding in findings:
        if finding.kind == "value":
            yield finding.at((DEFAULTS_KEY, *finding.location))


def _table(merged: Merged, platform: SourcePlatform | None) -> tuple[TableConfiguration | None, list[Finding]]:
    table, findings = validated(TableConfiguration, merged.values)
    findings += rules.table_findings(merged.values)
    if platform is not None:
        findings += rules.platform_findings(merged.values, platform)
    return table, findings
