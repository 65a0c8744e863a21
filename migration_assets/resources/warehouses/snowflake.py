"""Snowflake as the warehouse: COPY INTO a load table, and a swap that makes it the target.

Statements that define tables commit by themselves, so that publishing is a chain of them, each of which can
be repeated: the target's comment is marked as replaced, target and load table swap their names, the replaced
table is dropped. Wherever a crash breaks the chain, the mark says on which side of the swap it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp

from migration_assets.platforms.base import Row, TableName, TargetColumn, TargetPlatform
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import Kind
from migration_assets.resources.snowflake_sessions import (
    ResultRow,
    SnowflakeClient,
    SnowflakeSessionError,
    SnowflakeSessions,
)
from migration_assets.resources.stages.base import Stage, StagedFile
from migration_assets.resources.stages.filesystem import FileSystemStage
from migration_assets.resources.stages.snowflake import SnowflakeInternalStage, stage_name
from migration_assets.resources.warehouses.base import (
    Answer,
    Change,
    ColumnChange,
    FileLoad,
    LoadColumn,
    Pin,
    PublishMark,
    TargetTable,
    Transaction,
    Warehouse,
    WarehouseError,
    plain_value,
    planned_evolution,
    require_fit,
)

FILES_PER_COPY = 1000
"""The most files that COPY INTO takes by name (Snowflake manual, COPY INTO <table>, FILES)."""

DAYS_OF_COPY_HISTORY = 14
"""How far back the table function COPY_HISTORY reaches."""

REPLACED = "[migration-assets replaced]"
"""In the comment of a target that is about to be swapped away, or has been."""

_PARQUET = "TYPE=PARQUET USE_LOGICAL_TYPE=TRUE USE_VECTORIZED_SCANNER=TRUE BINARY_AS_TEXT=FALSE"
_DOES_NOT_EXIST = (2003, 2043)
"""Snowflake's error numbers for an object that isn't there, or that the role may not see."""

_NO_HISTORY = 707
"""Snowflake's error number for a table without time travel, or not as far back."""

_NOW = "SELECT TO_VARCHAR(CURRENT_TIMESTAMP(), 'YYYY-MM-DD HH24:MI:SS.FF9') AS NOW"
_CHANGED_ROWS = ("number of rows inserted", "number of rows updated", "number of rows deleted")
"""Columns of the answer to a statement that changes rows."""

_LOADED = "LOADED"
_LOAD_SKIPPED = "LOAD_SKIPPED"


