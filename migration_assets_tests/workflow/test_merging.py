"""Defaults are merged into tables, and a problem is shown where its value was written."""

from __future__ import annotations

import pytest

from migration_assets.workflow.merging import merge
from migration_assets_tests.workflow.documents import REDSHIFT_ICEBERG, Json, parse, problems, table, workflow

WATERMARK = {"strategy": "watermark", "watermarkColumn": "t"}
UNLOAD = {"strategy": "unload", "externalStage": "A.B.C"}

# (defaults, table, merged)
MERGED: dict[str, tuple[Json, Json, Json]] = {
    "nothing": ({}, {"consistency": "strict"}, {"consistency": "strict"}),
    "a scalar of the default": ({"consistency": "strict"}, {}, {"consistency": "strict"}),
    "a scalar of the table": (
        {"whereClauseCriteria": "a = 1"},
        {"whereClauseCriteria": "b = 2"},
        {"whereClauseCriteria": "b = 2"},
    ),
    "objects key by key": (
        {"source": {"databaseName": "d", "schemaName": "s"}},
        {"source": {"schemaName": "own", "tableName": "t"}},
        {"source": {"databaseName": "d", "schemaName": "own", "tableName": "t"}},
    ),
    "an object of the default": ({"synchronization": WATERMARK}, {}, {"synchronization": WATERMARK}),
    "synchronization key by key": (
        {"synchronization": WATERMARK},
        {"synchronization": {"trackModifications": True}},
        {"synchronization": {**WATERMARK, "trackModifications": True}},
    ),
    "Iceberg settings key by key": (
        {
            "target": {
                "tableType": "iceberg",
                "icebergConfig": {"externalVolume": "v", "catalog": "SNOWFLAKE"},
            }
        },
        {"target": {"icebergConfig": {"catalog": "glue"}}},
        {"target": {"tableType": "iceberg", "icebergConfig": {"externalVolume": "v", "catalog": "glue"}}},
    ),
    "collections as a whole": (
        {"columnNameMappings": [{"sourceName": "a", "targetName": "b"}], "primaryKeyColumns": ["a", "b"]},
        {"columnNameMappings": [], "primaryKeyColumns": ["c"]},
        {"columnNameMappings": [], "primaryKeyColumns": ["c"]},
    ),
    "the partition size as a whole": (
        {"partitionSize": {"targetSizeMb": 5}},
        {"partitionSize": {"maxRowsPerPartition": 5}},
        {"partitionSize": {"maxRowsPerPartition": 5}},
    ),
    "a null takes a default away": (
        {"whereClauseCriteria": "a = 1", "source": {"schemaName": "s"}, "synchronization": WATERMARK},
        {"whereClauseCriteria": None, "source": {"schemaName": None}, "synchronization": None},
        {"source": {}},
    ),
    "another strategy drops the watermark": (
        {"synchronization": {**WATERMARK, "trackModifications": True}},
        {"synchronization": {"strategy": "none"}},
        {"synchronization": {"strategy": "none"}},
    ),
    "another strategy drops what refines the watermark": (
        {"synchronization": {**WATERMARK, "lookback": "2h", "trackDeletions": True, "deletionLimit": 0.5}},
        {"synchronization": {"strategy": "checksum"}},
        {"synchronization": {"strategy": "checksum"}},
    ),
    "a table that deletes nothing keeps the limit": (
        {"synchronization": {**WATERMARK, "trackDeletions": True, "deletionLimit": 0.5}},
        {"synchronization": {"trackDeletions": False}},
        {"synchronization": {**WATERMARK, "trackDeletions": False, "deletionLimit": 0.5}},
    ),
    "the same strategy keeps it": (
        {"synchronization": WATERMARK},
        {"synchronization": {"strategy": "watermark"}},
        {"synchronization": WATERMARK},
    ),
    "another extraction drops the stage": (
        {"extraction": UNLOAD},
        {"extraction": {"strategy": "regular"}},
        {"extraction": {"strategy": "regular"}},
    ),
    "another extraction drops the bulk utility": (
        {"extraction": {"strategy": "regular", "bulkUtility": "bcp"}},
        {"extraction": UNLOAD},
        {"extraction": UNLOAD},
    ),
    "a table keeps the strategy and chooses its bulk utility": (
        {"extraction": {"strategy": "regular", "bulkUtility": "bcp"}},
        {"extraction": {"bulkUtility": "none"}},
        {"extraction": {"strategy": "regular", "bulkUtility": "none"}},
    ),
    "a native table drops the Iceberg settings": (
        {"target": {"tableType": "iceberg", "icebergConfig": {"externalVolume": "v"}}},
        {"target": {"tableType": None}},
        {"target": {}},
    ),
    "an own value of another kind wins": ({"source": {"schemaName": "s"}}, {"source": 5}, {"source": 5}),
    "an own object wins over a broken default": ({"source": 5}, {"source": {"a": 1}}, {"source": {"a": 1}}),
}


