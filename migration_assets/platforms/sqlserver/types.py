"""How every type of SQL Server travels: a table of policies, the user's overrides, and what is selected for the stage.

A mapping's expression has the column's value in a type of its own, so that keys, sums and fingerprints can work with
it, and indexes serve it. `staged` makes of it what the stage reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from migration_assets.platforms.base import ColumnMapping, PlatformError, SourceColumn, split_type
from migration_assets.platforms.sqlserver import sql
from migration_assets.platforms.types import (
    BINARY,
    BOOLEAN,
    DATE,
    JSON,
    MAX_DECIMAL_PRECISION,
    MAX_FRACTION_DIGITS,
    MICROSECONDS,
    UUID,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
    text,
)

CLR, COLUMN_SET, ENCRYPTED, MASKED = "c", "s", "e", "m"
"""Categories of a `SourceColumn`, beside the base types' `b`: a user's CLR type, a column set, Always Encrypted, and
dynamic data masking that hides the values from the user of the source."""

PADDED = ("char", "nchar")
"""Texts that are filled with blanks up to their declared length."""

_Conversion = Callable[[str, SourceColumn, ColumnType], str]
"""From a column (its quoted name, its entry, the wanted type) to SQL of the value."""

_Conversions = Mapping[Kind, _Conversion]


@dataclass(frozen=True)
class Policy:
    """What becomes of a type.

    Attributes:
        type: the type that travels, before the column's own arguments.
        conversions: the kinds that a column may be mapped to, and how.
        takes: what the column's arguments mean for the type that travels: its length, its digits, or nothing.
    """

    type: ColumnType
    conversions: _Conversions
    notes: tuple[str, ...] = ()
    takes: str = ""


def _as_is(column: str, _source: SourceColumn, _wanted: ColumnType) -> str:
    return column


def _by(template: str) -> _Conversion:
    return lambda column, _source, _wanted: template.format(column)


def native_decimal(column_type: ColumnType) -> str:
    """SQL Server's type for a DECIMAL."""
    return f"decimal({column_type.precision or MAX_DECIMAL_PRECISION}, {column_type.scale or 0})"


def _or_fail(condition: str, converted: str, native: str, column: str, source: SourceColumn, text: str) -> str:
    """A converted value, or an error that shows the value: CAST alone rounds without a word, and fails without a name.

    A NULL stays one, because adding texts keeps it.
    """
    holds = sql.literal(f"column {source.name} holds ")
    cure = sql.literal(f", which {native} does not: map it to another type in columnTypeMappings")
    problem = f"{holds} + {text.format(column)} + {cure}"
    return f"CASE WHEN {condition} THEN {converted} ELSE CAST(CAST({problem} AS int) AS {native}) END"


def _as_decimal(column: str, source: SourceColumn, wanted: ColumnType) -> str:
    """An exact number: its digits are looked at, unless the source's type promises few enough."""
    native, scale = native_decimal(wanted), wanted.scale or 0
    precision, places = _DIGITS.get(source.base_type) or _two(source.type_arguments)
    converted = f"CAST({column} AS {native})"
    if (precision, places) == (wanted.precision, scale) and source.base_type in _DECIMALS:
        return column
    conditions = []
    if places > scale:
        conditions.append(f"{column} = ROUND({column}, {scale}, 1)")
    if precision - places > (wanted.precision or MAX_DECIMAL_PRECISION) - scale:
        conditions.append(f"TRY_CAST({column} AS {native}) IS NOT NULL")
    return _or_fail(" AND ".join(conditions), converted, native, column, source, _NUMBER) if conditions else converted


def _float_as_decimal(column: str, source: SourceColumn, wanted: ColumnType) -> str:
    native = native_decimal(wanted)
    converted = f"CAST({column} AS {native})"
    condition = f"CAST({converted} AS {_float(source.base_type == 'real')}) = {column}"
    return _or_fail(condition, converted, native, column, source, _FLOAT)