class SnowflakeWarehouse(SnowflakeClient, Warehouse):
    """Targets in Snowflake.

    Attributes:
        database_prefix: put before every target database, so that deployments don't meet.
    """

    database_prefix: str = ""

    @property
    def platform(self) -> TargetPlatform:
        return Snowflake()

    def require_stage(self, stage: Stage) -> None:
        _location(stage)

    def target_name(self, database: str, schema: str, table: str) -> TableName:
        return TableName(self.platform.fold(self.database_prefix) + database, schema, table)

    def describe(self, table: TableName) -> TargetTable | None:
        with _explained(f"can't describe {table}"):
            found = self._find(table, "describe")
            if found is None:
                return None
            rows = 0 if found.is_view else self._count(table)
            key = () if found.is_view else self._primary_key(table, "describe")
        return TargetTable(found.columns, rows, found.mark, found.is_view, key)

    def create_load_table(
        self,
        load: TableName,
        columns: Sequence[LoadColumn],
        target: TableName,
        mark: PublishMark,
        *,
        constrained: bool = True,
        evolve: bool = False,
    ) -> None:
        def run(statement: str) -> list[ResultRow]:
            return self._run(statement, "create_load_table", load, workflow=mark.workflow)

        with _explained(f"can't make load table {load}"):
            self._create_schema(load)
            existing = self._find(load, "create_load_table")
            if existing is not None:
                if existing.mark == mark and not existing.is_replaced:
                    return
                self._require_own(load, existing)
                run(f"DROP TABLE IF EXISTS {_sql(load)}")
            current = self._find(target, "create_load_table")
            if current is None:
                run(_create_table(load, columns, mark.append_to(None)))
                return
            _require_table(target, current)
            changes: list[ColumnChange] = []
            if evolve:
                changes = self._changes(target, current, columns, "create_load_table")
            else:
                require_fit(self.platform, target, current.columns, columns)
            if not constrained:
                unconstrained = _unconstrained(columns, current, changes)
                run(_create_table(load, unconstrained, mark.append_to(None), transient=True))
                return
            comment = mark.append_to((current.comment or "").replace(REPLACED, "").rstrip())
            kind = "TRANSIENT TABLE" if current.is_transient else "TABLE"
            run(f"CREATE {kind} {_sql(load)} LIKE {_sql(target)} COPY GRANTS")
            for change in changes:
                run(change.statement(load.to_expression(), Snowflake.dialect))
            run(_set_comment(load, comment))

    def evolve(self, table: TableName, columns: Sequence[LoadColumn]) -> list[str]:
        failure = f"can't change the columns of {table}"
        with _explained(failure):
            current = self._find(table, "evolve")
            if current is None:
                raise WarehouseError(f"{failure}: there is no such table")
            _require_table(table, current)
            changes = self._changes(table, current, columns, "evolve")
            for change in changes:
                self._run(change.statement(table.to_expression(), Snowflake.dialect), "evolve", table)
        return [str(change) for change in changes]

    def _changes(
        self, table: TableName, relation: _Relation, columns: Sequence[LoadColumn], operation: str
    ) -> list[ColumnChange]:
        key = self._primary_key(table, operation)
        return planned_evolution(self.platform, table, relation.columns, columns, key)

    def loaded_files(self, load: TableName, known: Collection[str] = ()) -> Mapping[str, int]:
        paths = set(known)
        with _explained(f"can't read the load history of {load}"):
            return {_path_in(name, paths) or name: rows for name, rows in self._history(load).items()}

    def copy_into(
        self, load: TableName, columns: Sequence[LoadColumn], files: Sequence[StagedFile], stage: Stage
    ) -> list[FileLoad]:
        location = _location(stage)
        paths = [file.path for file in files]
        loaded: dict[str, int] = {}
        with _explained(f"can't load from {stage.uri} into {load}, which is left as it was"):
            table = self._find(load, "copy_into")
            if table is None:
                raise WarehouseError(f"can't load into {load}: there is no such table")
            types = {column.name: column.type for column in table.columns}
            with self._transaction(operation="copy_into", table=str(load)):
                for batch in _batches(paths, FILES_PER_COPY):
                    statement = _copy_into(load, columns, types, location, batch)
                    for row in self._run(statement, "copy_into", load):
                        loaded |= _file_load(load, row, set(batch))
            skipped = [path for path in paths if path not in loaded]
            if skipped:
                loaded |= _of_history(self._history(load), load, skipped)
        return [FileLoad(path, loaded[path]) for path in paths]

    def count_rows(self, table: TableName) -> int:
        with _explained(f"can't count {table}"):
            return self._count(table)

    def publish(self, load: TableName, target: TableName) -> None:
        with _explained(f"can't publish {load} as {target}"):
            made, current = self._find(load, "publish"), self._find(target, "publish")
            if made is None:
                if current is not None and current.mark is not None:
                    return  # An earlier attempt ended; only its answer was lost.
                raise WarehouseError(f"can't publish {load} as {target}: there is no {load}. Load the table again.")
            if current is None:
                self._run(f"ALTER TABLE {_sql(load)} RENAME TO {_sql(target)}", "publish", target)
                return
            _require_table(target, current)
            if not made.is_replaced:
                if not current.is_replaced:
                    comment = f"{current.comment}\n{REPLACED}" if current.comment else REPLACED
                    self._run(_set_comment(target, comment), "publish", target)
                self._run(f"ALTER TABLE {_sql(target)} SWAP WITH {_sql(load)}", "publish", target)
            self._run(f"DROP TABLE IF EXISTS {_sql(load)}", "publish", target)

    @contextmanager
    def transaction(self, database: str) -> Iterator[Transaction]:
        with (
            _explained(f"can't change rows in {database}"),
            self._transaction(operation="transaction", database=database),
        ):
            yield _Transaction(self.sessions, database)

    def drop_table(self, table: TableName) -> None:
        with _explained(f"can't drop {table}"), _ignoring_missing():
            self._run(f"DROP TABLE IF EXISTS {_sql(table)}", "drop_table", table)

    def list_tables(self, database: str, schema: str, prefix: str) -> list[TableName]:
        place = TableName(database, schema, f"{prefix}*")
        statement = (
            exp.select("TABLE_NAME")
            .from_(_catalogue(place, "TABLES"))
            .where(
                exp.column("TABLE_SCHEMA").eq(schema),
                exp.column("TABLE_TYPE").eq("BASE TABLE"),
                exp.StartsWith(this=exp.column("TABLE_NAME"), expression=exp.Literal.string(prefix)),
            )
        )
        rows: list[ResultRow] = []
        with _explained(f"can't list the tables of {database}.{schema}"), _ignoring_missing():
            rows = self._run(statement.sql(Snowflake.dialect), "list_tables", place)
        return [TableName(database, schema, name) for name in sorted(row["TABLE_NAME"] for row in rows)]

    def ask(self, statement: exp.Expression, database: str) -> Answer:
        with _explained(f"can't query {database}"):
            rows, query_id = self.sessions.ask(_select(statement), operation="query", database=database)
        return Answer(_plain(rows), query_id)

    def read(self, statement: exp.Expression, database: str) -> Iterator[pa.Table]:
        with _explained(f"can't query {database}"):
            yield from self.sessions.read(_select(statement), operation="query", database=database)

    def pin(self, table: TableName) -> Pin:
        relation = table.to_expression()
        with _explained(f"can't pin {table}"):
            found = self._find(table, "pin")
            if found is None or found.is_view:
                return Pin(relation, None)  # What a view reads may have no history.
            moment = self._run(_NOW, "pin", table)[0]["NOW"]
            at = exp.cast(exp.Literal.string(moment), exp.DataType.build("TIMESTAMP_LTZ", dialect=Snowflake.dialect))
            pinned = relation.copy()
            pinned.set("when", exp.HistoricalData(this="AT", kind="TIMESTAMP", expression=at))
            try:
                # Retention may be 0 by the table, its schema, its database or the account: Snowflake itself says.
                self._run(_sql(exp.select("1").from_(pinned).limit(1)), "pin", table)
            except SnowflakeSessionError as error:
                if error.code != _NO_HISTORY:
                    raise
                return Pin(relation, None)
        return Pin(pinned, f"time travel to {moment} UTC")

    def cancel_queries(self) -> None:
        with _explained("can't cancel queries"):
            self.sessions.cancel()

    def _run(self, statement: str, operation: str, table: TableName, **tag: str) -> list[ResultRow]:
        return self.sessions.run(statement, operation=operation, table=str(table), **tag)

    @contextmanager
    def _transaction(self, **tag: str) -> Iterator[None]:
        self.sessions.run("BEGIN TRANSACTION", **tag)
        # A session that took the place of a lost one would be in no transaction, and commit each statement.
        with self.sessions.pinned():
            try:
                yield
                self.sessions.run("COMMIT", **tag)
            except BaseException:
                with suppress(SnowflakeSessionError):  # A session that is gone takes its transaction with it.
                    self.sessions.run("ROLLBACK", **tag)
                raise

    def _create_schema(self, load: TableName) -> None:
        """Makes database and schema where they are missing; needs no right to make those that are there."""
        statement = (
            exp.select("SCHEMA_NAME")
            .from_(_catalogue(load, "SCHEMATA"))
            .where(exp.column("SCHEMA_NAME").eq(load.schema))
        )
        found: list[ResultRow] | None = None
        with _ignoring_missing():
            found = self._run(statement.sql(Snowflake.dialect), "create_load_table", load)
        if found is None:
            database = _sql(exp.to_identifier(load.database, quoted=True))
            self._run(f"CREATE DATABASE IF NOT EXISTS {database}", "create_load_table", load)
        if not found:
            schema = exp.table_(load.schema, db=load.database, quoted=True)
            self._run(f"CREATE SCHEMA IF NOT EXISTS {schema.sql(Snowflake.dialect)}", "create_load_table", load)

    def _find(self, table: TableName, operation: str) -> _Relation | None:
        statement = (
            exp.select("TABLE_TYPE", "IS_TRANSIENT", "COMMENT")
            .from_(_catalogue(table, "TABLES"))
            .where(exp.column("TABLE_SCHEMA").eq(table.schema), exp.column("TABLE_NAME").eq(table.table))
        )
        rows: list[ResultRow] = []
        with _ignoring_missing():
            rows = self._run(statement.sql(Snowflake.dialect), operation, table)
        if not rows:
            return None
        is_view = rows[0]["TABLE_TYPE"] != "BASE TABLE"
        described = self._run(f"DESCRIBE {'VIEW' if is_view else 'TABLE'} {_sql(table)}", operation, table)
        return _Relation(
            columns=tuple(
                TargetColumn(row["name"], row["type"], row["null?"] == "Y", row["default"] is not None)
                for row in described
            ),
            comment=rows[0]["COMMENT"],
            is_view=is_view,
            is_transient=rows[0]["IS_TRANSIENT"] == "YES",
        )

    def _primary_key(self, table: TableName, operation: str) -> tuple[str, ...]:
        """The columns of the declared primary key, which Snowflake doesn't enforce."""
        rows = self._run(f"SHOW PRIMARY KEYS IN TABLE {_sql(table)}", operation, table)
        return tuple(row["column_name"] for row in sorted(rows, key=lambda row: int(row["key_sequence"])))

    def _require_own(self, load: TableName, existing: _Relation) -> None:
        # A table made LIKE the target has no mark until the next statement gives it one.
        leftover = not existing.is_view and not self._count(load)
        if existing.is_view or not (existing.mark or existing.is_replaced or leftover):
            raise WarehouseError(
                f"{load} exists and was not made by this program, which needs the name for a load table. "
                "Rename or drop it."
            )

    def _count(self, table: TableName) -> int:
        statement = exp.select(exp.alias_(exp.Count(this=exp.Star()), "rows", quoted=True))
        counted = self._run(statement.from_(table.to_expression()).sql(Snowflake.dialect), "count_rows", table)
        return int(counted[0]["rows"])

    def _history(self, load: TableName) -> dict[str, int]:
        """Files that COPY has loaded into the table, as Snowflake names them, with the rows of each."""
        since = f"DATEADD(DAY, -{DAYS_OF_COPY_HISTORY}, CURRENT_TIMESTAMP())"
        source = exp.Anonymous(
            this=f"{_sql(exp.to_identifier(load.database, quoted=True))}.INFORMATION_SCHEMA.COPY_HISTORY",
            expressions=[
                exp.Kwarg(this=exp.Var(this="TABLE_NAME"), expression=exp.Literal.string(_sql(load))),
                exp.Kwarg(this=exp.Var(this="START_TIME"), expression=exp.Var(this=since)),
            ],
        )
        statement = (
            exp.select("FILE_NAME", "ROW_COUNT")
            .from_(exp.Anonymous(this="TABLE", expressions=[source]))
            .where(exp.Upper(this=exp.column("STATUS")).eq(_LOADED))
        )
        rows: list[ResultRow] = []
        with _ignoring_missing():
            rows = self._run(statement.sql(Snowflake.dialect), "loaded_files", load)
        return {row["FILE_NAME"]: int(row["ROW_COUNT"]) for row in rows}


