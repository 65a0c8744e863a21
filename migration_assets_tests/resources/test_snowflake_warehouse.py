"""The statements of the Snowflake warehouse, and how it reads the answers (see `snowflake_double`).

Every statement is parsed in sqlglot's Snowflake dialect as it is sent. REMOVE is not in sqlglot's grammar: it
passes as an unparsed command.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
from dagster import EnvVar, asset, materialize
from dagster_snowflake import SnowflakeResource
from sqlglot import exp

from migration_assets.platforms import types
from migration_assets.platforms.base import TableName, TargetColumn
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import ColumnType
from migration_assets.resources.stages.base import StagedFile
from migration_assets.resources.stages.filesystem import FileSystemStage
from migration_assets.resources.stages.snowflake import SnowflakeInternalStage
from migration_assets.resources.warehouses.base import (
    Change,
    FileLoad,
    LoadColumn,
    PublishMark,
    TargetTable,
    WarehouseError,
)
from migration_assets.resources.warehouses.snowflake import REPLACED, SnowflakeWarehouse
from migration_assets_tests.resources.snowflake_double import (
    DOES_NOT_EXIST,
    NO_HISTORY,
    PASSWORD,
    SnowflakeDouble,
    account,
    failure,
    snowflake_double,
)

__all__ = ["snowflake_double"]

TARGET = TableName("SALES", "PUBLIC", "ORDERS")
LOAD = TARGET.renamed("ORDERS__2")
MARK = PublishMark("sales", "orders", 2)
OLD_MARK = PublishMark("sales", "orders", 1)
STAGE = FileSystemStage(url="s3://bucket/root", external_stage='ops."Landing".files')
MARK_2 = '[migration-assets {"generation": 2, "table": "orders", "token": "", "workflow": "sales"}]'

FORMAT = (
    "FILE_FORMAT=(TYPE=PARQUET USE_LOGICAL_TYPE=TRUE USE_VECTORIZED_SCANNER=TRUE BINARY_AS_TEXT=FALSE) "
    "ON_ERROR=ABORT_STATEMENT"
)


def columns(**kinds: ColumnType) -> list[LoadColumn]:
    return [LoadColumn(name, kind, Snowflake().ddl_type(kind)) for name, kind in kinds.items()]


COLUMNS = columns(ID=types.integer(64), Amount=types.decimal(10, 2))


def files(*paths: str) -> list[StagedFile]:
    return [StagedFile(path=path, rows=7, bytes=1) for path in paths]


@pytest.fixture
def warehouse(snowflake_double: SnowflakeDouble) -> SnowflakeWarehouse:
    snowflake_double.answer("SCHEMATA", [{"SCHEMA_NAME": "PUBLIC"}])
    return SnowflakeWarehouse(snowflake=account(), database_prefix="dev_")


def there_is(
    double: SnowflakeDouble,
    table: TableName,
    comment: str | None = None,
    kind: str = "BASE TABLE",
    described: Sequence[tuple[str, str]] = (("ID", "NUMBER(19,0)"), ("Amount", "NUMBER(10,2)")),
    *,
    transient: bool = False,
    required: Sequence[str] = (),
    defaults: Sequence[str] = (),
) -> None:
    """The catalogue's answers for one table."""
    entry = {"TABLE_TYPE": kind, "IS_TRANSIENT": "YES" if transient else "NO", "COMMENT": comment}
    double.answer(f"TABLE_NAME = '{table.table}'", [entry])
    double.answer(
        f'DESCRIBE (TABLE|VIEW) "SALES"."PUBLIC"."{table.table}"',
        [
            {
                "name": name,
                "type": ddl_type,
                "kind": "COLUMN",
                "null?": "N" if name in required else "Y",
                "default": "1" if name in defaults else None,
            }
            for name, ddl_type in described
        ],
    )


def there_is_no(double: SnowflakeDouble, table: TableName) -> None:
    double.answer(f"TABLE_NAME = '{table.table}'", [])


def loaded(path: str, rows: int) -> dict[str, Any]:
    return {
        "file": f"s3://bucket/root/{path}",
        "status": "LOADED",
        "rows_parsed": rows,
        "rows_loaded": rows,
        "error_limit": 1,
        "errors_seen": 0,
        "first_error": None,
        "first_error_line": None,
        "first_error_character": None,
        "first_error_column_name": None,
    }


def skipped(path: str) -> dict[str, Any]:
    return loaded(path, 0) | {"status": "LOAD_SKIPPED", "first_error": "File was loaded before."}


