"""JSON documents of one meaning have one canonical text; those of different meaning have different ones."""

from __future__ import annotations

import json
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.validation.differences.canonical_json import MOST_DIGITS, canonical_json

Json: TypeAlias = bool | int | str | list["Json"] | dict[str, "Json"] | None

DOCUMENTS: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("null", "null"),
        (" [ true , false ] ", "[true,false]"),
        ("[]", "[]"),
        ('{ "b" : 1, "a" : {} }', '{"a":{},"b":1}'),
        ('{"a": 1, "a": 2}', '{"a":2}'),
        ('{"é": 1, "z": 2, "Z": 3, "": 4}', '{"":4,"Z":3,"z":2,"é":1}'),
        ('{"\\uffff": 1, "\\ud83d\\ude00": 2}', '{"\uffff":1,"😀":2}'),
    ],
    ids=lambda text: text,
)
def test_documents_lose_white_space_order_and_repeated_keys(text: str, canonical: str) -> None:
    assert canonical_json(text) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.00e7", "0"),
        ("1.50", "1.5"),
        ("100", "100"),
        ("1E2", "100"),
        ("-1.25e+1", "-12.5"),
        ("1e-3", "0.001"),
        ("12.5e-1", "1.25"),
        ("0.10000000000000000555", "0.10000000000000000555"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1e399", "1" + 399 * "0"),
        ("1e400", "1e400"),
        ("1" + 400 * "0", "1e400"),
        ("-15.0e400", "-15e400"),
        ("1e-399", "0." + 398 * "0" + "1"),
        ("1e-400", "1e-400"),
        ("1e999999999999", "1e999999999999"),
        ("1" * (MOST_DIGITS + 1), "1" * (MOST_DIGITS + 1) + "e0"),
    ],
    ids=lambda text: text[:30],
)
def test_numbers_are_exact_decimals(text: str, canonical: str) -> None:
    assert canonical_json(text) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (r'"\u0041\/"', '"A/"'),
        (r'"\u00e9 é"', '"é é"'),
        (r'"\"\\\n\t\u0000\u001f\u007f"', '"\\"\\\\\\n\\t\\u0000\\u001f\x7f"'),
        (r'"\ud83d\ude00"', '"😀"'),
        (r'"\uD800x"', r'"\ud800x"'),
        (r'"\\ud800"', r'"\\ud800"'),
        ('"1.50"', '"1.50"'),
    ],
)
def test_strings_are_escaped_no_more_than_needed(text: str, canonical: str) -> None:
    assert canonical_json(text) == canonical


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("{'a': 1}", 1),
        ('{"a" 1}', 5),
        ("[1, 2", 5),
        ("1 2", 2),
        ("01", 1),
        ('["NaN", NaN]', 8),
        (r'{"\"Infinity": -Infinity}', 15),
        ('"a\nb"', 2),
    ],
)
def test_malformed_json_is_refused_with_its_position(text: str, position: int) -> None:
    with pytest.raises(json.JSONDecodeError) as error:
        canonical_json(text)
    assert error.value.pos == position


def test_json_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        canonical_json("[" * 100_000 + "]" * 100_000)


@given(document=DOCUMENTS)
def test_the_canonical_text_means_the_same(document: Json) -> None:
    assert json.loads(canonical_json(json.dumps(document))) == document


@given(document=DOCUMENTS)
def test_every_spelling_has_the_same_canonical_text(document: Json) -> None:
    canonical = canonical_json(json.dumps(document))
    assert canonical_json(json.dumps(document, indent=3, sort_keys=True, ensure_ascii=False)) == canonical
    assert canonical_json(canonical) == canonical
