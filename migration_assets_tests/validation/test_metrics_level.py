"""Metrics of a table in PostgreSQL and of its copy in DuckDB: every figure, exact unless a tolerance is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from migration_assets.platforms import types
from migration_assets.platforms.base import Row, SourceColumn, TableName, TargetColumn, TargetPlatform
from migration_assets.platforms.canonical import canonical_type
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.postgresql import PostgreSQL
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.validation.alignment import Alignment, ComparedColumn, align
from migration_assets.validation.levels.metrics import MetricsLevel
from migration_assets.validation.results import MetricFinding, Value, Verdict
from migration_assets.validation.target_filter import target_condition
from migration_assets.workflow import SourceTable, TargetTable, ValidationTable
from migration_assets_tests.platforms.postgresql.source import Source
from migration_assets_tests.servers import PostgreSQLDatabase


def config(**keys: Any) -> ValidationTable:
    """A table of a workflow with some keys of its own."""
    return ValidationTable(
        source=SourceTable(database_name="d", schema_name="s", table_name="t"),
        target=TargetTable(database_name="d", schema_name="s", table_name="t"),
        **keys,
    )


def failed(findings: Sequence[MetricFinding]) -> list[str]:
    return [f"{found.metric} of {found.column}" for found in findings if found.verdict is Verdict.FAIL]


# -- figures ------------------------------------------------------------------------------------


def level(kind: ColumnType, *names: str, skipped: Any = None, **keys: Any) -> MetricsLevel:
    """The metrics of a column `x`, or of others, of one type on both sides."""
    canonical = canonical_type(kind, kind)
    assert canonical is not None
    compared = tuple(
        ComparedColumn(
            name=name,
            source=SourceColumn(name, "", "", nullable=True),
            target=TargetColumn(name.upper(), ""),
            source_type=kind,
            target_type=kind,
            source_sql=f'"{name}"',
            target_sql=f'"{name.upper()}"',
            canonical=canonical,
        )
        for name in names or ("x",)
    )
    alignment = Alignment((), compared, (), skipped or {}, (), ())
    return MetricsLevel(alignment, config(**keys), PostgreSQL(), DuckDB())


def figures(row_count: int, **metrics: object) -> Row:
    """The answer to a query of one column."""
    return {"row_count": row_count, **{f"c0_{name}": value for name, value in metrics.items()}}


NUMBERS = types.decimal(38, 2)


def test_every_metric_is_a_finding() -> None:
    source = figures(5, count=4, min=-1, max=3, sum=7)
    target = figures(6, count=3, min=-1, max=4, sum=9)

    findings = level(NUMBERS).findings(source, target)

    def told(found: MetricFinding) -> tuple[object, ...]:
        verdict = "=" if found.verdict is Verdict.PASS else "!"
        return found.column, found.metric, found.source, found.target, verdict, found.difference, found.relative

    assert [told(found) for found in findings] == [
        (None, "row_count", 5, 6, "!", "1", 0.2),
        ("x", "count", 4, 3, "!", "-1", -0.25),
        ("x", "nulls", 1, 3, "!", "2", 2.0),
        ("x", "min", -1, -1, "=", "0", 0.0),
        ("x", "max", 3, 4, "!", "1", 1 / 3),
        ("x", "sum", 7, 9, "!", "2", 2 / 7),
        ("x", "average", "1.75", "3", "!", "1.25", 1.25 / 1.75),
    ]


def by_metric(findings: Sequence[MetricFinding]) -> dict[str, MetricFinding]:
    return {found.metric: found for found in findings}


def test_averages_are_exact() -> None:
    first = figures(3, count=3, min=0, max=1, sum="100000000000000000000000000000000000000")
    second = figures(3, count=3, min=0, max=1, sum="100000000000000000000000000000000000001")

    average = by_metric(level(NUMBERS).findings(first, second))["average"]

    assert average.verdict is Verdict.FAIL
    assert average.source == "33333333333333333333333333333333333333.33"
    assert average.target == "33333333333333333333333333333333333333.67"
    assert average.difference == "0.33333333333333333333"


def test_equal_averages_of_other_rows_are_equal() -> None:
    findings = level(NUMBERS).findings(
        figures(3, count=3, min=0, max=1, sum=1), figures(6, count=6, min=0, max=1, sum=2)
    )

    average = by_metric(findings)["average"]
    assert (average.verdict, average.source, average.difference) == (Verdict.PASS, "0.33333333333333333333", "0")


def test_without_values_there_is_nothing_to_compare() -> None:
    empty = figures(2, count=0, min=None, max=None, sum=None)

    findings = level(NUMBERS).findings(empty, empty)

    assert failed(findings) == []
    average = by_metric(findings)["average"]
    assert (average.source, average.target, average.difference, average.relative) == (None, None, None, None)


def test_no_value_is_not_zero() -> None:
    source = figures(2, count=0, min=None, max=None, sum=None)
    target = figures(2, count=1, min=0, max=0, sum=0)

    findings = level(NUMBERS, tolerance=0.5, absolute_tolerance=100.0).findings(source, target)

    assert failed(findings) == ["count of x", "nulls of x", "min of x", "max of x", "sum of x", "average of x"]
    assert by_metric(findings)["min"].difference is None


def test_a_sum_of_floats_may_differ_by_what_another_order_makes() -> None:
    around: dict[str, object] = {"count": 4, "min": -1.0, "max": 1.0}

    def differing(sums: tuple[float | str, float | str]) -> list[str]:
        first, second = sums
        return failed(
            level(types.floating(64)).findings(figures(4, **around, sum=first), figures(4, **around, sum=second))
        )

    assert differing((0.1, 0.1 + 1e-10)) == []
    assert differing((0.1, 0.1 + 1e-6)) == ["sum of x", "average of x"]
    assert differing(("nan", "nan")) == []
    assert differing(("nan", 0.0)) == ["sum of x", "average of x"]


def test_a_difference_of_floats_has_no_more_digits_than_they_have() -> None:
    values = [figures(1, count=1, min=value, max=value, sum=value) for value in (0.1, 0.3)]

    found = by_metric(level(types.floating(64)).findings(*values))["max"]

    assert found.difference == "0.19999999999999998"
    assert found.relative == pytest.approx(2.0)


def test_figures_beyond_all_floats_are_compared() -> None:
    values = [figures(1, count=1, min=value, max=value, sum=value) for value in (1e-308, 1.7e308, -1.7e308)]

    small = by_metric(level(types.floating(64)).findings(*values[:2]))["sum"]
    large = by_metric(level(types.floating(64)).findings(*values[1:]))["sum"]

    assert (small.verdict, small.difference, small.relative) == (Verdict.FAIL, "1.7e+308", None)
    assert (large.verdict, large.relative) == (Verdict.FAIL, -2.0)
    assert str(large.difference).startswith("-3399999999")


# -- tolerances ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "source", "target", "accepted"),
    [
        ({}, 1000, 1001, False),
        ({"tolerance": 0.001}, 1000, 1001, True),
        ({"tolerance": 0.001}, -1000, -1001, True),
        ({"tolerance": 0.001}, 1000, "1001.0000001", False),
        ({"tolerance": 0.001}, 0, "0.0000001", False),
        ({"absolute_tolerance": 0.1}, "0.0", "0.1", True),
        ({"absolute_tolerance": 0.1}, 1000, "1000.11", False),
        ({"tolerance": 0.001, "absolute_tolerance": 0.1}, 1000, 1001, True),
        ({"tolerance": 0.001, "absolute_tolerance": 0.1}, 0, "-0.1", True),
        ({"tolerance": 0.001, "absolute_tolerance": 0.1}, 10, "10.2", False),
    ],
)
def test_a_difference_within_either_tolerance_is_accepted(
    keys: dict[str, float], source: object, target: object, accepted: bool
) -> None:
    findings = level(NUMBERS, **keys).findings(
        figures(1, count=1, min=source, max=source, sum=source), figures(1, count=1, min=target, max=target, sum=target)
    )

    assert failed(findings) == ([] if accepted else ["min of x", "max of x", "sum of x", "average of x"])


def test_no_tolerance_hides_a_row() -> None:
    source = figures(1000, count=900, empty=5, distinct=800, min=1, max=1, sum=1)
    target = figures(1001, count=900, empty=6, distinct=801, min=1, max=1, sum=1)

    findings = level(types.TEXT, tolerance=0.5, absolute_tolerance=1e6).findings(source, target)

    assert failed(findings) == ["row_count of None", "nulls of x", "empty of x", "distinct of x"]


def test_no_tolerance_applies_to_times() -> None:
    values = [figures(1, count=1, min=value, max=value) for value in ("2024-01-01", "2024-01-02")]

    findings = level(types.DATE, tolerance=0.5, absolute_tolerance=1e6).findings(*values)

    assert failed(findings) == ["min of x", "max of x"]


# -- what can't be measured ---------------------------------------------------------------------


def test_a_column_that_can_not_be_compared_gives_no_verdict() -> None:
    row = figures(1, count=1, min=1, max=1, sum=1)
    found = level(NUMBERS, skipped={"shape": "GEOGRAPHY is unknown"})

    findings = found.findings(row, row)

    assert findings[-1] == MetricFinding(
        column="shape", metric="count", source=None, target=None, verdict=Verdict.INCONCLUSIVE
    )
    assert found.summary_of(findings) == (
        Verdict.INCONCLUSIVE,
        "7 metrics of 1 columns agree, but not measured: shape (GEOGRAPHY is unknown)",
    )


def test_exclude_metrics_leaves_out_what_could_only_be_counted() -> None:
    counted = level(types.JSON)
    without = level(types.JSON, skipped={"shape": "unknown"}, exclude_metrics=True)

    assert counted.source_query("t", None) == 'SELECT COUNT(*) AS row_count, COUNT("x") AS c0_count FROM t'
    assert without.source_query("t", None) == "SELECT COUNT(*) AS row_count FROM t"
    assert [found.metric for found in without.findings({"row_count": 1}, {"row_count": 1})] == ["row_count"]


def test_a_summary_tells_what_differs() -> None:
    found = level(NUMBERS)
    findings = found.findings(figures(2, count=2, min=1, max=5, sum=6), figures(2, count=1, min=None, max=7, sum=8))

    assert found.summary_of(findings) == (
        Verdict.FAIL,
        "count of x: source 2, target 1; nulls of x: source 0, target 1; min of x: source 1, target NULL; "
        "max of x: source 5, target 7; sum of x: source 6, target 8; and 1 more",
    )


# -- queries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", [DuckDB(), Snowflake()], ids=lambda platform: platform.name)
def test_queries_are_read_back_as_they_were_meant(platform: TargetPlatform) -> None:
    alignment = level(types.TEXT)._alignment
    found = MetricsLevel(alignment, config(distinct_metrics=True), PostgreSQL(), platform)

    source = found.source_query('"s"."t"', "a = 1 OR b = 2")
    target = found.target_query('"S"."T"', "\"A\" = 'x'")

    assert source == (
        'SELECT COUNT(*) AS row_count, COUNT("x") AS c0_count, COUNT(DISTINCT "x") AS c0_distinct, '
        'COUNT(CASE WHEN LENGTH("x") = 0 THEN 1 END) AS c0_empty, MIN(LENGTH("x")) AS c0_min, '
        'MAX(LENGTH("x")) AS c0_max, SUM(LENGTH("x")) AS c0_sum FROM "s"."t" WHERE (a = 1 OR b = 2)'
    ).replace('"x"', 'CASE WHEN NOT "x" IS NULL THEN CONCAT("x", \'\') END')
    assert target.endswith('FROM "S"."T" WHERE ("A" = \'x\')')
    assert sqlglot.parse_one(target, dialect=platform.dialect).sql(platform.dialect) == target


def test_a_target_at_a_moment_is_queried_at_it() -> None:
    relation = '"D"."S"."T" AT (TIMESTAMP => CAST(\'2024-01-01\' AS TIMESTAMPLTZ))'
    found = MetricsLevel(level(types.JSON)._alignment, config(), PostgreSQL(), Snowflake())

    assert found.target_query(relation, None).endswith(f"FROM {relation}")


# -- parts --------------------------------------------------------------------------------------


def test_the_findings_of_all_parts_are_those_of_the_level() -> None:
    whole = level(types.JSON, "a", "b", "c", skipped={"shape": "unknown"})
    row = {"row_count": 9, "c0_count": 1, "c1_count": 2, "c2_count": 3}
    answers = [{"row_count": 9, "c0_count": 1, "c1_count": 2}, {"row_count": 9, "c0_count": 3}]

    parts = whole.parts(columns_per_query=2)

    found = [part.findings(answer, answer) for part, answer in zip(parts, answers, strict=True)]
    assert [finding for some in found for finding in some] == whole.findings(row, row)
    assert [[finding.column for finding in some] for some in found] == [
        [None, "a", "a", "b", "b"],
        ["c", "c", "shape"],
    ]
    assert [part.source_query("t", "z = 1") for part in parts] == [
        'SELECT COUNT(*) AS row_count, COUNT("a") AS c0_count, COUNT("b") AS c1_count FROM t WHERE (z = 1)',
        'SELECT COUNT(*) AS row_count, COUNT("c") AS c0_count FROM t WHERE (z = 1)',
    ]
    assert parts[1].target_query("t", None) == 'SELECT COUNT(*) AS row_count, COUNT("C") AS c0_count FROM t'


def test_a_level_of_few_columns_or_none_is_one_part() -> None:
    without = level(types.JSON, skipped={"shape": "unknown"}, exclude_metrics=True)

    assert [len(found.parts()) for found in (level(types.TEXT), without)] == [1, 1]
    assert without.parts()[0].source_query("t", None) == "SELECT COUNT(*) AS row_count FROM t"


# -- PostgreSQL against DuckDB ------------------------------------------------------------------

COLUMNS = """
    flag boolean, small smallint, int integer, big bigint, price numeric(10, 2), wide numeric(38, 0), loose numeric,
    cash money, single real, double double precision, note text, code varchar(20), padded char(10), blob bytea,
    day date, moment time, stamp timestamp, instant timestamptz, doc jsonb, plain json, id uuid, feeling mood,
    address inet, spent interval, span int4range, bits bit varying, numbers integer[], object oid, place point,
    number xid8
