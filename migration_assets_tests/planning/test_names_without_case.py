"""Names of a system that compares them without case: what is written finds what the catalogue has."""

from __future__ import annotations

import json

import pytest

from migration_assets.planning.columns import plan_columns, resolve_columns
from migration_assets.platforms.base import PlatformError, SourceColumn, SourceTable, TableName
from migration_assets.platforms.postgresql import PostgreSQL
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.sqlserver import SQLServer
from migration_assets.workflow import TableConfiguration, parse_workflow
from migration_assets_tests.planning.catalogue import no_query

TABLE = SourceTable(
    TableName("Sales", "dbo", "Orders"),
    "table",
    (
        SourceColumn("ID", "int", "int", False),
        SourceColumn("Order Total", "decimal(10,2)", "decimal", True, type_arguments=(10, 2)),
        SourceColumn("updated_at", "datetime2(7)", "datetime2", True, type_arguments=(7,)),
        SourceColumn("price", "money", "money", True),
        SourceColumn("short", "real", "real", True),
    ),
)


def configuration(**keys: object) -> TableConfiguration:
    name = {"databaseName": "sales", "schemaName": "DBO", "tableName": "orders"}
    document = {"sourcePlatform": "sqlserver", "tables": [{"source": name, "target": name, **keys}]}
    return parse_workflow(json.dumps(document), file="sales.json").tables[0]


def test_a_name_is_the_exact_one_or_the_only_one_that_is_alike() -> None:
    platform = SQLServer()
    assert platform.find_name("id", ["ID", "x"]) == "ID"
    assert platform.find_name("id", ["ID", "id"]) == "id"
    assert platform.find_name("none", ["ID"]) is None
    with pytest.raises(PlatformError, match=r"'Id' could be ID or id: write it exactly"):
        platform.find_name("Id", ["ID", "id"])
    assert PostgreSQL().find_name("id", ["ID"]) is None


@pytest.mark.parametrize("written", ["id", "ID", "Id", '"id"', "[id]"])
def test_a_column_of_the_workflow_is_found_in_any_case(written: str) -> None:
    problems: list[str] = []
    assert resolve_columns([written], TABLE, SQLServer(), "primaryKeyColumns", problems) == ("ID",)
    assert problems == []


def test_a_column_that_is_not_there_is_told_with_those_that_are() -> None:
    problems: list[str] = []
    resolve_columns(["identity"], TABLE, SQLServer(), "watermarkColumn", problems)
    assert problems == [
        "watermarkColumn: the source has no column identity; the columns are ID, Order Total, price, short, updated_at"
    ]


def test_mappings_of_names_and_types_find_their_columns() -> None:
    config = configuration(
        columnNameMappings=[
            {"sourceName": "id", "targetName": "order_id"},
            {"sourceName": "[order total]", "targetName": "total"},
        ],
        columnTypeMappings=[
            {"sourceType": "MONEY", "targetType": "DECIMAL(19,4)"},
            {"sourceType": "NUMERIC(10, 2)", "targetType": "NUMBER(12,2)"},
            {"sourceType": "Datetime2(7)", "targetType": "TIMESTAMP"},
            {"sourceType": "float", "targetType": "VARCHAR"},
        ],
    )
    columns, problems = plan_columns(no_query, config, TABLE, SQLServer(), Snowflake())
    assert problems == []
    assert {column.source.name: (column.target_name, column.target_type) for column in columns} == {
        "ID": ("ORDER_ID", "NUMBER(10,0)"),
        "Order Total": ("TOTAL", "NUMBER(12,2)"),
        "updated_at": ("UPDATED_AT", "TIMESTAMP"),
        "price": ("PRICE", "DECIMAL(19,4)"),
        # A mapping of FLOAT is none of REAL.
        "short": ("SHORT", "FLOAT"),
    }
