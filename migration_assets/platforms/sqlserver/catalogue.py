"""What SQL Server's catalogue says about a table: its relation, columns, keys, size and statistics.

`INFORMATION_SCHEMA` is not used: it knows neither row counts nor what is computed, masked or encrypted. The views need
no permission beyond SELECT on the table (VIEW DATABASE STATE would tell no more), and show nothing of a table without
any. SQL Server 2016 or newer; what other servers that speak its protocol lack is asked for only where it is.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence

from migration_assets.platforms.base import (
    PlatformError,
    QueryRunner,
    Row,
    SourceColumn,
    SourceTable,
    TableName,
)
from migration_assets.platforms.sqlserver import sql
from migration_assets.platforms.sqlserver.types import CLR, COLUMN_SET, ENCRYPTED, MASKED

_OTHER_KINDS = {"P": "a procedure", "FN": "a function", "IF": "a function", "TF": "a function", "SO": "a sequence"}

# A row in every case. Names are compared as the database's collation does; those returned are the catalogue's.
_RELATION = """\
SELECT DB_NAME() AS [database],
       s.name AS [schema],
       o.name AS [table],
       o.object_id AS object_id,
       RTRIM(o.type) AS type,
       y.base_object_name AS base_object,
       COALESCE(CAST(t.is_memory_optimized AS int), 0) AS is_memory_optimized,
       COALESCE(CAST(t.is_external AS int), 0) AS is_external,
       (SELECT COUNT(*) FROM sys.partitions AS p
        WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)) AS partitions,
       (SELECT SUM(p.rows) FROM sys.partitions AS p
        WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)) AS rows,
       CASE WHEN OBJECT_ID(N'sys.allocation_units') IS NULL THEN 0 ELSE 1 END AS has_sizes,
       CASE WHEN OBJECT_ID(N'sys.security_predicates') IS NULL THEN 0 ELSE 1 END AS has_policies,
       CASE WHEN OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM (SELECT 1 AS one) AS always
LEFT JOIN sys.schemas AS s ON s.name = {schema}
LEFT JOIN sys.objects AS o ON o.schema_id = s.schema_id AND o.name = {table} AND o.parent_object_id = 0
LEFT JOIN sys.tables AS t ON t.object_id = o.object_id
LEFT JOIN sys.synonyms AS y ON y.object_id = o.object_id"""

# `b` is the type below an alias type. Hidden columns that no period or ledger generates are the insides of a graph's
# tables, which can't be selected. Before SQL Server 2022 UNMASK is a permission of the database only.
_COLUMNS = """\
SELECT c.name AS name,
       COALESCE(b.name, u.name) AS base_type,
       SCHEMA_NAME(u.schema_id) AS type_schema,
       CASE WHEN u.is_assembly_type = 1 AND u.is_user_defined = 1 THEN 1 ELSE 0 END AS is_clr,
       c.max_length AS max_length,
       c.precision AS [precision],
       c.scale AS scale,
       CAST(c.is_nullable AS int) AS is_nullable,
       CAST(c.is_identity AS int) AS is_identity,
       CASE WHEN c.is_computed = 1 OR c.generated_always_type <> 0 THEN 1 ELSE 0 END AS is_generated,
       CAST(c.is_column_set AS int) AS is_column_set,
       CASE WHEN c.encryption_type IS NULL THEN 0 ELSE 1 END AS is_encrypted,
       CASE WHEN c.is_masked = 1
                 AND COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'UNMASK'), 0) = 0
                 AND COALESCE(HAS_PERMS_BY_NAME({relation}, N'OBJECT', N'UNMASK', c.name, N'COLUMN'), 0) = 0
            THEN 1 ELSE 0 END AS is_masked,
       c.collation_name AS collation,
       CAST(COLLATIONPROPERTY(c.collation_name, 'CodePage') AS int) AS code_page,
       HAS_PERMS_BY_NAME({relation}, N'OBJECT', N'SELECT', c.name, N'COLUMN') AS is_readable
FROM sys.columns AS c
JOIN sys.types AS u ON u.user_type_id = c.user_type_id
LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id AND u.is_assembly_type = 0
WHERE c.object_id = {object_id} AND (c.is_hidden = 0 OR c.generated_always_type <> 0)
ORDER BY c.column_id"""

_KEYS = """\
SELECT i.index_id AS index_id,
       CAST(i.is_primary_key AS int) AS is_primary_key,
       c.name AS name,
       CAST(c.is_nullable AS int) AS is_nullable
