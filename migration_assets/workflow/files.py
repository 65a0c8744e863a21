"""A workflow file of either kind: its own keys tell a migration from a validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from migration_assets.workflow.documents import bytes_of, read_bytes, read_document
from migration_assets.workflow.errors import Finding, Location, WorkflowError, echo
from migration_assets.workflow.loading import Workflow, parse_workflow
from migration_assets.workflow.merging import JsonObject
from migration_assets.workflow.model import Model, TableConfiguration, WorkflowConfiguration
from migration_assets.workflow.rules import objects_at
from migration_assets.workflow.validation_loading import ValidationWorkflow, parse_validation_workflow
from migration_assets.workflow.validation_model import ValidationTableEntry, ValidationWorkflowConfiguration
from migration_assets.workflow.wording import did_you_mean


def _keys(model: type[Model]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


@dataclass(frozen=True)
class _Kind:
    """A kind of workflow file, with the keys of its outermost object and of its tables."""

    name: str
    outer: frozenset[str]
    tables: frozenset[str]

    def own_keys(self, content: JsonObject, other: _Kind) -> list[Location]:
        """Where a file has keys of this kind that the other kind doesn't know."""
        return list(self._own_keys(content, other))

    def _own_keys(self, content: JsonObject, other: _Kind) -> Iterator[Location]:
        yield from ((key,) for key in content if key in self.outer - other.outer)
        for index, table in objects_at(content, "tables"):
            yield from (("tables", index, key) for key in table if key in self.tables - other.tables)


_MIGRATION = _Kind("migration", _keys(WorkflowConfiguration), _keys(TableConfiguration))
_VALIDATION = _Kind("validation", _keys(ValidationWorkflowConfiguration), _keys(ValidationTableEntry))


def load_file(
    path: str | Path, source_platform: str | None = None, *, require_supported: bool = True
) -> Workflow | ValidationWorkflow:
    """Read a workflow file of either kind; otherwise as `load_workflow`.

    Raises:
        WorkflowError: With every problem of the file.
    """
    file = Path(path)
    return parse_file(read_bytes(file), file=file, source_platform=source_platform, require_supported=require_supported)


def parse_file(
    text: str | bytes, *, file: str | Path, source_platform: str | None = None, require_supported: bool = True
) -> Workflow | ValidationWorkflow:
    """A workflow of either kind from the text of a file.

    A file with keys of both kinds is taken for the kind that it has more of, and the others are refused.
    A file with keys of neither is a migration.

    Raises:
        WorkflowError: With every problem of the file.
    """
    content = read_document(bytes_of(text), str(file)).content
    of_migration = _MIGRATION.own_keys(content, _VALIDATION)
    of_validation = _VALIDATION.own_keys(content, _MIGRATION)
    validates = bool(of_validation) and len(of_validation) >= len(of_migration)
    kind, other = (_VALIDATION, _MIGRATION) if validates else (_MIGRATION, _VALIDATION)
    own, foreign = (of_validation, of_migration) if validates else (of_migration, of_validation)
    parse = parse_validation_workflow if validates else parse_workflow
    try:
        return parse(text, file=file, source_platform=source_platform, require_supported=require_supported)
    except WorkflowError as error:
        misplaced = {
            problem.path: problem
            for problem in (_misplaced(place, kind, other, own).in_file(str(file)) for place in foreign)
        }
        raise WorkflowError([misplaced.get(problem.path, problem) for problem in error.problems]) from error


def _misplaced(location: Location, kind: _Kind, other: _Kind, own: list[Location]) -> Finding:
    """A key of the other kind, which the parser has refused as unknown."""
    known = kind.outer if len(location) == 1 else kind.tables
    near = did_you_mean(location[-1], sorted(known))
    return Finding(
        location,
        f"belongs to a {other.name} workflow, but {echo(own[0][-1])} makes this a {kind.name} workflow",
        f'Did you mean "{near}"?' if near else f"Remove it, or put it in a {other.name} workflow of its own.",
    )
