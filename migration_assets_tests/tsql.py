"""The tests' SQL, which is written for PostgreSQL, as T-SQL.

Only what the shared suites use: columns of common types, rows made from numbers, changes of rows and columns. What
can't be said in T-SQL is refused (`UnspokenError`), so that no test runs on something else than it says.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sqlglot import exp, parse

_DIALECT = "tsql"
_READ = "postgres"

TEXT = "NVARCHAR(400)"
"""A text that can be the key of an index."""

_TYPES = {
    exp.DataType.Type.INT: "INT",
    exp.DataType.Type.TEXT: TEXT,
    exp.DataType.Type.VARBINARY: "VARBINARY(400)",
    exp.DataType.Type.BOOLEAN: "BIT",
    exp.DataType.Type.DOUBLE: "FLOAT(53)",
    exp.DataType.Type.FLOAT: "REAL",
    exp.DataType.Type.UUID: "UNIQUEIDENTIFIER",
}
_MOMENTS = {
    exp.DataType.Type.TIMESTAMP: "DATETIME2",
    exp.DataType.Type.TIMESTAMPTZ: "DATETIMEOFFSET",
    exp.DataType.Type.TIME: "TIME",
}
_PREDICATES = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.And, exp.Or, exp.Not, exp.Is, exp.Between, exp.In)
_DIGITS = ", ".join(f"({digit})" for digit in range(10))


class UnspokenError(ValueError):
    """A statement that has no form in T-SQL here: say it with `SourceDatabase.spell`."""


@lru_cache(maxsize=2000)
def from_postgresql(script: str) -> tuple[str, ...]:
    """One or more statements of PostgreSQL's SQL, each as one or more of T-SQL."""
    statements = []
    for statement in parse(script, read=_READ):
        if statement is not None:
            statements += _statements(statement)
    return tuple(statements)


def native_type(name: str) -> str:
    """A type as SQL Server's catalogue spells it, such as `nvarchar(400)` for `text`."""
    return _type(exp.DataType.build(name, dialect=_READ)).lower()


def _statements(statement: exp.Expr) -> list[str]:
    if isinstance(statement, exp.Analyze):
        tables = [table.sql(_DIALECT) for table in statement.find_all(exp.Table)]
        return [f"UPDATE STATISTICS {table}" for table in tables] if tables else ["EXEC sp_updatestats"]
    if isinstance(statement, exp.Alter):
        return _alterations(statement)
    if isinstance(statement, exp.Command):
        raise UnspokenError(statement.sql(_READ))
    if isinstance(statement, exp.Create) and statement.kind == "TABLE" and statement.expression is not None:
        return [_select_into(statement)]
    return [_spelled(statement)]


def _select_into(statement: exp.Create) -> str:
    query = statement.expression
    assert isinstance(query, exp.Select)
    return f"SELECT * INTO {_spelled(statement.this)} FROM ({_spelled(query)}) AS made"


def _alterations(statement: exp.Alter) -> list[str]:
    """One statement for each change; a default is given to the rows that are there, as PostgreSQL does."""
    alter = f"ALTER TABLE {_spelled(statement.this)}"
    found = []
    for action in statement.args["actions"]:
        if isinstance(action, exp.ColumnDef):
            default = action.find(exp.DefaultColumnConstraint)
            found.append(f"{alter} ADD {_spelled(action)}")
            if default is not None:
                found.append(
                    f"UPDATE {_spelled(statement.this)} SET {_spelled(action.this)} = {_spelled(default.this)}"
                )
        elif isinstance(action, exp.Drop):
            (column,) = action.find_all(exp.Identifier)
            found.append(f"{alter} DROP COLUMN {column.sql(_DIALECT)}")
        elif isinstance(action, exp.AlterColumn) and action.args.get("dtype"):
            found.append(f"{alter} ALTER COLUMN {_spelled(action.this)} {_type(action.args['dtype'])}")
        elif isinstance(action, exp.AddConstraint):
            found.append(f"{alter} ADD {_spelled(action.expressions[0])}")
        else:
            raise UnspokenError(statement.sql(_READ))
    return found


def _spelled(tree: exp.Expr) -> str:
    if isinstance(tree, exp.Select):
        tree = tree.copy()
        tree.set("expressions", [_as_value(projection) for projection in tree.expressions])
    else:
        tree = tree.transform(_valued, copy=True)
    return tree.transform(_node, copy=False).sql(_DIALECT)


def _valued(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Select):
        node.set("expressions", [_as_value(projection) for projection in node.expressions])
    return node


def _as_value(projection: exp.Expr) -> exp.Expr:
    """A condition as the value of a column."""
    bare = projection.unalias()
    if not isinstance(bare, _PREDICATES):
        return projection
    value = exp.cast(exp.Case().when(bare.copy(), exp.Literal.number(1)).else_(exp.Literal.number(0)), "boolean")
    return exp.alias_(value, projection.alias) if projection.alias else value