FROM sys.indexes AS i
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = {object_id}
  AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.is_primary_key DESC, i.index_id, k.key_ordinal"""

_BYTES = """\
SELECT COALESCE(SUM(CAST(a.used_pages AS bigint)), 0) * 8192 AS bytes
FROM sys.partitions AS p
JOIN sys.allocation_units AS a ON a.container_id = CASE WHEN a.type = 2 THEN p.partition_id ELSE p.hobt_id END
WHERE p.object_id = {object_id} AND p.index_id IN (0, 1)"""

_FILTERS = """\
SELECT COUNT(*) AS filters
FROM sys.security_predicates AS p
JOIN sys.security_policies AS y ON y.object_id = p.object_id
WHERE p.target_object_id = {object_id} AND p.predicate_type = 0 AND y.is_enabled = 1"""

_DISTINCT = """\
SELECT leading.name AS name, MAX(leading.found) AS found
FROM (SELECT c.name AS name, COUNT(*) + SUM(h.distinct_range_rows) AS found
      FROM sys.stats AS s
      JOIN sys.stats_columns AS k ON k.object_id = s.object_id AND k.stats_id = s.stats_id AND k.stats_column_id = 1
      JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
      CROSS APPLY sys.dm_db_stats_histogram(s.object_id, s.stats_id) AS h
      WHERE s.object_id = {object_id} AND s.has_filter = 0
      GROUP BY c.name, s.stats_id) AS leading
