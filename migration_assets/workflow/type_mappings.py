"""The type mapping file of a validation workflow: the target types that each source type may have become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from migration_assets.workflow.documents import read_bytes, read_document
from migration_assets.workflow.errors import Finding, Location, WorkflowError, echo
from migration_assets.workflow.model import is_target_type
from migration_assets.workflow.rules import comparable_type

TypeMappings = dict[str, tuple[str, ...]]

PLACE: Location = ("comparison_configuration", "type_mapping_file_path")
"""Where the workflow names the file, and where its problems are listed."""

_FORM = 'Write {"SOURCE TYPE": "TARGET TYPE"}, or a list of target types.'
_FILE_CURE = 'Name, relative to the workflow file, a JSON file that holds {"SOURCE TYPE": "TARGET TYPE"}.'


def read_type_mappings(written: str, folder: Path) -> tuple[TypeMappings, list[Finding]]:
    """The mappings of a file, given as its workflow names it, and everything that is wrong with it."""
    file = folder / written
    try:
        document = read_document(read_bytes(file), str(file))
    except WorkflowError as error:
        return {}, [_finding(written, problem.message, _FILE_CURE) for problem in error.problems]
    findings = [
        _finding(written, f"has a key that {finding.message}: {echo(finding.location[-1])}", finding.cure)
        for finding in document.findings
    ]
    findings += _content_findings(written, document.content)
    mappings = {source: _targets(target) for source, target in document.content.items()}
    return ({}, findings) if findings else (mappings, [])


def _content_findings(written: str, content: dict[str, object]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for source, value in content.items():
        compared = comparable_type(source)
        first = seen.setdefault(compared, source)
        if not compared:
            yield _finding(written, "has an empty source type", _FORM)
        elif first != source:
            yield _finding(written, f"maps {echo(source)} as well as {echo(first)}", "Keep one of them.")
        targets = value if isinstance(value, list) else [value]
        if not targets:
            yield _finding(written, f"has no target type for {echo(source)}", _FORM)
        for target in targets:
            if not isinstance(target, str) or not is_target_type(target):
                yield _finding(
                    written,
                    f"maps {echo(source)} to what is no data type of the target: {echo(target)}",
                    'Write one type alone, such as "NUMBER(19, 4)".',
                )


def _targets(value: object) -> tuple[str, ...]:
    return tuple(str(target) for target in value) if isinstance(value, list) else (str(value),)


def _finding(written: str, message: str, cure: str) -> Finding:
    return Finding(PLACE, f"names {echo(written)}, which {message}", cure)
