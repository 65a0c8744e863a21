"""How rows leave PostgreSQL: the session's settings, the query, and what a later snapshot may continue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from migration_assets.platforms.base import ReadColumn, TableName
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.postgresql.types import binary_expression

SESSION_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # What values look like as text. Bounds of partitions and staged rows must read the same in every
        # session.
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "iso_8601",
        "bytea_output": "hex",
        "extra_float_digits": "3",
        "client_encoding": "UTF8",
        "standard_conforming_strings": "on",
        # An extraction takes as long as it takes; a lock that it can't have in half a minute is an
        # operator's matter.
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "lock_timeout": "30s",
        # A table that hides rows is refused; should a policy appear later, its query fails and loses nothing.
        "row_security": "off",
        # One connection loads one processor of the source: the user bounds the load by the number of
        # connections.
        "max_parallel_workers_per_gather": "0",
    }
)
"""Settings of every session that plans or extracts. `search_path` stays the user's: filters may need it."""

_SELECT = "SELECT {columns} FROM {relation}{where}"
_COUNT = "SELECT count(*) AS rows FROM {relation}{where}"

_LOCATION_MARK = """\
SELECT pg_current_snapshot()::text || '@' || coalesce(pg_relation_filenode({oid}), 0) AS mark"""

_CHANGED_SINCE = """\
SELECT coalesce(pg_relation_filenode({oid}), 0) <> {filenode}
    OR pg_snapshot_xmax(pg_current_snapshot())::text::bigint - {oldest}::text::bigint > 1000000000
    OR EXISTS (SELECT FROM {relation} WHERE age(xmin) <= age({oldest}::xid)) AS changed"""


def extraction_query(
    table: TableName, columns: Sequence[ReadColumn], predicate: str | None, where: str | None, *, binary: bool
) -> str:
    """The rows of one partition.

    Args:
        predicate: the partition's; None is every row.
        where: the user's filter, one boolean expression.
        binary: the values are decoded from the binary format.
    """
    selected = ", ".join(
        f"{binary_expression(column.source, column.type, column.expression) if binary else column.expression} "
        f"AS {sql.quote(column.name)}"
        for column in columns
    )
    return sql.fill(
        _SELECT,
        columns=selected,
        relation=sql.relation(table),
        where=sql.where_clause(predicate, where),
    )


def count_query(table: TableName, predicate: str | None, where: str | None) -> str:
    """The number of rows of one partition, as `rows`."""
    return sql.fill(_COUNT, relation=sql.relation(table), where=sql.where_clause(predicate, where))


def location_mark(table: TableName) -> str:
    """SQL for `mark`, which `changed_since` compares with; run it in the snapshot that is extracted."""
    return sql.fill(_LOCATION_MARK, oid=_oid(table))


def changed_since(table: TableName, mark: str) -> str:
    """SQL for `changed`: whether rows may have come or moved in an ordinary table since a snapshot was taken.

    Physical ranges that another snapshot finishes are disjoint and covering only while no row version was
    written: an UPDATE moves its row, to blocks that were read already or not yet. Deletions move nothing.

    A row version counts as new when the transaction that wrote it is not older than the oldest one that was
    running at the snapshot. That includes subtransactions, whose numbers a snapshot doesn't list (so
    `pg_visible_in_snapshot` would miss them), and it may include a transaction that was visible: a false
    alarm, never a miss. `age()` counts from the newest transaction modulo 2^32; past a thousand million
    transactions nothing can be said, and the answer is true. It reads the table once. PostgreSQL 13 or newer.

    Args:
        mark: what `location_mark` gave then. A rewrite of the table (VACUUM FULL, CLUSTER) changes the file.
    """
    snapshot, _, filenode = mark.rpartition("@")
    oldest = f"pg_snapshot_xmin({sql.literal(snapshot)}::pg_snapshot)"
    return sql.fill(
        _CHANGED_SINCE,
        oid=_oid(table),
        oldest=oldest,
        filenode=str(int(filenode)),
        relation=sql.relation(table),
    )


def _oid(table: TableName) -> str:
    return f"{sql.literal(sql.relation(table))}::regclass"
