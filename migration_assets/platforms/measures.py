"""What the figures of a column are made of, as a platform spells it: counts, lengths, sums."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from migration_assets.platforms.types import ColumnType, Kind

_TEXT_TYPES = ("text", "character varying", "varchar", "bpchar", "char", "nvarchar", "nchar")
_PADDED_TYPES = ("bpchar",)
_INTEGER_TYPES = ("tinyint", "smallint", "integer", "int", "bigint")
_NUMBER_TYPES = (*_INTEGER_TYPES, "numeric", "decimal", "real", "float", "double precision")


class Measures:
    """The figures of most systems; those that differ have a class of their own.

    Attributes:
        dialect: of all SQL.
        sums_any_digits: whether decimal sums have as many digits as they need, where others have 38.
    """

    def __init__(self, dialect: str, *, sums_any_digits: bool = False) -> None:
        self.dialect = dialect
        self.sums_any_digits = sums_any_digits

    def count(self, value: exp.Expr) -> exp.Expr:
        """The number of values that are not NULL."""
        return exp.Count(this=value.copy(), big_int=True)

    def distinct(self, value: exp.Expr, column_type: ColumnType) -> exp.Expr:
        """The number of different values."""
        return exp.Count(this=exp.Distinct(expressions=[value.copy()]), big_int=True)

    def length(self, value: exp.Expr) -> exp.Expr:
        """The characters of a text, blanks at its end included."""
        return exp.Anonymous(this="LENGTH", expressions=[value.copy()])

    def size(self, value: exp.Expr) -> exp.Expr:
        """The number of bytes."""
        return exp.Anonymous(this="OCTET_LENGTH", expressions=[value.copy()])

    def addend(self, value: exp.Expr, column_type: ColumnType) -> exp.Expr:
        """A number in a type whose sum holds it."""
        return value.copy()

    def cut(self, value: exp.Expr, places: int) -> exp.Expr:
        """A decimal without the digits after some places."""
        return exp.Anonymous(this="TRUNC", expressions=[value.copy(), exp.Literal.number(places)])

    def number(self, condition: exp.Expr) -> exp.Expr:
        """1 for true, 0 for false and NULL for NULL."""
        numbers = exp.Literal.number(1), exp.Literal.number(0)
        return exp.Case().when(condition.copy(), numbers[0]).when(exp.not_(condition.copy()), numbers[1])

    def measurable(self, expression: str, column_type: ColumnType, base_type: str) -> str:
        """SQL of a source's value in a type that has lengths and sums.

        What is read of a source is a value's text: an enum, an address or a number under a check of its digits has the
        text that is wanted, but not yet the type.

        Args:
            expression: SQL of the value, as a `ColumnMapping` has it.
            column_type: the type that the value has after reading.
            base_type: the source's bare type of the column.
        """
        value = sqlglot.parse_one(expression, dialect=self.dialect)
        # CONCAT writes a value as it is extracted, where a cast may add to it (PostgreSQL: the mask of an inet).
        as_text = exp.Concat(expressions=[value.copy(), exp.Literal.string("")], safe=True, coalesce=True)
        kind = column_type.kind
        if kind is Kind.TEXT and base_type in _PADDED_TYPES and isinstance(value, exp.Cast):
            # The length of a padded value is that without its padding; the cast would cost five times as much.
            value = value.this
        elif kind is Kind.TEXT and base_type not in _TEXT_TYPES:
            value = exp.Case().when(value.is_(exp.null()).not_(), as_text)
        elif kind is Kind.INTEGER and isinstance(value, exp.Column) and base_type not in _INTEGER_TYPES:
            value = exp.Case().when(value.is_(exp.null()).not_(), exp.cast(as_text, exp.DataType.Type.BIGINT))
        elif kind is Kind.DECIMAL and not isinstance(value, exp.Column):
            exact = exp.DataType.build(f"DECIMAL({column_type.precision}, {column_type.scale})")
            value = exp.cast(value, exact)
        return value.sql(dialect=self.dialect)

    def is_measurable(self, column_type: ColumnType, base_type: str) -> bool:
        """Whether a source's column has lengths and sums as it is, so that its plain name will do."""
        if column_type.kind is Kind.TEXT:
            return base_type in _TEXT_TYPES
        if column_type.is_numeric:
            return base_type in _NUMBER_TYPES
        return True