@dataclass(frozen=True)
class _Relation:
    """A table or view as Snowflake's catalogue has it."""

    columns: tuple[TargetColumn, ...]
    comment: str | None
    is_view: bool
    is_transient: bool

    @property
    def mark(self) -> PublishMark | None:
        return PublishMark.find_in(self.comment)

    @property
    def is_replaced(self) -> bool:
        return REPLACED in (self.comment or "")


class _Transaction(Transaction):
    def __init__(self, sessions: SnowflakeSessions, database: str) -> None:
        self._sessions = sessions
        self._database = database

    def change(self, statement: Change) -> int:
        if not isinstance(statement, Change):
            raise WarehouseError("only INSERT, DELETE, UPDATE and MERGE change rows")
        table = _changed_table(statement)
        with _explained(f"can't change rows of {table}"):
            rows = self._sessions.run(_quoted(statement), operation="transaction", table=table)
        return sum(int(row.get(name, 0)) for row in rows for name in _CHANGED_ROWS)

    def query(self, statement: exp.Expression) -> list[Row]:
        with _explained(f"can't query {self._database}"):
            return _plain(self._sessions.run(_select(statement), operation="transaction", database=self._database))


@contextmanager
def _explained(failure: str) -> Iterator[None]:
    try:
        yield
    except SnowflakeSessionError as error:
        raise WarehouseError(f"{failure}: {error}") from error


