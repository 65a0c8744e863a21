"""How every type of PostgreSQL travels: a table of policies, the user's overrides, and bad values explained.

A column is read as it is wherever the type's output function writes what the stage reads: a cast costs the
source's processor for every value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from migration_assets.platforms.base import ColumnMapping, PlatformError, SourceColumn
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.types import (
    BINARY,
    BOOLEAN,
    DATE,
    JSON,
    MAX_DECIMAL_PRECISION,
    UUID,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
    text,
)

DOES_NOT_FIT = " does not fit"
"""What an expression puts behind a number with too many digits, which pyarrow's CSV reader doesn't count."""

_IDENTIFIER_LENGTH = sql.MAX_IDENTIFIER_BYTES
_FRACTION_DIGITS = 6

_Expression = Callable[[str, SourceColumn, ColumnType], str]
"""From a column (its quoted name, its entry, the wanted type) to SQL."""


@dataclass(frozen=True)
class _Conversion:
    """How a column becomes a type.

    Attributes:
        text: SQL whose text reads as the type.
        binary: SQL whose value in binary format is decoded as the type; the same, if there is none.
    """

    text: _Expression
    binary: _Expression | None = None


def fitting(value: str, number: str, wanted: ColumnType) -> str:
    """SQL that marks numbers with too many digits before the point, so that reading them fails.

    Args:
        value: SQL whose text is staged.
        number: SQL of the same value as numeric.
    """
    digits = (wanted.precision or MAX_DECIMAL_PRECISION) - (wanted.scale or 0)
    limit = 10**digits
    return f"CASE WHEN abs({number}) < {limit} THEN {value}::text ELSE {value}::text || {sql.literal(DOES_NOT_FIT)} END"


def _plain(column: str, _source: SourceColumn, _wanted: ColumnType) -> str:
    return column


_as_is = _Conversion(_plain)


def _cast(type_name: str) -> _Conversion:
    return _Conversion(lambda column, _source, _wanted: f"{column}::{type_name}")


def _as_float(number: str) -> _Conversion:
    def convert(column: str, _source: SourceColumn, wanted: ColumnType) -> str:
        return f"{number.format(column)}::{'float4' if wanted.bits == 32 else 'float8'}"

    return _Conversion(convert)


def _as_decimal(number: str) -> _Conversion:
    """A value whose digits before the point are counted, unless the source's type promises few enough."""

    def convert(column: str, source: SourceColumn, wanted: ColumnType) -> str:
        value = number.format(column)
        room = (wanted.precision or MAX_DECIMAL_PRECISION) - (wanted.scale or 0)
        digits = _digits_before_point(source)
        return value if digits is not None and digits <= room else fitting(value, f"{value}::numeric", wanted)

    # The decoder counts the digits itself.
    return _Conversion(convert, lambda column, _source, _wanted: f"{number.format(column)}::numeric")


def _as_integer(number: str) -> _Conversion:
    """A whole number without its point: reading `5.00` as an integer would fail, and reading `5.25` must."""

    def convert(column: str, source: SourceColumn, _wanted: ColumnType) -> str:
        value = number.format(column)
        if source.base_type == "numeric" and source.type_arguments and source.type_arguments[1] <= 0:
            return value
        return f"CASE WHEN {value} = trunc({value}) THEN trunc({value}) ELSE {value} END"

    return _Conversion(convert, lambda column, _source, _wanted: number.format(column))


_INTEGER_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19, "xid8": 20, "oid": 10, "xid": 10, "cid": 10}


def _digits_before_point(source: SourceColumn) -> int | None:
    if source.base_type == "numeric" and source.type_arguments:
        precision, scale = source.type_arguments
        return max(precision - scale, 0)
    return _INTEGER_DIGITS.get(source.base_type)


_Conversions = Mapping[Kind, _Conversion]

_TEXT_ONLY: _Conversions = {Kind.TEXT: _as_is}
_UTC = _Conversion(lambda column, _source, _wanted: f"({column} AT TIME ZONE 'UTC')", _plain)
_NUMERIC: _Conversions = {
    Kind.DECIMAL: _as_decimal("{}"),
    Kind.INTEGER: _as_integer("{}"),
    Kind.FLOAT: _as_float("{}"),
    Kind.TEXT: _as_is,
}


