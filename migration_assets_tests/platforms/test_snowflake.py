"""Snowflake's types: what a column becomes, and what users write in columnTypeMappings."""

from __future__ import annotations

import pytest

from migration_assets.platforms.base import PlatformError
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import (
    BINARY,
    BOOLEAN,
    DATE,
    JSON,
    TEXT,
    UUID,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
    text,
)

DDL_TYPES = [
    (BOOLEAN, "BOOLEAN"),
    (integer(16), "NUMBER(5,0)"),
    (integer(32), "NUMBER(10,0)"),
    (integer(64), "NUMBER(19,0)"),
    (decimal(38, 37), "NUMBER(38,37)"),
    (floating(32), "FLOAT"),
    (floating(64), "FLOAT"),
    (TEXT, "VARCHAR"),
    (text(134_217_728), "VARCHAR(134217728)"),
    (text(134_217_729), "VARCHAR(134217728)"),
    (BINARY, "BINARY(67108864)"),
    (ColumnType(Kind.BINARY, length=16), "BINARY(16)"),
    (ColumnType(Kind.BINARY, length=2**31), "BINARY(67108864)"),
    (DATE, "DATE"),
    (temporal(Kind.TIME, 3), "TIME(3)"),
    (temporal(Kind.TIMESTAMP, 0), "TIMESTAMP_NTZ(0)"),
    (ColumnType(Kind.TIMESTAMP), "TIMESTAMP_NTZ(6)"),
    (temporal(Kind.TIMESTAMP_TZ), "TIMESTAMP_LTZ(6)"),
    (temporal(Kind.TIME, 7), "TIME(7)"),
    (temporal(Kind.TIMESTAMP, 7), "TIMESTAMP_NTZ(7)"),
    (temporal(Kind.TIMESTAMP_TZ, 7), "TIMESTAMP_TZ(7)"),
    (JSON, "VARIANT"),
    (UUID, "VARCHAR(36)"),
]

SPELLINGS = [
    ("BOOLEAN", BOOLEAN),
    ("NUMBER", decimal(38, 0)),
    ("number(10)", decimal(10, 0)),
    ("NUMBER(10,2)", decimal(10, 2)),
    ("DECIMAL(19, 4)", decimal(19, 4)),
    ("NUMERIC( 38 , 37 )", decimal(38, 37)),
    ("INT", decimal(38, 0)),
    ("BIGINT", decimal(38, 0)),
    ("byteint", decimal(38, 0)),
    ("FLOAT", floating(64)),
    ("FLOAT4", floating(64)),
    ("REAL", floating(64)),
    ("DOUBLE", floating(64)),
    ("double  precision", floating(64)),
    ("VARCHAR", TEXT),
    ("VARCHAR(36)", text(36)),
    ("STRING", TEXT),
    ("TEXT(10)", text(10)),
    ("NVARCHAR2(10)", text(10)),
    ("CHARACTER VARYING(10)", text(10)),
    ("CHAR", text(1)),
    ("CHAR(7)", text(7)),
    ("BINARY", BINARY),
    ("VARBINARY(20)", ColumnType(Kind.BINARY, length=20)),
    ("DATE", DATE),
    ("TIME", temporal(Kind.TIME)),
    ("TIME(0)", temporal(Kind.TIME, 0)),
    ("DATETIME", temporal(Kind.TIMESTAMP)),
    ("TIMESTAMP", temporal(Kind.TIMESTAMP)),
    ("TIMESTAMP_NTZ(9)", temporal(Kind.TIMESTAMP, 7)),
    ("TIME(9)", temporal(Kind.TIME, 7)),
    ("TIMESTAMP_TZ(9)", temporal(Kind.TIMESTAMP_TZ, 7)),
    ("TIMESTAMP_LTZ(9)", temporal(Kind.TIMESTAMP_TZ, 6)),
    ("TIMESTAMPNTZ(3)", temporal(Kind.TIMESTAMP, 3)),
    ("TIMESTAMP_LTZ", temporal(Kind.TIMESTAMP_TZ)),
    ("TIMESTAMP_TZ(3)", temporal(Kind.TIMESTAMP_TZ, 3)),
    ("TIMESTAMP(3) WITH TIME ZONE", temporal(Kind.TIMESTAMP_TZ, 3)),
    ("VARIANT", JSON),
    ("OBJECT", JSON),
    ("ARRAY", JSON),
]

REFUSED = [
    ("GEOGRAPHY", "TO_GEOGRAPHY"),
    ("GEOMETRY", "TO_GEOMETRY"),
    ("VECTOR(FLOAT, 3)", "ARRAY"),
    ("MAP(VARCHAR, INT)", "OBJECT"),
    ("DECFLOAT", "NUMBER"),
    ("NUMBER(39)", "38 digits"),
    ("NUMBER(10,11)", "38 digits"),
    ("NUMBER(38,38)", "37 after the point"),
    ("NUMBERR(10)", "Did you mean NUMBER"),
    ("TIMESTAMP_NZT", "Did you mean TIMESTAMP_NTZ"),
    ("NUMBER(10,2) NOT NULL", "has no type"),
    ("INT(5)", "has no type"),
    ("", "has no type"),
    ("VARCHAR); DROP TABLE t; --", "has no type"),
]


@pytest.mark.parametrize(("column_type", "ddl_type"), DDL_TYPES)
def test_every_type_has_a_ddl_type(column_type: ColumnType, ddl_type: str) -> None:
    assert Snowflake().ddl_type(column_type) == ddl_type


@pytest.mark.parametrize("column_type", [case for case, _ in DDL_TYPES])
def test_a_ddl_type_read_back_is_declared_the_same(column_type: ColumnType) -> None:
    platform = Snowflake()
    ddl_type = platform.ddl_type(column_type)

    assert platform.ddl_type(platform.parse_type(ddl_type)) == ddl_type


@pytest.mark.parametrize(("spelling", "column_type"), SPELLINGS)
def test_every_spelling_of_a_type_is_understood(spelling: str, column_type: ColumnType) -> None:
    assert Snowflake().parse_type(spelling) == column_type


@pytest.mark.parametrize(("spelling", "explanation"), REFUSED)
def test_a_type_that_can_t_be_staged_is_refused_with_the_cure(spelling: str, explanation: str) -> None:
    with pytest.raises(PlatformError, match=explanation):
        Snowflake().parse_type(spelling)


def test_a_scale_of_38_digits_is_refused() -> None:
    with pytest.raises(PlatformError, match="Map the column to VARCHAR"):
        Snowflake().ddl_type(decimal(38, 38))


def test_names_are_folded_to_upper_case_and_compared_exactly() -> None:
    platform = Snowflake()

    assert platform.fold("orders_2024") == "ORDERS_2024"
    assert platform.same_name("Amount", "Amount")
    assert not platform.same_name("Amount", "AMOUNT")
