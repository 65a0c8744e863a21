"""From a workflow's table and the source's catalogue to a plan, or to everything that is in its way."""

from __future__ import annotations

import pytest

from migration_assets.planning import ExistingTarget, PlanError, TablePlan
from migration_assets.platforms import types
from migration_assets.platforms.base import SourceColumn, TableName, TargetColumn, TargetPlatform
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import Kind
from migration_assets_tests.planning.catalogue import Catalogue, column, plan, source_table

ZONED, UNZONED = "timestamp with time zone", "timestamp without time zone"
SNOWFLAKE, DUCKDB = Snowflake(), DuckDB()


def target_types(found: TablePlan) -> dict[str, str]:
    return {planned.target_name: planned.target_type for planned in found.columns}


def type_mapping(source: str, target: str) -> dict[str, str]:
    return {"sourceType": source, "targetType": target}


def rename(source: str, target: str) -> dict[str, str]:
    return {"sourceName": source, "targetName": target}


def problems(*columns: SourceColumn, target: TargetPlatform = DUCKDB, **keys: object) -> list[str]:
    with pytest.raises(PlanError) as caught:
        plan(source_table(*columns), target, **keys)  # type: ignore[arg-type]
    return caught.value.problems


# -- columns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name", "expected"),
    [
        (SNOWFLAKE, "order_id", "ORDER_ID"),
        (SNOWFLAKE, "_a$1", "_A$1"),
        (SNOWFLAKE, "OrderId", "OrderId"),
        (SNOWFLAKE, "ORDER", "ORDER"),
        (SNOWFLAKE, "order id", "order id"),
        (SNOWFLAKE, "1st", "1st"),
        (SNOWFLAKE, "größe", "größe"),
        (SNOWFLAKE, 'a"b', 'a"b'),
        (DUCKDB, "order_id", "order_id"),
        (DUCKDB, "OrderId", "OrderId"),
        (DUCKDB, "größe", "größe"),
    ],
)
def test_a_column_is_named_as_the_target_folds_names(target: TargetPlatform, name: str, expected: str) -> None:
    found = plan(source_table(column(name)), target)

    assert [planned.target_name for planned in found.columns] == [expected]
    assert found.columns[0].source.name == name


@pytest.mark.parametrize(
    ("target", "written", "expected"),
    [
        (SNOWFLAKE, "number", "NUMBER"),
        (SNOWFLAKE, '"number"', "number"),
        (DUCKDB, "Number", "Number"),
        (DUCKDB, '"a b"', "a b"),
    ],
)
def test_a_column_gets_the_name_that_the_user_wants(target: TargetPlatform, written: str, expected: str) -> None:
    found = plan(source_table(column("id"), column("x")), target, columnNameMappings=[rename("ID", written)])

    assert [planned.target_name for planned in found.columns] == [expected, target.fold("x")]


def test_a_column_whose_name_needs_quotes_is_renamed_by_its_quoted_name() -> None:
    table = source_table(column("Id"), column("id"))

    found = plan(table, SNOWFLAKE, columnNameMappings=[rename('"Id"', "first_id")])

    assert [planned.target_name for planned in found.columns] == ["FIRST_ID", "ID"]


def test_columns_may_change_their_names_for_each_other_s() -> None:
    found = plan(
        source_table(column("a"), column("b")), SNOWFLAKE, columnNameMappings=[rename("a", "b"), rename("b", "a")]
    )

    assert [planned.target_name for planned in found.columns] == ["B", "A"]


@pytest.mark.parametrize(
    ("target", "names", "mappings"),
    [
        (DUCKDB, ("id", "Id"), []),
        (SNOWFLAKE, ("id", "ID"), []),
        (SNOWFLAKE, ("a", "b"), [rename("a", "B")]),
    ],
)
def test_columns_that_would_meet_in_the_target_are_refused(
    target: TargetPlatform, names: tuple[str, str], mappings: list[object]
) -> None:
    (problem,) = problems(*(column(name) for name in names), target=target, columnNameMappings=mappings)

    assert f"columns {names[0]} and {names[1]} would both be" in problem
    assert "columnNameMappings" in problem


