"""The user's condition on the target: written in Snowflake's SQL, asked in that of the deployment's warehouse."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches

from sqlglot import ErrorLevel, exp, parse_one
from sqlglot.errors import SqlglotError

from migration_assets.platforms.base import PlatformError, TargetPlatform
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.resources.warehouses.base import TargetTable

_CURE = "write it in a form that both have, or use a deployment on Snowflake"


def target_condition(clause: str, target: TargetTable, platform: TargetPlatform) -> exp.Expr:
    """A condition whose names are exact and quoted, to be rendered in the target's dialect.

    Names without quotes are folded as the target does, and those of columns are the catalogue's, whatever their case
    is: the file is written for Snowflake, whose names another warehouse may keep in another case.

    Raises:
        PlatformError: the condition names a column that the target doesn't have, has a query of its own, or can't be
            said in the target's dialect.
    """
    condition = parse_one(clause, dialect=Snowflake.dialect, into=exp.Condition)
    if condition.find(exp.Query) is not None:
        raise PlatformError(
            "target_where_clause: a query in it would read tables in another state than the one that is validated; "
            "compare columns of the target with constants instead"
        )
    columns = [column.name for column in target.columns]
    ours = {id(column.this) for column in condition.find_all(exp.Column)}
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
    _require_exact(condition, platform)
    return condition


def _column(name: str, columns: list[str]) -> str | None:
    """The catalogue's name of a column that was written without quotes."""
    if name in columns:
        return name
    alike = [other for other in columns if other.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _require_exact(condition: exp.Expr, platform: TargetPlatform) -> None:
    """Refuses what sqlglot can't translate: it writes something else instead, which would choose other rows."""
    if platform.dialect != Snowflake.dialect:
        for node in condition.walk():
            if isinstance(node, (exp.JSONExtract, exp.JSONExtractScalar, exp.Bracket)):
                # Where a VARIANT is a value, other systems have the JSON text of it, with quotes.
                raise PlatformError(f"target_where_clause: the path {_written(node)} has another value there; {_CURE}")
            if isinstance(node, exp.Anonymous):
                raise PlatformError(
                    f"target_where_clause: what {node.name.upper()} is in {platform.dialect} is not known; {_CURE}"
                )
    try:
        rendered = condition.sql(platform.dialect, unsupported_level=ErrorLevel.RAISE)
        found = parse_one(rendered, dialect=platform.dialect, into=exp.Condition)
    except SqlglotError as error:
        raise PlatformError(
            f"target_where_clause: {_written(condition)} can't be said in {platform.dialect}: {error}; {_CURE}"
        ) from error
    lost = [*(_leaves(condition) - _leaves(found))]
    if platform.dialect == Snowflake.dialect:
        lost += sorted(kind.__name__ for kind in _kinds(condition) - _kinds(found))
    if lost:
        raise PlatformError(
            f"target_where_clause: {_written(condition)} would become {rendered} in {platform.dialect}, without "
            f"{', '.join(lost)}; {_CURE}"
        )


def _leaves(condition: exp.Expr) -> Counter[str]:
    """The columns and literals: a translation may repeat them, but not drop one."""
    return Counter(node.name for node in condition.find_all(exp.Column, exp.Literal))


def _kinds(condition: exp.Expr) -> set[type[exp.Expr]]:
    return {type(node) for node in condition.walk()}


def _written(node: exp.Expr) -> str:
    return node.sql(Snowflake.dialect)
