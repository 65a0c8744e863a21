"""Why values are likely to differ, and what all differences of a column have in common."""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType
from migration_assets.validation.differences.arrow_lane import canonical_text
from migration_assets.validation.differences.causes import classify, display, group, mask
from migration_assets.validation.results import Cause, CauseGroup, CellFinding

NUMBER = CanonicalType(CanonicalKind.NUMBER, 2)
FLOAT = CanonicalType(CanonicalKind.FLOAT)
TEXT = CanonicalType(CanonicalKind.TEXT)
BINARY = CanonicalType(CanonicalKind.BINARY)
DATE = CanonicalType(CanonicalKind.DATE)
TIME = CanonicalType(CanonicalKind.TIME)
TIMESTAMP = CanonicalType(CanonicalKind.TIMESTAMP)
JSON = CanonicalType(CanonicalKind.JSON)

NFD = unicodedata.normalize("NFD", "é")

TEXTS: list[tuple[str | None, str | None, Cause, str]] = [
    ("", None, Cause.EMPTY_TEXT_AND_NULL, "NULL in the target"),
    (None, "", Cause.EMPTY_TEXT_AND_NULL, "NULL in the source"),
    (None, "a", Cause.NULL_AND_VALUE, "NULL in the source"),
    ("a", None, Cause.NULL_AND_VALUE, "NULL in the target"),
    ("a   ", "a", Cause.TRAILING_SPACES, "source has 3 more"),
    ("", " ", Cause.TRAILING_SPACES, "target has 1 more"),
    ("a\r\nb\r\n", "a\nb\n", Cause.LINE_ENDINGS, "CRLF to LF"),
    ("a\nb", "a\r\nb", Cause.LINE_ENDINGS, "LF to CRLF"),
    ("a\rb", "a\nb", Cause.LINE_ENDINGS, "CR to LF"),
    ("a\rb\nc", "a\nb\nc", Cause.LINE_ENDINGS, "mixed to LF"),
    (" a", "a", Cause.WHITESPACE, "leading"),
    ("a\t", "a", Cause.WHITESPACE, "trailing"),
    (" a ", "a", Cause.WHITESPACE, "leading and trailing"),
    ("a b", "a  b", Cause.WHITESPACE, "inner"),
    ("a b", "ab", Cause.WHITESPACE, "inner"),
    ("a\N{NO-BREAK SPACE}b", "a b", Cause.WHITESPACE, "inner"),
    ("é", NFD, Cause.UNICODE_FORM, "NFC to NFD"),
    (NFD, "é", Cause.UNICODE_FORM, "NFD to NFC"),
    ("é" + NFD, "éé", Cause.UNICODE_FORM, "mixed to NFC"),
    ("\N{LATIN SMALL LIGATURE FI}x", "fix", Cause.UNICODE_FORM, "compatibility characters"),
    ("abc", "ABC", Cause.CASE, "to upper case"),
    ("Ébc", "ébc", Cause.CASE, "to lower case"),
    ("aBc", "AbC", Cause.CASE, ""),
    ("naïve", "na\ufffdve", Cause.REPLACED_CHARACTERS, "U+FFFD in the target"),
    ("naïve", "na\ufffd\ufffdve", Cause.REPLACED_CHARACTERS, "U+FFFD in the target"),
    ("na?ve", "naïve", Cause.REPLACED_CHARACTERS, "? in the source"),
    ("è vero?", "? vero?", Cause.REPLACED_CHARACTERS, "? in the target"),
    ("Привет", "??????", Cause.REPLACED_CHARACTERS, "? in the target"),
    ("a😀", "a??", Cause.REPLACED_CHARACTERS, "? in the target"),
    ("Ł\x1a", "\x1a\x1a", Cause.REPLACED_CHARACTERS, "U+001A in the target"),
    ("naive", "na?ve", Cause.OTHER, ""),
    ("naïve", "na?vx", Cause.OTHER, ""),
    ("café", "cafÃ©", Cause.ENCODING, "UTF-8 read as cp1252 in the target"),
    ("Â£", "£", Cause.ENCODING, "UTF-8 read as cp1252 in the source"),
    ("à", "Ã\xa0", Cause.ENCODING, "UTF-8 read as cp1252 in the target"),
    ("é", "├⌐", Cause.ENCODING, "UTF-8 read as cp437 in the target"),
    ("é", "Ú", Cause.ENCODING, "cp1252 read as cp850"),
    (25 * "a", 20 * "a", Cause.TRUNCATED, "cut to 20 characters"),
    ("ab", "a", Cause.TRUNCATED, "cut to 1 character"),
    ("ab", "abc", Cause.TRUNCATED, "source is cut to 2 characters"),
    ("abc", "", Cause.OTHER, ""),
    ("abc", "abd", Cause.OTHER, ""),
    ("\ud800", "x", Cause.OTHER, ""),
    ("\ud800é", "\ud800è", Cause.OTHER, ""),
]

