"""What the worker makes of Arrow columns: canonical texts, tokens, row texts, and fingerprints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import md5
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType, Fingerprint
from migration_assets.platforms.types import Kind
from migration_assets.validation.differences.arrow_lane import (
    canonical_text,
    fingerprint,
    fingerprints_by,
    row_hashes,
    row_texts,
    tokens,
)
from migration_assets_tests.platforms.fingerprint_vectors import DOCUMENT, Vector, vectors

FLOAT = CanonicalType(CanonicalKind.FLOAT)
TEXT = CanonicalType(CanonicalKind.TEXT)
BINARY = CanonicalType(CanonicalKind.BINARY)
DATE = CanonicalType(CanonicalKind.DATE)
TIME = CanonicalType(CanonicalKind.TIME)
TIMESTAMP = CanonicalType(CanonicalKind.TIMESTAMP)
JSON = CanonicalType(CanonicalKind.JSON)

NINES = 38 * "9"
LONG = 500 * "é"
DOUBLE_MAX, DOUBLE_MIN = 1.7976931348623157e308, 5e-324
ADVERSARIAL = st.text(alphabet="|\\Nph", max_size=6) | st.none()


def number(scale: int) -> CanonicalType:
    return CanonicalType(CanonicalKind.NUMBER, scale)


def hex_md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def decimals(arrow_type: pa.DataType, *texts: str) -> pa.Array:
    return pa.array([Decimal(text) for text in texts], arrow_type)


def stored(arrow_type: pa.DataType, *numbers: int) -> pa.Array:
    """Dates and times by the numbers that Arrow stores."""
    return pa.array(numbers, pa.int64() if arrow_type.bit_width == 64 else pa.int32()).cast(arrow_type)


def texts_of(array: pa.Array | pa.ChunkedArray, canonical: CanonicalType) -> list[str | None]:
    texts: list[str | None] = canonical_text(array, canonical).to_pylist()
    return texts


def test_times_that_are_staged_as_text_have_the_texts_of_times() -> None:
    moments = pa.array(["9999-12-31 23:59:59.1234567", "0001-01-01 00:00:00.0000000", None])
    assert texts_of(moments, TIMESTAMP) == ["9999-12-31 23:59:59.1234567", "0001-01-01 00:00:00", None]
    instants = pa.array(["2024-03-01 03:04:05.1200000 +05:30", None, "2024-12-31 20:00:00.0000001 -08:00"])
    assert texts_of(instants, TIMESTAMP) == ["2024-02-29 21:34:05.12", None, "2025-01-01 04:00:00.0000001"]
    assert texts_of(pa.array(["03:04:05.1234567", "10:00:00.0000000"]), TIME) == ["03:04:05.1234567", "10:00:00"]


# Numbers.


@pytest.mark.parametrize(
    ("array", "scale", "expected"),
    [
        (pa.array([True, False]), 0, ["1", "0"]),
        (pa.array([True, False]), 2, ["1.00", "0.00"]),
        (pa.array([-(2**63), 0, 2**63 - 1]), 0, ["-9223372036854775808", "0", "9223372036854775807"]),
        (pa.array([2**64 - 1], pa.uint64()), 1, ["18446744073709551615.0"]),
        (pa.array([-128, 127], pa.int8()), 0, ["-128", "127"]),
        (decimals(pa.decimal128(4, 2), "0.50", "-0.05", "0", "-12.34"), 2, ["0.50", "-0.05", "0.00", "-12.34"]),
        (decimals(pa.decimal128(4, 2), "0.50", "-0.05", "0"), 8, ["0.50000000", "-0.05000000", "0.00000000"]),
        (decimals(pa.decimal128(38, 10), "0.0000000001", "-1"), 10, ["0.0000000001", "-1.0000000000"]),
        (decimals(pa.decimal128(38, 38), f"-0.{NINES}"), 38, [f"-0.{NINES}"]),
        (decimals(pa.decimal128(38, 0), NINES, f"-{NINES}"), 37, [f"{NINES}.{37 * '0'}", f"-{NINES}.{37 * '0'}"]),
        (decimals(pa.decimal256(76, 0), NINES + NINES), 2, [f"{NINES}{NINES}.00"]),
        (decimals(pa.decimal256(76, 40), "1e-40"), 40, ["0." + 39 * "0" + "1"]),
        (decimals(pa.decimal128(5, -2), "12300"), 1, ["12300.0"]),
        (
            pa.array(["NaN", "-Infinity", "Infinity", "-0.0", "1e3", "7.10"]),
            1,
            ["NaN", "-Infinity", "Infinity", "0.0", "1000.0", "7.1"],
        ),
    ],
    ids=str,
)
def test_numbers_have_the_digits_of_the_scale(array: pa.Array, scale: int, expected: list[str]) -> None:
    assert texts_of(array, number(scale)) == expected


@pytest.mark.parametrize(
    ("text", "scale", "expected"),
    [
        ("0.5000", 2, "0.50"),
        ("0.5050", 2, "0.505"),
        ("-0.0500", 1, "-0.05"),
        ("-0.0001", 0, "-0.0001"),
        ("9.9999", 3, "9.9999"),
    ],
)
def test_a_number_with_more_digits_than_the_scale_keeps_them(text: str, scale: int, expected: str) -> None:
    assert texts_of(decimals(pa.decimal128(6, 4), text), number(scale)) == [expected]


@given(unscaled=st.integers(-(10**38) + 1, 10**38 - 1), scale=st.integers(0, 38), more=st.integers(0, 12))
def test_decimals_read_back_as_they_were(unscaled: int, scale: int, more: int) -> None:
    sign, digits = ("-", str(-unscaled)) if unscaled < 0 else ("", str(unscaled))
    value = Decimal((int(unscaled < 0), tuple(map(int, digits)), -scale))
    (text,) = texts_of(pa.array([value], pa.decimal128(38, scale)), number(scale + more))
    assert text is not None
    whole, _, fraction = text.partition(".")
    assert len(fraction) == scale + more
    assert Decimal(text) == value
    assert whole.removeprefix("-") == str(int(digits[:-scale] or "0") if scale else int(digits))
    assert text.startswith("-") == bool(sign)


# Floats.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "4503599627370496p-52"),
        (-1.5, "-6755399441055744p-52"),
        (0.1, "7205759403792794p-56"),
        (DOUBLE_MAX, "9007199254740991p971"),
        (-DOUBLE_MAX, "-9007199254740991p971"),
        (2.2250738585072014e-308, "4503599627370496p-1074"),
        (DOUBLE_MIN, "4503599627370496p-1126"),
        (3 * DOUBLE_MIN, "6755399441055744p-1125"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_floats_are_mantissa_and_exponent(value: float, expected: str) -> None:
    assert texts_of(pa.array([value, None, 1.0]), FLOAT) == [expected, None, "4503599627370496p-52"]


@given(value=st.floats(allow_nan=False, allow_infinity=False).filter(bool))
def test_floats_read_back_as_they_were(value: float) -> None:
    (text,) = texts_of(pa.array([value]), FLOAT)
    assert text is not None
    mantissa, _, exponent = text.partition("p")
    assert 2**52 <= abs(int(mantissa)) < 2**53
    assert math.ldexp(int(mantissa), int(exponent)) == value


@given(value=st.floats(width=32))
def test_narrow_floats_are_widened_exactly(value: float) -> None:
    assert texts_of(pa.array([value], pa.float32()), FLOAT) == texts_of(pa.array([value], pa.float64()), FLOAT)


# Text, bytes, and JSON.


@pytest.mark.parametrize(
    "arrow_type", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_text_is_as_it_is(arrow_type: pa.DataType) -> None:
    values = ["", " a ", None, "|\\", "é😀\x00", " a "]
    assert texts_of(pa.array(values, pa.string()).cast(arrow_type), TEXT) == values


@pytest.mark.parametrize("arrow_type", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(2)], ids=str)
def test_bytes_are_lower_case_hexadecimal(arrow_type: pa.DataType) -> None:
    assert texts_of(pa.array([b"\x00\xff", None, b"Az"], arrow_type), BINARY) == ["00ff", None, "417a"]


@given(values=st.lists(st.binary(max_size=9) | st.none()), start=st.integers(0, 5))
def test_bytes_of_a_slice_are_those_of_its_values(values: list[bytes | None], start: int) -> None:
    expected = [None if value is None else value.hex() for value in values[start:]]
    assert texts_of(pa.array(values, pa.binary()).slice(start), BINARY) == expected


def test_json_is_in_canonical_form() -> None:
    assert texts_of(pa.array(['{"b": 1.0, "a": null}', None]), JSON) == ['{"a":null,"b":1}', None]


def test_malformed_json_is_refused() -> None:
    with pytest.raises(ValueError, match=r"char 1\)"):
        canonical_text(pa.array(["{1}"]), JSON)


# Dates and times.


@pytest.mark.parametrize(
    ("array", "canonical", "expected"),
    [
        (stored(pa.date32(), 0, -1), DATE, ["1970-01-01", "1969-12-31"]),
        (stored(pa.date32(), -719_162, 2_932_896), DATE, ["0001-01-01", "9999-12-31"]),
        (stored(pa.date32(), -719_163, 2_932_897), DATE, ["0001-12-31 BC", "10000-01-01"]),
        (stored(pa.date32(), -735_160), DATE, ["0044-03-15 BC"]),
        (stored(pa.date32(), -(2**31), 2**31 - 1), DATE, ["5877642-06-23 BC", "5881580-07-11"]),
        (stored(pa.date64(), 86_400_000), DATE, ["1970-01-02"]),
        (stored(pa.date32(), 1, -719_163), TIMESTAMP, ["1970-01-02 00:00:00", "0001-12-31 00:00:00 BC"]),
        (stored(pa.time32("s"), 0, 86_399), TIME, ["00:00:00", "23:59:59"]),
        (stored(pa.time32("ms"), 100, 60_000), TIME, ["00:00:00.1", "00:01:00"]),
        (stored(pa.time64("us"), 1, 86_400_000_000), TIME, ["00:00:00.000001", "24:00:00"]),
        (stored(pa.time64("ns"), 10, 36_000 * 10**9), TIME, ["00:00:00.00000001", "10:00:00"]),
        (stored(pa.timestamp("s"), 0, -1), TIMESTAMP, ["1970-01-01 00:00:00", "1969-12-31 23:59:59"]),
        (stored(pa.timestamp("ms"), -1, 10), TIMESTAMP, ["1969-12-31 23:59:59.999", "1970-01-01 00:00:00.01"]),
        (stored(pa.timestamp("us"), -1, 500_000), TIMESTAMP, ["1969-12-31 23:59:59.999999", "1970-01-01 00:00:00.5"]),
        (
            stored(pa.timestamp("ns"), 2**63 - 1, -(2**63) + 1),
            TIMESTAMP,
            ["2262-04-11 23:47:16.854775807", "1677-09-21 00:12:43.145224193"],
        ),
        (
            stored(pa.timestamp("us"), -62_135_596_800_000_001, 253_402_300_800_000_000),
            TIMESTAMP,
            ["0001-12-31 23:59:59.999999 BC", "10000-01-01 00:00:00"],
        ),
        (
            stored(pa.timestamp("us"), 2**63 - 1, -(2**63) + 1),
            TIMESTAMP,
            ["294247-01-10 04:00:54.775807", "290309-12-21 19:59:05.224193 BC"],
        ),
    ],
    ids=str,
)
def test_dates_and_times(array: pa.Array, canonical: CanonicalType, expected: list[str]) -> None:
    assert texts_of(array, canonical) == expected


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "+05:30"])
def test_instants_are_told_in_utc(zone: str) -> None:
    assert texts_of(stored(pa.timestamp("us", tz=zone), 3_600_000_000), TIMESTAMP) == ["1970-01-01 01:00:00"]


@given(value=st.datetimes())
def test_timestamps_of_the_usual_years_print_as_iso(value: datetime) -> None:
    expected = value.isoformat(sep=" ")
    assert texts_of(pa.array([value], pa.timestamp("us")), TIMESTAMP) == [
        expected.rstrip("0") if value.microsecond else expected
    ]


@given(value=st.dates(), cycles=st.integers(1, 10_000))
def test_the_calendar_repeats_every_400_years(value: date, cycles: int) -> None:
    days = (value - date(1970, 1, 1)).days + cycles * 146_097
    assert texts_of(stored(pa.date32(), days), DATE) == [f"{value.year + 400 * cycles:04}-{value:%m-%d}"]


# NULL, chunks, and types that don't fit.


@pytest.mark.parametrize(
    ("arrow_type", "canonical"),
    [
        (pa.bool_(), number(1)),
        (pa.int64(), number(1)),
        (pa.decimal128(38, 9), number(0)),
        (pa.decimal128(38, 9), number(38)),
        (pa.float32(), FLOAT),
        (pa.string(), TEXT),
        (pa.string(), JSON),
        (pa.string(), number(0)),
        (pa.binary(), BINARY),
        (pa.date32(), DATE),
        (pa.time64("us"), TIME),
        (pa.timestamp("us", tz="UTC"), TIMESTAMP),
        (pa.null(), TEXT),
        (pa.null(), FLOAT),
    ],
    ids=str,
)
def test_null_has_no_text(arrow_type: pa.DataType, canonical: CanonicalType) -> None:
    for nulls in ([], [None], [None, None]):
        assert texts_of(pa.array(nulls, arrow_type), canonical) == nulls
        assert canonical_text(pa.array(nulls, arrow_type), canonical).type == pa.string()


def test_chunks_are_one_column() -> None:
    assert texts_of(pa.chunked_array([[1.0], [], [None, 0.0]]), FLOAT) == ["4503599627370496p-52", None, "0"]
    assert texts_of(pa.chunked_array([], pa.date32()), DATE) == []


@pytest.mark.parametrize(
    ("arrow_type", "canonical"),
    [
        (pa.float64(), number(2)),
        (pa.int64(), FLOAT),
        (pa.int64(), TEXT),
        (pa.string(), BINARY),
        (pa.timestamp("us"), DATE),
        (pa.timestamp("us"), TIME),
        (pa.duration("us"), TIME),
        (pa.list_(pa.int8()), JSON),
    ],
    ids=str,
)
def test_columns_of_another_kind_are_refused(arrow_type: pa.DataType, canonical: CanonicalType) -> None:
    with pytest.raises(TypeError, match="not compared as"):
        canonical_text(pa.nulls(1, arrow_type), canonical)


def test_text_that_is_no_number_is_refused_without_telling_it() -> None:
    with pytest.raises(ValueError, match=r"^a text of 6 characters is no number$"):
        canonical_text(pa.array(["secret"]), number(0))


# Tokens and row texts.


@pytest.mark.parametrize(
    ("text", "canonical", "token"),
    [
        (None, TEXT, r"\N"),
        (None, FLOAT, r"\N"),
        ("", TEXT, ""),
        (r"\N", TEXT, r"\\N"),
        ("a|b\\", TEXT, r"a\pb" + r"\\"),
        ('["|"]', JSON, r'["\p"]'),
        (LONG, TEXT, LONG),
        (LONG + "|", TEXT, r"\h" + hex_md5(LONG + "|")),
        (LONG + "|", JSON, r"\h" + hex_md5(LONG + "|")),
        (999 * "|" + "x", TEXT, 999 * r"\p" + "x"),
        (500 * "0a", BINARY, 500 * "0a"),
        (501 * "0a", BINARY, r"\h" + hex_md5(501 * "0a")),
        (1001 * "1", number(0), 1001 * "1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_tokens(text: str | None, canonical: CanonicalType, token: str) -> None:
    array = pa.array(["first", text, None, LONG + "last"], pa.string()).slice(1, 2)
    assert tokens(array, canonical).to_pylist() == [token, r"\N"]


def test_the_row_text_is_the_tokens_with_bars_between() -> None:
    columns = [pa.array([1, None]), pa.array(["a|b", ""]), pa.array([0.0, 1.0])]
    assert row_texts(columns, [number(2), TEXT, FLOAT]).to_pylist() == [r"1.00|a\pb|0", r"\N||4503599627370496p-52"]


def test_a_row_text_needs_a_column_and_a_canonical_type_for_each() -> None:
    with pytest.raises(ValueError, match="at least one column"):
        row_texts([], [])
    with pytest.raises(ValueError, match="shorter"):
        row_texts([pa.array([1]), pa.array([2])], [number(0)])


def test_no_two_of_all_short_adversarial_rows_have_one_row_text() -> None:
    values = [None, *("".join(letters) for length in range(4) for letters in product("|\\Nph", repeat=length))]
    rows = list(product(values, repeat=2))
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    assert len(set(row_texts(columns, [TEXT, TEXT]).to_pylist())) == len(rows)


@given(rows=st.lists(st.tuples(ADVERSARIAL, ADVERSARIAL, ADVERSARIAL), min_size=2, max_size=2))
def test_rows_have_one_row_text_only_if_they_are_equal(rows: list[tuple[str | None, ...]]) -> None:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    first, second = row_texts(columns, [TEXT] * 3).to_pylist()
    assert (first == second) == (rows[0] == rows[1])


# Hashes and fingerprints.

ROWS = pa.table(
    {
        "id": [1, 2, 3, 4],
        "name": ["a", None, "c|", "é"],
        "at": pa.array([datetime(2024, 1, day) for day in (1, 2, 3, 4)], pa.timestamp("us")),  # noqa: DTZ001
        "other": [0.5, 0.25, 0.125, 0.0],
    }
)
CANONICALS = {"id": number(0), "name": TEXT, "at": TIMESTAMP}
ROW_TEXTS = [
    "1|a|2024-01-01 00:00:00",
    r"2|\N|2024-01-02 00:00:00",
    r"3|c\p|2024-01-03 00:00:00",
    "4|é|2024-01-04 00:00:00",
]


def summed(texts: Sequence[str]) -> Fingerprint:
    """The fingerprint of row texts, from the hexadecimal digits that the spec names."""
    digests = [hex_md5(text) for text in texts]
    return Fingerprint(
        len(texts), sum(int(digest[1:16], 16) for digest in digests), sum(int(digest[17:32], 16) for digest in digests)
    )


def test_the_lanes_are_the_low_60_bits_of_both_halves() -> None:
    high, low = row_hashes([pa.array([""])], [TEXT])
    assert high.dtype == low.dtype == np.dtype("uint64")
    # md5("") is d41d8cd98f00b204e9800998ecf8427e.
    assert (int(high[0]), int(low[0])) == (0x41D8CD98F00B204, 0x9800998ECF8427E)


def test_a_fingerprint_sums_the_named_columns_in_their_order() -> None:
    assert fingerprint(ROWS, CANONICALS) == summed(ROW_TEXTS)
    assert fingerprint(ROWS.select(["other", "at", "name", "id"]), CANONICALS) == summed(ROW_TEXTS)
    assert fingerprint(ROWS.to_batches()[0], CANONICALS) == summed(ROW_TEXTS)


def test_a_fingerprint_of_no_rows_is_zero() -> None:
    assert fingerprint(ROWS.slice(4), CANONICALS) == Fingerprint.ZERO


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        fingerprint(ROWS, {"nowhere": TEXT})


def test_fingerprints_are_exact_beyond_64_bits_and_slices() -> None:
    numbers = pa.table({"n": pa.array(range(70_000))})
    assert fingerprint(numbers, {"n": number(0)}) == summed([str(n) for n in range(70_000)])


def test_wide_text_is_hashed_in_small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_assets.validation.differences.arrow_lane._MOST_BYTES", 64)
    wide = pa.table({"t": [letter * length for length, letter in product((1, 30, 2000), "abc")]})
    texts = [str(token) for token in tokens(wide["t"].combine_chunks(), TEXT).to_pylist()]
    assert fingerprint(wide, {"t": TEXT}) == summed(texts)


def test_buckets_have_fingerprints_of_their_own() -> None:
    found = fingerprints_by(ROWS, CANONICALS, pa.chunked_array([["x", "y"], [None, "x"]]))
    first, second, third, fourth = ROW_TEXTS
    assert found == {"x": summed([first, fourth]), "y": summed([second]), None: summed([third])}


def test_buckets_add_up_to_the_whole() -> None:
    numbers = pa.table({"n": pa.array(range(70_000))})
    found = fingerprints_by(numbers, {"n": number(0)}, pa.array(np.arange(70_000) % 7))
    assert list(found) == list(range(7))
    assert found[3] == summed([str(n) for n in range(3, 70_000, 7)])
    assert sum(found.values(), Fingerprint.ZERO) == fingerprint(numbers, {"n": number(0)})


def test_every_row_needs_a_bucket() -> None:
    with pytest.raises(ValueError, match="1 buckets for 4 rows"):
        fingerprints_by(ROWS, CANONICALS, pa.array([1]))


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ("id", pa.array([1, 2, 3, 5])),
        ("name", pa.array(["a", "", "c|", "é"])),
        ("name", pa.array([None, "a", "c|", "é"])),
        (
            "at",
            pa.array([timedelta(days=19_723 + n, microseconds=n == 2) for n in range(4)])
            .cast(pa.int64())
            .cast(pa.timestamp("us")),
        ),
    ],
    ids=["another number", "NULL became empty", "two rows swapped a value", "a microsecond"],
)
def test_one_changed_value_changes_the_fingerprint(column: str, changed: pa.Array) -> None:
    at = ROWS.column_names.index(column)
    assert fingerprint(ROWS.set_column(at, column, changed), CANONICALS) != fingerprint(ROWS, CANONICALS)


def test_the_order_of_rows_does_not_change_the_fingerprint() -> None:
    assert fingerprint(ROWS.take(pa.array([3, 1, 0, 2])), CANONICALS) == fingerprint(ROWS, CANONICALS)


def test_a_row_that_is_loaded_twice_more_changes_the_fingerprint() -> None:
    tripled = pa.concat_tables([ROWS, ROWS.slice(0, 1), ROWS.slice(0, 1)])
    assert fingerprint(tripled, CANONICALS) != fingerprint(ROWS, CANONICALS)


def test_times_with_null_keep_their_neighbours() -> None:
    assert texts_of(pa.array([time(1, 2, 3), None, time(4, 5, 6, 700)]), TIME) == ["01:02:03", None, "04:05:06.0007"]


def _arrow_value(vector: Vector, value: str | None) -> object:
    if value is None:
        return None
    match vector.type.kind:
        case Kind.BOOLEAN:
            return value == "true"
        case Kind.INTEGER:
            return int(value)
        case Kind.DECIMAL:
            return Decimal(value)
        case Kind.FLOAT:
            return float(value)
        case Kind.BINARY:
            return bytes.fromhex(value)
        case Kind.DATE:
            return date.fromisoformat(value)
        case Kind.TIME:
            return time.fromisoformat(value if "." not in value else value.ljust(15, "0"))
        case Kind.TIMESTAMP | Kind.TIMESTAMP_TZ:
            return datetime.fromisoformat(value)
        case _:
            return value


@pytest.mark.parametrize("vector", vectors("values"), ids=str)
def test_the_worker_gives_the_tokens_of_the_golden_vectors(vector: Vector) -> None:
    array = pa.array([_arrow_value(vector, value) for value in vector.values], vector.type.to_arrow())
    found = tokens(canonical_text(array, vector.canonical), vector.canonical)
    assert found.to_pylist() == list(vector.tokens)


@pytest.mark.parametrize("entry", DOCUMENT["sets"], ids=lambda entry: str(entry["rows"]))
def test_the_worker_gives_the_fingerprints_of_the_golden_vectors(entry: dict[str, Any]) -> None:
    total = Fingerprint.ZERO
    for number in entry["rows"]:
        texts = [None if token == "\\N" else token.replace("\\p", "|") for token in DOCUMENT["rows"][number]["tokens"]]
        columns = [pa.array([text], pa.string()) for text in texts]
        high, low = row_hashes(columns, [TEXT] * len(columns))
        assert (str(high[0]), str(low[0])) == (DOCUMENT["rows"][number]["high"], DOCUMENT["rows"][number]["low"])
        total += Fingerprint(1, int(high[0]), int(low[0]))
    assert str(total) == entry["fingerprint"]
