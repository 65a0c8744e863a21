"""The published schema of validation workflows follows their models and judges documents as the loader, if it can."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from migration_assets.workflow import validation_json_schema
from migration_assets.workflow.schema import PUBLISHED_VALIDATION_SCHEMA, render_validation
from migration_assets.workflow.source_platforms import SPELLINGS
from migration_assets_tests.workflow.documents import Json
from migration_assets_tests.workflow.test_validation_loading import BAD_VALIDATIONS
from migration_assets_tests.workflow.validation_documents import entry, problems, validation

VALIDATOR = Draft202012Validator(validation_json_schema())

# Documents that only the loader refuses: SQL, other files, rules between keys, and what depends on the platform.
BEYOND_A_SCHEMA = {
    *("no platform", "missing type mapping file", "schema mapped twice"),
    *("table name of two parts", "repeated column", "no column to leave out", "no list to leave out"),
    *("filter", "filter of another platform", "filter with WHERE", "target filter", "target filter with a comment"),
    *("repeated index column", "repeated target index column", "fewer target index columns"),
    *("target index columns alone", "index column mapped elsewhere", "column mapped twice", "two columns to one"),
    *("two caps of a table", "two exclusions of a table", "two modifiers of a table"),
    *("view among tables", "table among views", "same table twice", "same table by its target"),
    *("table and view are the same", "metric of a schema", "cause of metrics", "aspect of rows"),
    *("column of a missing row", "repeated waiver"),
}

GOOD: list[Json] = [
    validation(),
    validation(name="a", target_platform="SNOWFLAKE", affinity="q", views=[], **{"$schema": "x"}),
    *(validation(source_platform=spelling.title()) for spelling in SPELLINGS),
    validation(entry('a.[b.c]."d"'), entry("a.b", object_type="Table"), source_platform="Teradata"),
    validation(validation_configuration={"budget": {"seconds": 0.5, "rows": None}, "snapshot": "required"}),
    validation(comparison_configuration={"tolerance": 1}, database_mappings={'"a b"': "[c]", "d": "e"}),
    validation(entry(waivers=[{"check": "rows", "cause": "cut off", "column": None, "reason": "x"}])),
]


def test_the_published_file_is_up_to_date() -> None:
    published = PUBLISHED_VALIDATION_SCHEMA.read_text(encoding="utf-8")
    assert published == render_validation(), "run migration_assets.workflow.schema.publish()"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(validation_json_schema())


@pytest.mark.parametrize("document", GOOD)
def test_the_schema_accepts_workflows(document: Json) -> None:
    assert not list(VALIDATOR.iter_errors(document))
    assert not problems(document)


@pytest.mark.parametrize(
    "name", [name for name, (document, _, _) in BAD_VALIDATIONS.items() if isinstance(document, dict)]
)
def test_the_schema_refuses_what_a_schema_can(name: str) -> None:
    document = BAD_VALIDATIONS[name][0]
    assert problems(document)
    assert VALIDATOR.is_valid(document) == (name in BEYOND_A_SCHEMA)


def test_every_property_is_described() -> None:
    schema = validation_json_schema()
    for definition in (schema, *schema["$defs"].values()):
        assert definition["description"]
        assert all(about.get("description") for about in definition.get("properties", {}).values())


def test_the_schema_is_json() -> None:
    assert json.loads(render_validation()) == validation_json_schema()
