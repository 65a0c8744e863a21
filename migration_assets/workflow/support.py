"""Parts of the formats that this version can't carry out yet, refused by name instead of ignored.

When a feature is built, its line goes from here and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from migration_assets.workflow.documents import positions
from migration_assets.workflow.errors import Finding, Location, Problem
from migration_assets.workflow.merging import merged_tables
from migration_assets.workflow.source_platforms import SourcePlatform

if TYPE_CHECKING:
    from migration_assets.workflow.loading import Workflow

BUILT_SOURCE_PLATFORMS: frozenset[SourcePlatform] = frozenset({"postgresql", "sqlserver"})

# What a table may ask for and not get: {where it asks: {value: the value to use instead}}
_NOT_BUILT: dict[tuple[str, str], dict[str, str]] = {
    ("target", "tableType"): {"iceberg": "native"},
    ("extraction", "strategy"): {"unload": "regular"},
}


def unsupported(workflow: Workflow) -> list[Problem]:
    """What a valid workflow asks for that isn't built yet, each with its place in the file."""
    rank = positions(workflow.raw)
    findings = unsupported_findings(workflow.raw, workflow.source_platform)
    ordered = sorted(findings, key=lambda finding: rank.get(finding.location, 0))
    return [finding.in_file(str(workflow.file)) for finding in dict.fromkeys(ordered)]


def unsupported_findings(content: Mapping[str, object], source_platform: SourcePlatform | None) -> Iterator[Finding]:
    """The same of a JSON object that may have other problems; a value from the defaults repeats per table."""
    yield from unsupported_platform(("sourcePlatform",), source_platform)
    for merged in merged_tables(content):
        for (outer, inner), replacements in _NOT_BUILT.items():
            value = merged.values.get(outer)
            choice = value.get(inner) if isinstance(value, dict) else None
            if isinstance(choice, str) and choice in replacements:
                yield _not_built(merged.written_at((outer, inner)), choice, replacements[choice])


def unsupported_platform(location: Location, source_platform: SourcePlatform | None) -> Iterator[Finding]:
    """A source platform that isn't built, named under the key of its format."""
    if source_platform is not None and source_platform not in BUILT_SOURCE_PLATFORMS:
        yield _not_built(location, source_platform, sorted(BUILT_SOURCE_PLATFORMS)[0])


def _not_built(location: Location, value: str, instead: str) -> Finding:
    return Finding(
        location,
        f'is "{value}", which is valid but not built yet',
        f'Use "{instead}" until a later version has it.',
    )
