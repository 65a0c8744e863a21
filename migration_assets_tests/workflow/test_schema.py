"""The published JSON Schema follows the models and judges documents as the loader, where a schema can."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from migration_assets.workflow import json_schema
from migration_assets.workflow.schema import PUBLISHED_SCHEMA, render
from migration_assets_tests.workflow.documents import TYPICAL, Json, problems, table, workflow
from migration_assets_tests.workflow.test_loading import BAD_DOCUMENTS

VALIDATOR = Draft202012Validator(json_schema())

# Documents that only the loader refuses: SQL, rules between keys, and what the defaults may supply.
BEYOND_A_SCHEMA = {
    *("repeated key, deeper", "later version", "missing source", "missing table name"),
    *("iceberg without configuration", "configuration without iceberg", "managed iceberg without volume"),
    *("default catalog without volume", "external catalog without table", "stage path without @"),
    *("repeated partition column", "extraction without strategy", "unload without stage"),
    *("unload elsewhere than redshift", "stage with regular extraction", "stage without schema"),
    *("bulk utility of another platform", "bulk utility with unload"),
    *("watermark without column", "column without watermark", "modifications without watermark"),
    *("modifications without key", "type that isn't one", "type mapped twice", "column mapped twice"),
    *("lookback without watermark", "lookback of no time", "endless lookback", "lookback with a line end"),
    *("deletions without watermark", "deletions without key", "modifications and deletions without key"),
    *("limit without watermark", "limit without deletions"),
    *("schedule that never comes", "unknown time zone", "time zone without schedule"),
    *("two columns to one name", "filter", "two tables, one target", "name with a line end"),
}

GOOD: list[Json] = [
    workflow(),
    workflow(name="a", schemaVersion="1.0", sourcePlatform="postgresql", affinity="q", **{"$schema": "x"}),
    workflow(table(extraction={"strategy": "regular", "bulkUtility": "bcp"}), sourcePlatform="sqlserver"),
    workflow(table(partitionSize={"targetSizeMb": 0.5}, metricsCheck=False, consistency="strict")),
    workflow(table(partitionSize={"maxRowsPerPartition": 1, "targetSizeMb": None}, extraction=None)),
    workflow(table(source={"tableName": '"a ""b"""'}, columnNamesToPartitionBy=["[x y]", "größe"])),
    workflow(table(schemaDrift="evolve", stagedGenerations=0), schedule="*/5 2,4 1-7 jan MON", scheduleTimeZone="UTC"),
    *(
        workflow(table(synchronization={"strategy": "watermark", "watermarkColumn": "t", "lookback": lookback}))
        for lookback in ("1d 12h", 5, 0.5, None)
    ),
    *(document for _, document in TYPICAL.values()),
]


def test_the_published_file_is_up_to_date() -> None:
    assert PUBLISHED_SCHEMA.read_text(encoding="utf-8") == render(), "run migration_assets.workflow.schema.publish()"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("document", GOOD)
def test_the_schema_accepts_workflows(document: Json) -> None:
    assert not list(VALIDATOR.iter_errors(document))


@pytest.mark.parametrize(
    "name",
    [name for name, (document, _, _) in BAD_DOCUMENTS.items() if isinstance(document, dict)],
)
def test_the_schema_refuses_what_a_schema_can(name: str) -> None:
    document = BAD_DOCUMENTS[name][0]
    assert problems(document)
    assert VALIDATOR.is_valid(document) == (name in BEYOND_A_SCHEMA)


def test_every_property_is_described() -> None:
    schema = json_schema()
    for definition in (schema, *schema["$defs"].values()):
        assert definition["description"]
        assert all(about.get("description") for about in definition.get("properties", {}).values())


def test_every_default_is_one_that_may_be_written() -> None:
    defaults = {
        key: about["default"]
        for key, about in json_schema()["$defs"]["TableConfiguration"]["properties"].items()
        if "default" in about
    }
    assert defaults["synchronization"] == {"strategy": "none"}
    assert not problems(workflow(table(**defaults)))


def test_the_schema_is_json() -> None:
    assert json.loads(render()) == json_schema()
