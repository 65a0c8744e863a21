"""What PostgreSQL's catalogue says about a table: one query for the relation, one for its columns.

`information_schema` is not used: it hides materialized views and what other roles own, and it is slow.
The queries need PostgreSQL 12 or newer.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from migration_assets.platforms.base import (
    PlatformError,
    QueryRunner,
    Row,
    SourceColumn,
    SourceTable,
    TableName,
)
from migration_assets.platforms.postgresql import sql

_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
_OTHER_KINDS = {
    "S": "a sequence",
    "i": "an index",
    "I": "an index",
    "c": "a composite type",
    "t": "a TOAST table",
}

# A row per relation of that name: none or one. `leaves` are the relation itself and all that inherit from it.
_RELATION = """\
WITH RECURSIVE relation AS (
    SELECT c.*, n.nspname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relname = {table}
), leaves AS (
    SELECT oid AS relid FROM relation
    UNION
    SELECT i.inhrelid FROM leaves l JOIN pg_catalog.pg_inherits i ON i.inhparent = l.relid
), sizes AS (
    SELECT count(*) AS relations,
           coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0)::bigint AS bytes,
           coalesce(sum(pg_catalog.pg_relation_size(c.oid)), 0)::bigint AS main_bytes
    FROM leaves l JOIN pg_catalog.pg_class c ON c.oid = l.relid
    WHERE c.relkind IN ('r', 'm', 'p', 'f')
)
SELECT pg_catalog.current_database()::text AS database,
       pg_catalog.to_regnamespace(pg_catalog.quote_ident({schema})) IS NOT NULL AS schema_exists,
       r.oid IS NOT NULL AS relation_exists,
       pg_catalog.current_setting('server_version_num')::int AS version,
       pg_catalog.current_setting('block_size')::int AS block_size,
       r.relkind::text AS kind,
       coalesce(am.amname::text, 'heap') AS access_method,
       s.relations > 1 AS has_children,
       s.bytes,
       s.main_bytes,
       pg_catalog.has_schema_privilege(r.relnamespace, 'USAGE') AS schema_readable,
       pg_catalog.has_table_privilege(r.oid, 'SELECT') AS readable,
       pg_catalog.row_security_active(r.oid) AS hides_rows,
       (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'primary', i.indisprimary,
            'columns', (SELECT pg_catalog.json_agg(a.attname ORDER BY k.position)
                        FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, position)
                        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                        WHERE k.position <= i.indnkeyatts)
            ) ORDER BY i.indisprimary DESC, i.indexrelid)::text
        FROM pg_catalog.pg_index i
        WHERE i.indrelid = r.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indisready
          AND i.indpred IS NULL AND i.indexprs IS NULL) AS keys