"""
ROWS = """
INSERT INTO t VALUES
    (true, -32768, -2147483648, -9223372036854775808, -99999999.99, -99999999999999999999999999999999999999,
     1234567890.123456789, -12.34, 0.1, 0.1, 'żółw 🐢', '', 'ab', '\\x00ff', '0001-01-01', '00:00', '0001-01-01',
     '0001-01-01+00', '{"a": 1}', '{"a":  1}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'happy', '10.0.0.1',
     '1 year 2 days', '[1,5)', B'1010', '{1,2}', 4294967295, '(1,2)', '18446744073709551615'),
    (false, 32767, 2147483647, 9223372036854775807, 99999999.99, 0, -0.000000001, 12.34, 1e-38, 1e300, E'a\\nb', 'x',
     '', '', '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00', 'null',
     '1', gen_random_uuid(), 'sad', '10.0.0.1/8', '-1 second', 'empty', B'', '{}', 0, '(0,0)', '0');
INSERT INTO t DEFAULT VALUES
"""
NATURAL = """
    flag BOOLEAN, small SMALLINT, int INTEGER, big BIGINT, price DECIMAL(10, 2), wide DECIMAL(38, 0),
    loose DECIMAL(38, 9), cash DECIMAL(19, 2), single FLOAT, double DOUBLE, note VARCHAR, code VARCHAR,
    padded VARCHAR, blob BLOB, day DATE, moment TIME, stamp TIMESTAMP, instant TIMESTAMPTZ, doc JSON, plain JSON,
    id UUID, feeling VARCHAR, address VARCHAR, spent VARCHAR, span VARCHAR, bits VARCHAR, numbers JSON,
    object BIGINT, place VARCHAR, number DECIMAL(20, 0)
