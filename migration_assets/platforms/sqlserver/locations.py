"""Partitions by where rows lie: ranges of the clustered index, or the partitions of a partition scheme.

A heap's pages have no address that a documented condition could seek, so a heap without a scheme is one partition. A
scheme's partitions are joined to about as many as are wanted; each is read without looking at the others. Its
boundaries come as sql_variant: the server proves that they rise, as they are written in conditions.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from migration_assets.platforms.base import Partition, Partitioning, QueryRunner, SourceColumn, SourceTable
from migration_assets.platforms.sqlserver import keys, sql, values
from migration_assets.platforms.sqlserver.catalogue import estimate_rows
from migration_assets.platforms.sqlserver.indexes import KeyFacts, read_facts

_SCHEME = """\
SELECT c.name AS name, f.function_id AS function_id, CAST(f.boundary_value_on_right AS int) AS on_right
FROM sys.indexes AS i
JOIN sys.partition_schemes AS s ON s.data_space_id = i.data_space_id
JOIN sys.partition_functions AS f ON f.function_id = s.function_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.partition_ordinal = 1
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = {object_id} AND i.index_id IN (0, 1)"""

# A boundary stands between the partition of its number and the next one. NULL may be one.
_PARTITIONS = """\
SELECT p.partition_number AS number, MAX({bound}) AS bound, SUM(p.rows) AS rows
FROM sys.partitions AS p
LEFT JOIN sys.partition_range_values AS r
       ON r.function_id = {function_id} AND r.parameter_id = 1 AND r.boundary_id = p.partition_number
WHERE p.object_id = {object_id} AND p.index_id IN (0, 1)
GROUP BY p.partition_number
ORDER BY p.partition_number"""

_NO_ADDRESS = (
    "the rows of this {kind} lie in no order that could be read in ranges: give it a clustered index or a partition "
    "scheme, or name the columns of an index in columnNamesToPartitionBy"
)


@dataclass(frozen=True)
class _Scheme:
    """How a table is divided.

    Attributes:
        on_right: a boundary's rows are in the partition behind it (RANGE RIGHT), or in the one before it (RANGE LEFT).
        bounds: the boundaries' texts, one between two partitions; None is a NULL, or none that has a literal.
        rows: of each partition.
    """

    column: SourceColumn
    on_right: bool
    bounds: tuple[str | None, ...]
    rows: tuple[int, ...]


def partition_by_location(
    run: QueryRunner, table: SourceTable, where: str | None, count: int, max_rows: int | None = None
) -> Partitioning:
    """About `count` ranges of the partition scheme, where it has enough partitions, else of the clustered key.

    `max_rows` holds for what the catalogue says of a scheme's partitions, without the filter: a partition that has
    more is one range, and a note says so.
    """
    facts = read_facts(run, table.name)
    wanted = count if max_rows is None else max(count, math.ceil(table.estimated_rows / max_rows))
    scheme = _read_scheme(run, table, facts)
    clustered = next((index for index in facts.indexes if index.clustered), None)
    if scheme is not None and (len(scheme.rows) >= wanted or clustered is None):
        bounds = [bound for bound in scheme.bounds if bound is not None]
        keys.prove_order(run, table, scheme.column, bounds, facts)
        return _by_scheme(scheme, wanted, max_rows)
    if clustered is not None and all(values.has_literals(table.column(name).base_type) for name in clustered.columns):
        return keys.partition_by_key(run, table, clustered.columns, where, count, max_rows)
    note = _NO_ADDRESS.format(kind=table.kind)
    return Partitioning("single", (Partition(None, "all rows", rows=estimate_rows(run, table, where)),), notes=(note,))


def _read_scheme(run: QueryRunner, table: SourceTable, facts: KeyFacts) -> _Scheme | None:
    found = run(sql.fill(_SCHEME, object_id=facts.object_id))
    if not found:
        return None
    column = table.column(str(found[0]["name"]))
    if not values.has_literals(column.base_type):
        return None
    bound = values.text_of(column, values.from_variant(column, "r.value"))
    rows = run(
        sql.fill(_PARTITIONS, bound=bound, function_id=found[0]["function_id"], object_id=facts.object_id),
    )
    texts = [None if row["bound"] is None else str(row["bound"]) for row in rows[:-1]]
    return _Scheme(
        column,
        bool(found[0]["on_right"]),
        tuple(text if text is not None and values.is_exact(column, text) else None for text in texts),
        tuple(int(str(row["rows"])) for row in rows),
    )


def _by_scheme(scheme: _Scheme, count: int, max_rows: int | None) -> Partitioning:
    ends = _groups(scheme, count, max_rows)
    partitions, notes = [], []
    for first, end in itertools.pairwise([0, *ends]):
        low = scheme.bounds[first - 1] if first else None
        high = scheme.bounds[end - 1] if end < len(scheme.rows) else None
        rows, description = sum(scheme.rows[first:end]), _describe(scheme, low, high)
        if max_rows is not None and rows > max_rows:
            notes.append(f"{rows} rows, more than max_rows, in {description}: one partition of the table's scheme")
        partitions.append(Partition(_predicate(scheme, low, high), description, rows=rows))
    several = len(partitions) > 1
    return Partitioning("partition scheme" if several else "single", tuple(partitions), notes=tuple(notes))


def _groups(scheme: _Scheme, count: int, max_rows: int | None) -> list[int]:
    """The ends of about `count` runs of partitions with similar numbers of rows."""
    total = max(sum(scheme.rows), 1)
    ends: list[int] = []
    passed = begun = 0

    def piece(before: int) -> int:
        return min(before * count // total, count - 1)

    for place, rows in enumerate(scheme.rows):
        is_full = len(scheme.rows) <= count or piece(passed) > piece(begun)
        is_too_many = max_rows is not None and passed > begun and passed - begun + rows > max_rows
        if place and scheme.bounds[place - 1] is not None and (is_full or is_too_many):
            ends.append(place)
            begun = passed
        passed += rows
    return [*ends, len(scheme.rows)]


def _predicate(scheme: _Scheme, low: str | None, high: str | None) -> str | None:
    """The rows between two boundaries. NULL comes before every value, so it is in the first partition."""
    name = sql.quote(scheme.column.name)
    conditions = []
    if low is not None:
        conditions.append(f"{name} {'>=' if scheme.on_right else '>'} {values.literal(scheme.column, low)}")
    if high is not None:
        conditions.append(f"{name} {'<' if scheme.on_right else '<='} {values.literal(scheme.column, high)}")
    condition = " AND ".join(conditions)
    if low is None and high is not None and scheme.column.nullable:
        return f"{condition} OR {name} IS NULL"
    return condition or None


def _describe(scheme: _Scheme, low: str | None, high: str | None) -> str:
    name = scheme.column.name
    start = "" if low is None else f" {'from' if scheme.on_right else 'above'} {_short(low)}"
    end = "" if high is None else f" {'below' if scheme.on_right else 'up to'} {_short(high)}"
    return f"{name}{start}{end}" if start or end else "all rows"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
