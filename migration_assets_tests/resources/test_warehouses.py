"""What every warehouse does, whatever its kind and whatever stage it reads.

On Snowflake the suite runs with the account that SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER, SNOWFLAKE_PASSWORD,
SNOWFLAKE_WAREHOUSE and SNOWFLAKE_DATABASE name (SNOWFLAKE_ROLE if it isn't the default one); it makes a schema
in that database and drops it at the end. Without an account it is skipped, and only the statements of the
Snowflake warehouse are tested, in `test_snowflake_warehouse.py`.
"""

from __future__ import annotations

import math
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from dagster_snowflake import SnowflakeResource
from sqlglot import exp

from migration_assets.platforms import types
from migration_assets.platforms.base import TableName, TargetColumn
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.stages.base import Stage, StagedFile
from migration_assets.resources.stages.filesystem import FileSystemStage
from migration_assets.resources.stages.snowflake import SnowflakeInternalStage
from migration_assets.resources.warehouses.base import (
    Change,
    FileLoad,
    LoadColumn,
    PublishMark,
    Warehouse,
    WarehouseError,
    planned_evolution,
)
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.resources.warehouses.snowflake import SnowflakeWarehouse
from migration_assets_tests.servers import S3Bucket


@dataclass
class Place:
    """A warehouse, a stage that it reads, and a schema for one test."""

    warehouse: Warehouse
    stage: Stage
    database: str
    schema: str

    def name(self, table: str) -> TableName:
        return self.warehouse.target_name(self.database, self.schema, table)

    def sql(self, table: TableName) -> str:
        return table.to_expression().sql(self.warehouse.platform.dialect)

    def columns(self, **kinds: ColumnType) -> list[LoadColumn]:
        platform = self.warehouse.platform
        return [LoadColumn(name, kind, platform.ddl_type(kind)) for name, kind in kinds.items()]

    def stage_file(self, path: str, columns: Sequence[LoadColumn], rows: Sequence[Sequence[object]]) -> StagedFile:
        schema = pa.schema([(column.name, column.type.to_arrow()) for column in columns])
        arrays = [
            pa.array([row[position] for row in rows], schema.field(position).type) for position in range(len(columns))
        ]
        with self.stage.open_output(path) as output:
            pq.write_table(pa.Table.from_arrays(arrays, schema=schema), output)
        return StagedFile(path=path, rows=len(rows), bytes=1)

    def load(
        self,
        target: TableName,
        columns: Sequence[LoadColumn],
        rows: Sequence[Sequence[object]],
        generation: int = 1,
    ) -> TableName:
        """A load table with these rows, from one file."""
        load = target.renamed(f"{target.table}__{generation}")
        self.warehouse.create_load_table(load, columns, target, mark(generation))
        file = self.stage_file(f"{target.table}/{generation}/1.parquet", columns, rows)
        self.warehouse.copy_into(load, columns, [file], self.stage)
        return load

    def migrate(
        self,
        target: TableName,
        columns: Sequence[LoadColumn],
        rows: Sequence[Sequence[object]],
        generation: int = 1,
    ) -> None:
        self.warehouse.publish(self.load(target, columns, rows, generation), target)

    def rows(self, table: TableName, columns: Sequence[LoadColumn]) -> list[tuple[object, ...]]:
        names = [exp.column(column.name, quoted=True) for column in columns]
        selected = exp.select(*names).from_(table.to_expression()).order_by(names[0].copy())
        return [tuple(row.values()) for row in self.warehouse.query(selected, table.database)]

    def execute(self, statement: str) -> None:
        """A statement of a user, past the warehouse."""
        if isinstance(self.warehouse, SnowflakeWarehouse):
            self.warehouse.sessions.run(statement)
        elif isinstance(self.warehouse, DuckDBWarehouse):
            file = Path(self.warehouse.directory) / f"{self.warehouse.database_prefix}{self.database}.duckdb"
            file.parent.mkdir(exist_ok=True)
            with duckdb.connect(str(file)) as connection:
                schema = exp.to_identifier(self.schema, quoted=True).sql("duckdb")
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
                connection.execute(statement)


def mark(generation: int) -> PublishMark:
    return PublishMark(workflow="sales", table="orders", generation=generation)


def duckdb_place(tmp_path: Path, stage: Stage) -> Place:
    warehouse = DuckDBWarehouse(directory=str(tmp_path / "warehouse"), database_prefix="DEV_")
    return Place(warehouse, stage, "SALES", "public")


def snowflake_place() -> Iterator[Place]:
    account: dict[str, Any] = {
        name: os.environ[f"SNOWFLAKE_{name.upper()}"]
        for name in ("account", "user", "password", "warehouse", "role")
        if f"SNOWFLAKE_{name.upper()}" in os.environ
    }
    database, schema = os.environ["SNOWFLAKE_DATABASE"], f"TEST_{secrets.token_hex(6).upper()}"
    connection = SnowflakeResource(**account)
    stage = SnowflakeInternalStage(snowflake=connection, stage=f'{database}.{schema}."stage"', prefix="a b/c")
    place = Place(SnowflakeWarehouse(snowflake=connection), stage, database, schema)
    place.execute(f"CREATE SCHEMA {database}.{schema}")
    place.execute(f'CREATE STAGE {database}.{schema}."stage"')
    yield place
    place.execute(f"DROP SCHEMA {database}.{schema}")


