"""How rows leave SQL Server: the queries of a partition, and what is promised of rows that change meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from migration_assets.platforms.base import PlatformError, QueryRunner, ReadColumn, SourceTable, TableName
from migration_assets.platforms.sqlserver import sql
from migration_assets.platforms.sqlserver.types import staged

_SELECT = "SELECT {columns} FROM {relation}{where}"
_COUNT = "SELECT COUNT_BIG(*) AS rows FROM {relation}{where}"
_MARK = "SELECT CAST(NEWID() AS varchar(36)) AS mark"
_CHANGED = "SELECT CAST(1 AS bit) AS changed"
_ISOLATION = """\
SELECT d.snapshot_isolation_state AS allows_snapshots, CAST(d.is_read_committed_snapshot_on AS int) AS versions_rows
FROM sys.databases AS d WHERE d.name = DB_NAME()"""

_ALLOWED = 1


def extraction_query(table: TableName, columns: Sequence[ReadColumn], predicate: str | None, where: str | None) -> str:
    """The rows of one partition.

    Args:
        predicate: the partition's; None is every row.
        where: the user's filter, one boolean expression.
    """
    selected = ", ".join(
        f"{staged(column.source, column.type, column.expression)} AS {sql.quote(column.name)}" for column in columns
    )
    return sql.fill(_SELECT, columns=selected, relation=sql.relation(table), where=sql.where_clause(predicate, where))


def count_query(table: TableName, predicate: str | None, where: str | None) -> str:
    """The number of rows of one partition, as `rows`."""
    return sql.fill(_COUNT, relation=sql.relation(table), where=sql.where_clause(predicate, where))


def location_mark() -> str:
    """SQL for `mark`, which is never the same: no transaction lasts over partitions, and rows move between pages."""
    return _MARK


def changed_since() -> str:
    """SQL for `changed`, which is always true."""
    return _CHANGED


def consistency(run: QueryRunner, table: SourceTable, *, strict: bool) -> tuple[str, ...]:
    """What is not guaranteed for rows that change while they are read.

    Raises:
        PlatformError: strict is asked for, and there are no snapshots of the table.
    """
    database = sql.quote(table.name.database)
    cure = f"ALTER DATABASE {database} SET ALLOW_SNAPSHOT_ISOLATION ON"
    (row,) = run(_ISOLATION)
    allowed = int(str(row["allows_snapshots"])) == _ALLOWED
    if strict:
        if table.kind != "table" and table.kind != "partitioned table":
            raise PlatformError(
                f'{table.name} is a {table.kind}, which can\'t be locked for the moment that "consistency": "strict" '
                f"needs: leave it out for this table, or move the tables below it."
            )
        if not allowed:
            raise PlatformError(
                f'"consistency": "strict" needs snapshots, which the database doesn\'t allow: {cure}, or leave it out '
                f"for this table."
            )
        return ()
    if table.kind in ("memory-optimized table", "external table"):
        return (
            f"each partition is one statement on a {table.kind}: rows that change while the table is read may be "
            f"seen by two partitions or by none",
        )
    if allowed:
        return (
            "each partition is read in a snapshot transaction of its own: rows that move from one partition to "
            'another meanwhile may be seen by both or by none; "consistency": "strict" reads all in one',
        )
    if row["versions_rows"]:
        return (
            "each partition is one statement, which sees one moment (READ_COMMITTED_SNAPSHOT): rows that move from one "
            f"partition to another meanwhile may be seen by both or by none. {cure} allows one snapshot for all",
        )
    return (
        "rows are read under READ COMMITTED: those that change meanwhile may be seen twice or not at all, and readers "
        f"wait for writers. {cure} gives each partition one moment",
    )
