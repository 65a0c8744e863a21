"""Partitions by physical location: ranges of a heap's blocks, which a TID range scan reads once in all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from migration_assets.platforms.base import Partition, Partitioning, QueryRunner, SourceTable
from migration_assets.platforms.postgresql.catalogue import explain_rows
from migration_assets.platforms.postgresql.counting import Branch, count_separately

_FILL = 0.8
"""Ranges that must not pass `max_rows` aim at this share of it, so that few of them have to be split."""


@dataclass(frozen=True)
class _Blocks:
    """Blocks `low` (the first) to `high` (the first after); the table's last range has no end."""

    low: int
    high: int
    last: bool
    rows: int = 0
    counted: bool = False

    @property
    def size(self) -> int:
        return self.high - self.low

    @property
    def predicate(self) -> str | None:
        conditions = []
        if self.low > 0:
            conditions.append(f"ctid >= '({self.low},0)'::tid")
        if not self.last:
            conditions.append(f"ctid < '({self.high},0)'::tid")
        return " AND ".join(conditions) or None


def partition_by_location(
    run: QueryRunner, table: SourceTable, where: str | None, count: int, max_rows: int | None = None
) -> Partitioning:
    """About `count` ranges of the table's blocks, first and last open, so that blocks that are added belong
    to one.

    `max_rows` holds at planning time, except where a single block has more rows: a note says so. The rows are
    counted in one pass; a range that has too many is cut into equal numbers of blocks and counted again.
    """
    estimate = table.estimated_rows if where is None else explain_rows(run, table.name, where)
    if table.blocks == 0:
        note = "the table is empty" if table.kind == "table" and table.bytes == 0 else _why_not(table)
        return Partitioning("single", (Partition(None, "all rows", rows=estimate),), notes=(note,))
    pieces = max(count, 1) if max_rows is None else max(count, math.ceil(estimate / (_FILL * max_rows)))
    ranges = _cut(_Blocks(0, table.blocks, last=True), pieces)
    notes: list[str] = []
    if max_rows is None:
        rows = math.ceil(estimate / len(ranges))
        ranges = [replace(part, rows=rows) for part in ranges]
    else:
        ranges = _limit_rows(run, table, where, ranges, max_rows)
        notes += [
            f"{_describe(part)} has {part.rows} rows, more than max_rows: it can't be divided further"
            for part in ranges
            if part.rows > max_rows
        ]
    partitions = tuple(
        Partition(
            part.predicate,
            _describe(part),
            None if part.low == 0 else (f"({part.low},0)",),
            None if part.last else (f"({part.high},0)",),
            part.rows,
        )
        for part in ranges
    )
    several = len(partitions) > 1
    return Partitioning("block ranges" if several else "single", partitions, several, tuple(notes))


def _why_not(table: SourceTable) -> str:
    return (
        f"the blocks of this {table.kind} can't be read in ranges: that needs one heap table or "
        f"materialized view without children, with blocks, on PostgreSQL 14 or newer; partition by key "
        f"instead"
    )


def _cut(blocks: _Blocks, pieces: int) -> list[_Blocks]:
    """The same blocks in so many pieces of equal size, or fewer where there are too few blocks."""
    pieces = max(1, min(pieces, blocks.size))
    edges = [blocks.low + blocks.size * piece // pieces for piece in range(pieces + 1)]
    return [_Blocks(low, high, last=blocks.last and high == blocks.high) for low, high in itertools.pairwise(edges)]


def _limit_rows(
    run: QueryRunner, table: SourceTable, where: str | None, ranges: Sequence[_Blocks], max_rows: int
) -> list[_Blocks]:
    current = list(ranges)
    while not all(part.counted for part in current):
        open_ranges = [part for part in current if not part.counted]
        branches = [Branch(number, part.predicate or "true") for number, part in enumerate(open_ranges)]
        counts = count_separately(run, table.name, where, branches)
        exact = iter(replace(part, rows=counts[number], counted=True) for number, part in enumerate(open_ranges))
        current = [part if part.counted else next(exact) for part in current]
        current = [
            piece
            for part in current
            for piece in (
                # At least in two: an equal share of the rows is no more than a guess.
                _cut(part, max(2, math.ceil(part.rows / (_FILL * max_rows))))
                if part.rows > max_rows and part.size > 1
                else [part]
            )
        ]
    return current


def _describe(part: _Blocks) -> str:
    if part.predicate is None:
        return "all rows"
    return f"blocks from {part.low}" if part.last else f"blocks {part.low} to {part.high}"
