"""Partitions by key, whatever the dialect: half-open ranges, open at both ends, and the rows whose key is NULL.

    dense unique integers: min and max from the index ─► arithmetic ranges
    everything else:       a sample of the key ─► its quantiles ─► ranges ─► (max_rows) counted, split

A platform says in its own SQL how a key is compared, sampled and counted (`RangedKey`). Every set of bounds is
proved before it is used: the server compares neighbours with the operator that the predicates use, in the same
collation. Bounds that rise strictly in a total order make ranges that are disjoint and that cover all keys,
whatever the sample was.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from migration_assets.platforms.base import (
    Bound,
    KeyColumn,
    Partition,
    Partitioning,
    PlatformError,
    QueryRunner,
    SourceColumn,
    SourceTable,
    TableName,
)
from migration_assets.platforms.errors import unknown_columns
from migration_assets.platforms.types import MAX_DECIMAL_PRECISION, ColumnType

MOST_SAMPLED_ROWS = 150_000
FEWEST_SAMPLED_ROWS_PER_RANGE = 20
_DENSE_SPAN = 1.5
_FILL = 0.8
"""Ranges made by a sample aim at this share of `max_rows`, so that few of them have to be split."""

_MOST_ROUNDS = 40
_KEY_PRESENT = "key is not null"
_ONE_KEY = "one key value"
_NO_FORM = "the key behind its first one has no form that a target reads"


@dataclass(frozen=True)
class Range:
    """Keys from `low` to below `high`."""

    low: Bound | None
    high: Bound | None
    rows: int = 0
    counted: bool = False
    undivided: str | None = None
    """Why nothing is left to split, such as that the range holds one key's rows only."""


@dataclass(frozen=True)
class Quantiles:
    """What a sample says: its rows, those without key, and per part the bounds with the rows before each."""

    sampled: int
    absent: int
    bounds: Mapping[int, Sequence[tuple[Bound, int]]] = field(default_factory=dict)
    method: str = "sampled ranges"


@dataclass(frozen=True)
class RangedKey(ABC):
    """A key of a table, and what its platform knows of it. Only rows under the filter are looked at.

    Attributes:
        columns: of the key, in order.
        nullable: those of them that may be NULL.
        indexed: an index begins with the key, in the order in which it is compared.
    """

    run: QueryRunner
    table: SourceTable
    where: str | None
    columns: tuple[SourceColumn, ...]
    nullable: tuple[SourceColumn, ...]
    indexed: bool

    # -- conditions ---------------------------------------------------------------------------------

    @abstractmethod
    def quote(self, column: SourceColumn) -> str:
        """The column's name in SQL."""

    @abstractmethod
    def is_bound(self, bound: Bound) -> bool:
        """Whether a key has a form that can be a bound."""

    @abstractmethod
    def at_least(self, bound: Bound) -> str:
        """A condition for the keys from a bound on; it is joined with AND."""

    @abstractmethod
    def below(self, bound: Bound) -> str:
        """A condition for the keys below a bound; it is joined with AND."""

    @property
    def present(self) -> str | None:
        """The rows that have a key; None when every row has one."""
        return " AND ".join(f"{self.quote(column)} IS NOT NULL" for column in self.nullable) or None

    @property
    def absent(self) -> str | None:
        """The rows that have no key; None when every row has one."""
        return " OR ".join(f"{self.quote(column)} IS NULL" for column in self.nullable) or None

    def within(self, part: Range) -> str | None:
        """The rows of a range. NULLs are apart, so even the range that is open at both ends excludes them."""
        conditions = [self.present] if self.present else []
        if part.low is not None:
            conditions.append(self.at_least(part.low))
        if part.high is not None:
            conditions.append(self.below(part.high))
        return " AND ".join(conditions) or None

    # -- questions ----------------------------------------------------------------------------------

    @abstractmethod
    def estimated_rows(self) -> int:
        """The rows under the filter, as far as that is known without much reading."""

    @abstractmethod
    def is_whole(self) -> bool:
        """Whether the key is one column of whole numbers, compared as they are."""

    @abstractmethod
    def extremes(self) -> tuple[int, int] | None:
        """The smallest and the largest whole number; None without rows."""

    @abstractmethod
    def quantiles(self, pieces: int, estimate: int, *, exact: bool) -> Quantiles:
        """Bounds of about `pieces` ranges of equal size, in part 0.

        Args:
            estimate: the rows under the filter.
            exact: the ranges will be counted, and must be as small as they were asked for.
        """

    @abstractmethod
    def split(self, ranges: Sequence[Range], pieces: Mapping[int, int], share: float) -> Quantiles:
        """The bounds of every range's pieces, by its place, from a sample of `share` of the rows of them all."""

    @abstractmethod
    def second_key(self, part: Range) -> Bound | None:
        """The key that comes after the first one of a range; None when it has no other."""

    @abstractmethod
    def count(self, ranges: Sequence[Range], *, with_absent: bool) -> tuple[list[int], int]:
        """The rows of each range, and those without key (0 when nobody asks for them, or there can't be any).

        Args:
            with_absent: the ranges hold every row that has a key, and the others are counted as well.
        """

    @abstractmethod
    def prove(self, bounds: Sequence[Bound]) -> None:
        """Asks the server whether two or more bounds rise by the operators that the conditions use.

        Raises:
            PlatformError: they don't.
        """

    # -- descriptions -------------------------------------------------------------------------------

    def describe(self, part: Range) -> str:
        """A range in words."""
        if part.low is None and part.high is None:
            return _KEY_PRESENT if self.nullable else "all rows"
        key = _tuple_text([column.name for column in self.columns])
        if part.low is None:
            return f"{key} below {_tuple_text(part.high or ())}"
        return f"{key} from {_tuple_text(part.low)}" + (
            f" to {_tuple_text(part.high)}" if part.high is not None else ""
        )

    @property
    def absent_description(self) -> str:
        return " or ".join(f"{column.name} is null" for column in self.nullable)