@contextmanager
def _ignoring_missing() -> Iterator[None]:
    """Passes over the error that an object, or the database that should hold it, isn't there."""
    try:
        yield
    except SnowflakeSessionError as error:
        if error.code not in _DOES_NOT_EXIST:
            raise


def _sql(of: TableName | exp.Expression) -> str:
    expression = of.to_expression() if isinstance(of, TableName) else of
    return expression.sql(Snowflake.dialect)


def _select(statement: exp.Expression) -> str:
    if not isinstance(statement, exp.Query):
        raise WarehouseError("only a SELECT can be queried")
    return _quoted(statement)


def _quoted(statement: exp.Expression) -> str:
    """The statement with every name quoted: columns are those, and the result's are called, as it spells them."""
    return statement.sql(Snowflake.dialect, identify=True)


def _plain(rows: Sequence[ResultRow]) -> list[Row]:
    return [{name: plain_value(value) for name, value in row.items()} for row in rows]


def _changed_table(statement: Change) -> str:
    named = statement.this.this if isinstance(statement.this, exp.Schema) else statement.this
    return ".".join(part.name for part in named.parts)


def _catalogue(table: TableName, view: str) -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(view),
        db=exp.to_identifier("INFORMATION_SCHEMA"),
        catalog=exp.to_identifier(table.database, quoted=True),
    )


