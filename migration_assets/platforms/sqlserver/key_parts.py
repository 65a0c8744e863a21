"""The columns of a key: what is compared of each, and how its values become bounds that read back as they are.

A key is compared as its column is, in the column's own order and collation, or as the value that is staged, in an
order that targets have too: a uniqueidentifier by its text, a text by the bytes of its UTF-8. Those are compared as
bytes, not as text: SQL Server holds 'a' and 'a ' for equal in every collation. Bytes are filled up with zeros when they
are compared, which only texts with a NUL at their end would show, and such a text is no bound.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from migration_assets.platforms.base import KeyColumn, PlatformError, QueryRunner, SourceColumn, TableName
from migration_assets.platforms.key_ranges import check_alike, decimal_form
from migration_assets.platforms.sqlserver import sql, values
from migration_assets.platforms.sqlserver.types import PADDED
from migration_assets.platforms.types import MAX_DECIMAL_PRECISION, MICROSECONDS, ColumnType, Kind

UTF8_COLLATION = "Latin1_General_100_BIN2_UTF8"

_LONGEST_BYTES = 8000
_LONGEST_UNITS = 4000
_UUID = "LOWER(CONVERT(char(36), {value})) COLLATE Latin1_General_BIN2"
_UTF8 = f"CAST(CAST({{text}} COLLATE {UTF8_COLLATION} AS varchar({{length}})) AS varbinary({{length}}))"

# A collation that the server doesn't know has no code page.
_HAS_UTF8 = f"SELECT CAST(COLLATIONPROPERTY(N'{UTF8_COLLATION}', 'CodePage') AS int) AS code_page"
_UTF8_CODE_PAGE = 65001

_CLOCK = r"([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,7})?"
_DAY = r"\d{4}-\d\d-\d\d"
_FORMS = {
    Kind.INTEGER: r"-?\d{1,19}",
    Kind.DATE: _DAY,
    Kind.TIME: _CLOCK,
    Kind.TIMESTAMP: f"{_DAY} {_CLOCK}",
    Kind.TIMESTAMP_TZ: rf"{_DAY} {_CLOCK}\+00",
    Kind.UUID: r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    Kind.TEXT: values.ANY_TEXT,
}
_TYPES = {
    Kind.INTEGER: SourceColumn(
        "", "decimal(38,0)", "decimal", nullable=True, type_arguments=(MAX_DECIMAL_PRECISION, 0)
    ),
    Kind.DATE: SourceColumn("", "date", "date", nullable=True),
    Kind.TIME: SourceColumn("", "time(7)", "time", nullable=True, type_arguments=(7,)),
    Kind.TIMESTAMP: SourceColumn("", "datetime2(7)", "datetime2", nullable=True, type_arguments=(7,)),
    Kind.TIMESTAMP_TZ: SourceColumn("", "datetimeoffset(7)", "datetimeoffset", nullable=True, type_arguments=(7,)),
}
"""What values are compared as that are not staged as the column has them."""

_FAMILIES = {
    Kind.INTEGER: ("bit", *values.WHOLE_NUMBERS, *values.DECIMALS),
    Kind.DECIMAL: (*values.WHOLE_NUMBERS, *values.DECIMALS, *values.MONEY),
    Kind.DATE: ("date",),
    Kind.TIME: ("time",),
    Kind.TIMESTAMP: values.DATE_TIMES,
    Kind.TIMESTAMP_TZ: ("datetimeoffset",),
}
"""Types whose columns have the order of the staged values, and their digits, where all of them are staged."""

_TIMES = (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)


@dataclass(frozen=True)
class KeyPart:
    """A column of a key.

    Attributes:
        expression: SQL that is compared, over the table.
        type: the type of what is compared, as a column of it.
        form: what a text must look like to be a bound, beside being a text of the type.
        is_column: an index of the column has the order of the expression.
    """

    column: SourceColumn
    expression: str
    type: SourceColumn
    form: str | None = None
    is_column: bool = True

    def text(self, value: str) -> str:
        """SQL of what `read` makes a bound's text of."""
        if self.type.base_type in values.BYTES:
            return f"CAST({value} AS varbinary({values.LONGEST_TEXT // 2 + 1}))"
        return values.text_of(self.type, value)

    def read(self, found: object) -> str:
        """A bound's text."""
        return f"0x{found.hex().upper()}" if isinstance(found, bytes) else str(found)

    def literal(self, text: str) -> str:
        """A bound as SQL."""
        return values.literal(self.type, text)

    def is_bound(self, text: str) -> bool:
        """Whether a text can be a bound."""
        return values.is_exact(self.type, text) and (
            self.form is None or re.fullmatch(self.form, text, re.ASCII) is not None
        )


@dataclass(frozen=True)
class TextPart(KeyPart):
    """A staged text as the bytes of its UTF-8."""

    def text(self, value: str) -> str:
        return value

    def read(self, found: object) -> str:
        assert isinstance(found, bytes)
        return found.decode(errors="surrogateescape")

    def literal(self, text: str) -> str:
        return f"0x{text.encode().hex().upper()}"

    def is_bound(self, text: str) -> bool:
        return self.form is None or re.fullmatch(self.form, text) is not None