@pytest.mark.parametrize(("defaults", "own", "merged"), MERGED.values(), ids=MERGED.keys())
def test_defaults_are_merged(defaults: Json, own: Json, merged: Json) -> None:
    assert merge(defaults, own, 0).values == merged


@pytest.mark.parametrize(("defaults", "own", "merged"), MERGED.values(), ids=MERGED.keys())
def test_merging_changes_neither_side(defaults: Json, own: Json, merged: Json) -> None:
    before = repr((defaults, own))
    merge(defaults, own, 0)
    assert repr((defaults, own)) == before


def test_an_iceberg_table_inherits_what_it_does_not_set() -> None:
    managed, external, converted = (each.target.iceberg_config for each in parse(REDSHIFT_ICEBERG, "redshift").tables)
    assert managed is not None
    assert external is not None
    assert converted is not None
    assert managed.catalog == "SNOWFLAKE"
    assert (external.catalog, external.base_location_prefix) == ("glue_integration", "from/redshift")
    assert converted.migration_strategy == "convert_to_managed"


# (defaults, path): each is reported once, however many tables inherit it.
BAD_DEFAULTS: list[tuple[object, str]] = [
    ([], ""),
    ("", ""),
    (5, ""),
    ({"source": "shop"}, ".source"),
    ({"source": {"databaseName": 5}}, ".source.databaseName"),
    ({"target": {"schemaName": "a b"}}, ".target.schemaName"),
    ({"target": {"tableType": "iceberg", "icebergConfig": []}}, ".target.icebergConfig"),
    ({"synchronization": {"strategy": "sometimes"}}, ".synchronization.strategy"),
    ({"synchronization": {"strategy": "none", "watermarkColumn": "t"}}, ".synchronization.watermarkColumn"),
    ({"partitionSize": {}}, ".partitionSize"),
    ({"columnNameMappings": [{"sourceName": "a"}]}, ".columnNameMappings[0].targetName"),
    ({"primaryKeyColumns": ["a", "a"]}, ".primaryKeyColumns[1]"),
    ({"whereClauseCriteria": "a ="}, ".whereClauseCriteria"),
    ({"metricsCheck": "yes"}, ".metricsCheck"),
    ({"consistensy": "strict"}, ".consistensy"),
]


@pytest.mark.parametrize(("defaults", "path"), BAD_DEFAULTS)
def test_a_bad_default_is_reported_once_where_it_is_written(defaults: object, path: str) -> None:
    tables = [table(target={"tableName": f"t{n}"}) for n in range(3)]
    found = problems(workflow(*tables, defaultTableConfiguration=defaults))
    assert [problem.path for problem in found] == ["$.defaultTableConfiguration" + path]


@pytest.mark.parametrize("defaults", [5, {"source": "shop"}, {"source": {"databaseName": 5}}])
def test_what_tables_lack_because_of_a_broken_default_is_no_news(defaults: object) -> None:
    tables = [table(target={"tableName": f"t{n}"}) for n in range(3)]
    for each in tables:
        del each["source"]["databaseName"]
    assert len(problems(workflow(*tables, defaultTableConfiguration=defaults))) == 1


def test_a_wrong_default_is_reported_even_when_every_table_replaces_it() -> None:
    document = workflow(table(metricsCheck=True), defaultTableConfiguration={"metricsCheck": "yes"})
    assert [problem.path for problem in problems(document)] == ["$.defaultTableConfiguration.metricsCheck"]


def test_defaults_may_leave_to_the_tables_what_a_strategy_needs() -> None:
    document = workflow(
        table(synchronization={"watermarkColumn": "t"}),
        defaultTableConfiguration={"synchronization": {"strategy": "watermark"}},
    )
    assert not problems(document)


def test_what_a_table_lacks_is_shown_at_the_table() -> None:
    document = workflow(table(), defaultTableConfiguration={"synchronization": {"strategy": "watermark"}})
    assert [problem.path for problem in problems(document)] == ["$.tables[0].synchronization.watermarkColumn"]


def test_an_own_value_that_clashes_with_a_default_is_shown_at_the_table() -> None:
    document = workflow(
        table(synchronization={"watermarkColumn": "t"}),
        defaultTableConfiguration={"synchronization": {"strategy": "checksum"}},
    )
    assert [problem.path for problem in problems(document)] == ["$.tables[0].synchronization.watermarkColumn"]
