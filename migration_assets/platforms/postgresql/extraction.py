"""How rows leave PostgreSQL: session settings, query, CSV, and what a later snapshot may continue.

SESSION_SETTINGS ─► extraction_query ─► copy_statement ─► CSV ─► read_options, parse_options, convert_options
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa
import pyarrow.csv as pa_csv

from migration_assets.platforms.base import TableName
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.types import ColumnType, Kind

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
_COPY = "COPY ({query}) TO STDOUT (FORMAT csv)"

_LOCATION_MARK = """\
SELECT pg_current_snapshot()::text || '@' || coalesce(pg_relation_filenode({oid}), 0) AS mark"""

_CHANGED_SINCE = """\
SELECT coalesce(pg_relation_filenode({oid}), 0) <> {filenode}
    OR pg_snapshot_xmax(pg_current_snapshot())::text::bigint - {oldest}::text::bigint > 1000000000
    OR EXISTS (SELECT FROM {relation} WHERE age(xmin) <= age({oldest}::xid)) AS changed"""


def extraction_query(
    table: TableName, columns: Sequence[tuple[str, str]], predicate: str | None, where: str | None
) -> str:
    """The rows of one partition.

    Args:
        columns: target name and SQL expression of every column, in order.
        predicate: the partition's; None is every row.
        where: the user's filter, one boolean expression.
    """
    selected = ", ".join(f"{expression} AS {sql.quote(target)}" for target, expression in columns)
    return sql.fill(
        _SELECT,
        columns=selected,
        relation=sql.relation(table),
        where=sql.where_clause(predicate, where),
    )


def count_query(table: TableName, where: str | None) -> str:
    """The number of rows, as `rows`."""
    return sql.fill(_COUNT, relation=sql.relation(table), where=sql.where_clause(where))


def copy_statement(query: str) -> str:
    """The statement that streams the query's rows as CSV: NULL is an empty field, empty text is `""`."""
    return sql.fill(_COPY, query=query)


def read_options(names: Sequence[str], block_size: int) -> pa_csv.ReadOptions:
    """The options for a CSV without header whose columns have these names."""
    return pa_csv.ReadOptions(column_names=list(names), block_size=block_size)


def parse_options() -> pa_csv.ParseOptions:
    """The options of the CSV that `copy_statement` makes.

    The row of a table with one column whose value is NULL is an empty line, which counts.
    """
    return pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)


def convert_options(types: Mapping[str, ColumnType]) -> pa_csv.ConvertOptions:
    """How fields become values; TIMESTAMP_TZ is read as UTC wall time, BINARY as its hexadecimal text."""
    return pa_csv.ConvertOptions(
        column_types={
            name: pa.timestamp("us") if type_.kind is Kind.TIMESTAMP_TZ else type_.to_arrow()
            for name, type_ in types.items()
        },
        null_values=[""],
        true_values=["t"],
        false_values=["f"],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        timestamp_parsers=[pa_csv.ISO8601],
    )


def location_mark(table: TableName) -> str:
    """SQL for what `changed_since` compares with, `snapshot` and `filenode`: run it in the extracted
    snapshot."""
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