GROUP BY leading.name"""

_NEIGHBOURS = """\
SELECT TOP (5000) s.name AS [schema], o.name AS name
FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND (s.name = {schema} OR LOWER(o.name) = LOWER({table}))
ORDER BY s.name, o.name"""

_SCHEMAS = """\
SELECT TOP (5000) s.name AS name
FROM sys.schemas AS s
WHERE s.name NOT LIKE N'db[_]%' AND s.name NOT IN (N'sys', N'INFORMATION_SCHEMA', N'guest')
ORDER BY s.name"""

_COUNT = "SELECT COUNT_BIG(*) AS rows FROM {relation}{where}"
_SAMPLE = """\
SELECT COUNT_BIG(*) AS rows, COUNT_BIG(CASE WHEN {condition} THEN 1 END) AS kept
FROM {relation} TABLESAMPLE SYSTEM ({percent} PERCENT)"""

_SAMPLED_KINDS = ("table", "partitioned table")
_COUNTED_ROWS = 1_000_000
"""Up to so many rows, those that a filter leaves are counted; of larger tables so many are looked at."""


def describe(run: QueryRunner, name: TableName) -> SourceTable:
    """The catalogue's entry of a table or view that can be read whole, with the names that the catalogue has.

    Columns that would not be moved as they are (encrypted, or masked from this user) have a category that says so.

    Raises:
        PlatformError: there is no such table, or not all of its rows and columns can be read.
    """
    facts = run(sql.fill(_RELATION, schema=sql.literal(name.schema), table=sql.literal(name.table)))[0]
    _refuse_other_database(facts, name)
    if facts["object_id"] is None:
        raise PlatformError(_not_found(run, facts, name))
    exact = TableName(str(facts["database"]), str(facts["schema"]), str(facts["table"]))
    kind = _kind(facts, exact)
    place = {"object_id": _integer(facts["object_id"])}
    if facts["has_policies"] and _integer(run(sql.fill(_FILTERS, **place))[0]["filters"]):
        raise PlatformError(
            f"Row-level security filters {exact}, so that rows could be lost. Disable the security policy for the "
            f"migration (ALTER SECURITY POLICY … WITH (STATE = OFF)), or move a view of the rows that are meant."
        )
    rows = run(sql.fill(_COLUMNS, relation=sql.literal(sql.relation(exact)), **place))
    _refuse_hidden_columns(rows, exact)
    keys = run(sql.fill(_KEYS, **place))
    size = run(sql.fill(_BYTES, **place))[0]["bytes"] if facts["has_sizes"] else 0
    found = run(sql.fill(_DISTINCT, **place)) if facts["has_histograms"] else ()
    distinct = {str(row["name"]): float(str(row["found"])) for row in found if row["found"] is not None}
    return SourceTable(
        name=exact,
        kind=kind,
        columns=tuple(_column(row, distinct.get(str(row["name"]))) for row in rows),
        primary_key=next(iter(_keys(keys, primary=True)), ()),
        unique_keys=tuple(dict.fromkeys(_keys(keys, primary=False))),
        # A table without rows is soon counted, and one of a server that keeps no numbers has to be.
        estimated_rows=_integer(facts["rows"] or 0) or (_counted(run, exact, None) if kind != "view" else 0),
        bytes=_integer(size or 0),
    )


def estimate_rows(run: QueryRunner, table: SourceTable, where: str | None) -> int:
    """Rows that a filter leaves: counted, or by a sample of pages of a large table. A view has no statistics."""
    relation = sql.relation(table.name)
    if where is None and table.kind != "view":
        return table.estimated_rows
    if where is None or table.estimated_rows <= _COUNTED_ROWS or table.kind not in _SAMPLED_KINDS:
        return _counted(run, table.name, where)
    percent = f"{100 * _COUNTED_ROWS / table.estimated_rows:.6f}"
    condition = sql.parenthesized(where)
    row = run(sql.fill(_SAMPLE, relation=relation, condition=condition, percent=percent))[0]
    sampled = _integer(row["rows"])
    return round(table.estimated_rows * _integer(row["kept"]) / sampled) if sampled else table.estimated_rows


def _counted(run: QueryRunner, name: TableName, where: str | None) -> int:
    return _integer(run(sql.fill(_COUNT, relation=sql.relation(name), where=sql.where_clause(where)))[0]["rows"])


def _kind(facts: Row, name: TableName) -> str:
    """What the relation is, in words.

    Raises:
        PlatformError: it is neither a table nor a view.
    """
    match str(facts["type"]):
        case "U" if facts["is_memory_optimized"]:
            return "memory-optimized table"
        case "U" if facts["is_external"]:
            return "external table"
        case "U":
            return "partitioned table" if _integer(facts["partitions"]) > 1 else "table"
        case "V":
            return "view"
        case "SN":
            raise PlatformError(
                f"{name} is a synonym of {facts['base_object']}: name that table in the workflow, with its database."
            )
        case other:
            raise PlatformError(
                f"{name} is {_OTHER_KINDS.get(other, 'an object of another kind')}, not a table or view: leave it "
                f"out of the workflow."
            )


_LENGTHS = {"char": 1, "varchar": 1, "binary": 1, "varbinary": 1, "nchar": 2, "nvarchar": 2}
"""Bytes of a unit of the declared length."""

_ONE_BYTE_TEXTS = ("char", "varchar", "text")
_FIXED = (
    *("bit", "tinyint", "smallint", "int", "bigint", "decimal", "numeric", "money", "smallmoney", "float", "real"),
    *("date", "time", "datetime", "smalldatetime", "datetime2", "datetimeoffset", "uniqueidentifier", "rowversion"),
    *("char", "nchar", "binary"),
)


def _column(row: Row, distinct: float | None) -> SourceColumn:
    base_type = str(row["base_type"]).lower()
    base_type = "rowversion" if base_type == "timestamp" else base_type
    length = _integer(row["max_length"])
    arguments = _arguments(base_type, length, _integer(row["precision"]), _integer(row["scale"]))
    code_page = row["code_page"]
    return SourceColumn(
        name=str(row["name"]),
        native_type=_native_type(row, base_type, arguments),
        base_type=base_type,
        nullable=bool(row["is_nullable"]),
        category=_category(row),
        type_arguments=arguments,
        orderable=base_type not in ("text", "ntext", "image", "xml", "geometry", "geography", "json", "vector")
        and not row["is_clr"],
        generated=bool(row["is_generated"]),
        identity=bool(row["is_identity"]),
        distinct=distinct,
        average_bytes=length if base_type in _FIXED else None,
        collation=None if row["collation"] is None else str(row["collation"]),
        code_page=_integer(code_page) if code_page is not None and base_type in _ONE_BYTE_TEXTS else None,
    )


def _category(row: Row) -> str:
    if row["is_encrypted"]:
        return ENCRYPTED
    if row["is_masked"]:
        return MASKED
    if row["is_column_set"]:
        return COLUMN_SET
    return CLR if row["is_clr"] else "b"


def _arguments(base_type: str, length: int, precision: int, scale: int) -> tuple[int, ...]:
    """The arguments of a type: precision and scale, length in characters or bytes, fraction digits; max has none."""
    if base_type in ("decimal", "numeric"):
        return precision, scale
    if base_type in ("time", "datetime2", "datetimeoffset"):
        return (scale,)
    if base_type in _LENGTHS and length > 0:
        return (length // _LENGTHS[base_type],)
    return ()


def _native_type(row: Row, base_type: str, arguments: tuple[int, ...]) -> str:
    if row["is_clr"]:
        return f"{row['type_schema']}.{row['base_type']}"
    if base_type in _LENGTHS and not arguments:
        return f"{base_type}(max)"
    return f"{base_type}({','.join(map(str, arguments))})" if arguments else base_type


def _keys(rows: Sequence[Row], *, primary: bool) -> Iterable[tuple[str, ...]]:
    """Keys over columns that are never NULL, each in its own order."""
    by_index: dict[object, list[Row]] = {}
    for row in rows:
        if bool(row["is_primary_key"]) is primary:
            by_index.setdefault(row["index_id"], []).append(row)
    for columns in by_index.values():
        if not any(column["is_nullable"] for column in columns):
            yield tuple(str(column["name"]) for column in columns)


def _refuse_other_database(facts: Row, name: TableName) -> None:
    if str(facts["database"]).casefold() != name.database.casefold():
        raise PlatformError(
            f"{name} is not in the database {facts['database']!r} that the source is connected to: connect to "
            f"{name.database!r}, or correct the database in the workflow."
        )


def _refuse_hidden_columns(rows: Sequence[Row], name: TableName) -> None:
    hidden = [str(row["name"]) for row in rows if not row["is_readable"]]
    if rows and not hidden:
        return
    what = "the table" if len(hidden) == len(rows) else "the columns " + ", ".join(map(repr, hidden))
    raise PlatformError(
        f"No permission to read {what} of {name}: GRANT SELECT ON {sql.relation(name)} TO the user of the source."
    )


def _not_found(run: QueryRunner, facts: Row, name: TableName) -> str:
    hidden = "SQL Server also hides what the user has no permission for"
    if facts["schema"] is None:
        schemas = [str(row["name"]) for row in run(_SCHEMAS)]
        close = _close(name.schema, schemas) or schemas[:10]
        problem = f"There is no schema {name.schema!r} in the database {facts['database']!r}."
        return f"{problem}{_suggested(map(_as_written, close))} ({hidden}.)"
    neighbours = run(sql.fill(_NEIGHBOURS, schema=sql.literal(name.schema), table=sql.literal(name.table)))
    here = [str(row["name"]) for row in neighbours if row["schema"] == facts["schema"]]
    elsewhere = [
        f"{_as_written(str(row['schema']))}.{_as_written(str(row['name']))}"
        for row in neighbours
        if row["schema"] != facts["schema"]
    ]
    found = [*map(_as_written, _close(name.table, here)), *elsewhere[:5]]
    problem = f"There is no table or view {name.table!r} in {facts['database']}.{facts['schema']}."
    grant = f"GRANT SELECT ON {sql.relation(name)} TO the user of the source"
    return f"{problem}{_suggested(found)} ({hidden}: if it is there, {grant}.)"


def _close(wanted: str, candidates: Sequence[str]) -> list[str]:
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    similar = difflib.get_close_matches(wanted.lower(), by_lower, n=3, cutoff=0.7)
    return [by_lower[candidate] for candidate in similar]


def _as_written(identifier: str) -> str:
    """The identifier as JSON spells it in a workflow: in quotes where it isn't plain."""
    written = identifier if identifier.isidentifier() else '"' + identifier.replace('"', '""') + '"'
    return json.dumps(written, ensure_ascii=False)


def _suggested(found: Iterable[str]) -> str:
    suggestions = " or ".join(found)
    return f" Did you mean {suggestions} (as written in the workflow file)?" if suggestions else ""


def _integer(value: object) -> int:
    return int(str(value))
