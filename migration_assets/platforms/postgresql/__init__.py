"""PostgreSQL: its catalogue, its types, its partitions, and how its rows are extracted."""

from migration_assets.platforms.postgresql.extraction import (
    SESSION_SETTINGS,
    changed_since,
    count_query,
    extraction_query,
    location_mark,
)
from migration_assets.platforms.postgresql.platform import PostgreSQL
from migration_assets.platforms.postgresql.types import explain_bad_value

__all__ = [
    "SESSION_SETTINGS",
    "PostgreSQL",
    "changed_since",
    "count_query",
    "explain_bad_value",
    "extraction_query",
    "location_mark",
]
