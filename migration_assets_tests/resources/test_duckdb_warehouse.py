"""What only DuckDB has: files that one process owns at a time, and that survive its death."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from migration_assets.platforms import types
from migration_assets.platforms.base import TableName
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.stages.base import StagedFile
from migration_assets.resources.stages.filesystem import FileSystemStage
from migration_assets.resources.warehouses.base import Change, LoadColumn, PublishMark, WarehouseError
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse

TARGET = TableName("SALES", "public", "ORDERS")
LOAD = TARGET.renamed("ORDERS__2")
COLUMNS = [LoadColumn("id", types.integer(64), "BIGINT")]
MARK = PublishMark("sales", "orders", 2)

_PROCESS_STATUS = Path("/proc/self/status")

_HOLDER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(directory=str(tmp_path / "warehouse"), lock_timeout_seconds=30)


@pytest.fixture
def stage(tmp_path: Path) -> FileSystemStage:
    return FileSystemStage(url=(tmp_path / "stage").as_uri())


def stage_rows(stage: FileSystemStage, path: str, rows: list[int]) -> StagedFile:
    with stage.open_output(path) as output:
        pq.write_table(pa.table({"id": pa.array(rows, pa.int64())}), output)
    return StagedFile(path=path, rows=len(rows), bytes=1)


def migrate(warehouse: DuckDBWarehouse, stage: FileSystemStage, files: list[StagedFile]) -> None:
    warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)
    warehouse.copy_into(LOAD, COLUMNS, files, stage)
    warehouse.publish(LOAD, TARGET)


def run_sql(warehouse: DuckDBWarehouse, *statements: str) -> list[tuple[Any, ...]]:
    directory = Path(warehouse.directory)
    directory.mkdir(exist_ok=True)
    with duckdb.connect(str(directory / "SALES.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
        return connection.fetchall()


@contextmanager
def held_by_another_process(warehouse: DuckDBWarehouse) -> Iterator[subprocess.Popen[str]]:
    run_sql(warehouse, "CREATE SCHEMA IF NOT EXISTS public")
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(Path(warehouse.directory) / "SALES.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.stdin.close()


OPERATIONS: list[Callable[[DuckDBWarehouse], object]] = [
    lambda warehouse: warehouse.describe(TARGET),
    lambda warehouse: warehouse.loaded_files(LOAD),
    lambda warehouse: warehouse.list_tables("SALES", "public", "O"),
    lambda warehouse: warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK),
    lambda warehouse: warehouse.drop_table(LOAD),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_holds_the_file_for_too_long_is_named(
    tmp_path: Path, operation: Callable[[DuckDBWarehouse], object]
) -> None:
    warehouse = DuckDBWarehouse(directory=str(tmp_path), lock_timeout_seconds=0.2)

    with held_by_another_process(warehouse) as holder, pytest.raises(WarehouseError) as caught:
        operation(warehouse)

    assert f"PID {holder.pid}" in str(caught.value)
    assert "stayed in use for 0.2 s" in str(caught.value)
    assert "lock_timeout_seconds" in str(caught.value)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_waits_until_another_process_lets_go(
    warehouse: DuckDBWarehouse, operation: Callable[[DuckDBWarehouse], object]
) -> None:
    failures: list[WarehouseError] = []

    def run() -> None:
        try:
            operation(warehouse)
        except WarehouseError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    with held_by_another_process(warehouse):
        thread.start()
        thread.join(timeout=0.3)
        waited = thread.is_alive()
    thread.join()

    assert waited
    assert failures == []


def test_the_file_is_free_between_operations(warehouse: DuckDBWarehouse, stage: FileSystemStage) -> None:
    warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)
    with held_by_another_process(warehouse):
        pass
    warehouse.copy_into(LOAD, COLUMNS, [stage_rows(stage, "1.parquet", [1])], stage)
    with held_by_another_process(warehouse):
        pass

    assert warehouse.count_rows(LOAD) == 1


def _migrate_until_killed(directory: str, stage_url: str, files: list[StagedFile], killed_at: int) -> None:
    """Publishes ORDERS, but dies of SIGKILL before its n-th call of DuckDB."""
    steps = 0

    class Connection:
        def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> Any:
            if name in ("execute", "commit", "close"):
                die_in_time()
            return getattr(self._connection, name)

    def die_in_time() -> None:
        nonlocal steps
        steps += 1
        if steps == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    connect = duckdb.connect
    duckdb.connect = lambda *arguments, **options: Connection(connect(*arguments, **options))  # type: ignore[assignment]
    migrate(DuckDBWarehouse(directory=directory), FileSystemStage(url=stage_url), files)


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, [(100,)]], ids=["no database", "an older target"])
def test_a_process_killed_at_any_moment_is_continued_without_loss_or_duplicates(
    warehouse: DuckDBWarehouse, stage: FileSystemStage, before: list[tuple[int]] | None
) -> None:
    files = [stage_rows(stage, f"{number}.parquet", [number] * number) for number in (1, 2, 3)]
    after = [(1,), (2,), (2,), (3,), (3,), (3,)]
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    killed_at = 0
    ended = False
    while not ended:
        killed_at += 1
        shutil.rmtree(warehouse.directory, ignore_errors=True)
        if before is not None:
            run_sql(
                warehouse,
                "CREATE SCHEMA public",
                "CREATE TABLE public.ORDERS AS SELECT 100::BIGINT AS id",
            )
        process = processes.Process(
            target=_migrate_until_killed, args=(warehouse.directory, stage.url, files, killed_at)
        )
        process.start()
        process.join()
        ended = process.exitcode == 0
        assert process.exitcode in (0, -signal.SIGKILL)

        if warehouse.describe(TARGET) is None:
            seen = None
        else:
            seen = run_sql(warehouse, "SELECT id FROM public.ORDERS ORDER BY id")
        assert seen in (before, after), killed_at
        if seen == before:
            migrate(warehouse, stage, files)
        else:
            warehouse.publish(LOAD, TARGET)

        described = warehouse.describe(TARGET)
        assert described is not None
        assert (described.rows, described.mark) == (6, MARK), killed_at
        assert warehouse.list_tables("SALES", "public", "ORDERS") == [TARGET]
        assert run_sql(warehouse, "SELECT * FROM _migration.loaded_files") == []

    assert killed_at > 30


def test_constraints_indexes_and_comments_of_columns_are_kept(
    warehouse: DuckDBWarehouse, stage: FileSystemStage
) -> None:
    run_sql(
        warehouse,
        "CREATE SCHEMA public",
        'CREATE TABLE public."ORDERS" (id BIGINT PRIMARY KEY, "a""(b" VARCHAR COLLATE NOCASE DEFAULT \'x\', '
        "double BIGINT GENERATED ALWAYS AS (id * 2), CHECK (id > 0))",
        'CREATE INDEX by_text ON public."ORDERS"("a""(b")',
        "COMMENT ON COLUMN public.\"ORDERS\".id IS 'the order''s number'",
    )
    catalogue = (
        "SELECT (SELECT sql FROM duckdb_tables() WHERE table_name = 'ORDERS'), "
        "(SELECT list(sql) FROM duckdb_indexes()), "
        "(SELECT comment FROM duckdb_columns() WHERE table_name = 'ORDERS' AND column_name = 'id')"
    )
    before = run_sql(warehouse, catalogue)

    migrate(warehouse, stage, [stage_rows(stage, "1.parquet", [1, 2])])

    assert run_sql(warehouse, catalogue) == before
    rows = run_sql(warehouse, "SELECT * FROM public.ORDERS ORDER BY ALL")
    assert rows == [(1, "x", 2), (2, "x", 4)]


def test_rows_that_break_a_constraint_of_the_target_are_refused(
    warehouse: DuckDBWarehouse, stage: FileSystemStage
) -> None:
    run_sql(warehouse, "CREATE SCHEMA public", "CREATE TABLE public.ORDERS (id BIGINT PRIMARY KEY)")

    with pytest.raises(WarehouseError, match=r"2\.parquet"):
        migrate(
            warehouse,
            stage,
            [stage_rows(stage, "1.parquet", [1]), stage_rows(stage, "2.parquet", [1])],
        )

    assert warehouse.count_rows(LOAD) == 0


def test_a_target_that_others_refer_to_is_left_as_it_was(warehouse: DuckDBWarehouse, stage: FileSystemStage) -> None:
    run_sql(
        warehouse,
        "CREATE SCHEMA public",
        "CREATE TABLE public.ORDERS (id BIGINT PRIMARY KEY)",
        "CREATE TABLE public.LINES (order_id BIGINT REFERENCES public.ORDERS (id))",
    )

    with pytest.raises(WarehouseError, match="LINES"):
        migrate(warehouse, stage, [stage_rows(stage, "1.parquet", [1])])

    assert warehouse.count_rows(TARGET) == 0
    assert warehouse.count_rows(LOAD) == 1


def test_a_column_that_a_file_lacks_is_named(warehouse: DuckDBWarehouse, stage: FileSystemStage) -> None:
    columns = [*COLUMNS, LoadColumn("amount", types.integer(64), "BIGINT")]
    warehouse.create_load_table(LOAD, columns, TARGET, MARK)

    with pytest.raises(WarehouseError, match=r"(?s)1\.parquet.*amount"):
        warehouse.copy_into(LOAD, columns, [stage_rows(stage, "1.parquet", [1])], stage)


def test_folders_that_look_like_hive_partitions_add_no_columns(
    warehouse: DuckDBWarehouse, stage: FileSystemStage
) -> None:
    migrate(warehouse, stage, [stage_rows(stage, "id=7/1.parquet", [1])])

    assert run_sql(warehouse, "SELECT id FROM public.ORDERS") == [(1,)]


def test_a_database_is_one_file_whatever_the_case_of_its_name(
    warehouse: DuckDBWarehouse, stage: FileSystemStage
) -> None:
    migrate(warehouse, stage, [stage_rows(stage, "1.parquet", [1])])
    lower = warehouse.target_name("sales", "PUBLIC", "orders")

    assert warehouse.count_rows(lower) == 1
    assert [file.name for file in Path(warehouse.directory).glob("*.duckdb")] == ["SALES.duckdb"]


@pytest.mark.parametrize("database", ["../outside", "a/b", "..", "Größe 1"])
def test_a_database_s_file_stays_in_the_directory(
    warehouse: DuckDBWarehouse, stage: FileSystemStage, database: str
) -> None:
    target = warehouse.target_name(database, "public", "T")
    load = target.renamed("T__1")
    warehouse.create_load_table(load, COLUMNS, target, MARK)
    warehouse.copy_into(load, COLUMNS, [stage_rows(stage, "1.parquet", [1])], stage)
    warehouse.publish(load, target)

    selected = exp.select("id").from_(target.to_expression())
    assert warehouse.query(selected, database) == [{"id": 1}]
    assert [file.parent for file in Path(warehouse.directory).parent.rglob("*.duckdb")] == [Path(warehouse.directory)]


def test_a_database_without_a_name_is_an_error(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(WarehouseError, match="targetDatabase"):
        warehouse.describe(TableName("", "public", "T"))


def test_a_query_reads_one_database_and_no_python_variables(warehouse: DuckDBWarehouse, stage: FileSystemStage) -> None:
    migrate(warehouse, stage, [stage_rows(stage, "1.parquet", [1])])
    orders = [TARGET]

    for statement in ("SELECT * FROM other.public.ORDERS", "SELECT * FROM orders"):
        parsed = sqlglot.parse_one(statement, read="duckdb")
        assert isinstance(parsed, exp.Expression)
        with pytest.raises(WarehouseError):
            warehouse.query(parsed, "SALES")
    assert orders


def test_a_transaction_changes_one_database(warehouse: DuckDBWarehouse, stage: FileSystemStage) -> None:
    migrate(warehouse, stage, [stage_rows(stage, "1.parquet", [1, 2])])
    elsewhere = (
        'DELETE FROM other.public."ORDERS"',
        'DELETE FROM sales.public."ORDERS" WHERE id IN (SELECT id FROM other.public."ORDERS")',
        'INSERT INTO sales.public."ORDERS" SELECT * FROM other.public."ORDERS"',
        'MERGE INTO sales.public."ORDERS" AS t USING (SELECT id FROM other.public."ORDERS") AS l ON t.id = l.id '
        "WHEN MATCHED THEN DELETE",
    )

    for statement in elsewhere:
        with pytest.raises(WarehouseError, match="a statement in SALES can't name"):
            change(warehouse, statement)
    deleted = change(warehouse, 'DELETE FROM sales.public."ORDERS" WHERE sales.public."ORDERS".id = 1')

    assert deleted == 1
    assert warehouse.count_rows(TARGET) == 1


def change(warehouse: DuckDBWarehouse, *statements: str) -> int:
    """The rows that the statements change in one transaction."""
    with warehouse.transaction("SALES") as transaction:
        return sum([transaction.change(change_of(statement)) for statement in statements])


def change_of(statement: str) -> Change:
    parsed = sqlglot.parse_one(statement, dialect="duckdb")
    assert isinstance(parsed, Change)
    return parsed


def test_a_transaction_in_a_database_that_is_not_there_makes_none(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(WarehouseError, match="there is no database SALES"):
        change(warehouse)

    assert not Path(warehouse.directory).exists()


UPSERT = (
    'MERGE INTO "SALES".public."ORDERS" AS t USING "SALES".public."NEW" AS l ON t.id = l.id '
    "WHEN MATCHED THEN UPDATE SET text = l.text WHEN NOT MATCHED THEN INSERT (id, text) VALUES (l.id, l.text)"
)


def _change_until_killed(directory: str, killed_after: int) -> None:
    """Deletes, merges and clears, but dies of SIGKILL after n of its changes."""
    statements = ('DELETE FROM "SALES".public."ORDERS" WHERE id < 50', UPSERT, 'DELETE FROM "SALES".public."NEW"')
    with DuckDBWarehouse(directory=directory).transaction("SALES") as transaction:
        for number in range(killed_after + 1):
            if number == killed_after:
                os.kill(os.getpid(), signal.SIGKILL)
            transaction.change(change_of(statements[number]))


@pytest.mark.parametrize("killed_after", [0, 1, 2, 3])
def test_a_process_that_is_killed_in_a_transaction_changes_nothing(
    warehouse: DuckDBWarehouse, killed_after: int
) -> None:
    run_sql(
        warehouse,
        "CREATE SCHEMA public",
        'CREATE TABLE public."ORDERS" (id BIGINT PRIMARY KEY, text VARCHAR)',
        "INSERT INTO public.\"ORDERS\" SELECT i, 'old' FROM range(200000) AS r(i)",
        "CREATE TABLE public.\"NEW\" AS SELECT i AS id, 'new' AS text FROM range(100000, 300000) AS r(i)",
    )
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])

    process = processes.Process(target=_change_until_killed, args=(warehouse.directory, killed_after))
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert run_sql(warehouse, "SELECT count(*), min(id), max(id), max(text) FROM public.ORDERS") == [
        (200_000, 0, 199_999, "old")
    ]
    assert run_sql(warehouse, "SELECT count(*) FROM public.NEW") == [(200_000,)]
    assert change(warehouse, UPSERT) == 200_000
    assert run_sql(warehouse, "SELECT text, count(*) FROM public.ORDERS GROUP BY ALL ORDER BY ALL") == [
        ("new", 200_000),
        ("old", 100_000),
    ]


def test_rows_that_break_a_constraint_are_not_merged(warehouse: DuckDBWarehouse) -> None:
    run_sql(
        warehouse,
        "CREATE SCHEMA public",
        'CREATE TABLE public."ORDERS" (id BIGINT PRIMARY KEY, text VARCHAR NOT NULL UNIQUE)',
        "INSERT INTO public.\"ORDERS\" VALUES (1, 'a'), (2, 'b')",
        'CREATE TABLE public."NEW" (id BIGINT, text VARCHAR)',
        "INSERT INTO public.\"NEW\" VALUES (2, 'c'), (3, 'a')",
    )

    with pytest.raises(WarehouseError, match=r"can't change rows of public\..ORDERS.*text: a"):
        change(warehouse, UPSERT)
    run_sql(warehouse, "UPDATE public.NEW SET text = NULL WHERE id = 3")
    with pytest.raises(WarehouseError, match="NOT NULL"):
        change(warehouse, UPSERT)

    assert run_sql(warehouse, "SELECT * FROM public.ORDERS ORDER BY id") == [(1, "a"), (2, "b")]


def test_rows_that_others_refer_to_can_be_merged_and_not_replaced(warehouse: DuckDBWarehouse) -> None:
    run_sql(
        warehouse,
        "CREATE SCHEMA public",
        'CREATE TABLE public."ORDERS" (id BIGINT PRIMARY KEY, text VARCHAR)',
        "INSERT INTO public.\"ORDERS\" VALUES (1, 'a'), (2, 'b')",
        'CREATE TABLE public.LINES (order_id BIGINT REFERENCES public."ORDERS" (id))',
        "INSERT INTO public.LINES VALUES (1)",
        "CREATE TABLE public.\"NEW\" AS SELECT 1::BIGINT AS id, 'c' AS text",
    )
    orders, new = '"SALES".public."ORDERS"', '"SALES".public."NEW"'

    with pytest.raises(WarehouseError, match="foreign key"):
        change(
            warehouse,
            f"DELETE FROM {orders} AS t WHERE EXISTS (SELECT 1 FROM {new} AS l WHERE l.id = t.id)",
            f"INSERT INTO {orders} (id, text) SELECT id, text FROM {new}",
        )
    assert change(warehouse, UPSERT) == 1

    assert run_sql(warehouse, "SELECT * FROM public.ORDERS ORDER BY id") == [(1, "c"), (2, "b")]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [3, 150])
def test_more_rows_are_merged_than_fit_into_memory(warehouse: DuckDBWarehouse, columns: int) -> None:
    names, rows = [f"c{number}" for number in range(columns)], 2_000_000 if columns == 3 else 260_000
    defined = ", ".join(f"{name} DOUBLE" for name in names)
    run_sql(
        warehouse,
        "SET memory_limit = '2GB'",
        "CREATE SCHEMA public",
        f'CREATE TABLE public."NEW" (id BIGINT, {defined})',
        f'INSERT INTO public."NEW" SELECT i, {", ".join("random()" for _ in names)} FROM range({rows}) AS r(i)',
        f'CREATE TABLE public."ORDERS" (id BIGINT PRIMARY KEY, {defined})',
        f'INSERT INTO public."ORDERS" SELECT * FROM public."NEW" WHERE id < {rows // 2}',
    )
    updated, values = (", ".join(form.format(name) for name in names) for form in ("{0} = l.{0}", "l.{0}"))
    latest = "ROW_NUMBER() OVER (PARTITION BY id ORDER BY c0 DESC, MD5(CAST(c1 AS VARCHAR)) DESC)"
    merge = (
        f'MERGE INTO "SALES".public."ORDERS" AS t USING (SELECT * FROM (SELECT *, {latest} AS n '
        'FROM "SALES".public."NEW") AS numbered WHERE n = 1) AS l ON t.id = l.id '
        f"WHEN MATCHED THEN UPDATE SET {updated} "
        f"WHEN NOT MATCHED THEN INSERT (id, {', '.join(names)}) VALUES (l.id, {values})"
    )

    with warehouse.hold("SALES"):
        assert change(warehouse, merge) == rows
        assert warehouse.count_rows(TARGET) == rows
        threads = warehouse.query(parsed("SELECT current_setting('threads') AS threads"), "SALES")
    assert threads == [{"threads": 2}]
    with pytest.raises(duckdb.OutOfMemoryException):
        run_sql(warehouse, "SET memory_limit = '160MB'", "SET threads = 1", merge.replace('"SALES".', ""))


BOUND_COLUMNS = [
    ("id INTEGER PRIMARY KEY, note VARCHAR", []),
    ("id INTEGER UNIQUE, note VARCHAR", []),
    ("id INTEGER CHECK (id IN (1, 2)), note VARCHAR", []),
    ("note VARCHAR DEFAULT ', id INTEGER', id INTEGER, twice BIGINT GENERATED ALWAYS AS (id * 2)", []),
    ("id INTEGER, note VARCHAR REFERENCES public.parents (note)", []),
    ("id INTEGER NOT NULL, note VARCHAR NOT NULL", ["CREATE UNIQUE INDEX by_id ON public.ORDERS (id)"]),
    ("id INTEGER, note VARCHAR NOT NULL", ["CREATE INDEX by_sum ON public.ORDERS ((id + 1))"]),
]


@pytest.mark.parametrize(("definition", "indexes"), BOUND_COLUMNS)
@pytest.mark.parametrize("whole", [False, True], ids=["in place", "with a load table"])
def test_a_column_is_widened_whatever_depends_on_it(
    warehouse: DuckDBWarehouse, stage: FileSystemStage, definition: str, indexes: list[str], *, whole: bool
) -> None:
    run_sql(
        warehouse,
        "CREATE SCHEMA public",
        "CREATE TABLE public.parents (note VARCHAR PRIMARY KEY)",
        "INSERT INTO public.parents VALUES ('a')",
        f"CREATE TABLE public.ORDERS ({definition})",
        "INSERT INTO public.ORDERS (id, note) VALUES (1, 'a')",
        *indexes,
        "COMMENT ON COLUMN public.ORDERS.id IS 'the order''s number'",
        "COMMENT ON TABLE public.ORDERS IS 'mine'",
    )
    catalogue = (
        "SELECT (SELECT sql FROM duckdb_tables() WHERE table_name = 'ORDERS'), "
        "(SELECT list(sql) FROM duckdb_indexes()), "
        "(SELECT comment FROM duckdb_columns() WHERE table_name = 'ORDERS' AND column_name = 'id')"
    )
    ((before, indexes_before, comment_before),) = run_sql(warehouse, catalogue)
    columns = [*COLUMNS, LoadColumn("note", types.TEXT, "VARCHAR"), LoadColumn("more", types.DATE, "DATE")]

    if whole:
        warehouse.create_load_table(LOAD, columns, TARGET, MARK, evolve=True)
        with stage.open_output("1.parquet") as output:
            rows = {"id": pa.array([1], pa.int64()), "note": ["a"], "more": pa.array([None], pa.date32())}
            pq.write_table(pa.table(rows), output)
        warehouse.copy_into(LOAD, columns, [StagedFile(path="1.parquet", rows=1, bytes=1)], stage)
        warehouse.publish(LOAD, TARGET)
    else:
        sentences = warehouse.evolve(TARGET, columns)
        assert sentences[0] == "widened column id from INTEGER to BIGINT"
        assert sentences[-1] == "added column more DATE"

    ((after, indexes_after, comment_after),) = run_sql(warehouse, catalogue)
    assert warehouse.evolve(TARGET, columns) == []
    words = before.replace("id INTEGER,", "id BIGINT,").replace("id INTEGER ", "id BIGINT ").replace(" NOT NULL", "")
    assert after.replace(", more DATE", "") == words.replace("', id BIGINT'", "', id INTEGER'")
    assert (indexes_after, comment_after) == (indexes_before, comment_before)
    assert run_sql(warehouse, "SELECT id, note, more FROM public.ORDERS") == [(1, "a", None)]
    described = warehouse.describe(TARGET)
    assert described is not None
    assert described.mark == (MARK if whole else None)
    assert warehouse.list_tables("SALES", "public", "ORDERS") == [TARGET]


WIDENED = [
    ("FLOAT", types.floating(64), "1.5", 1.5),
    ("DECIMAL(10,2)", types.decimal(12, 3), "1.25", Decimal("1.25")),
    ("SMALLINT", types.decimal(7, 2), "7", 7),
    (
        "TIMESTAMP_MS",
        types.temporal(Kind.TIMESTAMP),
        "'2024-01-01 00:00:00.123'",
        datetime(2024, 1, 1, 0, 0, 0, 123000),  # noqa: DTZ001
    ),
    ("UUID", types.TEXT, "'0b01ed9c-35a5-4b6e-9b5d-6f0d9a1c2f3e'", "0b01ed9c-35a5-4b6e-9b5d-6f0d9a1c2f3e"),
    ("JSON", types.TEXT, "'{\"a\":  1}'", '{"a":  1}'),
]


@pytest.mark.parametrize(("existing", "planned", "literal", "value"), WIDENED)
@pytest.mark.parametrize("constraint", ["", "UNIQUE"])
def test_values_stay_as_they_are_when_their_column_is_widened(
    warehouse: DuckDBWarehouse, existing: str, planned: ColumnType, literal: str, value: object, constraint: str
) -> None:
    run_sql(
        warehouse,
        "CREATE SCHEMA public",
        f'CREATE TABLE public."ORDERS" (x {existing} {constraint})',
        f'INSERT INTO public."ORDERS" VALUES ({literal}), (NULL)',
    )
    ddl_type = warehouse.platform.ddl_type(planned)

    sentences = warehouse.evolve(TARGET, [LoadColumn("x", planned, ddl_type)])

    assert sentences == [f"widened column x from {existing} to {ddl_type}"]
    assert run_sql(warehouse, 'SELECT x, typeof(x) FROM public."ORDERS" ORDER BY x') == [
        (value, ddl_type),
        (None, ddl_type),
    ]


def test_a_type_that_is_not_staged_is_left_as_it_is(warehouse: DuckDBWarehouse) -> None:
    run_sql(warehouse, "CREATE SCHEMA public", "CREATE TABLE public.ORDERS (id ENUM ('1', '2'))")

    assert warehouse.evolve(TARGET, COLUMNS) == []


@pytest.mark.parametrize(
    "tables",
    [
        ["public.ORDERS (id INTEGER PRIMARY KEY)", "public.LINES (id INTEGER REFERENCES public.ORDERS (id))"],
        ["public.LINES (id INTEGER PRIMARY KEY)", "public.ORDERS (id INTEGER REFERENCES public.LINES (id))"],
    ],
)
def test_a_column_that_refers_to_another_or_is_referred_to_stays_as_it_was(
    warehouse: DuckDBWarehouse, tables: list[str]
) -> None:
    run_sql(warehouse, "CREATE SCHEMA public", *(f"CREATE TABLE {table}" for table in tables))

    with pytest.raises(WarehouseError, match=r"can't change the columns of SALES\.public\.ORDERS"):
        warehouse.evolve(TARGET, COLUMNS)

    described = warehouse.describe(TARGET)
    assert described is not None
    assert described.columns[0].type == "INTEGER"
    assert warehouse.list_tables("SALES", "public", "ORDERS") == [TARGET]


def answer_of(warehouse: DuckDBWarehouse, query: str) -> list[dict[str, object]]:
    run_sql(warehouse, "CREATE SCHEMA IF NOT EXISTS public")
    return [dict(row) for row in warehouse.query(parsed(query), "SALES")]


def parsed(query: str) -> exp.Select:
    return sqlglot.parse_one(query, dialect="duckdb", into=exp.Select)


@pytest.mark.parametrize(
    ("type_name", "text", "expected"),
    [
        ("DATE", "infinity", "infinity"),
        ("DATE", "-infinity", "-infinity"),
        ("DATE", "0044-03-15 (BC)", "0044-03-15 BC"),
        ("DATE", "0001-02-29 (BC)", "0001-02-29 BC"),
        ("DATE", "4714-11-24 (BC)", "4714-11-24 BC"),
        ("DATE", "10000-02-29", "10000-02-29"),
        ("DATE", "5881580-07-10", "5881580-07-10"),
        ("TIMESTAMP", "infinity", "infinity"),
        ("TIMESTAMP", "-infinity", "-infinity"),
        ("TIMESTAMP", "0044-03-15 (BC) 12:30:01.000001", "0044-03-15 12:30:01.000001 BC"),
        ("TIMESTAMP", "10000-01-01 00:00:00", "10000-01-01 00:00:00"),
        ("TIMESTAMP", "294246-12-31 23:59:59.5", "294246-12-31 23:59:59.5"),
        ("TIMESTAMP_S", "10000-01-01 00:00:01", "10000-01-01 00:00:01"),
        ("TIMESTAMP_MS", "10000-01-01 00:00:00.05", "10000-01-01 00:00:00.05"),
        ("TIMESTAMPTZ", "infinity", "infinity"),
        ("TIMESTAMPTZ", "0044-03-15 (BC) 12:30:00+00", "0044-03-15 12:30:00+00 BC"),
        ("TIMESTAMPTZ", "10000-01-01 00:00:00.25+00", "10000-01-01 00:00:00.25+00"),
    ],
)
def test_a_date_beyond_python_s_calendar_is_its_text_as_postgresql_writes_it(
    warehouse: DuckDBWarehouse, type_name: str, text: str, expected: str
) -> None:
    usual = datetime(2024, 5, 1, tzinfo=timezone.utc)

    rows = answer_of(
        warehouse,
        f"SELECT CAST('{text}' AS {type_name}) AS odd, DATE '2024-05-01' AS day, "
        "TIMESTAMPTZ '2024-05-01 00:00:00+00' AS instant, 7 AS n, NULL::DATE AS nothing",
    )

    assert rows == [{"odd": expected, "day": usual.date(), "instant": usual, "n": 7, "nothing": None}]


def test_usual_dates_beside_others_are_dates(warehouse: DuckDBWarehouse) -> None:
    rows = answer_of(
        warehouse, "SELECT day FROM (VALUES (DATE '2024-05-01'), ('infinity'), (NULL), ('0001-01-01')) AS v(day)"
    )

    assert [row["day"] for row in rows] == [date(2024, 5, 1), "infinity", None, date(1, 1, 1)]


def test_an_answer_that_python_has_no_object_for_is_an_error_of_the_warehouse(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(WarehouseError, match="can't read what SALES answers"):
        answer_of(warehouse, "SELECT [DATE 'infinity'] AS days")


@pytest.mark.parametrize("method", ["ask", "read"])
def test_an_error_while_rows_flow_is_one_of_the_warehouse(warehouse: DuckDBWarehouse, method: str) -> None:
    run_sql(warehouse, "CREATE SCHEMA IF NOT EXISTS public")
    query = parsed("SELECT CASE WHEN i = 990000 THEN ERROR('too late') END AS x FROM range(1000000) AS r(i)")

    with pytest.raises(WarehouseError, match=r"can't .* SALES.*too late"):
        list(getattr(warehouse, method)(query, "SALES"))


def test_a_load_table_in_another_schema_can_t_be_published(warehouse: DuckDBWarehouse) -> None:
    elsewhere = TableName("SALES", "staging", "ORDERS__1")

    with pytest.raises(WarehouseError, match="must be in the schema"):
        warehouse.create_load_table(elsewhere, COLUMNS, TARGET, MARK)
    with pytest.raises(WarehouseError, match="must be in the schema"):
        warehouse.publish(elsewhere, TARGET)


def test_a_file_that_is_no_database_is_an_error_that_names_it(warehouse: DuckDBWarehouse) -> None:
    Path(warehouse.directory).mkdir()
    (Path(warehouse.directory) / "SALES.duckdb").write_text("not a database" * 1000)

    with pytest.raises(WarehouseError, match=r"SALES\.duckdb"):
        warehouse.describe(TARGET)


def _load_and_measure(directory: str, stage_url: str, files: list[StagedFile], answer: Any) -> None:
    columns = [
        LoadColumn(name, types.integer(64), "BIGINT") if name == "id" else LoadColumn(name, types.TEXT, "VARCHAR")
        for name in ("id", "a", "b", "c", "d")
    ]
    warehouse = DuckDBWarehouse(directory=directory)
    warehouse.create_load_table(LOAD, columns, TARGET, MARK)
    warehouse.copy_into(LOAD, columns, files, FileSystemStage(url=stage_url))
    # `getrusage` would count what the parent had in memory when it started this process.
    status = dict(line.split(":", 1) for line in _PROCESS_STATUS.read_text().splitlines())
    answer.put(int(status["VmHWM"].split()[0]) // 1024)


@pytest.mark.slow
@pytest.mark.skipif(not _PROCESS_STATUS.exists(), reason="only Linux tells a process's largest size")
def test_six_million_rows_are_loaded_in_less_than_512_mb(warehouse: DuckDBWarehouse, stage: FileSystemStage) -> None:
    rows = 750_000
    ids = pa.array(range(rows), pa.int64())
    texts = pa.array([f"text number {number * 7919 % 1_000_003}" for number in range(rows)])
    with stage.open_output("1.parquet") as output:
        pq.write_table(pa.table({"id": ids, "a": texts, "b": texts, "c": texts, "d": texts}), output)
    content = stage.read_bytes("1.parquet")
    files = []
    for number in range(8):
        stage.write_bytes(f"{number}.parquet", content)
        files.append(StagedFile(path=f"{number}.parquet", rows=rows, bytes=len(content)))
    processes = multiprocessing.get_context("spawn")
    answer = processes.Queue()

    process = processes.Process(target=_load_and_measure, args=(warehouse.directory, stage.url, files, answer))
    process.start()
    megabytes = answer.get(timeout=300)
    process.join()

    assert warehouse.count_rows(LOAD) == 8 * rows
    assert megabytes < 512


def test_a_table_too_wide_for_two_threads_is_loaded_by_one(tmp_path: Path, stage: FileSystemStage) -> None:
    rows, names = 130_000, [f"c{number}" for number in range(150)]
    numbers = pa.array(np.random.default_rng(7).random(rows))
    with stage.open_output("wide.parquet") as output:
        pq.write_table(pa.table(dict.fromkeys(names, numbers)), output, row_group_size=25_000, use_dictionary=False)
    file = StagedFile(path="wide.parquet", rows=rows, bytes=len(stage.read_bytes("wide.parquet")))
    columns = [LoadColumn(name, types.floating(64), "DOUBLE") for name in names]
    warehouse = DuckDBWarehouse(directory=str(tmp_path / "warehouse"), memory_limit="150MB")
    warehouse.create_load_table(LOAD, columns, TARGET, MARK)
    direct = f"INSERT INTO {LOAD.schema}.{LOAD.table} SELECT * FROM '{stage.base_path}/wide.parquet'"
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "150MB",
        "threads": 2,
        "preserve_insertion_order": False,
    }
    file_name = str(tmp_path / "warehouse" / "SALES.duckdb")
    with (
        duckdb.connect(file_name, config=settings) as connection,
        pytest.raises(duckdb.OutOfMemoryException),
    ):
        connection.execute(direct)
    with warehouse.hold("SALES"):
        loaded = warehouse.copy_into(LOAD, columns, [file], stage)
        assert warehouse.count_rows(LOAD) == rows
    assert [each.rows for each in loaded] == [rows]


TIMES = [
    LoadColumn("at", types.temporal(Kind.TIMESTAMP, 7), "TIMESTAMP_NS"),
    LoadColumn("of day", types.temporal(Kind.TIME, 7), "TIME_NS"),
]


def stage_times(stage: FileSystemStage, *rows: tuple[str | None, str | None]) -> list[StagedFile]:
    moments, clocks = zip(*rows, strict=True)
    with stage.open_output("times.parquet") as output:
        pq.write_table(
            pa.table({"at": pa.array(moments, pa.string()), "of day": pa.array(clocks, pa.string())}), output
        )
    return [StagedFile(path="times.parquet", rows=len(rows), bytes=1)]


def test_times_of_100_ns_are_loaded_to_the_last_digit(warehouse: DuckDBWarehouse, stage: FileSystemStage) -> None:
    files = stage_times(
        stage,
        ("2024-02-29 12:00:00.1234567", "23:59:59.9999999"),
        ("1970-01-01 00:00:00.0000000", "00:00:00.0000000"),
        (None, None),
    )
    warehouse.create_load_table(LOAD, TIMES, TARGET, MARK)
    warehouse.copy_into(LOAD, TIMES, files, stage)
    warehouse.publish(LOAD, TARGET)
    texts = 'SELECT CAST("at" AS VARCHAR), CAST("of day" AS VARCHAR) FROM public."ORDERS"'
    assert run_sql(warehouse, texts) == [
        ("2024-02-29 12:00:00.1234567", "23:59:59.9999999"),
        ("1970-01-01 00:00:00", "00:00:00"),
        (None, None),
    ]
    columns = [exp.column(name, quoted=True) for name in ("at", "of day")]
    rows = warehouse.query(exp.select(*columns).from_(exp.table_("ORDERS", db="public", quoted=True)), "SALES")
    assert rows == [
        {"at": "2024-02-29 12:00:00.1234567", "of day": "23:59:59.9999999"},
        {"at": datetime.fromisoformat("1970-01-01"), "of day": time(0)},
        {"at": None, "of day": None},
    ]


@pytest.mark.parametrize("moment", ["9999-12-31 00:00:00.0000000", "0001-01-01 00:00:00.0000000"])
def test_a_time_beyond_100_ns_fails_with_its_column_and_the_cure(
    warehouse: DuckDBWarehouse, stage: FileSystemStage, moment: str
) -> None:
    files = stage_times(stage, (moment, "00:00:00.0000000"))
    warehouse.create_load_table(LOAD, TIMES, TARGET, MARK)
    with pytest.raises(
        WarehouseError, match=rf"{moment}[\s\S]*column at ends at .* map .* to TIMESTAMP .* or to VARCHAR"
    ):
        warehouse.copy_into(LOAD, TIMES, files, stage)
    assert warehouse.count_rows(LOAD) == 0
