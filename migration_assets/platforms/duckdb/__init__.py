"""DuckDB: what it holds, and its SQL for fingerprints."""

from migration_assets.platforms.duckdb.platform import DuckDB

__all__ = ["DuckDB"]