def test_columns_that_differ_only_in_case_stay_two_where_the_target_tells_them_apart() -> None:
    found = plan(source_table(column("Id"), column("iD")), SNOWFLAKE)

    assert [planned.target_name for planned in found.columns] == ["Id", "iD"]


def test_a_renaming_of_a_column_that_is_not_there_is_refused() -> None:
    (problem,) = problems(column("id"), columnNameMappings=[rename("nowhere", "x")])

    assert "columnNameMappings: the source has no column nowhere; the columns are id" in problem


@pytest.mark.parametrize(
    ("native", "base", "arguments", "mapping", "expected"),
    [
        ("integer", "integer", (), type_mapping("int4", "VARCHAR"), "VARCHAR"),
        ("integer", "integer", (), type_mapping("INT", "NUMBER(12, 2)"), "NUMBER(12, 2)"),
        ("integer", "integer", (), type_mapping("bigint", "VARCHAR"), "NUMBER(10,0)"),
        ("character varying(20)", "character varying", (20,), type_mapping("VARCHAR(20)", "TEXT"), "TEXT"),
        ("character varying(20)", "character varying", (20,), type_mapping("varchar", "TEXT"), "TEXT"),
        ("character varying(20)", "character varying", (20,), type_mapping("VARCHAR(21)", "TEXT"), "VARCHAR(20)"),
        ("numeric(10,2)", "numeric", (10, 2), type_mapping("DECIMAL(10, 2)", "FLOAT"), "FLOAT"),
        ("numeric(10,2)", "numeric", (10, 2), type_mapping("numeric", "FLOAT"), "FLOAT"),
        ("timestamp(3) with time zone", ZONED, (3,), type_mapping("timestamptz", "TEXT"), "TEXT"),
        ("timestamp(3) with time zone", ZONED, (3,), type_mapping("timestamp", "TEXT"), "TIMESTAMP_LTZ(3)"),
        ("timestamp(3) without time zone", UNZONED, (3,), type_mapping("timestamp", "TEXT"), "TEXT"),
        ("mood", "mood", (), type_mapping("MOOD", "TEXT"), "TEXT"),
        ("positive", "integer", (), type_mapping("positive", "TEXT"), "TEXT"),
        ("positive", "integer", (), type_mapping("integer", "TEXT"), "TEXT"),
    ],
)  # fmt: skip
def test_a_type_mapping_is_found_by_synonyms_and_arguments(
    native: str, base: str, arguments: tuple[int, ...], mapping: dict[str, str], expected: str
) -> None:
    category = "e" if native == "mood" else "b"
    table = source_table(column("x", native, base, type_arguments=arguments, category=category))

    assert target_types(plan(table, SNOWFLAKE, columnTypeMappings=[mapping])) == {"X": expected}


def test_a_type_mapping_with_arguments_goes_before_one_without() -> None:
    table = source_table(
        column("a", "numeric(10,2)", "numeric", type_arguments=(10, 2)),
        column("b", "numeric(5,0)", "numeric", type_arguments=(5, 0)),
    )
    mappings = [type_mapping("numeric", "VARCHAR"), type_mapping("numeric(10,2)", "FLOAT")]

    found = plan(table, SNOWFLAKE, columnTypeMappings=mappings)

    assert target_types(found) == {"A": "FLOAT", "B": "VARCHAR"}


def test_the_type_mapping_of_an_element_is_not_that_of_its_array() -> None:
    table = source_table(column("x", "numeric(10,2)[]", "numeric[]", category="a"))

    found = plan(table, SNOWFLAKE, columnTypeMappings=[type_mapping("numeric", "FLOAT")])

    assert found.columns[0].type.kind is Kind.JSON


def test_target_types_are_written_as_snowflake_s_whatever_the_warehouse_is() -> None:
    table = source_table(column("x", "numeric(10,2)", "numeric", type_arguments=(10, 2)))

    found = plan(table, DUCKDB, columnTypeMappings=[type_mapping("numeric", "NUMBER(20, 4)")])

    assert target_types(found) == {"x": "DECIMAL(20,4)"}


def test_a_type_that_says_too_little_is_measured() -> None:
    found = plan(source_table(column("x", "numeric")))

    assert target_types(found) == {"x": "DECIMAL(12,3)"}