def _as_integer(template: str) -> _Conversion:
    def convert(column: str, source: SourceColumn, wanted: ColumnType) -> str:
        native = _INTEGERS[wanted.bits or 64]
        return _or_fail(f"{column} = FLOOR({column})", f"CAST({column} AS {native})", native, column, source, template)

    return convert


def _as_long(bits: int) -> _Conversion:
    """A whole number of so many bits as one of other length."""

    def convert(column: str, source: SourceColumn, wanted: ColumnType) -> str:
        native = _INTEGERS[wanted.bits or 64]
        converted = f"CAST({column} AS {native})"
        if (wanted.bits or 64) < bits:
            fits = f"TRY_CAST({column} AS {native}) IS NOT NULL"
            return _or_fail(fits, converted, native, column, source, _NUMBER)
        return column if wanted.bits == bits else converted

    return convert


def _as_float(column: str, _source: SourceColumn, wanted: ColumnType) -> str:
    return f"CAST({column} AS {_float(wanted.bits == 32)})"


def _float(is_short: bool) -> str:
    return "float(24)" if is_short else "float(53)"


def _as_json(column: str, source: SourceColumn, _wanted: ColumnType) -> str:
    value = f"CAST({column} AS nvarchar(max))"
    return _or_fail(f"ISJSON({value}) = 1", value, "nvarchar(max)", value, source, "LEFT({}, 100)")


def _cut(column: str, source: SourceColumn, wanted: ColumnType) -> str:
    """A time without the digits that the type doesn't keep: CAST alone rounds, into the next year if need be."""
    digits = MICROSECONDS if wanted.precision is None else wanted.precision
    declared, native = fraction_digits(source), source.base_type
    if native in ("datetime", "smalldatetime"):
        if digits >= declared:
            return column
        # A datetime counts 1/300 s, and knows no nanoseconds.
        column, native = f"CAST({column} AS datetime2({declared}))", "datetime2"
    if digits >= declared:
        return column
    unit = 10 ** (9 - digits)
    return f"CAST(DATEADD(NANOSECOND, -(DATEPART(NANOSECOND, {column}) % {unit}), {column}) AS {native}({digits}))"


def _in_utc(column: str, source: SourceColumn, wanted: ColumnType) -> str:
    """An instant without its offset; one with all digits keeps it."""
    if wanted.is_staged_as_text:
        return column
    return _cut(f"SWITCHOFFSET({column}, '+00:00')", source, wanted)


def _wall_time_in_utc(column: str, source: SourceColumn, wanted: ColumnType) -> str:
    digits = MICROSECONDS if wanted.precision is None else wanted.precision
    cut = _cut(f"SWITCHOFFSET({column}, '+00:00')", source, wanted)
    return f"CAST({cut} AS datetime2({min(digits, MAX_FRACTION_DIGITS)}))"


def _at_utc(column: str, source: SourceColumn, wanted: ColumnType) -> str:
    cut = _cut(column, source, wanted)
    if source.base_type in ("datetime", "smalldatetime") and cut == column:
        cut = f"CAST({column} AS datetime2({fraction_digits(source)}))"
    return f"TODATETIMEOFFSET({cut}, '+00:00')"


_INTEGERS = {16: "smallint", 32: "int", 64: "bigint"}
_DIGITS = {
    "bit": (1, 0),
    "tinyint": (3, 0),
    "smallint": (5, 0),
    "int": (10, 0),
    "bigint": (19, 0),
    "money": (19, 4),
    "smallmoney": (10, 4),
}
"""Digits of the numbers, in all and after the point. Money is read as a decimal of these."""
_DECIMALS = ("decimal", "numeric", "money", "smallmoney")

_NUMBER = "CAST({} AS nvarchar(60))"
_MONEY = "CAST(CAST({} AS decimal(19, 4)) AS nvarchar(40))"
_FLOAT = "CONVERT(nvarchar(40), {}, 3)"
_HEX = "CONVERT(varchar(max), CAST({} AS varbinary(max)), 1)"
_ISO = "CONVERT(varchar(34), {}, 121)"
"""Texts that are exact and the same in every language: money as itself would lose two of its four digits, style 3 has
all digits of a float, style 1 is hexadecimal with 0x, style 121 ISO."""

