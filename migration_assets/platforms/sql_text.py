"""Pieces of SQL that are the same in every dialect: filters and templates."""

from __future__ import annotations

from collections.abc import Iterable


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