def key_columns(table: SourceTable, names: Sequence[str]) -> tuple[SourceColumn, ...]:
    """The columns of a key by their exact names, each once.

    Raises:
        PlatformError: there is none, or one doesn't exist or has no order.
    """
    if not names:
        raise PlatformError(f"No key columns are given to partition {table.name} by.")
    known = {column.name: column for column in table.columns}
    missing = [name for name in names if name not in known]
    if missing:
        raise PlatformError(unknown_columns(table, missing))
    columns = tuple(known[name] for name in dict.fromkeys(names))
    for column in columns:
        if not column.orderable:
            raise PlatformError(
                f"{table.name} can't be partitioned by {column.name!r}: its type {column.native_type} has "
                f"no order. Choose another key column, or partition by physical location."
            )
    return columns


def decimal_form(column_type: ColumnType) -> str:
    """What a text must look like to be a bound of a DECIMAL that travels: no digits that a target would round."""
    scale = column_type.scale or 0
    room = (column_type.precision or MAX_DECIMAL_PRECISION) - scale
    whole = rf"\d{{1,{room}}}" if room else "0"
    return rf"-?{whole}(\.\d{{0,{scale}}}0*)?"


def check_alike(table: TableName, keys: Sequence[KeyColumn]) -> None:
    """Raises PlatformError when there is no key, or it has a column whose order isn't the same everywhere."""
    if not keys:
        raise PlatformError(f"No key columns are given to divide {table} by.")
    for key in keys:
        if not key.is_alike:
            raise PlatformError(
                f"{table} can't be divided by {key.source.name!r}: values of type {key.type} don't have the same "
                f"order in every system. Choose another key column."
            )


def partition_by_key(key: RangedKey, count: int, max_rows: int | None = None) -> Partitioning:
    """Half-open ranges of a key, about `count` of them, and a partition for NULLs where the key may be NULL.

    `max_rows` holds for every range at planning time, except where one key value alone has more rows: a note
    says so. A unique integer key that is dense gives the guarantee by arithmetic, any other by counting the
    rows of the ranges, in one pass or by index, whichever is cheaper.
    """
    if count <= 1 and max_rows is None:
        return Partitioning("single", (Partition(None, "all rows", rows=key.estimated_rows()),))
    notes: list[str] = []
    ranges, absent, method = _divide(key, count, max_rows, notes)
    rows = ranges[0].rows + absent
    if len(ranges) == 1 and (max_rows is None or rows <= max_rows):
        return Partitioning("single", (Partition(None, "all rows", rows=rows),), notes=tuple(notes))
    return _assemble(key, ranges, absent, max_rows, notes, method)


