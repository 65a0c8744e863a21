"""Partitions by key: half-open ranges, open at both ends, and the rows whose key is NULL.

    dense unique integers: min and max from the index ─► arithmetic ranges
    everything else:       a sample of blocks ─► its quantiles ─► ranges ─► (max_rows) counted, split

Keys are compared as their columns are, or as the values that are staged, in an order that targets have, too
(`key_parts.py`). No query sorts more than a sample. Every set of bounds is proved before it is used: the server
compares neighbours with the operator that the predicates use, in the same collation. Bounds that rise strictly
in a total order make ranges that are disjoint and that cover all keys, whatever the sample was.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from migration_assets.platforms.base import (
    Bound,
    KeyColumn,
    Partition,
    Partitioning,
    PlatformError,
    QueryRunner,
    SourceColumn,
    SourceTable,
)
from migration_assets.platforms.canonical_sql import number_of
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.postgresql.catalogue import explain_rows
from migration_assets.platforms.postgresql.counting import (
    Branch,
    count_in_one_pass,
    count_separately,
    separate_counts_are_cheaper,
)
from migration_assets.platforms.postgresql.errors import unknown_columns
from migration_assets.platforms.postgresql.key_parts import KeyPart, column_part, value_parts

_SAMPLED_BLOCKS = 1024
_SAMPLED_BLOCKS_PER_RANGE = 16
_MOST_SAMPLED_BLOCKS = 8192
_SAMPLED_ROWS = 60_000
_MOST_SAMPLED_ROWS = 150_000
_SCANNED_SAMPLE_ROWS = 20_000
_FEWEST_SAMPLED_ROWS_PER_RANGE = 20
_FEWEST_FILTERED_ROWS_PER_RANGE = 100
_SAMPLE_SEED = 42
_DENSE_SPAN = 1.5
_FILL = 0.8
"""Ranges made by a sample aim at this share of `max_rows`, so that few of them have to be split."""

_MOST_ROUNDS = 40
_KEY_PRESENT = "key is not null"
_SAMPLED_KINDS = ("table", "partitioned table", "materialized view")
_INTEGER_TYPES = ("smallint", "integer", "bigint")

# A NOT NULL counts only where it holds for every row that is read. A domain's doesn't: PostgreSQL's
# documentation of CREATE DOMAIN shows how such a column comes to hold NULL.
_FACTS = """\
WITH RECURSIVE relation AS (
    SELECT c.oid, c.relkind
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relname = {table}
), leaves AS (
    SELECT oid AS relid FROM relation
    UNION
    SELECT i.inhrelid FROM leaves l JOIN pg_catalog.pg_inherits i ON i.inhparent = l.relid
), key AS (
    SELECT k.position, a.attnum, a.attname, a.attnotnull AND (r.relkind = 'p' OR r.relkind = 'r'
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = r.oid))
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint v
                           WHERE v.conrelid = r.oid AND v.contype = 'n' AND NOT v.convalidated
                             AND v.conkey = ARRAY[a.attnum]) AS not_null
    FROM relation r, pg_catalog.unnest({columns}::text[]) WITH ORDINALITY k(name, position)
    JOIN pg_catalog.pg_attribute a ON a.attname = k.name
    WHERE a.attrelid = r.oid AND a.attnum > 0
)
SELECT (SELECT pg_catalog.json_agg(attname) FROM key WHERE not_null)::text AS not_null,
       (SELECT coalesce(sum(pg_catalog.pg_relation_size(c.oid)), 0)::bigint
        FROM leaves l JOIN pg_catalog.pg_class c ON c.oid = l.relid WHERE c.relkind IN ('r', 'm', 'p'))
       / pg_catalog.current_setting('block_size')::bigint AS blocks,
       EXISTS (SELECT FROM pg_catalog.pg_index i
               JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
               JOIN pg_catalog.pg_am am ON am.oid = x.relam
               WHERE i.indrelid = (SELECT oid FROM relation) AND i.indisvalid AND i.indpred IS NULL
                 AND am.amname = 'btree'
                 AND (i.indkey::int2[])[0:{length} - 1]
                     = (SELECT pg_catalog.array_agg(attnum ORDER BY position) FROM key){collated}
       ) AS indexed"""
_BY_BYTES = """
                 AND i.indcollation[{place}] = (SELECT c.oid FROM pg_catalog.pg_collation c
                                            WHERE c.collname = 'C' AND c.collnamespace = 11)"""

_EXTREMES = "SELECT min({column})::bigint AS low, max({column})::bigint AS high FROM {relation}"

# Each part of the sample is cut into its pieces: a key begins a piece when the rows before it cross a
# piece's border. A key that fills a piece alone begins one as well, so that skew is shut in. The first key
# of a part begins nothing.
_QUANTILES = """\
WITH sample AS ({sample}),
parts(part, pieces) AS (VALUES {pieces}),
grouped AS (
    SELECT part, {keys}, count(*) AS rows FROM sample WHERE {present} GROUP BY part, {keys}
), placed AS (
    SELECT *, (sum(rows) OVER before_and_this)::bigint - rows AS before,
           lag(rows) OVER before_and_this AS rows_of_previous
    FROM grouped WINDOW before_and_this AS (PARTITION BY part ORDER BY {keys} ROWS UNBOUNDED PRECEDING)
), totals AS (
    SELECT part, count(*) AS total FROM sample WHERE {present} GROUP BY part
), numbered AS (
    SELECT *, before * pieces / total AS piece, (before - rows_of_previous) * pieces / total AS previous
    FROM placed JOIN totals USING (part) JOIN parts USING (part)
)
SELECT (SELECT count(*) FROM sample) AS sampled,
       (SELECT count(*) FROM sample WHERE {absent}) AS absent,
       (SELECT json_agg(json_build_array(part, before, {texts}) ORDER BY part, {keys}) FROM numbered
        WHERE piece > previous OR (rows * pieces >= total AND previous IS NOT NULL))::text AS bounds"""
_SAMPLE = "SELECT {part} AS part, {columns} FROM {relation}{tablesample}{where}{end}"
_TABLESAMPLE = " TABLESAMPLE SYSTEM ({percent}) REPEATABLE ({seed})"
_RANDOM_ROWS = " ORDER BY random() LIMIT {rows}"

_DISORDER = """\
WITH bounds(number, {keys}) AS (
    SELECT 0, {columns} FROM {relation} WHERE false UNION ALL VALUES {values}
)
SELECT count(*) AS pairs FROM bounds low JOIN bounds high ON high.number = low.number + 1
WHERE ({low} < {high}) IS NOT TRUE"""

_SUCCESSOR = """\
WITH first AS (SELECT {columns} FROM {relation}{where} ORDER BY {keys} LIMIT 1),
next AS (SELECT {candidates} FROM (SELECT {columns} FROM {relation}{where}) AS candidate, first
         WHERE {candidate} > {first} ORDER BY {candidates} LIMIT 1)
