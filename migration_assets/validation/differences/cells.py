"""Which rows and cells differ, between the rows of one leaf as the source and the target have them.

Both sides are multisets: the very same rows cancel out, as often as both sides have them. What is left is paired,
row of the source with row of the target, and a pair is a changed row; what finds no partner is missing, extra, or a
row that one side has more often. Nothing depends on the order in which the rows were read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType
from migration_assets.validation.differences.canonical_json import canonical_json
from migration_assets.validation.results import RowKind

Values: TypeAlias = tuple[str | None, ...]
"""Canonical texts; None is NULL."""

MOST_ROWS_OF_A_KEY = 64
"""On either side: more rows of one key are paired in their sorted order, without a look for the best partner."""

MOST_SIMILAR_ROWS = 2_000
"""On either side: with more rows left of a table without key, none are paired."""


@dataclass(frozen=True)
class PulledRow:
    """A row as canonical texts.

    Attributes:
        key: the key columns; empty for a table without key.
        values: the compared columns.
    """

    key: Values
    values: Values


@dataclass(frozen=True)
class CellPair:
    """A cell of a changed row, as both sides have it."""

    column: str
    source: str | None
    target: str | None


@dataclass(frozen=True)
class RowDifference:
    """A row that differs.

    Attributes:
        key: the key by name; all values (of the source, for changed rows) when the table has no key.
        source_rows: how many such rows the source has. A changed row is as often on both sides.
        source: the compared values; None when the source doesn't have the row.
        cells: what differs; only changed rows have any.
    """

    kind: RowKind
    key: Mapping[str, str | None]
    source_rows: int
    target_rows: int
    source: Values | None
    target: Values | None
    cells: tuple[CellPair, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that differ."""
        return tuple(cell.column for cell in self.cells)


@dataclass(frozen=True)
class LeafDifferences:
    """All rows of a leaf that differ, in the order of their keys' texts."""

    rows: tuple[RowDifference, ...]


