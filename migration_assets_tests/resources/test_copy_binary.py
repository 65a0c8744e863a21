"""The decoder of COPY's binary format, fed with rows made here; test_postgresql_source.py has those of a server."""

from __future__ import annotations

import itertools
import random
import shutil
import struct
from collections.abc import Sequence
from contextlib import suppress
from decimal import Context, Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.platforms import types
from migration_assets.platforms.base import ReadColumn, SourceColumn
from migration_assets.platforms.types import ColumnType
from migration_assets.resources.sources import copy_binary
from migration_assets.resources.sources.base import BadValueError, SourceError
from migration_assets.resources.sources.copy_binary import BinaryDecoder, wire_of
from migration_assets.resources.sources.wire_text import date_text, numeric_text, time_text, timestamp_text
from migration_assets_tests.servers import PostgreSQLDatabase

INT4, INT8, TEXT, BPCHAR, NUMERIC, BOOL, UUID, FLOAT8, TIMESTAMP = 23, 20, 25, 1042, 1700, 16, 2950, 701, 1114
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"c\0\0\0\4" + b"C\0\0\0\x0bCOPY 7\0" + b"Z\0\0\0\5T"


def test_the_decoder_is_compiled_where_there_is_a_compiler() -> None:
    assert copy_binary.is_available() or shutil.which("cc") is None


needs_decoder = pytest.mark.skipif(
    not copy_binary.is_available(), reason="needs a C compiler when the package is installed: apt-get install gcc"
)


def message(body: bytes) -> bytes:
    return b"d" + struct.pack(">I", len(body) + 4) + body


def row(*fields: bytes | None) -> bytes:
    parts = [struct.pack(">h", len(fields))]
    parts += [struct.pack(">i", -1) if field is None else struct.pack(">i", len(field)) + field for field in fields]
    return b"".join(parts)


def stream(rows: Sequence[bytes]) -> bytes:
    """What the server sends: the header comes with the first row."""
    first, *others = [*rows, b"\xff\xff"]
    return message(HEADER + first) + b"".join(message(other) for other in others) + END


def decoder(*columns: tuple[int, ColumnType]) -> BinaryDecoder:
    wires = [wire_of(oid, kind) for oid, kind in columns]
    assert None not in wires
    read = [
        ReadColumn(f"c{number}", kind, SourceColumn(f"c{number}", str(kind), str(kind), True), "")
        for number, (_, kind) in enumerate(columns)
    ]
    return BinaryDecoder(read, wires, check_utf8=False)  # type: ignore[arg-type]


def decode(data: bytes, *columns: tuple[int, ColumnType], cuts: Sequence[int] = ()) -> pa.Table:
    """The whole stream, fed in pieces."""
    decoding = decoder(*columns)
    borders = [0, *sorted(cuts), len(data)]
    tables: list[pa.Table] = []
    for start, end in itertools.pairwise(borders):
        tables += decoding.feed(memoryview(bytearray(data[start:end])))
    tables += decoding.finish()
    assert [kind for kind, _ in decoding.messages] == [b"c", b"C", b"Z"]
    table = pa.concat_tables(tables)
    table.validate(full=True)
    return table


