"""SQL Server: its SQL for fingerprints."""

from migration_assets.platforms.sqlserver.canonical import LegacySQLServerSQL, SQLServerSQL, canonical_sql

__all__ = ["LegacySQLServerSQL", "SQLServerSQL", "canonical_sql"]
