"""Schema validation: what can lose or refuse values fails, what is only different is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from migration_assets.platforms.base import Row, SourceColumn, SourceTable, TableName, TargetColumn, TargetPlatform
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.postgresql import PostgreSQL
from migration_assets.platforms.postgresql.types import POLICIES
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.resources.warehouses.base import TargetTable
from migration_assets.validation.alignment import align
from migration_assets.validation.levels.schema import compare_schemas, summary_of
from migration_assets.validation.results import SchemaFinding, Verdict
from migration_assets.workflow import SourceTable as WrittenSource
from migration_assets.workflow import TargetTable as WrittenTarget
from migration_assets.workflow import ValidationTable

POSTGRESQL = PostgreSQL()
WAREHOUSES: dict[str, TargetPlatform] = {"duckdb": DuckDB(), "snowflake": Snowflake()}
SNOWFLAKE = WAREHOUSES["snowflake"]


def column(name: str, kind: str, *arguments: int, nullable: bool = True, category: str = "b") -> SourceColumn:
    """A column as PostgreSQL's catalogue has it."""
    spelled = f"{kind}({','.join(map(str, arguments))})" if arguments else kind
    return SourceColumn(name, spelled, kind, nullable, category, arguments)


def answered(_statement: str) -> Sequence[Row]:
    """What a scan finds in columns that don't declare their digits: 4 before the point and 3 after it."""
    return [{"scale": 2, "values_0": 7, "scale_0": 3, "digits_0": 4, "nan_0": 0, "infinite_0": 0}]


def compared(
    source: SourceTable | Sequence[SourceColumn],
    target: TargetTable | Sequence[TargetColumn],
    platform: TargetPlatform = SNOWFLAKE,
    **keys: Any,
) -> list[SchemaFinding]:
    """All findings of two tables, with the keys of the workflow."""
    config = ValidationTable(
        source=WrittenSource(database_name="d", schema_name="s", table_name="t"),
        target=WrittenTarget(database_name="d", schema_name="s", table_name="t"),
        **keys,
    )
    table = source if isinstance(source, SourceTable) else SourceTable(TableName("d", "s", "t"), "table", tuple(source))
    there = target if isinstance(target, TargetTable) else TargetTable(tuple(target), 0)
    alignment = align(config, table, there, source_platform=POSTGRESQL, target_platform=platform, run=answered)
    return compare_schemas(alignment, table, there, source_platform=POSTGRESQL, target_platform=platform, config=config)


def failed(findings: Sequence[SchemaFinding]) -> dict[str, str]:
    """The messages of findings that fail, by aspect."""
    return {finding.aspect: finding.message for finding in findings if finding.verdict is Verdict.FAIL}


def noted(findings: Sequence[SchemaFinding]) -> dict[str, str]:
    """The messages of findings that pass, by aspect."""
    return {
        finding.aspect: finding.message for finding in findings if finding.verdict is Verdict.PASS and finding.message
    }


# -- what this program made itself --------------------------------------------------------------

EVERY_TYPE = [
    *(column("x", name) for name in POLICIES),
    column("x", "numeric", 10, 2),
    column("x", "numeric", 3, -2),
    column("x", "numeric", 38, 37),
    column("x", "character varying", 20),
    column("x", "bpchar", 5),
    column("x", "timestamp without time zone", 3),
    column("x", "time without time zone", 0),
    column("x", "mood", category="e"),
    column("x", "integer[]", category="a"),
    column("x", "address", category="c"),
    column("x", "int4range", category="r"),
]

AS_DESCRIBED = {"VARCHAR": "VARCHAR(16777216)"}
"""How Snowflake's catalogue writes a type that was declared in another way."""


@pytest.mark.parametrize("warehouse", WAREHOUSES)
@pytest.mark.parametrize("source", EVERY_TYPE, ids=lambda source: source.native_type)
def test_a_column_that_was_made_by_a_migration_passes(source: SourceColumn, warehouse: str) -> None:
    platform = WAREHOUSES[warehouse]
    table = SourceTable(TableName("d", "s", "t"), "table", (source,))
    mapping = POSTGRESQL.map_column(source)
    if mapping.needs_profile:
        mapping = POSTGRESQL.profile(answered, table, None, [source])["x"]
    ddl_type = platform.ddl_type(mapping.type)
    if platform is SNOWFLAKE:
        ddl_type = AS_DESCRIBED.get(ddl_type, ddl_type)

    findings = compared(table, [TargetColumn("X", ddl_type)], platform)

    assert failed(findings) == {}
    assert {finding.verdict for finding in findings} == {Verdict.PASS}


