"""Which rows and cells differ between the rows of a leaf on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType
from migration_assets.validation.differences import cells
from migration_assets.validation.differences.cells import CellPair, PulledRow, RowDifference, Values, compare_rows
from migration_assets.validation.results import RowKind

TEXT = CanonicalType(CanonicalKind.TEXT)
JSON = CanonicalType(CanonicalKind.JSON)
COLUMNS = {"a": TEXT, "b": TEXT, "c": TEXT}

Summary = tuple[str, str, str, int, int]


def keyed(*rows: str) -> list[PulledRow]:
    """`1:x y z` is the row with key 1 and the values x, y and z."""
    parts = [row.partition(":") for row in rows]
    return [PulledRow((key,), tuple(values.split())) for key, _, values in parts]


def keyless(*rows: str) -> list[PulledRow]:
    return [PulledRow((), tuple(row.split())) for row in rows]


def compared(
    source: Sequence[PulledRow], target: Sequence[PulledRow], *, pair_similar: bool = False
) -> tuple[RowDifference, ...]:
    has_key = any(row.key for row in (*source, *target))
    return compare_rows(source, target, key=["id"] if has_key else [], columns=COLUMNS, pair_similar=pair_similar).rows


def summaries(differences: Iterable[RowDifference]) -> list[Summary]:
    """Kind, source and target values, and how often both sides have the row."""
    return [
        (
            difference.kind.value,
            _joined(difference.source),
            _joined(difference.target),
            difference.source_rows,
            difference.target_rows,
        )
        for difference in differences
    ]


def _joined(values: Values | None) -> str:
    return "-" if values is None else " ".join(value or "NULL" for value in values)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (["1:x y z", "2:x y z"], ["2:x y z", "1:x y z"], []),
        (["1:x y z"], [], [("missing", "x y z", "-", 1, 0)]),
        ([], ["1:x y z"], [("extra", "-", "x y z", 0, 1)]),
        (["1:x y z"], ["1:x y q"], [("changed", "x y z", "x y q", 1, 1)]),
        (["1:x y z"], ["1:p q r"], [("changed", "x y z", "p q r", 1, 1)]),
        (["1:x y z"], ["2:x y z"], [("missing", "x y z", "-", 1, 0), ("extra", "-", "x y z", 0, 1)]),
        (["1:x y z"], ["1:x y z", "1:x y z"], [("duplicated", "x y z", "x y z", 1, 2)]),
        (3 * ["1:x y z"], ["1:x y z"], [("duplicated", "x y z", "x y z", 3, 1)]),
        (3 * ["1:x y z"], [], [("missing", "x y z", "-", 3, 0)]),
        (2 * ["1:x y z"], 2 * ["1:x y q"], [("changed", "x y z", "x y q", 2, 2)]),
        (2 * ["1:x y z"], ["1:x y z", "1:x y q"], [("changed", "x y z", "x y q", 1, 1)]),
        (
            3 * ["1:x y z"],
            ["1:x y z", "1:x y q"],
            [("changed", "x y z", "x y q", 1, 1), ("duplicated", "x y z", "x y z", 2, 1)],
        ),
        (
            ["1:x y z", "1:p q r"],
            ["1:p q s"],
            [("changed", "p q r", "p q s", 1, 1), ("missing", "x y z", "-", 1, 0)],
        ),
    ],
)
def test_rows_with_a_key(source: list[str], target: list[str], expected: list[Summary]) -> None:
    assert summaries(compared(keyed(*source), keyed(*target))) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (["x y z", "p q r"], ["p q r", "x y z"], []),
        (["x y z"], ["x y q"], [("missing", "x y z", "-", 1, 0), ("extra", "-", "x y q", 0, 1)]),
        (["x y z"], 3 * ["x y z"], [("duplicated", "x y z", "x y z", 1, 3)]),
        (2 * ["x y z"], [], [("missing", "x y z", "-", 2, 0)]),
    ],
)
def test_rows_without_a_key(source: list[str], target: list[str], expected: list[Summary]) -> None:
    assert summaries(compared(keyless(*source), keyless(*target))) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (["x y z"], ["x y q"], [("changed", "x y z", "x y q", 1, 1)]),
        (["x y z"], ["x q r"], [("missing", "x y z", "-", 1, 0), ("extra", "-", "x q r", 0, 1)]),
        (
            ["x y z", "x y w"],
            ["p y w"],
            [("changed", "x y w", "p y w", 1, 1), ("missing", "x y z", "-", 1, 0)],
        ),
        (
            2 * ["x y z"],
            ["x y z", "x y q"],
            [("duplicated", "x y z", "x y z", 2, 1), ("extra", "-", "x y q", 0, 1)],
        ),
        (3 * ["x y z"], 2 * ["x y q"], [("changed", "x y z", "x y q", 2, 2), ("missing", "x y z", "-", 1, 0)]),
    ],
    ids=["alike", "too different", "the most alike", "not the copies of a row", "as often as both are there"],
)
def test_similar_rows_without_a_key_are_changed_rows(
    source: list[str], target: list[str], expected: list[Summary]
) -> None:
    assert summaries(compared(keyless(*source), keyless(*target), pair_similar=True)) == expected


def test_a_changed_row_tells_its_key_and_its_cells() -> None:
    (difference,) = compared(
        [PulledRow(("1",), ("x", None, "z"))], [PulledRow(("1",), ("x", "", None))], pair_similar=True
    )
    assert difference.kind is RowKind.CHANGED
    assert difference.key == {"id": "1"}
    assert difference.columns == ("b", "c")
    assert difference.cells == (CellPair("b", None, ""), CellPair("c", "z", None))


def test_a_row_without_a_key_is_told_by_all_its_values() -> None:
    missing, extra = compared(keyless("x y z"), keyless("p q r"))
    assert missing.key == {"a": "x", "b": "y", "c": "z"}
    assert extra.key == {"a": "p", "b": "q", "c": "r"}


def test_a_key_of_null_is_a_key_like_others() -> None:
    (difference,) = compared([PulledRow((None,), ("x", "y", "z"))], [PulledRow((None,), ("x", "y", "q"))])
    assert (difference.kind, difference.key) == (RowKind.CHANGED, {"id": None})


@pytest.mark.parametrize(
    ("source", "target", "differs"),
    [
        ('{"a": 1, "b": [1.0]}', '{"b":[1],"a":1}', False),
        ('{"a": 1}', '{"a": 2}', True),
        ("{malformed", "{malformed", False),
        ("{malformed", "{ malformed", True),
        ("{malformed", '{"a": 1}', True),
        (None, "null", True),
    ],
)
def test_json_is_compared_by_its_meaning(source: str | None, target: str | None, differs: bool) -> None:
    found = compare_rows(
        [PulledRow(("1",), (source, " x"))],
        [PulledRow(("1",), (target, " x"))],
        key=["id"],
        columns={"j": JSON, "t": TEXT},
    ).rows
    assert [difference.columns for difference in found] == ([("j",)] if differs else [])


def test_many_rows_of_one_key_are_paired_in_sorted_order() -> None:
    source = [PulledRow(("1",), (f"{n:03}", "y", "z")) for n in range(65)]
    target = [PulledRow(("1",), (f"{n:03}", "y", "q")) for n in reversed(range(66))]
    found = compared(source, target)
    assert [difference.kind for difference in found] == [RowKind.CHANGED] * 65 + [RowKind.EXTRA]
    assert {difference.columns for difference in found} == {("c",), ()}


def test_too_many_rows_without_a_key_are_not_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MOST_SIMILAR_ROWS", 2)
    source, target = keyless("1 y z", "2 y z", "3 y z"), keyless("4 y z")
    assert RowKind.CHANGED in {difference.kind for difference in compared(source[1:], target, pair_similar=True)}
    assert RowKind.CHANGED not in {difference.kind for difference in compared(source, target, pair_similar=True)}


def test_differences_come_in_the_order_of_their_keys() -> None:
    found = compared(keyed("b:x y z", "a:x y z"), keyed("c:x y z"))
    assert [difference.key["id"] for difference in found] == ["a", "b", "c"]


VALUE = st.sampled_from(["", "x", "y", None])
VALUES = st.tuples(VALUE, VALUE, VALUE)


@st.composite
def both_sides(draw: st.DrawFn) -> tuple[list[PulledRow], list[PulledRow]]:
    """Rows of a table with or without a key, some on both sides, and some more often than once."""
    keys = draw(st.sampled_from([st.just(()), st.tuples(st.sampled_from(["1", "2", None]))]))
    row = st.builds(PulledRow, keys, VALUES)
    common = draw(st.lists(row, max_size=6))
    source, target = draw(st.lists(row, max_size=6)), draw(st.lists(row, max_size=6))
    return common + source, draw(st.permutations(common + target))


@given(sides=both_sides(), pair_similar=st.booleans())
def test_the_differences_turn_the_source_into_the_target(
    sides: tuple[list[PulledRow], list[PulledRow]], pair_similar: bool
) -> None:
    source, target = sides
    result: Counter[tuple[Values, Values]] = Counter((row.key, row.values) for row in source)
    for difference in compared(source, target, pair_similar=pair_similar):
        has_key = set(difference.key) == {"id"}
        key = tuple(difference.key.values()) if has_key else ()
        if difference.source is not None:
            result[key, difference.source] -= difference.source_rows
        if difference.target is not None:
            result[key, difference.target] += difference.target_rows
    assert min(result.values(), default=0) >= 0
    assert +result == Counter((row.key, row.values) for row in target)


@given(sides=both_sides(), pair_similar=st.booleans(), data=st.data())
def test_the_order_of_the_rows_does_not_matter(
    sides: tuple[list[PulledRow], list[PulledRow]], pair_similar: bool, data: st.DataObject
) -> None:
    shuffled = [data.draw(st.permutations(side)) for side in sides]
    assert compared(*shuffled, pair_similar=pair_similar) == compared(*sides, pair_similar=pair_similar)


@given(sides=both_sides(), pair_similar=st.booleans())
def test_no_row_is_both_missing_and_extra(sides: tuple[list[PulledRow], list[PulledRow]], pair_similar: bool) -> None:
    found = compared(*sides, pair_similar=pair_similar)
    rows = {
        kind: {
            (tuple(difference.key.values()), difference.source or difference.target)
            for difference in found
            if difference.kind is kind
        }
        for kind in (RowKind.MISSING, RowKind.EXTRA, RowKind.DUPLICATED)
    }
    assert not rows[RowKind.MISSING] & rows[RowKind.EXTRA]
    assert not rows[RowKind.DUPLICATED] & (rows[RowKind.MISSING] | rows[RowKind.EXTRA])