def _require_table(target: TableName, relation: _Relation) -> None:
    if relation.is_view:
        raise WarehouseError(
            f"{target} is a view, or another object that isn't a plain table; drop it, or choose another "
            "name for the target table"
        )


def _unconstrained(
    columns: Sequence[LoadColumn], current: _Relation, changes: Sequence[ColumnChange]
) -> list[LoadColumn]:
    """The planned columns with the target's types, once that is changed; each may be null."""
    types = {column.name: column.type for column in current.columns}
    types |= {change.name: change.ddl_type for change in changes}
    return [replace(column, ddl_type=types[column.name], nullable=True) for column in columns]


def _create_table(load: TableName, columns: Sequence[LoadColumn], comment: str, *, transient: bool = False) -> str:
    definitions = [
        exp.ColumnDef(
            this=exp.to_identifier(column.name, quoted=True),
            kind=exp.Var(this=column.ddl_type),
            constraints=[] if column.nullable else [exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())],
        )
        for column in columns
    ]
    properties: list[exp.Expression] = [exp.SchemaCommentProperty(this=exp.Literal.string(comment))]
    if transient:
        properties.append(exp.TransientProperty())
    return exp.Create(
        this=exp.Schema(this=load.to_expression(), expressions=definitions),
        kind="TABLE",
        exists=True,
        properties=exp.Properties(expressions=properties),
    ).sql(Snowflake.dialect)


def _set_comment(table: TableName, comment: str) -> str:
    return f"ALTER TABLE {_sql(table)} SET COMMENT = {_sql(exp.Literal.string(comment))}"