def changes(double: SnowflakeDouble) -> list[str]:
    """The statements that aren't questions to the catalogue."""
    questions = ("SELECT", "DESCRIBE")
    return [statement for statement in double.take_statements() if not statement.startswith(questions)]


def test_a_session_is_in_utc_and_ends_by_itself(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    warehouse.drop_table(LOAD)
    warehouse.drop_table(TARGET)

    (connection,) = snowflake_double.connections
    assert connection == {
        "account": "acme-test",
        "user": "LOADER",
        "password": PASSWORD,
        "warehouse": "LOADING",
        "autocommit": True,
        "login_timeout": 60,
        "network_timeout": 7200,
        "application": "DagsterLabs_Dagster",
        "session_parameters": {
            "STATEMENT_TIMEOUT_IN_SECONDS": 7200,
            "ABORT_DETACHED_QUERY": True,
            "TIMEZONE": "UTC",
            "TIMESTAMP_INPUT_FORMAT": "AUTO",
            "TIME_INPUT_FORMAT": "AUTO",
        },
    }


def test_what_the_user_set_for_the_session_is_kept(snowflake_double: SnowflakeDouble) -> None:
    connection = account().model_dump(by_alias=True) | {
        "network_timeout": 30,
        "additional_snowflake_connection_args": {
            "session_parameters": {"USE_CACHED_RESULT": False, "TIMEZONE": "America/Los_Angeles"},
            "host": "localhost",
        },
    }
    warehouse = SnowflakeWarehouse(snowflake=type(account())(**connection))

    warehouse.drop_table(LOAD)

    (arguments,) = snowflake_double.connections
    assert arguments["network_timeout"] == 30
    assert arguments["host"] == "localhost"
    assert arguments["session_parameters"]["USE_CACHED_RESULT"] is False
    assert arguments["session_parameters"]["TIMEZONE"] == "UTC"


def test_every_thread_has_one_session(warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble) -> None:
    def work() -> None:
        for _ in range(3):
            warehouse.drop_table(LOAD)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(snowflake_double.connections) == 4
    assert len(snowflake_double.statements) == 12


def test_a_query_tag_names_operation_and_table(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is_no(snowflake_double, TARGET)

    warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)

    assert json.loads(snowflake_double.query_tags[-1]) == {
        "application": "migration-assets",
        "operation": "create_load_table",
        "table": "SALES.PUBLIC.ORDERS__2",
        "workflow": "sales",
    }


def test_the_prefix_of_databases_is_folded(warehouse: SnowflakeWarehouse) -> None:
    assert warehouse.target_name("SALES", "PUBLIC", "T") == TableName("DEV_SALES", "PUBLIC", "T")


def test_a_table_is_described_by_the_catalogue(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, TARGET, MARK.append_to("mine"), required=["ID"], defaults=["Amount"])
    snowflake_double.answer("COUNT", [{"rows": 12}])
    snowflake_double.answer(
        "SHOW PRIMARY KEYS",
        [{"column_name": "ID", "key_sequence": 2}, {"column_name": "Amount", "key_sequence": 1}],
    )

    assert warehouse.describe(TARGET) == TargetTable(
        columns=(
            TargetColumn("ID", "NUMBER(19,0)", nullable=False),
            TargetColumn("Amount", "NUMBER(10,2)", has_default=True),
        ),
        rows=12,
        mark=MARK,
        primary_key=("Amount", "ID"),
    )
    assert snowflake_double.take_statements() == [
        'SELECT TABLE_TYPE, IS_TRANSIENT, COMMENT FROM "SALES".INFORMATION_SCHEMA.TABLES '
        "WHERE TABLE_SCHEMA = 'PUBLIC' AND TABLE_NAME = 'ORDERS'",
        'DESCRIBE TABLE "SALES"."PUBLIC"."ORDERS"',
        'SELECT COUNT(*) AS "rows" FROM "SALES"."PUBLIC"."ORDERS"',
        'SHOW PRIMARY KEYS IN TABLE "SALES"."PUBLIC"."ORDERS"',
    ]


def test_a_table_in_a_database_that_is_not_there_is_none(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    snowflake_double.answer("", DOES_NOT_EXIST)

    assert warehouse.describe(TARGET) is None
    assert warehouse.loaded_files(LOAD) == {}
    assert warehouse.list_tables("SALES", "PUBLIC", "O") == []
    warehouse.drop_table(LOAD)


def test_a_new_table_is_made_with_its_mark_in_one_statement(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is_no(snowflake_double, TARGET)
    every_type = [
        LoadColumn('a "b"', types.TEXT, "VARCHAR", nullable=False),
        *columns(
            c=types.floating(64),
            d=types.BINARY,
            e=types.temporal(types.Kind.TIMESTAMP_TZ),
            f=types.JSON,
        ),
    ]

    warehouse.create_load_table(LOAD, every_type, TARGET, MARK)

    assert changes(snowflake_double) == [
        'CREATE TABLE IF NOT EXISTS "SALES"."PUBLIC"."ORDERS__2" ("a ""b""" VARCHAR NOT NULL, "c" FLOAT, '
        f'"d" BINARY(67108864), "e" TIMESTAMP_LTZ(6), "f" VARIANT) COMMENT=\'{MARK_2}\''
    ]


def test_database_and_schema_are_made_only_where_they_are_missing(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is_no(snowflake_double, TARGET)
    snowflake_double.answer("SCHEMATA", DOES_NOT_EXIST)
    warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)
    assert changes(snowflake_double)[:2] == [
        'CREATE DATABASE IF NOT EXISTS "SALES"',
        'CREATE SCHEMA IF NOT EXISTS "SALES"."PUBLIC"',
    ]

    snowflake_double.answer("SCHEMATA", [])
    warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)
    assert changes(snowflake_double)[0] == 'CREATE SCHEMA IF NOT EXISTS "SALES"."PUBLIC"'


@pytest.mark.parametrize(("transient", "kind"), [(False, "TABLE"), (True, "TRANSIENT TABLE")])
def test_a_load_table_is_like_the_target_that_it_will_replace(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble, *, transient: bool, kind: str
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is(snowflake_double, TARGET, OLD_MARK.append_to("it's mine"), transient=transient)

    warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)

    assert changes(snowflake_double) == [
        f'CREATE {kind} "SALES"."PUBLIC"."ORDERS__2" LIKE "SALES"."PUBLIC"."ORDERS" COPY GRANTS',
        f'ALTER TABLE "SALES"."PUBLIC"."ORDERS__2" SET COMMENT = \'it\\\'s mine\\n{MARK_2}\'',
    ]


@pytest.mark.parametrize(
    ("comment", "rows", "statements"),
    [
        (MARK.append_to(None), 5, []),
        (OLD_MARK.append_to(None), 5, ["DROP", "CREATE"]),
        (None, 0, ["DROP", "CREATE"]),
        (f"{MARK.append_to(None)}\n{REPLACED}", 5, ["DROP", "CREATE"]),
    ],
    ids=["same generation", "other generation", "made LIKE the target, not yet marked", "swapped away"],
)
def test_a_load_table_that_is_there_is_kept_or_made_anew(
    warehouse: SnowflakeWarehouse,
    snowflake_double: SnowflakeDouble,
    comment: str | None,
    rows: int,
    statements: list[str],
) -> None:
    there_is(snowflake_double, LOAD, comment)
    there_is_no(snowflake_double, TARGET)
    snowflake_double.answer("COUNT", [{"rows": rows}])

    warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)

    assert [statement.split()[0] for statement in changes(snowflake_double)] == statements


def test_a_user_s_table_is_never_taken_for_a_load_table(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, LOAD, "my table")
    snowflake_double.answer("COUNT", [{"rows": 1}])

    with pytest.raises(WarehouseError, match="not made by this program"):
        warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)

    assert changes(snowflake_double) == []


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW", "EXTERNAL TABLE"])
def test_what_is_no_table_is_never_replaced(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble, kind: str
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is(snowflake_double, TARGET, kind=kind)

    with pytest.raises(WarehouseError, match="is a view"):
        warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)

    assert changes(snowflake_double) == []


