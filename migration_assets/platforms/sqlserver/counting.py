"""Counts of rows per range: a seek in the index each, or one pass over the table for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migration_assets.platforms.base import QueryRunner, TableName
from migration_assets.platforms.sqlserver import sql

_COUNT_ONE = "SELECT {number} AS number, COUNT_BIG(*) AS rows FROM {relation}{where}"
_COUNT_PARTS = """\
SELECT numbered.number AS number, COUNT_BIG(*) AS rows
FROM (SELECT {part} AS number FROM {relation}{where}) AS numbered
GROUP BY numbered.number"""
_BRANCHES_PER_QUERY = 128
MOST_SEPARATE = 1024
"""Ranges that are counted one by one: each is a plan that the server makes first."""


@dataclass(frozen=True)
class Branch:
    """A range to count."""

    number: int
    predicate: str | None


def count_separately(
    run: QueryRunner, table: TableName, where: str | None, branches: Sequence[Branch]
) -> dict[int, int]:
    """Rows by the branches' numbers."""
    counts = [
        sql.fill(
            _COUNT_ONE,
            number=branch.number,
            relation=sql.relation(table),
            where=sql.where_clause(branch.predicate, where),
        )
        for branch in branches
    ]
    return _by_number(
        run,
        [
            "\nUNION ALL ".join(counts[start : start + _BRANCHES_PER_QUERY])
            for start in range(0, len(counts), _BRANCHES_PER_QUERY)
        ],
    )


def count_in_one_pass(
    run: QueryRunner, table: TableName, condition: str | None, where: str | None, part: str
) -> dict[int, int]:
    """Rows by the number that the SQL expression `part` gives a row, of those that meet both conditions."""
    relation = sql.relation(table)
    return _by_number(
        run, [sql.fill(_COUNT_PARTS, part=part, relation=relation, where=sql.where_clause(condition, where))]
    )


def _by_number(run: QueryRunner, queries: Sequence[str]) -> dict[int, int]:
    return {int(str(row["number"])): int(str(row["rows"])) for query in queries for row in run(query)}