# -- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "aspect", "message"),
    [
        (column("x", "numeric", 10, 2), "NUMBER(9,2)", "precision", "the source holds 8 digits before the point"),
        (column("x", "numeric", 10, 2), "NUMBER(10,3)", "precision", "the source holds 8 digits before the point"),
        (column("x", "numeric", 10, 2), "NUMBER(12,1)", "scale", "the source holds 2 digits after the point"),
        (column("x", "numeric", 50, 10), "NUMBER(38,10)", "precision", "the source holds 40 digits"),
        (column("x", "bigint"), "NUMBER(10,0)", "precision", "the source holds 19 digits before the point"),
        (column("x", "bigint"), "FLOAT", "precision", "FLOAT rounds values of bigint"),
        (column("x", "numeric", 18, 2), "FLOAT", "precision", "FLOAT rounds values of numeric(18,2)"),
        (column("x", "numeric"), "FLOAT", "precision", "FLOAT rounds values of numeric"),
        (column("x", "numeric"), "NUMBER(18,2)", "scale", "the source's values have up to 3 digits after the point"),
        (column("x", "numeric"), "VARCHAR(50)", "length", "the source has no limit"),
        (column("x", "double precision"), "NUMBER(38,4)", "precision", "rounds values of double precision"),
        (column("x", "integer"), "BOOLEAN", "precision", "the source holds 10 digits"),
        (column("x", "character varying", 20), "VARCHAR(10)", "length", "has up to 20 characters, the target holds 10"),
        (column("x", "text"), "VARCHAR(4000)", "length", "the source has no limit, the target holds 4,000"),
        (
            column("x", "bytea"),
            "BINARY(8388608)",
            "length",
            "the source has no limit, the target holds 8,388,608 bytes",
        ),
        (column("x", "uuid"), "VARCHAR(32)", "length", "has up to 36 characters"),
        (column("x", "jsonb"), "VARCHAR(100)", "length", "the source has no limit"),
        (column("x", "bigint"), "VARCHAR(10)", "length", "has up to 20 characters"),
        (
            column("x", "timestamp without time zone"),
            "TIMESTAMP_NTZ(3)",
            "precision",
            "6 digits of a second, the target 3",
        ),
        (column("x", "timestamp without time zone"), "DATE", "precision", "the target keeps no time of day"),
        (column("x", "time without time zone"), "TIME(0)", "precision", "6 digits of a second, the target 0"),
    ],
    ids=lambda value: value.native_type if isinstance(value, SourceColumn) else None,
)
def test_a_target_that_can_lose_or_refuse_values_fails(
    source: SourceColumn, target: str, aspect: str, message: str
) -> None:
    findings = failed(compared([source], [TargetColumn("X", target)]))

    assert list(findings) == [aspect]
    assert message in findings[aspect]


@pytest.mark.parametrize(
    ("source", "target", "notes"),
    [
        (column("x", "numeric", 10, 2), "NUMBER(12,2)", {"precision": "the target has room for 10 digits before"}),
        (column("x", "numeric", 10, 2), "NUMBER(38,10)", {"precision": "for 28", "scale": "for 10 digits after"}),
        (column("x", "numeric"), "NUMBER(38,10)", {"precision": "doesn't declare its digits", "scale": "for 10"}),
        (column("x", "integer"), "FLOAT", {"type": "compared as float"}),
        (column("x", "boolean"), "NUMBER(1,0)", {"type": "compared as number"}),
        (column("x", "character varying", 20), "VARCHAR(30)", {"length": "room for 30 characters"}),
        (column("x", "character varying", 20), "VARCHAR(16777216)", {"length": "no limit"}),
        (column("x", "text"), "VARCHAR(134217728)", {}),
        (column("x", "date"), "TIMESTAMP_NTZ(9)", {"type": "compared as timestamp"}),
        (column("x", "timestamp with time zone"), "TIMESTAMP_NTZ(6)", {"type": "compared as timestamp"}),
        (column("x", "timestamp without time zone", 3), "TIMESTAMP_NTZ(9)", {"precision": "room for 7 digits"}),
        (column("x", "real"), "FLOAT", {}),
        (column("x", "uuid"), "VARCHAR(36)", {"type": "compared as text"}),
        (column("x", "xml"), "VARIANT", {"type": "compared as text"}),
    ],
    ids=lambda value: value.native_type if isinstance(value, SourceColumn) else None,
)
def test_what_is_only_different_passes_with_a_note(source: SourceColumn, target: str, notes: dict[str, str]) -> None:
    findings = compared([source], [TargetColumn("X", target)])

    assert failed(findings) == {}
    assert noted(findings).keys() == notes.keys()
    assert all(text in noted(findings)[aspect] for aspect, text in notes.items())


