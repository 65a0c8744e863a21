"""Validation workflows from the file to the exit code: assets with checks, result tables, reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner, Result

from migration_assets.cli.main import main
from migration_assets.cli.session import open_ledger
from migration_assets.definitions import build_definitions, valid_workflows
from migration_assets.deployments import current_deployment
from migration_assets_tests.main_job import migrate, table, target_change, write_workflow
from migration_assets_tests.source_servers import SourceDatabase

ROWS = 2_000
PRODUCTS = {"postgresql": "PostgreSQL", "sqlserver": "SQL Server"}


@pytest.fixture
def source(source: SourceDatabase) -> SourceDatabase:
    """A source database that the environment names, with two tables that nothing has moved yet."""
    source.execute(
        f"""
        CREATE TABLE people (id int PRIMARY KEY, name varchar(20) NOT NULL, salary numeric(10,2));
        INSERT INTO people SELECT n, 'person ' || n, n / 4.0 FROM generate_series(1, {ROWS}) n;
        CREATE TABLE pets (id int PRIMARY KEY, name text, born date);
        INSERT INTO pets SELECT n, 'pet ' || n, date '2020-01-01' + n FROM generate_series(1, 50) n;
        """
    )
    return source


@pytest.fixture
def migrated(source: SourceDatabase, tmp_path: Path) -> Path:
    """The target's tables, and the workflow file that would have moved them; something else has."""
    target_change(
        f"""
        CREATE TABLE people (id INTEGER NOT NULL, name VARCHAR NOT NULL, salary DECIMAL(10,2));
        INSERT INTO people SELECT n, 'person ' || n, n / 4.0 FROM range(1, {ROWS + 1}) r(n);
        CREATE TABLE pets (id INTEGER NOT NULL, name VARCHAR, born DATE);
        INSERT INTO pets SELECT n, 'pet ' || n, DATE '2020-01-01' + CAST(n AS INTEGER) FROM range(1, 51) r(n)
        """
    )
    return write_workflow(tmp_path, source, [table("people"), table("pets")])


def validation_file(folder: Path, source: SourceDatabase, *tables: dict[str, Any], **keys: Any) -> Path:
    """A validation of all levels, to the cell."""
    document = {
        "source_platform": source.platform,
        "target_database": "TARGET",
        "schema_mappings": {source.schema: "PUBLIC"},
        "validation_configuration": {"row_validation": True, "row_validation_mode": "cell"},
        **keys,
        "tables": [
            {**one, "fully_qualified_name": f"{source.database}.{source.schema}.{one['fully_qualified_name']}"}
            for one in tables or ({"fully_qualified_name": "people"}, {"fully_qualified_name": "pets"})
        ],
    }
    file = folder / "proof.json"
    file.write_text(json.dumps(document))
    return file


def validate(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["validate", str(file), *arguments], catch_exceptions=False)