@pytest.fixture(
    params=["duckdb, local stage", "duckdb, S3 stage", pytest.param("snowflake", marks=pytest.mark.snowflake)]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "duckdb, local stage":
        yield duckdb_place(tmp_path, FileSystemStage(url=(tmp_path / "stage").as_uri()))
    elif request.param == "duckdb, S3 stage":
        bucket: S3Bucket = request.getfixturevalue("s3_bucket")
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        for name, value in bucket.server.environment().items():
            monkeypatch.setenv(name, value)
        stage = FileSystemStage(
            url=f"{bucket.url}/stage", s3_endpoint=bucket.server.endpoint_url, s3_region=bucket.server.region
        )
        yield duckdb_place(tmp_path, stage)
    else:
        yield from snowflake_place()


EVERY_TYPE: list[tuple[str, ColumnType, list[object]]] = [
    ("boolean", types.BOOLEAN, [True, False, None]),
    ("small", types.integer(16), [-(2**15), 2**15 - 1, None]),
    ("integer", types.integer(32), [-(2**31), 2**31 - 1, None]),
    ("big", types.integer(64), [-(2**63), 2**63 - 1, None]),
    ("decimal", types.decimal(10, 2), [Decimal("-99999999.99"), Decimal("0.01"), None]),
    ("digits", types.decimal(38, 0), [10**38 - 1, -(10**38) + 1, None]),
    ("fraction", types.decimal(38, 37), [Decimal("9." + "9" * 37), Decimal("-0." + "0" * 36 + "1"), None]),
    ("float", types.floating(64), [1.7976931348623157e308, -math.inf, None]),
    ("text", types.TEXT, ["", "ça va? 'ok' \\ \n 😀", None]),
    ("char", types.text(5), ["  a  ", "日本語", None]),
    ("binary", types.BINARY, [b"\x00\xff", b"", None]),
    ("date", types.DATE, [date(1, 1, 1), date(9999, 12, 31), None]),
    ("time", types.temporal(Kind.TIME), [time(0), time(23, 59, 59, 999999), None]),
    (
        "timestamp",
        types.temporal(Kind.TIMESTAMP),
        [datetime(1583, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999999), None],  # noqa: DTZ001
    ),
    (
        "instant",
        types.temporal(Kind.TIMESTAMP_TZ),
        [
            datetime(1900, 1, 1, tzinfo=timezone.utc),
            datetime(9999, 12, 31, 23, 59, 59, 999999, timezone.utc),
            None,
        ],
    ),
]


@pytest.mark.parametrize(("name", "kind", "values"), EVERY_TYPE, ids=[case[0] for case in EVERY_TYPE])
def test_values_arrive_exactly(place: Place, name: str, kind: ColumnType, values: list[object]) -> None:
    columns = place.columns(key=types.integer(32), value=kind)
    target = place.name("T")

    place.migrate(target, columns, list(enumerate(values)))

    assert place.rows(target, columns) == list(enumerate(values))


def test_not_a_number_arrives(place: Place) -> None:
    columns = place.columns(key=types.integer(32), value=types.floating(64))

    place.migrate(place.name("T"), columns, [(1, math.nan), (2, None)])

    (_, first), (_, second) = place.rows(place.name("T"), columns)
    assert isinstance(first, float)
    assert math.isnan(first)
    assert second is None


def test_uuid_and_json_are_staged_as_text_and_become_values(place: Place) -> None:
    columns = place.columns(key=types.integer(32), id=types.UUID, document=types.JSON)
    identifier = "0b01ed9c-35a5-4b6e-9b5d-6f0d9a1c2f3e"

    place.migrate(place.name("T"), columns, [(1, identifier, '{"a": [1, null, "ü"]}'), (2, None, None)])

    query = f'SELECT "id", "document" FROM {place.sql(place.name("T"))} WHERE "key" = 1'
    (row,) = place.warehouse.query(parsed(place, query), place.name("T").database)
    assert UUID(str(row["id"])) == UUID(identifier)
    assert "ü" in str(row["document"])
    assert place.rows(place.name("T"), columns)[1] == (2, None, None)


def test_json_that_is_not_json_is_refused(place: Place) -> None:
    columns = place.columns(document=types.JSON)

    with pytest.raises(WarehouseError, match=r"T/1/1\.parquet"):
        place.migrate(place.name("T"), columns, [("{",)])


@pytest.mark.parametrize("name", ["select", "OrderLines", "straße 日本", 'a"b', "a.b", "it's", "x" * 120])
def test_names_are_kept(place: Place, name: str) -> None:
    target = place.name(name)
    columns = place.columns(**{name: types.integer(64), f"{name} 2": types.TEXT})

    place.migrate(target, columns, [(1, "x")])

    described = place.warehouse.describe(target)
    assert described is not None
    assert [column.name for column in described.columns] == [name, f"{name} 2"]
    assert place.rows(target, columns) == [(1, "x")]
    assert place.warehouse.list_tables(target.database, target.schema, name[:3]) == [target]


def test_rows_are_counted_per_file_by_what_was_inserted(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    target, load = place.name("T"), place.name("T__1")
    files = [
        place.stage_file("p=1/with space [1].parquet", columns, [(1,), (2,)]),
        place.stage_file("p=2/*.parquet", columns, []),
        place.stage_file("p=3/a.parquet", columns, [(3,)]).model_copy(update={"rows": 99}),
    ]

    place.warehouse.create_load_table(load, columns, target, mark(1))
    loads = place.warehouse.copy_into(load, columns, files, place.stage)

    assert [entry.rows for entry in loads] == [2, 0, 1]
    assert [entry.path for entry in loads] == [file.path for file in files]
    assert place.warehouse.count_rows(load) == 3
    assert dict(place.warehouse.loaded_files(load)) == {
        "p=1/with space [1].parquet": 2,
        "p=2/*.parquet": 0,
        "p=3/a.parquet": 1,
    }


def test_a_file_is_loaded_once(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    load = place.name("T__1")
    first = place.stage_file("1.parquet", columns, [(1,)])
    second = place.stage_file("2.parquet", columns, [(2,), (3,)])
    place.warehouse.create_load_table(load, columns, place.name("T"), mark(1))

    place.warehouse.copy_into(load, columns, [first], place.stage)
    again = place.warehouse.copy_into(load, columns, [first, second], place.stage)

    assert again == [FileLoad("1.parquet", 1), FileLoad("2.parquet", 2)]
    assert place.warehouse.count_rows(load) == 3


def test_a_file_that_can_t_be_loaded_is_named_and_leaves_the_load_table_as_it_was(place: Place) -> None:
    columns = place.columns(a=types.integer(16))
    load = place.name("T__1")
    good = place.stage_file("good.parquet", columns, [(1,)])
    too_large = place.stage_file("bad.parquet", place.columns(a=types.integer(64)), [(2**40,)])
    place.warehouse.create_load_table(load, columns, place.name("T"), mark(1))

    with pytest.raises(WarehouseError, match=r"bad\.parquet"):
        place.warehouse.copy_into(load, columns, [good, too_large], place.stage)

    assert place.warehouse.count_rows(load) == 0
    assert place.warehouse.loaded_files(load) == {}


@pytest.mark.parametrize("path", ["missing.parquet", "*.parquet"])
def test_a_missing_file_is_named(place: Place, path: str) -> None:
    columns = place.columns(a=types.integer(16))
    place.stage_file("there.parquet", columns, [(1,)])
    place.warehouse.create_load_table(place.name("T__1"), columns, place.name("T"), mark(1))

    with pytest.raises(WarehouseError) as caught:
        place.warehouse.copy_into(place.name("T__1"), columns, [StagedFile(path=path, rows=1, bytes=1)], place.stage)

    assert path in str(caught.value)


def test_a_null_in_a_column_that_can_t_be_null_is_refused(place: Place) -> None:
    columns = [LoadColumn("a", types.TEXT, "VARCHAR", nullable=False)]

    with pytest.raises(WarehouseError, match=r"T/1/1\.parquet"):
        place.load(place.name("T"), columns, [("x",), (None,)])

    described = place.warehouse.describe(place.name("T__1"))
    assert described is not None
    assert not described.columns[0].nullable


def test_publishing_makes_the_target_and_removes_the_load_table(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    target = place.name("T")
    load = place.load(target, columns, [(1,), (2,)])
    assert place.warehouse.describe(target) is None

    place.warehouse.publish(load, target)

    described = place.warehouse.describe(target)
    assert described is not None
    assert (described.rows, described.mark, described.is_view) == (2, mark(1), False)
    assert place.warehouse.describe(load) is None
    assert place.warehouse.loaded_files(load) == {}


def test_publishing_replaces_the_target(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    target = place.name("T")
    place.migrate(target, columns, [(1,), (2,)], generation=1)

    place.migrate(target, columns, [(3,)], generation=2)

    described = place.warehouse.describe(target)
    assert described is not None
    assert (described.rows, described.mark) == (1, mark(2))
    assert place.rows(target, columns) == [(3,)]
    assert place.warehouse.list_tables(target.database, target.schema, "T") == [target]


def test_the_same_generation_can_be_published_again(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    target = place.name("T")
    place.migrate(target, columns, [(1,)], generation=1)
    load = target.renamed("T__1")
    place.warehouse.create_load_table(load, columns, target, mark(1))
    file = place.stage_file("again.parquet", columns, [(2,)])
    place.warehouse.copy_into(load, columns, [file], place.stage)

    place.warehouse.publish(load, target)

    assert place.rows(target, columns) == [(2,)]


def test_every_operation_can_be_repeated(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    target = place.name("T")
    place.migrate(target, columns, [(1,)], generation=1)
    load = target.renamed("T__2")
    file = place.stage_file("2.parquet", columns, [(2,), (3,)])

    for _ in range(2):
        place.warehouse.create_load_table(load, columns, target, mark(2))
    for _ in range(2):
        assert place.warehouse.copy_into(load, columns, [file], place.stage) == [FileLoad("2.parquet", 2)]
    place.warehouse.create_load_table(load, columns, target, mark(2))
    assert place.warehouse.count_rows(load) == 2
    for _ in range(2):
        place.warehouse.publish(load, target)
    for _ in range(2):
        place.warehouse.drop_table(load)

    assert place.rows(target, columns) == [(2,), (3,)]


def test_a_load_table_of_another_generation_is_made_anew(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    target, load = place.name("T"), place.name("T__load")
    file = place.stage_file("1.parquet", columns, [(1,)])
    place.warehouse.create_load_table(load, columns, target, mark(1))
    place.warehouse.copy_into(load, columns, [file], place.stage)

    place.warehouse.create_load_table(load, columns, target, mark(2))

    assert place.warehouse.count_rows(load) == 0
    assert place.warehouse.loaded_files(load) == {}


def test_a_reader_sees_a_whole_target_while_it_is_replaced(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    target = place.name("T")
    place.migrate(target, columns, [(0,)] * 10, generation=1)
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(place.warehouse.count_rows(target))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for generation in range(2, 8):
            place.migrate(target, columns, [(generation,)] * 10 * generation, generation)
    finally:
        done.set()
        reader.join()

    assert seen <= {10 * generation for generation in range(1, 8)}
    assert seen


def test_threads_can_load_different_tables_at_once(place: Place) -> None:
    columns = place.columns(a=types.integer(64))
    failures: list[WarehouseError] = []

    def migrate(number: int) -> None:
        try:
            place.migrate(place.name(f"T{number}"), columns, [(number,)] * number)
        except WarehouseError as error:
            failures.append(error)

    threads = [threading.Thread(target=migrate, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert [place.warehouse.count_rows(place.name(f"T{number}")) for number in range(1, 7)] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


def test_what_the_user_set_up_in_the_target_is_kept(place: Place) -> None:
    target = place.name("T")
    place.warehouse.create_load_table(place.name("X"), place.columns(a=types.TEXT), place.name("Y"), mark(1))
    place.execute(
        f'CREATE TABLE {place.sql(target)} ("a" DECIMAL(12,3) NOT NULL, "b" VARCHAR(20), '
        "\"loaded_by\" VARCHAR DEFAULT 'nobody')"
    )
    place.execute(f"COMMENT ON TABLE {place.sql(target)} IS 'the user''s own words'")
    before = place.warehouse.describe(target)
    columns = place.columns(a=types.integer(64), b=types.TEXT)

    place.migrate(target, columns, [(1, "x")], generation=1)
    place.migrate(target, columns, [(2, "y")], generation=2)

    after = place.warehouse.describe(target)
    assert before is not None
    assert after is not None
    assert after.columns == before.columns
    assert after.mark == mark(2)
    assert comment_of(place, target) == mark(2).append_to("the user's own words")
    everything = [*columns, *place.columns(loaded_by=types.TEXT)]
    assert place.rows(target, everything) == [(2, "y", "nobody")]


MERGE = """
MERGE INTO {t} AS t USING (
    SELECT "k", "w", "v" FROM (
        SELECT "k", "w", "v", ROW_NUMBER() OVER (
            PARTITION BY "k" ORDER BY "w" DESC NULLS LAST, MD5(CAST("v" AS VARCHAR)) DESC
        ) AS "n" FROM {load}
    ) AS numbered WHERE "n" = 1
) AS l ON t."k" = l."k"
WHEN MATCHED THEN UPDATE SET "w" = l."w", "v" = l."v"
WHEN NOT MATCHED THEN INSERT ("k", "w", "v") VALUES (l."k", l."w", l."v")
"""
DELETE_KEYS = 'DELETE FROM {t} WHERE EXISTS (SELECT 1 FROM {load} AS d WHERE d."k" = {t}."k" AND d."w" IS NOT NULL)'
DELETE_RANGES = 'DELETE FROM {t} WHERE ("k" >= 1 AND "k" < 3) OR "k" IS NULL'
INSERT = 'INSERT INTO {t} ("k", "w", "v") SELECT "k", "w", "v" FROM {load}'
CLEAR = "DELETE FROM {load}"

KEYED_TARGETS = [
    ('"k" BIGINT, "w" BIGINT, "v" VARCHAR, "extra" VARCHAR DEFAULT \'x\'', []),
    ('"k" BIGINT PRIMARY KEY, "w" BIGINT NOT NULL, "v" VARCHAR, "extra" VARCHAR DEFAULT \'x\'', []),
    ('"k" BIGINT UNIQUE, "w" BIGINT, "v" VARCHAR UNIQUE, "extra" VARCHAR DEFAULT \'x\'', []),
    (
        '"k" BIGINT NOT NULL, "w" BIGINT, "v" VARCHAR, "extra" VARCHAR DEFAULT \'x\'',
        ['CREATE UNIQUE INDEX "by_key" ON {t}("k")', 'CREATE INDEX "by_text" ON {t}("v")'],
    ),
]


@dataclass
class Delta:
    """A target with rows, and a load table with others to be merged into it."""

    place: Place
    target: TableName
    load: TableName

    def statement(self, template: str) -> Change:
        names = {name: self.place.sql(table) for name, table in (("t", self.target), ("load", self.load))}
        statement = parsed(self.place, template.format(**names))
        assert isinstance(statement, Change)
        return statement

    def run(self, *statements: Change, error: Exception | None = None) -> list[int]:
        """The rows that each changes in one transaction, which ends by the error."""
        with self.place.warehouse.transaction(self.target.database) as transaction:
            counts = [transaction.change(statement) for statement in statements]
            if error is not None:
                raise error
        return counts

    def rows(self) -> list[tuple[object, ...]]:
        place = self.place
        columns = place.columns(k=types.integer(64), w=types.integer(64), v=types.TEXT, extra=types.TEXT)
        return place.rows(self.target, columns)


def delta(
    place: Place,
    rows: Sequence[Sequence[object]],
    definition: str = KEYED_TARGETS[0][0],
    indexes: Sequence[str] = (),
) -> Delta:
    target = place.name("T")
    columns = place.columns(k=types.integer(64), w=types.integer(64), v=types.TEXT)
    place.execute(f"CREATE TABLE {place.sql(target)} ({definition})")
    if isinstance(place.warehouse, DuckDBWarehouse):  # Snowflake has no indexes.
        for index in indexes:
            place.execute(index.format(t=f'{place.schema}."T"'))
    place.execute(
        f"INSERT INTO {place.sql(target)} VALUES (1, 1, 'a', 'mine'), (2, 1, 'b', 'mine'), (3, 1, 'c', 'mine')"
    )
    load = target.renamed("T__1")
    place.warehouse.create_load_table(load, columns, target, mark(1), constrained=False)
    place.warehouse.copy_into(load, columns, [place.stage_file("1.parquet", columns, rows)], place.stage)
    return Delta(place, target, load)


OLD_ROWS = [(1, 1, "a", "mine"), (2, 1, "b", "mine"), (3, 1, "c", "mine")]


@pytest.mark.parametrize(("definition", "indexes"), KEYED_TARGETS)
def test_rows_of_the_same_keys_replace_others_in_one_transaction(
    place: Place, definition: str, indexes: list[str]
) -> None:
    changes = delta(place, [(2, 2, "b"), (3, 2, "z"), (4, 2, "c")], definition, indexes)

    steps = (DELETE_KEYS, INSERT, DELETE_KEYS, INSERT, DELETE_RANGES, CLEAR)
    counts = changes.run(*(changes.statement(step) for step in steps))

    assert counts == [2, 3, 3, 3, 2, 3]
    assert changes.rows() == [(3, 2, "z", "x"), (4, 2, "c", "x")]
    assert place.warehouse.count_rows(changes.load) == 0


@pytest.mark.parametrize(("definition", "indexes"), KEYED_TARGETS)
def test_the_latest_row_of_a_key_is_merged_and_what_is_not_planned_stays(
    place: Place, definition: str, indexes: list[str]
) -> None:
    changes = delta(
        place, [(2, 2, "c"), (3, 3, "b"), (3, None, "no"), (3, 2, "no"), (4, 2, "y"), (4, 2, "y")], definition, indexes
    )

    assert changes.run(changes.statement(MERGE), changes.statement(MERGE)) == [3, 3]
    assert changes.rows() == [(1, 1, "a", "mine"), (2, 2, "c", "mine"), (3, 3, "b", "mine"), (4, 2, "y", "x")]


@pytest.mark.parametrize(
    ("clauses", "count", "rows"),
    [
        ('WHEN NOT MATCHED THEN INSERT ("k") VALUES (l."k")', 1, [*OLD_ROWS, (4, None, None, "x")]),
        ('WHEN MATCHED THEN UPDATE SET "w" = l."w"', 1, [(1, 1, "a", "mine"), (2, 2, "b", "mine"), OLD_ROWS[2]]),
        ("WHEN MATCHED THEN DELETE", 1, [OLD_ROWS[0], OLD_ROWS[2]]),
        (
            'WHEN MATCHED AND l."w" = 1 THEN UPDATE SET "w" = l."w" WHEN MATCHED THEN UPDATE SET "v" = \'m\'',
            1,
            [OLD_ROWS[0], (2, 1, "m", "mine"), OLD_ROWS[2]],
        ),
    ],
)
def test_a_merge_may_do_less_or_more(place: Place, clauses: str, count: int, rows: list[tuple[object, ...]]) -> None:
    changes = delta(place, [(2, 2, "b"), (4, 2, "d")])

    merge = changes.statement(f'MERGE INTO {{t}} AS t USING {{load}} AS l ON t."k" = l."k" {clauses}')
    assert changes.run(merge) == [count]
    assert changes.rows() == rows


def test_a_merge_that_would_change_a_row_twice_is_refused(place: Place) -> None:
    changes = delta(place, [(2, 2, "b"), (2, 3, "d")])
    merge = changes.statement(
        'MERGE INTO {t} AS t USING {load} AS l ON t."k" = l."k" WHEN MATCHED THEN UPDATE SET "w" = l."w"'
    )

    with pytest.raises(WarehouseError):
        changes.run(merge)

    assert changes.rows() == OLD_ROWS


def test_a_transaction_sees_its_changes_and_others_see_them_at_its_end(place: Place) -> None:
    changes = delta(place, [(4, 2, "d")])
    counted = exp.select(exp.alias_(exp.Count(this=exp.Star()), "rows", quoted=True))
    counted = counted.from_(changes.target.to_expression())
    others: list[int] = []
    reader = threading.Thread(target=lambda: others.append(place.warehouse.count_rows(changes.target)))

    with place.warehouse.transaction(changes.target.database) as transaction:
        transaction.change(changes.statement(INSERT))
        assert transaction.query(counted) == [{"rows": 4}]
        reader.start()
        reader.join()

    assert others == [3]
    assert place.warehouse.count_rows(changes.target) == 4


def test_a_transaction_that_ends_by_an_error_changes_nothing(place: Place) -> None:
    changes = delta(place, [(4, 2, "d")])
    elsewhere = Delta(place, place.name("NOWHERE"), changes.load)

    with pytest.raises(WarehouseError, match=r"can't change rows of .*NOWHERE"):
        changes.run(changes.statement(MERGE), changes.statement(CLEAR), elsewhere.statement(INSERT))
    with pytest.raises(KeyError):
        changes.run(changes.statement(MERGE), changes.statement(CLEAR), error=KeyError())

    assert changes.rows() == OLD_ROWS
    assert place.warehouse.count_rows(changes.load) == 1


def test_only_rows_are_changed_in_a_transaction(place: Place) -> None:
    changes = delta(place, [(4, 2, "d")])
    drop: Any = parsed(place, f"DROP TABLE {place.sql(changes.target)}")

    with pytest.raises(WarehouseError, match="only INSERT, DELETE, UPDATE and MERGE"):
        changes.run(drop)

    assert changes.rows() == OLD_ROWS


def test_only_a_select_is_a_query_in_a_transaction(place: Place) -> None:
    changes = delta(place, [(4, 2, "d")])

    with (
        place.warehouse.transaction(changes.target.database) as transaction,
        pytest.raises(WarehouseError, match="only a SELECT"),
    ):
        transaction.query(changes.statement(CLEAR))


def test_a_load_table_to_be_merged_has_the_target_s_types_and_nothing_that_rows_must_obey(place: Place) -> None:
    target, load = place.name("T"), place.name("T__1")
    place.execute(
        f'CREATE TABLE {place.sql(target)} ("a" DECIMAL(12,3) PRIMARY KEY, "b" VARCHAR(20) NOT NULL DEFAULT \'x\', '
        '"other" VARCHAR UNIQUE)'
    )
    columns = place.columns(b=types.TEXT, a=types.integer(64))
    before = place.warehouse.describe(target)

    for _ in range(2):
        place.warehouse.create_load_table(load, columns, target, mark(1), constrained=False)
        file = place.stage_file("1.parquet", columns, [("x", 1), (None, 1), (None, None)])
        place.warehouse.copy_into(load, columns, [file], place.stage)

    described = place.warehouse.describe(load)
    assert before is not None
    assert described is not None
    assert described.rows == 3
    assert described.mark == mark(1)
    assert described.primary_key == ()
    types_of = {column.name: column.type for column in before.columns}
    assert sorted(described.columns, key=lambda column: column.name) == [
        TargetColumn(name, types_of[name]) for name in ("a", "b")
    ]


def test_without_a_target_a_load_table_to_be_merged_is_as_planned(place: Place) -> None:
    columns = [LoadColumn("a", types.integer(64), "BIGINT", nullable=False)]

    place.warehouse.create_load_table(place.name("T__1"), columns, place.name("T"), mark(1), constrained=False)

    described = place.warehouse.describe(place.name("T__1"))
    assert described is not None
    assert not described.columns[0].nullable


def widening(place: Place) -> tuple[TableName, list[LoadColumn], list[str]]:
    """A target, the columns that are planned for it, and what is to be said of its change."""
    target, platform = place.name("T"), place.warehouse.platform
    small, large = types.decimal(9, 2), types.decimal(19, 2)
    place.execute(
        f'CREATE TABLE {place.sql(target)} ("a" {platform.ddl_type(small)} NOT NULL, "b" {platform.ddl_type(small)}, '
        '"other" VARCHAR)'
    )
    place.execute(f"INSERT INTO {place.sql(target)} VALUES (1.25, 2.25, 'x')")
    place.execute(f"COMMENT ON TABLE {place.sql(target)} IS 'the user''s own words'")
    planned = place.columns(a=large, b=small, c=types.integer(64))
    sentences = [
        f"widened column a from {platform.ddl_type(small)} to {platform.ddl_type(large)}",
        "let column a be null",
        f"added column c {platform.ddl_type(types.integer(64))}",
    ]
    return target, planned, sentences


def test_a_table_is_brought_to_hold_the_planned_columns(place: Place) -> None:
    target, planned, sentences = widening(place)
    described = place.warehouse.describe(target)
    assert described is not None
    foreseen = planned_evolution(place.warehouse.platform, target, described.columns, planned)

    done = [place.warehouse.evolve(target, planned) for _ in range(2)]

    assert [str(change) for change in foreseen] == sentences
    assert done == [sentences, []]
    everything = [*planned, *place.columns(other=types.TEXT)]
    assert place.rows(target, everything) == [(Decimal("1.25"), Decimal("2.25"), None, "x")]
    assert comment_of(place, target) == "the user's own words"


def test_a_target_that_is_loaded_whole_gets_the_planned_columns_at_its_publish(place: Place) -> None:
    target, planned, _ = widening(place)
    load = target.renamed("T__1")
    before = place.warehouse.describe(target)
    file = place.stage_file("1.parquet", planned, [(Decimal("99999999999999999.99"), None, 2**62), (None, None, 1)])

    for _ in range(2):
        place.warehouse.create_load_table(load, planned, target, mark(1), evolve=True)
    place.warehouse.copy_into(load, planned, [file], place.stage)
    assert place.warehouse.describe(target) == before
    place.warehouse.publish(load, target)

    after = place.warehouse.describe(target)
    assert after is not None
    assert [(column.name, column.nullable) for column in after.columns] == [
        ("a", True),
        ("b", True),
        ("other", True),
        ("c", True),
    ]
    assert place.warehouse.evolve(target, planned) == []
    assert comment_of(place, target) == mark(1).append_to("the user's own words")


def test_a_load_table_to_be_merged_can_have_the_planned_types_before_the_target_has(place: Place) -> None:
    target, planned, _ = widening(place)
    load = target.renamed("T__1")
    before = place.warehouse.describe(target)

    place.warehouse.create_load_table(load, planned, target, mark(1), constrained=False, evolve=True)

    described = place.warehouse.describe(load)
    assert described is not None
    assert place.warehouse.describe(target) == before
    assert planned_evolution(place.warehouse.platform, load, described.columns, planned) == []


NO_WIDENING = [
    ("VARCHAR", types.integer(64)),
    ("DATE", types.temporal(Kind.TIMESTAMP)),
    ("DECIMAL(12,3)", types.decimal(18, 2)),
    ("BOOLEAN", types.integer(16)),
    ("TIMESTAMP", types.TEXT),
]


@pytest.mark.parametrize(("existing", "planned"), NO_WIDENING)
def test_a_column_that_can_t_be_widened_is_named_with_both_types(
    place: Place, existing: str, planned: ColumnType
) -> None:
    target = place.name("T")
    place.execute(f'CREATE TABLE {place.sql(target)} ("x" {existing})')
    columns = place.columns(new=types.TEXT, x=planned)

    with pytest.raises(WarehouseError) as caught:
        place.warehouse.evolve(target, columns)
    with pytest.raises(WarehouseError, match="can't be changed in x from"):
        place.warehouse.create_load_table(place.name("T__1"), columns, target, mark(1), evolve=True)

    described = place.warehouse.describe(target)
    assert described is not None
    assert len(described.columns) == 1
    assert place.warehouse.describe(place.name("T__1")) is None
    for part in (str(target), f"x from {described.columns[0].type} to {columns[1].ddl_type}", "drop the target"):
        assert part in str(caught.value)


def test_a_column_that_is_not_planned_and_must_have_a_value_is_refused(place: Place) -> None:
    target = place.name("T")
    place.execute(f'CREATE TABLE {place.sql(target)} ("a" VARCHAR, "must" VARCHAR NOT NULL)')

    with pytest.raises(WarehouseError, match="needs a value in must"):
        place.warehouse.evolve(target, place.columns(a=types.TEXT))


def test_a_primary_key_stays_without_null(place: Place) -> None:
    target = place.name("T")
    place.execute(f'CREATE TABLE {place.sql(target)} ("a" VARCHAR PRIMARY KEY)')

    assert place.warehouse.evolve(target, place.columns(a=types.TEXT)) == []


def test_what_is_no_table_is_not_evolved(place: Place) -> None:
    place.execute(f'CREATE VIEW {place.sql(place.name("V"))} AS SELECT 1 AS "a"')

    with pytest.raises(WarehouseError, match="is a view"):
        place.warehouse.evolve(place.name("V"), place.columns(a=types.TEXT))
    with pytest.raises(WarehouseError, match="there is no such table"):
        place.warehouse.evolve(place.name("T"), place.columns(a=types.TEXT))


def parsed(place: Place, statement: str) -> exp.Expression:
    expression = sqlglot.parse_one(statement, read=place.warehouse.platform.dialect)
    assert isinstance(expression, exp.Expression)
    return expression


def comment_of(place: Place, table: TableName) -> object:
    if isinstance(place.warehouse, DuckDBWarehouse):
        query = f"SELECT comment AS text FROM duckdb_tables() WHERE table_name = '{table.table}'"
    else:
        query = (
            f'SELECT COMMENT AS "text" FROM {table.database}.INFORMATION_SCHEMA.TABLES '
            f"WHERE TABLE_SCHEMA = '{table.schema}' AND TABLE_NAME = '{table.table}'"
        )
    (row,) = place.warehouse.query(parsed(place, query), table.database)
    return row["text"]


ROUNDED = [
    (types.decimal(10, 3), "DECIMAL(12,2)"),
    (types.decimal(10, 2), "INTEGER"),
    (types.floating(64), "DECIMAL(38,10)"),
    (types.integer(64), "DOUBLE"),
    (types.temporal(Kind.TIMESTAMP), "DATE"),
]


@pytest.mark.parametrize(("kind", "existing"), ROUNDED)
def test_a_target_that_would_round_is_refused(place: Place, kind: ColumnType, existing: str) -> None:
    target = place.name("T")
    place.execute(f'CREATE TABLE {place.sql(target)} ("a" {existing})')

    with pytest.raises(WarehouseError, match=r"would round or cut the values of a \("):
        place.warehouse.create_load_table(place.name("T__1"), place.columns(a=kind), target, mark(1))


MISMATCHES = [
    ('"a" DECIMAL(12,3)', "lacks b"),
    ('"a" DECIMAL(12,3), "b" VARCHAR, "must" VARCHAR NOT NULL', "needs a value in must"),
]


@pytest.mark.parametrize(("definition", "explanation"), MISMATCHES)
def test_a_target_that_the_plan_can_t_fill_is_refused(place: Place, definition: str, explanation: str) -> None:
    target = place.name("T")
    place.execute(f"CREATE TABLE {place.sql(target)} ({definition})")

    with pytest.raises(WarehouseError, match=explanation):
        place.warehouse.create_load_table(
            place.name("T__1"), place.columns(a=types.integer(64), b=types.TEXT), target, mark(1)
        )

    assert place.warehouse.describe(place.name("T__1")) is None


def test_a_view_is_never_replaced(place: Place) -> None:
    target = place.name("T")
    columns = place.columns(a=types.integer(64))
    load = place.load(target, columns, [(1,)])
    place.execute(f'CREATE VIEW {place.sql(target)} AS SELECT 1 AS "a"')

    with pytest.raises(WarehouseError, match="is a view"):
        place.warehouse.publish(load, target)
    with pytest.raises(WarehouseError, match="is a view"):
        place.warehouse.create_load_table(place.name("T__2"), columns, target, mark(2))

    described = place.warehouse.describe(target)
    assert described is not None
    assert described.is_view


def test_a_declared_primary_key_is_described_in_its_order(place: Place) -> None:
    keyed, plain = place.name("T"), place.name("U")
    place.execute(f'CREATE TABLE {place.sql(keyed)} ("a" INTEGER, "b" INTEGER, PRIMARY KEY ("b", "a"))')
    place.execute(f'CREATE TABLE {place.sql(plain)} ("a" INTEGER NOT NULL UNIQUE)')

    described = [place.warehouse.describe(table) for table in (keyed, plain)]

    assert [table.primary_key for table in described if table] == [("b", "a"), ()]


def test_a_user_s_table_is_never_taken_for_a_load_table(place: Place) -> None:
    load = place.name("T__1")
    place.execute(f'CREATE TABLE {place.sql(load)} ("mine" INTEGER)')
    place.execute(f"INSERT INTO {place.sql(load)} VALUES (1)")

    with pytest.raises(WarehouseError, match="not made by this program"):
        place.warehouse.create_load_table(load, place.columns(a=types.TEXT), place.name("T"), mark(1))

    assert place.warehouse.count_rows(load) == 1


def test_publishing_what_was_never_loaded_is_an_error(place: Place) -> None:
    place.warehouse.create_load_table(place.name("X"), place.columns(a=types.TEXT), place.name("Y"), mark(1))

    with pytest.raises(WarehouseError, match="Load the table again"):
        place.warehouse.publish(place.name("T__1"), place.name("T"))


def test_nothing_is_found_where_nothing_was_made(place: Place) -> None:
    table = TableName("NO_SUCH_DATABASE", "public", "T")

    assert place.warehouse.describe(table) is None
    assert place.warehouse.loaded_files(table) == {}
    assert place.warehouse.list_tables(table.database, table.schema, "T") == []
    place.warehouse.drop_table(table)
    with pytest.raises(WarehouseError, match="NO_SUCH_DATABASE"):
        place.warehouse.count_rows(table)
    with pytest.raises(WarehouseError, match=r"no such table|NO_SUCH_DATABASE"):
        place.warehouse.evolve(table, place.columns(a=types.TEXT))


def test_a_query_returns_whole_numbers_as_int_and_instants_in_utc(place: Place) -> None:
    target = place.name("T")
    columns = place.columns(a=types.integer(64), b=types.decimal(12, 2), c=types.temporal(Kind.TIMESTAMP_TZ))
    instant = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
    place.migrate(target, columns, [(2**62, Decimal("0.10"), instant), (2**62, Decimal("0.20"), None)])

    selected = exp.select(
        exp.alias_(exp.Sum(this=exp.column("a", quoted=True)), "Sum A", quoted=True),
        exp.alias_(exp.Sum(this=exp.column("b", quoted=True)), "b", quoted=True),
        exp.alias_(exp.Max(this=exp.column("c", quoted=True)), "c", quoted=True),
        exp.alias_(exp.Count(this=exp.Star()), "n", quoted=True),
    ).from_(target.to_expression())

    assert place.warehouse.query(selected, target.database) == [
        {"Sum A": 2**63, "b": Decimal("0.30"), "c": instant, "n": 2}
    ]


@pytest.mark.parametrize("statement", ["DROP TABLE t", "DELETE FROM t", "CREATE TABLE t (a INT)"])
def test_only_a_select_is_a_query(place: Place, statement: str) -> None:
    place.warehouse.create_load_table(place.name("X"), place.columns(a=types.TEXT), place.name("Y"), mark(1))

    with pytest.raises(WarehouseError, match="only a SELECT"):
        place.warehouse.query(parsed(place, statement), place.name("T").database)


def test_an_unknown_table_is_named_in_the_error(place: Place) -> None:
    place.warehouse.create_load_table(place.name("X"), place.columns(a=types.TEXT), place.name("Y"), mark(1))

    with pytest.raises(WarehouseError, match="NOWHERE"):
        place.warehouse.count_rows(place.name("NOWHERE"))


def test_a_stage_that_can_t_be_read_is_refused(place: Place) -> None:
    place.warehouse.require_stage(place.stage)
    unreadable: Stage = (
        FileSystemStage(url="s3://bucket/stage")
        if isinstance(place.warehouse, SnowflakeWarehouse)
        else SnowflakeInternalStage(
            snowflake=SnowflakeResource(account="a", user="u", password="p"),
            stage="DB.SCHEMA.STAGE",
        )
    )

    with pytest.raises(WarehouseError, match="can't read files of the stage"):
        place.warehouse.require_stage(unreadable)
