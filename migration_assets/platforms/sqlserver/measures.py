"""SQL Server's SQL for the figures of columns."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from migration_assets.platforms.base import QueryRunner
from migration_assets.platforms.measures import Measures
from migration_assets.platforms.sqlserver import sql
from migration_assets.platforms.sqlserver.types import PADDED
from migration_assets.platforms.types import MAX_DECIMAL_PRECISION, ColumnType, Kind

CHARACTER_COLLATION = "Latin1_General_100_CI_AS_SC"
"""In it a character is one, also where UTF-16 needs two units for it. Every SQL Server since 2012 has it."""

_SUPPORT = f"SELECT CAST(COLLATIONPROPERTY('{CHARACTER_COLLATION}', 'CodePage') AS INT) AS code_page"

_PLAIN_TEXTS = ("varchar", "nvarchar")
_PLAIN_NUMBERS = ("tinyint", "smallint", "int", "bigint", "decimal", "numeric", "real", "float")


def measures(run: QueryRunner) -> SQLServerMeasures:
    """The figures that a server can make."""
    (found,) = run(_SUPPORT)
    return SQLServerMeasures(CHARACTER_COLLATION if found["code_page"] is not None else None)


class SQLServerMeasures(Measures):
    """SQL Server 2016 and newer."""

    def __init__(self, collation: str | None = CHARACTER_COLLATION) -> None:
        """Knows in which collation characters are counted; None where the server's own counts them right."""
        super().__init__(sql.DIALECT)
        self._collation = collation

    def count(self, value: exp.Expr) -> exp.Expr:
        # COUNT doesn't take the old long types.
        return _parsed("COUNT_BIG(CASE WHEN {value} IS NULL THEN NULL ELSE 1 END)", value)

    def distinct(self, value: exp.Expr, column_type: ColumnType) -> exp.Expr:
        if column_type.kind is Kind.TEXT:
            # In most collations case is no difference, and in no one blanks at the end.
            return _parsed("COUNT_BIG(DISTINCT CAST(CAST({value} AS NVARCHAR(MAX)) AS VARBINARY(MAX)))", value)
        return super().distinct(value, column_type)

    def length(self, value: exp.Expr) -> exp.Expr:
        # LEN leaves out blanks at the end; without limit, because a text of the largest size has no room for the point.
        text = "(CAST({value} AS NVARCHAR(MAX)) + N'.')"
        return _parsed(f"LEN({text} COLLATE {self._collation}) - 1" if self._collation else f"LEN({text}) - 1", value)

    def size(self, value: exp.Expr) -> exp.Expr:
        return _parsed("DATALENGTH({value})", value)

    def addend(self, value: exp.Expr, column_type: ColumnType) -> exp.Expr:
        # Sums of whole numbers and of money are of their own types, and overflow.
        if column_type.kind in (Kind.INTEGER, Kind.BOOLEAN):
            return _parsed(f"CAST({{value}} AS DECIMAL({MAX_DECIMAL_PRECISION}, 0))", value)
        if column_type.kind is Kind.DECIMAL:
            return _parsed(f"CAST({{value}} AS {_decimal(column_type)})", value)
        return value.copy()

    def cut(self, value: exp.Expr, places: int) -> exp.Expr:
        return _parsed(f"ROUND({{value}}, {places}, 1)", value)

    def number(self, condition: exp.Expr) -> exp.Expr:
        # A bit is no condition.
        return _parsed("CASE WHEN {value} = 1 THEN 1 WHEN {value} = 0 THEN 0 END", condition)

    def measurable(self, expression: str, column_type: ColumnType, base_type: str) -> str:
        if column_type.kind is Kind.TEXT:
            text = f"RTRIM({expression})" if base_type in PADDED else expression
            return text if base_type in (*PADDED, *_PLAIN_TEXTS) else f"CAST({text} AS NVARCHAR(MAX))"
        if column_type.kind is Kind.DECIMAL:
            return f"CAST({expression} AS {_decimal(column_type)})"
        if column_type.kind is Kind.TIMESTAMP_TZ:
            return f"CAST(SWITCHOFFSET(CAST({expression} AS DATETIMEOFFSET(7)), '+00:00') AS DATETIME2(7))"
        return expression

    def is_measurable(self, column_type: ColumnType, base_type: str) -> bool:
        if column_type.kind is Kind.TEXT:
            return base_type in _PLAIN_TEXTS
        if column_type.is_numeric:
            return base_type in _PLAIN_NUMBERS
        return column_type.kind is not Kind.TIMESTAMP_TZ


def _decimal(column_type: ColumnType) -> str:
    return f"DECIMAL({column_type.precision or MAX_DECIMAL_PRECISION}, {column_type.scale or 0})"


def _parsed(template: str, value: exp.Expr) -> exp.Expr:
    return sqlglot.parse_one(sql.fill(template, value=value.sql(sql.DIALECT)), dialect=sql.DIALECT)