NUMBERS = [
    (NUMBER, "1.50", "-1.50", Cause.SIGN, ""),
    (NUMBER, "12.34", "12.00", Cause.SCALE, "2 to 0 digits"),
    (NUMBER, "12.50", "13.00", Cause.SCALE, "2 to 0 digits"),
    (NUMBER, "-12.50", "-12.00", Cause.SCALE, "2 to 0 digits"),
    (NUMBER, "-0.75", "0.00", Cause.SCALE, "2 to 0 digits"),
    (NUMBER, "0.10", "0.12", Cause.OTHER, ""),
    (NUMBER, "0.1234", "0.12", Cause.SCALE, "4 to 2 digits"),
    (NUMBER, "12.34", "14.00", Cause.OTHER, ""),
    (NUMBER, "-0.75", "1.00", Cause.OTHER, ""),
    (NUMBER, "12345678901234567.89", "12345678901234568.00", Cause.SCALE, "2 to 0 digits"),
    (NUMBER, "123456789012345678.00", "123456789012345680.00", Cause.FLOAT_PRECISION, "64 bits"),
    (NUMBER, "123456789012345678.00", "123456789012345679.00", Cause.OTHER, ""),
    (NUMBER, "12345678901234.57", "12345678901234.60", Cause.SCALE, "2 to 1 digits"),
    (NUMBER, "123456789012345.67", "123456789012345.63", Cause.OTHER, ""),
    (NUMBER, "12345678.00", "12345700.00", Cause.FLOAT_PRECISION, "32 bits"),
    (NUMBER, "100000001.00", "100000002.00", Cause.OTHER, ""),
    (NUMBER, "16777217.00", "16777216.00", Cause.FLOAT_PRECISION, "32 bits"),
    (NUMBER, "12.34", "1234.00", Cause.OTHER, "times 1e+2"),
    (NUMBER, "12.00", "1.20", Cause.OTHER, "times 1e-1"),
    (NUMBER, "0.00", "7.00", Cause.OTHER, ""),
    (NUMBER, "NaN", "0.00", Cause.OTHER, ""),
    (NUMBER, "1.00", "Infinity", Cause.OTHER, ""),
    (NUMBER, "Infinity", "-Infinity", Cause.SIGN, ""),
    (NUMBER, "1" + 400 * "0" + ".00", "2.00", Cause.OTHER, ""),
    (NUMBER, None, "1.00", Cause.NULL_AND_VALUE, "NULL in the source"),
]

FLOATS = [
    (1.5, -1.5, Cause.SIGN, ""),
    (0.1 + 0.2, 0.3, Cause.FLOAT_PRECISION, "1 ulp"),
    (1.0, 1.0 - 2**-52, Cause.FLOAT_PRECISION, "2 ulp"),
    (5e-324, -1e-323, Cause.FLOAT_PRECISION, "3 ulp"),
    (0.1, 0.10000000149011612, Cause.FLOAT_PRECISION, "32 bits"),
    (1.23456789, 1.2346, Cause.SCALE, "8 to 4 digits"),
    (1.25, 1.0, Cause.SCALE, "2 to 0 digits"),
    (1.0, 3.0, Cause.OTHER, ""),
    (1e300, math.inf, Cause.OTHER, ""),
    (math.nan, 1.0, Cause.OTHER, ""),
]