_LONG_TEXT = "CAST({} AS nvarchar(max))"
_LOWER_UUID = "LOWER(CAST({} AS char(36)))"


def _two(arguments: tuple[int, ...]) -> tuple[int, int]:
    precision, scale = (*arguments, 0)[:2] if arguments else (18, 0)
    return precision, scale


def _integer_policy(bits: int) -> Policy:
    return Policy(
        integer(bits),
        {
            Kind.INTEGER: _as_long(bits),
            Kind.DECIMAL: _as_decimal,
            Kind.FLOAT: _as_float,
            Kind.TEXT: _by(_NUMBER),
        },
    )


_DECIMAL = Policy(
    decimal(18, 0),
    {
        Kind.DECIMAL: _as_decimal,
        Kind.INTEGER: _as_integer(_NUMBER),
        Kind.FLOAT: _as_float,
        Kind.TEXT: _by(_NUMBER),
    },
    takes="digits",
)


def _money_policy(precision: int) -> Policy:
    return Policy(
        decimal(precision, 4),
        {
            Kind.DECIMAL: _as_decimal,
            Kind.INTEGER: _as_integer(_MONEY),
            Kind.FLOAT: _as_float,
            Kind.TEXT: _by(_MONEY),
        },
    )


def _float_policy(bits: int) -> Policy:
    return Policy(
        floating(bits),
        {
            Kind.FLOAT: lambda column, source, wanted: (
                column if wanted.bits == bits else _as_float(column, source, wanted)
            ),
            Kind.DECIMAL: _float_as_decimal,
            Kind.INTEGER: _as_integer(_FLOAT),
            Kind.TEXT: _by(_FLOAT),
        },
    )


def _text_policy(*notes: str, takes: str = "length", conversion: _Conversion = _as_is) -> Policy:
    return Policy(text(), {Kind.TEXT: conversion, Kind.JSON: _as_json}, notes, takes)


def _printed(template: str, *notes: str, length: int | None = None) -> Policy:
    return Policy(text(length), {Kind.TEXT: _by(template)}, notes)


def _timestamp_policy(default: int, takes: str = "") -> Policy:
    return Policy(
        temporal(Kind.TIMESTAMP, default),
        {Kind.TIMESTAMP: _cut, Kind.TIMESTAMP_TZ: _at_utc, Kind.TEXT: _by(_ISO)},
        takes=takes,
    )


_BLANKS = "the blanks that pad the value are removed; SQL Server ignores them in comparisons"
_BINARY: _Conversions = {Kind.BINARY: _as_is, Kind.TEXT: _by(_HEX)}
_LONG_BINARY: _Conversions = {Kind.BINARY: _by("CAST({} AS varbinary(max))"), Kind.TEXT: _by(_HEX)}
_SPATIAL = "N'SRID=' + CAST({0}.STSrid AS nvarchar(11)) + N';' + {0}.AsTextZM()"
_SPATIAL_NOTE = "as text, `SRID=n;` and the well-known text with Z and M"

# One value may have any type but the long ones. A text of it knows its own collation, which the cast heeds.
_VARIANT = """\
CASE CAST(SQL_VARIANT_PROPERTY({0}, 'BaseType') AS nvarchar(128)) \
WHEN N'float' THEN CONVERT(nvarchar(40), CAST({0} AS float(53)), 3) \
WHEN N'real' THEN CONVERT(nvarchar(40), CAST({0} AS float(24)), 3) \
WHEN N'money' THEN CAST(CAST({0} AS decimal(19, 4)) AS nvarchar(40)) \
WHEN N'smallmoney' THEN CAST(CAST({0} AS decimal(19, 4)) AS nvarchar(40)) \
WHEN N'date' THEN CONVERT(nvarchar(10), CAST({0} AS date), 23) \
WHEN N'time' THEN CONVERT(nvarchar(16), CAST({0} AS time(7)), 121) \
WHEN N'smalldatetime' THEN CONVERT(nvarchar(19), CAST({0} AS smalldatetime), 120) \
WHEN N'datetime' THEN CONVERT(nvarchar(23), CAST({0} AS datetime), 121) \
WHEN N'datetime2' THEN CONVERT(nvarchar(27), CAST({0} AS datetime2(7)), 121) \
WHEN N'datetimeoffset' THEN CONVERT(nvarchar(34), CAST({0} AS datetimeoffset(7)), 121) \
WHEN N'uniqueidentifier' THEN LOWER(CAST(CAST({0} AS uniqueidentifier) AS nvarchar(36))) \
WHEN N'binary' THEN CONVERT(nvarchar(max), CAST({0} AS varbinary(8000)), 1) \
WHEN N'varbinary' THEN CONVERT(nvarchar(max), CAST({0} AS varbinary(8000)), 1) \
ELSE CAST({0} AS nvarchar(max)) END"""

