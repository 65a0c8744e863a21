"""Bulk utilities by name: programs of the database's maker that write rows to files.

Another one is a class in a module of its own, a name in `choice.BULK_UTILITIES`, and one among
`workflow.source_platforms.BULK_UTILITIES`.
"""

from migration_assets.resources.sources.bulk_utilities.base import BulkUtility
from migration_assets.resources.sources.bulk_utilities.choice import (
    BULK_UTILITIES,
    BulkSettings,
    options_from_environment,
)
from migration_assets.resources.sources.bulk_utilities.reader import BulkReader

__all__ = ["BULK_UTILITIES", "BulkReader", "BulkSettings", "BulkUtility", "options_from_environment"]