"""
OTHER = """
    flag INTEGER, small DECIMAL(10, 2), int BIGINT, big DECIMAL(38, 0), price DECIMAL(20, 4), wide VARCHAR,
    loose DECIMAL(38, 12), cash DECIMAL(20, 4), single DOUBLE, double DOUBLE, note VARCHAR, code VARCHAR,
    padded VARCHAR, blob BLOB, day TIMESTAMP, moment TIME, stamp TIMESTAMPTZ, instant TIMESTAMP, doc VARCHAR,
    plain VARCHAR, id VARCHAR, feeling VARCHAR, address VARCHAR, spent VARCHAR, span VARCHAR, bits VARCHAR,
    numbers VARCHAR, object DECIMAL(10, 0), place VARCHAR, number VARCHAR
"""


@dataclass
class Pair:
    """A table `t` of a database and its target."""

    database: PostgreSQLDatabase
    source: PostgreSQLSource
    warehouse: DuckDBWarehouse
    alignments: list[Alignment] = field(default_factory=list)

    def migrate(self, columns: str = COLUMNS, rows: str = ROWS, target: str = NATURAL) -> None:
        """Fills both sides with the same values, which DuckDB makes its own types of."""
        self.database.execute(f"CREATE TABLE t ({columns}); {rows}")
        with Source.of(self.database) as source:
            staged = source.extract(source.table("t"))
        self.change("CREATE SCHEMA public", f"CREATE TABLE public.t ({target})")
        self.change("INSERT INTO public.t SELECT * FROM staged", staged=staged)

    def change(self, *statements: str, **tables: pa.Table) -> None:
        """Runs statements on the target."""
        path = Path(self.warehouse.directory) / f"{self.database.database}.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for name, table in tables.items():
                connection.register(name, table)
            for statement in statements:
                connection.execute(statement)

    def findings(self, **keys: Any) -> list[MetricFinding]:
        """Asks both sides."""
        wanted = config(**keys)
        name = TableName(self.database.database, "public", "t")
        target = self.warehouse.describe(name)
        assert target is not None
        with self.source.open_snapshot(name, strict=False) as snapshot:
            table = self.source.platform.describe(snapshot.query, name)
            alignment = align(
                wanted,
                table,
                target,
                source_platform=self.source.platform,
                target_platform=self.warehouse.platform,
                run=snapshot.query,
            )
            self.alignments.append(alignment)
            level = MetricsLevel(alignment, wanted, self.source.platform, self.warehouse.platform)
            source_rows = [
                snapshot.query(part.source_query("public.t", wanted.where_clause))[0] for part in level.parts()
            ]
        dialect = self.warehouse.platform.dialect
        condition = None
        if wanted.target_where_clause:
            condition = target_condition(wanted.target_where_clause, target, self.warehouse.platform).sql(dialect)
        findings: list[MetricFinding] = []
        for part, source_row in zip(level.parts(), source_rows, strict=True):
            query = sqlglot.parse_one(part.target_query("public.t", condition), dialect=dialect, into=exp.Select)
            (target_row,) = self.warehouse.query(query, self.database.database)
            findings += part.findings(source_row, target_row)
        return findings


@pytest.fixture
def pair(postgresql_database: PostgreSQLDatabase, tmp_path: Path) -> Pair:
    postgresql_database.execute("CREATE TYPE mood AS ENUM ('happy', 'sad')")
    return Pair(
        postgresql_database,
        PostgreSQLSource(**postgresql_database.login(), copy_format="csv"),
        DuckDBWarehouse(directory=str(tmp_path)),
    )


@pytest.mark.parametrize("target", [NATURAL, OTHER], ids=["natural types", "other types"])
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"distinct_metrics": True},
        {"apply_metric_column_modifier": False, "distinct_metrics": True},
        {"exclude_metrics": True},
    ],
    ids=["all", "distinct", "unmodified", "measured only"],
)
def test_equal_values_have_equal_metrics_whatever_their_types_are(
    pair: Pair, target: str, keys: dict[str, bool]
) -> None:
    pair.migrate(target=target)

    findings = pair.findings(**keys)

    assert failed(findings) == []
    assert {found.verdict for found in findings} == {Verdict.PASS}
    assert pair.alignments[0].skipped == {}
    columns = {found.column for found in findings}
    assert {"flag", "price", "note", "instant"} <= columns
    assert ("plain" in columns) is (not keys.get("exclude_metrics") or target == OTHER)


@pytest.mark.parametrize("target", [NATURAL, OTHER], ids=["natural types", "other types"])
def test_columns_are_measured_in_full_where_both_sides_can_be(pair: Pair, target: str) -> None:
    pair.migrate(target=target)

    found = pair.findings()

    def metrics(name: str) -> list[str]:
        return [finding.metric for finding in found if finding.column == name]

    assert metrics("flag") == ["count", "nulls", "min", "max", "sum", "average"]
    assert metrics("feeling") == ["count", "nulls", "empty", "min", "max", "sum", "average"]
    assert metrics("day") == ["count", "nulls", "min", "max"]
    assert metrics("doc")[:2] == ["count", "nulls"]
    assert ("sum" in metrics("doc")) is (target == OTHER)
    assert ("sum" in metrics("id")) is (target == OTHER)


def test_without_modifiers_columns_of_other_forms_are_only_counted(pair: Pair) -> None:
    pair.migrate()

    findings = pair.findings(apply_metric_column_modifier=False)

    in_full = {found.column for found in findings if found.metric in ("min", "max")}
    only_counted = {found.column for found in findings if found.column} - in_full
    assert only_counted == {
        *("cash", "single", "doc", "plain", "id", "feeling", "address", "spent", "span", "bits", "numbers", "object"),
        *("place", "number"),
    }


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ("UPDATE public.t SET big = big - 1 WHERE big > 0", ["max of big", "sum of big", "average of big"]),
        (
            "UPDATE public.t SET code = ' ' WHERE code = ''",
            ["empty of code", "min of code", "sum of code", "average of code"],
        ),
        ("UPDATE public.t SET code = 'y' WHERE code = 'x'", []),
        ("UPDATE public.t SET doc = NULL WHERE big > 0", ["count of doc", "nulls of doc"]),
        ("UPDATE public.t SET flag = true WHERE NOT flag", ["min of flag", "sum of flag", "average of flag"]),
        ("UPDATE public.t SET stamp = stamp - INTERVAL 1 MICROSECOND WHERE big > 0", ["max of stamp"]),
    ],
)
def test_a_change_in_the_target_is_found(pair: Pair, change: str, differing: list[str]) -> None:
    pair.migrate()
    pair.change(change)

    assert failed(pair.findings()) == differing


def test_distinct_values_tell_what_sums_do_not(pair: Pair) -> None:
    pair.migrate("a integer", "INSERT INTO t VALUES (1), (2), (3), (4)", "a INTEGER")
    pair.change("UPDATE public.t SET a = CASE a WHEN 2 THEN 1 WHEN 3 THEN 4 ELSE a END")

    assert failed(pair.findings()) == []
    assert failed(pair.findings(distinct_metrics=True)) == ["distinct of a"]


def test_each_side_has_its_own_filter(pair: Pair) -> None:
    pair.migrate("a integer", "INSERT INTO t SELECT generate_series(1, 100)", '"A" INTEGER')
    pair.change("INSERT INTO public.t VALUES (999)")

    filtered = pair.findings(where_clause="a <= 10 OR a = 20", target_where_clause="a <= 10 or a = 20")

    assert failed(pair.findings())[0] == "row_count of None"
    assert failed(filtered) == []
    assert filtered[0].source == 11


@pytest.mark.parametrize("rows", ["", "INSERT INTO t (note) VALUES (NULL), (NULL)"], ids=["no rows", "only NULLs"])
@pytest.mark.parametrize("target", [NATURAL, OTHER], ids=["natural types", "other types"])
def test_tables_without_values_have_equal_metrics(pair: Pair, rows: str, target: str) -> None:
    pair.migrate(rows=rows, target=target)

    assert failed(pair.findings(distinct_metrics=True)) == []


def test_figures_are_what_json_can_hold(pair: Pair) -> None:
    pair.migrate()

    values: list[Value] = [value for found in pair.findings() for value in (found.source, found.target)]

    assert {type(value) for value in values} == {int, float, str, type(None)} - {type(None)}


def test_every_kind_of_column_is_measured(pair: Pair) -> None:
    pair.migrate()
    pair.findings()

    assert {column.source_type.kind for column in pair.alignments[0].compared} == set(Kind)


def test_hundreds_of_columns_are_measured(pair: Pair) -> None:
    names = [f"c{number}" for number in range(400)]
    pair.migrate(
        ", ".join(f"{name} text" for name in names),
        f"INSERT INTO t ({', '.join(names)}) VALUES ({', '.join(repr(name) for name in names)})",
        ", ".join(f"{name} VARCHAR" for name in names),
    )
    pair.change("UPDATE public.t SET c399 = 'other'")

    findings = pair.findings(distinct_metrics=True)

    assert {found.column for found in findings} == {None, *names}
    assert failed(findings) == ["min of c399", "max of c399", "sum of c399", "average of c399"]


@pytest.mark.parametrize("digits", ["38, 0", "38, 2", "38, 10", "38, 38"])
def test_sums_of_the_longest_numbers_are_exact(pair: Pair, digits: str) -> None:
    scale = int(digits.split(", ")[1])
    longest = f"{'9' * (38 - scale) or '0'}.{'9' * scale or '0'}"
    last = f"0.{'0' * (scale - 1)}1" if scale else "1"
    pair.migrate(
        f"id integer, a numeric({digits})",
        f"INSERT INTO t SELECT i, {longest} FROM generate_series(1, 50) i",
        f"id INTEGER, a DECIMAL({digits})",
    )

    assert failed(pair.findings()) == []
    average = next(found for found in pair.findings() if found.metric == "average" and found.column == "a")
    assert average.verdict is Verdict.PASS
    pair.change(f"UPDATE public.t SET a = a - CAST('{last}' AS DECIMAL({digits})) WHERE id = 7")
    assert failed(pair.findings()) == ["min of a", "sum of a", "average of a"]


TIMES = "id integer, day date, stamp timestamp, instant timestamptz"
TIMES_IN_DUCKDB = "id INTEGER, day DATE, stamp TIMESTAMP, instant TIMESTAMPTZ"
ODD_TIMES = [
    ("infinity", "infinity"),
    ("-infinity", "-infinity"),
    ("0044-03-15 BC", "0044-03-15 (BC)"),
    ("10000-01-01", "10000-01-01"),
]


def times(pair: Pair, source: str, target: str, declared: str = TIMES_IN_DUCKDB) -> None:
    """A usual row on both sides, and another one with the same times in each system's words."""
    pair.migrate(TIMES, "INSERT INTO t VALUES (1, '2024-05-01', '2024-05-01 12:00', '2024-05-01 12:00+00')", declared)
    pair.database.execute(f"INSERT INTO t VALUES (2, '{source}', '{source}', '{source}')")
    pair.change(f"INSERT INTO public.t VALUES (2, '{target}', '{target}', '{target}')")


@pytest.mark.parametrize(("source", "target"), ODD_TIMES)
@pytest.mark.parametrize(
    "declared",
    [TIMES_IN_DUCKDB, "id INTEGER, day TIMESTAMP, stamp TIMESTAMPTZ, instant TIMESTAMP"],
    ids=["natural types", "other types"],
)
def test_times_beyond_python_s_calendar_are_equal_on_both_sides(
    pair: Pair, source: str, target: str, declared: str
) -> None:
    times(pair, source, target, declared)

    findings = pair.findings()

    assert failed(findings) == []
    assert any(str(found.target).startswith(source.partition(" ")[0]) for found in findings)


def test_infinity_is_no_date_at_the_end_of_the_calendar(pair: Pair) -> None:
    times(pair, "infinity", "9999-12-31 23:59:59.999999")

    assert failed(pair.findings()) == ["max of day", "max of stamp", "max of instant"]