SELECT json_build_array({texts})::text AS bound FROM next"""


@dataclass(frozen=True)
class _Key:
    """The key columns, in order, and what every query about them needs."""

    table: SourceTable
    parts: tuple[KeyPart, ...]
    nullable: tuple[SourceColumn, ...]
    indexed: bool
    blocks: int

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        return tuple(part.column for part in self.parts)

    @property
    def compared(self) -> str:
        """What is compared, over the table."""
        return ", ".join(part.expression for part in self.parts)

    @property
    def aliases(self) -> str:
        """Names for what is compared inside of queries: `k1, k2`."""
        return ", ".join(f"k{number}" for number in range(1, len(self.parts) + 1))

    @property
    def selected(self) -> str:
        return ", ".join(f"{part.expression} AS k{number}" for number, part in enumerate(self.parts, 1))

    @property
    def texts(self) -> str:
        """The aliases as the texts of a bound."""
        return ", ".join(sql.fill(part.text, value=f"k{number}") for number, part in enumerate(self.parts, 1))

    def row(self, prefix: str = "k") -> str:
        """The aliases as one value that compares."""
        names = [f"{prefix}{number}" for number in range(1, len(self.parts) + 1)]
        return f"({', '.join(names)})"

    def is_bound(self, texts: Bound) -> bool:
        return all(part.is_bound(text) for text, part in zip(texts, self.parts, strict=True))

    def literals(self, bound: Bound) -> str:
        return ", ".join(part.literal(text) for text, part in zip(bound, self.parts, strict=True))

    def below(self, bound: Bound) -> str:
        return f"({self.compared}) < ({self.literals(bound)})"

    def range_predicate(self, low: Bound | None, high: Bound | None) -> str | None:
        """The rows of a range; None for the range that is open at both ends, NULL keys included."""
        if low is None and high is None:
            return None
        conditions = [f"{sql.quote(column.name)} IS NOT NULL" for column in self.nullable]
        if low is not None:
            conditions.append(f"({self.compared}) >= ({self.literals(low)})")
        if high is not None:
            conditions.append(self.below(high))
        return " AND ".join(conditions)

    @property
    def present(self) -> str | None:
        """The rows that have a key; None when every row has one."""
        return " AND ".join(f"{sql.quote(column.name)} IS NOT NULL" for column in self.nullable) or None

    @property
    def absent(self) -> str | None:
        """The rows that have no key; None when every row has one."""
        return " OR ".join(f"{sql.quote(column.name)} IS NULL" for column in self.nullable) or None

    def describe_range(self, low: Bound | None, high: Bound | None) -> str:
        if low is None and high is None:
            return "all rows"
        key = _tuple_text([column.name for column in self.columns])
        if low is None:
            return f"{key} below {_tuple_text(high or ())}"
        return f"{key} from {_tuple_text(low)}" + (f" to {_tuple_text(high)}" if high is not None else "")

    @property
    def absent_description(self) -> str:
        return " or ".join(f"{column.name} is null" for column in self.nullable)


@dataclass(frozen=True)
class _Range:
    low: Bound | None
    high: Bound | None
    rows: int = 0
    counted: bool = False
    undivided: str | None = None
    """Why nothing is left to split, such as that the range holds one key's rows only."""