def partition_by_value(key: RangedKey, count: int, max_rows: int | None = None) -> Partitioning:
    """Half-open ranges of the staged values of a key, in the order that they have everywhere.

    Ranges are kept, so NULLs have their partition wherever there may be some later.
    """
    notes: list[str] = []
    if count <= 1 and max_rows is None:
        whole = Range(None, None, key.estimated_rows())
        return _assemble(key, [whole], 0, max_rows, notes, "single")
    ranges, absent, method = _divide(key, count, max_rows, notes)
    return _assemble(key, ranges, absent, max_rows, notes, method)


def split_by_value(key: RangedKey, low: Bound | None, high: Bound | None, max_rows: int) -> list[Partition]:
    """A range of staged values in pieces of at most `max_rows` rows, where its keys allow it; rows are counted."""
    pieces, _ = _limit_rows(key, [Range(low, high)], max_rows, [], with_absent=False)
    _prove_order(key, pieces)
    return [_partition(key, piece) for piece in pieces]


def _divide(key: RangedKey, count: int, max_rows: int | None, notes: list[str]) -> tuple[list[Range], int, str]:
    """The ranges, the rows without key, and the way of dividing."""
    arithmetic = _arithmetic_ranges(key, count, max_rows)
    if arithmetic is not None:
        ranges, absent, method = arithmetic, 0, "arithmetic ranges"
    else:
        ranges, absent, method = _sampled_ranges(key, count, max_rows)
        _prove_order(key, ranges)
        if max_rows is not None:
            ranges, absent = _limit_rows(key, ranges, max_rows, notes)
            _prove_order(key, ranges)
        if not key.indexed and len(ranges) > 1:
            notes.append(
                "no index begins with the key, so every partition reads the whole table: "
                "partitions by physical location read it once"
            )
    return ranges, absent, method


def _assemble(
    key: RangedKey, ranges: Sequence[Range], absent: int, max_rows: int | None, notes: list[str], method: str
) -> Partitioning:
    partitions = [_partition(key, part) for part in ranges]
    if key.absent is not None:
        if max_rows is not None and absent > max_rows:
            notes.append(f"{absent} rows have no key: more than max_rows, and nothing to divide them by")
        partitions.append(Partition(key.absent, key.absent_description, rows=absent, absent=True))
    return Partitioning(method, tuple(partitions), notes=tuple(notes))


def _partition(key: RangedKey, part: Range) -> Partition:
    return Partition(
        key.within(part),
        key.describe(part),
        part.low,
        part.high,
        part.rows,
        None if part.high is None else key.below(part.high),
    )


def _arithmetic_ranges(key: RangedKey, count: int, max_rows: int | None) -> list[Range] | None:
    """Ranges of equal width over a unique, dense integer key; None when the key is something else.

    With a filter the key's values may lie in one corner, which a sample shows and arithmetic doesn't.
    """
    table = key.table
    names = tuple(column.name for column in key.columns)
    unique = names == table.primary_key or names in table.unique_keys
    if key.where is not None or not unique or key.nullable or not table.estimated_rows or not key.is_whole():
        return None
    extremes = key.extremes()
    if extremes is None:
        return None
    low, high = extremes
    span = high - low + 1
    if span > _DENSE_SPAN * table.estimated_rows:
        return None
    # Unique values: a range of `max_rows` values never holds more rows, however wrong the estimate is.
    pieces = max(count, 1) if max_rows is None else math.ceil(span / max_rows)
    width = max(1, math.ceil(span / pieces))
    starts = [(str(start),) for start in range(low + width, high + 1, width)]
    rows = math.ceil(table.estimated_rows * min(1.0, width / span))
    return [replace(part, rows=rows) for part in _between(None, starts, None)]


def _between(low: Bound | None, inner: Sequence[Bound], high: Bound | None) -> list[Range]:
    """The ranges that the inner bounds make of one."""
    edges = [low, *inner, high]
    return [Range(start, end) for start, end in itertools.pairwise(edges)]