def as_json(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(validate(file, "--json").stdout)
    return found


def test_equal_tables_exit_with_0(source: SourceDatabase, migrated: Path, tmp_path: Path) -> None:
    result = validate(validation_file(tmp_path, source))
    assert result.exit_code == 0, result.output
    assert "proof: pass" in result.output


def test_a_migration_workflow_is_validated_by_its_own_names(migrated: Path) -> None:
    result = validate(migrated)
    assert result.exit_code == 0, result.output
    assert "moved_validation: pass" in result.output


def test_a_difference_exits_with_1_and_is_told(source: SourceDatabase, migrated: Path, tmp_path: Path) -> None:
    target_change("UPDATE people SET name = name || ' ' WHERE id % 2 = 0")
    result = validate(validation_file(tmp_path, source))
    assert result.exit_code == 1
    assert "metrics fail" in result.output
    assert "continue_on_failure is false" in result.output
    found = as_json(validation_file(tmp_path, source, **only_rows()))
    people = next(one for one in found["tables"] if one["table"] == "people")
    assert (people["verdict"], people["rows_different"]) == ("fail", ROWS // 2)
    (cause,) = people["causes"]
    assert (cause["column"], cause["cause"], cause["cells"], cause["of"]) == (
        "name",
        "trailing spaces",
        ROWS // 2,
        ROWS // 2,
    )
    assert found["verdict"] == "fail"


def only_rows(**keys: Any) -> dict[str, Any]:
    return {
        "validation_configuration": {
            "schema_validation": False,
            "metrics_validation": False,
            "row_validation": True,
            "row_validation_mode": "cell",
            **keys,
        }
    }


def test_waived_differences_exit_with_0_and_show_the_reason(
    source: SourceDatabase, migrated: Path, tmp_path: Path
) -> None:
    target_change("UPDATE people SET name = name || ' ' WHERE id = 7")
    waiver = {"check": "rows", "column": "name", "cause": "trailing spaces", "reason": "padded by the old system"}
    file = validation_file(tmp_path, source, {"fully_qualified_name": "people", "waivers": [waiver]}, **only_rows())
    result = validate(file)
    assert result.exit_code == 0, result.output
    assert "proof: waived" in result.output
    assert "padded by the old system" in result.output


def test_a_waiver_excuses_nothing_else(source: SourceDatabase, migrated: Path, tmp_path: Path) -> None:
    target_change(
        "UPDATE people SET name = name || ' ' WHERE id = 7",
    )
    target_change("UPDATE people SET salary = 0 WHERE id = 8")
    waiver = {"check": "rows", "column": "name", "cause": "trailing spaces", "reason": "known"}
    file = validation_file(tmp_path, source, {"fully_qualified_name": "people", "waivers": [waiver]}, **only_rows())
    assert validate(file).exit_code == 1


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (only_rows(budget={"rows": 3}), "budget of 3"),
        (only_rows(budget={"bytes": 10}), "budget of 10"),
        (only_rows(budget={"seconds": 0.000001}), "budget of 1e-06 seconds"),
    ],
)
def test_a_budget_that_is_not_enough_is_no_pass(
    source: SourceDatabase, migrated: Path, tmp_path: Path, keys: dict[str, Any], told: str
) -> None:
    result = validate(validation_file(tmp_path, source, **keys))
    assert result.exit_code == 2
    assert "inconclusive" in result.output
    assert told in result.output


def test_a_column_that_cannot_be_compared_is_no_pass(source: SourceDatabase, migrated: Path, tmp_path: Path) -> None:
    target_change("ALTER TABLE people ALTER name TYPE VARCHAR[] USING [name]")
    result = validate(validation_file(tmp_path, source, {"fully_qualified_name": "people"}, **only_rows()))
    assert result.exit_code == 2
    assert "not compared: name" in result.output


def test_a_column_that_the_workflow_leaves_out_is_no_gap(
    source: SourceDatabase, migrated: Path, tmp_path: Path
) -> None:
    target_change("UPDATE people SET name = 'other'")
    entry = {
        "fully_qualified_name": "people",
        "column_selection_list": ["name"],
        "use_column_selection_as_exclude_list": True,
    }
    file = validation_file(tmp_path, source, entry, **only_rows())
    assert validate(file).exit_code == 0
    (people,) = as_json(file)["tables"]
    assert people["coverage"]["excluded"] == ["name"]