@dataclass(frozen=True)
class Policy:
    """What becomes of a type.

    Attributes:
        type: the type that travels, before the column's own arguments.
        conversions: the kinds that a column may be mapped to, and how.
    """

    type: ColumnType
    conversions: _Conversions
    notes: tuple[str, ...] = ()


def _text_policy(*notes: str, length: int | None = None) -> Policy:
    return Policy(text(length), _TEXT_ONLY, notes)


_BOOLEAN = Policy(BOOLEAN, {Kind.BOOLEAN: _as_is, Kind.INTEGER: _cast("integer"), Kind.TEXT: _as_is})
_STRING = Policy(text(), {Kind.TEXT: _as_is, Kind.JSON: _cast("json"), Kind.UUID: _cast("uuid")})
_PADDED = Policy(
    text(),
    # The cast costs the source more than all else about the value; the decoder removes blanks for nearly nothing.
    {Kind.TEXT: _Conversion(_cast("text").text, _plain), Kind.JSON: _cast("json"), Kind.UUID: _cast("uuid")},
    ("the blanks that pad the value are removed; PostgreSQL ignores them in comparisons",),
)
_MONEY = Policy(
    decimal(19, 2),
    {
        Kind.DECIMAL: _as_decimal("{}::numeric"),
        Kind.INTEGER: _as_integer("{}::numeric"),
        Kind.FLOAT: _as_float("{}::numeric"),
        Kind.TEXT: _as_is,
    },
    ("the amount travels without its currency, which is only a setting (lc_monetary) of the source",),
)
_TIMESTAMP = Policy(
    temporal(Kind.TIMESTAMP),
    {Kind.TIMESTAMP: _as_is, Kind.TIMESTAMP_TZ: _as_is, Kind.TEXT: _as_is},
)
_TIMESTAMP_TZ = Policy(
    temporal(Kind.TIMESTAMP_TZ),
    {Kind.TIMESTAMP_TZ: _UTC, Kind.TIMESTAMP: _UTC, Kind.TEXT: _as_is},
    ("the instant is kept, in UTC; PostgreSQL itself keeps no offset",),
)
_JSON = Policy(JSON, {Kind.JSON: _as_is, Kind.TEXT: _as_is})
_INTERNAL = _text_policy("an internal type of PostgreSQL, as it prints it")
_REFERENCE = _text_policy("the name that PostgreSQL prints for the reference, which depends on its search_path")
_GEOMETRY = _text_policy("coordinates as PostgreSQL prints them")


def _structure(note: str) -> Policy:
    return Policy(
        JSON, {Kind.JSON: _Conversion(lambda column, _s, _w: f"to_json({column})"), Kind.TEXT: _as_is}, (note,)
    )


def _integer_policy(bits: int) -> Policy:
    return Policy(
        integer(bits),
        {
            Kind.INTEGER: _as_is,
            Kind.DECIMAL: _as_decimal("{}"),
            Kind.FLOAT: _as_float("{}"),
            Kind.TEXT: _as_is,
        },
    )


def _unsigned_policy(column_type: ColumnType) -> Policy:
    """Unsigned numbers that PostgreSQL has no arithmetic for."""
    return Policy(
        column_type,
        {Kind.INTEGER: _as_is, Kind.DECIMAL: _as_decimal("{}::text::numeric"), Kind.TEXT: _as_is},
    )


def _float_policy(bits: int) -> Policy:
    conversions = {
        Kind.FLOAT: _as_float("{}"),
        Kind.DECIMAL: _as_decimal("{}::text::numeric"),
        Kind.INTEGER: _as_integer("{}::text::numeric"),
        Kind.TEXT: _as_is,
    }
    return Policy(floating(bits), conversions)


