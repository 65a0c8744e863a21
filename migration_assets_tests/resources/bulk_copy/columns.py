"""Columns to read."""

from __future__ import annotations

from migration_assets.platforms.base import ReadColumn, SourceColumn
from migration_assets.platforms.sqlserver.types import map_column
from migration_assets.platforms.types import ColumnType


def column(name: str, native: str, *arguments: int, wanted: ColumnType | None = None) -> ReadColumn:
    """A column of a type of SQL Server, read as it is planned."""
    source = SourceColumn(name, native, native, nullable=True, type_arguments=arguments)
    mapping = map_column(source, wanted)
    return ReadColumn(name, mapping.type, source, mapping.expression)


ID = column("id", "int")
NAME = column("name", "nvarchar", 20)
COLUMNS = (ID, NAME)