@dataclass(frozen=True)
class UUIDPart(KeyPart):
    """A staged UUID by its text: SQL Server's own order begins with the last six bytes."""

    def text(self, value: str) -> str:
        return value

    def literal(self, text: str) -> str:
        return f"CAST({sql.literal(text)} AS char(36))"

    def is_bound(self, text: str) -> bool:
        return self.form is None or re.fullmatch(self.form, text) is not None


def column_part(table: TableName, column: SourceColumn) -> KeyPart:
    """The column as it is, in the order of its own type and collation.

    Raises:
        PlatformError: its type has no literals.
    """
    if not values.has_literals(column.base_type):
        raise PlatformError(
            f"{table} can't be partitioned by {column.name!r}: values of its type {column.native_type} can't be "
            "written in a condition. Choose another key column."
        )
    return KeyPart(column, sql.quote(column.name), column)


def value_part(key: KeyColumn) -> KeyPart:
    """The staged value, in the order that it has everywhere; see `SourcePlatform.partition_by_value`."""
    source, kind = key.source, key.type.kind
    form = decimal_form(key.type) if kind is Kind.DECIMAL else _FORMS[kind]
    if kind is Kind.TEXT:
        padded = source.base_type in PADDED and key.expression == sql.quote(source.name)
        text = f"RTRIM({key.expression})" if padded else key.expression
        text = _in_unicode(text, source) if key.expression == sql.quote(source.name) else text
        expression = sql.fill(_UTF8, text=text, length=_utf8_length(source, key.expression))
        return TextPart(source, expression, source, form, is_column=False)
    if kind is Kind.UUID:
        return UUIDPart(source, sql.fill(_UUID, value=key.expression), source, form, is_column=False)
    if _is_the_column(key):
        return KeyPart(source, sql.quote(source.name), source, form)
    compared = _TYPES.get(kind) or _decimal(key.type)
    expression = f"CAST({key.expression} AS {values.native_type(compared)})"
    return KeyPart(source, expression, compared, form, is_column=False)


def value_parts(table: TableName, keys: Sequence[KeyColumn]) -> tuple[KeyPart, ...]:
    """The parts of a key whose order is the same everywhere.

    Raises:
        PlatformError: there is none, or it has a column of another order.
    """
    check_alike(table, keys)
    return tuple(value_part(key) for key in keys)


def alike_keys(run: QueryRunner, keys: Sequence[KeyColumn]) -> tuple[KeyColumn, ...]:
    """The longest leading part of a key whose order is the same everywhere.

    Text needs a server that can turn it into UTF-8 (SQL Server 2019): UTF-16 has another order, because the
    characters beyond its first plane come before the last ones of that plane. Types that have no order in SQL Server
    (text, XML, …) are none of a key.
    """
    has_utf8 = any(key.type.kind is Kind.TEXT for key in keys) and (
        str(run(_HAS_UTF8)[0]["code_page"]) == str(_UTF8_CODE_PAGE)
    )
    return tuple(itertools.takewhile(lambda key: _is_alike(key, has_utf8=has_utf8), keys))


def _is_alike(key: KeyColumn, *, has_utf8: bool) -> bool:
    source, is_mapped = key.source, key.expression != sql.quote(key.source.name)
    if not key.is_alike or not source.orderable or not values.has_literals(source.base_type):
        return False
    match key.type.kind:
        case Kind.TEXT:
            return has_utf8 and (is_mapped or source.base_type in values.TEXTS)
        case Kind.UUID:
            return source.base_type == "uniqueidentifier"
        case _:
            return _is_the_column(key) or is_mapped


def _is_the_column(key: KeyColumn) -> bool:
    """Whether the staged values are those of the column, whatever type they are cast to on their way."""
    source, wanted = key.source, key.type
    if source.base_type not in _FAMILIES.get(wanted.kind, ()):
        return False
    if wanted.kind in _TIMES:
        staged = MICROSECONDS if wanted.precision is None else wanted.precision
        return staged >= values.fraction_digits(source)
    if source.base_type in values.MONEY:
        return (wanted.scale or 0) >= 4
    if source.base_type in values.DECIMALS:
        return (wanted.scale or 0) >= (*source.type_arguments, 0, 0)[1]
    return True


def _in_unicode(text: str, source: SourceColumn) -> str:
    """A text of a code page as UTF-16: COLLATE keeps the declared bytes, and cuts what has more of them in UTF-8."""
    if source.base_type not in values.ONE_BYTE_TEXTS:
        return text
    (length,) = source.type_arguments or (0,)
    return f"CAST({text} AS nvarchar({length if 0 < length <= _LONGEST_UNITS else 'max'}))"


def _utf8_length(source: SourceColumn, expression: str) -> str:
    """The most bytes of the UTF-8: a unit of UTF-16, or of a code page, has three at most."""
    if expression == sql.quote(source.name) and source.type_arguments:
        length = 3 * source.type_arguments[0]
        if length <= _LONGEST_BYTES:
            return str(length)
    return "max"


def _decimal(column_type: ColumnType) -> SourceColumn:
    scale = column_type.scale or 0
    return SourceColumn("", "decimal", "decimal", nullable=True, type_arguments=(MAX_DECIMAL_PRECISION, scale))
