"""Bulk utilities of SQL Server's sources: rows by them keep to the same settings as rows by the driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from migration_assets.platforms.base import ReadColumn
from migration_assets.resources.sources.bulk_utilities import BulkReader, BulkUtility
from migration_assets.resources.sources.rate_limit import RateLimiter
from migration_assets.resources.sources.sqlserver_columns import NulCounts
from migration_assets.resources.sources.sqlserver_readers import NulCharacters, refuse_nuls, tell_nuls


class SQLServerBulkReader(BulkReader):
    """A reader with a utility that heeds the source's limit of rows and its policy for NUL characters."""

    def __init__(self, utility: BulkUtility, *, nul_characters: NulCharacters, limiter: RateLimiter) -> None:
        """As `BulkReader`."""
        super().__init__(utility)
        self._nul_characters = nul_characters
        self._limiter = limiter

    def read(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        nuls = NulCounts(columns)
        for table in super().read(query, columns):
            nuls.add(table)
            refuse_nuls(nuls, self._nul_characters)
            self._limiter.take(table.num_rows, self._closed)
            yield table
        tell_nuls(nuls, self._utility.name)
