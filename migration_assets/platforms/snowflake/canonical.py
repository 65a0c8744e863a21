"""Snowflake's SQL for fingerprints. Not run against an account yet: it must pass the golden vectors first."""

from __future__ import annotations

from typing import ClassVar

from migration_assets.platforms.canonical import LANE_BITS
from migration_assets.platforms.canonical_sql import CanonicalColumn, CanonicalSQL, arithmetic_float
from migration_assets.platforms.types import Kind


class SnowflakeSQL(CanonicalSQL):
    """Snowflake."""

    dialect: ClassVar[str] = "snowflake"
    # VARIANT sorts the keys of objects and writes numbers its own way.
    keeps_json_text: ClassVar[bool] = False

    def decimal(self, column: CanonicalColumn) -> str:
        return f"TO_VARCHAR({column.expression})"

    def floating(self, column: CanonicalColumn) -> str:
        return arithmetic_float(
            f"CAST({column.expression} AS FLOAT)",
            {
                "CAST('NaN' AS FLOAT)": "NaN",
                "CAST('inf' AS FLOAT)": "Infinity",
                "CAST('-inf' AS FLOAT)": "-Infinity",
            },
            small="CAST('1e-290' AS FLOAT)",
            power="POWER(2, {})",
            text="TO_VARCHAR({})",
            whole="CAST({} AS DECIMAL(38, 0))",
        )

    def characters(self, column: CanonicalColumn) -> str:
        if column.type.kind is Kind.JSON:
            return f"TO_JSON({column.expression})"
        return f"LOWER({column.expression})" if column.type.kind is Kind.UUID else column.expression

    def binary(self, column: CanonicalColumn) -> str:
        # 0 is lower case. Not LOWER(HEX_ENCODE(x)), which sqlglot's round trip makes TO_CHAR(x).
        return f"HEX_ENCODE({column.expression}, 0)"

    def date(self, column: CanonicalColumn) -> str:
        return f"TO_CHAR({column.expression}, 'YYYY-MM-DD')"

    def time(self, column: CanonicalColumn) -> str:
        return self.without_fraction_zeros(f"TO_CHAR({column.expression}, 'HH24:MI:SS.FF9')")

    def timestamp(self, column: CanonicalColumn) -> str:
        value = column.expression
        if column.type.kind is Kind.TIMESTAMP_TZ:
            # With three arguments the session's zone would decide.
            value = f"CAST(CONVERT_TIMEZONE('UTC', {value}) AS TIMESTAMP_NTZ)"
        elif column.type.kind is Kind.DATE:
            value = f"CAST({value} AS TIMESTAMP_NTZ)"
        return self.without_fraction_zeros(f"TO_CHAR({value}, 'YYYY-MM-DD HH24:MI:SS.FF9')")

    def hash(self, text: str) -> str:
        return text

    def high(self, hashed: str) -> str:
        return f"MOD(MD5_NUMBER_UPPER64({hashed}), {2**LANE_BITS})"

    def low(self, hashed: str) -> str:
        return f"MOD(MD5_NUMBER_LOWER64({hashed}), {2**LANE_BITS})"

    def hex_of_text(self, text: str) -> str:
        return f"MD5({text})"

    def text_bytes(self, text: str) -> str:
        return f"OCTET_LENGTH({text})"

    def as_bigint(self, value: str) -> str:
        return f"CAST({value} AS DECIMAL(38, 0))"