TIMES = [
    (TIMESTAMP, "2024-01-01 10:00:00.123456", "2024-01-01 10:00:00.123", Cause.TIME_PRECISION, "6 to 3 digits"),
    (TIMESTAMP, "2024-01-01 10:00:00.1236", "2024-01-01 10:00:00.124", Cause.TIME_PRECISION, "4 to 3 digits"),
    (TIMESTAMP, "2024-12-31 23:59:59.9", "2025-01-01 00:00:00", Cause.TIME_PRECISION, "1 to 0 digits"),
    (TIMESTAMP, "2024-01-01 10:00:00", "2024-01-01 10:00:00.25", Cause.OTHER, ""),
    (TIMESTAMP, "0044-03-15 10:00:00.5 BC", "0044-03-15 10:00:00 BC", Cause.TIME_PRECISION, "1 to 0 digits"),
    (TIMESTAMP, "1969-12-31 23:59:58.25", "1969-12-31 23:59:58", Cause.TIME_PRECISION, "2 to 0 digits"),
    (TIMESTAMP, "2024-01-01 10:20:30", "2024-01-01 00:00:00", Cause.DATE_ONLY, ""),
    (TIMESTAMP, "2024-01-01 09:00:00", "2024-01-01 00:00:00", Cause.DATE_ONLY, ""),
    (TIMESTAMP, "2024-01-01 00:00:00", "2024-01-01 02:00:00", Cause.TIME_ZONE, "+02:00"),
    (TIMESTAMP, "2024-01-01 01:30:00.5", "2023-12-31 20:00:00.5", Cause.TIME_ZONE, "-05:30"),
    (TIMESTAMP, "2024-01-01 00:00:00", "2024-01-01 05:45:00", Cause.TIME_ZONE, "+05:45"),
    (TIMESTAMP, "0001-12-31 23:00:00 BC", "0001-01-01 01:00:00", Cause.TIME_ZONE, "+02:00"),
    (TIMESTAMP, "9999-12-31 23:00:00", "10000-01-01 00:00:00", Cause.TIME_ZONE, "+01:00"),
    (TIMESTAMP, "2024-01-01 00:00:00", "2024-01-01 14:00:00", Cause.TIME_ZONE, "+14:00"),
    (TIMESTAMP, "2024-01-01 00:00:00", "2024-01-01 14:15:00", Cause.OTHER, ""),
    (TIMESTAMP, "2024-01-01 00:00:00", "2024-01-01 00:10:00", Cause.OTHER, ""),
    (TIMESTAMP, "2024-03-01 10:00:00", "2024-02-28 10:00:00", Cause.OTHER, "-2 days"),
    (TIMESTAMP, "2024-03-04 10:00:00", "2024-04-03 10:00:00", Cause.OTHER, "day and month swapped"),
    (TIMESTAMP, "0044-03-15 10:00:00 BC", "0044-03-15 10:00:00", Cause.OTHER, "BC on one side only"),
    (TIMESTAMP, "infinity", "9999-12-31 00:00:00", Cause.OTHER, ""),
    (DATE, "2024-02-29", "2024-03-01", Cause.OTHER, "+1 day"),
    (DATE, "1582-10-04", "1582-10-14", Cause.OTHER, "+10 days"),
    (DATE, "0001-12-31 BC", "0001-01-01", Cause.OTHER, "+1 day"),
    (DATE, "2024-03-04", "2024-04-03", Cause.OTHER, "day and month swapped"),
    (DATE, "-infinity", "0001-01-01", Cause.OTHER, ""),
    (TIME, "10:20:30.123456", "10:20:30.123", Cause.TIME_PRECISION, "6 to 3 digits"),
    (TIME, "23:30:00", "01:30:00", Cause.TIME_ZONE, "+02:00"),
    (TIME, "01:00:00", "23:00:00", Cause.TIME_ZONE, "-02:00"),
    (TIME, "10:20:30", "10:20:31", Cause.OTHER, ""),
]

OTHERS = [
    (BINARY, "00ff01", "00ff", Cause.TRUNCATED, "cut to 2 bytes"),
    (BINARY, "00", "00ff", Cause.TRUNCATED, "source is cut to 1 byte"),
    (BINARY, "", None, Cause.EMPTY_TEXT_AND_NULL, "NULL in the target"),
    (BINARY, "ab", "cd", Cause.OTHER, ""),
    (JSON, '{"a":"é"}', '{"a":"?"}', Cause.REPLACED_CHARACTERS, "? in the target"),
    (JSON, '{"a":1}', '{"a":', Cause.TRUNCATED, "cut to 5 characters"),
    (JSON, '{"a":1}', '{"a":2}', Cause.OTHER, ""),
]


def tuple_of(value: float) -> str:
    (text,) = canonical_text(pa.array([value]), FLOAT).to_pylist()
    return str(text)


@pytest.mark.parametrize(("source", "target", "cause", "detail"), TEXTS)
def test_causes_of_texts(source: str | None, target: str | None, cause: Cause, detail: str) -> None:
    assert classify(source, target, TEXT) == (cause, detail)


@pytest.mark.parametrize(("canonical", "source", "target", "cause", "detail"), [*NUMBERS, *TIMES, *OTHERS])
def test_causes_of_other_values(
    canonical: CanonicalType, source: str | None, target: str | None, cause: Cause, detail: str
) -> None:
    assert classify(source, target, canonical) == (cause, detail)


@pytest.mark.parametrize(("source", "target", "cause", "detail"), FLOATS)
def test_causes_of_floats(source: float, target: float, cause: Cause, detail: str) -> None:
    assert classify(tuple_of(source), tuple_of(target), FLOAT) == (cause, detail)