def _node(node: exp.Expr) -> exp.Expr:
    """One node of the tree as T-SQL has it."""
    if isinstance(node, exp.Literal) and node.is_string:
        if re.fullmatch(r"\\x([0-9a-f]{2})*", node.this):
            return exp.var(f"0x{node.this[2:]}")
        # Without the N, what the database's code page hasn't becomes `?`.
        return exp.National(this=node.this)
    if isinstance(node, exp.Interval):
        return node
    if isinstance(node, exp.Ordered) and node.find_ancestor(exp.Index):
        column: exp.Expr = node.this  # The place of NULLs is that of the platform.
        return column
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.MD5) and node.to.is_type("uuid"):
        return exp.cast(_hash(node.this), _named("UNIQUEIDENTIFIER"))
    if isinstance(node, exp.MD5):
        guid = exp.cast(_hash(node), _named("UNIQUEIDENTIFIER"))
        return exp.func("LOWER", exp.func("REPLACE", _raw_cast(guid, "VARCHAR(36)"), _text("-"), _text("")))
    if isinstance(node, exp.DataType):
        return _named(_type(node))
    if isinstance(node, exp.DPipe):
        return exp.Anonymous(this="CONCAT", expressions=[part.transform(_node) for part in _parts(node)])
    if isinstance(node, (exp.Add, exp.Sub)) and (interval := _interval(node.expression)) is not None:
        unit, amount = interval
        amount = exp.Neg(this=exp.paren(amount)) if isinstance(node, exp.Sub) else amount
        return exp.Anonymous(
            this="DATEADD", expressions=[exp.var(unit), amount.transform(_node), node.this.transform(_node)]
        )
    if isinstance(node, exp.Add) and isinstance(node.this, exp.Cast) and node.this.to.is_type("date"):
        days, since = node.expression.transform(_node), node.this.transform(_node)
        return exp.Anonymous(this="DATEADD", expressions=[exp.var("day"), days, since])
    if isinstance(node, exp.Table) and isinstance(node.this, exp.GenerateSeries):
        return _numbers(node)
    if isinstance(node, exp.Collate):
        return exp.Collate(this=node.this.transform(_node), expression=exp.var("Latin1_General_100_BIN2"))
    if isinstance(node, exp.CollateColumnConstraint):
        return exp.CollateColumnConstraint(this=exp.var("Latin1_General_100_BIN2"))
    return node


def _hash(node: exp.MD5) -> exp.Expr:
    return exp.Anonymous(
        this="HASHBYTES", expressions=[_text("MD5"), _raw_cast(node.this.transform(_node), "VARCHAR(400)")]
    )


def _text(value: str) -> exp.Expr:
    return exp.National(this=value)


def _named(kind: str) -> exp.DataType:
    return exp.DataType(this=exp.DataType.Type.USERDEFINED, kind=kind)


def _raw_cast(value: exp.Expr, kind: str) -> exp.Expr:
    return exp.Cast(this=value, to=_named(kind))


def _parts(node: exp.Expr) -> list[exp.Expr]:
    return [*_parts(node.left), *_parts(node.right)] if isinstance(node, exp.DPipe) else [node]


def _interval(node: exp.Expr) -> tuple[str, exp.Expr] | None:
    """Unit and number of an interval, or of a number times an interval of whole units."""
    if isinstance(node, exp.Interval):
        if not re.fullmatch(r"-?\d+", node.this.name):
            raise UnspokenError(node.sql(_READ))
        return node.text("unit").lower().removesuffix("s"), exp.Literal.number(node.this.name)
    if isinstance(node, exp.Mul):
        interval = _interval(node.expression)
        if interval is None:
            return None
        unit, amount = interval
        return unit, node.this if amount.name == "1" else exp.Mul(this=exp.paren(node.this), expression=amount)
    return None


def _numbers(node: exp.Table) -> exp.Expr:
    """The numbers of `generate_series(first, last) n` or `AS s(n)`, from digits: the function is of SQL Server 2022."""
    series, alias = node.this, node.args["alias"]
    first, last = int(series.args["start"].name), int(series.args["end"].name)
    column = alias.columns[0].name if alias.columns else alias.name
    places = len(str(last - first))
    digits = " CROSS JOIN ".join(f"(VALUES {_DIGITS}) AS d{place}(v)" for place in range(places))
    value = " + ".join([str(first), *(f"{10**place} * d{place}.v" for place in range(places))])
    query = f"SELECT n AS {column} FROM (SELECT {value} AS n FROM {digits}) AS made WHERE n <= {last}"
    return exp.var(f"({query}) AS {alias.name}")


def _type(kind: exp.DataType) -> str:
    if kind.args.get("udt") or kind.is_type(exp.DataType.Type.USERDEFINED):
        return kind.sql(_DIALECT)
    if kind.this in _TYPES:
        return _TYPES[kind.this]
    if kind.this in _MOMENTS:
        digits = kind.expressions[0].name if kind.expressions else "6"
        return f"{_MOMENTS[kind.this]}({digits})"
    return kind.sql(_DIALECT)
