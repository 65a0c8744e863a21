"""Rows leave as they are, whatever their table is called, and a later snapshot knows what changed."""

from __future__ import annotations

import pytest

from migration_assets.platforms.postgresql import changed_since, count_query, location_mark
from migration_assets_tests.platforms.postgresql.source import PLATFORM, Source
from migration_assets_tests.servers import PostgreSQLDatabase


@pytest.mark.parametrize("name", ["select", "Mixed Case", "größe", 'quo"te', "{brace}", "per%cent", "a.b"])
def test_tables_and_columns_may_have_any_name(source: Source, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    source.execute(f"CREATE TABLE {quoted} ({quoted} int PRIMARY KEY)")
    source.execute(f"INSERT INTO {quoted} SELECT generate_series(1, 1000)")
    source.execute(f"ANALYZE {quoted}")
    table = source.table(name)
    assert table.primary_key == (name,)
    for max_rows in (None, 100):
        for where in (None, f"{quoted} > 0 -- all"):
            plan = PLATFORM.partition_by_key(source.run, table, [name], where, 4, max_rows)
            rows = [
                row[name]
                for part in plan.partitions
                for row in source.extract(table, predicate=part.predicate, where=where).to_pylist()
            ]
            assert sorted(rows) == list(range(1, 1001))


def test_a_null_in_the_only_column_is_a_row(source: Source) -> None:
    source.execute("CREATE TABLE t (c text); INSERT INTO t VALUES (NULL), (''), (NULL), ('x')")
    assert [row["c"] for row in source.extract(source.table("t")).to_pylist()] == [None, "", None, "x"]


def test_filter_and_predicate_are_both_kept_in_parentheses(source: Source) -> None:
    source.execute("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10)")
    read = source.extract(source.table("t"), predicate="id < 3 OR id > 8", where="id = 1 OR id = 5")
    assert read.to_pylist() == [{"id": 1}]
    assert source.value(count_query(source.name("t"), None, "id < 3 OR id > 8")) == 4


@pytest.mark.parametrize(
    ("statement", "changed"),
    [
        ("SELECT 1", False),
        ("DELETE FROM t WHERE id = 1", False),
        ("INSERT INTO other VALUES (1)", False),
        ("INSERT INTO t VALUES (1)", True),
        ("UPDATE t SET id = 2 WHERE id = 1", True),
        ("BEGIN; SAVEPOINT s; INSERT INTO t VALUES (1); RELEASE s; COMMIT", True),
        ("VACUUM FULL t", True),
        ("VACUUM FREEZE t", False),
    ],
)
def test_changes_since_a_snapshot_are_seen(
    source: Source, database: PostgreSQLDatabase, statement: str, changed: bool
) -> None:
    source.execute("CREATE TABLE t (id int); CREATE TABLE other (id int)")
    source.execute("INSERT INTO t SELECT generate_series(1, 10)")
    mark = source.value(location_mark(source.name("t")))
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
    query = changed_since(source.name("t"), mark)
    assert source.value(query) is changed


def test_a_subtransaction_that_was_running_at_the_snapshot_counts_as_a_change(
    source: Source, database: PostgreSQLDatabase
) -> None:
    source.execute("CREATE TABLE t (id int); CREATE TABLE other (id int)")
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO other VALUES (1); SAVEPOINT s; INSERT INTO t VALUES (1)")
        # A later transaction that is finished raises the snapshot's upper end above the subtransaction.
        source.execute("INSERT INTO other VALUES (2)")
        mark = source.value(location_mark(source.name("t")))
        cursor.execute("RELEASE s; COMMIT")
    query = changed_since(source.name("t"), mark)
    assert source.value(query) is True
