"""The columns of a key: what is compared of each, and how its values become bounds that read back as they are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from migration_assets.platforms.base import KeyColumn, QueryRunner, SourceColumn, TableName
from migration_assets.platforms.key_ranges import check_alike, decimal_form
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.postgresql.types import binary_expression
from migration_assets.platforms.types import Kind

_OUTPUT = "format('%s', {value})"
"""By the type's output function: text that reads back as the same value."""

_WHOLE = "format('%s', CASE WHEN {value} = trunc({value}) THEN trunc({value}) ELSE {value} END)"
_WALL_TIME = "format('%s', {value} AT TIME ZONE 'UTC')"
_BYTES = '{text} COLLATE "C"'
# As it is extracted: a cast to text would add to some values (the mask of an inet) and write others in another way.
_AS_TEXT = "(CASE WHEN {value} IS NOT NULL THEN concat({value}, '') END)"

_TIMESTAMP = "timestamp without time zone"
_TIMESTAMP_TZ = "timestamp with time zone"
_TYPES = {
    Kind.INTEGER: "numeric",
    Kind.DECIMAL: "numeric",
    Kind.DATE: "date",
    Kind.TIME: "time without time zone",
    Kind.TIMESTAMP: _TIMESTAMP,
    Kind.TIMESTAMP_TZ: _TIMESTAMP_TZ,
    Kind.UUID: "uuid",
    Kind.TEXT: "text",
}
_WHOLE_TYPES = ("smallint", "integer", "bigint", "oid", "xid8")
_PLAIN_TEXTS = ("text", "character varying")

_LONGEST_TEXT = 1000
"""Characters of a bound: ranges are kept from run to run, and named in every condition."""

_MICROSECONDS = 6
_CLOCK = r"([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,6})?"
_DAY = r"\d{4}-\d\d-\d\d"
_FORMS = {
    Kind.INTEGER: r"-?\d{1,19}",
    Kind.DATE: _DAY,
    Kind.TIME: _CLOCK,
    Kind.TIMESTAMP: f"{_DAY} {_CLOCK}",
    Kind.TIMESTAMP_TZ: rf"{_DAY} {_CLOCK}\+00",
    Kind.UUID: r"[0-9a-f-]{36}",
    Kind.TEXT: rf"(?s:.{{0,{_LONGEST_TEXT}}})",
}


@dataclass(frozen=True)
class KeyPart:
    """A column of a key.

    Attributes:
        expression: SQL that is compared, over the table.
        type: the type that a bound is cast to, as `format_type` spells it.
        text: SQL of a bound's text, with a place for the value.
        form: what a text must look like to be a bound; None is any.
        zone: what a bound's text is read with.
        is_column: an index of the column has the order of the expression.
        by_bytes: such an index has the collation "C".
    """

    column: SourceColumn
    expression: str
    type: str
    text: str = _OUTPUT
    form: str | None = None
    zone: str = ""
    is_column: bool = True
    by_bytes: bool = False

    def literal(self, text: str) -> str:
        """A bound as SQL."""
        return sql.typed_literal(text + self.zone, self.type)

    def is_bound(self, text: str) -> bool:
        """Whether a text can be a bound."""
        return self.form is None or re.fullmatch(self.form, text, re.ASCII) is not None


def column_part(column: SourceColumn) -> KeyPart:
    """The column as it is, in the order of its own type and collation."""
    return KeyPart(column, sql.quote(column.name), column.base_type)


def value_part(key: KeyColumn) -> KeyPart:
    """The staged value, in the order that it has everywhere; see `SourcePlatform.partition_by_value`."""
    quoted, source, kind = sql.quote(key.source.name), key.source, key.type.kind
    if kind is Kind.TEXT:
        is_column = source.base_type in _PLAIN_TEXTS and key.expression == quoted
        text = quoted if is_column else sql.fill(_AS_TEXT, value=key.expression)
        return KeyPart(
            source,
            sql.fill(_BYTES, text=text),
            _TYPES[kind],
            form=_FORMS[kind],
            is_column=is_column,
            by_bytes=is_column,
        )
    expression = _compared(key, quoted)
    type_name = source.base_type if expression == quoted else _TYPES[kind]
    return KeyPart(
        source,
        expression,
        type_name,
        text=_text(kind, type_name),
        form=decimal_form(key.type) if kind is Kind.DECIMAL else _FORMS[kind],
        zone="+00" if kind is Kind.TIMESTAMP and type_name == _TIMESTAMP_TZ else "",
        is_column=expression == quoted,
    )


def _compared(key: KeyColumn, quoted: str) -> str:
    """The staged value without what serves its text only, so that an index of the column has the order."""
    if key.expression == quoted:
        return quoted
    value = binary_expression(key.source, key.type, key.expression)
    is_numeric = key.source.base_type == _TYPES[Kind.DECIMAL]
    return quoted if is_numeric and value == f"{quoted}::numeric" else value


def _text(kind: Kind, type_name: str) -> str:
    if kind is Kind.INTEGER and type_name not in _WHOLE_TYPES:
        return _WHOLE
    if kind is Kind.TIMESTAMP and type_name == _TIMESTAMP_TZ:
        return _WALL_TIME
    return f"{_OUTPUT} || '+00'" if kind is Kind.TIMESTAMP_TZ and type_name == _TIMESTAMP else _OUTPUT


def value_parts(table: TableName, keys: Sequence[KeyColumn]) -> tuple[KeyPart, ...]:
    """The parts of a key whose order is the same everywhere.

    Raises:
        PlatformError: there is none, or it has a column of another order.
    """
    check_alike(table, keys)
    return tuple(value_part(key) for key in keys)


def alike_keys(run: QueryRunner, keys: Sequence[KeyColumn]) -> tuple[KeyColumn, ...]:
    """The longest leading part of a key whose order is the same everywhere.

    Text is compared by its bytes, which are the target's only in a database in UTF-8. A timestamp must be staged
    with all of its digits: the target may round it to the other side of a bound. The source must be able to
    compare the value (it can't compare an xid).
    """
    is_utf8 = any(key.type.kind is Kind.TEXT for key in keys) and (
        run("SHOW server_encoding")[0]["server_encoding"] == "UTF8"
    )
    return tuple(itertools.takewhile(lambda key: _is_alike(key, is_utf8=is_utf8), keys))


def _is_alike(key: KeyColumn, *, is_utf8: bool) -> bool:
    if not key.is_alike:
        return False
    if key.type.kind is Kind.TEXT:
        return is_utf8
    if key.type.kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ) and key.source.base_type != "date":
        declared = key.source.type_arguments[0] if key.source.type_arguments else _MICROSECONDS
        staged = _MICROSECONDS if key.type.precision is None else key.type.precision
        if staged < declared:
            return False
    return key.source.orderable or not value_part(key).is_column
