"""The same rows in PostgreSQL and in DuckDB have the same metrics, whatever their types are."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp

from migration_assets.planning import TablePlan, plan_table
from migration_assets.platforms.base import ReadColumn, TableName
from migration_assets.platforms.types import Kind
from migration_assets.resources.sources.base import Snapshot
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.validation.levels.column_metrics import metrics_query
from migration_assets.validation.migrations.source_facts import MovedRows, SourceFacts, collect_source_facts
from migration_assets.validation.migrations.target_checks import CheckResult, check_target_metrics
from migration_assets.validation.results import Verdict
from migration_assets.workflow import parse_workflow
from migration_assets_tests.servers import PostgreSQLDatabase

COLUMNS = """
    flag boolean, small smallint, int integer, big bigint, price numeric(10, 2), wide numeric(38, 0),
    tiny numeric(38, 38), loose numeric, cash money, single real, double double precision, note text,
    code varchar(20), padded char(10), blob bytea, day date, moment time, stamp timestamp, instant timestamptz,
    doc jsonb, id uuid, feeling mood, address inet, network cidr, spent interval, span int4range, words tsvector,
    bits bit varying, numbers integer[], object oid, transaction xid, place point
"""
ROWS = """
INSERT INTO t VALUES
    (true, -32768, -2147483648, -9223372036854775808, -99999999.99, -99999999999999999999999999999999999999,
     -0.99999999999999999999999999999999999999, 1234567890.123456789, -12.34, 0.1, 0.1, 'żółw 🐢', '', 'ab', '\\x00ff',
     '0001-01-01', '00:00', '0001-01-01', '0001-01-01+00', '{"a": 1}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
     'happy', '10.0.0.1', '10.0.0.0/8', '1 year 2 days', '[1,5)', 'a fat cat', B'1010', '{1,2}', 4294967295, '7',
     '(1,2)'),
    (false, 32767, 2147483647, 9223372036854775807, 99999999.99, 0, 0.5, -0.000000001, 12.34, 1e-38, 1e300, E'a\\nb',
     'x', '', '', '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00',
     'null', gen_random_uuid(), 'sad', '10.0.0.1/8', '::/0', '-1 second', 'empty', '', B'', '{}', 0, '8', '(0,0)');
