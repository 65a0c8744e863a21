"""Snowflake: what it holds, and its SQL for fingerprints."""

from migration_assets.platforms.snowflake.platform import Snowflake

__all__ = ["Snowflake"]