FROM (VALUES (1)) AS one(row)
LEFT JOIN relation r ON true
LEFT JOIN sizes s ON true
LEFT JOIN pg_catalog.pg_am am ON am.oid = r.relam AND r.relam <> 0"""

# `bases` follows domains to the type below. An array's element, and a type that is stored like another one
# (varchar as text), take part in the question whether the type has a default order.
_COLUMNS = """\
WITH RECURSIVE columns AS (
    SELECT a.*
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relname = {table} AND a.attnum > 0 AND NOT a.attisdropped
), bases AS (
    SELECT attnum, atttypid AS typid, atttypmod AS typmod, false AS notnull FROM columns
    UNION ALL
    SELECT b.attnum, t.typbasetype, CASE WHEN b.typmod >= 0 THEN b.typmod ELSE t.typtypmod END,
           b.notnull OR t.typnotnull
    FROM bases b JOIN pg_catalog.pg_type t ON t.oid = b.typid WHERE t.typtype = 'd'
), resolved AS (
    SELECT b.attnum, b.typmod, t.*, e.oid AS element, e.typtype AS element_typtype,
           (SELECT bool_or(other.notnull) FROM bases other WHERE other.attnum = b.attnum) AS domain_not_null
    FROM bases b
    JOIN pg_catalog.pg_type t ON t.oid = b.typid AND t.typtype <> 'd'
    LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
), ordered AS (
    SELECT o.opcintype AS typid
    FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am am ON am.oid = o.opcmethod
    WHERE am.amname = 'btree' AND o.opcdefault
)
SELECT a.attname::text AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS native_type,
       pg_catalog.format_type(r.oid, -1) AS base_type,
       r.typmod,
       r.typname::text AS type_name,
       CASE WHEN r.element IS NOT NULL THEN 'a' ELSE r.typtype::text END AS category,
       (a.attnotnull AND c.relkind <> 'f' AND NOT {has_children} AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint k
            WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
              AND k.conkey = ARRAY[a.attnum])) AS not_null,
       (r.domain_not_null AND c.relkind IN ('r', 'p')) AS domain_not_null,
       (r.typtype IN ('e', 'r', 'm') OR EXISTS (
            SELECT FROM ordered o
            WHERE o.typid = coalesce(r.element, r.oid) OR r.element_typtype IN ('e', 'r', 'm')
               OR EXISTS (SELECT FROM pg_catalog.pg_cast k
                          WHERE k.castsource = coalesce(r.element, r.oid) AND k.casttarget = o.typid
                            AND k.castmethod = 'b' AND k.castcontext = 'i'))) AS orderable,
       coalesce(pg_catalog.to_jsonb(a) ->> 'attgenerated', '') <> '' AS generated,
       a.attidentity <> '' AS identity,
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable,
       s.n_distinct::float8 AS "distinct",
       s.avg_width::int AS average_bytes
FROM columns a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN resolved r ON r.attnum = a.attnum
LEFT JOIN LATERAL (
    SELECT p.n_distinct, p.avg_width FROM pg_catalog.pg_stats p
    WHERE p.schemaname = {schema} AND p.tablename = {table} AND p.attname = a.attname
    ORDER BY p.inherited DESC LIMIT 1
) s ON true
ORDER BY a.attnum"""

_NEIGHBOURS = """\
SELECT n.nspname::text AS schema, c.relname::text AS name
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND (n.nspname = {schema} OR pg_catalog.lower(n.nspname) = pg_catalog.lower({schema})
       OR pg_catalog.lower(c.relname) = pg_catalog.lower({table}))
