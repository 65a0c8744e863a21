"""Counts of rows per range: one index scan each, or one pass over the table for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migration_assets.platforms.base import QueryRunner, TableName
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.postgresql.catalogue import plan_facts

_COUNT_ONE = "SELECT {number} AS number, count(*) AS rows FROM {relation}{where}"
_COUNT_PARTS = "SELECT {part} AS number, count(*) AS rows FROM {relation}{where} GROUP BY 1"
_EXPLAIN = "EXPLAIN (FORMAT JSON) {query}"
_COUNT_ALL = "SELECT count(*) AS rows FROM {relation}{where}"
_BRANCHES_PER_QUERY = 256
_ONE_PASS_FACTOR = 1.5
"""What finding each row's range adds to a pass over the table, at the least (measured: 1.5 to 4)."""


@dataclass(frozen=True)
class Branch:
    """A range to count."""

    number: int
    predicate: str


def separate_counts_are_cheaper(
    run: QueryRunner, table: TableName, where: str | None, branches: Sequence[Branch]
) -> bool:
    """Whether the planner prefers an index scan per range to one pass over the filtered rows."""
    separate = sum(_cost(run, query) for query in _separate_queries(table, where, branches))
    one_pass = _cost(run, sql.fill(_COUNT_ALL, relation=sql.relation(table), where=sql.where_clause(where)))
    return separate < _ONE_PASS_FACTOR * one_pass


def count_separately(
    run: QueryRunner, table: TableName, where: str | None, branches: Sequence[Branch]
) -> dict[int, int]:
    """Rows by the branches' numbers."""
    return _by_number(run, _separate_queries(table, where, branches))


def count_in_one_pass(run: QueryRunner, table: TableName, where: str | None, part: str) -> dict[int, int]:
    """Rows by the number that the SQL expression `part` gives a row."""
    query = sql.fill(_COUNT_PARTS, part=part, relation=sql.relation(table), where=sql.where_clause(where))
    return _by_number(run, [query])


def _separate_queries(table: TableName, where: str | None, branches: Sequence[Branch]) -> list[str]:
    counts = [
        sql.fill(
            _COUNT_ONE,
            number=branch.number,
            relation=sql.relation(table),
            where=sql.where_clause(branch.predicate, where),
        )
        for branch in branches
    ]
    return [
        "\nUNION ALL ".join(counts[start : start + _BRANCHES_PER_QUERY])
        for start in range(0, len(counts), _BRANCHES_PER_QUERY)
    ]


def _by_number(run: QueryRunner, queries: Sequence[str]) -> dict[int, int]:
    return {int(str(row["number"])): int(str(row["rows"])) for query in queries for row in run(query)}


def _cost(run: QueryRunner, query: str) -> float:
    return float(plan_facts(run(sql.fill(_EXPLAIN, query=query))[0])["Total Cost"])
