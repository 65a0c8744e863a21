"""SQL Server: types, catalogue, partitions, extraction, and its SQL for fingerprints and figures."""

from migration_assets.platforms.sqlserver.canonical import LegacySQLServerSQL, SQLServerSQL, canonical_sql
from migration_assets.platforms.sqlserver.platform import SQLServer

__all__ = ["LegacySQLServerSQL", "SQLServer", "SQLServerSQL", "canonical_sql"]
