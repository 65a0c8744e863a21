"""Pieces of PostgreSQL's SQL: identifiers and literals rendered by sqlglot, filters, templates."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from migration_assets.platforms.base import TableName

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


def parenthesized(condition: str) -> str:
    """The condition in parentheses; a line comment at its end can't swallow the closing one."""
    return f"({condition}\n)" if "--" in condition else f"({condition})"


def all_of(conditions: Iterable[str | None]) -> str | None:
    """The conjunction of the conditions, each in parentheses; None when there are none."""
    given = [parenthesized(condition) for condition in conditions if condition is not None]
    return " AND ".join(given) if given else None


def where_clause(*conditions: str | None) -> str:
    """` WHERE …` with the conjunction of the conditions, or nothing."""
    condition = all_of(conditions)
    return f" WHERE {condition}" if condition is not None else ""


def fill(template: str, **parts: object) -> str:
    """A statement from a template with places such as `{relation}`.

    The parts are SQL that is rendered already (`quote`, `literal`, `relation`, …) or numbers: never text from
    outside as it came. Braces in the parts stay what they are.
    """
    return template.format_map(parts)