INSERT INTO t DEFAULT VALUES
"""
OVERRIDES = {
    "boolean": "VARCHAR",
    "integer": "NUMBER(20, 2)",
    "bigint": "VARCHAR",
    "numeric": "VARCHAR",
    "double precision": "NUMBER(38, 4)",
    "date": "TIMESTAMP_NTZ",
    "timestamp": "TIMESTAMP_LTZ",
    "jsonb": "VARCHAR",
    "inet": "VARCHAR",
    "uuid": "VARCHAR",
    "bytea": "VARCHAR",
    "money": "VARCHAR",
    "integer[]": "VARCHAR",
}


@pytest.fixture
def source(postgresql_database: PostgreSQLDatabase) -> PostgreSQLSource:
    postgresql_database.execute("CREATE TYPE mood AS ENUM ('happy', 'sad')")
    return PostgreSQLSource(
        host=postgresql_database.host,
        port=postgresql_database.port,
        username=postgresql_database.username,
        password=postgresql_database.password,
        sslmode="disable",
    )


def planned(source: PostgreSQLSource, warehouse: DuckDBWarehouse, database: str, **keys: object) -> TablePlan:
    name = {"databaseName": database, "schemaName": "public", "tableName": "t"}
    document = {"sourcePlatform": "postgresql", "tables": [{"source": name, "target": name, **keys}]}
    workflow = parse_workflow(json.dumps(document), file="w.json")
    with source.connect(database) as run:
        return plan_table(
            workflow,
            workflow.tables[0],
            "t",
            source=source.platform,
            run=run,
            target=warehouse.platform,
            target_name=warehouse.target_name,
            existing=lambda _: None,
        )


def staged(plan: TablePlan, source: PostgreSQLSource, snapshot: Snapshot) -> pa.Table:
    columns = [ReadColumn(column.target_name, column.type, column.source, column.expression) for column in plan.columns]
    query = source.platform.extraction_query(plan.source, columns, None, plan.where)
    reader = snapshot.open_reader()
    try:
        tables = list(reader.read(query, columns))
    finally:
        reader.close()
    schema = pa.schema([(column.target_name, column.type.to_arrow()) for column in plan.columns])
    return pa.concat_tables([schema.empty_table(), *tables])


def moved(
    source: PostgreSQLSource, folder: Path, database: str, *, spoil: str | None = None, **keys: object
) -> tuple[TablePlan, SourceFacts, CheckResult]:
    """Moves a table, spoils the target with a statement if one is given, and compares the metrics."""
    warehouse = DuckDBWarehouse(directory=str(folder))
    plan = planned(source, warehouse, database, **keys)
    with source.open_snapshot(plan.source, strict=False) as snapshot:
        facts = collect_source_facts(plan, source.platform, snapshot, "s1", MovedRows(plan.where))
        rows = staged(plan, source, snapshot)
    folder.mkdir(exist_ok=True)
    with duckdb.connect(str(folder / f"{database}.duckdb")) as target:
        columns = ", ".join(f'"{column.target_name}" {column.target_type}' for column in plan.columns)
        target.execute("CREATE SCHEMA IF NOT EXISTS public")
        target.execute(f"CREATE TABLE public.t ({columns})")
        target.register("staged", rows)
        target.execute("INSERT INTO public.t SELECT * FROM staged")
        if spoil:
            target.execute(spoil)
    return plan, facts, check_target_metrics(plan, [], facts, warehouse, plan.target)


def test_every_type_has_the_same_metrics_on_both_sides(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path
) -> None:
    postgresql_database.execute(f"CREATE TABLE t ({COLUMNS}); {ROWS}")

    plan, facts, check = moved(source, tmp_path, postgresql_database.database)

    assert facts.problem is None
    assert check.summary.endswith("columns agree")
    assert check.verdict is Verdict.PASS
    assert {column.type.kind for column in plan.columns} == set(Kind)


def test_types_that_the_user_has_chosen_have_the_same_metrics_on_both_sides(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path
) -> None:
    postgresql_database.execute(f"CREATE TABLE t ({COLUMNS}); {ROWS}; UPDATE t SET double = 0.5 WHERE double > 1")
    mappings = [{"sourceType": kind, "targetType": target} for kind, target in OVERRIDES.items()]

    _, facts, check = moved(source, tmp_path, postgresql_database.database, columnTypeMappings=mappings)

    assert facts.problem is None
    assert check.summary.endswith("columns agree")


@pytest.mark.parametrize("rows", ["", "INSERT INTO t (note) VALUES (NULL), (NULL)"], ids=["no rows", "only NULLs"])
def test_tables_without_values_have_the_same_metrics_on_both_sides(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path, rows: str
) -> None:
    postgresql_database.execute(f"CREATE TABLE t ({COLUMNS}); {rows}")

    _, facts, check = moved(source, tmp_path, postgresql_database.database)

    assert facts.problem is None
    assert check.verdict is Verdict.PASS, check.summary


@pytest.mark.parametrize(
    "values",
    ["'NaN'", "'Infinity', '1'", "'-Infinity', 'Infinity'", "'-0.0', '0.0'", "'-0.0'", "'NaN', 'Infinity', '-1'"],
)
def test_special_floats_have_the_same_metrics_on_both_sides(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path, values: str
) -> None:
    rows = ", ".join(f"({value}, {value})" for value in values.split(", "))
    postgresql_database.execute(f"CREATE TABLE t (a real, b double precision); INSERT INTO t VALUES {rows}")

    _, facts, check = moved(source, tmp_path, postgresql_database.database)

    assert facts.problem is None
    assert check.verdict is Verdict.PASS, check.summary


def test_long_sums_of_floats_have_the_same_metrics_on_both_sides(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path
) -> None:
    postgresql_database.execute(
        "CREATE TABLE t AS SELECT (0.1 * i)::real AS a, sin(i) * 1e10 AS b FROM generate_series(1, 50000) i"
    )

    _, _, check = moved(source, tmp_path, postgresql_database.database)

    assert check.verdict is Verdict.PASS, check.summary


def test_hundreds_of_columns_have_the_same_metrics_on_both_sides(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path
) -> None:
    columns = ", ".join(f"c{number} text DEFAULT 'text {number}'" for number in range(450))
    postgresql_database.execute(f"CREATE TABLE t ({columns}); INSERT INTO t DEFAULT VALUES")

    _, facts, check = moved(source, tmp_path, postgresql_database.database)
    _, _, spoiled = moved(
        source, tmp_path / "spoiled", postgresql_database.database, spoil="UPDATE public.t SET c449 = NULL"
    )

    assert facts.rows == 1
    assert (check.verdict, check.summary) == (Verdict.PASS, "1801 metrics of 450 columns agree")
    assert spoiled.summary.startswith("count of c449: source 1, target 0")


@pytest.mark.parametrize("scale", [0, 2, 10, 38])
def test_sums_of_the_longest_numbers_are_the_same_on_both_sides(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path, scale: int
) -> None:
    longest = f"{'9' * (38 - scale) or '0'}.{'9' * scale or '0'}"
    postgresql_database.execute(
        f"CREATE TABLE t AS SELECT {longest}::numeric(38, {scale}) AS a FROM generate_series(1, 20)"
    )

    _, facts, check = moved(source, tmp_path, postgresql_database.database)

    assert facts.problem is None
    assert check.verdict is Verdict.PASS, check.summary


def test_a_filter_holds_for_the_metrics_too(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path
) -> None:
    postgresql_database.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 100) i")

    _, facts, check = moved(source, tmp_path, postgresql_database.database, whereClauseCriteria="id <= 10 OR id = 20")

    assert facts.rows == 11
    assert check.verdict is Verdict.PASS, check.summary


@pytest.mark.parametrize(
    ("spoil", "metric"),
    [
        ("UPDATE public.t SET big = big - 1 WHERE big > 0", "max of big"),
        ("UPDATE public.t SET wide = wide + 1 WHERE wide < 0", "min of wide"),
        ("UPDATE public.t SET note = NULL WHERE note LIKE 'a%'", "count of note"),
        ("UPDATE public.t SET note = note || '.' WHERE note LIKE 'a%'", "sum of note"),
        ("UPDATE public.t SET flag = NOT flag WHERE flag", "sum of flag"),
        ("UPDATE public.t SET instant = instant - INTERVAL 1 MICROSECOND WHERE note LIKE 'a%'", "max of instant"),
        ("UPDATE public.t SET doc = NULL WHERE note LIKE 'a%'", "count of doc"),
        ("DELETE FROM public.t WHERE note IS NULL", "row_count of the table"),
    ],
)
def test_a_change_in_the_target_is_found(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, tmp_path: Path, spoil: str, metric: str
) -> None:
    postgresql_database.execute(f"CREATE TABLE t ({COLUMNS}); {ROWS}")

    _, _, check = moved(source, tmp_path, postgresql_database.database, spoil=spoil)

    assert check.verdict is Verdict.FAIL
    assert metric in check.summary


def test_a_source_that_can_not_be_measured_says_why(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase
) -> None:
    database = postgresql_database.database
    postgresql_database.execute("CREATE TABLE t AS SELECT 1e308::double precision AS a FROM generate_series(1, 10)")
    plan = planned(source, DuckDBWarehouse(directory="/nowhere"), database)
    with source.open_snapshot(plan.source, strict=False) as snapshot:
        facts = collect_source_facts(plan, source.platform, snapshot, "s1", MovedRows(plan.where))

        assert (facts.rows, facts.metrics) == (None, None)
        assert "out of range" in str(facts.problem)
        assert staged(plan, source, snapshot).num_rows == 10


def test_a_table_name_is_quoted_for_the_source() -> None:
    name = TableName("d", 's"s', "t")

    query = metrics_query(name.to_expression(with_database=False), [], None, "postgres")

    assert query.sql(dialect="postgres") == 'SELECT COUNT(*) AS row_count FROM "s""s"."t"'
    assert isinstance(query, exp.Select)
