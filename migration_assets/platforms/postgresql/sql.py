"""Pieces of PostgreSQL's SQL: identifiers and literals rendered by sqlglot."""

from __future__ import annotations

from sqlglot import exp

from migration_assets.platforms.base import TableName
from migration_assets.platforms.sql_text import all_of, fill, parenthesized, where_clause

__all__ = [
    "DIALECT",
    "all_of",
    "fill",
    "fold",
    "literal",
    "parenthesized",
    "quote",
    "relation",
    "typed_literal",
    "where_clause",
]

DIALECT = "postgres"
MAX_IDENTIFIER_BYTES = 63


def fold(identifier: str) -> str:
    """The catalogue's spelling of an unquoted identifier.

    In a UTF-8 database PostgreSQL lowers ASCII letters only, and cuts the name after 63 bytes at a
    character's end (`downcase_truncate_identifier` in its scansup.c).
    """
    lowered = "".join(letter.lower() if letter.isascii() else letter for letter in identifier)
    return lowered.encode()[:MAX_IDENTIFIER_BYTES].decode(errors="ignore")


def quote(identifier: str) -> str:
    """The identifier in quotes."""
    return exp.to_identifier(identifier, quoted=True).sql(DIALECT)


def literal(text: str) -> str:
    """A string literal."""
    return exp.Literal.string(text).sql(DIALECT)


def typed_literal(text: str, type_name: str) -> str:
    """A value as its type's output function wrote it; `type_name` as `format_type` spells it."""
    return f"{literal(text)}::{type_name}"


def relation(name: TableName) -> str:
    """The quoted name without the database: a connection sees only its own."""
    return name.to_expression(with_database=False).sql(DIALECT)
