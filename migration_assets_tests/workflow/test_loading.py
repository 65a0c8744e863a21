"""A workflow file becomes a `Workflow`, or an error that lists everything to change in it."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration_assets.workflow import (
    Problem,
    SourcePlatform,
    TableConfiguration,
    WorkflowError,
    load_workflow,
    parse_workflow,
)
from migration_assets.workflow.schema import render
from migration_assets_tests.workflow.documents import TYPICAL, Json, parse, problems, table, workflow

TABLE = "$.tables[0]"


def mapping(source: str, target: str) -> Json:
    return {"sourceName": source, "targetName": target}


def iceberg(**config: object) -> Json:
    return table(target={"tableType": "iceberg", "icebergConfig": config})


def sync(**keys: object) -> Json:
    return table(synchronization=keys)


# (document, JSON path, words of the message or cure)
BAD_DOCUMENTS: dict[str, tuple[object, str, str]] = {
    "array": ("[]", "$", "not a JSON object"),
    "text": ("tables: []", "$", "line 1, column 1"),
    "late syntax error": ('{\n "tables": [\n  1,,\n ]}', "$", "line 3, column 5"),
    "empty file": ("", "$", "line 1, column 1"),
    "not UTF-8": (b'{"name": "\xe4"}', "$", "Save the file as UTF-8"),
    "UTF-16": ('{"tables": []}'.encode("utf-16"), "$", "UTF-8"),
    "NaN": ('{"tables": NaN}', "$", "NaN"),
    "number out of range": ('{"tables": 1e999}', "$", "too large"),
    "endless number": ('{"tables": ' + "9" * 5000 + "}", "$", "5000 digits"),
    "bottomless": ("[" * 100_000, "$", "nested too deeply"),
    "deep": (
        workflow(table(source={"tableName": json.loads("[" * 60 + "]" * 60)})),
        TABLE + ".source",
        "deep",
    ),
    "NUL": (workflow(table(source={"tableName": "a\0b"})), TABLE + ".source.tableName", "U+0000"),
    "half a surrogate pair": ('{"name": "\\ud83d", "tables": []}', "$.name", "surrogate"),
    "repeated key": ('{"name": "a", "name": "b", "tables": []}', "$.name", "more than once"),
    "repeated key, deeper": (
        '{"tables": [{"source": {"tableName": "a", "tableName": "a"}}]}',
        TABLE + ".source.tableName",
        "Keep one",
    ),
    "no tables key": ({"name": "a"}, "$.tables", "is required"),
    "null tables": ({"tables": None}, "$.tables", "is required"),
    "no tables": ({"tables": []}, "$.tables", "at least one"),
    "tables as an object": ({"tables": {}}, "$.tables", "must be a list, but is an object"),
    "table as a string": ({"tables": ["orders"]}, TABLE, "must be an object"),
    "unknown key": (workflow(afinity="x"), "$.afinity", 'Did you mean "affinity"?'),
    "unknown key, far off": (workflow(zzz=1), "$.zzz", "the keys known here are schemaVersion"),
    "unknown key, null": (workflow(afinity=None), "$.afinity", "not a known key"),
    "snake case key": (workflow(source_platform="redshift"), "$.source_platform", 'mean "sourcePlatform"'),
    "odd key": (workflow(**{"my key": 1}), '$["my key"]', "not a known key"),
    "unknown key in a table": (
        workflow(table(Synchronization={})),
        TABLE + ".Synchronization",
        "synchronization",
    ),
    "unknown key in a source": (
        workflow(table(source={"table": "x"})),
        TABLE + ".source.table",
        'Did you mean "tableName"?',
    ),
    "unknown key in a mapping": (
        workflow(table(columnNameMappings=[mapping("a", "b") | {"targetname": "c"}])),
        TABLE + ".columnNameMappings[0].targetname",
        'Did you mean "targetName"?',
    ),
    "version as a number": (workflow(schemaVersion=1), "$.schemaVersion", "must be a string, but is 1"),
    "version without form": (workflow(schemaVersion="1."), "$.schemaVersion", '"1.0.0"'),
    "later version": (workflow(schemaVersion="2.0"), "$.schemaVersion", "does not read"),
    "name with a digit first": (workflow(name="2nd"), "$.name", "don't start with a digit"),
    "name with a dash": (workflow(name="a-b"), "$.name", "letters, digits and underscores"),
    "name with a line end": (workflow(name="a\n"), "$.name", "not a workflow name"),
    "empty affinity": (workflow(affinity=""), "$.affinity", "is empty"),
    "unknown platform": (workflow(sourcePlatform="Redshift"), "$.sourcePlatform", 'Did you mean "redshift"?'),
    "missing source": ({"tables": [{"target": table()["target"]}]}, TABLE + ".source", "is required"),
    "missing table name": (
        {"tables": [table() | {"source": {"databaseName": "a", "schemaName": "b"}}]},
        TABLE + ".source.tableName",
        "Add it here or in defaultTableConfiguration",
    ),
    "name as a number": (workflow(table(source={"tableName": 5})), TABLE + ".source.tableName", "a string"),
    "dotted name": (
        workflow(table(source={"tableName": "a.b"})),
        TABLE + ".source.tableName",
        "without a dot",
    ),
    "unclosed quote": (
        workflow(table(source={"tableName": '"a'})),
        TABLE + ".source.tableName",
        "Close the name",
    ),
    "table type": (workflow(table(target={"tableType": "ice"})), TABLE + ".target.tableType", "iceberg"),
    "source with a table type": (
        workflow(table(source={"tableType": "native"})),
        TABLE + ".source.tableType",
        "not a known key",
    ),
    "iceberg without configuration": (
        workflow(table(target={"tableType": "iceberg"})),
        TABLE + ".target.icebergConfig",
        "is required",
    ),
    "configuration without iceberg": (
        workflow(table(target={"icebergConfig": {"externalVolume": "v"}})),
        TABLE + ".target.icebergConfig",
        'set tableType to "iceberg"',
    ),
    "managed iceberg without volume": (
        workflow(iceberg(catalog="SNOWFLAKE")),
        TABLE + ".target.icebergConfig.externalVolume",
        "is required",
    ),
    "default catalog without volume": (
        workflow(iceberg()),
        TABLE + ".target.icebergConfig.externalVolume",
        "is required",
    ),
    "external catalog without table": (
        workflow(iceberg(catalog="glue")),
        TABLE + ".target.icebergConfig.catalogTableName",
        '"glue"',
    ),
    "stage path without @": (
        workflow(iceberg(externalVolume="v", sourceDataStage="S")),
        TABLE + ".target.icebergConfig.sourceDataStage",
        "Start it with @",
    ),
    "iceberg strategy": (
        workflow(iceberg(externalVolume="v", migrationStrategy="copy_file")),
        TABLE + ".target.icebergConfig.migrationStrategy",
        'Did you mean "copy_files"?',
    ),
    "partition columns as a string": (
        workflow(table(columnNamesToPartitionBy="id")),
        TABLE + ".columnNamesToPartitionBy",
        "must be a list",
    ),
    "null column": (
        workflow(table(primaryKeyColumns=["id", None])),
        TABLE + ".primaryKeyColumns[1]",
        "must be a string, but is null",
    ),
    "repeated partition column": (
        workflow(table(columnNamesToPartitionBy=["id", "day", "ID"])),
        TABLE + ".columnNamesToPartitionBy[2]",
        "repeats",
    ),
    "extraction without strategy": (
        workflow(table(extraction={})),
        TABLE + ".extraction.strategy",
        "is required",
    ),
    "unload without stage": (
        workflow(table(extraction={"strategy": "unload"})),
        TABLE + ".extraction.externalStage",
        "is required",
    ),
    "unload elsewhere than redshift": (
        workflow(table(extraction={"strategy": "unload", "externalStage": "A.B.C"})),
        TABLE + ".extraction.strategy",
        '"unload" is for redshift',
    ),
    "stage with regular extraction": (
        workflow(table(extraction={"strategy": "regular", "externalStage": "A.B.C"})),
        TABLE + ".extraction.externalStage",
        "no use",
    ),
    "stage without schema": (
        workflow(table(extraction={"strategy": "unload", "externalStage": "C"})),
        TABLE + ".extraction.externalStage",
        "database, schema and stage",
    ),
    "unknown bulk utility": (
        workflow(table(extraction={"strategy": "regular", "bulkUtility": "bpc"})),
        TABLE + ".extraction.bulkUtility",
        'Did you mean "bcp"? Use one of: bcp (of sqlserver), none.',
    ),
    "bulk utility of another platform": (
        workflow(table(extraction={"strategy": "regular", "bulkUtility": "bcp"})),
        TABLE + ".extraction.bulkUtility",
        'is "bcp", which reads from sqlserver and not from postgresql',
    ),
    "bulk utility with unload": (
        workflow(table(extraction={"strategy": "unload", "externalStage": "A.B.C", "bulkUtility": "none"})),
        TABLE + ".extraction.bulkUtility",
        'has no use with strategy "unload"',
    ),
    "synchronization as a string": (
        workflow(table(synchronization="none")),
        TABLE + ".synchronization",
        "must be an object",
    ),
    "unknown synchronization": (
        workflow(sync(strategy="watermarks")),
        TABLE + ".synchronization.strategy",
        'Did you mean "watermark"? Use one of: none, checksum, watermark',
    ),
    "watermark without column": (
        workflow(sync(strategy="watermark")),
        TABLE + ".synchronization.watermarkColumn",
        "is required",
    ),
    "column without watermark": (
        workflow(sync(strategy="checksum", watermarkColumn="t")),
        TABLE + ".synchronization.watermarkColumn",
        "no use",
    ),
    "modifications without watermark": (
        workflow(table(synchronization={"strategy": "none", "trackModifications": True}, primaryKeyColumns=["a"])),
        TABLE + ".synchronization.trackModifications",
        'set strategy to "watermark"',
    ),
    "modifications without key": (
        workflow(sync(strategy="watermark", watermarkColumn="t", trackModifications=True)),
        TABLE + ".primaryKeyColumns",
        "required by trackModifications",
    ),
    "lookback without watermark": (
        workflow(sync(strategy="checksum", lookback="2h")),
        TABLE + ".synchronization.lookback",
        'set strategy to "watermark"',
    ),
    "lookback in words": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback="two hours")),
        TABLE + ".synchronization.lookback",
        '"1d 12h"',
    ),
    "lookback without unit": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback="90")),
        TABLE + ".synchronization.lookback",
        'is not a duration: "90"',
    ),
    "lookback of part of an hour": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback="1.5h")),
        TABLE + ".synchronization.lookback",
        "is not a duration",
    ),
    "lookback with a line end": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback="2h\n")),
        TABLE + ".synchronization.lookback",
        "is not a duration",
    ),
    "lookback of no time": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback="0d 0s")),
        TABLE + ".synchronization.lookback",
        "no time at all",
    ),
    "endless lookback": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback="36500d 1s")),
        TABLE + ".synchronization.lookback",
        "at most 36,500 days",
    ),
    "lookback of nothing": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback=0)),
        TABLE + ".synchronization.lookback",
        "greater than 0",
    ),
    "lookback as true": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback=True)),
        TABLE + ".synchronization.lookback",
        "a duration or a number, but is true",
    ),
    "lookback as a list": (
        workflow(sync(strategy="watermark", watermarkColumn="t", lookback=["2h"])),
        TABLE + ".synchronization.lookback",
        "a duration or a number, but is a list",
    ),
    "deletions without watermark": (
        workflow(table(synchronization={"strategy": "checksum", "trackDeletions": True}, primaryKeyColumns=["a"])),
        TABLE + ".synchronization.trackDeletions",
        'has no use with strategy "checksum"',
    ),
    "deletions without key": (
        workflow(sync(strategy="watermark", watermarkColumn="t", trackDeletions=True)),
        TABLE + ".primaryKeyColumns",
        "required by trackDeletions",
    ),
    "modifications and deletions without key": (
        workflow(sync(strategy="watermark", watermarkColumn="t", trackDeletions=True, trackModifications=True)),
        TABLE + ".primaryKeyColumns",
        "required by trackModifications and trackDeletions",
    ),
    "limit without watermark": (
        workflow(sync(strategy="none", deletionLimit=0.2)),
        TABLE + ".synchronization.deletionLimit",
        'has no use with strategy "none"',
    ),
    "limit without deletions": (
        workflow(sync(strategy="watermark", watermarkColumn="t", trackDeletions=False, deletionLimit=0.2)),
        TABLE + ".synchronization.deletionLimit",
        "set trackDeletions to true",
    ),
    "limit of nothing": (
        workflow(sync(strategy="watermark", watermarkColumn="t", trackDeletions=True, deletionLimit=0)),
        TABLE + ".synchronization.deletionLimit",
        "greater than 0",
    ),
    "limit in percent": (
        workflow(sync(strategy="watermark", watermarkColumn="t", trackDeletions=True, deletionLimit=20)),
        TABLE + ".synchronization.deletionLimit",
        "at most 1",
    ),
    "drift": (workflow(table(schemaDrift="evolves")), TABLE + ".schemaDrift", 'Did you mean "evolve"?'),
    "fewer than no generations": (
        workflow(table(stagedGenerations=-1)),
        TABLE + ".stagedGenerations",
        "at least 0",
    ),
    "endless generations": (workflow(table(stagedGenerations=1001)), TABLE + ".stagedGenerations", "at most 1,000"),
    "half a generation": (workflow(table(stagedGenerations=0.5)), TABLE + ".stagedGenerations", "a whole number"),
    "schedule as a number": (workflow(schedule=5), "$.schedule", "must be a string"),
    "schedule in words": (workflow(schedule="every night"), "$.schedule", '"30 2 * * 1-5"'),
    "schedule that never comes": (workflow(schedule="0 0 30 feb *"), "$.schedule", "days 1-31 that are in the months"),
    "unknown time zone": (
        workflow(schedule="0 0 * * *", scheduleTimeZone="Europe/Atlantis"),
        "$.scheduleTimeZone",
        '"Europe/Berlin"',
    ),
    "time zone without schedule": (workflow(scheduleTimeZone="UTC"), "$.scheduleTimeZone", "no use without schedule"),
    "boolean as a string": (
        workflow(sync(strategy="none", trackModifications="false")),
        TABLE + ".synchronization.trackModifications",
        "without quotes",
    ),
    "boolean as a number": (workflow(table(metricsCheck=1)), TABLE + ".metricsCheck", "true or false"),
    "mapping without target": (
        workflow(table(columnTypeMappings=[{"sourceType": "A"}])),
        TABLE + ".columnTypeMappings[0].targetType",
        "is required",
    ),
    "type that isn't one": (
        workflow(table(columnTypeMappings=[{"sourceType": "A", "targetType": "INT); DROP TABLE x"}])),
        TABLE + ".columnTypeMappings[0].targetType",
        "one type alone",
    ),
    "type mapped twice": (
        workflow(
            table(
                columnTypeMappings=[
                    {"sourceType": "numeric(1,0)", "targetType": "INT"},
                    {"sourceType": "NUMERIC(1, 0)", "targetType": "BOOLEAN"},
                ]
            )
        ),
        TABLE + ".columnTypeMappings[1].sourceType",
        "repeats",
    ),
    "column mapped twice": (
        workflow(table(columnNameMappings=[mapping("a", "x"), mapping('"a"', "y")])),
        TABLE + ".columnNameMappings[1].sourceName",
        "repeats",
    ),
    "two columns to one name": (
        workflow(table(columnNameMappings=[mapping("a", "x"), mapping("b", '"X"')])),
        TABLE + ".columnNameMappings[1].targetName",
        "of entry [0]",
    ),
    "partition size in words": (workflow(table(partitionSize="big")), TABLE + ".partitionSize", '"auto"'),
    "partition size as a number": (
        workflow(table(partitionSize=5)),
        TABLE + ".partitionSize",
        "targetSizeMb",
    ),
    "partition size, empty": (workflow(table(partitionSize={})), TABLE + ".partitionSize", "exactly one"),
    "partition size, twice": (
        workflow(table(partitionSize={"targetSizeMb": 1, "maxRowsPerPartition": 1})),
        TABLE + ".partitionSize",
        "exactly one",
    ),
    "partition of no size": (
        workflow(table(partitionSize={"targetSizeMb": 0})),
        TABLE + ".partitionSize.targetSizeMb",
        "greater than 0",
    ),
    "partition of half a row": (
        workflow(table(partitionSize={"maxRowsPerPartition": 0.5})),
        TABLE + ".partitionSize.maxRowsPerPartition",
        "a whole number",
    ),
    "partition of endless rows": (
        workflow(table(partitionSize={"maxRowsPerPartition": 10**18})),
        TABLE + ".partitionSize.maxRowsPerPartition",
        "at most 1,000,000,000,000,000",
    ),
    "size as true": (
        workflow(table(partitionSize={"targetSizeMb": True})),
        TABLE + ".partitionSize.targetSizeMb",
        "a number",
    ),
    "filter": (workflow(table(whereClauseCriteria="a = 1;")), TABLE + ".whereClauseCriteria", "semicolon"),
    "empty filter": (workflow(table(whereClauseCriteria="")), TABLE + ".whereClauseCriteria", "is empty"),
    "consistency": (workflow(table(consistency="Strict")), TABLE + ".consistency", 'Did you mean "strict"?'),
    "two tables, one target": (
        workflow(table(), table(source={"tableName": "b"}, target={"tableName": '"ORDERS"', "schemaName": "raw"})),
        "$.tables[1].target",
        "the same table as $.tables[0].target",
    ),
}


@pytest.mark.parametrize(("document", "path", "words"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS.keys())
def test_a_bad_document_is_refused_with_its_place_and_a_cure(document: object, path: str, words: str) -> None:
    found = [problem for problem in problems(document) if problem.path == path]
    assert any(words in f"{problem.message}. {problem.cure}" for problem in found), problems(document)


@pytest.mark.parametrize(("document", "path", "words"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS.keys())
def test_problems_are_said_once_in_plain_words(document: object, path: str, words: str) -> None:
    texts = [str(problem) for problem in problems(document)]
    assert len(texts) == len(set(texts))
    for text in texts:
        assert not any(jargon in text for jargon in ("Input should", "pydantic", "tuple", "http", "Extra inputs"))


@pytest.mark.parametrize("use", TYPICAL)
def test_the_typical_uses_of_the_format_are_read(use: str) -> None:
    platform, document = TYPICAL[use]
    loaded = parse(document, platform)
    assert loaded.source_platform == platform
    assert [t.source.table_name for t in loaded.tables] == [t["source"]["tableName"] for t in document["tables"]]


def test_all_problems_of_a_file_are_reported_at_once_in_its_order() -> None:
    document = {
        "schemaVersion": "3",
        "defaultTableConfiguration": {"metricsCheck": "no"},
        "sourcePlatform": "postgres",
        "tables": [
            table(whereClauseCriteria="1 +", colour=1, synchronization={"strategy": "watermark", "foo": 1}),
            table(source={"tableName": 7}, extraction={"strategy": "regular", "externalStage": "A.B.C"}),
        ],
    }
    assert [problem.path for problem in problems(document)] == [
        "$.schemaVersion",
        "$.defaultTableConfiguration.metricsCheck",
        "$.sourcePlatform",
        "$.tables[0].whereClauseCriteria",
        "$.tables[0].colour",
        "$.tables[0].synchronization.watermarkColumn",
        "$.tables[0].synchronization.foo",
        "$.tables[1].source.tableName",
        "$.tables[1].target",
        "$.tables[1].extraction.externalStage",
    ]


def test_the_error_reads_as_a_list_of_places_and_cures() -> None:
    with pytest.raises(WorkflowError) as caught:
        parse(workflow(afinity="x", name=5))
    assert str(caught.value) == (
        "flow.json: 2 problems\n"
        "  $.afinity: is not a known key.\n"
        '    Did you mean "affinity"?\n'
        "  $.name: must be a string, but is 5.\n"
        "    Write it between double quotes."
    )


def test_long_values_are_echoed_short() -> None:
    for problem in problems(workflow(table(source={"tableName": "a b" * 1000, "x" * 1000: 1}))):
        assert len(problem.message) < 100
        assert len(problem.path) < 100


def test_a_workflow_keeps_what_its_file_says() -> None:
    text = json.dumps(workflow(affinity="night", name="shop_2"))
    loaded = parse(text)
    assert (loaded.name, loaded.affinity, loaded.source_platform) == ("shop_2", "night", "postgresql")
    assert loaded.file == Path("flow.json")
    assert loaded.content_hash == hashlib.sha256(text.encode()).hexdigest()
    assert loaded.raw == json.loads(text)


def test_omitted_keys_have_the_defaults_of_the_format() -> None:
    (only,) = parse(workflow()).tables
    assert only.column_names_to_partition_by == ()
    assert only.extraction.strategy == "regular"
    assert only.synchronization.strategy == "none"
    assert only.target.table_type == "native"
    assert only.partition_size.is_auto
    assert (only.consistency, only.metrics_check, only.replace_existing) == ("snapshot", True, False)
    assert (only.schema_drift, only.staged_generations) == ("fail", 1)
    assert (only.synchronization.track_deletions, only.synchronization.deletion_limit) == (False, 0.2)
    assert only.synchronization.lookback_window is None


def test_null_means_not_set_for_every_optional_key() -> None:
    optional = ["columnNamesToPartitionBy", "extraction", "synchronization", "columnTypeMappings"]
    optional += ["columnNameMappings", "primaryKeyColumns", "partitionSize", "whereClauseCriteria"]
    optional += ["consistency", "metricsCheck", "fingerprintCheck", "replaceExisting"]
    optional += ["schemaDrift", "stagedGenerations"]
    nulls = table(target={"tableType": None, "icebergConfig": None}, **dict.fromkeys(optional))
    top = dict.fromkeys(["schemaVersion", "name", "sourcePlatform", "affinity", "defaultTableConfiguration"])
    top |= dict.fromkeys(["schedule", "scheduleTimeZone"])
    assert parse(workflow(nulls, **top)).tables == parse(workflow()).tables


def test_a_schema_key_for_editors_is_ignored() -> None:
    assert parse(workflow(**{"$schema": "workflow.schema.json"})).tables == parse(workflow()).tables


@pytest.mark.parametrize("version", ["1", "1.0", "1.7", "1.0.0", "1.2.3", None])
def test_every_version_1_of_the_format_is_read(version: str | None) -> None:
    assert not problems(workflow(schemaVersion=version))


def test_the_source_platform_comes_from_the_file_or_from_outside() -> None:
    assert parse(workflow(sourcePlatform="redshift"), None).source_platform == "redshift"
    assert parse(workflow(), "teradata").source_platform == "teradata"
    assert parse(workflow(sourcePlatform="redshift"), "redshift").source_platform == "redshift"


@pytest.mark.parametrize(
    ("in_file", "given_platform", "words"),
    [
        (None, None, "is required"),
        ("redshift", "postgresql", 'is "redshift", but "postgresql" was given'),
        (None, "oracle", 'given from outside the file as "oracle"'),
    ],
)
def test_an_unclear_source_platform_is_refused(in_file: str | None, given_platform: str | None, words: str) -> None:
    (problem,) = problems(workflow(sourcePlatform=in_file), given_platform)
    assert problem.path == "$.sourcePlatform"
    assert words in problem.message


@pytest.mark.parametrize(
    ("file", "name"),
    [("a/orders.json", "orders"), ("orders-2 eu.v3.json", "orders_2_eu_v3"), ("_x", "_x")],
)
def test_a_workflow_without_a_name_takes_its_files(file: str, name: str) -> None:
    assert parse_workflow(json.dumps(workflow()), file=file, source_platform="postgresql").name == name


@pytest.mark.parametrize("file", ["2024.json", "größe.json", "a+b.json"])
def test_a_file_whose_name_cant_serve_needs_the_key(file: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        parse_workflow(json.dumps(workflow()), file=file, source_platform="postgresql")
    assert [problem.path for problem in caught.value.problems] == ["$.name"]


def test_a_file_is_loaded_with_its_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(workflow()).encode())
    loaded = load_workflow(file, "postgresql")
    assert loaded.file == file
    assert loaded.content_hash == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "words"), [("missing.json", "does not exist"), (".", "is a directory"), ("a\0b", "path")]
)
def test_a_file_that_cant_be_read_is_a_problem_like_any_other(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        load_workflow(tmp_path / name, "postgresql")
    (problem,) = caught.value.problems
    assert problem.path == "$"
    assert words in problem.message


def test_problems_name_the_file_as_the_user_did(tmp_path: Path) -> None:
    file = tmp_path / "orders.json"
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(WorkflowError) as caught:
        load_workflow(str(file), "postgresql")
    assert caught.value.problems == (Problem(str(file), "$.tables", "is required", "Add it."),)


def test_the_configuration_hash_depends_on_the_meaning_alone() -> None:
    spelt_out = table(consistency="snapshot", partitionSize="auto", synchronization={"strategy": "none"})
    from_defaults = workflow(
        {"source": {"tableName": "orders"}, "target": table()["target"]},
        defaultTableConfiguration={"source": {"databaseName": "shop", "schemaName": "public"}},
    )
    (plain,) = parse(workflow()).tables
    for document in (workflow(spelt_out), from_defaults, json.dumps(workflow(), indent=4)):
        (same,) = parse(document).tables
        assert same.config_hash("postgresql") == plain.config_hash("postgresql")


def test_the_configuration_hash_changes_with_the_table_and_the_platform() -> None:
    tables = [table(), table(whereClauseCriteria="a = 1"), table(columnNamesToPartitionBy=["a"])]
    hashes = {parse(workflow(each)).tables[0].config_hash("postgresql") for each in tables}
    hashes.add(parse(workflow()).tables[0].config_hash("redshift"))
    assert len(hashes) == 4


def test_the_configuration_hash_is_the_same_in_every_version() -> None:
    (only,) = parse(workflow(table(partitionSize={"targetSizeMb": 64}))).tables
    assert only.config_hash("postgresql") == ("6ec0b6866fe0557f4bab6a407f5160cbb67a6bc555eaefe5a744002b6cc3ab4f")


@pytest.mark.parametrize(
    ("lookback", "window"),
    [
        ("90s", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("1d 12h", timedelta(days=1, hours=12)),
        ("1d12h0m  5s", timedelta(days=1, hours=12, seconds=5)),
        ("36500d", timedelta(days=36_500)),
        ("0.1", Decimal("0.1")),
        ("100", Decimal("100")),
        ("12345678901234567890", Decimal("12345678901234567890")),
        ("1e-7", Decimal("0.0000001")),
    ],
)
def test_a_lookback_is_a_time_or_the_number_that_is_written(lookback: str, window: timedelta | Decimal) -> None:
    value = lookback if isinstance(window, timedelta) else json.loads(lookback)
    (only,) = parse(workflow(sync(strategy="watermark", watermarkColumn="t", lookback=value))).tables
    assert only.synchronization.lookback == value
    assert only.synchronization.lookback_window == window
    assert type(only.synchronization.lookback_window) is type(window)


def content_hash(*, platform: SourcePlatform = "postgresql", **keys: object) -> str:
    (only,) = parse(workflow(table(**keys)), platform).tables
    return only.content_hash(platform)


# Values of the keys that say how the rows of a table are moved; the others say which.
HOW: Json = {
    "partitionSize": {"targetSizeMb": 5},
    "consistency": "strict",
    "metricsCheck": False,
    "fingerprintCheck": False,
    "replaceExisting": True,
    "schemaDrift": "evolve",
    "stagedGenerations": 5,
    "columnNamesToPartitionBy": ["a"],
}
WHICH: Json = {
    "source": {"tableName": "other"},
    "target": {"tableName": "OTHER"},
    "extraction": {"strategy": "unload", "externalStage": "A.B.C"},
    "synchronization": {"strategy": "checksum"},
    "columnTypeMappings": [{"sourceType": "A", "targetType": "INT"}],
    "columnNameMappings": [mapping("a", "b")],
    "primaryKeyColumns": ["a"],
    "whereClauseCriteria": "a = 1",
}


def test_the_hash_of_the_content_depends_on_what_the_target_holds_alone() -> None:
    platform: SourcePlatform = "redshift"
    plain = content_hash(platform=platform)
    assert {key for key, value in HOW.items() if content_hash(platform=platform, **{key: value}) != plain} == set()
    assert len({plain, *(content_hash(platform=platform, **{key: value}) for key, value in WHICH.items())}) == 9
    assert plain != content_hash()


def test_the_hash_of_the_content_stays_whichever_program_reads_the_rows() -> None:
    bcp = {"strategy": "regular", "bulkUtility": "bcp"}

    assert content_hash(platform="sqlserver", extraction=bcp) == content_hash(platform="sqlserver")


def test_every_key_of_a_table_says_either_which_rows_or_how_they_are_moved() -> None:
    assert sorted([*HOW, *WHICH]) == sorted(str(f.alias) for f in TableConfiguration.model_fields.values())


def test_the_hash_of_the_content_stays_with_how_a_watermark_is_followed() -> None:
    watermark = {"strategy": "watermark", "watermarkColumn": "t"}
    plain = content_hash(synchronization=watermark, primaryKeyColumns=["a"])
    how: Json = {"lookback": "2h", "trackDeletions": True, "deletionLimit": 0.5}
    assert content_hash(synchronization=watermark | how, primaryKeyColumns=["a"]) == plain
    for which in ({"trackModifications": True}, {"watermarkColumn": "u"}):
        assert content_hash(synchronization=watermark | which, primaryKeyColumns=["a"]) != plain


def test_the_hash_of_the_content_is_the_same_for_defaults_that_are_written_out() -> None:
    spelt_out: Json = {"strategy": "none", "trackModifications": False, "trackDeletions": False, "lookback": None}
    assert content_hash(synchronization=spelt_out) == content_hash()
    assert content_hash(synchronization={"strategy": "none"}, schemaDrift="fail") == content_hash()


def test_the_division_of_a_table_is_content_for_checksums() -> None:
    checksum = {"strategy": "checksum"}
    by_column = [content_hash(synchronization=checksum, columnNamesToPartitionBy=[name]) for name in "ab"]
    assert len({content_hash(synchronization=checksum), *by_column}) == 3


def test_the_hash_of_the_content_is_the_same_in_every_version() -> None:
    assert content_hash(partitionSize={"targetSizeMb": 64}) == (
        "b4558c40bd4a55b4379a678126b26d27eb154d4c49d5cffb5f9042130eafa667"
    )


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = st.sampled_from(
    sorted({"$schema", *re.findall(r'"(\w+)":', render())})  # every word that is a key of the format, and more
)
words = st.sampled_from(["none", "watermark", "checksum", "unload", "regular", "iceberg", "auto", "a = 1", '"'])
values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)
objects = st.dictionaries(keys, values, max_size=8)


def assert_workflow_or_problems(text: str | bytes) -> None:
    found = problems(text, require_supported=True)
    assert all(problem.message and problem.cure for problem in found)
    assert "\n".join(map(str, found)).encode() is not None


@settings(max_examples=150, deadline=None)
@given(values)
def test_any_json_is_a_workflow_or_a_list_of_problems(value: object) -> None:
    assert_workflow_or_problems(json.dumps(value))


@settings(max_examples=150, deadline=None)
@given(objects, st.lists(objects, max_size=3))
def test_any_tables_are_a_workflow_or_a_list_of_problems(defaults: Json, tables: list[Json]) -> None:
    made = [table(**each) for each in tables]
    assert_workflow_or_problems(json.dumps({"defaultTableConfiguration": defaults, "tables": made}))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=40))
def test_any_text_is_a_workflow_or_a_list_of_problems(text: str | bytes) -> None:
    assert_workflow_or_problems(text)