ORDER BY 1, 2 LIMIT 5000"""

_SCHEMAS = """\
SELECT nspname::text AS name FROM pg_catalog.pg_namespace
WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY 1 LIMIT 5000"""

_EXPLAIN = "EXPLAIN (FORMAT JSON) SELECT FROM {relation}{where}"

_TID_RANGE_SCAN_VERSION = 140000


def describe(run: QueryRunner, name: TableName) -> SourceTable:
    """The catalogue's entry of a table or view that can be read whole.

    `nullable` of a column says what the table declares, and a NOT NULL of its domain counts. Not declared is
    what doesn't hold for every row that is read: of foreign tables, of tables with children, and of
    constraints that are not validated.

    Raises:
        PlatformError: there is no such relation, or not all of its rows and columns can be read.
    """
    names = {"schema": sql.literal(name.schema), "table": sql.literal(name.table)}
    facts = run(sql.fill(_RELATION, **names))[0]
    _refuse_other_database(facts, name)
    if not facts["relation_exists"]:
        raise PlatformError(_not_found(run, facts, name))
    _refuse_unreadable(facts, name)

    kind = _KINDS[str(facts["kind"])]
    inheritance_parent = bool(facts["has_children"]) and kind != "partitioned table"
    rows = run(sql.fill(_COLUMNS, **names, has_children=str(inheritance_parent).lower()))
    if not rows:
        raise PlatformError(f"{name} has no columns: there is nothing to move. Leave the table out.")
    _refuse_hidden_columns(rows, facts, name)

    primary_key, unique_keys = _keys(facts, rows, inheritance_parent)
    return SourceTable(
        name=name,
        kind=kind,
        columns=tuple(_column(row) for row in rows),
        primary_key=primary_key,
        unique_keys=unique_keys,
        estimated_rows=_estimated_rows(run, facts, kind, name),
        bytes=_integer(facts["bytes"]),
        blocks=_blocks(facts, kind, inheritance_parent),
    )


def explain_rows(run: QueryRunner, name: TableName, where: str | None) -> int:
    """The planner's estimate: it scales the statistics by the table's present size, sums over partitions."""
    row = run(sql.fill(_EXPLAIN, relation=sql.relation(name), where=sql.where_clause(where)))[0]
    return int(plan_facts(row)["Plan Rows"])


def plan_facts(row: Row) -> dict[str, Any]:
    """The top node of the plan that `EXPLAIN (FORMAT JSON)` returned."""
    plan: Any = next(iter(row.values()))
    # Some drivers parse JSON, some don't.
    facts: dict[str, Any] = (json.loads(plan) if isinstance(plan, (str, bytes)) else plan)[0]["Plan"]
    return facts


def _estimated_rows(run: QueryRunner, facts: Row, kind: str, name: TableName) -> int:
    # For a table that was never analysed the planner assumes some rows, even in no block at all.
    if kind in ("table", "partitioned table", "materialized view") and facts["main_bytes"] == 0:
        return 0
    return explain_rows(run, name, None)


def _blocks(facts: Row, kind: str, inheritance_parent: bool) -> int:
    """The blocks that `ctid` addresses: uniquely in one heap only, cheaply since PostgreSQL 14."""
    if (
        kind not in ("table", "materialized view")
        or inheritance_parent
        or _integer(facts["version"]) < _TID_RANGE_SCAN_VERSION
        or facts["access_method"] != "heap"
    ):
        return 0
    return _integer(facts["main_bytes"]) // _integer(facts["block_size"])


def _column(row: Row) -> SourceColumn:
    base_type, typmod = str(row["base_type"]), _integer(row["typmod"])
    distinct, width = row["distinct"], row["average_bytes"]
    return SourceColumn(
        name=str(row["name"]),
        native_type=str(row["native_type"]),
        base_type=base_type,
        nullable=not (row["not_null"] or row["domain_not_null"]),
        category=str(row["category"]),
        type_arguments=decode_typmod(base_type, typmod),
        orderable=bool(row["orderable"]),
        generated=bool(row["generated"]),
        identity=bool(row["identity"]),
        distinct=None if distinct is None else float(str(distinct)),
        average_bytes=None if width is None else _integer(width),
    )


def decode_typmod(base_type: str, typmod: int) -> tuple[int, ...]:
    """The arguments of a type from its packed form in the catalogue; none when it has none.

    numeric packs precision and an 11-bit signed scale above an offset of 4 (`make_numeric_typmod`),
    character types add 4 to the length, an interval has its fields in the upper and its precision in the
    lower half.
    """
    if typmod < 0:
        return ()
    match base_type:
        case "numeric":
            packed = typmod - 4
            return (packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024
        case "character varying" | "bpchar":
            return (typmod - 4,)
        case "interval":
            precision = typmod & 0xFFFF
            return () if precision == 0xFFFF else (precision,)
        case '"bit"' | "bit varying":
            return (typmod,)
        case _ if base_type.startswith(("time ", "timestamp ")):
            return (typmod,)
    return ()


def _keys(
    facts: Row, columns: Sequence[Row], inheritance_parent: bool
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Primary key and unique keys. A parent's keys say nothing about the rows of the tables that inherit."""
    if inheritance_parent or facts["keys"] is None:
        return (), ()
    keys = json.loads(str(facts["keys"]))
    not_null = {row["name"] for row in columns if row["not_null"]}
    primary = next((tuple(key["columns"]) for key in keys if key["primary"]), ())
    unique = (tuple(key["columns"]) for key in keys if not key["primary"])
    return primary, tuple(dict.fromkeys(key for key in unique if not_null.issuperset(key)))


