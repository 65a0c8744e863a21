"""Texts of errors that more than one platform needs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from migration_assets.platforms.base import SourceTable


def unknown_columns(table: SourceTable, missing: Sequence[str]) -> str:
    """That the columns are not in the table, and which of its columns are spelled alike."""
    by_lower = {column.name.lower(): column.name for column in table.columns}
    close = {
        by_lower[match]: None
        for name in missing
        for match in difflib.get_close_matches(name.lower(), by_lower, n=2, cutoff=0.6)
    }
    names = ", ".join(repr(name) for name in missing)
    suggestion = f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    known = ", ".join(column.name for column in table.columns[:20])
    return f"{table.name} has no column {names}.{suggestion or f' It has: {known}.'}"