def test_names_filters_and_keys_of_both_sides_are_obeyed(
    source: SourceDatabase, migrated: Path, tmp_path: Path
) -> None:
    target_change(
        'CREATE TABLE humans AS SELECT id AS number, upper(name) AS "Full Name", salary FROM people; '
        'UPDATE humans SET "Full Name" = lower("Full Name"); INSERT INTO humans VALUES (9999, \'x\', 1)'
    )
    entry = {
        "fully_qualified_name": "people",
        "target_name": "humans",
        "column_mappings": {"id": "number", "name": '"Full Name"'},
        "where_clause": "id <= 1000",
        "target_where_clause": "NUMBER <= 1000",
        "index_column_list": ["id"],
    }
    assert validate(validation_file(tmp_path, source, entry, **only_rows())).exit_code == 0
    target_change("DELETE FROM humans WHERE number = 1000")
    (found,) = as_json(validation_file(tmp_path, source, entry, **only_rows()))["tables"]
    assert [(row["kind"], row["key"]) for row in found["rows"]] == [("missing", {"id": "1000"})]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"index_column_list": ["idd"]}, "index_column_list: the source has no column idd; did you mean id"),
        ({"column_mappings": {"id": "nummer"}}, "column_mappings: the target has no column nummer"),
        ({"target_name": "nobody"}, "there is no TARGET.PUBLIC.nobody in the target"),
        ({"where_clause": "nothing = 1"}, "nothing"),
    ],
)
def test_names_that_the_tables_don_t_have_are_told_with_the_cure(
    source: SourceDatabase, migrated: Path, tmp_path: Path, entry: dict[str, Any], told: str
) -> None:
    result = validate(validation_file(tmp_path, source, {"fully_qualified_name": "people", **entry}, **only_rows()))
    assert result.exit_code == 2
    assert told in result.output


def test_an_error_of_one_table_keeps_no_other_from_its_validation(
    source: SourceDatabase, migrated: Path, tmp_path: Path
) -> None:
    file = validation_file(tmp_path, source, {"fully_qualified_name": "ghosts"}, {"fully_qualified_name": "pets"})
    found = {one["table"]: one["verdict"] for one in as_json(file)["tables"]}
    assert found == {"ghosts": "inconclusive", "pets": "pass"}


def test_masked_findings_show_no_values(source: SourceDatabase, migrated: Path, tmp_path: Path) -> None:
    target_change(
        "UPDATE people SET name = 'secret-canary' WHERE id = 7; UPDATE people SET salary = 987654.25 WHERE id = 8"
    )
    settings = {"mask_values": True, "row_validation": True, "row_validation_mode": "cell", "continue_on_failure": True}
    file = validation_file(tmp_path, source, {"fully_qualified_name": "people"}, validation_configuration=settings)
    report = tmp_path / "report.html"
    output = validate(file, "--json", "--report", str(report)).output
    assert "characters, md5" in output
    for shown in (output, report.read_text(), validate(file).output):
        assert "secret-canary" not in shown
        assert "987654.25" not in shown


def test_results_are_tables_of_the_validation_schema(
    source: SourceDatabase, migrated: Path, tmp_path: Path, migration_home: Path
) -> None:
    target_change("UPDATE people SET name = name || ' ' WHERE id = 7")
    file = validation_file(tmp_path, source, **only_rows())
    validate(file)
    validate(file)  # replaces what the first one wrote
    with duckdb.connect(str(migration_home / "warehouse" / "MIGRATION_METADATA.duckdb"), read_only=True) as results:
        results.execute("USE DATA_VALIDATION")
        summary = results.execute("SELECT TABLE_NAME, VERDICT FROM SUMMARY ORDER BY 1").fetchall()
        assert summary == [("people", "fail"), ("pets", "pass")]
        assert results.execute("SELECT COLUMN_NAME, CAUSE FROM CELL_FINDINGS").fetchall() == [
            ("name", "trailing spaces")
        ]
        steps = results.execute("SELECT DISTINCT STEP FROM EVIDENCE WHERE FINGERPRINT LIKE '2000:%'").fetchall()
        assert steps == [("fingerprints of buckets",)]


def test_reports_of_two_workflows_stand_beside_each_other_in_the_result_tables(
    source: SourceDatabase, migrated: Path, tmp_path: Path, migration_home: Path
) -> None:
    validate(migrated)
    validate(validation_file(tmp_path, source))
    with duckdb.connect(str(migration_home / "warehouse" / "MIGRATION_METADATA.duckdb"), read_only=True) as results:
        found = results.execute("SELECT DISTINCT WORKFLOW_NAME FROM DATA_VALIDATION.SUMMARY ORDER BY 1").fetchall()
    assert found == [("moved_validation",), ("proof",)]