def test_a_decimal_may_be_larger_than_an_integer_of_as_many_digits() -> None:
    findings = failed(compared([column("x", "numeric", 19, 0)], [TargetColumn("x", "BIGINT")], DuckDB()))

    assert findings == {"precision": "the source holds 19 digits before the point, the target 18"}


# -- types --------------------------------------------------------------------------------------


def test_types_without_common_values_fail() -> None:
    (finding,) = [
        found
        for found in compared([column("x", "bytea")], [TargetColumn("X", "NUMBER(10,0)")])
        if found.aspect == "type"
    ]

    assert finding.verdict is Verdict.FAIL
    assert finding.message.startswith("bytea and NUMBER(10,0) have no values in common")


def test_a_type_that_is_not_known_gives_no_verdict() -> None:
    (finding,) = [
        found for found in compared([column("x", "text")], [TargetColumn("X", "GEOGRAPHY")]) if found.aspect == "type"
    ]

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "GEOGRAPHY" in finding.message


@pytest.mark.parametrize(
    ("source", "written", "target", "allowed"),
    [
        (column("x", "money"), {"money": ("NUMBER(19, 4)",)}, "NUMBER(19,4)", True),
        (column("x", "money"), {"MONEY": ("NUMBER(19, 4)",)}, "NUMBER(19,2)", False),
        (column("x", "integer"), {"int4": ("NUMBER",)}, "NUMBER(10,0)", True),
        (column("x", "integer"), {"int4": ("BIGINT",)}, "NUMBER(19,0)", True),
        (column("x", "integer"), {"int4": ("BIGINT",)}, "NUMBER(19,2)", False),
        (column("x", "uuid"), {"uuid": ("BINARY(16)", "VARCHAR(36)")}, "VARCHAR(36)", True),
        (column("x", "uuid"), {"uuid": ("BINARY(16)", "VARCHAR(36)")}, "VARCHAR(40)", False),
        (column("x", "text"), {"text": ("STRING",)}, "VARCHAR(16777216)", True),
        (column("x", "text"), {"text": ("GEOGRAPHY",)}, "GEOGRAPHY", True),
        (column("x", "character varying", 5), {"varchar": ("VARIANT",)}, "VARCHAR(5)", False),
        (column("x", "numeric", 10, 2), {"numeric": ("FLOAT",), "numeric(10,2)": ("NUMBER",)}, "NUMBER(10,2)", True),
        (column("x", "numeric", 10, 2), {"integer": ("FLOAT",)}, "NUMBER(10,2)", True),
    ],
    ids=lambda value: value.native_type if isinstance(value, SourceColumn) else None,
)
def test_the_type_mapping_file_says_what_a_type_may_become(
    source: SourceColumn, written: dict[str, tuple[str, ...]], target: str, allowed: bool
) -> None:
    findings = compared([source], [TargetColumn("X", target)], type_mappings=written)

    assert ("type" not in failed(findings)) is allowed
    assert allowed or "the type mapping file wants" in failed(findings)["type"]


@pytest.mark.parametrize(
    ("written", "target"),
    [("NUMBER(10, 2)", "DECIMAL(10,2)"), ("VARCHAR(36)", "VARCHAR"), ("VARIANT", "JSON"), ("DECIMAL", "DECIMAL(10,2)")],
)
def test_the_type_mapping_file_is_read_as_snowflake_s_types_for_duckdb_too(written: str, target: str) -> None:
    findings = compared(
        [column("x", "text")], [TargetColumn("x", target)], DuckDB(), type_mappings={"text": (written,)}
    )

    assert "type" not in failed(findings)


# -- columns ------------------------------------------------------------------------------------


def test_columns_of_one_side_only_fail() -> None:
    findings = compared(
        [column("a", "text"), column("b", "text")], [TargetColumn("A", "VARCHAR"), TargetColumn("c", "DATE")]
    )

    assert [
        (finding.column, finding.source, finding.target, finding.message)
        for finding in findings
        if finding.verdict is Verdict.FAIL
    ] == [("b", "b", None, "the target has no column b"), ("c", None, "c", "the source has no such column")]


def test_columns_that_the_workflow_leaves_out_are_no_findings() -> None:
    findings = compared(
        [column("a", "text"), column("b", "text")], [TargetColumn("A", "VARCHAR")], excluded_columns=("b",)
    )

    assert {finding.column for finding in findings} == {"a", None}


