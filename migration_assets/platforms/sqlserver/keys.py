"""Partitions by key: SQL Server's SQL for `platforms/key_ranges.py`.

    a statistic with enough steps: its histogram ─┐
    else a table: a sample of its pages ──────────┼─► quantiles ─► ranges
    else: one pass that takes rows by chance ─────┘

Keys are compared as their columns are, or as the values that are staged, in an order that targets have, too
(`key_parts.py`). T-SQL can't compare rows: a key of several columns is compared one after the other, the first column
always, so that an index is sought by it: `a >= 1 AND (a > 1 OR b >= 2)`. No query sorts more than a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migration_assets.platforms import key_ranges
from migration_assets.platforms.base import (
    Bound,
    KeyColumn,
    Partition,
    Partitioning,
    PlatformError,
    QueryRunner,
    Row,
    SourceColumn,
    SourceTable,
)
from migration_assets.platforms.canonical_sql import number_of
from migration_assets.platforms.key_ranges import FEWEST_SAMPLED_ROWS_PER_RANGE, Quantiles, Range, RangedKey
from migration_assets.platforms.sqlserver import histograms, sql, values
from migration_assets.platforms.sqlserver.catalogue import estimate_rows
from migration_assets.platforms.sqlserver.counting import MOST_SEPARATE, Branch, count_in_one_pass, count_separately
from migration_assets.platforms.sqlserver.indexes import KeyFacts, read_facts
from migration_assets.platforms.sqlserver.key_parts import KeyPart, column_part, value_parts

_PAGE_BYTES = 8192
_SAMPLED_PAGES = 1024
_SAMPLED_PAGES_PER_RANGE = 16
_MOST_SAMPLED_PAGES = 8192
_SAMPLED_ROWS = 60_000
_SCANNED_SAMPLE_ROWS = 20_000
_FEWEST_ROWS_PER_RANGE = 10
_FEWEST_FILTERED_ROWS_PER_RANGE = 100
_SAMPLE_SEED = 42
_SAMPLED_KINDS = ("table", "partitioned table")
_MOST_NAMED_BOUNDS = 3000
"""Comparisons in one statement: an expression has 65,535 identifiers and constants at most."""

_EXTREMES = """\
SELECT CAST((SELECT MIN({column}) FROM {relation}) AS decimal(38, 0)) AS low,
       CAST((SELECT MAX({column}) FROM {relation}) AS decimal(38, 0)) AS high"""

# Each part of the sample is cut into its pieces: a key begins a piece when the rows before it cross a piece's border.
# A key that fills a piece alone begins one as well, so that skew is shut in. The first key of a part begins nothing.
# The sample is named once: SQL Server would read it again wherever else it was named, and other rows by chance. The
# first row is there in every case, for the sums.
_QUANTILES = """\
WITH sample AS ({sample}),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, {keys}, COUNT_BIG(*) AS size,
           CASE WHEN {absent} THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES {pieces}) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, {keys}
),
placed AS (
    SELECT part, pieces, {keys}, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY {keys} ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY {keys}) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, {keys}) AS place
    FROM grouped
),
numbered AS (
    SELECT part, {keys}, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, {texts} FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place"""
_SAMPLE = "SELECT {part} AS part, {columns} FROM {relation}{tablesample}{where}"
_TABLESAMPLE = " TABLESAMPLE SYSTEM ({percent} PERCENT) REPEATABLE ({seed})"

# Asked of every row, because it has a column of it; to take the first rows by a random order would sort them all.
_BY_CHANCE = "CHECKSUM(NEWID(), {column}) & 2147483647 < {share}"
_CERTAIN = 2**31

_DISORDER = """\
WITH bounds(number, {keys}) AS (
    SELECT 0, {columns} FROM {relation} WHERE 1 = 0
    UNION ALL SELECT number, {keys} FROM (VALUES {values}) AS given(number, {keys})
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT ({rises})"""

_SUCCESSOR = """\
WITH first AS (SELECT TOP (1) {columns} FROM {relation}{where} ORDER BY {keys})
SELECT TOP (1) {texts}
FROM (SELECT {columns} FROM {relation}{where}) AS candidate CROSS JOIN first
WHERE {follows}
ORDER BY {candidates}"""


@dataclass(frozen=True)
class _Key(RangedKey):
    """The key columns, in order, and what every query about them needs."""

    parts: tuple[KeyPart, ...]
    facts: KeyFacts

    # -- conditions ---------------------------------------------------------------------------------

    def quote(self, column: SourceColumn) -> str:
        return sql.quote(column.name)

    def is_bound(self, bound: Bound) -> bool:
        return all(part.is_bound(text) for text, part in zip(bound, self.parts, strict=True))

    def at_least(self, bound: Bound) -> str:
        return _beyond(self._expressions, self._literals(bound), ">", ">=")

    def below(self, bound: Bound) -> str:
        return _beyond(self._expressions, self._literals(bound), "<", "<")

    # -- questions ----------------------------------------------------------------------------------

    def estimated_rows(self) -> int:
        # An external table has no rows in the catalogue, and of nothing known a sample could be all of it.
        is_unknown = not self.table.estimated_rows and self.table.kind not in _SAMPLED_KINDS
        return estimate_rows(self.run, self.table, self.where or ("1 = 1" if is_unknown else None))

    def is_whole(self) -> bool:
        first = self.columns[0]
        has_fraction = first.base_type in values.DECIMALS and (*first.type_arguments, 0, 0)[1] > 0
        is_number = first.base_type in (*values.WHOLE_NUMBERS, *values.DECIMALS)
        return len(self.parts) == 1 and is_number and not has_fraction and self.parts[0].is_column

    def extremes(self) -> tuple[int, int] | None:
        found = self.run(sql.fill(_EXTREMES, column=self._expressions[0], relation=self._relation))[0]
        return None if found["low"] is None else (int(str(found["low"])), int(str(found["high"])))

    def quantiles(self, pieces: int, estimate: int, *, exact: bool) -> Quantiles:
        histogram = None if exact else self.histogram(pieces)
        if histogram is not None:
            return histogram
        pages = min(max(_SAMPLED_PAGES, _SAMPLED_PAGES_PER_RANGE * pieces), _MOST_SAMPLED_PAGES)
        share = min(
            1.0,
            pages / max(self.table.bytes // _PAGE_BYTES, 1),
            max(_SAMPLED_ROWS, FEWEST_SAMPLED_ROWS_PER_RANGE * pieces) / max(self.table.estimated_rows, 1),
        )
        if self.table.kind in _SAMPLED_KINDS:
            percent = f"{100 * share:.6f}"
            tablesample = sql.fill(_TABLESAMPLE, percent=percent, seed=_SAMPLE_SEED) if share < 1 else ""
            where = sql.where_clause(self.where)
            found = self._quantiles(self._sample(tablesample=tablesample, where=where), {0: pieces})
            # The filter may leave too little of the sampled pages, or its rows may lie together in few of them.
            fewest = _FEWEST_ROWS_PER_RANGE if self.where is None else _FEWEST_FILTERED_ROWS_PER_RANGE
            if share == 1 or found.sampled >= fewest * pieces:
                return found
        rows = max(_SCANNED_SAMPLE_ROWS, FEWEST_SAMPLED_ROWS_PER_RANGE * pieces)
        where = sql.where_clause(self.where, self._by_chance(rows / max(estimate, 1)))
        return self._quantiles(self._sample(where=where), {0: pieces})

    def histogram(self, pieces: int) -> Quantiles | None:
        """The bounds by a statistic of the key's one column; None when there is none that says enough."""
        if not self.facts.has_histograms or self.where is not None or len(self.parts) > 1:
            return None
        return histograms.read_quantiles(self.run, self.facts.object_id, self.parts[0], pieces)

    def split(self, ranges: Sequence[Range], pieces: Mapping[int, int], share: float) -> Quantiles:
        bounds: dict[int, Sequence[tuple[Bound, int]]] = {}
        for first, batch in self._batches(ranges):
            part, places = self._part_number(batch)
            where = sql.where_clause(self._around(batch), self.where, self._by_chance(share))
            wanted = {place: pieces[first + number] for number, place in enumerate(places)}
            found = self._quantiles(self._sample(part=part, where=where), wanted)
            bounds |= {first + number: found.bounds.get(place, ()) for number, place in enumerate(places)}
        return Quantiles(0, 0, bounds)

    def second_key(self, part: Range) -> Bound | None:
        candidates, first = self._prefixed("candidate."), self._prefixed("first.")
        found = self.run(
            sql.fill(
                _SUCCESSOR,
                columns=self._selected,
                relation=self._relation,
                where=sql.where_clause(self.within(part), self.where),
                keys=self._keys,
                candidates=", ".join(candidates),
                follows=_beyond(candidates, first, ">", ">"),
                texts=self._texts(candidates),
            )
        )
        return self._bound(found[0]) if found else None

    def count(self, ranges: Sequence[Range], *, with_absent: bool) -> tuple[list[int], int]:
        branches = [Branch(number, self.within(part)) for number, part in enumerate(ranges)]
        absent = [Branch(len(ranges), self.absent)] if with_absent and self.absent is not None else []
        name = self.table.name
        if self._is_sought and len(branches) <= MOST_SEPARATE:
            counts = count_separately(self.run, name, self.where, branches + absent)
        elif with_absent and len(list(self._batches(ranges))) == 1:
            # They are all of the rows.
            counts = count_in_one_pass(self.run, name, None, self.where, self._part_number(ranges)[0])
        else:
            counts = count_separately(self.run, name, self.where, absent)
            for first, batch in self._batches(ranges):
                part, places = self._part_number(batch)
                found = count_in_one_pass(self.run, name, self._around(batch), self.where, part)
                counts |= {first + number: found.get(place, 0) for number, place in enumerate(places)}
        return [counts.get(number, 0) for number in range(len(ranges))], counts.get(len(ranges), 0)

    def prove(self, bounds: Sequence[Bound]) -> None:
        for start in range(0, len(bounds) - 1, _MOST_NAMED_BOUNDS):
            chunk = bounds[start : start + _MOST_NAMED_BOUNDS + 1]
            rows = (", ".join([str(number), *self._literals(bound)]) for number, bound in enumerate(chunk, 1))
            disorder = self.run(
                sql.fill(
                    _DISORDER,
                    keys=self._keys,
                    columns=", ".join(map(_collated, self.parts)),
                    relation=self._relation,
                    values=", ".join(f"({row})" for row in rows),
                    rises=_beyond(self._prefixed("low."), self._prefixed("high."), "<", "<"),
                )
            )[0]
            if disorder["pairs"]:
                types = ", ".join(f"{column.name} ({column.native_type})" for column in self.columns)
                raise PlatformError(
                    f"{self.table.name} can't be partitioned by {types}: its keys, written in a condition, are not "
                    "in the order that they were found in. Choose another key, or partition by physical location."
                )

    # -- pieces of SQL ------------------------------------------------------------------------------

    @property
    def _relation(self) -> str:
        return sql.relation(self.table.name)

    @property
    def _expressions(self) -> list[str]:
        """What is compared, over the table."""
        return [part.expression for part in self.parts]

    @property
    def _names(self) -> list[str]:
        return [f"k{number}" for number in range(1, len(self.parts) + 1)]

    @property
    def _keys(self) -> str:
        """Names for what is compared inside of queries: `k1, k2`."""
        return ", ".join(self._names)

    @property
    def _selected(self) -> str:
        return ", ".join(f"{part.expression} AS {name}" for name, part in zip(self._names, self.parts, strict=True))

    @property
    def _is_sought(self) -> bool:
        """Whether a range of the key is read by an index alone, or with the rest of its rows beside it."""
        names = [column.name for column in self.columns]
        covering = (index for index in self.facts.indexes if self.where is None or index.clustered)
        return self.indexed and any(index.begins_with(names) for index in covering)

    def _prefixed(self, prefix: str) -> list[str]:
        return [prefix + name for name in self._names]

    def _texts(self, keys: Sequence[str]) -> str:
        """The texts of a bound, as `_bound` reads them."""
        texts = (part.text(value) for part, value in zip(self.parts, keys, strict=True))
        return ", ".join(f"{text} AS t{number}" for number, text in enumerate(texts, 1))

    def _bound(self, row: Row) -> Bound:
        return tuple(part.read(row[f"t{number}"]) for number, part in enumerate(self.parts, 1))

    def _literals(self, bound: Bound) -> list[str]:
        return [part.literal(text) for text, part in zip(bound, self.parts, strict=True)]

    def _by_chance(self, share: float) -> str | None:
        if share >= 1:
            return None
        return sql.fill(_BY_CHANCE, column=sql.quote(self.columns[0].name), share=max(1, round(_CERTAIN * share)))

    def _batches(self, ranges: Sequence[Range]) -> list[tuple[int, Sequence[Range]]]:
        """The ranges in parts that one statement can name, with the place of the first one of each."""
        most = max(1, _MOST_NAMED_BOUNDS // (2 * len(self.parts) - 1))
        return [(start, ranges[start : start + most]) for start in range(0, max(len(ranges), 1), most)]

    def _around(self, ranges: Sequence[Range]) -> str | None:
        """The rows from the first range to the last one."""
        return self.within(Range(ranges[0].low, ranges[-1].high))

    def _part_number(self, ranges: Sequence[Range]) -> tuple[str, list[int]]:
        """SQL for the place of a row among the ranges and the gaps between them, and the places of the ranges.

        Rows without key have the place behind the last one: that of the ranges' number, where they have no gaps.
        """
        bounds: list[Bound] = []
        places: list[int] = []
        for part in ranges:
            if part.low is not None and (not bounds or bounds[-1] != part.low):
                bounds.append(part.low)
            places.append(len(bounds))
            if part.high is not None:
                bounds.append(part.high)
        return number_of([self.below(bound) for bound in bounds], self.absent, sql.DEEPEST_CASE), places

    def _sample(self, *, part: str = "0", tablesample: str = "", where: str = "") -> str:
        return sql.fill(
            _SAMPLE,
            part=part,
            columns=self._selected,
            relation=self._relation,
            tablesample=tablesample,
            where=where,
        )

    def _quantiles(self, sample: str, pieces: Mapping[int, int]) -> Quantiles:
        rows = self.run(
            sql.fill(
                _QUANTILES,
                sample=sample,
                pieces=", ".join(f"({part}, {number})" for part, number in pieces.items()),
                keys=self._keys,
                absent=" OR ".join(f"{name} IS NULL" for name in self._names),
                texts=self._texts(self._names),
            )
        )
        bounds: dict[int, list[tuple[Bound, int]]] = {}
        for row in rows:
            if row["begins"] and self.is_bound(bound := self._bound(row)):
                bounds.setdefault(int(str(row["part"])), []).append((bound, int(str(row["before"]))))
        sums = (int(str(rows[0]["sampled"])), int(str(rows[0]["absent"]))) if rows else (0, 0)
        return Quantiles(*sums, bounds)


def _collated(part: KeyPart) -> str:
    """What is compared, in its collation whatever it meets: a literal of a list may bring the database's."""
    is_text = part.is_column and part.type.base_type in values.TEXTS and part.type.collation is not None
    return f"{part.expression} COLLATE {part.type.collation}" if is_text else part.expression


def _beyond(keys: Sequence[str], bound: Sequence[str], strict: str, last: str) -> str:
    """Whether a key lies on one side of a bound, in the order of its columns; each is first compared for itself."""
    if len(keys) == 1:
        return f"{keys[0]} {last} {bound[0]}"
    rest = _beyond(keys[1:], bound[1:], strict, last)
    return f"{keys[0]} {strict[0]}= {bound[0]} AND ({keys[0]} {strict} {bound[0]} OR {rest})"


def partition_by_key(
    run: QueryRunner,
    table: SourceTable,
    columns: Sequence[str],
    where: str | None,
    count: int,
    max_rows: int | None = None,
) -> Partitioning:
    """As `key_ranges.partition_by_key`. A key of several columns is divided by its first one, where its statistics do.

    Raises:
        PlatformError: a key column doesn't exist, or has no order or no literals.
    """
    parts = tuple(column_part(table.name, column) for column in key_ranges.key_columns(table, columns))
    facts = read_facts(run, table.name)
    key = _key(run, table, parts, where, facts)
    if len(parts) > 1 and count > 1 and max_rows is None:
        leading = _key(run, table, parts[:1], where, facts)
        found = leading.histogram(count)
        if found is not None and len(found.bounds[0]) >= count - 1:
            key = leading
    return key_ranges.partition_by_key(key, count, max_rows)


def partition_by_value(
    run: QueryRunner,
    table: SourceTable,
    keys: Sequence[KeyColumn],
    where: str | None,
    count: int,
    max_rows: int | None = None,
) -> Partitioning:
    """As `key_ranges.partition_by_value`.

    Raises:
        PlatformError: there is no key, or it has a column whose order isn't the same everywhere.
    """
    key = _key(run, table, value_parts(table.name, keys), where, read_facts(run, table.name))
    return key_ranges.partition_by_value(key, count, max_rows)


def split_by_value(
    run: QueryRunner,
    table: SourceTable,
    keys: Sequence[KeyColumn],
    where: str | None,
    low: Bound | None,
    high: Bound | None,
    max_rows: int,
) -> list[Partition]:
    """As `key_ranges.split_by_value`.

    Raises:
        PlatformError: there is no key, or it has a column whose order isn't the same everywhere.
    """
    key = _key(run, table, value_parts(table.name, keys), where, read_facts(run, table.name))
    return key_ranges.split_by_value(key, low, high, max_rows)


def prove_order(
    run: QueryRunner, table: SourceTable, column: SourceColumn, bounds: Sequence[str], facts: KeyFacts
) -> None:
    """Asks the server whether values of a column rise, as conditions compare them.

    Raises:
        PlatformError: they don't, or the column has no literals.
    """
    if len(bounds) >= 2:
        key = _key(run, table, (column_part(table.name, column),), None, facts)
        key.prove([(bound,) for bound in bounds])


def _key(run: QueryRunner, table: SourceTable, parts: tuple[KeyPart, ...], where: str | None, facts: KeyFacts) -> _Key:
    columns = tuple(part.column for part in parts)
    names = [column.name for column in columns]
    return _Key(
        run=run,
        table=table,
        where=where,
        columns=columns,
        nullable=tuple(column for column in columns if column.name not in facts.not_null),
        indexed=all(part.is_column for part in parts) and any(index.begins_with(names) for index in facts.indexes),
        parts=parts,
        facts=facts,
    )