def test_a_validation_workflow_has_an_asset_per_table_with_its_checks(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validation_file(tmp_path, source)
    monkeypatch.setenv("MIGRATION_WORKFLOWS", str(tmp_path))
    graph = build_definitions(current_deployment(), valid_workflows()).resolve_asset_graph()
    assert {key.to_user_string() for key in graph.materializable_asset_keys} == {
        "proof/validated/people",
        "proof/validated/pets",
        *(
            f"proof/results/{name}"
            for name in (
                "SUMMARY",
                "SCHEMA_FINDINGS",
                "METRIC_FINDINGS",
                "ROW_FINDINGS",
                "CELL_FINDINGS",
                "CAUSES",
                "EVIDENCE",
            )
        ),
    }
    checks = {check.name for check in graph.asset_check_keys if check.asset_key.path[-1] == "people"}
    assert checks == {"schema", "metrics", "rows"}


def test_the_checks_link_the_report(
    source: SourceDatabase, migrated: Path, tmp_path: Path, migration_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = validation_file(tmp_path, source)
    monkeypatch.setenv("MIGRATION_WORKFLOWS", str(tmp_path))
    (tmp_path / "moved.json").unlink()
    definitions = build_definitions(current_deployment(), valid_workflows())
    with open_ledger() as ledger:
        from migration_assets.jobs import load_validation, submit
        from migration_assets.resources.ledger import WorkflowStatus

        submit(ledger, load_validation(file, None), WorkflowStatus.EXECUTING)
    result = definitions.get_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[dg.AssetKey(["proof", "validated", "people"])], instance=dg.DagsterInstance.ephemeral()
    )
    evaluations = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert {name: one.passed for name, one in evaluations.items()} == {"schema": True, "metrics": True, "rows": True}
    link = evaluations["rows"].metadata["report"].value
    assert link == (migration_home / "reports" / "proof.html").as_uri()
    assert "proof" in (migration_home / "reports" / "proof.html").read_text()


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_validation_cannot_be_run_as_a_migration(source: SourceDatabase, tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(main, [command, str(validation_file(tmp_path, source))])
    assert result.exit_code == 2
    assert "use `migrate validate" in result.output


def test_check_knows_validation_files(source: SourceDatabase, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(validation_file(tmp_path, source))])
    assert result.exit_code == 0
    assert "2 tables" in result.output
    bad = validation_file(tmp_path, source, {"fully_qualified_name": "people", "chunk_number": 0})
    result = CliRunner().invoke(main, ["check", str(bad)])
    assert result.exit_code == 2
    assert "$.tables[0].chunk_number" in result.output


def test_a_source_that_is_not_there_exits_with_2(
    source: SourceDatabase, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in source.environment_at(1).items():
        monkeypatch.setenv(name, value)
    result = validate(validation_file(tmp_path, source))
    assert result.exit_code == 2
    assert f"can't connect to {PRODUCTS[source.platform]}" in result.output.replace("\n", " ")


def test_a_corrupted_load_is_not_published(
    source: SourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check `fingerprint` sees what counts and schemas don't."""
    from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse

    honest = DuckDBWarehouse.copy_into

    def corrupting(self: DuckDBWarehouse, load: Any, *arguments: Any) -> Any:
        loaded = honest(self, load, *arguments)
        with self._changing(load.database, "can't corrupt") as connection:
            connection.execute(f'UPDATE "{load.schema}"."{load.table}" SET name = name || chr(32) WHERE id = 1234')
        return loaded

    monkeypatch.setattr(DuckDBWarehouse, "copy_into", corrupting)
    # Where figures and rows may be of several states, a difference proves nothing.
    file = write_workflow(tmp_path, source, [table("people", consistency="strict")])
    succeeded, tables = migrate(file)
    assert not succeeded
    checks = {check["name"]: check for check in tables["people"]["checks"]}
    assert {name: check["verdict"] for name, check in checks.items()} == {
        "schema": "pass",
        "row_count": "pass",
        "fingerprint": "fail",
    }
    assert "changed id 1234 in name" in checks["fingerprint"]["summary"]
    assert "not published" in str(tables["people"]["error"])