POLICIES: Mapping[str, Policy] = {
    "bit": Policy(
        BOOLEAN,
        {
            Kind.BOOLEAN: _as_is,
            Kind.INTEGER: lambda column, _source, wanted: f"CAST({column} AS {_INTEGERS[wanted.bits or 64]})",
            Kind.DECIMAL: _as_decimal,
            Kind.TEXT: _by("CAST({} AS nvarchar(1))"),
        },
    ),
    "tinyint": _integer_policy(16),
    "smallint": _integer_policy(16),
    "int": _integer_policy(32),
    "bigint": _integer_policy(64),
    "decimal": _DECIMAL,
    "numeric": _DECIMAL,
    "money": _money_policy(19),
    "smallmoney": _money_policy(10),
    "float": _float_policy(64),
    "real": _float_policy(32),
    "date": Policy(DATE, {Kind.DATE: _as_is, Kind.TIMESTAMP: _by("CAST({} AS datetime2(0))"), Kind.TEXT: _by(_ISO)}),
    "time": Policy(temporal(Kind.TIME, 7), {Kind.TIME: _cut, Kind.TEXT: _by(_ISO)}, takes="digits"),
    "smalldatetime": _timestamp_policy(0),
    "datetime": _timestamp_policy(3),
    "datetime2": _timestamp_policy(7, "digits"),
    "datetimeoffset": Policy(
        temporal(Kind.TIMESTAMP_TZ, 7),
        {Kind.TIMESTAMP_TZ: _in_utc, Kind.TIMESTAMP: _wall_time_in_utc, Kind.TEXT: _by(_ISO)},
    ),
    "char": _text_policy(_BLANKS),
    "nchar": _text_policy(_BLANKS),
    "varchar": _text_policy(),
    "nvarchar": _text_policy(),
    # Functions of text and bytes don't take the three old types, nor XML.
    "text": _text_policy(takes="", conversion=_by("CAST({} AS varchar(max))")),
    "ntext": _text_policy(takes="", conversion=_by(_LONG_TEXT)),
    "binary": Policy(BINARY, _BINARY, takes="length"),
    "varbinary": Policy(BINARY, _BINARY, takes="length"),
    "image": Policy(BINARY, _LONG_BINARY),
    "rowversion": Policy(
        ColumnType(Kind.BINARY, length=8),
        _BINARY,
        ("a number of the source's database, which changes with every update there, as its 8 bytes",),
    ),
    "uniqueidentifier": Policy(UUID, {Kind.UUID: _as_is, Kind.TEXT: _by(_LOWER_UUID)}),
    "xml": _printed(_LONG_TEXT, "XML as SQL Server writes it: without declaration, and with the white space it keeps"),
    "sql_variant": _printed(_VARIANT, "each value as text by its own type, which is not kept"),
    "hierarchyid": _printed("{}.ToString()", "the path, such as /1/2.1/"),
    "geometry": _printed(_SPATIAL, _SPATIAL_NOTE),
    "geography": _printed(_SPATIAL, _SPATIAL_NOTE),
    "json": Policy(JSON, dict.fromkeys((Kind.JSON, Kind.TEXT), _by(_LONG_TEXT))),
    "vector": Policy(
        JSON,
        dict.fromkeys((Kind.JSON, Kind.TEXT), _by(_LONG_TEXT)),
        ("a JSON array of numbers, with the digits that SQL Server prints",),
    ),
}
"""Every type of SQL Server, by the name that `sys.types` has; what that calls timestamp is a rowversion."""

