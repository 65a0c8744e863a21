"""Texts of errors that more than one platform needs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from migration_assets.platforms.base import SourceColumn, SourceTable


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


def lookback_problem(
    column: SourceColumn, lookback: timedelta | Decimal, *, is_time: bool, is_number: bool
) -> str | None:
    """Why a watermark can't have a lookback, and the cure; None when it can.

    Args:
        is_time: a duration can be subtracted from the column's type.
        is_number: a number can.
    """
    if not is_time and not is_number:
        return (
            f"The watermark {column.name!r} can't have a lookback: nothing can be subtracted from its type "
            f"{column.native_type}. Leave the lookback out, or choose a number or a timestamp."
        )
    if is_time and not isinstance(lookback, timedelta):
        return (
            f"The lookback of {column.name!r} is a number, and its type {column.native_type} needs a duration: "
            f"write one, such as '2 hours'."
        )
    if is_number and not isinstance(lookback, Decimal):
        return (
            f"The lookback of {column.name!r} is a duration, and its type {column.native_type} needs a number: "
            f"write by how much the watermark goes back."
        )
    usable = lookback >= timedelta(0) if isinstance(lookback, timedelta) else lookback.is_finite() and lookback >= 0
    return None if usable else f"The lookback of {column.name!r} is {lookback}, and must not be below zero."
