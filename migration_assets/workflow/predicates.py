"""A filter of a table: one boolean expression in the SQL of its platform, or a reason why not.

The text goes into a query between parentheses, as the user wrote it. So it must be whole in itself: nothing
in it may end the expression, start another statement, or hide the closing parenthesis in a comment.
"""

from __future__ import annotations

from sqlglot import exp, parse_one
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.tokenizer_core import Token, TokenType

from migration_assets.workflow.errors import echo
from migration_assets.workflow.source_platforms import SYNTAX, SourcePlatform, Syntax

# Full-text predicates that look like functions, in a system where no function is a condition.
_SQLSERVER_PREDICATE_FUNCTIONS = frozenset({"CONTAINS", "FREETEXT"})

# Aggregates that sqlglot reads as functions it doesn't know.
_OTHER_AGGREGATES = frozenset(
    {
        *(
            "BIT_AND",
            "BIT_OR",
            "BIT_XOR",
            "CHECKSUM_AGG",
            "COUNT_BIG",
            "EVERY",
            "JSON_AGG",
            "JSON_OBJECT_AGG",
        ),
        *("JSONB_AGG", "JSONB_OBJECT_AGG", "RANGE_AGG", "STDEV", "STDEVP", "VARP", "XMLAGG"),
    }
)

# Operators that give a value. A list of those that give a truth value would never be complete: PostgreSQL has
# many, sqlglot doesn't class them all as predicates, and users define more.
_VALUE_OPERATORS = (
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Pow, exp.DPipe, exp.Collate),
    *(exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseLeftShift, exp.BitwiseRightShift),
    *(exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar),
)

# What people write after a WHERE clause.
_CLAUSES = frozenset(
    {
        *("EXCEPT", "FETCH", "FOR", "FROM", "GROUP", "HAVING", "INTERSECT", "LIMIT", "MINUS", "OFFSET"),
        *("OPTION", "ORDER", "QUALIFY", "SAMPLE", "UNION", "WINDOW"),
    }
)

_CONDITION_CURE = "Write one condition, such as is_deleted = 0; to join several, use AND, OR and parentheses."


class PredicateError(ValueError):
    """A text that isn't one boolean expression; `message` and `cure` continue a JSON path."""

    def __init__(self, message: str, cure: str = _CONDITION_CURE) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure


def check_predicate(text: str, source_platform: SourcePlatform) -> None:
    """Refuse a text that isn't exactly one boolean expression of the platform's SQL.

    Raises:
        PredicateError: With the first reason found.
    """
    check_condition(text, SYNTAX[source_platform])


def check_condition(text: str, syntax: Syntax) -> None:
    """The same for any syntax, such as the target's.

    Raises:
        PredicateError: With the first reason found.
    """
    try:
        _check_tokens(text, syntax.dialect)
        expression = parse_one(text, dialect=syntax.dialect, into=exp.Condition)
        _check_contents(expression)
        _check_boolean(expression, syntax)
    except ParseError as error:
        raise _unparsed(error) from error
    except SqlglotError as error:
        raise PredicateError(
            f"can't be read as SQL: {echo(text)}", "Close every string, quoted name and bracket."
        ) from error
    except RecursionError as error:
        raise PredicateError("is nested too deeply", "Write the condition with fewer levels.") from error


def _check_tokens(text: str, dialect: str) -> None:
    tokens = Dialect.get_or_raise(dialect).tokenize(text)
    if _has_comment(text, tokens):
        raise PredicateError("holds a comment", "Leave it out: it could hide a parenthesis.")
    if not tokens:
        raise PredicateError("is empty", "Write a condition, or leave the key out to take all rows.")
    if any(token.token_type is TokenType.SEMICOLON for token in tokens):
        raise PredicateError("holds a semicolon", "Leave it out: the condition is part of a larger query.")
    _check_balance(tokens)
    first = text[tokens[0].start : tokens[0].end + 1].upper()  # with its quotes, if it is a name
    if first == "WHERE":
        raise PredicateError("starts with WHERE", "Leave out the word WHERE and keep the condition.")
    if first in ("SELECT", "WITH"):
        raise PredicateError("is a query, not a condition")