_ONE_KEY = "one key value"
_NO_FORM = "the key behind its first one has no form that a target reads"


def partition_by_key(
    run: QueryRunner,
    table: SourceTable,
    columns: Sequence[str],
    where: str | None,
    count: int,
    max_rows: int | None = None,
) -> Partitioning:
    """Half-open ranges of a key, about `count` of them, and a partition for NULLs where the key may be NULL.

    `max_rows` holds for every range at planning time, except where one key value alone has more rows: a note
    says so. A unique integer key that is dense gives the guarantee by arithmetic, any other by counting the
    rows of the ranges, in one pass or by index, whichever the planner holds cheaper.

    Raises:
        PlatformError: a key column doesn't exist or has no order.
    """
    key = _read_key(run, table, _column_parts(table, columns))
    if count <= 1 and max_rows is None:
        return Partitioning("single", (Partition(None, "all rows", rows=_estimate(run, table, where)),))
    notes: list[str] = []
    ranges, absent, method = _divide(run, key, where, count, max_rows, notes)
    rows = ranges[0].rows + absent
    if len(ranges) == 1 and (max_rows is None or rows <= max_rows):
        whole = Partition(None, key.describe_range(None, None), rows=rows)
        return Partitioning("single", (whole,), notes=tuple(notes))
    return _assemble(key, ranges, absent, max_rows, notes, method)


def partition_by_value(
    run: QueryRunner,
    table: SourceTable,
    keys: Sequence[KeyColumn],
    where: str | None,
    count: int,
    max_rows: int | None = None,
) -> Partitioning:
    """Half-open ranges of the staged values of a key, in the order that they have everywhere.

    Ranges are kept, so NULLs have their partition wherever there may be some later.

    Raises:
        PlatformError: there is no key, or it has a column whose order isn't the same everywhere.
    """
    key = _read_key(run, table, value_parts(table.name, keys))
    notes: list[str] = []
    if count <= 1 and max_rows is None:
        whole = _Range(None, None, _estimate(run, table, where))
        return _assemble(key, [whole], 0, max_rows, notes, "single")
    ranges, absent, method = _divide(run, key, where, count, max_rows, notes)
    return _assemble(key, ranges, absent, max_rows, notes, method)