def _sampled_ranges(key: RangedKey, count: int, max_rows: int | None) -> tuple[list[Range], int, str]:
    """Ranges that a sample holds to be of equal size, the estimated rows without key, and what was sampled."""
    estimate = key.estimated_rows()
    pieces = count if max_rows is None else max(count, math.ceil(estimate / (_FILL * max_rows)))
    pieces = max(1, min(pieces, MOST_SAMPLED_ROWS // FEWEST_SAMPLED_ROWS_PER_RANGE))
    found = key.quantiles(pieces, estimate, exact=max_rows is not None)
    bounds = found.bounds.get(0, [])
    ranges = _between(None, [bound for bound, _ in bounds], None)
    scale = estimate / found.sampled if found.sampled else 0.0
    edges = [0, *(before for _, before in bounds), found.sampled - found.absent]
    sizes = [math.ceil((end - start) * scale) for start, end in itertools.pairwise(edges)]
    weighted = [replace(part, rows=rows) for part, rows in zip(ranges, sizes, strict=True)]
    return weighted, math.ceil(found.absent * scale), found.method


def _prove_order(key: RangedKey, ranges: Sequence[Range]) -> None:
    bounds = [part.low for part in ranges if part.low is not None]
    if len(bounds) >= 2:
        key.prove(bounds)


def _limit_rows(
    key: RangedKey, ranges: Sequence[Range], max_rows: int, notes: list[str], *, with_absent: bool = True
) -> tuple[list[Range], int]:
    """The ranges with their rows counted, and those that are too large split until none is or can be."""
    current, absent = list(ranges), 0
    for round_ in range(_MOST_ROUNDS):
        current, found_absent = _count(key, current, with_absent=with_absent and round_ == 0)
        absent = max(absent, found_absent)
        large = [part for part in current if part.rows > max_rows and not part.undivided]
        if not large:
            break
        split = _split(key, large, max_rows)
        current = [piece for part in current for piece in split.get((part.low, part.high), [part])]
    else:
        current, _ = _count(key, current, with_absent=False)
    for part in current:
        if part.rows > max_rows:
            reason = part.undivided or "its keys could not be divided further"
            notes.append(f"{part.rows} rows, more than max_rows, in {key.describe(part)}: {reason}")
    return _without_empty(current), absent


def _count(key: RangedKey, ranges: Sequence[Range], *, with_absent: bool) -> tuple[list[Range], int]:
    """The ranges with exact rows, and the rows without key."""
    open_ranges = [part for part in ranges if not part.counted]
    if not open_ranges and not (with_absent and key.absent):
        return list(ranges), 0
    counts, absent = key.count(open_ranges, with_absent=with_absent)
    exact = iter(replace(part, rows=rows, counted=True) for part, rows in zip(open_ranges, counts, strict=True))
    return [part if part.counted else next(exact) for part in ranges], absent


def _split(
    key: RangedKey, large: Sequence[Range], max_rows: int
) -> dict[tuple[Bound | None, Bound | None], list[Range]]:
    """The pieces of each range that has too many rows, by a sample of them all in one scan."""
    total = sum(part.rows for part in large)
    share = min(1.0, MOST_SAMPLED_ROWS / total)
    fill = 1.0 if share == 1 else _FILL
    most = max(2, MOST_SAMPLED_ROWS // FEWEST_SAMPLED_ROWS_PER_RANGE // len(large))
    pieces = {number: min(math.ceil(part.rows / (fill * max_rows)), most) for number, part in enumerate(large)}
    found = key.split(large, pieces, share)
    split: dict[tuple[Bound | None, Bound | None], list[Range]] = {}
    for number, part in enumerate(large):
        bounds = [bound for bound, _ in found.bounds.get(number, [])]
        split[part.low, part.high] = _between(part.low, bounds, part.high) if bounds else _split_first_key(key, part)
    return split


def _split_first_key(key: RangedKey, part: Range) -> list[Range]:
    """The rows of the range's first key apart from the others; the range itself when it has one key only."""
    bound = key.second_key(part)
    if bound is None:
        return [replace(part, undivided=_ONE_KEY)]
    if not key.is_bound(bound):
        return [replace(part, undivided=_NO_FORM)]
    return [Range(part.low, bound, undivided=_ONE_KEY), Range(bound, part.high)]


def _without_empty(ranges: Sequence[Range]) -> list[Range]:
    """The same ranges with those that hold no row joined to a neighbour."""
    kept: list[Range] = []
    low = ranges[0].low
    for part in ranges:
        if part.rows == 0 and kept:
            kept[-1] = replace(kept[-1], high=part.high)
        elif part.rows:
            kept.append(replace(part, low=low if not kept else part.low))
    return kept or [Range(low, ranges[-1].high, counted=True)]


def _tuple_text(values: Sequence[str]) -> str:
    shown = [value if len(value) <= 40 else f"{value[:39]}…" for value in values]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