def compare_rows(
    source: Iterable[PulledRow],
    target: Iterable[PulledRow],
    *,
    key: Sequence[str],
    columns: Mapping[str, CanonicalType],
    pair_similar: bool = False,
) -> LeafDifferences:
    """The differences between two multisets of rows.

    With a key, left-over rows of the same key are paired, those with fewest differing columns first. Without one, and
    with `pair_similar`, missing rows are paired with extra ones that have at least half of their columns in common.
    JSON is compared by its meaning; as text, when it is malformed.

    Args:
        key: names of the key columns, as in `PulledRow.key`; empty for a table without key.
        columns: the compared columns by name, in the order of `PulledRow.values`.
    """
    names = tuple(columns)
    groups = _grouped(source, target, columns)
    differences: list[RowDifference] = []
    for key_values in sorted(groups, key=_sortable):
        rows = groups[key_values]
        if key:
            named_key = dict(zip(key, key_values, strict=True))
            pairs = _pairs_of_a_key(rows)
            differences.extend(_differences(rows, pairs, names, named_key))
        else:
            pairs = _similar_pairs(rows, (len(names) + 1) // 2) if pair_similar else ()
            differences.extend(_differences(rows, pairs, names, None))
    return LeafDifferences(tuple(differences))


@dataclass(frozen=True)
class _Rows:
    """The rows of one key.

    Attributes:
        common: how often both sides have a row.
        source: how often only the source has it, that is, how much oftener; only rows that it has oftener.
    """

    common: Counter[Values]
    source: Counter[Values]
    target: Counter[Values]


def _grouped(
    source: Iterable[PulledRow], target: Iterable[PulledRow], columns: Mapping[str, CanonicalType]
) -> dict[Values, _Rows]:
    """The rows that differ by key, with those of the same key and values on both sides."""
    json_columns = [at for at, column in enumerate(columns.values()) if column.kind is CanonicalKind.JSON]
    by_key: dict[Values, tuple[Counter[Values], Counter[Values]]] = {}
    for side, rows in enumerate((source, target)):
        for row in rows:
            counts = by_key.setdefault(row.key, (Counter(), Counter()))
            counts[side][_with_canonical_json(row.values, json_columns)] += 1
    return {
        key: _Rows(in_source & in_target, in_source - in_target, in_target - in_source)
        for key, (in_source, in_target) in by_key.items()
        if in_source != in_target
    }


def _with_canonical_json(values: Values, json_columns: Sequence[int]) -> Values:
    if not json_columns:
        return values
    changed = list(values)
    for at in json_columns:
        text = changed[at]
        if text is not None:
            try:
                changed[at] = canonical_json(text)
            except ValueError:
                continue
    return tuple(changed)


Pair: TypeAlias = tuple[Values, Values]


def _pairs_of_a_key(rows: _Rows) -> Iterable[Pair]:
    """Possible partners, the most alike first."""
    source, target = sorted(rows.source, key=_sortable), sorted(rows.target, key=_sortable)
    if not source or not target:
        return ()
    if len(source) == len(target) == 1:
        return ((source[0], target[0]),)
    if max(len(source), len(target)) > MOST_ROWS_OF_A_KEY:
        return _in_order(rows.source, rows.target)
    return _most_alike(source, target, least_equal=0)


def _similar_pairs(rows: _Rows, least_equal: int) -> Iterable[Pair]:
    """Possible partners among rows that one side doesn't have at all."""
    source = sorted(rows.source.keys() - rows.common.keys(), key=_sortable)
    target = sorted(rows.target.keys() - rows.common.keys(), key=_sortable)
    if not source or not target or max(len(source), len(target)) > MOST_SIMILAR_ROWS:
        return ()
    return _most_alike(source, target, least_equal)


def _in_order(source: Counter[Values], target: Counter[Values]) -> Iterator[Pair]:
    """The nth row with the nth row, each as often as it is there."""
    yield from zip(
        (row for row in sorted(source, key=_sortable) for _ in range(source[row])),
        (row for row in sorted(target, key=_sortable) for _ in range(target[row])),
        strict=False,
    )


def _most_alike(source: Sequence[Values], target: Sequence[Values], least_equal: int) -> Iterator[Pair]:
    """All pairs with at least so many equal columns, those with most first."""
    equal = np.zeros((len(source), len(target)), np.int32)
    for in_source, in_target in zip(zip(*source, strict=True), zip(*target, strict=True), strict=True):
        codes: dict[str | None, int] = {}
        left = np.array([codes.setdefault(value, len(codes)) for value in in_source])
        right = np.array([codes.setdefault(value, len(codes)) for value in in_target])
        equal += left[:, np.newaxis] == right
    lefts, rights = np.nonzero(equal >= least_equal)
    order = np.argsort(-equal[lefts, rights], kind="stable")
    for left, right in zip(lefts[order].tolist(), rights[order].tolist(), strict=True):
        yield source[left], target[right]


def _differences(
    rows: _Rows, pairs: Iterable[Pair], names: tuple[str, ...], key: Mapping[str, str | None] | None
) -> Iterator[RowDifference]:
    """Pairs, as long as both of them are left; then the rows that are left over."""
    source, target = rows.source.copy(), rows.target.copy()
    changed: Counter[Pair] = Counter()
    unpaired = min(source.total(), target.total())
    for pair in pairs:
        if not unpaired:
            break
        count = min(source[pair[0]], target[pair[1]])
        if count:
            unpaired -= count
            changed[pair] += count
            source[pair[0]] -= count
            target[pair[1]] -= count
    for (before, after), count in changed.items():
        cells = tuple(
            CellPair(name, old, new) for name, old, new in zip(names, before, after, strict=True) if old != new
        )
        named = _named(before, names) if key is None else key
        yield RowDifference(RowKind.CHANGED, named, count, count, before, after, cells)
    for more_in_source, left in ((True, source), (False, target)):
        for row in sorted(+left, key=_sortable):
            common = rows.common[row]
            alone = RowKind.MISSING if more_in_source else RowKind.EXTRA
            yield RowDifference(
                RowKind.DUPLICATED if common else alone,
                _named(row, names) if key is None else key,
                source_rows=common + (left[row] if more_in_source else 0),
                target_rows=common + (0 if more_in_source else left[row]),
                source=row if common or more_in_source else None,
                target=row if common or not more_in_source else None,
            )


def _named(row: Values, names: tuple[str, ...]) -> Mapping[str, str | None]:
    return dict(zip(names, row, strict=True))


def _sortable(row: Values) -> tuple[tuple[bool, str], ...]:
    """NULL first."""
    return tuple((value is not None, value or "") for value in row)