POLICIES: Mapping[str, Policy] = {
    "boolean": _BOOLEAN,
    "smallint": _integer_policy(16),
    "integer": _integer_policy(32),
    "bigint": _integer_policy(64),
    "oid": _unsigned_policy(integer(64)),
    "xid": _unsigned_policy(integer(64)),
    "cid": _unsigned_policy(integer(64)),
    "xid8": _unsigned_policy(decimal(20, 0)),
    "numeric": Policy(decimal(MAX_DECIMAL_PRECISION, 0), _NUMERIC),
    "money": _MONEY,
    "real": _float_policy(32),
    "double precision": _float_policy(64),
    "text": _STRING,
    "character varying": _STRING,
    "bpchar": _PADDED,
    "name": Policy(text(_IDENTIFIER_LENGTH), _STRING.conversions),
    '"char"': Policy(text(4), _TEXT_ONLY, ("one byte; a byte above 127 is printed as its octal code",)),
    "bytea": Policy(BINARY, {Kind.BINARY: _as_is, Kind.TEXT: _as_is}),
    "date": Policy(DATE, {Kind.DATE: _as_is, Kind.TIMESTAMP: _cast("timestamp"), Kind.TEXT: _as_is}),
    "time without time zone": Policy(temporal(Kind.TIME), {Kind.TIME: _as_is, Kind.TEXT: _as_is}),
    "time with time zone": _text_policy("a time with its offset, as text"),
    "timestamp without time zone": _TIMESTAMP,
    "timestamp with time zone": _TIMESTAMP_TZ,
    "interval": _text_policy("an interval in ISO 8601, such as P1Y2M3DT4H5M6S"),
    "json": _JSON,
    "jsonb": _JSON,
    "uuid": Policy(UUID, {Kind.UUID: _as_is, Kind.TEXT: _as_is}),
    "xml": _text_policy("XML as text"),
    '"bit"': _text_policy("a string of 0 and 1"),
    "bit varying": _text_policy("a string of 0 and 1"),
    "inet": _text_policy(),
    "cidr": _text_policy(),
    "macaddr": _text_policy(),
    "macaddr8": _text_policy(),
    "point": _GEOMETRY,
    "line": _GEOMETRY,
    "lseg": _GEOMETRY,
    "box": _GEOMETRY,
    "path": _GEOMETRY,
    "polygon": _GEOMETRY,
    "circle": _GEOMETRY,
    "tsvector": _text_policy("a text search vector as PostgreSQL prints it"),
    "tsquery": _text_policy("a text search query as PostgreSQL prints it"),
    "jsonpath": _text_policy("a JSON path as PostgreSQL prints it"),
    "pg_lsn": _text_policy(),
    "tid": _text_policy(),
    "txid_snapshot": _text_policy(),
    "pg_snapshot": _text_policy(),
    "refcursor": _text_policy(),
    "regproc": _REFERENCE,
    "regprocedure": _REFERENCE,
    "regoper": _REFERENCE,
    "regoperator": _REFERENCE,
    "regclass": _REFERENCE,
    "regcollation": _REFERENCE,
    "regtype": _REFERENCE,
    "regrole": _REFERENCE,
    "regnamespace": _REFERENCE,
    "regconfig": _REFERENCE,
    "regdictionary": _REFERENCE,
    "regdatabase": _REFERENCE,
    "aclitem": _INTERNAL,
    "gtsvector": _INTERNAL,
    "int2vector": _INTERNAL,
    "oidvector": _INTERNAL,
    "pg_brin_bloom_summary": _INTERNAL,
    "pg_brin_minmax_multi_summary": _INTERNAL,
    "pg_dependencies": _INTERNAL,
    "pg_mcv_list": _INTERNAL,
    "pg_ndistinct": _INTERNAL,
    "pg_node_tree": _INTERNAL,
}
"""Every built-in base type, by the name that `format_type(oid, -1)` gives it."""

_EXTENSION_POLICIES: Mapping[str, Policy] = {
    "citext": Policy(
        text(),
        _STRING.conversions,
        ("PostgreSQL compares this type without regard to case; the target won't",),
    ),
    "hstore": _structure("a JSON object; its values are text or null"),
}
_CATEGORY_POLICIES: Mapping[str, Policy] = {
    "a": _structure("an array as JSON: lower bounds are not kept, NaN and infinity become text"),
    "c": _structure("a composite value as a JSON object: NaN and infinity become text"),
    "e": Policy(text(_IDENTIFIER_LENGTH), _TEXT_ONLY, ("the label of the enum, as text",)),
    "r": _text_policy("a range as PostgreSQL prints it"),
    "m": _text_policy("a multirange as PostgreSQL prints it"),
}
_UNKNOWN = _text_policy("a type that is not PostgreSQL's own, as PostgreSQL prints it")