def test_the_cases_show_every_cause() -> None:
    assert {cause for *_, cause, _ in [*TEXTS, *NUMBERS, *FLOATS, *TIMES, *OTHERS]} == set(Cause)


@given(source=st.text(), target=st.text(), canonical=st.sampled_from([TEXT, JSON]))
def test_every_pair_of_texts_has_a_cause(source: str, target: str, canonical: CanonicalType) -> None:
    assert classify(source, target, canonical)[0] in Cause


@given(source=st.floats(), target=st.floats())
def test_every_pair_of_floats_has_a_cause(source: float, target: float) -> None:
    assert classify(tuple_of(source), tuple_of(target), FLOAT)[0] in Cause


@given(values=st.tuples(st.decimals(allow_nan=False), st.decimals(allow_nan=False)))
def test_every_pair_of_numbers_has_a_cause(values: tuple[Decimal, Decimal]) -> None:
    source, target = canonical_text(pa.array([str(value) for value in values]), NUMBER).to_pylist()
    assert classify(source, target, NUMBER)[0] in Cause


@given(values=st.tuples(st.datetimes(), st.datetimes()))
def test_every_pair_of_timestamps_has_a_cause(values: tuple[datetime, datetime]) -> None:
    source, target = canonical_text(pa.array(values, pa.timestamp("us")), TIMESTAMP).to_pylist()
    assert classify(source, target, TIMESTAMP)[0] in Cause


# Groups.


def cell(row: int, column: str, cause: Cause, detail: str = "") -> CellFinding:
    return CellFinding(row=row, column=column, source="x", target="y", cause=cause, detail=detail)


def test_groups_are_by_column_and_the_most_frequent_cause_first() -> None:
    found = group(
        [
            cell(1, "b", Cause.OTHER),
            cell(1, "a", Cause.CASE, "to upper case"),
            cell(2, "a", Cause.TIME_ZONE, "+02:00"),
            cell(3, "a", Cause.TIME_ZONE, "+02:00"),
        ]
    )
    assert found == (
        CauseGroup(column="a", cause=Cause.TIME_ZONE, detail="+02:00", cells=2, of=3, example_row=2),
        CauseGroup(column="a", cause=Cause.CASE, detail="to upper case", cells=1, of=3, example_row=1),
        CauseGroup(column="b", cause=Cause.OTHER, detail="", cells=1, of=1, example_row=1),
    )
    assert str(found[0]) == "2 of 3 differences in column a are time zone (+02:00)"


@pytest.mark.parametrize(
    ("cause", "details", "shared"),
    [
        (Cause.TIME_ZONE, ["+02:00", "+02:00"], "+02:00"),
        (Cause.TIME_ZONE, ["+02:00", "+01:00"], ""),
        (Cause.TRUNCATED, ["cut to 20 characters", "cut to 19 characters"], ""),
        (Cause.TIME_PRECISION, ["6 to 3 digits", "5 to 3 digits", "6 to 2 digits"], "6 to 3 digits"),
        (Cause.SCALE, ["0 to 2 digits", "1 to 2 digits"], "1 to 2 digits"),
        (Cause.SCALE, ["6 to 3 digits", "3 to 6 digits"], ""),
        (Cause.FLOAT_PRECISION, ["1 ulp", "2 ulp"], ""),
    ],
)
def test_a_group_tells_the_detail_that_all_its_cells_share(cause: Cause, details: list[str], shared: str) -> None:
    (found,) = group(cell(row, "a", cause, detail) for row, detail in enumerate(details))
    assert found.detail == shared


def test_no_cells_are_no_groups() -> None:
    assert group([]) == ()


# What people see.


@pytest.mark.parametrize("value", [0.1, -1.5, 5e-324, 1.7976931348623157e308, 1e22])
def test_floats_are_shown_in_their_shortest_exact_form(value: float) -> None:
    assert display(tuple_of(value), FLOAT) == repr(value)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", FLOAT),
        ("NaN", FLOAT),
        ("-Infinity", FLOAT),
        (None, FLOAT),
        ("4503599627370496p-52", TEXT),
        ("1.50", NUMBER),
    ],
)
def test_other_values_are_shown_as_they_are(text: str | None, canonical: CanonicalType) -> None:
    assert display(text, canonical) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (None, None),
        ("", "<text, 0 characters, md5 d41d8cd9>"),
        ("a", "<text, 1 character, md5 0cc175b9>"),
        ("message digest", "<text, 14 characters, md5 f96b697d>"),
    ],
)
def test_masks_tell_length_and_hash_only(text: str | None, masked: str | None) -> None:
    assert mask(text) == masked


def test_half_a_surrogate_pair_has_a_mask() -> None:
    assert mask("\ud800") not in (None, mask("?"))