def test_a_target_that_the_plan_can_t_fill_is_refused(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is(
        snowflake_double,
        TARGET,
        described=[("ID", "NUMBER(19,0)"), ("Amount", "FLOAT"), ("must", "DATE")],
        required=["must"],
    )

    with pytest.raises(WarehouseError, match="needs a value in must"):
        warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK)


def test_files_are_copied_by_name_in_one_transaction(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, LOAD)
    snowflake_double.answer("COPY INTO", [loaded("p/1/it's.parquet", 3), loaded("p/2/b.parquet", 0)])

    loads = warehouse.copy_into(LOAD, COLUMNS, files("p/1/it's.parquet", "p/2/b.parquet"), STAGE)

    assert loads == [FileLoad("p/1/it's.parquet", 3), FileLoad("p/2/b.parquet", 0)]
    assert changes(snowflake_double) == [
        "BEGIN TRANSACTION",
        'COPY INTO "SALES"."PUBLIC"."ORDERS__2" FROM \'@"OPS"."Landing"."FILES"/\' '
        f"FILES=('p/1/it\\'s.parquet', 'p/2/b.parquet') {FORMAT} MATCH_BY_COLUMN_NAME=CASE_SENSITIVE",
        "COMMIT",
    ]


def test_json_is_parsed_while_it_is_copied(warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble) -> None:
    there_is(
        snowflake_double,
        LOAD,
        described=[("a", "NUMBER(12,3)"), ("j", "VARIANT"), ("o", "OBJECT"), ("t", "VARCHAR(16777216)")],
    )
    snowflake_double.answer("COPY INTO", [loaded("1.parquet", 3)])
    staged = columns(a=types.decimal(10, 2), j=types.JSON, o=types.JSON, t=types.JSON)

    warehouse.copy_into(LOAD, staged, files("1.parquet"), STAGE)

    assert changes(snowflake_double)[1] == (
        'COPY INTO "SALES"."PUBLIC"."ORDERS__2" ("a", "j", "o", "t") FROM '
        '(SELECT $1:"a"::NUMBER(12,3), PARSE_JSON($1:"j"::VARCHAR), PARSE_JSON($1:"o"::VARCHAR)::OBJECT, '
        '$1:"t"::VARCHAR(16777216) FROM \'@"OPS"."Landing"."FILES"/\') '
        f"FILES=('1.parquet') {FORMAT}"
    )


