"""Values of every type that a key may have, as SQL strings: what the ranges of each platform are tried with."""

from __future__ import annotations

import datetime as dt

from hypothesis import strategies as st

_ODD_LETTERS = "aAbBzé😀'\"\\%_ \n\t{}()ß\u0301"


def _day(year: int) -> dt.datetime:
    """The first of January."""
    return dt.datetime.min.replace(year=year)  # noqa: DTZ901


_POSTGRESQL: dict[str, st.SearchStrategy[str]] = {
    "integer": st.one_of(st.integers(-5, 5), st.integers(-(2**31), 2**31 - 1)).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "numeric": st.one_of(
        st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000).map(str),
        st.sampled_from(["NaN", "Infinity", "-Infinity", "1.0", "1.00", "0", "-0"]),
    ),
    "double precision": st.floats(allow_nan=True).map(repr),
    "text": st.text(_ODD_LETTERS, max_size=4),
    'text COLLATE "C"': st.text(_ODD_LETTERS, max_size=4),
    "character(4)": st.text("ab '\\", max_size=4),
    "character varying(4)": st.text(_ODD_LETTERS, max_size=4),
    "date": st.one_of(st.dates().map(str), st.sampled_from(["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"])),
    "timestamptz": st.one_of(
        st.datetimes().map(lambda value: f"{value}+02"), st.sampled_from(["infinity", "0044-03-15 00:00 BC"])
    ),
    "uuid": st.uuids().map(str),
    "boolean": st.sampled_from(["true", "false"]),
    "interval": st.integers(-(10**6), 10**6).map(lambda minutes: f"{minutes} minutes"),
    "bytea": st.binary(max_size=3).map(lambda value: "\\x" + value.hex()),
    '"char"': st.sampled_from("ab'\\"),
    "bit(3)": st.sampled_from(["000", "010", "111"]),
    "money": st.integers(-1000, 1000).map(str),
    "inet": st.sampled_from(["10.0.0.1/8", "10.0.0.1", "::1"]),
    "int4range": st.sampled_from(["empty", "[1,2)", "(,5)", "[1,)"]),
    "integer[]": st.sampled_from(["{}", "{1,2}", "{NULL}", "{1,NULL}"]),
    "mood": st.sampled_from(["sad", "it's ok", "happy"]),
    "label": st.text(_ODD_LETTERS, max_size=3),
    "folded": st.text("aAbB", max_size=3),
}

_SQLSERVER: dict[str, st.SearchStrategy[str]] = {
    "tinyint": st.integers(0, 255).map(str),
    "smallint": st.integers(-5, 5).map(str),
    "int": st.one_of(st.integers(-5, 5), st.integers(-(2**31), 2**31 - 1)).map(str),
    "bigint": st.integers(-(2**63), 2**63 - 1).map(str),
    "numeric(12,2)": st.decimals(-1000, 1000, places=2).map(str),
    "money": st.decimals(-1000, 1000, places=4).map(str),
    "float": st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False).map(repr),
    "real": st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False, width=32).map(repr),
    "bit": st.sampled_from(["0", "1"]),
    "date": st.dates().map(str),
    "datetime": st.datetimes(_day(1753)).map(lambda one: f"{one:%Y-%m-%dT%H:%M:%S}.{one.microsecond // 1000:03}"),
    "smalldatetime": st.datetimes(_day(1900), _day(2079)).map(lambda one: f"{one:%Y-%m-%dT%H:%M}:00"),
    "datetime2(6)": st.datetimes().map(str),
    "datetime2(3)": st.datetimes(max_value=_day(9999)).map(str),
    "datetimeoffset(6)": st.datetimes(_day(2), _day(9999)).map(lambda one: f"{one} +02:00"),
    "time(6)": st.times().map(str),
    "uniqueidentifier": st.uuids().map(str),
    "nvarchar(4)": st.text(_ODD_LETTERS, max_size=2),
    "nvarchar(8) COLLATE Latin1_General_100_BIN2": st.text(_ODD_LETTERS, max_size=4),
    "varchar(4)": st.text("aAbB '%_", max_size=4),
    "char(4)": st.text("abB '%_", max_size=4),
    "nchar(4)": st.text("ab ßé", max_size=4),
    "varbinary(3)": st.binary(max_size=3).map(lambda one: f"0x{one.hex()}"),
    "binary(2)": st.binary(min_size=2, max_size=2).map(lambda one: f"0x{one.hex()}"),
}

KEY_VALUES = {"postgresql": _POSTGRESQL, "sqlserver": _SQLSERVER}
"""By platform and type."""
