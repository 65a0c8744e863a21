"""A workflow file is read as what its keys say: a migration or a validation, and never both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migration_assets.workflow import (
    Problem,
    ValidationWorkflow,
    Workflow,
    WorkflowError,
    load_file,
    load_workflow,
    parse_file,
)
from migration_assets_tests.workflow.documents import Json, table, workflow
from migration_assets_tests.workflow.test_loading import BAD_DOCUMENTS
from migration_assets_tests.workflow.test_validation_loading import BAD_VALIDATIONS
from migration_assets_tests.workflow.validation_documents import entry, validation


def read(document: object, source_platform: str | None = "postgresql") -> Workflow | ValidationWorkflow:
    text = document if isinstance(document, (str, bytes)) else json.dumps(document)
    return parse_file(text, file="flow.json", source_platform=source_platform)


def problems(document: object, source_platform: str | None = "postgresql") -> list[Problem]:
    with pytest.raises(WorkflowError) as caught:
        read(document, source_platform)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    "document",
    [
        validation(),
        {"tables": [entry()]},
        {"source_platform": "postgres", "tables": [entry()]},
        {"target_platform": "Snowflake", "tables": [entry()]},
        {"validation_configuration": {}, "comparison_configuration": {}, "tables": [entry()]},
    ],
)
def test_a_file_with_keys_of_the_validation_format_is_one(document: Json) -> None:
    assert isinstance(read(document), ValidationWorkflow)


def test_any_other_file_is_a_migration() -> None:
    assert isinstance(read(workflow()), Workflow)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"tables": []}, "$.tables"),
        ({}, "$.tables"),
        ({"tables": [{}]}, "$.tables[0].source"),
        ({"source_platform": "postgres"}, "$.tables"),
        ({"validation_configuration": {}, "tables": [{}]}, "$.tables[0].fully_qualified_name"),
        ({"views": [entry()]}, "$.tables"),
    ],
)
def test_a_file_that_is_far_from_done_is_told_what_its_kind_needs(document: Json, path: str) -> None:
    assert path in [problem.path for problem in problems(document)]


# (document, {path of a key that doesn't belong: words of its message or cure})
MIXED: dict[str, tuple[Json, dict[str, str]]] = {
    "platform of a migration": (
        validation(sourcePlatform="postgresql"),
        {"$.sourcePlatform": 'Did you mean "source_platform"?'},
    ),
    "defaults of a migration": (
        validation(defaultTableConfiguration={}),
        {"$.defaultTableConfiguration": "belongs to a migration workflow"},
    ),
    "table of a migration": (
        validation(entry(), table()),
        {"$.tables[1].source": "migration", "$.tables[1].target": "migration"},
    ),
    "filter of a migration": (
        validation(entry(whereClauseCriteria="a = 1")),
        {"$.tables[0].whereClauseCriteria": 'Did you mean "where_clause"?'},
    ),
    "platform of a validation": (
        workflow(source_platform="postgres"),
        {"$.source_platform": 'Did you mean "sourcePlatform"?'},
    ),
    "settings of a validation": (
        workflow(validation_configuration={}),
        {"$.validation_configuration": 'but "source" makes this a migration workflow'},
    ),
    "table of a validation": (
        workflow(table(), entry()),
        {"$.tables[1].fully_qualified_name": "put it in a validation workflow of its own"},
    ),
    "as much of both": (
        {"source_platform": "postgres", "sourcePlatform": "postgresql", "tables": []},
        {"$.sourcePlatform": 'but "source_platform" makes this a validation workflow'},
    ),
}


@pytest.mark.parametrize(("document", "expected"), MIXED.values(), ids=MIXED.keys())
def test_a_key_of_the_other_format_is_refused_by_name(document: Json, expected: dict[str, str]) -> None:
    found = {problem.path: f"{problem.message}. {problem.cure}" for problem in problems(document)}
    foreign = {path: text for path, text in found.items() if "belongs to a" in text}
    assert foreign.keys() == expected.keys()
    assert all(words in foreign[path] for path, words in expected.items())


def test_a_mixed_file_has_its_other_problems_listed_too() -> None:
    document = validation(entry(), affinity="", schemaVersion="1")
    assert [problem.path for problem in problems(document)] == ["$.affinity", "$.schemaVersion"]


@pytest.mark.parametrize("name", [n for n, (d, _, _) in BAD_DOCUMENTS.items() if not isinstance(d, dict)])
def test_broken_json_is_refused_as_always(tmp_path: Path, name: str) -> None:
    document, path, words = BAD_DOCUMENTS[name]
    text = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    assert isinstance(text, bytes)
    file = tmp_path / "flow.json"
    file.write_bytes(text)
    with pytest.raises(WorkflowError) as today:
        load_workflow(file, "postgresql")
    with pytest.raises(WorkflowError) as caught:
        load_file(file, "postgresql")
    assert caught.value.problems == today.value.problems
    assert any(problem.path == path and words in str(problem) for problem in caught.value.problems)


@pytest.mark.parametrize("name", BAD_VALIDATIONS)
def test_a_bad_validation_is_refused_as_one(name: str) -> None:
    document, path, _ = BAD_VALIDATIONS[name]
    assert path in [problem.path for problem in problems(document, None)]


@pytest.mark.parametrize("document", [validation(source_platform="Redshift"), workflow(sourcePlatform="redshift")])
def test_platforms_that_are_not_built_are_refused_in_both_formats(document: Json) -> None:
    (problem,) = problems(document, None)
    assert problem.message == 'is "redshift", which is valid but not built yet'
    assert parse_file(json.dumps(document), file="flow.json", require_supported=False).source_platform == "redshift"


def test_files_of_both_kinds_are_loaded_from_disk(tmp_path: Path) -> None:
    migration, check = tmp_path / "move.json", tmp_path / "check.json"
    migration.write_text(json.dumps(workflow()), encoding="utf-8")
    check.write_text(json.dumps(validation()), encoding="utf-8")
    assert isinstance(load_file(migration, "postgresql"), Workflow)
    assert isinstance(load_file(str(check), "postgresql"), ValidationWorkflow)
    with pytest.raises(WorkflowError, match="does not exist"):
        load_file(tmp_path / "missing.json")