_CATEGORY_POLICIES: Mapping[str, Policy] = {
    CLR: Policy(BINARY, _LONG_BINARY, ("a type that is not SQL Server's own, as the bytes that it is stored in",)),
    COLUMN_SET: _printed(_LONG_TEXT, "a column set: XML of the sparse columns, which travel themselves"),
}
_UNKNOWN = _printed(_LONG_TEXT, "a type that this program does not know, as SQL Server prints it")

_REFUSALS = {
    ENCRYPTED: (
        "Always Encrypted keeps the key from the server, so that only ciphers could be moved: name a view without "
        "the column, or decrypt it in the source first"
    ),
    MASKED: (
        "dynamic data masking would move masks in place of the values: GRANT UNMASK TO the user of the source, or "
        "name a view without the column"
    ),
}


def fraction_digits(column: SourceColumn) -> int:
    """The fractional-second digits that a column's values can have."""
    fixed = {"datetime": 3, "smalldatetime": 0, "date": 0}
    if column.base_type in fixed:
        return fixed[column.base_type]
    return column.type_arguments[0] if column.type_arguments else MAX_FRACTION_DIGITS


def policy_of(column: SourceColumn) -> Policy:
    """The policy of a column's type."""
    return _CATEGORY_POLICIES.get(column.category) or POLICIES.get(column.base_type, _UNKNOWN)


def map_column(column: SourceColumn, override: ColumnType | None = None) -> ColumnMapping:
    """How a column is read, and the type that it becomes.

    Raises:
        PlatformError: the override makes no sense for the type; the text lists what is possible.
    """
    policy, quoted = policy_of(column), sql.quote(column.name)
    wanted = _with_arguments(policy, column)
    if column.category in _REFUSALS:
        return ColumnMapping(wanted, quoted, refusal=_REFUSALS[column.category])
    notes: tuple[str, ...] = ()
    if override is not None:
        if override.kind not in policy.conversions:
            possible = ", ".join(kind.value for kind in policy.conversions)
            raise PlatformError(
                f"Column {column.name!r} of type {column.native_type} can't be mapped to {override}. "
                f"Possible in columnTypeMappings: types that stand for {possible}."
            )
        notes, wanted = _override_notes(column, wanted, override), override
    if wanted.kind is policy.type.kind:
        notes = (*policy.notes, *notes)
    return ColumnMapping(
        wanted,
        policy.conversions[wanted.kind](quoted, column, wanted),
        (*notes, *_column_notes(column)),
        cuts=_is_cut(column, wanted),
    )


def staged(column: SourceColumn, wanted: ColumnType, value: str) -> str:
    """SQL of what the stage reads of a mapped value: its text where Arrow has no type, and else of Arrow's type.

    Blanks that pad a text are left to the reader: SQL Server's own processor has better things to do.

    Args:
        value: the expression that the column is mapped with.
    """
    native, kind = column.base_type, wanted.kind
    if wanted.is_staged_as_text:
        type_name, length = {
            Kind.TIME: ("time(7)", 16),
            Kind.TIMESTAMP: ("datetime2(7)", 27),
            Kind.TIMESTAMP_TZ: ("datetimeoffset(7)", 34),
        }[kind]
        if native == "datetime" and value == sql.quote(column.name):
            value = f"CAST({value} AS datetime2(3))"  # As it is, it would show thirds of a millisecond.
        cast = value if fraction_digits(column) == MAX_FRACTION_DIGITS else f"CAST({value} AS {type_name})"
        return f"CONVERT(varchar({length}), {cast}, 121)"
    match kind:
        case Kind.TIMESTAMP_TZ:
            digits = MICROSECONDS if wanted.precision is None else wanted.precision
            return f"CAST({value} AS datetime2({digits}))"  # UTC's wall time, by the mapping.
        case Kind.INTEGER if native == "tinyint" and wanted.bits == 16:
            return f"CAST({value} AS smallint)"
        case Kind.UUID:
            return _LOWER_UUID.format(value)
        case Kind.BINARY if native in ("binary", "rowversion"):
            return f"CAST({value} AS varbinary({column.type_arguments[0] if column.type_arguments else 8}))"
    return value