_TEXT_CURE = "map the column to VARCHAR in columnTypeMappings to move it as PostgreSQL prints it"


def policy_of(column: SourceColumn) -> Policy:
    """The policy of a column's type."""
    if column.category in _CATEGORY_POLICIES:
        return _CATEGORY_POLICIES[column.category]
    if column.base_type in POLICIES:
        return POLICIES[column.base_type]
    # `schema.name` when the schema is not on the search path.
    unqualified = column.base_type.rpartition(".")[2].strip('"')
    return _EXTENSION_POLICIES.get(unqualified, _UNKNOWN)


def map_column(column: SourceColumn, override: ColumnType | None = None) -> ColumnMapping:
    """How a column is read, and the type that it becomes.

    Raises:
        PlatformError: the override makes no sense for the type; the text lists what is possible.
    """
    policy = policy_of(column)
    if override is not None:
        return _overridden(column, policy, override)
    quoted = sql.quote(column.name)
    if column.base_type == "numeric" and column.category == "b":
        return _numeric(column, quoted)
    wanted = _with_arguments(policy.type, column)
    return ColumnMapping(
        type=wanted,
        expression=_default_expression(policy, quoted, column, wanted),
        notes=(*policy.notes, *_column_notes(column)),
        needs_profile=column.base_type == "money" and column.category == "b",
    )


def _default_expression(policy: Policy, quoted: str, column: SourceColumn, wanted: ColumnType) -> str:
    # A float's own text reads back exactly as it is; the cast of the overrides is only for another width.
    if wanted.kind is Kind.FLOAT:
        return quoted
    return policy.conversions[wanted.kind].text(quoted, column, wanted)


def binary_expression(column: SourceColumn, wanted: ColumnType, expression: str) -> str:
    """The SQL of a column for a decoder of the binary format.

    Args:
        expression: the SQL that the column is mapped with, whose text reads as the type.
    """
    conversion = policy_of(column).conversions.get(wanted.kind)
    if conversion is None or conversion.binary is None:
        return expression
    return conversion.binary(sql.quote(column.name), column, wanted)


def decimal_mapping(column: SourceColumn, wanted: ColumnType, *notes: str) -> ColumnMapping:
    """The mapping of a numeric or money column to a decimal that its values were found to fit."""
    policy = policy_of(column)
    return ColumnMapping(
        type=wanted,
        expression=policy.conversions[Kind.DECIMAL].text(sql.quote(column.name), column, wanted),
        notes=(*notes, *policy.notes, *_column_notes(column)),
    )


def refused(column: SourceColumn, reason: str) -> ColumnMapping:
    """The mapping of a numeric column that can't be moved exactly."""
    return ColumnMapping(
        type=decimal(MAX_DECIMAL_PRECISION, 0),
        expression=sql.quote(column.name),
        notes=_column_notes(column),
        refusal=f"{reason}: map the column to VARCHAR (exact) or DOUBLE (rounded) in columnTypeMappings",
    )


def _numeric(column: SourceColumn, quoted: str) -> ColumnMapping:
    if not column.type_arguments:
        return ColumnMapping(
            type=decimal(MAX_DECIMAL_PRECISION, 0),
            expression=quoted,
            notes=_column_notes(column),
            needs_profile=True,
        )
    wanted = decimal_type(*column.type_arguments)
    if wanted is None:
        return refused(
            column,
            f"{column.native_type} has more digits than the {MAX_DECIMAL_PRECISION} that travel exactly",
        )
    return ColumnMapping(type=wanted, expression=quoted, notes=_column_notes(column))


def decimal_type(precision: int, scale: int) -> ColumnType | None:
    """The decimal that holds every numeric(precision, scale); None when it has too many digits.

    Since PostgreSQL 15 a negative scale rounds to the left of the point, which adds zeros there, and a scale
    above the precision promises zeros right of the point.
    """
    digits, places = (precision - scale, 0) if scale < 0 else (max(precision, scale), scale)
    return decimal(digits, places) if digits <= MAX_DECIMAL_PRECISION else None


def _with_arguments(column_type: ColumnType, column: SourceColumn) -> ColumnType:
    if not column.type_arguments or column.category != "b":
        return column_type
    if column_type.kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        return temporal(column_type.kind, column.type_arguments[0])
    has_length = column.base_type in ("character varying", "bpchar", '"bit"', "bit varying")
    return text(column.type_arguments[0]) if has_length else column_type


