"""SQL Server: its SQL for fingerprints."""

from migration_assets.platforms.sqlserver.canonical import LegacySQLServerSQL, SQLServerSQL

__all__ = ["LegacySQLServerSQL", "SQLServerSQL"]