def split_by_value(
    run: QueryRunner,
    table: SourceTable,
    keys: Sequence[KeyColumn],
    where: str | None,
    low: Bound | None,
    high: Bound | None,
    max_rows: int,
) -> list[Partition]:
    """A range of staged values in pieces of at most `max_rows` rows, where its keys allow it; rows are counted.

    Raises:
        PlatformError: there is no key, or it has a column whose order isn't the same everywhere.
    """
    key = _read_key(run, table, value_parts(table.name, keys))
    pieces, _ = _limit_rows(run, key, where, [_Range(low, high)], max_rows, [], with_absent=False)
    _prove_order(run, key, pieces)
    return [_partition(key, piece) for piece in pieces]


def _divide(
    run: QueryRunner, key: _Key, where: str | None, count: int, max_rows: int | None, notes: list[str]
) -> tuple[list[_Range], int, str]:
    """The ranges, the rows without key, and the way of dividing."""
    arithmetic = _arithmetic_ranges(run, key, where, count, max_rows)
    if arithmetic is not None:
        ranges, absent, method = arithmetic, 0, "arithmetic ranges"
    else:
        ranges, absent = _sampled_ranges(run, key, where, count, max_rows)
        method = "sampled ranges"
        _prove_order(run, key, ranges)
        if max_rows is not None:
            ranges, absent = _limit_rows(run, key, where, ranges, max_rows, notes)
            _prove_order(run, key, ranges)
        if not key.indexed and len(ranges) > 1:
            notes.append(
                "no index begins with the key, so every partition reads the whole table: "
                "partitions by physical location read it once"
            )
    return ranges, absent, method


def _assemble(
    key: _Key, ranges: Sequence[_Range], absent: int, max_rows: int | None, notes: list[str], method: str
) -> Partitioning:
    partitions = [_partition(key, part) for part in ranges]
    if key.absent is not None:
        if max_rows is not None and absent > max_rows:
            notes.append(f"{absent} rows have no key: more than max_rows, and nothing to divide them by")
        partitions.append(Partition(key.absent, key.absent_description, rows=absent, absent=True))
    return Partitioning(method, tuple(partitions), notes=tuple(notes))


def _partition(key: _Key, part: _Range) -> Partition:
    """A range as a partition; NULLs are apart, so the range that is open at both ends has to exclude them."""
    return Partition(
        key.range_predicate(part.low, part.high) or key.present,
        _described(key, part),
        part.low,
        part.high,
        part.rows,
        None if part.high is None else key.below(part.high),
    )


def _column_parts(table: SourceTable, names: Sequence[str]) -> tuple[KeyPart, ...]:
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
    return tuple(column_part(column) for column in columns)


def _read_key(run: QueryRunner, table: SourceTable, parts: tuple[KeyPart, ...]) -> _Key:
    columns = [part.column for part in parts]
    array = f"ARRAY[{', '.join(sql.literal(column.name) for column in columns)}]"
    facts = run(
        sql.fill(
            _FACTS,
            schema=sql.literal(table.name.schema),
            table=sql.literal(table.name.table),
            columns=array,
            length=len(columns),
            collated="".join(sql.fill(_BY_BYTES, place=place) for place, part in enumerate(parts) if part.by_bytes),
        )
    )[0]
    not_null = set(json.loads(str(facts["not_null"] or "[]")))
    return _Key(
        table=table,
        parts=parts,
        nullable=tuple(column for column in columns if column.name not in not_null),
        indexed=bool(facts["indexed"]) and all(part.is_column for part in parts),
        blocks=int(str(facts["blocks"])),
    )


def _estimate(run: QueryRunner, table: SourceTable, where: str | None) -> int:
    return table.estimated_rows if where is None else explain_rows(run, table.name, where)