def _with_arguments(policy: Policy, column: SourceColumn) -> ColumnType:
    arguments, kind = column.type_arguments, policy.type.kind
    if not policy.takes or not arguments:
        return policy.type
    if policy.takes == "length":
        return ColumnType(kind, length=arguments[0])
    return decimal(*_two(arguments)) if kind is Kind.DECIMAL else temporal(kind, arguments[0])


def _override_notes(column: SourceColumn, own: ColumnType, override: ColumnType) -> tuple[str, ...]:
    notes = []
    match own.kind, override.kind:
        case Kind.FLOAT, Kind.FLOAT if (override.bits or 64) < (own.bits or 64):
            notes.append("values are rounded to 32-bit floating point, as the workflow asks")
        case ((Kind.INTEGER | Kind.DECIMAL), Kind.FLOAT):
            notes.append("values are rounded to floating point, as the workflow asks")
        case Kind.FLOAT, (Kind.DECIMAL | Kind.INTEGER):
            notes.append("a number that reads back as the same floating-point number; a value that has none fails")
        case Kind.TIMESTAMP, Kind.TIMESTAMP_TZ:
            notes.append("wall time without zone is taken as UTC")
        case Kind.TIMESTAMP_TZ, Kind.TIMESTAMP:
            notes.append("wall time in UTC")
        case Kind.TIMESTAMP_TZ, Kind.TIMESTAMP_TZ if own.is_staged_as_text and not override.is_staged_as_text:
            notes.append("the instant is kept, in UTC, without its offset")
        case _, Kind.TEXT if own.kind is not Kind.TEXT:
            notes.append("as SQL Server prints it")
    if _is_cut(column, override):
        digits, declared = _kept_digits(override), fraction_digits(column)
        notes.append(f"cut after {digits} of {declared} fractional-second digits, as the workflow asks")
    return tuple(notes)


def _is_cut(column: SourceColumn, wanted: ColumnType) -> bool:
    """Whether a time loses digits of its seconds."""
    is_time = wanted.kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ)
    return is_time and _kept_digits(wanted) < fraction_digits(column)


def _kept_digits(wanted: ColumnType) -> int:
    return MICROSECONDS if wanted.precision is None else wanted.precision


def _column_notes(column: SourceColumn) -> tuple[str, ...]:
    notes = []
    if column.generated:
        notes.append("a generated column: its values are moved, not its expression")
    if column.identity:
        notes.append("an identity column: its values are moved, not its sequence")
    return tuple(notes)


_SYNONYMS = {
    "INTEGER": "INT",
    "DEC": "DECIMAL",
    "NUMERIC": "DECIMAL",
    "DOUBLE PRECISION": "FLOAT",
    "TIMESTAMP": "ROWVERSION",
    "CHARACTER": "CHAR",
    **dict.fromkeys(("CHAR VARYING", "CHARACTER VARYING"), "VARCHAR"),
    **dict.fromkeys(("NATIONAL CHAR", "NATIONAL CHARACTER"), "NCHAR"),
    **dict.fromkeys(("NATIONAL CHAR VARYING", "NATIONAL CHARACTER VARYING"), "NVARCHAR"),
    "NATIONAL TEXT": "NTEXT",
    "BINARY VARYING": "VARBINARY",
    "SYSNAME": "NVARCHAR(128)",
}
_SHORT_FLOAT_BITS = 24


def normalised_type(written: str) -> str:
    """One spelling for the synonyms of a type, such as `numeric(10, 2)` and `DEC(10,2)`."""
    name, arguments = split_type(written)
    name = _SYNONYMS.get(name, name)
    if name == "FLOAT" and arguments:
        return "REAL" if arguments[0] <= _SHORT_FLOAT_BITS else "FLOAT"
    return f"{name}({','.join(map(str, arguments))})" if arguments else name
