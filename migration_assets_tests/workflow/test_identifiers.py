"""SQL identifiers are read as they are written, plain or quoted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.workflow import Identifier, IdentifierError
from migration_assets.workflow.identifiers import IDENTIFIER_PATTERN

GOOD: list[tuple[str, Identifier]] = [
    ("Sales", Identifier("Sales")),
    ("_x$1#@", Identifier("_x$1#@")),
    ("Größe", Identifier("Größe")),
    ("order", Identifier("order")),
    ('"My Table"', Identifier("My Table", quoted=True)),
    ('"say ""hi"""', Identifier('say "hi"', quoted=True)),
    ('""""', Identifier('"', quoted=True)),
    ('"a.b"', Identifier("a.b", quoted=True)),
    ("[My Table]", Identifier("My Table", quoted=True)),
    ("[a]]b[]", Identifier("a]b[", quoted=True)),
]

BAD = [
    *("", " ", " a", "a ", "1a", "a b", "a-b", "a.b", "$a", "#a", "a;", "a\n", "a\u00a0b", "`a`", "'a'"),
    *('"', '""', '"a', 'a"', '"a"b', '"a"b"', '"""', '"a"."b"', "[", "[]", "[a", "a]", "[a]b]", "[a].[b]"),
]


@pytest.mark.parametrize(("written", "identifier"), GOOD)
def test_an_identifier_is_read(written: str, identifier: Identifier) -> None:
    assert Identifier.parse(written) == identifier


@pytest.mark.parametrize("written", BAD)
def test_anything_else_is_refused_with_a_cure(written: str) -> None:
    with pytest.raises(IdentifierError) as caught:
        Identifier.parse(written)
    assert caught.value.cure


@given(st.text(min_size=1))
def test_a_quoted_identifier_is_read_back(text: str) -> None:
    identifier = Identifier(text, quoted=True)
    assert Identifier.parse(str(identifier)) == identifier


@given(st.text(alphabet=st.sampled_from('aZ_1$#@ .-"[]é'), max_size=6))
def test_the_pattern_for_editors_accepts_the_same(text: str) -> None:
    try:
        Identifier.parse(text)
        accepted = True
    except IdentifierError:
        accepted = False
    assert bool(re.search(IDENTIFIER_PATTERN, text)) == accepted


def test_only_plain_names_are_folded() -> None:
    assert Identifier("Sales").folded(str.lower) == "sales"
    assert Identifier("Sales", quoted=True).folded(str.lower) == "Sales"
