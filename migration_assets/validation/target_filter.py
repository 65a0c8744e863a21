"""The user's condition on the target: written in Snowflake's SQL, asked in that of the deployment's warehouse."""

from __future__ import annotations

from difflib import get_close_matches

from sqlglot import exp, parse_one

from migration_assets.platforms.base import PlatformError, TargetPlatform
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.resources.warehouses.base import TargetTable


def target_condition(clause: str, target: TargetTable, platform: TargetPlatform) -> exp.Expr:
    """A condition whose names are exact and quoted, to be rendered in the target's dialect.

    Names without quotes are folded as the target does, and those of columns are the catalogue's, whatever their case
    is: the file is written for Snowflake, whose names another warehouse may keep in another case.

    Raises:
        PlatformError: the condition names a column that the target doesn't have.
    """
    condition = parse_one(clause, dialect=Snowflake.dialect, into=exp.Condition)
    columns = [column.name for column in target.columns]
    # Inside a query the names are those of its own tables, or ours.
    ours = {id(column.this) for column in condition.walk(prune=_is_query) if isinstance(column, exp.Column)}
    for identifier in list(condition.find_all(exp.Identifier)):
        name = identifier.name
        if not identifier.quoted:
            name = platform.fold(name)
            if isinstance(identifier.parent, exp.Column) and identifier.arg_key == "this":
                name = _column(name, columns) or name
        if id(identifier) in ours and not any(platform.same_name(name, other) for other in columns):
            by_lower = {other.lower(): other for other in columns}
            near = [by_lower[other] for other in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
            cure = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(columns)}"
            raise PlatformError(f"target_where_clause: the target has no column {identifier.name}; {cure}")
        identifier.set("this", name)
        identifier.set("quoted", True)
    return condition


def _column(name: str, columns: list[str]) -> str | None:
    """The catalogue's name of a column that was written without quotes."""
    if name in columns:
        return name
    alike = [other for other in columns if other.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _is_query(node: exp.Expr) -> bool:
    return isinstance(node, exp.Query)