def _location(stage: Stage) -> str:
    """A stage's root as COPY INTO names it, quoted, with the slash that joins it with the names of files."""
    if isinstance(stage, SnowflakeInternalStage):
        location = stage.location
    elif isinstance(stage, FileSystemStage) and stage.external_stage:
        location = f"@{stage_name(stage.external_stage)}"
    else:
        raise WarehouseError(
            f"Snowflake can't read files of the stage {stage.uri}. Use an internal stage, or an object store "
            "for which the stage's external_stage names an external stage of Snowflake."
        )
    return _sql(exp.Literal.string(f"{location}/"))


def _copy_into(
    load: TableName,
    columns: Sequence[LoadColumn],
    types: Mapping[str, str],
    location: str,
    files: Sequence[str],
) -> str:
    """COPY INTO for some files: by the names of columns, or with a SELECT when text must become JSON."""
    if any(_is_semi_structured(column, types) for column in columns):
        names = ", ".join(_sql(exp.to_identifier(column.name, quoted=True)) for column in columns)
        values = (exp.Var(this=_staged_value(column, types)) for column in columns)
        selected = exp.select(*values).from_(exp.Var(this=location))
        target, source, matching = f"{_sql(load)} ({names})", f"({_sql(selected)})", ""
    else:
        target, source, matching = _sql(load), location, " MATCH_BY_COLUMN_NAME=CASE_SENSITIVE"
    names_of_files = ", ".join(_sql(exp.Literal.string(file)) for file in files)
    return (
        f"COPY INTO {target} FROM {source} FILES=({names_of_files}) "
        f"FILE_FORMAT=({_PARQUET}) ON_ERROR=ABORT_STATEMENT{matching}"
    )


def _is_semi_structured(column: LoadColumn, types: Mapping[str, str]) -> bool:
    return column.type.kind is Kind.JSON and types[column.name].partition("(")[0] in (
        "VARIANT",
        "OBJECT",
        "ARRAY",
    )


def _staged_value(column: LoadColumn, types: Mapping[str, str]) -> str:
    staged = f"$1:{_sql(exp.to_identifier(column.name, quoted=True))}"
    if not _is_semi_structured(column, types):
        return f"{staged}::{types[column.name]}"
    parsed = f"PARSE_JSON({staged}::VARCHAR)"
    return parsed if types[column.name] == "VARIANT" else f"{parsed}::{types[column.name]}"


def _file_load(load: TableName, row: ResultRow, files: Collection[str]) -> dict[str, int]:
    """The rows of one file by one row of COPY's answer; nothing for a file that was loaded before."""
    if "file" not in row or row["status"] == _LOAD_SKIPPED:
        return {}
    if row["status"] != _LOADED:
        raise WarehouseError(
            f"can't load {row['file']} into {load}, which is left as it was: {row['status']}: "
            f"{row['first_error']} (row {row['first_error_line']}, column {row['first_error_column_name']})"
        )
    path = _path_in(row["file"], files)
    if path is None:
        raise WarehouseError(f"COPY INTO {load} reports a file that was not asked for: {row['file']}")
    return {path: int(row["rows_loaded"])}


def _of_history(history: Mapping[str, int], load: TableName, files: Sequence[str]) -> dict[str, int]:
    """The rows of files that COPY skipped, by the table's load history."""
    wanted = set(files)
    found = {_path_in(name, wanted): rows for name, rows in history.items()}
    missing = [file for file in files if file not in found]
    if missing:
        raise WarehouseError(
            f"COPY INTO {load} skipped {missing[0]} and {len(missing) - 1} other files, of which the load "
            f"history of the last {DAYS_OF_COPY_HISTORY} days knows nothing. Drop {load} and load it again."
        )
    return {file: found[file] for file in files}


def _path_in(reported: str, files: Collection[str]) -> str | None:
    """The file that Snowflake means: it puts the stage, its address or its folder before the path."""
    parts = reported.split("/")
    tails = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((tail for tail in tails if tail in files), None)


def _batches(files: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (files[start : start + size] for start in range(0, len(files), size))
