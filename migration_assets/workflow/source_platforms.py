"""The platforms of the formats, and the little that reading a workflow must know of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

SourcePlatform = Literal["sqlserver", "postgresql", "redshift", "teradata"]

SOURCE_PLATFORMS: tuple[SourcePlatform, ...] = get_args(SourcePlatform)


@dataclass(frozen=True)
class Syntax:
    """How a platform reads SQL.

    Args:
        dialect: The platform's name in sqlglot.
        has_boolean: Whether a column, TRUE or a function can be a condition by itself.
        fold: What happens to the case of an unquoted name.
        quotes_keep_case: Whether two quoted names that differ in case are two names.
    """

    dialect: str
    has_boolean: bool
    fold: Callable[[str], str]
    quotes_keep_case: bool


SYNTAX: dict[SourcePlatform, Syntax] = {
    "sqlserver": Syntax("tsql", has_boolean=False, fold=str.casefold, quotes_keep_case=False),
    "postgresql": Syntax("postgres", has_boolean=True, fold=str.lower, quotes_keep_case=True),
    # Redshift folds quoted names too, unless a session asks it not to.
    "redshift": Syntax("redshift", has_boolean=True, fold=str.lower, quotes_keep_case=False),
    "teradata": Syntax("teradata", has_boolean=False, fold=str.casefold, quotes_keep_case=False),
}

BulkUtilityName = Literal["bcp", "none"]
"""Programs that a table's `extraction.bulkUtility` may name, and the word for none of them."""

NO_BULK_UTILITY = "none"

BULK_UTILITIES: dict[str, SourcePlatform] = {"bcp": "sqlserver"}
"""Whose they are."""

# The dialect that the formats are written for, whatever warehouse a deployment has.
TARGET_SYNTAX = Syntax("snowflake", has_boolean=True, fold=str.upper, quotes_keep_case=True)

# Validation workflows come from tools that spell the platforms in several ways.
SPELLINGS: dict[str, SourcePlatform] = {
    **{platform: platform for platform in SOURCE_PLATFORMS},
    "sql server": "sqlserver",
    "sql_server": "sqlserver",
    "mssql": "sqlserver",
    "postgres": "postgresql",
}


def spelled_platform(written: object) -> SourcePlatform | None:
    """The platform that is meant by one of its spellings, in any case; None when none is."""
    return SPELLINGS.get(written.lower()) if isinstance(written, str) else None