@pytest.mark.parametrize(
    ("source", "target", "verdict", "message"),
    [
        (True, False, Verdict.FAIL, "the target refuses NULL, which the source allows"),
        (False, True, Verdict.PASS, "the target would take NULL, which the source refuses"),
        (False, False, Verdict.PASS, ""),
        (True, True, Verdict.PASS, ""),
    ],
)
def test_a_target_must_take_the_nulls_of_the_source(source: bool, target: bool, verdict: Verdict, message: str) -> None:
    findings = compared([column("x", "date", nullable=source)], [TargetColumn("X", "DATE", nullable=target)])

    (finding,) = [finding for finding in findings if finding.aspect == "nullability"]
    assert (finding.verdict, finding.message) == (verdict, message)
    assert (finding.source == "NULL", finding.target == "NULL") == (source, target)


def test_another_order_is_told_once() -> None:
    findings = compared(
        [column("a", "date"), column("b", "date")],
        [TargetColumn("B", "DATE"), TargetColumn("extra", "DATE"), TargetColumn("A", "DATE")],
    )

    (finding,) = [finding for finding in findings if finding.aspect == "order"]
    assert finding == SchemaFinding(
        column=None,
        aspect="order",
        source="A, B",
        target="B, A",
        verdict=Verdict.PASS,
        message="the target has its columns in another order",
    )


# -- keys and views -----------------------------------------------------------------------------


def keyed(source_key: tuple[str, ...], target_key: tuple[str, ...], **source: Any) -> list[SchemaFinding]:
    columns = (column("a", "date", nullable=False), column("b", "date", nullable=False))
    name = TableName("d", "s", "t")
    target = (TargetColumn("A", "DATE", nullable=False), TargetColumn("bee", "DATE", nullable=False))
    return compared(
        SourceTable(name, source.pop("kind", "table"), columns, primary_key=source_key, **source),
        TargetTable(target, 0, primary_key=target_key),
        column_mappings={"b": '"bee"'},
    )


@pytest.mark.parametrize(
    ("source", "target", "verdict", "message"),
    [
        (("a", "b"), ("bee", "A"), Verdict.PASS, ""),
        ((), (), Verdict.PASS, ""),
        (("a",), (), Verdict.PASS, "the target declares no primary key"),
        (("a",), ("bee",), Verdict.FAIL, "the target declares a primary key that the source doesn't have"),
        ((), ("A",), Verdict.FAIL, "the target declares a primary key that the source doesn't have"),
    ],
)
def test_a_target_declares_no_other_key(
    source: tuple[str, ...], target: tuple[str, ...], verdict: Verdict, message: str
) -> None:
    (finding,) = [finding for finding in keyed(source, target) if finding.aspect == "key"]

    assert (finding.column, finding.verdict, finding.message) == (None, verdict, message)


def test_a_unique_key_of_the_source_may_be_the_target_s_primary_key() -> None:
    (finding,) = [found for found in keyed(("a",), ("bee",), unique_keys=(("b",),)) if found.aspect == "key"]

    assert (finding.verdict, finding.message) == (
        Verdict.PASS,
        "the target's primary key is another unique key of the source",
    )


@pytest.mark.parametrize("kind", ["view", "materialized view"])
def test_views_declare_neither_keys_nor_nulls(kind: str) -> None:
    aspects = {finding.aspect for finding in keyed((), (), kind=kind)}

    assert aspects == {"existence", "type", "order"}


# -- the level ----------------------------------------------------------------------------------


def test_a_summary_tells_what_fails() -> None:
    verdict, summary = summary_of(
        compared([column("x", "text"), column("y", "date")], [TargetColumn("X", "VARCHAR(9)")])
    )

    assert verdict is Verdict.FAIL
    assert summary == "x: the source has no limit, the target holds 9 characters; y: the target has no column y"


def test_a_summary_of_equal_columns_counts_them() -> None:
    findings = compared(
        [column("x", "date", nullable=False), column("y", "date")],
        [TargetColumn("X", "DATE"), TargetColumn("Y", "DATE")],
    )

    assert summary_of(findings) == (
        Verdict.PASS,
        "2 columns hold what the source's do, 1 harmless differences are noted",
    )


def test_a_long_summary_is_cut() -> None:
    _, summary = summary_of(compared([column(f"c{number}", "date") for number in range(9)], []))

    assert summary.endswith("c4: the target has no column c4; and 4 more")