def _refuse_other_database(facts: Row, name: TableName) -> None:
    if facts["database"] != name.database:
        raise PlatformError(
            f"{name} is not in the database {facts['database']!r} that the source is connected to. "
            f"PostgreSQL reads one database per connection: connect to {name.database!r}, or correct the "
            f"database in the workflow."
        )


def _refuse_unreadable(facts: Row, name: TableName) -> None:
    kind = str(facts["kind"])
    if kind not in _KINDS:
        raise PlatformError(
            f"{name} is {_OTHER_KINDS.get(kind, 'a relation of an unknown kind')}, not a table or view: "
            f"leave it out of the workflow."
        )
    if not facts["schema_readable"]:
        raise PlatformError(
            f"No access to the schema of {name}: "
            f"GRANT USAGE ON SCHEMA {sql.quote(name.schema)} TO the user of the source."
        )
    if facts["hides_rows"]:
        raise PlatformError(
            f"Row-level security hides rows of {name} from the user of the source, so they would be lost. "
            f"Use a role with BYPASSRLS or the table's owner, or move a view that holds the rows that are "
            f"meant."
        )


def _refuse_hidden_columns(rows: Sequence[Row], facts: Row, name: TableName) -> None:
    hidden = [str(row["name"]) for row in rows if not row["readable"]]
    if facts["readable"] or not hidden:
        return
    what = "the table" if len(hidden) == len(rows) else "the columns " + ", ".join(map(repr, hidden))
    raise PlatformError(
        f"No permission to read {what} of {name}: GRANT SELECT ON {sql.relation(name)} TO the user of the source."
    )


def _not_found(run: QueryRunner, facts: Row, name: TableName) -> str:
    if not facts["schema_exists"]:
        schemas = [str(row["name"]) for row in run(_SCHEMAS)]
        close = _close(name.schema, schemas) or schemas[:10]
        return _suggest(
            f"There is no schema {name.schema!r} in the database {name.database!r}.", map(_as_written, close)
        )
    neighbours = run(sql.fill(_NEIGHBOURS, schema=sql.literal(name.schema), table=sql.literal(name.table)))
    here = [str(row["name"]) for row in neighbours if row["schema"] == name.schema]
    elsewhere = [
        f"{_as_written(str(row['schema']))}.{_as_written(str(row['name']))}"
        for row in neighbours
        if row["schema"] != name.schema and str(row["name"]).lower() == name.table.lower()
    ]
    found = [*map(_as_written, _close(name.table, here)), *elsewhere[:5]]
    return _suggest(f"There is no table or view {name.table!r} in {name.database}.{name.schema}.", found)


def _close(wanted: str, candidates: Sequence[str]) -> list[str]:
    """The candidates that are spelled alike; those that differ in case only come first."""
    same = [candidate for candidate in candidates if candidate.lower() == wanted.lower()]
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    similar = difflib.get_close_matches(wanted.lower(), by_lower, n=3, cutoff=0.7)
    return list(dict.fromkeys([*same, *(by_lower[candidate] for candidate in similar)]))


def _as_written(identifier: str) -> str:
    """The identifier as JSON spells it in a workflow: in quotes when folding would change it."""
    plain = identifier.isidentifier() and sql.fold(identifier) == identifier
    return json.dumps(identifier if plain else sql.quote(identifier), ensure_ascii=False)


def _suggest(problem: str, found: Iterable[str]) -> str:
    suggestions = " or ".join(found)
    return f"{problem} Did you mean {suggestions} (as written in the workflow file)?" if suggestions else problem


def _integer(value: object) -> int:
    return int(str(value))