def numeric(value: Decimal) -> bytes:
    """As numeric_send writes it: groups of four digits, without zeros at either end."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    places = max(-exponent, 0)
    text = ("".join(map(str, digits)) + "0" * max(exponent, 0)).rjust(places, "0")
    whole, fraction = text[: len(text) - places], text[len(text) - places :]
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    fraction = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [int((whole + fraction)[at : at + 4]) for at in range(0, len(whole + fraction), 4)]
    weight = len(whole) // 4 - 1
    while groups and not groups[0]:
        del groups[0]
        weight -= 1
    while groups and not groups[-1]:
        del groups[-1]
    return struct.pack(f">hhHH{len(groups)}H", len(groups), weight, 0x4000 if sign else 0, places, *groups)


EXACT = Context(prec=200)

KINDS = (
    (INT4, types.integer(32)),
    (TEXT, types.TEXT),
    (NUMERIC, types.decimal(38, 10)),
    (BOOL, types.BOOLEAN),
    (UUID, types.UUID),
    (BPCHAR, types.text(10)),
)


def sample(rows: int) -> tuple[list[bytes], list[tuple[object, ...]]]:
    """Rows on the wire, and their values."""
    chance = random.Random(7)
    sent: list[bytes] = []
    values: list[tuple[object, ...]] = []
    for number in range(rows):
        words = "ż" * chance.randrange(40)
        amount = Decimal(chance.randrange(-(10**38) + 1, 10**38)).scaleb(-10)
        token = chance.randbytes(16)
        fields: list[tuple[bytes, object]] = [
            (struct.pack(">i", number - 50), number - 50),
            (words.encode(), words),
            (numeric(amount), amount),
            (bytes([number % 2]), bool(number % 2)),
            (token, "-".join(token.hex()[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))),
            (b" x y      ", " x y"),
        ]
        nulls = [chance.random() < 0.2 for _ in fields]
        sent.append(row(*(None if null else field for null, (field, _) in zip(nulls, fields, strict=True))))
        values.append(tuple(None if null else value for null, (_, value) in zip(nulls, fields, strict=True)))
    return sent, values


@needs_decoder
def test_a_stream_may_be_cut_anywhere() -> None:
    sent, values = sample(60)
    data = stream(sent)
    chance = random.Random(1)
    whole = decode(data, *KINDS)

    assert [tuple(found.values()) for found in whole.to_pylist()] == values
    assert decode(data, *KINDS, cuts=range(1, len(data))).equals(whole)
    for pieces in (1, 2, 5, 30):
        assert decode(data, *KINDS, cuts=[chance.randrange(len(data)) for _ in range(pieces)]).equals(whole)


@needs_decoder
def test_tables_end_with_whole_rows_and_stay_as_they_are_while_others_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copy_binary, "TABLE_ROWS", 64)
    monkeypatch.setattr(copy_binary, "TABLE_BYTES", 3_000)
    sent, values = sample(2_000)
    decoding = decoder(*KINDS)
    tables = [*decoding.feed(memoryview(bytearray(stream(sent)))), *decoding.finish()]

    assert len(tables) > 2_000 // 64
    assert max(table.num_rows for table in tables) <= 64
    assert [tuple(found.values()) for table in tables for found in table.to_pylist()] == values


@needs_decoder
def test_buffers_are_used_again_when_nobody_has_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_binary, "TABLE_ROWS", 64)
    sent, _ = sample(2_000)
    decoding = decoder(*KINDS)
    for table in decoding.feed(memoryview(bytearray(stream(sent)))):
        assert table.num_rows
    assert len(decoding._pool) <= 3


@needs_decoder
def test_a_value_larger_than_a_table_is_a_table_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_binary, "TABLE_BYTES", 1_000)
    texts = ["small", "x" * 100_000, "", "y" * 5_000, "z"]
    data = stream([row(text.encode(), None) for text in texts])

    table = decode(data, (TEXT, types.TEXT), (TEXT, types.TEXT), cuts=range(1, len(data), 777))

    assert table.column(0).to_pylist() == texts
    assert table.column(1).null_count == len(texts)


@needs_decoder
def test_no_rows_and_no_columns() -> None:
    assert list(decoder((INT4, types.integer(32))).feed(memoryview(bytearray(stream([]))))) == []
    decoding = decoder()
    data = message(HEADER + row()) + message(row()) + message(b"\xff\xff") + END
    assert list(decoding.feed(memoryview(bytearray(data)))) == []


@needs_decoder
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("3.5e38", types.decimal(38, 0)),
        ("4e38", types.decimal(38, 0)),
        ("1e38", types.decimal(38, 0)),
        ("35000000000000000000000000000", types.decimal(38, 10)),
        (str(2**128), types.decimal(35, 0)),
        (str(2**128 + 77), types.decimal(38, 0)),
        (str(10**38), types.decimal(38, 0)),
        ("1e130000", types.decimal(38, 0)),
    ],
)
def test_a_numeric_beyond_128_bits_is_refused(value: str, kind: ColumnType) -> None:
    with pytest.raises(BadValueError):
        decode(stream([row(numeric(Decimal(value)))]), (NUMERIC, kind))


@needs_decoder
@given(st.integers(-(10**39), 10**39), st.integers(-4, 12), st.integers(1, 38), st.integers(0, 38))
def test_a_numeric_of_any_size_is_exact_or_refused(digits: int, places: int, precision: int, scale: int) -> None:
    kind = types.decimal(precision, min(scale, precision))
    value = Decimal(digits).scaleb(-places, EXACT)
    units = value.scaleb(kind.scale or 0, EXACT)
    data = stream([row(numeric(value))])
    if units == units.to_integral_value(context=EXACT) and abs(units) < 10**precision:
        assert decode(data, (NUMERIC, kind)).column(0).to_pylist() == [value]
    else:
        with pytest.raises(BadValueError):
            decode(data, (NUMERIC, kind))


@needs_decoder
def test_a_library_of_another_release_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_binary, "_LAYOUT", copy_binary._LAYOUT + 1)
    copy_binary._library.cache_clear()
    try:
        assert not copy_binary.is_available()
    finally:
        monkeypatch.undo()
        copy_binary._library.cache_clear()
    assert copy_binary.is_available()


@needs_decoder
@given(st.decimals(allow_nan=False, allow_infinity=False, places=9), st.integers(1, 38), st.integers(0, 38))
def test_a_numeric_is_exact_or_refused(value: Decimal, precision: int, scale: int) -> None:
    kind = types.decimal(precision, min(scale, precision))
    data = stream([row(numeric(value))])
    units = value.scaleb(kind.scale or 0)
    if units == units.to_integral_value() and abs(units) < 10**precision:
        assert decode(data, (NUMERIC, kind)).column(0).to_pylist() == [value]
    else:
        with pytest.raises(BadValueError) as caught:
            decode(data, (NUMERIC, kind))
        assert Decimal(caught.value.value) == value


@needs_decoder
@pytest.mark.parametrize(
    "value", ["0", "-0.0000000001", "9999999999999999", "10000", "0.0001", "1e37", "-1e-10", "1e20"]
)
def test_a_numeric_at_the_borders_of_its_groups(value: str) -> None:
    wanted = Decimal(value)
    read = decode(stream([row(numeric(wanted))]), (NUMERIC, types.decimal(38, 0 if wanted >= 10**20 else 10)))
    assert read.column(0).to_pylist() == [wanted]


@needs_decoder
@pytest.mark.parametrize(
    ("oid", "kind", "field", "shown"),
    [
        (NUMERIC, types.decimal(5, 2), numeric(Decimal("1000")), "1000"),
        (NUMERIC, types.decimal(5, 2), numeric(Decimal("0.001")), "0.001"),
        (NUMERIC, types.decimal(5, 2), struct.pack(">hhHH", 0, 0, 0xC000, 0), "NaN"),
        (NUMERIC, types.integer(16), numeric(Decimal(-32769)), "-32769"),
        (INT8, types.integer(16), struct.pack(">q", 32768), "32768"),
        (TIMESTAMP, types.temporal(types.Kind.TIMESTAMP), struct.pack(">q", 2**63 - 1), "infinity"),
        (TIMESTAMP, types.temporal(types.Kind.TIMESTAMP), struct.pack(">q", -(2**63)), "-infinity"),
        (INT4, types.integer(32), b"\0\0\0", "0"),
        (FLOAT8, types.floating(64), b"\0\0\0\0", "00000000"),
    ],
)
def test_a_value_without_a_place_in_its_type_is_shown(oid: int, kind: ColumnType, field: bytes, shown: str) -> None:
    with pytest.raises(BadValueError) as caught:
        decode(stream([row(struct.pack(">i", 1), field)]), (INT4, types.integer(32)), (oid, kind))
    assert (caught.value.column.name, caught.value.value) == ("c1", shown)


@needs_decoder
def test_bytes_that_are_not_copy_s_are_refused_and_do_no_harm() -> None:
    sent, _ = sample(30)
    data = stream(sent)
    chance = random.Random(3)
    outcomes = set()
    for _ in range(3_000):
        spoiled = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        decoding = decoder(*KINDS)
        try:
            with suppress(UnicodeDecodeError):
                tables = [*decoding.feed(memoryview(spoiled)), *decoding.finish()]
                outcomes.add(f"{sum(table.num_rows for table in tables) == len(sent)}")
        except (SourceError, BadValueError) as error:
            outcomes.add(type(error).__name__)
    assert outcomes >= {"SourceError", "BadValueError", "True"}


def test_a_type_that_reads_otherwise_has_no_decoding() -> None:
    assert wire_of(TEXT, types.integer(32)) is None
    assert wire_of(FLOAT8, types.floating(32)) is None
    assert wire_of(NUMERIC, types.TEXT) is None


DATES = ("0001-01-01", "4713-01-01 BC", "0001-12-31 BC", "0005-02-29 BC", "5874897-12-31", "1900-03-01", "2000-02-29")


@pytest.mark.parametrize(
    ("send", "type_name", "text", "values"),
    [
        ("date_send", "date", date_text, (*DATES, "infinity", "-infinity", "1999-12-31", "10000-01-01")),
        ("timestamp_send", "timestamp", timestamp_text, ("4713-01-01 00:00:01.5 BC", "infinity", "20000-01-01")),
        ("time_send", "time", time_text, ("24:00:00", "00:00:00", "23:59:59.999999", "12:00:00.5")),
        ("numeric_send", "numeric", numeric_text, ("NaN", "0", "0.00", "-0.001", "1e30", "12345678.90", "-1e-20")),
    ],
)
def test_values_are_shown_as_postgresql_prints_them(
    postgresql_database: PostgreSQLDatabase, send: str, type_name: str, text: object, values: Sequence[str]
) -> None:
    assert callable(text)
    for value in values:
        ((sent, printed),) = postgresql_database.fetch(
            f"SELECT {send}(%s::{type_name}), (%s::{type_name})::text", value, value
        )
        assert text(bytes(sent)) == printed