def _arithmetic_ranges(
    run: QueryRunner, key: _Key, where: str | None, count: int, max_rows: int | None
) -> list[_Range] | None:
    """Ranges of equal width over a unique, dense integer key; None when the key is something else.

    With a filter the key's values may lie in one corner, which a sample shows and arithmetic doesn't.
    """
    table = key.table
    names = tuple(column.name for column in key.columns)
    unique = names == table.primary_key or names in table.unique_keys
    if where is not None or len(names) != 1 or not unique or key.nullable or not table.estimated_rows:
        return None
    if key.columns[0].base_type not in _INTEGER_TYPES or not key.parts[0].is_column:
        return None
    extremes = run(sql.fill(_EXTREMES, column=key.compared, relation=sql.relation(table.name)))[0]
    if extremes["low"] is None:
        return None
    low, high = int(str(extremes["low"])), int(str(extremes["high"]))
    span = high - low + 1
    if span > _DENSE_SPAN * table.estimated_rows:
        return None
    # Unique values: a range of `max_rows` values never holds more rows, however wrong the estimate is.
    pieces = max(count, 1) if max_rows is None else math.ceil(span / max_rows)
    width = max(1, math.ceil(span / pieces))
    starts = [(str(start),) for start in range(low + width, high + 1, width)]
    rows = math.ceil(table.estimated_rows * min(1.0, width / span))
    return [replace(part, rows=rows) for part in _between(None, starts, None)]


def _between(low: Bound | None, inner: Sequence[Bound], high: Bound | None) -> list[_Range]:
    """The ranges that the inner bounds make of one."""
    edges = [low, *inner, high]
    return [_Range(start, end) for start, end in itertools.pairwise(edges)]


