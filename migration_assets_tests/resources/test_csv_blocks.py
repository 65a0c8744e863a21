"""PostgreSQL's CSV into Arrow: what is written is what is read, and what is not a value of its type is named."""

from __future__ import annotations

from datetime import date, datetime, time, timezone
from decimal import Decimal
from math import inf

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.platforms import types
from migration_assets.platforms.base import ReadColumn, SourceColumn
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.sources.base import BadValueError, SourceError
from migration_assets.resources.sources.csv_blocks import decode_hex, parse_csv_block

TEXT = types.TEXT
TIME, TIMESTAMP, TIMESTAMP_TZ = (
    types.temporal(Kind.TIME),
    types.temporal(Kind.TIMESTAMP),
    types.temporal(Kind.TIMESTAMP_TZ),
)
WIDE = types.decimal(38, 0)


def wall_time(year: int) -> datetime:
    """The first moment of the first year, or the last one of another year, without a zone."""
    text = "0001-01-01T00:00:00" if year == 1 else f"{year:04d}-12-31T23:59:59.999999"
    return datetime.fromisoformat(text)


def columns(*kinds: ColumnType) -> list[ReadColumn]:
    return [
        ReadColumn(f"target_{number}", kind, SourceColumn(f"source_{number}", str(kind), str(kind), True), "")
        for number, kind in enumerate(kinds, start=1)
    ]


def parse(block: bytes, *kinds: ColumnType, check_utf8: bool = True) -> pa.Table:
    table = parse_csv_block(bytearray(block), columns(*kinds), check_utf8=check_utf8)
    table.validate(full=True)
    return table


def values(block: bytes, kind: ColumnType) -> list[object]:
    return list(parse(block, kind).column(0).to_pylist())


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"\n", [None]),
        (b'""\n', [""]),
        (b'\n\n""\nx\n\n', [None, None, "", "x", None]),
        (b'"a\nb"\n"a\r\nb"\n"a\rb"\n', ["a\nb", "a\r\nb", "a\rb"]),
        (b'"\\."\n\\.x\n', ["\\.", "\\.x"]),
        (b'"say ""no"", please"\n', ['say "no", please']),
        (b"NULL\n\\N\nnull\nNaN\n", ["NULL", "\\N", "null", "NaN"]),
        (b" x \n", [" x "]),
        ("żółw 🐢\n".encode(), ["żółw 🐢"]),
        ("\ufeffx\n\ufeffy\n".encode(), ["\ufeffx", "\ufeffy"]),
        ("\ufeff\n".encode(), ["\ufeff"]),
    ],
)
def test_text_stays_as_it_is(block: bytes, expected: list[object]) -> None:
    assert values(block, TEXT) == expected


def test_null_and_empty_text_are_kept_apart_beside_other_columns() -> None:
    assert parse(b'1,\n,""\n,x\n', types.integer(16), TEXT).to_pylist() == [
        {"target_1": 1, "target_2": None},
        {"target_1": None, "target_2": ""},
        {"target_1": None, "target_2": "x"},
    ]


@pytest.mark.parametrize(
    ("kind", "block", "expected"),
    [
        (types.BOOLEAN, b"t\nf\n\n", [True, False, None]),
        (types.integer(16), b"-32768\n32767\n\n", [-(2**15), 2**15 - 1, None]),
        (types.integer(64), b"-9223372036854775808\n9223372036854775807\n", [-(2**63), 2**63 - 1]),
        (types.floating(64), b"Infinity\n-Infinity\n5e-324\n\n", [inf, -inf, 5e-324, None]),
        (types.floating(64), b"1.7976931348623157e+308\n0.1\n", [1.7976931348623157e308, 0.1]),
        (WIDE, b"9" * 38 + b"\n-" + b"9" * 38 + b"\n0\n\n", [10**38 - 1, 1 - 10**38, 0, None]),
        (types.decimal(38, 38), b"0." + b"9" * 38 + b"\n", [Decimal("0." + "9" * 38)]),
        (types.decimal(10, 2), b"-0.50\n12345678.90\n", [Decimal("-0.50"), Decimal("12345678.90")]),
        (types.DATE, b"0001-01-01\n9999-12-31\n1969-12-31\n", [date.min, date.max, date(1969, 12, 31)]),
        (TIME, b"00:00:00\n23:59:59.999999\n12:30:00.5\n", [time.min, time.max, time(12, 30, 0, 500_000)]),
        (TIMESTAMP, b"0001-01-01 00:00:00\n9999-12-31 23:59:59.999999\n\n", [wall_time(1), wall_time(9999), None]),
        (TIMESTAMP, b"1969-12-31 23:59:59.999999\n", [wall_time(1969)]),
        (types.JSON, b'"{""a"": [1, null]}"\nnull\n\n', ['{"a": [1, null]}', "null", None]),
        (types.BINARY, b"\\x\n\\x00ff10\n\n", [b"", b"\x00\xff\x10", None]),
        (types.BINARY, b"\n\n", [None, None]),
    ],
)  # fmt: skip
def test_values_are_read_exactly(kind: ColumnType, block: bytes, expected: list[object]) -> None:
    table = parse(block, kind)

    assert table.column(0).to_pylist() == expected
    assert table.schema == pa.schema([("target_1", kind.to_arrow())])