def test_a_statement_names_a_thousand_files_at_most(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, LOAD)
    paths = [f"{number}.parquet" for number in range(2001)]
    snowflake_double.answer(
        "COPY INTO",
        lambda statement: [loaded(path, 1) for path in paths if f"'{path}'" in statement],
    )

    loads = warehouse.copy_into(LOAD, COLUMNS, files(*paths), STAGE)

    copies = [statement for statement in changes(snowflake_double) if statement.startswith("COPY")]
    assert [copy.count(".parquet'") for copy in copies] == [1000, 1000, 1]
    assert sum(entry.rows for entry in loads) == 2001


HISTORY = (
    'SELECT FILE_NAME, ROW_COUNT FROM TABLE("SALES".INFORMATION_SCHEMA.COPY_HISTORY('
    'TABLE_NAME => \'"SALES"."PUBLIC"."ORDERS__2"\', '
    "START_TIME => DATEADD(DAY, -14, CURRENT_TIMESTAMP()))) WHERE UPPER(STATUS) = 'LOADED'"
)


@pytest.mark.parametrize(
    "answer",
    [
        [skipped("p/1.parquet"), loaded("p/2.parquet", 5)],
        [loaded("p/2.parquet", 5)],
    ],
    ids=["reported as skipped", "not reported"],
)
def test_files_of_an_earlier_attempt_are_counted_by_the_load_history(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble, answer: list[dict[str, Any]]
) -> None:
    there_is(snowflake_double, LOAD)
    snowflake_double.answer("COPY INTO", answer)
    snowflake_double.answer("COPY_HISTORY", [{"FILE_NAME": "p/1.parquet", "ROW_COUNT": 4}])

    loads = warehouse.copy_into(LOAD, COLUMNS, files("p/1.parquet", "p/2.parquet"), STAGE)

    assert loads == [FileLoad("p/1.parquet", 4), FileLoad("p/2.parquet", 5)]
    assert snowflake_double.take_statements()[-1] == HISTORY


def test_a_repeat_that_finds_everything_loaded_reports_the_same(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, LOAD)
    snowflake_double.answer("COPY INTO", [{"status": "Copy executed with 0 files processed."}])
    snowflake_double.answer("COPY_HISTORY", [{"FILE_NAME": "prefix/p/1.parquet", "ROW_COUNT": 4}])

    assert warehouse.copy_into(LOAD, COLUMNS, files("p/1.parquet"), STAGE) == [FileLoad("p/1.parquet", 4)]


def test_a_file_that_nobody_knows_of_is_an_error(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, LOAD)
    snowflake_double.answer("COPY INTO", [skipped("1.parquet")])

    with pytest.raises(WarehouseError, match=r"1\.parquet.*load history"):
        warehouse.copy_into(LOAD, COLUMNS, files("1.parquet"), STAGE)


