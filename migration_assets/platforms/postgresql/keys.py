"""Partitions by key: PostgreSQL's SQL for `platforms/key_ranges.py`.

Keys are compared as their columns are, or as the values that are staged, in an order that targets have, too
(`key_parts.py`). No query sorts more than a sample: blocks of a table, rows by chance of a view.
"""

from __future__ import annotations

import json
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
    SourceColumn,
    SourceTable,
)
from migration_assets.platforms.canonical_sql import number_of
from migration_assets.platforms.key_ranges import FEWEST_SAMPLED_ROWS_PER_RANGE, Quantiles, Range, RangedKey
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.postgresql.catalogue import explain_rows
from migration_assets.platforms.postgresql.counting import (
    Branch,
    count_in_one_pass,
    count_separately,
    separate_counts_are_cheaper,
)
from migration_assets.platforms.postgresql.key_parts import KeyPart, column_part, value_parts

_SAMPLED_BLOCKS = 1024
_SAMPLED_BLOCKS_PER_RANGE = 16
_MOST_SAMPLED_BLOCKS = 8192
_SAMPLED_ROWS = 60_000
_SCANNED_SAMPLE_ROWS = 20_000
_FEWEST_FILTERED_ROWS_PER_RANGE = 100
_SAMPLE_SEED = 42
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
class _Key(RangedKey):
    """The key columns, in order, and what every query about them needs."""

    parts: tuple[KeyPart, ...]
    blocks: int

    # -- conditions ---------------------------------------------------------------------------------

    def quote(self, column: SourceColumn) -> str:
        return sql.quote(column.name)

    def is_bound(self, bound: Bound) -> bool:
        return all(part.is_bound(text) for text, part in zip(bound, self.parts, strict=True))

    def at_least(self, bound: Bound) -> str:
        return f"({self._compared}) >= ({self._literals(bound)})"

    def below(self, bound: Bound) -> str:
        return f"({self._compared}) < ({self._literals(bound)})"

    # -- questions ----------------------------------------------------------------------------------

    def estimated_rows(self) -> int:
        if self.where is None:
            return self.table.estimated_rows
        return explain_rows(self.run, self.table.name, self.where)

    def is_whole(self) -> bool:
        return len(self.parts) == 1 and self.columns[0].base_type in _INTEGER_TYPES and self.parts[0].is_column

    def extremes(self) -> tuple[int, int] | None:
        found = self.run(sql.fill(_EXTREMES, column=self._compared, relation=self._relation))[0]
        return None if found["low"] is None else (int(str(found["low"])), int(str(found["high"])))

    def quantiles(self, pieces: int, estimate: int, *, exact: bool) -> Quantiles:
        blocks = min(max(_SAMPLED_BLOCKS, _SAMPLED_BLOCKS_PER_RANGE * pieces), _MOST_SAMPLED_BLOCKS)
        share = min(
            1.0,
            blocks / max(self.blocks, 1),
            max(_SAMPLED_ROWS, FEWEST_SAMPLED_ROWS_PER_RANGE * pieces) / max(self.table.estimated_rows, 1),
        )
        if self.table.kind in _SAMPLED_KINDS:
            percent = f"{100 * share:.6f}"
            tablesample = sql.fill(_TABLESAMPLE, percent=percent, seed=_SAMPLE_SEED) if share < 1 else ""
            found = self._quantiles(
                self._sample(tablesample=tablesample, where=sql.where_clause(self.where)), {0: pieces}
            )
            # The filter may leave too little of the sampled blocks, or its rows may lie together in few of them.
            if share == 1 or self.where is None or found.sampled >= _FEWEST_FILTERED_ROWS_PER_RANGE * pieces:
                return found
        rows = max(_SCANNED_SAMPLE_ROWS, FEWEST_SAMPLED_ROWS_PER_RANGE * pieces)
        random_rows = sql.fill(_RANDOM_ROWS, rows=rows)
        return self._quantiles(self._sample(where=sql.where_clause(self.where), end=random_rows), {0: pieces})

    def split(self, ranges: Sequence[Range], pieces: Mapping[int, int], share: float) -> Quantiles:
        region = " OR ".join(f"({self.within(part) or 'true'})" for part in ranges)
        chance = f"random() < {share:.9f}" if share < 1 else None
        where = sql.where_clause(region, self.where, chance)
        return self._quantiles(self._sample(part=self._part_number(ranges), where=where), pieces)

    def second_key(self, part: Range) -> Bound | None:
        found = self.run(
            sql.fill(
                _SUCCESSOR,
                columns=self._selected,
                relation=self._relation,
                where=sql.where_clause(self.within(part), self.where),
                keys=self._aliases,
                candidates=self._row("candidate.k")[1:-1],
                candidate=self._row("candidate.k"),
                first=self._row("first.k"),
                texts=self._texts,
            )
        )
        return tuple(json.loads(str(found[0]["bound"]))) if found else None

    def count(self, ranges: Sequence[Range], *, with_absent: bool) -> tuple[list[int], int]:
        branches = [Branch(number, self.within(part) or "true") for number, part in enumerate(ranges)]
        if with_absent and self.absent is not None:
            branches.append(Branch(len(ranges), self.absent))
        name = self.table.name
        if self.indexed and separate_counts_are_cheaper(self.run, name, self.where, branches):
            counts = count_separately(self.run, name, self.where, branches)
        else:
            region = None if with_absent else " OR ".join(f"({branch.predicate})" for branch in branches)
            counts = count_in_one_pass(self.run, name, sql.all_of([region, self.where]), self._part_number(ranges))
        return [counts.get(number, 0) for number in range(len(ranges))], counts.get(len(ranges), 0)

    def prove(self, bounds: Sequence[Bound]) -> None:
        """Operators are found by the search_path.

        A type whose schema is not on it may be compared as another type, in another order than the one that the
        index and the sample were sorted by.
        """
        disorder = self.run(
            sql.fill(
                _DISORDER,
                keys=self._aliases,
                columns=self._compared,
                relation=self._relation,
                values=", ".join(f"({number}, {self._literals(bound)})" for number, bound in enumerate(bounds, 1)),
                low=self._row("low.k"),
                high=self._row("high.k"),
            )
        )[0]
        if disorder["pairs"]:
            types = ", ".join(f"{column.name} ({column.native_type})" for column in self.columns)
            raise PlatformError(
                f"{self.table.name} can't be partitioned by {types}: comparisons don't follow the order of the "
                f"type, because its operators are not on the search_path of the source's user. Add the type's "
                f"schema to the search_path, choose another key, or partition by physical location."
            )

    # -- pieces of SQL ------------------------------------------------------------------------------

    @property
    def _relation(self) -> str:
        return sql.relation(self.table.name)

    @property
    def _compared(self) -> str:
        """What is compared, over the table."""
        return ", ".join(part.expression for part in self.parts)

    @property
    def _aliases(self) -> str:
        """Names for what is compared inside of queries: `k1, k2`."""
        return ", ".join(self._names)

    @property
    def _names(self) -> list[str]:
        return [f"k{number}" for number in range(1, len(self.parts) + 1)]

    @property
    def _selected(self) -> str:
        return ", ".join(f"{part.expression} AS {name}" for name, part in zip(self._names, self.parts, strict=True))

    @property
    def _texts(self) -> str:
        """The aliases as the texts of a bound."""
        return ", ".join(sql.fill(part.text, value=name) for name, part in zip(self._names, self.parts, strict=True))

    def _row(self, prefix: str) -> str:
        """The aliases as one value that compares."""
        names = [f"{prefix}{number}" for number in range(1, len(self.parts) + 1)]
        return f"({', '.join(names)})"

    def _literals(self, bound: Bound) -> str:
        return ", ".join(part.literal(text) for text, part in zip(bound, self.parts, strict=True))

    def _part_number(self, ranges: Sequence[Range]) -> str:
        """SQL for the number of the range that a row is in; the rows must be of these ranges, or without key."""
        highs = [part.high for part in ranges[:-1]]
        return number_of([self.below(high) for high in highs if high is not None], self.absent)

    def _sample(self, *, part: str = "0", tablesample: str = "", where: str = "", end: str = "") -> str:
        return sql.fill(
            _SAMPLE,
            part=part,
            columns=self._selected,
            relation=self._relation,
            tablesample=tablesample,
            where=where,
            end=end,
        )

    def _quantiles(self, sample: str, pieces: Mapping[int, int]) -> Quantiles:
        row = self.run(
            sql.fill(
                _QUANTILES,
                sample=sample,
                pieces=", ".join(f"({part}, {number})" for part, number in pieces.items()),
                keys=self._aliases,
                present=" AND ".join(f"{name} IS NOT NULL" for name in self._names),
                absent=" OR ".join(f"{name} IS NULL" for name in self._names),
                texts=self._texts,
            )
        )[0]
        bounds: dict[int, list[tuple[Bound, int]]] = {}
        for part, before, *texts in json.loads(str(row["bounds"] or "[]")):
            if self.is_bound(tuple(texts)):
                bounds.setdefault(part, []).append((tuple(texts), int(before)))
        return Quantiles(int(str(row["sampled"])), int(str(row["absent"])), bounds)


def partition_by_key(
    run: QueryRunner,
    table: SourceTable,
    columns: Sequence[str],
    where: str | None,
    count: int,
    max_rows: int | None = None,
) -> Partitioning:
    """As `key_ranges.partition_by_key`; the planner holds counting by index or in one pass for cheaper.

    Raises:
        PlatformError: a key column doesn't exist or has no order.
    """
    parts = tuple(column_part(column) for column in key_ranges.key_columns(table, columns))
    return key_ranges.partition_by_key(_read_key(run, table, parts, where), count, max_rows)


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
    return key_ranges.partition_by_value(_read_key(run, table, value_parts(table.name, keys), where), count, max_rows)


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
    return key_ranges.split_by_value(_read_key(run, table, value_parts(table.name, keys), where), low, high, max_rows)


def _read_key(run: QueryRunner, table: SourceTable, parts: tuple[KeyPart, ...], where: str | None) -> _Key:
    columns = tuple(part.column for part in parts)
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
        run=run,
        table=table,
        where=where,
        columns=columns,
        nullable=tuple(column for column in columns if column.name not in not_null),
        indexed=bool(facts["indexed"]) and all(part.is_column for part in parts),
        parts=parts,
        blocks=int(str(facts["blocks"])),
    )