def test_not_a_number_and_the_negative_zero_are_read_as_such() -> None:
    assert [str(value) for value in values(b"NaN\n-0\n", types.floating(64))] == ["nan", "-0.0"]
    assert [str(value) for value in values(b"NaN\n-0\n", types.floating(32))] == ["nan", "-0.0"]


def test_an_instant_is_read_from_its_utc_wall_time() -> None:
    first, last = (wall_time(year).replace(tzinfo=timezone.utc) for year in (1, 9999))

    assert values(b"0001-01-01 00:00:00\n9999-12-31 23:59:59.999999\n\n", TIMESTAMP_TZ) == [first, last, None]


@pytest.mark.parametrize(
    ("kind", "block", "value"),
    [
        (types.integer(32), b"1\n2\nabc\n", "abc"),
        (types.integer(16), b"1\n32768\n", "32768"),
        (types.integer(32), b"\n1.5\n", "1.5"),
        (types.BOOLEAN, b"t\ntrue\n", "true"),
        (types.decimal(10, 2), b"1.00\nNaN\n", "NaN"),
        (types.decimal(10, 2), b"1.00\n1.234\n", "1.234"),
        (types.decimal(10, 2), b"\n100000000000 does not fit\n", "100000000000 does not fit"),
        (WIDE, b"1\n" + b"9" * 39 + b"\n", "9" * 39),
        (types.DATE, b"2000-01-01\ninfinity\n", "infinity"),
        (types.DATE, b"2000-01-01\n10000-01-01\n", "10000-01-01"),
        (types.DATE, b"2000-01-01\n0044-03-15 BC\n", "0044-03-15 BC"),
        (TIMESTAMP_TZ, b"2000-01-01 00:00:00\n-infinity\n", "-infinity"),
        (TIMESTAMP, b"2000-01-01 00:00:00\n0044-03-15 00:00:00 BC\n", "0044-03-15 00:00:00 BC"),
        (TIME, b"00:00:00\n24:00:00\n", "24:00:00"),
        (TEXT, b"ok\na\xffb\n", "a\\xffb"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_column(kind: ColumnType, block: bytes, value: str) -> None:
    with pytest.raises(BadValueError) as caught:
        parse(block, kind)

    assert (caught.value.column.source.name, caught.value.value) == ("source_1", value)


def test_the_row_of_a_bad_value_is_found_behind_rows_of_several_lines() -> None:
    with pytest.raises(BadValueError) as caught:
        parse(b'"a\nb",1\n"\n\n\n",2\nx,three\ny,4\n', TEXT, types.integer(32))

    assert (caught.value.column.source.name, caught.value.value) == ("source_2", "three")


def test_text_is_not_checked_when_the_server_has_done_it() -> None:
    table = parse_csv_block(b"\xff\n", columns(TEXT), check_utf8=False)

    assert table.column(0).cast(pa.binary()).to_pylist() == [b"\xff"]


@pytest.mark.parametrize("block", [b"1,2\n", b"", b"1\n2,3\n"])
def test_rows_of_another_shape_are_an_error_of_the_source(block: bytes) -> None:
    with pytest.raises(SourceError, match="can't be parsed"):
        parse(block, types.integer(32))


def test_one_row_may_be_as_large_as_a_value_can_be() -> None:
    huge = b"x" * 50_000_000

    table = parse(b"small,1\n" + huge + b",2\n", TEXT, types.integer(32))

    assert table.column(1).to_pylist() == [1, 2]
    assert table.column(0)[1].as_buffer().size == len(huge)


@given(st.lists(st.none() | st.binary(max_size=40), max_size=20), st.integers(0, 5))
def test_hexadecimal_text_becomes_the_bytes_it_stands_for(expected: list[bytes | None], skipped: int) -> None:
    text = [None if value is None else "\\x" + value.hex() for value in expected]

    decoded = decode_hex(pa.array(text, pa.string())[skipped:])

    decoded.validate(full=True)
    assert decoded.to_pylist() == expected[skipped:]


@given(st.lists(st.tuples(st.none() | st.text(max_size=10), st.none() | st.text(max_size=10)), min_size=1, max_size=8))
def test_what_postgresql_writes_is_read_back(rows: list[tuple[str | None, str | None]]) -> None:
    def field(value: str | None) -> str:
        # CopyAttributeOutCSV in PostgreSQL's copyto.c.
        if value is None:
            return ""
        if not value or any(letter in value for letter in ',"\n\r') or value == "\\.":
            return '"' + value.replace('"', '""') + '"'
        return value

    block = "".join(f"{field(first)},{field(second)}\n" for first, second in rows).encode(errors="surrogatepass")

    assert [tuple(row.values()) for row in parse(block, TEXT, TEXT).to_pylist()] == rows