def test_a_file_that_was_loaded_in_part_undoes_the_load(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, LOAD)
    partly = loaded("2.parquet", 3) | {
        "status": "PARTIALLY_LOADED",
        "first_error": "Numeric value 'x' is not recognized",
        "first_error_line": 17,
        "first_error_column_name": '"ORDERS__2"["ID":1]',
    }
    snowflake_double.answer("COPY INTO", [loaded("1.parquet", 3), partly])

    with pytest.raises(WarehouseError) as caught:
        warehouse.copy_into(LOAD, COLUMNS, files("1.parquet", "2.parquet"), STAGE)

    for part in ("2.parquet", "PARTIALLY_LOADED", "'x' is not recognized", "row 17", '["ID":1]'):
        assert part in str(caught.value)
    assert changes(snowflake_double)[-1] == "ROLLBACK"


def test_a_refused_copy_undoes_the_load(warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble) -> None:
    there_is(snowflake_double, LOAD)
    snowflake_double.answer("COPY INTO", failure("Remote file 'p/1.parquet' was not found"))

    with pytest.raises(WarehouseError, match=r"p/1\.parquet.*01b2-query-id"):
        warehouse.copy_into(LOAD, COLUMNS, files("p/1.parquet"), STAGE)

    assert changes(snowflake_double)[-1] == "ROLLBACK"


def test_a_target_that_is_missing_gets_the_load_table_by_a_new_name(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, LOAD, MARK.append_to(None))
    there_is_no(snowflake_double, TARGET)

    warehouse.publish(LOAD, TARGET)

    assert changes(snowflake_double) == ['ALTER TABLE "SALES"."PUBLIC"."ORDERS__2" RENAME TO "SALES"."PUBLIC"."ORDERS"']


SET_REPLACED = f'ALTER TABLE "SALES"."PUBLIC"."ORDERS" SET COMMENT = \'mine\\n{REPLACED}\''
SWAP = 'ALTER TABLE "SALES"."PUBLIC"."ORDERS" SWAP WITH "SALES"."PUBLIC"."ORDERS__2"'
DROP = 'DROP TABLE IF EXISTS "SALES"."PUBLIC"."ORDERS__2"'

CRASHES = [
    ("nothing was done", MARK.append_to("mine"), "mine", [SET_REPLACED, SWAP, DROP]),
    ("the target was marked", MARK.append_to("mine"), f"mine\n{REPLACED}", [SWAP, DROP]),
    ("the names were swapped", f"mine\n{REPLACED}", MARK.append_to("mine"), [DROP]),
    ("all was done", None, MARK.append_to("mine"), []),
]


@pytest.mark.parametrize(
    ("load_comment", "target_comment", "statements"),
    [crash[1:] for crash in CRASHES],
    ids=[crash[0] for crash in CRASHES],
)
def test_publishing_goes_on_where_it_was_broken_off(
    warehouse: SnowflakeWarehouse,
    snowflake_double: SnowflakeDouble,
    load_comment: str | None,
    target_comment: str,
    statements: list[str],
) -> None:
    there_is(snowflake_double, TARGET, target_comment)
    if load_comment is None:
        there_is_no(snowflake_double, LOAD)
    else:
        there_is(snowflake_double, LOAD, load_comment)

    warehouse.publish(LOAD, TARGET)

    assert changes(snowflake_double) == statements