def _overridden(column: SourceColumn, policy: Policy, override: ColumnType) -> ColumnMapping:
    convert = policy.conversions.get(override.kind)
    if convert is None:
        possible = ", ".join(kind.value for kind in policy.conversions)
        raise PlatformError(
            f"Column {column.name!r} of type {column.native_type} can't be mapped to {override}. "
            f"Possible in columnTypeMappings: types that stand for {possible}."
        )
    if override.is_staged_as_text:
        override = temporal(override.kind)  # PostgreSQL has no more digits.
    notes = policy.notes if override.kind is policy.type.kind else ()
    return ColumnMapping(
        type=override,
        expression=convert.text(sql.quote(column.name), column, override),
        notes=(*notes, *_override_notes(column, policy, override), *_column_notes(column)),
    )


def _override_notes(column: SourceColumn, policy: Policy, override: ColumnType) -> tuple[str, ...]:
    match policy.type.kind, override.kind:
        case Kind.FLOAT, Kind.FLOAT if (override.bits or 64) < (policy.type.bits or 64):
            return ("values are rounded to 32-bit floating point, as the workflow asks",)
        case ((Kind.INTEGER | Kind.DECIMAL), Kind.FLOAT):
            return ("values are rounded to floating point, as the workflow asks",)
        case Kind.FLOAT, Kind.DECIMAL:
            return ("the shortest decimal that stands for the floating-point number",)
        case Kind.TIMESTAMP, Kind.TIMESTAMP_TZ:
            return ("wall time without zone is taken as UTC",)
        case Kind.TIMESTAMP_TZ, Kind.TIMESTAMP:
            return ("wall time in UTC",)
        case _, Kind.TEXT if policy.type.kind is not Kind.TEXT:
            return ("as PostgreSQL prints it",)
    declared = column.type_arguments[0] if column.type_arguments else _FRACTION_DIGITS
    if override.kind is policy.type.kind and override.kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        precision = _FRACTION_DIGITS if override.precision is None else override.precision
        if precision < declared:
            return (f"the target keeps {precision} of {declared} fractional-second digits",)
    return ()


def _column_notes(column: SourceColumn) -> tuple[str, ...]:
    notes = []
    if column.generated:
        notes.append("a generated column: its values are moved, not its expression")
    if column.identity:
        notes.append("an identity column: its values are moved, not its sequence")
    return tuple(notes)


_YEAR = re.compile(r"-?(\d+)-\d\d-\d\d")


def explain_bad_value(column: SourceColumn, column_type: ColumnType, value: str) -> str:
    """Why a value of a column could not be staged as the type, with the cure.

    Args:
        value: the text that PostgreSQL sent and that did not parse.
    """
    shown = value.removesuffix(DOES_NOT_FIT)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}…"
    cause = _cause(column_type, value)
    return (
        f"Column {column.name!r} ({column.native_type}) holds {shown!r}, {cause}. "
        f"Exclude such rows with whereClauseCriteria, or {_TEXT_CURE}."
    )


def _cause(column_type: ColumnType, value: str) -> str:
    number = value.removesuffix(DOES_NOT_FIT).lower()
    plain = number.lstrip("-")
    if plain == "nan":
        return f"which {column_type} has no value for"
    if plain == "infinity":
        return f"an infinity, which {column_type} has no value for"
    match column_type.kind:
        case Kind.DATE | Kind.TIMESTAMP | Kind.TIMESTAMP_TZ:
            year = _YEAR.match(value)
            if value.endswith(" BC"):
                return "a date before the year 1, where targets' calendars end"
            if year and len(year[1]) > 4:
                return "a date after the year 9999, where targets' calendars end"
        case Kind.TIME if value.startswith("24:"):
            return "the end of the day, which targets have no value for"
        case Kind.INTEGER if "." in plain:
            return f"which is not a whole number as {column_type} needs"
        case Kind.INTEGER if plain.isdigit():
            return f"which is out of the range of {column_type}"
        case Kind.DECIMAL if re.fullmatch(r"\d+(\.\d*)?(e[+-]?\d+)?", plain):
            return f"which has more digits than {column_type} holds"
    return f"which does not read as {column_type}"