@pytest.mark.parametrize("written", ["O'Brien", '"x', "foo("])
def test_a_source_type_that_is_no_type_matches_nothing(written: str) -> None:
    found = plan(source_table(column("x")), columnTypeMappings=[type_mapping(written, "VARCHAR")])

    assert target_types(found) == {"x": "INTEGER"}


def test_a_target_type_that_can_not_be_staged_is_refused() -> None:
    (problem,) = problems(column("x"), columnTypeMappings=[type_mapping("integer", "GEOGRAPHY")])

    assert "columnTypeMappings, targetType 'GEOGRAPHY'" in problem


def test_columns_with_few_values_get_a_dictionary() -> None:
    table = source_table(
        column("few", "text", distinct=10.0),
        column("many", "text", distinct=1e6),
        column("share", "text", distinct=-1.0),
        column("unknown", "text"),
        column("yes", "boolean", distinct=2.0),
    )

    assert [planned.target_name for planned in plan(table).columns if planned.repeats] == ["few"]


# -- the target as it is ------------------------------------------------------------------------


ID = TargetColumn("ID", "INTEGER")


def existing(*columns: TargetColumn, **more: object) -> ExistingTarget:
    settings: dict[str, object] = {"rows": 0, "made_here": False, **more}
    return ExistingTarget(columns or (TargetColumn("id", "INTEGER"),), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (existing(is_view=True), "is a view"),
        (existing(rows=1_234), "holds 1,234 rows that this program did not put there"),
        (existing(TargetColumn("other", "INTEGER")), "has no column id"),
        (existing(ID, TargetColumn("x", "INTEGER", nullable=False)), "its column x must not be NULL"),
    ],
)
def test_a_target_that_can_not_be_replaced_is_refused(target: ExistingTarget, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        plan(source_table(), existing=lambda name: target)


@pytest.mark.parametrize(
    "target",
    [
        None,
        existing(),
        existing(rows=1_234, made_here=True),
        existing(ID, TargetColumn("x", "INTEGER")),
        existing(ID, TargetColumn("x", "INTEGER", nullable=False, has_default=True)),
    ],
)
def test_a_target_that_can_be_replaced_is_planned(target: ExistingTarget | None) -> None:
    assert plan(source_table(), existing=lambda name: target).target == TableName("shop", "public", "orders")


def test_rows_of_others_are_replaced_when_the_user_says_so() -> None:
    assert plan(source_table(), existing=lambda name: existing(rows=1), replaceExisting=True)


def test_the_target_is_looked_up_under_the_name_that_it_will_have() -> None:
    seen: list[TableName] = []

    def look(name: TableName) -> None:
        seen.append(name)

    plan(source_table(), SNOWFLAKE, existing=look, target={"schemaName": '"public"'})

    assert seen == [TableName("SHOP", "public", "ORDERS")]


# -- every problem at once ----------------------------------------------------------------------


def test_every_problem_is_told_at_once() -> None:
    columns = (
        column("id"),
        column("ID"),
        column("wide", "numeric(50,2)", "numeric", type_arguments=(50, 2)),
        column("day", "date"),
        column("amount", "money"),
    )
    with pytest.raises(PlanError) as caught:
        plan(
            source_table(*columns),
            SNOWFLAKE,
            existing=lambda name: existing(rows=5),
            columnTypeMappings=[
                type_mapping("date", "BOOLEAN"),
                type_mapping("money", "DATE"),
                type_mapping("text", "GEOGRAPHY"),
            ],
            columnNameMappings=[rename("nothing", "x")],
            primaryKeyColumns=["Missing"],
            columnNamesToPartitionBy=["WIDE", '"Day"'],
        )

    expected = (
        "targetType 'GEOGRAPHY'",
        "columnNameMappings: the source has no column nothing",
        "columns id and ID would both be ID",
        "'day' of type date can't be mapped to boolean",
        "'amount' of type money can't be mapped to date",
        "column wide (numeric(50,2))",
        "primaryKeyColumns: the source has no column missing",
        "columnNamesToPartitionBy: the source has no column Day",
        "holds 5 rows",
    )
    text = "\n".join(caught.value.problems)
    assert [part for part in expected if part not in text] == []
    assert len(caught.value.problems) == len(expected)
    assert str(caught.value).startswith("workflow sales, table orders can't be moved as it is:\n  - ")


def test_a_table_that_is_not_there_is_a_problem_of_the_plan() -> None:
    with pytest.raises(PlanError, match=r"there is no table shop\.public\.other"):
        plan(source_table(), source={"tableName": "other"})


def test_too_many_partitions_are_a_problem_of_the_plan() -> None:
    with pytest.raises(PlanError, match=r"partitionSize\.maxRowsPerPartition makes 1,000,000 partitions"):
        plan(source_table(estimated_rows=10**6), partitionSize={"maxRowsPerPartition": 1})


def test_the_name_of_a_column_with_other_letters_is_suggested() -> None:
    (problem,) = problems(column("OrderId"), primaryKeyColumns=["OrderId"])

    assert 'the source has no column orderid; write "\\"OrderId\\"" in the file' in problem


# -- partitions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "keys", "divided"),
    [
        ({"blocks": 10, "primary_key": ("id",)}, {}, ("location", (), 1, None)),
        ({"blocks": 0, "primary_key": ("id",)}, {}, ("key", ("id",), 1, None)),
        ({"blocks": 0}, {}, ("location", (), 1, None)),
        ({"blocks": 10}, {"columnNamesToPartitionBy": ["ID"]}, ("key", ("id",), 1, None)),
        ({"blocks": 10}, {"partitionSize": {"maxRowsPerPartition": 100}}, ("location", (), 10, 100)),
    ],
)
def test_a_table_is_divided_by_what_it_has(
    more: dict[str, object], keys: dict[str, object], divided: tuple[object, ...]
) -> None:
    catalogue = Catalogue(source_table(**more))

    plan(catalogue.table, catalogue=catalogue, **keys)  # type: ignore[arg-type]

    assert catalogue.divided == divided