def test_publishing_what_was_never_loaded_is_an_error(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is(snowflake_double, TARGET, "the user's")

    with pytest.raises(WarehouseError, match="Load the table again"):
        warehouse.publish(LOAD, TARGET)


T, L = '"SALES"."PUBLIC"."ORDERS"', '"SALES"."PUBLIC"."ORDERS__2"'
CHANGES = [
    (f"DELETE FROM {T} WHERE id >= 1 AND id < 3", [{"number of rows deleted": 2}], 2),
    (
        f"DELETE FROM {T} AS t WHERE EXISTS(SELECT 1 FROM {L} AS l WHERE l.id = t.id)",
        [{"number of rows deleted": 0}],
        0,
    ),
    (f"INSERT INTO {T} (id, w) SELECT id, w FROM {L}", [{"number of rows inserted": 3}], 3),
    (
        f"MERGE INTO {T} AS t USING (SELECT id, w FROM (SELECT id, w, ROW_NUMBER() OVER (PARTITION BY id "
        f"ORDER BY w DESC NULLS LAST, MD5(w) DESC NULLS LAST) AS n FROM {L}) AS numbered WHERE n = 1) AS l "
        "ON t.id = l.id WHEN MATCHED THEN UPDATE SET w = l.w WHEN NOT MATCHED THEN INSERT (id, w) VALUES (l.id, l.w)",
        [{"number of rows inserted": 4, "number of rows updated": 5, "number of multi-joined rows updated": 6}],
        9,
    ),
    (f"UPDATE {T} SET w = NULL", [{"number of rows updated": 7, "number of multi-joined rows updated": 0}], 7),
    (f"DELETE FROM {L}", [{"number of rows deleted": 8}], 8),
]


def change_of(statement: str) -> Change:
    parsed = sqlglot.parse_one(statement, dialect="snowflake")
    assert isinstance(parsed, Change)
    return parsed


def quoted(statement: str) -> str:
    return re.sub(r"(?<![\w\"])(id|w|n|t|l|numbered)(?![\w\"])", r'"\1"', statement)


def test_changes_are_one_transaction_of_one_session(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    for statement, answer, _ in CHANGES:
        snowflake_double.answer(f"^{re.escape(quoted(statement))}$", answer)
    snowflake_double.answer("COUNT", [{"rows": Decimal(3)}])
    counted = exp.select(exp.alias_(exp.Count(this=exp.Star()), "rows")).from_(TARGET.to_expression())

    with warehouse.transaction("SALES") as transaction:
        counts = [transaction.change(change_of(statement)) for statement, _, _ in CHANGES]
        assert transaction.query(counted) == [{"rows": 3}]

    assert counts == [count for _, _, count in CHANGES]
    assert snowflake_double.take_statements() == [
        "BEGIN TRANSACTION",
        *(quoted(statement) for statement, _, _ in CHANGES),
        f'SELECT COUNT(*) AS "rows" FROM {T}',
        "COMMIT",
    ]
    assert len(snowflake_double.connections) == 1
    assert [json.loads(tag).get("table") for tag in snowflake_double.query_tags[1:3]] == ["SALES.PUBLIC.ORDERS"] * 2


def test_changes_are_undone_by_an_error(warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble) -> None:
    snowflake_double.answer("INSERT", failure("NULL result in a non-nullable column"))

    with (
        pytest.raises(
            WarehouseError, match=r"can't change rows of SALES\.PUBLIC\.ORDERS: .*NULL result .*01b2-query-id"
        ),
        warehouse.transaction("SALES") as transaction,
    ):
        transaction.change(change_of(f"INSERT INTO {T} (id) SELECT id FROM {L}"))

    assert snowflake_double.take_statements() == [
        "BEGIN TRANSACTION",
        f'INSERT INTO {T} ("id") SELECT "id" FROM {L}',
        "ROLLBACK",
    ]


def test_a_commit_that_is_refused_is_an_error(warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble) -> None:
    snowflake_double.answer("COMMIT", failure("Transaction was aborted"))

    with (
        pytest.raises(WarehouseError, match=r"can't change rows in SALES: .*Transaction was aborted"),
        warehouse.transaction("SALES"),
    ):
        pass

    assert snowflake_double.take_statements() == ["BEGIN TRANSACTION", "COMMIT", "ROLLBACK"]


def lose_session(warehouse: SnowflakeWarehouse, double: SnowflakeDouble) -> None:
    with warehouse.transaction("SALES") as transaction:
        transaction.change(change_of(f"DELETE FROM {T}"))
        double.opened[-1].close()
        transaction.change(change_of(f"INSERT INTO {T} (id) SELECT id FROM {L}"))


def test_a_transaction_never_goes_on_in_another_session(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    with pytest.raises(WarehouseError, match=r"can't change rows of SALES\.PUBLIC\.ORDERS: .*Connection is closed"):
        lose_session(warehouse, snowflake_double)

    assert snowflake_double.take_statements() == ["BEGIN TRANSACTION", f"DELETE FROM {T}"]
    assert len(snowflake_double.connections) == 1
    warehouse.drop_table(LOAD)
    assert len(snowflake_double.connections) == 2


def test_a_load_table_to_be_merged_is_transient_and_has_only_the_target_s_types(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is(
        snowflake_double,
        TARGET,
        "mine",
        described=[("Amount", "NUMBER(12,3)"), ("other", "DATE"), ("ID", "NUMBER(38,0)")],
        required=["ID"],
    )

    warehouse.create_load_table(LOAD, COLUMNS, TARGET, MARK, constrained=False)

    assert changes(snowflake_double) == [
        f'CREATE TRANSIENT TABLE IF NOT EXISTS {L} ("ID" NUMBER(38,0), "Amount" NUMBER(12,3)) COMMENT=\'{MARK_2}\''
    ]


NARROW = [("ID", "NUMBER(10,0)"), ("note", "VARCHAR(5)"), ("raw", "BINARY(10)"), ("day", "DATE")]
WIDE = columns(
    ID=types.integer(64), note=types.TEXT, raw=types.BINARY, day=types.DATE, at=types.temporal(types.Kind.TIMESTAMP)
)
ALTERATIONS = [
    'ALTER COLUMN "ID" SET DATA TYPE NUMBER(19,0)',
    'ALTER COLUMN "note" SET DATA TYPE VARCHAR',
    'ALTER COLUMN "raw" SET DATA TYPE BINARY(67108864)',
    'ALTER COLUMN "day" DROP NOT NULL',
    'ADD COLUMN "at" TIMESTAMP_NTZ(6)',
]


def test_a_table_is_altered_to_hold_the_planned_columns(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, TARGET, described=NARROW, required=["ID", "day"])
    snowflake_double.answer("SHOW PRIMARY KEYS", [{"column_name": "ID", "key_sequence": 1}])

    assert warehouse.evolve(TARGET, WIDE) == [
        "widened column ID from NUMBER(10,0) to NUMBER(19,0)",
        "widened column note from VARCHAR(5) to VARCHAR",
        "widened column raw from BINARY(10) to BINARY(67108864)",
        "let column day be null",
        "added column at TIMESTAMP_NTZ(6)",
    ]
    assert changes(snowflake_double)[1:] == [f"ALTER TABLE {T} {alteration}" for alteration in ALTERATIONS]


def test_a_load_table_is_altered_before_it_gets_its_mark(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is(snowflake_double, TARGET, described=NARROW, required=["ID", "day"])
    snowflake_double.answer("SHOW PRIMARY KEYS", [{"column_name": "ID", "key_sequence": 1}])

    warehouse.create_load_table(LOAD, WIDE, TARGET, MARK, evolve=True)

    assert changes(snowflake_double)[1:] == [
        f"CREATE TABLE {L} LIKE {T} COPY GRANTS",
        *(f"ALTER TABLE {L} {alteration}" for alteration in ALTERATIONS),
        f"ALTER TABLE {L} SET COMMENT = '{MARK_2}'",
    ]


def test_a_load_table_to_be_merged_is_made_with_the_planned_types(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is_no(snowflake_double, LOAD)
    there_is(snowflake_double, TARGET, described=NARROW, required=["ID", "day"])

    warehouse.create_load_table(LOAD, WIDE, TARGET, MARK, constrained=False, evolve=True)

    assert changes(snowflake_double)[1:] == [
        f'CREATE TRANSIENT TABLE IF NOT EXISTS {L} ("ID" NUMBER(19,0), "note" VARCHAR, "raw" BINARY(67108864), '
        f'"day" DATE, "at" TIMESTAMP_NTZ(6)) COMMENT=\'{MARK_2}\''
    ]


NOT_IN_PLACE = [
    ("NUMBER(10,0)", types.decimal(12, 2)),
    ("TIMESTAMP_NTZ(3)", types.temporal(types.Kind.TIMESTAMP, 6)),
    ("VARIANT", types.TEXT),
    ("NUMBER(5,0)", types.floating(64)),
]


@pytest.mark.parametrize(("existing", "planned"), NOT_IN_PLACE)
def test_a_type_that_doesn_t_grow_in_place_is_refused_before_anything_is_changed(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble, existing: str, planned: ColumnType
) -> None:
    there_is(snowflake_double, TARGET, described=[("x", existing)])

    with pytest.raises(WarehouseError) as caught:
        warehouse.evolve(TARGET, columns(new=types.TEXT, x=planned))

    change = f"x from {existing} to {Snowflake().ddl_type(planned)}"
    assert f"snowflake can't change {change} where it is. Reset the table" in str(caught.value)
    assert [statement for statement in changes(snowflake_double) if statement.startswith("ALTER")] == []


def test_a_table_as_it_was_made_needs_no_change(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    every_kind = columns(
        a=types.BOOLEAN,
        b=types.integer(16),
        c=types.decimal(38, 37),
        d=types.floating(32),
        e=types.TEXT,
        f=types.text(9),
        g=types.BINARY,
        h=types.DATE,
        i=types.temporal(types.Kind.TIME, 3),
        j=types.temporal(types.Kind.TIMESTAMP_TZ),
        k=types.JSON,
        m=types.UUID,
    )
    described = [
        (column.name, "VARCHAR(16777216)" if column.ddl_type == "VARCHAR" else column.ddl_type) for column in every_kind
    ]
    there_is(snowflake_double, TARGET, described=described)

    assert warehouse.evolve(TARGET, every_kind) == []


def test_tables_are_listed_by_prefix(warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble) -> None:
    snowflake_double.answer("STARTS", [{"TABLE_NAME": "ORDERS__2"}, {"TABLE_NAME": "ORDERS"}])

    assert warehouse.list_tables("SALES", "PUBLIC", "ORD_'") == [TARGET, LOAD]
    assert snowflake_double.take_statements() == [
        "SELECT TABLE_NAME FROM \"SALES\".INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'PUBLIC' "
        "AND TABLE_TYPE = 'BASE TABLE' AND STARTSWITH(TABLE_NAME, 'ORD_\\'')"
    ]


def test_a_query_names_its_columns_as_written(warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble) -> None:
    local = datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    snowflake_double.answer("SUM", [{"total": Decimal(7), "last": local, "part": Decimal("1.50")}])
    statement = exp.select("SUM(Amount) AS total").from_(TARGET.to_expression())

    assert warehouse.query(statement, "SALES") == [
        {"total": 7, "last": datetime(2024, 1, 1, tzinfo=timezone.utc), "part": Decimal("1.50")}
    ]
    assert snowflake_double.take_statements() == ['SELECT SUM("Amount") AS "total" FROM "SALES"."PUBLIC"."ORDERS"']


PROBE = (
    'SELECT 1 FROM "SALES"."PUBLIC"."ORDERS" '
    "AT (TIMESTAMP => CAST('2024-01-01 00:00:00.000000001' AS TIMESTAMPLTZ)) LIMIT 1"
)


def test_a_pinned_table_is_read_as_it_was_at_one_moment(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, TARGET)
    snowflake_double.answer("AS NOW", [{"NOW": "2024-01-01 00:00:00.000000001"}])

    pin = warehouse.pin(TARGET)

    assert snowflake_double.take_statements()[-1] == PROBE
    assert f"SELECT 1 FROM {pin.relation.sql('snowflake')} LIMIT 1" == PROBE
    assert pin.moment == "time travel to 2024-01-01 00:00:00.000000001 UTC"


def test_a_table_that_keeps_no_history_is_not_pinned(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, TARGET)
    snowflake_double.answer("AS NOW", [{"NOW": "2024-01-01 00:00:00.000000001"}])
    snowflake_double.answer(r"AT \(TIMESTAMP", NO_HISTORY)

    pin = warehouse.pin(TARGET)

    assert pin.relation.sql("snowflake") == '"SALES"."PUBLIC"."ORDERS"'
    assert pin.moment is None


def test_a_table_that_can_t_be_read_is_not_taken_for_one_without_history(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    there_is(snowflake_double, TARGET)
    snowflake_double.answer("AS NOW", [{"NOW": "2024-01-01 00:00:00.000000001"}])
    snowflake_double.answer(r"AT \(TIMESTAMP", failure("Insufficient privileges", 3001))

    with pytest.raises(WarehouseError, match=r"can't pin SALES\.PUBLIC\.ORDERS: .*Insufficient privileges"):
        warehouse.pin(TARGET)


def test_errors_tell_message_and_query_and_no_secret(
    warehouse: SnowflakeWarehouse, snowflake_double: SnowflakeDouble
) -> None:
    snowflake_double.answer("COUNT", failure("SQL compilation error"))

    with pytest.raises(WarehouseError) as caught:
        warehouse.count_rows(TARGET)

    assert "can't count SALES.PUBLIC.ORDERS: " in str(caught.value)
    assert "SQL compilation error" in str(caught.value)
    assert "(query 01b2-query-id)" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert all(PASSWORD not in statement for statement in snowflake_double.statements)


def test_only_stages_that_snowflake_sees_are_accepted(warehouse: SnowflakeWarehouse) -> None:
    warehouse.require_stage(STAGE)
    warehouse.require_stage(SnowflakeInternalStage(snowflake=account(), stage="a.b.c"))

    with pytest.raises(WarehouseError, match="external_stage"):
        warehouse.require_stage(FileSystemStage(url="s3://bucket"))


def test_dagster_gives_the_secret_at_run_time_and_ends_the_sessions(
    snowflake_double: SnowflakeDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SNOWFLAKE_PASSWORD", PASSWORD)
    snowflake_double.answer("COUNT", [{"rows": 3}])
    connection = SnowflakeResource(account="a", user="u", password=EnvVar("TEST_SNOWFLAKE_PASSWORD"))

    @asset
    def counted(warehouse: SnowflakeWarehouse) -> None:
        assert warehouse.count_rows(TARGET) == 3

    materialize([counted], resources={"warehouse": SnowflakeWarehouse(snowflake=connection)})

    (arguments,) = snowflake_double.connections
    assert arguments["password"] == PASSWORD
    assert [opened.is_closed() for opened in snowflake_double.opened] == [True]
