"""Redshift's SQL for fingerprints. Not run against a cluster yet: it must pass the golden vectors first."""

from __future__ import annotations

from typing import ClassVar

from migration_assets.platforms.canonical_sql import CanonicalColumn, CanonicalSQL, arithmetic_float
from migration_assets.platforms.types import Kind

_PADDED = ("character", "char", "bpchar", "nchar")


class RedshiftSQL(CanonicalSQL):
    """Amazon Redshift. A row text has at most 65,535 bytes there."""

    dialect: ClassVar[str] = "redshift"
    keeps_json_text: ClassVar[bool] = False

    def decimal(self, column: CanonicalColumn) -> str:
        return f"CAST({column.expression} AS VARCHAR(64))"

    def floating(self, column: CanonicalColumn) -> str:
        return arithmetic_float(
            f"CAST({column.expression} AS FLOAT8)",
            {
                "CAST('NaN' AS FLOAT8)": "NaN",
                "CAST('Infinity' AS FLOAT8)": "Infinity",
                "CAST('-Infinity' AS FLOAT8)": "-Infinity",
            },
            small="CAST('1e-290' AS FLOAT8)",
            power="POWER(CAST(2 AS FLOAT8), {})",
            text="CAST({} AS VARCHAR(64))",
            whole="CAST({} AS BIGINT)",
        )

    def characters(self, column: CanonicalColumn) -> str:
        if column.type.kind is Kind.JSON:
            return f"JSON_SERIALIZE({column.expression})"
        return f"RTRIM({column.expression})" if column.native in _PADDED else column.expression

    def binary(self, column: CanonicalColumn) -> str:
        return f"LOWER(TO_HEX({column.expression}))"

    def date(self, column: CanonicalColumn) -> str:
        return f"TO_CHAR({column.expression}, 'YYYY-MM-DD')"

    def time(self, column: CanonicalColumn) -> str:
        text = f"CAST({column.expression} AS VARCHAR(32))"
        return f"CASE WHEN STRPOS({text}, '.') > 0 THEN {self.without_fraction_zeros(text)} ELSE {text} END"

    def timestamp(self, column: CanonicalColumn) -> str:
        value = column.expression
        if column.type.kind is Kind.TIMESTAMP_TZ and column.native != "timestamp without time zone":
            value = f"({value} AT TIME ZONE 'UTC')"
        elif column.type.kind is Kind.DATE:
            value = f"CAST({value} AS TIMESTAMP)"
        return self.without_fraction_zeros(f"TO_CHAR({value}, 'YYYY-MM-DD HH24:MI:SS.US')")

    def hash(self, text: str) -> str:
        return self.hex_of_text(text)

    def high(self, hashed: str) -> str:
        return f"STRTOL(SUBSTRING({hashed}, 2, 15), 16)"

    def low(self, hashed: str) -> str:
        return f"STRTOL(SUBSTRING({hashed}, 18, 15), 16)"

    def hex_of_text(self, text: str) -> str:
        return f"MD5({text})"

    def text_bytes(self, text: str) -> str:
        return f"OCTET_LENGTH({text})"
