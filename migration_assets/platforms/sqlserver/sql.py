"""Pieces of SQL Server's SQL: identifiers in brackets, texts as Unicode literals."""

from __future__ import annotations

import re

from sqlglot import exp

from migration_assets.platforms.base import TableName
from migration_assets.platforms.sql_text import all_of, fill, parenthesized, where_clause

__all__ = ["DEEPEST_CASE", "DIALECT", "all_of", "fill", "literal", "parenthesized", "quote", "relation", "where_clause"]

DIALECT = "tsql"

DEEPEST_CASE = 8
"""CASE within CASE: SQL Server takes ten; some are left for what stands around and within."""

_CONTINUED = re.compile(r"(?<=\\)(?=\r?\n)")


def quote(identifier: str) -> str:
    """The identifier in brackets."""
    return exp.to_identifier(identifier, quoted=True).sql(DIALECT)


def literal(text: str) -> str:
    """A string literal of nvarchar: without the N, characters outside of the database's code page become `?`.

    A backslash at the end of a line would join it with the next one, so such a text is put together of two literals.
    """
    lines = _CONTINUED.split(text)
    literals = [exp.National(this=line).sql(DIALECT) for line in lines]
    return f"({' + '.join(literals)})" if len(literals) > 1 else literals[0]


def relation(name: TableName) -> str:
    """The quoted name without the database, which the connection is in."""
    return name.to_expression(with_database=False).sql(DIALECT)