def test_partitions_have_numbers_for_keys_in_their_order() -> None:
    table = source_table(estimated_rows=10_001)
    found = plan(table, columnNamesToPartitionBy=["id"], partitionSize={"maxRowsPerPartition": 1})

    assert [part.key for part in found.partitions[:2]] == ["0001", "0002"]
    assert found.partitions[-1].key == "10001"
    assert found.partition("10001").predicate == "range 10000"
    with pytest.raises(KeyError):
        found.partition("10002")


# -- the plan as JSON ---------------------------------------------------------------------------


def test_a_plan_is_the_same_after_it_was_written_down() -> None:
    kinds = (
        types.BOOLEAN,
        types.integer(16),
        types.decimal(38, 10),
        types.floating(32),
        types.text(20),
        types.TEXT,
        types.BINARY,
        types.DATE,
        types.temporal(Kind.TIME, 0),
        types.temporal(Kind.TIMESTAMP, 3),
        types.temporal(Kind.TIMESTAMP_TZ),
        types.JSON,
        types.UUID,
    )
    assert {kind.kind for kind in kinds} == set(Kind)
    found = plan(
        source_table(
            column(
                "żółw 'a' \"b\"", "character varying(20)", "character varying", type_arguments=(20,), distinct=-0.25
            ),
            column("other", "numeric(10,2)", "numeric", type_arguments=(10, 2), average_bytes=7, nullable=False),
            primary_key=("other",),
        ),
        whereClauseCriteria="other > 1",
        consistency="strict",
    )
    columns = [
        found.columns[0].model_copy(update={"type": kind, "target_name": f"c{number}"})
        for number, kind in enumerate(kinds)
    ]
    whole = found.model_copy(update={"columns": (*found.columns, *columns)})

    read = TablePlan.model_validate_json(whole.model_dump_json())

    assert read == whole
    assert isinstance(read.columns[0].source.type_arguments, tuple)


def test_the_target_s_ddl_can_be_read_by_people() -> None:
    found = plan(source_table(column("id", nullable=False), column("t", "text")))

    assert found.ddl == 'CREATE TABLE shop.public.orders (\n  "id" INTEGER NOT NULL,\n  "t" VARCHAR\n)'
