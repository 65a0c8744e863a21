"""Workflow documents for the tests: a smallest one, and one for each of the format's typical uses."""

from __future__ import annotations

import copy
import json
from typing import Any

from migration_assets.workflow import Problem, Workflow, WorkflowError, parse_workflow

# JSON of any shape: the tests write right and wrong documents alike.
Json = dict[str, Any]

_SMALLEST: Json = {
    "source": {"databaseName": "shop", "schemaName": "public", "tableName": "orders"},
    "target": {"databaseName": "LAKE", "schemaName": "RAW", "tableName": "ORDERS"},
}

BASIC_SQLSERVER: Json = {
    "defaultTableConfiguration": {
        "source": {"schemaName": "dbo", "databaseName": "Wholesale"},
        "target": {"schemaName": "landing", "databaseName": "wholesale"},
    },
    "tables": [
        {
            "source": {"tableName": "supplier"},
            "target": {"tableName": "supplier_copy"},
            "columnNamesToPartitionBy": ["SupplierId"],
        },
        {
            "source": {"tableName": "[Invoice Lines]"},
            "target": {"tableName": "invoice_lines"},
            "columnNamesToPartitionBy": ["LineId"],
            "columnTypeMappings": [{"sourceType": "SMALLMONEY", "targetType": "NUMBER(10,4)"}],
            "columnNameMappings": [
                {"sourceName": "no", "targetName": "line_number"},
                {"sourceName": "txt", "targetName": "description"},
            ],
            "synchronization": {"strategy": "watermark", "watermarkColumn": "ChangedAt"},
            "partitionSize": {"targetSizeMb": 512},
            "whereClauseCriteria": "cancelled = 0",
        },
    ],
}

REDSHIFT_UNLOAD: Json = {
    "defaultTableConfiguration": {
        "source": {"schemaName": "events_raw", "databaseName": "clicks"},
        "target": {"schemaName": "events", "databaseName": "LAKE"},
        "extraction": {"strategy": "unload", "externalStage": "LAKE.STAGES.BUCKET"},
        "partitionSize": "auto",
    },
    "tables": [
        {
            "source": {"tableName": "visitors"},
            "target": {"tableName": "visitors"},
            "columnNamesToPartitionBy": ["visitor_id"],
        },
        {
            "source": {"tableName": "purchases"},
            "target": {"tableName": "purchases"},
            "columnNamesToPartitionBy": ["purchase_id"],
            "columnTypeMappings": [{"sourceType": "NUMERIC(12,3)", "targetType": "DECIMAL(12,3)"}],
        },
    ],
}

REDSHIFT_ICEBERG: Json = {
    "defaultTableConfiguration": {
        "source": {"schemaName": "public", "databaseName": "clicks"},
        "target": {
            "schemaName": "public",
            "databaseName": "LAKE",
            "tableType": "iceberg",
            "icebergConfig": {
                "catalog": "SNOWFLAKE",
                "externalVolume": "lake_volume",
                "baseLocationPrefix": "from/redshift",
                "sourceDataStage": "@LAKE.STAGES.PARQUET",
            },
        },
        "extraction": {"strategy": "unload", "externalStage": "LAKE.STAGES.BUCKET"},
        "partitionSize": "auto",
    },
    "tables": [
        {
            "source": {"tableName": "visitors"},
            "target": {"tableName": "visitors"},
            "columnNamesToPartitionBy": ["visitor_id"],
        },
        {
            "source": {"tableName": "clicks"},
            "target": {
                "tableName": "clicks",
                "tableType": "iceberg",
                "icebergConfig": {
                    "catalog": "glue_integration",
                    "externalVolume": "lake_volume",
                    "catalogTableName": "glue.clicks",
                },
            },
            "columnNamesToPartitionBy": ["click_id"],
        },
        {
            "source": {"tableName": "purchases"},
            "target": {
                "tableName": "purchases",
                "tableType": "iceberg",
                "icebergConfig": {
                    "catalog": "glue_integration",
                    "externalVolume": "lake_volume",
                    "catalogTableName": "glue.purchases",
                    "migrationStrategy": "convert_to_managed",
                },
            },
            "columnNamesToPartitionBy": ["purchase_id"],
        },
    ],
}

WATERMARK: Json = {
    "defaultTableConfiguration": {
        "source": {"databaseName": "ERP", "schemaName": "dbo"},
        "target": {"databaseName": "LAKE", "schemaName": "erp"},
        "synchronization": {"strategy": "watermark", "watermarkColumn": "changed_at"},
    },
    "tables": [
        {
            "source": {"tableName": "shipments"},
            "target": {"tableName": "shipments"},
            "columnNamesToPartitionBy": ["shipment_id"],
            "primaryKeyColumns": ["shipment_id"],
            "synchronization": {"trackModifications": True},
        }
    ],
}

TYPICAL: dict[str, tuple[str, Json]] = {
    "basic": ("sqlserver", BASIC_SQLSERVER),
    "unload": ("redshift", REDSHIFT_UNLOAD),
    "iceberg": ("redshift", REDSHIFT_ICEBERG),
    "watermark": ("sqlserver", WATERMARK),
}


def table(**keys: object) -> Json:
    """The smallest table with more keys; `source` and `target` are merged in, others are set."""
    made = copy.deepcopy(_SMALLEST)
    for key, value in keys.items():
        if key in made and isinstance(value, dict):
            made[key].update(value)
        else:
            made[key] = value
    return made


def workflow(*tables: object, **keys: object) -> Json:
    """A workflow with these tables, or with the smallest one."""
    return {"tables": list(tables) or [table()], **keys}


def parse(document: object, source_platform: str | None = "postgresql", *, require_supported: bool = False) -> Workflow:
    """The workflow of a document that is given as JSON text or as its value."""
    text = document if isinstance(document, (str, bytes)) else json.dumps(document)
    return parse_workflow(text, file="flow.json", source_platform=source_platform, require_supported=require_supported)


def problems(
    document: object, source_platform: str | None = "postgresql", *, require_supported: bool = False
) -> list[Problem]:
    """All problems of a document; none when it is a workflow."""
    try:
        parse(document, source_platform, require_supported=require_supported)
    except WorkflowError as error:
        return list(error.problems)
    return []