def _sampled_ranges(
    run: QueryRunner, key: _Key, where: str | None, count: int, max_rows: int | None
) -> tuple[list[_Range], int]:
    """Ranges that a sample holds to be of equal size, and the estimated number of rows without key."""
    estimate = _estimate(run, key.table, where)
    pieces = count if max_rows is None else max(count, math.ceil(estimate / (_FILL * max_rows)))
    pieces = max(1, min(pieces, _MOST_SAMPLED_ROWS // _FEWEST_SAMPLED_ROWS_PER_RANGE))
    blocks = min(max(_SAMPLED_BLOCKS, _SAMPLED_BLOCKS_PER_RANGE * pieces), _MOST_SAMPLED_BLOCKS)
    share = min(
        1.0,
        blocks / max(key.blocks, 1),
        max(_SAMPLED_ROWS, _FEWEST_SAMPLED_ROWS_PER_RANGE * pieces) / max(key.table.estimated_rows, 1),
    )
    random_rows = sql.fill(_RANDOM_ROWS, rows=max(_SCANNED_SAMPLE_ROWS, _FEWEST_SAMPLED_ROWS_PER_RANGE * pieces))
    if key.table.kind in _SAMPLED_KINDS:
        percent = f"{100 * share:.6f}"
        tablesample = sql.fill(_TABLESAMPLE, percent=percent, seed=_SAMPLE_SEED) if share < 1 else ""
        sample = _sample(key, tablesample=tablesample, where=sql.where_clause(where))
        found = _quantiles(run, key, sample, {0: pieces})
        if share < 1 and found.sampled < _FEWEST_FILTERED_ROWS_PER_RANGE * pieces and where is not None:
            # The filter leaves too little of the sampled blocks, or its rows lie together in few of them.
            found = _quantiles(run, key, _sample(key, where=sql.where_clause(where), end=random_rows), {0: pieces})
    else:
        sample = _sample(key, where=sql.where_clause(where), end=random_rows)
        found = _quantiles(run, key, sample, {0: pieces})
    return _weighted(found, estimate)


def _weighted(found: _Quantiles, estimate: int) -> tuple[list[_Range], int]:
    """The ranges of the sample's one part, with the rows that the sample says they have."""
    bounds = found.bounds.get(0, [])
    ranges = _between(None, [bound for bound, _ in bounds], None)
    scale = estimate / found.sampled if found.sampled else 0.0
    edges = [0, *(before for _, before in bounds), found.sampled - found.absent]
    sizes = [math.ceil((end - start) * scale) for start, end in itertools.pairwise(edges)]
    weighted = [replace(part, rows=rows) for part, rows in zip(ranges, sizes, strict=True)]
    return weighted, math.ceil(found.absent * scale)


@dataclass(frozen=True)
class _Quantiles:
    """What a sample says: its rows, those without key, and per part the bounds with the rows before each."""

    sampled: int
    absent: int
    bounds: dict[int, list[tuple[Bound, int]]]


def _sample(key: _Key, *, part: str = "0", tablesample: str = "", where: str = "", end: str = "") -> str:
    return sql.fill(
        _SAMPLE,
        part=part,
        columns=key.selected,
        relation=sql.relation(key.table.name),
        tablesample=tablesample,
        where=where,
        end=end,
    )


def _quantiles(run: QueryRunner, key: _Key, sample: str, pieces: dict[int, int]) -> _Quantiles:
    names = [f"k{number}" for number in range(1, len(key.parts) + 1)]
    row = run(
        sql.fill(
            _QUANTILES,
            sample=sample,
            pieces=", ".join(f"({part}, {number})" for part, number in pieces.items()),
            keys=key.aliases,
            present=" AND ".join(f"{name} IS NOT NULL" for name in names),
            absent=" OR ".join(f"{name} IS NULL" for name in names),
            texts=key.texts,
        )
    )[0]
    bounds: dict[int, list[tuple[Bound, int]]] = {}
    for part, before, *texts in json.loads(str(row["bounds"] or "[]")):
        if key.is_bound(tuple(texts)):
            bounds.setdefault(part, []).append((tuple(texts), int(before)))
    return _Quantiles(int(str(row["sampled"])), int(str(row["absent"])), bounds)


def _prove_order(run: QueryRunner, key: _Key, ranges: Sequence[_Range]) -> None:
    """Raises PlatformError unless every bound is below the next by the operators that the predicates use.

    Operators are found by the search_path. A type whose schema is not on it may be compared as another type,
    in another order than the one that the index and the sample were sorted by.
    """
    bounds = [part.low for part in ranges if part.low is not None]
    if len(bounds) < 2:
        return
    disorder = run(
        sql.fill(
            _DISORDER,
            keys=key.aliases,
            columns=key.compared,
            relation=sql.relation(key.table.name),
            values=", ".join(f"({number}, {key.literals(bound)})" for number, bound in enumerate(bounds, 1)),
            low=key.row("low.k"),
            high=key.row("high.k"),
        )
    )[0]
    if disorder["pairs"]:
        types = ", ".join(f"{column.name} ({column.native_type})" for column in key.columns)
        raise PlatformError(
            f"{key.table.name} can't be partitioned by {types}: comparisons don't follow the order of the "
            f"type, because its operators are not on the search_path of the source's user. Add the type's "
            f"schema to the search_path, choose another key, or partition by physical location."
        )


def _limit_rows(
    run: QueryRunner,
    key: _Key,
    where: str | None,
    ranges: Sequence[_Range],
    max_rows: int,
    notes: list[str],
    *,
    with_absent: bool = True,
) -> tuple[list[_Range], int]:
    """The ranges with their rows counted, and those that are too large split until none is or can be."""
    current, absent = list(ranges), 0
    for round_ in range(_MOST_ROUNDS):
        current, found_absent = _count(run, key, where, current, with_absent=with_absent and round_ == 0)
        absent = max(absent, found_absent)
        large = [part for part in current if part.rows > max_rows and not part.undivided]
        if not large:
            break
        split = _split(run, key, where, large, max_rows)
        current = [piece for part in current for piece in split.get((part.low, part.high), [part])]
    else:
        current, _ = _count(run, key, where, current, with_absent=False)
    for part in current:
        if part.rows > max_rows:
            reason = part.undivided or "its keys could not be divided further"
            notes.append(f"{part.rows} rows, more than max_rows, in {_described(key, part)}: {reason}")
    return _without_empty(current), absent


def _count(
    run: QueryRunner, key: _Key, where: str | None, ranges: Sequence[_Range], *, with_absent: bool
) -> tuple[list[_Range], int]:
    """The ranges with exact rows, and the rows without key."""
    open_ranges = [part for part in ranges if not part.counted]
    branches = [
        Branch(number, key.range_predicate(part.low, part.high) or key.present or "true")
        for number, part in enumerate(open_ranges)
    ]
    absent = key.absent if with_absent else None
    if not branches and absent is None:
        return list(ranges), 0
    if absent is not None:
        branches.append(Branch(len(open_ranges), absent))
    name = key.table.name
    if key.indexed and separate_counts_are_cheaper(run, name, where, branches):
        counts = count_separately(run, name, where, branches)
    else:
        region = None if with_absent else " OR ".join(f"({branch.predicate})" for branch in branches)
        counts = count_in_one_pass(run, name, sql.all_of([region, where]), _part_number(key, open_ranges))
    exact = iter(replace(part, rows=counts.get(number, 0), counted=True) for number, part in enumerate(open_ranges))
    return [part if part.counted else next(exact) for part in ranges], counts.get(len(open_ranges), 0)


def _part_number(key: _Key, ranges: Sequence[_Range]) -> str:
    """SQL for the number of the range that a row is in; the rows must be of these ranges, or without key."""
    highs = [part.high for part in ranges[:-1]]
    return number_of([key.below(high) for high in highs if high is not None], key.absent)


def _split(
    run: QueryRunner, key: _Key, where: str | None, large: Sequence[_Range], max_rows: int
) -> dict[tuple[Bound | None, Bound | None], list[_Range]]:
    """The pieces of each range that has too many rows, by a sample of them all in one scan."""
    total = sum(part.rows for part in large)
    share = min(1.0, _MOST_SAMPLED_ROWS / total)
    fill = 1.0 if share == 1 else _FILL
    most = max(2, _MOST_SAMPLED_ROWS // _FEWEST_SAMPLED_ROWS_PER_RANGE // len(large))
    pieces = {number: min(math.ceil(part.rows / (fill * max_rows)), most) for number, part in enumerate(large)}
    region = " OR ".join(f"({key.range_predicate(part.low, part.high) or key.present or 'true'})" for part in large)
    chance = f"random() < {share:.9f}" if share < 1 else None
    sample = _sample(key, part=_part_number(key, large), where=sql.where_clause(region, where, chance))
    found = _quantiles(run, key, sample, pieces)
    split: dict[tuple[Bound | None, Bound | None], list[_Range]] = {}
    for number, part in enumerate(large):
        bounds = [bound for bound, _ in found.bounds.get(number, [])]
        split[part.low, part.high] = (
            _between(part.low, bounds, part.high) if bounds else _split_first_key(run, key, where, part)
        )
    return split


def _split_first_key(run: QueryRunner, key: _Key, where: str | None, part: _Range) -> list[_Range]:
    """The rows of the range's first key apart from the others; the range itself when it has one key only."""
    predicate = key.range_predicate(part.low, part.high) or key.present
    found = run(
        sql.fill(
            _SUCCESSOR,
            columns=key.selected,
            relation=sql.relation(key.table.name),
            where=sql.where_clause(predicate, where),
            keys=key.aliases,
            candidates=key.row("candidate.k")[1:-1],
            candidate=key.row("candidate.k"),
            first=key.row("first.k"),
            texts=key.texts,
        )
    )
    if not found:
        return [replace(part, undivided=_ONE_KEY)]
    bound = tuple(json.loads(str(found[0]["bound"])))
    if not key.is_bound(bound):
        return [replace(part, undivided=_NO_FORM)]
    return [_Range(part.low, bound, undivided=_ONE_KEY), _Range(bound, part.high)]


def _described(key: _Key, part: _Range) -> str:
    if key.nullable and part.low is None and part.high is None:
        return _KEY_PRESENT
    return key.describe_range(part.low, part.high)


def _without_empty(ranges: Sequence[_Range]) -> list[_Range]:
    """The same ranges with those that hold no row joined to a neighbour."""
    kept: list[_Range] = []
    low = ranges[0].low
    for part in ranges:
        if part.rows == 0 and kept:
            kept[-1] = replace(kept[-1], high=part.high)
        elif part.rows:
            kept.append(replace(part, low=low if not kept else part.low))
    return kept or [_Range(low, ranges[-1].high, counted=True)]


def _tuple_text(values: Sequence[str]) -> str:
    shown = [value if len(value) <= 40 else f"{value[:39]}…" for value in values]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
