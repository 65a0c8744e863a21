"""A table with a column of every type, from the source to the target: its values, and the proof of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from dagster import DagsterInstance

from migration_assets.cli.main import main
from migration_assets_tests.main_job import errors, migrate, table, target_change, target_rows, verdicts, write_workflow
from migration_assets_tests.platforms.every_type import EVERY_TYPE, PREPARATION, TypedValue
from migration_assets_tests.source_servers import SourceDatabase


@pytest.fixture
def columns(source: SourceDatabase) -> dict[str, TypedValue]:
    """The table `typed`: a row of values, one of NULLs, and one more of values."""
    found = {f"c{number}": value for number, value in enumerate(EVERY_TYPE[source.platform])}
    with source.session() as session:
        if PREPARATION[source.platform]:
            session.run_own(PREPARATION[source.platform])
        declared = ", ".join(f"{name} {value.native} NULL" for name, value in found.items())
        session.run_own(f"CREATE TABLE typed (id int NOT NULL PRIMARY KEY, {declared})")
        values = ", ".join(f"CAST({source.own_literal(value.text)} AS {value.native})" for value in found.values())
        for number in (1, 3):
            session.run_own(f"INSERT INTO typed VALUES ({number}, {values})")
        session.run_own("INSERT INTO typed (id) VALUES (2)")
    return found


@pytest.fixture
def migrated(
    source: SourceDatabase, columns: dict[str, TypedValue], tmp_path: Path, dagster_in_memory: DagsterInstance
) -> Path:
    """The workflow file, which has run."""
    mappings = [
        {"sourceType": value.native, "targetType": value.mapping} for value in columns.values() if value.mapping
    ]
    unique = {mapping["sourceType"]: mapping for mapping in mappings}
    file = write_workflow(tmp_path, source, [table("typed", columnTypeMappings=list(unique.values()))])
    succeeded, tables = migrate(file)
    assert succeeded, [row["error"] for row in errors("moved")]
    assert set(verdicts(tables["typed"]).values()) == {"pass"}, tables["typed"]["checks"]
    return file


def test_every_value_arrives_exactly(migrated: Path, columns: dict[str, TypedValue]) -> None:
    texts = ", ".join(f"CAST({name} AS VARCHAR)" for name in columns)
    first, nothing, last = target_rows(f"SELECT {texts} FROM typed ORDER BY id")
    wanted = {name: value.target for name, value in columns.items() if value.target is not None}
    printed = dict(zip(columns, first, strict=True))
    for name, value in columns.items():
        if value.mapping == "VARCHAR":
            # With the zeros of the type, or with those of all types.
            printed[name] = re.sub(r"(\.\d+?)0+(?= |$)", r"\1", printed[name])
    assert {name: printed[name] for name in wanted} == wanted
    assert set(nothing) == {None}
    assert last == first


def test_every_changed_value_is_found_by_its_column(migrated: Path, columns: dict[str, TypedValue]) -> None:
    before = CliRunner().invoke(main, ["validate", str(migrated), "--json"], catch_exceptions=False)
    assert json.loads(before.stdout)["tables"][0]["rows_different"] == 0
    # A mapping that keeps less than the source's type is told as a difference of the columns.
    assert before.exit_code == 0 or any(value.mapping for value in columns.values())
    target_change("UPDATE typed SET " + ", ".join(f"{name} = NULL" for name in columns) + " WHERE id = 3")
    result = CliRunner().invoke(main, ["validate", str(migrated), "--json"], catch_exceptions=False)
    assert result.exit_code == 1
    found: dict[str, Any] = json.loads(result.stdout)["tables"][0]
    assert found["rows_different"] == 1
    assert {cause["column"] for cause in found["causes"]} == set(columns)