def _has_comment(text: str, tokens: list[Token]) -> bool:
    # Blank out what the tokenizer took for strings, names and operators: comments are what remains.
    remaining = list(text)
    for token in tokens:
        if token.token_type is not TokenType.HINT:
            remaining[token.start : token.end + 1] = " " * (token.end + 1 - token.start)
    rest = "".join(remaining)
    return any(opening in rest for opening in ("--", "/*", "//"))


def _check_balance(tokens: list[Token]) -> None:
    depth = 0
    for token in tokens:
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth < 0:
            raise PredicateError("closes a parenthesis that it didn't open", "Balance the parentheses.")
    if depth:
        raise PredicateError("leaves a parenthesis open", "Balance the parentheses.")


def _check_contents(expression: exp.Expr) -> None:
    # Aggregates inside a subquery are its own affair.
    for node in expression.walk(prune=lambda node: isinstance(node, exp.Query)):
        if isinstance(node, exp.Window):
            raise PredicateError("holds a window function", "A filter can't use one: rows are chosen one by one.")
        if isinstance(node, (exp.AggFunc, exp.Filter, exp.WithinGroup)) or (
            isinstance(node, exp.Anonymous) and node.name.upper() in _OTHER_AGGREGATES
        ):
            raise PredicateError(
                "holds an aggregate function",
                "A filter can't use one outside a subquery: rows are chosen one by one.",
            )
        if isinstance(node, (exp.Placeholder, exp.Parameter)):
            raise PredicateError(
                f"holds a parameter: {echo(node.sql())}",
                "Write the value itself; nothing fills in parameters.",
            )


def _check_boolean(expression: exp.Expr, syntax: Syntax) -> None:
    pending: list[exp.Expr] = [expression]
    while pending:
        node = pending.pop()
        if isinstance(node, (exp.Paren, exp.Not)):
            pending.append(node.this)
        elif isinstance(node, exp.Connector):
            pending += [node.left, node.right]
        elif isinstance(node, exp.Query):
            raise PredicateError("is a query, not a condition", "Use EXISTS (...) or IN (...) around a query.")
        elif not _is_condition(node, syntax):
            raise PredicateError(f"is not a condition: {echo(node.sql(syntax.dialect))}")


def _is_condition(node: exp.Expr, syntax: Syntax) -> bool:
    if isinstance(node, exp.Predicate):
        return True
    if syntax.dialect == "tsql":
        return isinstance(node, exp.Func) and _function_name(node) in _SQLSERVER_PREDICATE_FUNCTIONS
    return syntax.has_boolean and _may_be_boolean(node, syntax.dialect)


def _function_name(node: exp.Func) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).upper()


def _may_be_boolean(node: exp.Expr, dialect: str) -> bool:
    if isinstance(node, _VALUE_OPERATORS):
        return False
    if isinstance(node, (exp.Binary, exp.Boolean, exp.Column, exp.Bracket)):
        return True
    if not isinstance(node, exp.Func):
        return False
    kind = annotate_types(node.copy(), dialect=dialect).type
    return kind is None or kind.is_type(exp.DataType.Type.BOOLEAN, exp.DataType.Type.UNKNOWN)


def _unparsed(error: ParseError) -> PredicateError:
    details = error.errors[0] if error.errors else {}
    near = str(details.get("highlight") or "")
    if near.upper().split(" ")[0] in _CLAUSES:
        return PredicateError(f"goes on with {near.upper()} after the condition", "Leave out what follows it.")
    if near.upper() == "AS":
        return PredicateError("gives the condition a name with AS", "Leave out AS and the name.")
    if near:
        return PredicateError(f"is not one boolean expression: can't go on at {echo(near)}")
    return PredicateError("is not one boolean expression")
