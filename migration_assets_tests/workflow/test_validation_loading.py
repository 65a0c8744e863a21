"""A validation workflow file becomes a `ValidationWorkflow`, or an error that lists everything to change in it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration_assets.validation.results import Cause, Level, RowKind, SchemaFinding
from migration_assets.workflow import (
    SourceTable,
    TargetTable,
    ValidationConfiguration,
    ValidationTable,
    WorkflowError,
    load_validation_workflow,
    parse_validation_workflow,
)
from migration_assets.workflow.schema import render_validation
from migration_assets.workflow.validation_model import Check, RowCause, SchemaAspect
from migration_assets_tests.workflow.documents import Json
from migration_assets_tests.workflow.validation_documents import entry, parse, problems, validation

TABLE = "$.tables[0]"
CONFIG = "$.validation_configuration"


def configured(**keys: object) -> Json:
    return validation(validation_configuration=keys)


def compared(**keys: object) -> Json:
    return validation(comparison_configuration=keys)


def waived(**keys: object) -> Json:
    return validation(entry(waivers=[{"reason": "known", **keys}]))


# (document, JSON path, words of the message or cure)
BAD_VALIDATIONS: dict[str, tuple[object, str, str]] = {
    "array": ("[]", "$", "not a JSON object"),
    "syntax error": ('{"tables": [}', "$", "line 1, column 13"),
    "not UTF-8": (b'{"name": "\xe4"}', "$", "Save the file as UTF-8"),
    "repeated key": ('{"name": "a", "name": "b", "tables": []}', "$.name", "more than once"),
    "no tables key": ({"source_platform": "redshift"}, "$.tables", "is required"),
    "only views": ({"source_platform": "redshift", "views": [entry()]}, "$.tables", "is required"),
    "null tables": (validation(tables=None), "$.tables", "is required"),
    "no tables": (validation(tables=[]), "$.tables", "at least one"),
    "tables as an object": (validation(tables={}), "$.tables", "must be a list, but is an object"),
    "table as a string": (validation("shop.public.orders"), TABLE, "must be an object"),
    "views as an object": (validation(views={}), "$.views", "must be a list"),
    "unknown key": (validation(afinity="x"), "$.afinity", 'Did you mean "affinity"?'),
    "unknown key, far off": (validation(zzz=1), "$.zzz", "the keys known here are name, source_platform"),
    "camel case key": (validation(targetDatabase="x"), "$.targetDatabase", 'Did you mean "target_database"?'),
    "unknown key in a table": (
        validation(entry(where_claus="a = 1")),
        TABLE + ".where_claus",
        'Did you mean "where_clause"?',
    ),
    "unknown key in a view": (
        validation(views=[entry("a.b.v", target="x")]),
        "$.views[0].target",
        'Did you mean "target_',
    ),
    "unknown key in the configuration": (
        configured(row_validaton=True),
        CONFIG + ".row_validaton",
        'Did you mean "row_validation"?',
    ),
    "unknown key in a table's configuration": (
        validation(entry(validation_configuration={"tolerance": 1})),
        TABLE + ".validation_configuration.tolerance",
        "the keys known here are schema_validation",
    ),
    "unknown key in the comparison": (
        compared(tolerence=1),
        "$.comparison_configuration.tolerence",
        'Did you mean "tolerance"?',
    ),
    "unknown key in a budget": (
        configured(budget={"second": 1}),
        CONFIG + ".budget.second",
        'Did you mean "seconds"?',
    ),
    "unknown key in a waiver": (
        waived(check="rows", colum="a"),
        TABLE + ".waivers[0].colum",
        'Did you mean "column"?',
    ),
    "name with a dash": (validation(name="a-b"), "$.name", "letters, digits and underscores"),
    "no platform": ({"tables": [entry()]}, "$.source_platform", "is required"),
    "unknown platform": (validation(source_platform="Oracle"), "$.source_platform", "Use one of: sqlserver"),
    "misspelt platform": (
        validation(source_platform="RedShfit"),
        "$.source_platform",
        'Did you mean "redshift"?',
    ),
    "platform as a number": (validation(source_platform=5), "$.source_platform", "is 5"),
    "another target platform": (
        validation(target_platform="BigQuery"),
        "$.target_platform",
        "Use one of: Snowflake",
    ),
    "target platform as a number": (validation(target_platform=1), "$.target_platform", "Use one of: Snowflake"),
    "dotted target database": (validation(target_database="a.b"), "$.target_database", "without a dot"),
    "empty target database": (validation(target_database=""), "$.target_database", "empty name"),
    "empty affinity": (validation(affinity=""), "$.affinity", "is empty"),
    "compute in words": (
        validation(use_snowflake_compute="yes"),
        "$.use_snowflake_compute",
        "true or false without quotes",
    ),
    "configuration as a list": (validation(validation_configuration=[]), CONFIG, "must be an object"),
    "comparison as a number": (
        validation(comparison_configuration=0.1),
        "$.comparison_configuration",
        "must be an object",
    ),
    **{
        f"{key} in words": (configured(**{key: "yes"}), f"{CONFIG}.{key}", "true or false")
        for key in (
            *("schema_validation", "metrics_validation", "row_validation", "continue_on_failure"),
            *("exclude_metrics", "apply_metric_column_modifier", "distinct_metrics", "mask_values"),
        )
    },
    "row mode": (
        configured(row_validation_mode="cells"),
        CONFIG + ".row_validation_mode",
        'Did you mean "cell"? Use one of: row, cell',
    ),
    "snapshot": (
        configured(snapshot="require"),
        CONFIG + ".snapshot",
        'Did you mean "required"? Use one of: required, best_effort',
    ),
    "no failed rows": (
        configured(max_failed_rows_number=0),
        CONFIG + ".max_failed_rows_number",
        "greater than 0",
    ),
    "half a failed row": (
        configured(max_failed_rows_number=0.5),
        CONFIG + ".max_failed_rows_number",
        "a whole number",
    ),
    "failed rows in words": (
        configured(max_failed_rows_number="100"),
        CONFIG + ".max_failed_rows_number",
        "without quotes",
    ),
    "budget as a number": (configured(budget=60), CONFIG + ".budget", "must be an object"),
    "no seconds": (configured(budget={"seconds": 0}), CONFIG + ".budget.seconds", "greater than 0"),
    "negative bytes": (configured(budget={"bytes": -1}), CONFIG + ".budget.bytes", "greater than 0"),
    "half a row": (configured(budget={"rows": 1.5}), CONFIG + ".budget.rows", "a whole number"),
    "no tolerance": (compared(tolerance=0), "$.comparison_configuration.tolerance", "greater than 0"),
    "negative tolerance": (compared(tolerance=-0.1), "$.comparison_configuration.tolerance", "greater than 0"),
    "tolerance in words": (compared(tolerance="0.1"), "$.comparison_configuration.tolerance", "a number"),
    "no absolute tolerance": (
        compared(absolute_tolerance=0),
        "$.comparison_configuration.absolute_tolerance",
        "greater than 0",
    ),
    "empty type mapping path": (
        compared(type_mapping_file_path=""),
        "$.comparison_configuration.type_mapping_file_path",
        "is empty",
    ),
    "missing type mapping file": (
        compared(type_mapping_file_path="nowhere/types.json"),
        "$.comparison_configuration.type_mapping_file_path",
        'names "nowhere/types.json", which does not exist. Name, relative to the workflow file',
    ),
    "database mappings as a list": (
        validation(database_mappings=["a"]),
        "$.database_mappings",
        "must be an object",
    ),
    "database mapped to nothing": (
        validation(database_mappings={"a": ""}),
        "$.database_mappings.a",
        "empty name",
    ),
    "database mapped to null": (
        validation(database_mappings={"a": None}),
        "$.database_mappings.a",
        "must be a string, but is null",
    ),
    "database mapped to two names": (
        validation(database_mappings={"a": "b.c"}),
        "$.database_mappings.a",
        "without a dot",
    ),
    "nothing mapped": (validation(schema_mappings={"": "a"}), '$.schema_mappings[""]', "empty name"),
    "no name mapped": (validation(schema_mappings={"a b": "c"}), '$.schema_mappings["a b"]', "quotes"),
    "schema mapped to a number": (validation(schema_mappings={"a": 1}), "$.schema_mappings.a", "a string"),
    "schema mapped twice": (
        validation(schema_mappings={"Dbo": "a", "dbo": "b"}),
        "$.schema_mappings.dbo",
        'is the same name as "Dbo"',
    ),
    "table without a name": (validation({}), TABLE + ".fully_qualified_name", "is required"),
    "table name as a number": (
        validation({"fully_qualified_name": 5}),
        TABLE + ".fully_qualified_name",
        "must be a string",
    ),
    "empty table name": (validation(entry("")), TABLE + ".fully_qualified_name", "an empty name"),
    "table name of one part": (
        validation(entry("orders")),
        TABLE + ".fully_qualified_name",
        'has 1 part: "orders". Write database.schema.table',
    ),
    "table name of two parts": (
        validation(entry("public.orders")),
        TABLE + ".fully_qualified_name",
        'has 2 parts: "public.orders". Write database.schema.table',
    ),
    "table name of four parts": (
        validation(entry("a.b.c.d")),
        TABLE + ".fully_qualified_name",
        "has 4 parts",
    ),
    "one part for teradata": (
        validation(entry("orders"), source_platform="Teradata"),
        TABLE + ".fully_qualified_name",
        "Write database.table or database.schema.table",
    ),
    "empty part": (validation(entry("a..b")), TABLE + ".fully_qualified_name", "an empty name"),
    "dot at the end": (validation(entry("a.b.c.")), TABLE + ".fully_qualified_name", "an empty name"),
    "unclosed quote": (validation(entry('a.b."c')), TABLE + ".fully_qualified_name", 'between " and "'),
    "text after a quote": (validation(entry('a.b."c"d')), TABLE + ".fully_qualified_name", 'between " and "'),
    "space in a part": (validation(entry("a.b.c d")), TABLE + ".fully_qualified_name", "double quotes"),
    "columns as a string": (
        validation(entry(column_selection_list="id")),
        TABLE + ".column_selection_list",
        "must be a list",
    ),
    "column as a number": (
        validation(entry(column_selection_list=[1])),
        TABLE + ".column_selection_list[0]",
        "must be a string",
    ),
    "empty column": (
        validation(entry(column_selection_list=[""])),
        TABLE + ".column_selection_list[0]",
        "empty name",
    ),
    "repeated column": (
        validation(entry(column_selection_list=["id", "day", "ID"])),
        TABLE + ".column_selection_list[2]",
        'repeats "ID" of entry [0]',
    ),
    "flag in words": (
        validation(entry(use_column_selection_as_exclude_list="no")),
        TABLE + ".use_column_selection_as_exclude_list",
        "true or false",
    ),
    "no column to leave out": (
        validation(entry(use_column_selection_as_exclude_list=True, column_selection_list=[])),
        TABLE + ".column_selection_list",
        "Name the columns to leave out",
    ),
    "no list to leave out": (
        validation(entry(use_column_selection_as_exclude_list=True)),
        TABLE + ".column_selection_list",
        "names no column",
    ),
    "dotted target name": (validation(entry(target_name="a.b")), TABLE + ".target_name", "without a dot"),
    "empty target schema": (validation(entry(target_schema="")), TABLE + ".target_schema", "empty name"),
    "target database as a number": (
        validation(entry(target_database=1)),
        TABLE + ".target_database",
        "a string",
    ),
    "filter": (validation(entry(where_clause="a = 1;")), TABLE + ".where_clause", "semicolon"),
    "filter of another platform": (
        validation(entry(where_clause="active"), source_platform="SqlServer"),
        TABLE + ".where_clause",
        "is not a condition",
    ),
    "empty filter": (validation(entry(where_clause="")), TABLE + ".where_clause", "is empty"),
    "filter with WHERE": (validation(entry(where_clause="WHERE a = 1")), TABLE + ".where_clause", "WHERE"),
    "filter as a number": (validation(entry(where_clause=1)), TABLE + ".where_clause", "must be a string"),
    "target filter": (
        validation(entry(target_where_clause="sum(a) > 1")),
        TABLE + ".target_where_clause",
        "aggregate",
    ),
    "target filter with a comment": (
        validation(entry(target_where_clause="a = 1 // all")),
        TABLE + ".target_where_clause",
        "comment",
    ),
    "empty target filter": (
        validation(entry(target_where_clause="")),
        TABLE + ".target_where_clause",
        "is empty",
    ),
    "repeated index column": (
        validation(entry(index_column_list=["a", '"a"'])),
        TABLE + ".index_column_list[1]",
        "repeats",
    ),
    "repeated target index column": (
        validation(entry(index_column_list=["a", "b"], target_index_column_list=["x", "X"])),
        TABLE + ".target_index_column_list[1]",
        "repeats",
    ),
    "fewer target index columns": (
        validation(entry(index_column_list=["a", "b"], target_index_column_list=["a"])),
        TABLE + ".target_index_column_list",
        "1 against 2",
    ),
    "target index columns alone": (
        validation(entry(target_index_column_list=["a"])),
        TABLE + ".target_index_column_list",
        "Add index_column_list",
    ),
    "index column mapped elsewhere": (
        validation(
            entry(index_column_list=["a"], target_index_column_list=["x"], column_mappings={"A": "y"}),
        ),
        TABLE + ".target_index_column_list[0]",
        'column_mappings lead from "a" to "y"',
    ),
    "column mappings as a list": (
        validation(entry(column_mappings=[])),
        TABLE + ".column_mappings",
        "must be an object",
    ),
    "column mapped to nothing": (
        validation(entry(column_mappings={"a": ""})),
        TABLE + ".column_mappings.a",
        "empty name",
    ),
    "nothing mapped to a column": (
        validation(entry(column_mappings={"": "a"})),
        TABLE + '.column_mappings[""]',
        "empty name",
    ),
    "column mapped twice": (
        validation(entry(column_mappings={"a": "x", "A": "y"})),
        TABLE + ".column_mappings.A",
        "is the same name",
    ),
    "two columns to one": (
        validation(entry(column_mappings={"a": "x", "b": '"X"'})),
        TABLE + ".column_mappings.b",
        'as "a" does',
    ),
    "case in words": (validation(entry(is_case_sensitive="no")), TABLE + ".is_case_sensitive", "true or false"),
    "no chunks": (validation(entry(chunk_number=0)), TABLE + ".chunk_number", "greater than 0"),
    "chunks in words": (validation(entry(chunk_number="4")), TABLE + ".chunk_number", "a whole number"),
    "no failed rows of a table": (
        validation(entry(max_failed_rows_number=-5)),
        TABLE + ".max_failed_rows_number",
        "greater than 0",
    ),
    "metrics exclusion as a number": (
        validation(entry(exclude_metrics=1)),
        TABLE + ".exclude_metrics",
        "true or false",
    ),
    "metric modifier as a number": (
        validation(entry(apply_metric_column_modifier=1)),
        TABLE + ".apply_metric_column_modifier",
        "true or false",
    ),
    "two caps of a table": (
        validation(entry(max_failed_rows_number=5, validation_configuration={"max_failed_rows_number": 6})),
        TABLE + ".max_failed_rows_number",
        "is 5, but 6 in validation_configuration of the same entry. Keep one of the two",
    ),
    "two exclusions of a table": (
        validation(entry(exclude_metrics=True, validation_configuration={"exclude_metrics": False})),
        TABLE + ".exclude_metrics",
        "Keep one of the two",
    ),
    "two modifiers of a table": (
        validation(
            entry(apply_metric_column_modifier=False, validation_configuration={"apply_metric_column_modifier": True})
        ),
        TABLE + ".apply_metric_column_modifier",
        "Keep one of the two",
    ),
    "object type": (
        validation(entry(object_type="SYNONYM")),
        TABLE + ".object_type",
        "Use one of: TABLE, VIEW",
    ),
    "object type as a number": (validation(entry(object_type=1)), TABLE + ".object_type", "is 1"),
    "table among views": (
        validation(views=[entry("a.b.v", object_type="TABLE")]),
        "$.views[0].object_type",
        "Move the entry to tables",
    ),
    "dotted partition column": (
        validation(entry(partition_column="a.b")),
        TABLE + ".partition_column",
        "without a dot",
    ),
    "table's configuration as true": (
        validation(entry(validation_configuration=True)),
        TABLE + ".validation_configuration",
        "must be an object",
    ),
    "table's row mode": (
        validation(entry(validation_configuration={"row_validation_mode": "rows"})),
        TABLE + ".validation_configuration.row_validation_mode",
        'Did you mean "row"?',
    ),
    "table's cap": (
        validation(entry(validation_configuration={"max_failed_rows_number": 0})),
        TABLE + ".validation_configuration.max_failed_rows_number",
        "greater than 0",
    ),
    "same table twice": (
        validation(entry(), entry("SHOP.public.orders", where_clause="a = 1")),
        "$.tables[1].fully_qualified_name",
        "the same source and target as $.tables[0]",
    ),
    "same table by its target": (
        validation(entry(), entry(target_database="Shop", target_schema='"PUBLIC"', target_name="orders")),
        "$.tables[1].fully_qualified_name",
        "Remove one of the two",
    ),
    "table and view are the same": (
        validation(views=[entry()]),
        "$.views[0].fully_qualified_name",
        "the same source and target as $.tables[0]",
    ),
    "waivers as an object": (validation(entry(waivers={})), TABLE + ".waivers", "must be a list"),
    "waiver without check": (waived(), TABLE + ".waivers[0].check", "is required"),
    "waiver of an unknown check": (
        waived(check="row"),
        TABLE + ".waivers[0].check",
        'Did you mean "rows"? Use one of: schema, metrics, rows',
    ),
    "waiver without reason": (
        validation(entry(waivers=[{"check": "rows"}])),
        TABLE + ".waivers[0].reason",
        "is required",
    ),
    "waiver with an empty reason": (waived(check="rows", reason=""), TABLE + ".waivers[0].reason", "Say why"),
    "waiver with a blank reason": (waived(check="rows", reason="  "), TABLE + ".waivers[0].reason", "Say why"),
    "waiver of an unknown aspect": (
        waived(check="schema", aspect="types"),
        TABLE + ".waivers[0].aspect",
        'Did you mean "type"?',
    ),
    "waiver of an unknown cause": (
        waived(check="rows", cause="trailing space"),
        TABLE + ".waivers[0].cause",
        'Did you mean "trailing spaces"?',
    ),
    "waiver of a dotted column": (waived(check="rows", column="a.b"), TABLE + ".waivers[0].column", "dot"),
    "waiver of an empty metric": (waived(check="metrics", metric=""), TABLE + ".waivers[0].metric", "is empty"),
    "metric of a schema": (
        waived(check="schema", metric="sum"),
        TABLE + ".waivers[0].metric",
        'has no use with check "schema". Remove it, or set check to "metrics"',
    ),
    "cause of metrics": (
        waived(check="metrics", cause="missing"),
        TABLE + ".waivers[0].cause",
        'set check to "rows"',
    ),
    "aspect of rows": (waived(check="rows", aspect="type"), TABLE + ".waivers[0].aspect", "no use"),
    "column of a missing row": (
        waived(check="rows", cause="missing", column="a"),
        TABLE + ".waivers[0].column",
        "the row differs as a whole",
    ),
    "repeated waiver": (
        validation(
            entry(
                waivers=[
                    {"check": "rows", "column": "a", "reason": "x"},
                    {"check": "rows", "column": "A", "reason": "y"},
                ]
            )
        ),
        TABLE + ".waivers[1]",
        "covers the same as entry [0]",
    ),
}


@pytest.mark.parametrize(("document", "path", "words"), BAD_VALIDATIONS.values(), ids=BAD_VALIDATIONS.keys())
def test_a_bad_document_is_refused_with_its_place_and_a_cure(document: object, path: str, words: str) -> None:
    found = [problem for problem in problems(document) if problem.path == path]
    assert any(words in f"{problem.message}. {problem.cure}" for problem in found), problems(document)


@pytest.mark.parametrize(("document", "path", "words"), BAD_VALIDATIONS.values(), ids=BAD_VALIDATIONS.keys())
def test_problems_are_said_once_in_plain_words(document: object, path: str, words: str) -> None:
    found = problems(document)
    assert len({(problem.path, problem.message) for problem in found}) == len(found)
    for text in map(str, found):
        assert not any(jargon in text for jargon in ("Input should", "pydantic", "tuple", "http", "Extra inputs"))


def test_all_problems_of_a_file_are_reported_at_once_in_its_order() -> None:
    document = {
        "validation_configuration": {"row_validation_mode": "all", "foo": 1},
        "source_platform": "postgresql",
        "schema_mappings": {"a.b": "c"},
        "tables": [
            {"where_clause": "1 +", "fully_qualified_name": "a.b", "colour": 1},
            entry(target_index_column_list=["a"], waivers=[{"check": "schema", "cause": "sign"}]),
        ],
        "views": [entry(object_type="table")],
        "comparison_configuration": {"tolerance": 0},
    }
    assert [problem.path for problem in problems(document)] == [
        "$.validation_configuration.row_validation_mode",
        "$.validation_configuration.foo",
        '$.schema_mappings["a.b"]',
        "$.tables[0].where_clause",
        "$.tables[0].fully_qualified_name",
        "$.tables[0].colour",
        "$.tables[1].target_index_column_list",
        "$.tables[1].waivers[0].reason",
        "$.tables[1].waivers[0].cause",
        "$.views[0].fully_qualified_name",
        "$.views[0].object_type",
        "$.comparison_configuration.tolerance",
    ]


def test_a_list_of_wrong_entries_is_not_called_empty() -> None:
    assert [problem.path for problem in problems(validation("orders"))] == [TABLE]


def test_a_wrong_setting_of_the_file_is_said_once_for_all_its_tables() -> None:
    document = validation(entry(), entry("a.b.c"), validation_configuration={"max_failed_rows_number": 0})
    assert [problem.path for problem in problems(document)] == ["$.validation_configuration.max_failed_rows_number"]


def test_a_workflow_keeps_what_its_file_says() -> None:
    text = json.dumps(validation(affinity="night", name="check_2", use_snowflake_compute=True))
    loaded = parse(text)
    assert (loaded.name, loaded.affinity, loaded.source_platform) == ("check_2", "night", "postgresql")
    assert loaded.file == Path("check.json")
    assert loaded.content_hash == hashlib.sha256(text.encode()).hexdigest()
    assert loaded.raw == json.loads(text)


def test_omitted_keys_have_the_defaults_of_the_format() -> None:
    (only,) = parse(validation()).tables
    assert only == ValidationTable(
        source=SourceTable(database_name="shop", schema_name="public", table_name="orders"),
        target=TargetTable(database_name="shop", schema_name="public", table_name="orders"),
    )
    assert (only.schema_validation, only.metrics_validation, only.row_validation) == (True, True, False)
    assert (only.row_validation_mode, only.continue_on_failure, only.max_failed_rows_number) == ("row", False, 100)
    assert (only.exclude_metrics, only.apply_metric_column_modifier) == (False, True)
    assert (only.distinct_metrics, only.mask_values, only.snapshot) == (False, False, "best_effort")
    assert only.budget.model_dump() == {"seconds": None, "bytes": None, "rows": None}
    assert (only.tolerance, only.absolute_tolerance) == (None, None)
    assert (only.object_type, only.is_case_sensitive, only.chunk_number) == ("TABLE", False, None)


def test_null_means_not_set_for_every_optional_key() -> None:
    settings_nulls = dict.fromkeys(ValidationConfiguration.model_fields)
    optional: Json = {
        **dict.fromkeys(
            (
                *("use_column_selection_as_exclude_list", "column_selection_list", "target_name"),
                *("target_database", "target_schema", "where_clause", "target_where_clause"),
                *("index_column_list", "target_index_column_list", "column_mappings", "is_case_sensitive"),
                *("chunk_number", "max_failed_rows_number", "exclude_metrics", "apply_metric_column_modifier"),
                *("object_type", "partition_column", "waivers"),
            )
        ),
        "validation_configuration": settings_nulls,
    }
    top = dict.fromkeys(
        (
            *("name", "target_platform", "target_database", "database_mappings", "schema_mappings"),
            *("views", "affinity", "use_snowflake_compute"),
        )
    )
    comparison = dict.fromkeys(("tolerance", "absolute_tolerance", "type_mapping_file_path"))
    document = validation(
        entry(**optional), **top, validation_configuration=settings_nulls, comparison_configuration=comparison
    )
    assert parse(document).tables == parse(validation()).tables


def test_a_table_has_what_its_entry_says() -> None:
    document = validation(
        entry(
            column_selection_list=["a", '"B c"'],
            where_clause="active",
            target_where_clause="doc:active = true",
            index_column_list=["a", "b"],
            target_index_column_list=["x", "b"],
            column_mappings={"a": "x"},
            is_case_sensitive=True,
            chunk_number=4,
            object_type="Table",
            partition_column="a",
            waivers=[{"check": "schema", "column": "a", "aspect": "type", "reason": "agreed"}],
        ),
        comparison_configuration={"tolerance": 0.01, "absolute_tolerance": 1},
    )
    (only,) = parse(document).tables
    assert (only.included_columns, only.excluded_columns) == (("a", '"B c"'), ())
    assert (only.where_clause, only.target_where_clause) == ("active", "doc:active = true")
    assert (only.index_columns, only.target_index_columns) == (("a", "b"), ("x", "b"))
    assert only.column_mappings == {"a": "x"}
    assert (only.is_case_sensitive, only.chunk_number, only.partition_column) == (True, 4, "a")
    assert (only.tolerance, only.absolute_tolerance) == (0.01, 1)
    (waiver,) = only.waivers
    assert (waiver.check, waiver.column, waiver.aspect, waiver.reason) == ("schema", "a", "type", "agreed")


def test_the_column_selection_may_name_what_to_leave_out() -> None:
    document = validation(entry(column_selection_list=["a"], use_column_selection_as_exclude_list=True))
    (only,) = parse(document).tables
    assert (only.included_columns, only.excluded_columns) == ((), ("a",))


def test_views_come_after_the_tables_with_their_type() -> None:
    tables = [entry("a.b.t"), entry("a.b.u", object_type="view")]
    document = validation(*tables, views=[entry("a.b.v"), entry("a.b.w", object_type="view")])
    loaded = [(table.source.table_name, table.object_type) for table in parse(document).tables]
    assert loaded == [("t", "TABLE"), ("u", "VIEW"), ("v", "VIEW"), ("w", "VIEW")]


@pytest.mark.parametrize(
    ("of_file", "of_table", "direct", "expected"),
    [
        ({}, {}, {}, (100, False, True)),
        (
            {"max_failed_rows_number": 7, "exclude_metrics": True, "apply_metric_column_modifier": False},
            {},
            {},
            (7, True, False),
        ),
        ({"max_failed_rows_number": 7}, {"max_failed_rows_number": 8}, {}, (8, False, True)),
        ({"max_failed_rows_number": 7}, {"max_failed_rows_number": None}, {}, (100, False, True)),
        ({"max_failed_rows_number": 7}, {}, {"max_failed_rows_number": 9}, (9, False, True)),
        ({"max_failed_rows_number": 7}, {}, {"max_failed_rows_number": None}, (7, False, True)),
        ({}, {"max_failed_rows_number": 9}, {"max_failed_rows_number": 9}, (9, False, True)),
        ({"exclude_metrics": True}, {}, {"exclude_metrics": False}, (100, False, True)),
        (
            {"exclude_metrics": False},
            {"apply_metric_column_modifier": False},
            {"exclude_metrics": True},
            (100, True, False),
        ),
    ],
)
def test_the_nearest_setting_wins(
    of_file: Json, of_table: Json, direct: Json, expected: tuple[int, bool, bool]
) -> None:
    document = validation(entry(validation_configuration=of_table, **direct), validation_configuration=of_file)
    (only,) = parse(document).tables
    assert (only.max_failed_rows_number, only.exclude_metrics, only.apply_metric_column_modifier) == expected


def test_a_table_overrides_the_levels_it_names_and_inherits_the_others() -> None:
    document = validation(
        entry(validation_configuration={"metrics_validation": True, "row_validation_mode": "cell"}),
        entry("a.b.c"),
        validation_configuration={"schema_validation": False, "metrics_validation": False, "row_validation": True},
    )
    own, inherited = (
        (t.schema_validation, t.metrics_validation, t.row_validation, t.row_validation_mode)
        for t in parse(document).tables
    )
    assert own == (False, True, True, "cell")
    assert inherited == (False, False, True, "row")


@pytest.mark.parametrize(
    ("of_table", "expected"),
    [
        ({}, (60, 1000)),
        ({"budget": {"seconds": 5}}, (5, 1000)),
        ({"budget": {"bytes": None}}, (60, None)),
        ({"budget": None}, (None, None)),
    ],
)
def test_a_budget_is_merged_limit_by_limit(of_table: Json, expected: tuple[float | None, int | None]) -> None:
    document = validation(
        entry(validation_configuration=of_table),
        validation_configuration={"budget": {"seconds": 60, "bytes": 1000}},
    )
    (only,) = parse(document).tables
    assert (only.budget.seconds, only.budget.bytes) == expected


# (platform, fully qualified name, its database, schema and table)
NAMES = [
    ("postgresql", "shop.public.orders", ("shop", "public", "orders")),
    ("postgresql", 'shop.public."a.b"', ("shop", "public", '"a.b"')),
    ("postgresql", '"a"".".b.c', ('"a""."', "b", "c")),
    ("sqlserver", "[my.db].dbo.[a]].b]", ("[my.db]", "dbo", "[a]].b]")),
    ("redshift", "größe.x.y$1", ("größe", "x", "y$1")),
    ("teradata", "sales.orders", ("sales", "sales", "orders")),
    ("teradata", "a.b.c", ("a", "b", "c")),
]


@pytest.mark.parametrize(("platform", "name", "parts"), NAMES)
def test_a_qualified_name_has_parts_as_they_are_written(platform: str, name: str, parts: tuple[str, str, str]) -> None:
    source = parse(validation(entry(name), source_platform=platform)).tables[0].source
    assert (source.database_name, source.schema_name, source.table_name) == parts


MAPPINGS: Json = {
    "target_database": "LAKE",
    "database_mappings": {"erp": "ERP_LAKE", '"Odd"': "ODD"},
    "schema_mappings": {"public": "RAW"},
}


@pytest.mark.parametrize(
    ("own", "keys", "expected"),
    [
        (entry("shop.sales.t"), {}, ("shop", "sales", "t")),
        (entry('shop.sales."T x"'), {}, ("shop", "sales", '"T x"')),
        (entry("shop.sales.t"), {"target_database": "LAKE"}, ("LAKE", "sales", "t")),
        (entry("shop.public.t"), MAPPINGS, ("LAKE", "RAW", "t")),
        (entry("ERP.Public.t"), MAPPINGS, ("ERP_LAKE", "RAW", "t")),
        (entry('"erp"."public".t'), MAPPINGS, ("ERP_LAKE", "RAW", "t")),
        (entry('"ERP"."Public".t'), MAPPINGS, ("LAKE", '"Public"', "t")),
        (entry('"Odd".x.t'), MAPPINGS, ("ODD", "x", "t")),
        (entry("odd.x.t"), MAPPINGS, ("LAKE", "x", "t")),
        (
            entry("erp.public.t", target_database="D", target_schema="S", target_name='"n"'),
            MAPPINGS,
            ("D", "S", '"n"'),
        ),
    ],
)
def test_the_nearest_name_of_the_target_wins(own: Json, keys: Json, expected: tuple[str, str, str]) -> None:
    target = parse(validation(own, **keys)).tables[0].target
    assert (target.database_name, target.schema_name, target.table_name) == expected


def test_names_are_mapped_as_the_platform_compares_them() -> None:
    document = validation(entry("[ERP].DBO.t"), source_platform="SqlServer", database_mappings={"erp": "LAKE"})
    assert parse(document).tables[0].target.database_name == "LAKE"


def test_the_same_source_may_be_compared_with_two_targets() -> None:
    assert not problems(validation(entry(), entry(target_name="copy")))


def test_quoted_names_that_differ_in_case_are_two_tables() -> None:
    assert not problems(validation(entry('a.b."T"', target_name="x"), entry("a.b.t", target_name="x")))


@pytest.mark.parametrize(
    ("written", "platform"),
    [
        *(("SqlServer", "sqlserver"), ("sqlserver", "sqlserver"), ("SQL Server", "sqlserver"), ("MSSQL", "sqlserver")),
        *(("PostgreSQL", "postgresql"), ("postgres", "postgresql"), ("POSTGRES", "postgresql")),
        *(("Redshift", "redshift"), ("Teradata", "teradata")),
    ],
)
def test_a_platform_may_be_spelt_in_several_ways(written: str, platform: str) -> None:
    assert parse(validation(source_platform=written)).source_platform == platform
    assert parse({"tables": [entry()]}, written).source_platform == platform
    assert parse(validation(source_platform=written), platform).source_platform == platform


@pytest.mark.parametrize("written", ["Snowflake", "snowflake", "SNOWFLAKE", None])
def test_the_target_platform_is_snowflake(written: str | None) -> None:
    assert not problems(validation(target_platform=written))


@pytest.mark.parametrize(
    ("in_file", "given_platform", "words"),
    [
        (None, None, "is required"),
        ("Redshift", "postgres", 'is "redshift", but "postgresql" was given'),
        (None, "oracle", 'given from outside the file as "oracle"'),
    ],
)
def test_an_unclear_source_platform_is_refused(in_file: str | None, given_platform: str | None, words: str) -> None:
    (problem,) = problems(validation(source_platform=in_file), given_platform)
    assert problem.path == "$.source_platform"
    assert words in problem.message


@pytest.mark.parametrize("platform", ["Redshift", "Teradata"])
def test_a_platform_that_is_not_built_is_refused_by_name(platform: str) -> None:
    (problem,) = problems(validation(source_platform=platform), require_supported=True)
    assert problem.path == "$.source_platform"
    assert "not built yet" in problem.message


def test_type_mappings_are_read_from_their_file(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    file = tmp_path / "maps" / "types.json"
    file.write_text('{"money": "NUMBER(19, 4)", "uuid": ["VARCHAR(36)", "BINARY"]}', encoding="utf-8")
    for path in ("maps/types.json", str(file)):
        document = validation(comparison_configuration={"type_mapping_file_path": path})
        (only,) = parse(document, folder=tmp_path).tables
        assert only.type_mappings == {"money": ("NUMBER(19, 4)",), "uuid": ("VARCHAR(36)", "BINARY")}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "which is not JSON: expecting property name"),
        ("[]", "which is not a JSON object"),
        ('{"a": "INT", "a": "FLOAT"}', "more than once"),
        ('{"a": 1}', 'maps "a" to what is no data type of the target: 1'),
        ('{"a": "no type at all"}', "Write one type alone"),
        ('{"a": []}', 'has no target type for "a"'),
        ('{"a": ["INT", null]}', "null"),
        ('{" ": "INT"}', "an empty source type"),
        ('{"numeric(1,0)": "INT", "NUMERIC(1, 0)": "INT"}', "Keep one of them"),
    ],
)
def test_a_bad_type_mapping_file_is_refused_where_it_is_named(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "types.json").write_text(content, encoding="utf-8")
    document = validation(comparison_configuration={"type_mapping_file_path": "types.json"})
    (problem,) = problems(document, folder=tmp_path)
    assert problem.path == "$.comparison_configuration.type_mapping_file_path"
    assert problem.message.startswith('names "types.json", which ')
    assert words in f"{problem.message}. {problem.cure}"


def test_a_folder_is_no_type_mapping_file(tmp_path: Path) -> None:
    document = validation(comparison_configuration={"type_mapping_file_path": "."})
    (problem,) = problems(document, folder=tmp_path)
    assert "is a directory" in problem.message


def test_waivers_name_what_validation_finds() -> None:
    assert get_args(RowCause) == (*(kind.value for kind in RowKind), *(cause.value for cause in Cause))
    assert get_args(SchemaAspect) == get_args(SchemaFinding.model_fields["aspect"].annotation)
    assert get_args(Check) == get_args(Level)


@pytest.mark.parametrize("cause", get_args(RowCause))
def test_every_cause_can_be_waived(cause: str) -> None:
    (only,) = parse(waived(check="rows", cause=cause)).tables
    assert only.waivers[0].cause == cause


@pytest.mark.parametrize("aspect", get_args(SchemaAspect))
def test_every_aspect_can_be_waived(aspect: str) -> None:
    (only,) = parse(waived(check="schema", aspect=aspect)).tables
    assert only.waivers[0].aspect == aspect


def test_row_validation_mode_needs_no_row_validation() -> None:
    assert not problems(configured(row_validation=False, row_validation_mode="cell"))


def test_a_file_is_loaded_with_its_name_and_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "night-check.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(validation(**{"$schema": "x"})).encode())
    loaded = load_validation_workflow(file)
    assert (loaded.name, loaded.file) == ("night_check", file)
    assert loaded.content_hash == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_file_whose_name_cant_serve_needs_the_key() -> None:
    with pytest.raises(WorkflowError) as caught:
        parse_validation_workflow(json.dumps(validation()), file="2024.json")
    assert [problem.path for problem in caught.value.problems] == ["$.name"]


def test_a_file_that_does_not_exist_is_a_problem_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match="does not exist"):
        load_validation_workflow(tmp_path / "missing.json")


def test_the_configuration_hash_depends_on_the_meaning_alone() -> None:
    excluding = {"exclude_metrics": True}
    same = [
        validation(entry(exclude_metrics=True)),
        validation(validation_configuration=excluding),
        validation(entry(target_name="orders", object_type="table", validation_configuration=excluding)),
    ]
    hashes = {parse(document).tables[0].config_hash("postgresql") for document in same}
    assert len(hashes) == 1
    assert parse(validation()).tables[0].config_hash("postgresql") not in hashes


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = st.sampled_from(sorted({"$schema", *re.findall(r'"(\w+)":', render_validation())}))
words = st.sampled_from(["TABLE", "VIEW", "row", "rows", "schema", "missing", "a.b.c", "a = 1", '"', "[a]", "."])
values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)
objects = st.dictionaries(keys, values, max_size=8)


def assert_workflow_or_problems(text: str | bytes) -> None:
    found = problems(text, require_supported=True)
    assert all(problem.message and problem.cure for problem in found)


@settings(max_examples=150, deadline=None)
@given(values)
def test_any_json_is_a_workflow_or_a_list_of_problems(value: object) -> None:
    assert_workflow_or_problems(json.dumps(value))


@settings(max_examples=150, deadline=None)
@given(objects, st.lists(objects, max_size=3), st.lists(objects, max_size=2))
def test_any_tables_are_a_workflow_or_a_list_of_problems(top: Json, tables: list[Json], views: list[Json]) -> None:
    made = {"tables": [entry() | each for each in tables], "views": [entry("a.b.v") | each for each in views]}
    assert_workflow_or_problems(json.dumps({"source_platform": "postgresql", **top, **made}))
