"""The embedded warehouse: every target database is one DuckDB file in a folder.

A DuckDB file has one process at a time. The warehouse opens it for the length of one operation, and waits
its turn while another process has it. Each operation that changes something is one transaction of DuckDB, so
that a process killed at any moment leaves what was there before, or all of what was asked for.
"""

from __future__ import annotations

import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from dagster import ConfigurableResource
from sqlglot import TokenType, exp, tokenize
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from migration_assets.platforms.base import Row, TableName, TargetColumn, TargetPlatform
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.types import Kind
from migration_assets.resources.stages.base import Stage, StagedFile
from migration_assets.resources.stages.filesystem import FileSystemStage
from migration_assets.resources.warehouses.base import (
    Answer,
    Change,
    ColumnChange,
    Evolution,
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

HISTORY_SCHEMA = "_migration"
HISTORY = "loaded_files"
ROWS_PER_BATCH = 16 * 1024
"""Rows that are read at a time from a file of an object store."""

_CREATE_HISTORY = (
    f'CREATE SCHEMA IF NOT EXISTS "{HISTORY_SCHEMA}"',
    f'CREATE TABLE IF NOT EXISTS "{HISTORY_SCHEMA}"."{HISTORY}" ('
    "table_schema VARCHAR NOT NULL, table_name VARCHAR NOT NULL, path VARCHAR NOT NULL, "
    "rows BIGINT NOT NULL, loaded_at TIMESTAMPTZ NOT NULL DEFAULT now())",
)
_HISTORY_EXISTS = "SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?"
_READ_HISTORY = 'SELECT path, rows FROM "_migration"."loaded_files" WHERE table_schema = ? AND table_name = ?'
_ADD_TO_HISTORY = 'INSERT INTO "_migration"."loaded_files" (table_schema, table_name, path, rows) VALUES (?, ?, ?, ?)'
_CLEAR_HISTORY = 'DELETE FROM "_migration"."loaded_files" WHERE table_schema = ? AND table_name = ?'

_FIND_RELATION = """
SELECT table_oid, comment, false FROM duckdb_tables()
WHERE database_name = current_database() AND lower(schema_name) = lower($1) AND lower(table_name) = lower($2)
UNION ALL
SELECT view_oid, comment, true FROM duckdb_views()
WHERE database_name = current_database() AND lower(schema_name) = lower($1) AND lower(view_name) = lower($2)
"""
# Apart from the above: DuckDB writes both out for every table of the file, whichever is asked for.
_FIND_DEFINITION = "SELECT sql FROM duckdb_tables() WHERE database_name = current_database() AND table_oid = ?"
_FIND_COLUMN_COMMENTS = """
SELECT column_name, comment FROM duckdb_columns()
WHERE database_name = current_database() AND table_oid = ? AND comment IS NOT NULL
"""
_FIND_FILLED_COLUMNS = """
SELECT column_name FROM duckdb_columns()
WHERE database_name = current_database() AND table_oid = ? AND NOT is_generated
"""
_FIND_PRIMARY_KEY = """
SELECT constraint_column_names FROM duckdb_constraints()
WHERE database_name = current_database() AND table_oid = ? AND constraint_type = 'PRIMARY KEY'
"""
_FIND_INDEXES = "SELECT sql FROM duckdb_indexes() WHERE database_name = current_database() AND table_oid = ?"
_FIND_TABLES = """
SELECT schema_name, table_name FROM duckdb_tables()
WHERE database_name = current_database() AND lower(schema_name) = lower(?) AND starts_with(table_name, ?)
ORDER BY table_name
"""
_DEFINITION = re.compile(r'CREATE TABLE (?:"(?:[^"]|"")*"|[^"(])+(\(.*)', re.DOTALL)
"""A table's CREATE statement as DuckDB's catalogue has it; the group is all that follows the name."""

_NOT_ALTERED = (duckdb.BinderException, duckdb.CatalogException, duckdb.DependencyException)
"""How DuckDB refuses to alter a column that a key, a check, an index or a generated column depends on."""

# Threads of one process share an open file and could change it together, but two transactions that touch the
# same catalogue entry conflict: they take turns instead. Reading needs no turn.
_turns: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)

_asking: list[duckdb.DuckDBPyConnection] = []
_asking_lock = threading.Lock()


@dataclass(frozen=True)
class _Relation:
    """A table or view as DuckDB's catalogue has it."""

    oid: int
    columns: tuple[TargetColumn, ...]
    comment: str | None
    is_view: bool

    @property
    def mark(self) -> PublishMark | None:
        return PublishMark.find_in(self.comment)


class DuckDBWarehouse(ConfigurableResource, Warehouse):  # type: ignore[type-arg]
    """Targets in DuckDB files.

    Attributes:
        directory: the folder of the files; made when it is missing. What a statement spills goes there, too.
        database_prefix: put before every target database, so that deployments don't meet.
        lock_timeout_seconds: how long an operation waits while another process has the file.
        memory_limit: what one open file may hold in memory, as DuckDB writes it.
        threads: threads of one open file.
    """

    directory: str
    database_prefix: str = ""
    lock_timeout_seconds: float = 60
    memory_limit: str = "160MB"
    threads: int = 2

    @property
    def platform(self) -> TargetPlatform:
        return DuckDB()

    def require_stage(self, stage: Stage) -> None:
        _filesystem_stage(stage)

    def target_name(self, database: str, schema: str, table: str) -> TableName:
        return TableName(self.database_prefix + database, schema, table)

    @contextmanager
    def hold(self, database: str) -> Iterator[None]:
        file = self._file(database)
        if not file.exists():
            yield
            return
        # Connections of one process share an open file: while one is left, the next cost nothing.
        with self._connected(file, f"can't open the database {database}"):
            yield

    def describe(self, table: TableName) -> TargetTable | None:
        if not self._file(table.database).exists():
            return None
        with self._reading(table.database, f"can't describe {table}") as connection:
            relation = _find(connection, table)
            if relation is None:
                return None
            rows = 0 if relation.is_view else _count(connection, table)
            key = () if relation.is_view else _primary_key(connection, relation)
        return TargetTable(relation.columns, rows, relation.mark, relation.is_view, key)

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
        _require_same_place(load, target)
        with self._changing(load.database, f"can't make load table {load}") as connection:
            existing = _find(connection, load)
            if existing is not None:
                if existing.mark is None or existing.is_view:
                    raise WarehouseError(
                        f"{load} exists and was not made by this program, which needs the name for a load "
                        "table. Rename or drop it."
                    )
                if existing.mark == mark:
                    return
                connection.execute(f"DROP TABLE {_sql(load)}")
            _execute(connection, exp.Create(this=_schema(load), kind="SCHEMA", exists=True))
            for statement in _CREATE_HISTORY:
                connection.execute(statement)
            connection.execute(_CLEAR_HISTORY, [load.schema, load.table])
            current = _find(connection, target)
            if current is None:
                _execute(connection, _create_table(load, columns))
                comment = mark.append_to(None)
            else:
                _require_table(target, current)
                changes: list[ColumnChange] = []
                if evolve:
                    changes = self._changes(connection, target, current, columns)
                else:
                    require_fit(self.platform, target, current.columns, columns)
                if constrained:
                    _create_evolved(connection, load, current, changes)
                    comment = mark.append_to(current.comment)
                else:
                    _create_unconstrained(connection, load, target, self._planned(current, columns))
                    _alter(connection, load, changes)
                    comment = mark.append_to(None)
            _execute(connection, _comment("TABLE", _name(load), comment))

    def evolve(self, table: TableName, columns: Sequence[LoadColumn]) -> list[str]:
        try:
            return self._evolve(table, columns, rebuild=False)
        except WarehouseError as error:
            if not isinstance(error.__cause__, _NOT_ALTERED):
                raise
            return self._evolve(table, columns, rebuild=True)

    def _evolve(self, table: TableName, columns: Sequence[LoadColumn], *, rebuild: bool) -> list[str]:
        """Alters a table, or puts another one with all of its rows in its place."""
        failure = f"can't change the columns of {table}"
        self._require_database(table.database, failure)
        with self._changing(table.database, failure) as connection:
            current = _find(connection, table)
            if current is None:
                raise WarehouseError(f"{failure}: there is no such table")
            _require_table(table, current)
            changes = self._changes(connection, table, current, columns)
            if rebuild:
                evolved = table.renamed(f"{table.table}__evolved")
                _create_evolved(connection, evolved, current, changes)
                _copy_rows(connection, table, current, evolved)
                if current.comment is not None:
                    _execute(connection, _comment("TABLE", _name(evolved), current.comment))
                _replace(connection, table, current, evolved)
            else:
                _alter(connection, table, changes)
        return [str(change) for change in changes]

    def _changes(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: TableName,
        relation: _Relation,
        columns: Sequence[LoadColumn],
    ) -> list[ColumnChange]:
        key = _primary_key(connection, relation)
        return planned_evolution(self.platform, table, relation.columns, columns, key)

    def _planned(self, relation: _Relation, columns: Sequence[LoadColumn]) -> list[str]:
        """The planned ones of a table's columns."""
        return [
            existing.name
            for existing in relation.columns
            if any(self.platform.same_name(existing.name, column.name) for column in columns)
        ]

    def loaded_files(self, load: TableName, known: Collection[str] = ()) -> Mapping[str, int]:
        if not self._file(load.database).exists():
            return {}
        with self._reading(load.database, f"can't read the load history of {load}") as connection:
            return _history(connection, load)

    def copy_into(
        self, load: TableName, columns: Sequence[LoadColumn], files: Sequence[StagedFile], stage: Stage
    ) -> list[FileLoad]:
        try:
            return self._copy(load, columns, files, stage, self.threads)
        except WarehouseError as error:
            if self.threads == 1 or not isinstance(error.__cause__, duckdb.OutOfMemoryException):
                raise
            # Every thread holds 122,880 rows until they are compressed. One thread can spill of them what it must.
            return self._copy(load, columns, files, stage, 1)

    def _copy(
        self, load: TableName, columns: Sequence[LoadColumn], files: Sequence[StagedFile], stage: Stage, threads: int
    ) -> list[FileLoad]:
        # One INSERT per file: the count that DuckDB returns is then evidence of the file's rows, not an echo
        # of its manifest, and a file that can't be loaded is known by name.
        source = _filesystem_stage(stage)
        with self._changing(load.database, f"can't load into {load}") as connection:
            connection.execute(f"SET threads = {threads:d}")
            rows = _history(connection, load)
            for file in files:
                if file.path in rows:
                    continue
                try:
                    rows[file.path] = _insert(connection, load, columns, source, file.path)
                except (duckdb.Error, pa.ArrowException, OSError) as error:
                    raise WarehouseError(
                        f"can't load {stage.uri_of(file.path)} into {load}, which is left as it was: {error}"
                        f"{_advice_on_times(error, columns)}"
                    ) from error
                connection.execute(_ADD_TO_HISTORY, [load.schema, load.table, file.path, rows[file.path]])
        return [FileLoad(file.path, rows[file.path]) for file in files]

    def count_rows(self, table: TableName) -> int:
        with self._reading(table.database, f"can't count {table}") as connection:
            return _count(connection, table)

    def publish(self, load: TableName, target: TableName) -> None:
        _require_same_place(load, target)
        with self._changing(load.database, f"can't publish {load} as {target}") as connection:
            made, current = _find(connection, load), _find(connection, target)
            if made is None:
                if current is not None and current.mark is not None:
                    return  # The transaction of an earlier attempt ended; only its answer was lost.
                raise WarehouseError(f"can't publish {load} as {target}: there is no {load}. Load the table again.")
            if current is not None:
                _require_table(target, current)
            _replace(connection, target, current, load)
            connection.execute(_CLEAR_HISTORY, [load.schema, load.table])

    @contextmanager
    def transaction(self, database: str) -> Iterator[Transaction]:
        failure = f"can't change rows in {database}"
        # Of two threads each would hold rows of all columns until they are compressed; one can spill what it must.
        with self._reading(database, failure) as settings, self._changing(database, failure) as connection:
            settings.execute("SET threads = 1")
            try:
                yield _Transaction(connection, database, partial(_advice, file=self._file(database), warehouse=self))
            finally:
                settings.execute(f"SET threads = {self.threads:d}")

    def drop_table(self, table: TableName) -> None:
        if not self._file(table.database).exists():
            return
        with self._changing(table.database, f"can't drop {table}") as connection:
            connection.execute(f"DROP TABLE IF EXISTS {_sql(table)}")
            if _has_history(connection):
                connection.execute(_CLEAR_HISTORY, [table.schema, table.table])

    def list_tables(self, database: str, schema: str, prefix: str) -> list[TableName]:
        if not self._file(database).exists():
            return []
        with self._reading(database, f"can't list the tables of {database}.{schema}") as connection:
            found = connection.execute(_FIND_TABLES, [schema, prefix]).fetchall()
        return [TableName(database, in_schema, table) for in_schema, table in found]

    def ask(self, statement: exp.Expression, database: str) -> Answer:
        with self._reading(database, f"can't query {database}") as connection, _cancellable(connection):
            return Answer(_ask(connection, statement, database))

    def read(self, statement: exp.Expression, database: str) -> Iterator[pa.Table]:
        with self._reading(database, f"can't query {database}") as connection, _cancellable(connection):
            result = connection.sql(_query(statement, database))
            with _explained(f"can't read what {database} answers"):
                for batch in result.to_arrow_reader(ROWS_PER_BATCH):
                    yield pa.Table.from_batches([batch])

    def pin(self, table: TableName) -> Pin:
        # No other process can change the file as long as it is open here (`hold`).
        return Pin(_name(table), "the database file, kept open")

    def cancel_queries(self) -> None:
        with _asking_lock:
            for connection in _asking:
                connection.interrupt()

    def _reading(self, database: str, failure: str) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return self._connected(self._require_database(database, failure), failure)

    def _require_database(self, database: str, failure: str) -> Path:
        file = self._file(database)
        if not file.exists():
            raise WarehouseError(f"{failure}: there is no database {database} ({file})")
        return file

    @contextmanager
    def _changing(self, database: str, failure: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction that ends with the context: by an error undone, otherwise committed."""
        file = self._file(database)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(f"{failure}: {error}") from error
        with _turns[file], self._connected(file, failure) as connection:
            connection.begin()
            try:
                yield connection
                connection.commit()
            except BaseException:
                with suppress(duckdb.Error):  # DuckDB may have ended the transaction itself.
                    connection.rollback()
                raise

    @contextmanager
    def _connected(self, file: Path, failure: str) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            connection = self._open(file)
            try:
                connection.execute("SET TimeZone = 'UTC'")
                yield connection
            finally:
                connection.close()
        except duckdb.Error as error:
            raise WarehouseError(f"{failure}: {error}{_advice(error, file, self)}") from error

    def _open(self, file: Path) -> duckdb.DuckDBPyConnection:
        attempts = Retrying(
            retry=retry_if_exception(_is_busy),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            stop=stop_after_delay(self.lock_timeout_seconds),
            reraise=True,
        )
        settings = {
            "memory_limit": self.memory_limit,
            "threads": self.threads,
            # Keeping the order of the rows of a file would hold them back in memory.
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            # A table name in a query must never find a Python variable.
            "python_enable_replacements": False,
        }
        if not file.exists():
            _create(file)
        connection: duckdb.DuckDBPyConnection = attempts(duckdb.connect, str(file), config=settings)
        return connection

    def _file(self, database: str) -> Path:
        """The file of a database: one that exists under the name in any case, as DuckDB compares names so."""
        directory = Path(self.directory).resolve()
        name = f"{_file_name(database)}.duckdb"
        if (directory / name).exists() or not directory.is_dir():
            return directory / name
        alike = (file for file in directory.glob("*.duckdb") if file.name.lower() == name.lower())
        return min(alike, default=directory / name)


class _Transaction(Transaction):
    def __init__(
        self, connection: duckdb.DuckDBPyConnection, database: str, advice: Callable[[duckdb.Error], str]
    ) -> None:
        self._connection = connection
        self._database = database
        self._advice = advice

    def change(self, statement: Change) -> int:
        change = _change(statement, self._database)
        with self._failing(f"can't change rows of {_changed_table(change).sql(DuckDB.dialect)}"):
            if isinstance(change, exp.Merge):
                return _merge(self._connection, change)
            return _changed_rows(_execute(self._connection, change))

    def query(self, statement: exp.Expression) -> list[Row]:
        with self._failing(f"can't query {self._database}"):
            return _ask(self._connection, statement, self._database)

    @contextmanager
    def _failing(self, failure: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise WarehouseError(f"{failure}: {error}{self._advice(error)}") from error


@contextmanager
def _cancellable(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    with _asking_lock:
        _asking.append(connection)
    try:
        yield
    finally:
        with _asking_lock:
            _asking.remove(connection)


@contextmanager
def _explained(failure: str) -> Iterator[None]:
    """Names what fails while rows flow: an error of DuckDB comes through Arrow as one of several others."""
    try:
        yield
    except (OverflowError, ValueError, OSError, pa.ArrowException) as error:
        raise WarehouseError(f"{failure}: {error}") from error


def _ask(connection: duckdb.DuckDBPyConnection, statement: exp.Expression, database: str) -> list[Row]:
    result = connection.sql(_query(statement, database))
    rows: list[Row] = []
    with _explained(f"can't read what {database} answers"):
        for batch in result.to_arrow_reader():
            rows += [{name: plain_value(value) for name, value in row.items()} for row in _rows(batch)]
    return rows


def _rows(batch: pa.RecordBatch) -> list[Row]:
    """The rows of a batch; a date or time that Python has none for is its text, as a PostgreSQL source returns it."""
    try:
        if any(map(_has_nanoseconds, batch.schema.types)):
            raise ValueError("Python's times have microseconds")
        rows: list[Row] = batch.to_pylist()
    except (OverflowError, ValueError):
        columns = [_values(column) for column in batch.columns]
        rows = [dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]
    return rows


def _values(column: pa.Array) -> list[object]:
    if not (pa.types.is_date32(column.type) or pa.types.is_timestamp(column.type) or _has_nanoseconds(column.type)):
        values: list[object] = column.to_pylist()
        return values
    return [_moment(scalar) for scalar in column]


def _has_nanoseconds(column_type: pa.DataType) -> bool:
    is_time = pa.types.is_timestamp(column_type) or pa.types.is_time64(column_type)
    return is_time and str(column_type.unit) == "ns"


def _moment(scalar: pa.Scalar) -> object:
    if _has_nanoseconds(scalar.type) and scalar.is_valid:
        if scalar.value % 1_000:
            return _text_of_moment(scalar)
        is_time = pa.types.is_time64(scalar.type)
        scalar = scalar.cast(pa.time64("us") if is_time else pa.timestamp("us", scalar.type.tz))
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return _text_of_moment(scalar)


_EPOCH = date(1970, 1, 1)
_DAYS_PER_ERA, _YEARS_PER_ERA = 146_097, 400
"""After so many days and years the calendar repeats."""
_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def _text_of_moment(scalar: pa.Scalar) -> str:
    """A date or timestamp beyond Python's calendar, or a time of more digits, in PostgreSQL's words."""
    if pa.types.is_time64(scalar.type):
        return _clock(scalar.value, _TICKS["ns"])
    is_date = pa.types.is_date32(scalar.type)
    if abs(scalar.value) == 2 ** (31 if is_date else 63) - 1:
        return "infinity" if scalar.value > 0 else "-infinity"
    ticks = 1 if is_date else _TICKS[scalar.type.unit]
    days, of_day = divmod(scalar.value, 1 if is_date else 86_400 * ticks)
    eras, day_of_era = divmod(days, _DAYS_PER_ERA)
    alike = _EPOCH + timedelta(days=day_of_era)
    year = alike.year + _YEARS_PER_ERA * eras
    text = f"{year if year > 0 else 1 - year:04d}-{alike:%m-%d}"
    if not is_date:
        text += f" {_clock(of_day, ticks)}"
        text += "+00" if scalar.type.tz else ""
    return text if year > 0 else f"{text} BC"


def _clock(of_day: int, ticks: int) -> str:
    """The time of day; `ticks` make a second."""
    seconds, fraction = divmod(of_day, ticks)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return text + (f".{fraction:0{len(str(ticks)) - 1}d}".rstrip("0") if fraction else "")


def _create(file: Path) -> None:
    """Makes an empty database that appears whole: DuckDB can't open what it was killed in the middle of making."""
    temporary = file.with_name(f".{file.name}.{uuid4().hex}")
    duckdb.connect(str(temporary)).close()
    with suppress(FileExistsError):  # Another process was first.
        os.link(temporary, file)
    temporary.unlink()


def _file_name(database: str) -> str:
    if not database:
        raise WarehouseError("the target database has no name; give the table a targetDatabase")
    plain = "".join(character if character.isalnum() else quote(character, safe="_- ") for character in database)
    return plain.replace("/", "%2F")


_BUSY = (
    "Could not set lock",  # Another process has the file.
    "different configuration",  # Another program in this process has it.
    "Unique file handle conflict",  # Another thread is just closing it.
)


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, duckdb.Error) and any(reason in str(error) for reason in _BUSY)


_MEMORY_IS_USED = "iB used)"
"""In DuckDB's words for a lack of memory, also where a commit fails for it, which is another exception."""


def _advice(error: duckdb.Error, file: Path, warehouse: DuckDBWarehouse) -> str:
    if _is_busy(error):
        return (
            f"\n{file} stayed in use for {warehouse.lock_timeout_seconds:g} s. Close the program that has it "
            "open, or raise the warehouse's lock_timeout_seconds."
        )
    if isinstance(error, duckdb.OutOfMemoryException) or _MEMORY_IS_USED in str(error):
        return f"\nRaise the warehouse's memory_limit ({warehouse.memory_limit}), or free disk space at {file}."
    return ""


def _advice_on_times(error: Exception, columns: Sequence[LoadColumn]) -> str:
    """What to do about a time that a column of 100 ns doesn't reach; nothing when the error is another one."""
    names = [column.name for column in columns if column.type.kind is Kind.TIMESTAMP and column.type.is_staged_as_text]
    first_line = str(error).partition("\n")[0]
    name = next((name for name in names if first_line.endswith(f"source column {name}")), None)
    if name is None or not isinstance(error, duckdb.ConversionException):
        return ""
    return (
        f"\nDuckDB's TIMESTAMP_NS of column {name} ends at 1677-09-21 and 2262-04-11: map the source's type, such as "
        "DATETIME2(7), to TIMESTAMP (cut after microseconds) or to VARCHAR (exact) in columnTypeMappings"
    )


def _filesystem_stage(stage: Stage) -> FileSystemStage:
    if isinstance(stage, FileSystemStage):
        return stage
    raise WarehouseError(
        f"DuckDB can't read files of the stage {stage.uri}; use a stage on a disk or in an object store"
    )


def _require_same_place(load: TableName, target: TableName) -> None:
    if (load.database, load.schema) != (target.database, target.schema):
        raise WarehouseError(f"{load} must be in the schema of {target}: a table can't be moved to another one")


def _require_table(target: TableName, relation: _Relation) -> None:
    if relation.is_view:
        raise WarehouseError(f"{target} is a view; drop it, or choose another name for the target table")


def _name(table: TableName) -> exp.Table:
    return table.to_expression(with_database=False)


def _sql(table: TableName) -> str:
    return _name(table).sql(DuckDB.dialect)


def _schema(table: TableName) -> exp.Table:
    return exp.Table(db=exp.to_identifier(table.schema, quoted=True))


def _execute(connection: duckdb.DuckDBPyConnection, statement: exp.Expression) -> duckdb.DuckDBPyConnection:
    return connection.execute(statement.sql(DuckDB.dialect))


def _find(connection: duckdb.DuckDBPyConnection, table: TableName) -> _Relation | None:
    found = connection.execute(_FIND_RELATION, [table.schema, table.table]).fetchone()
    if found is None:
        return None
    oid, comment, is_view = found
    columns = connection.execute(f"DESCRIBE {_sql(table)}").fetchall()
    return _Relation(
        oid=oid,
        columns=tuple(
            TargetColumn(name, kind, nullable == "YES", default is not None)
            for name, kind, nullable, _, default, *_ in columns
        ),
        comment=comment,
        is_view=is_view,
    )


def _primary_key(connection: duckdb.DuckDBPyConnection, relation: _Relation) -> tuple[str, ...]:
    found = connection.execute(_FIND_PRIMARY_KEY, [relation.oid]).fetchone()
    return tuple(found[0]) if found else ()


def _count(connection: duckdb.DuckDBPyConnection, table: TableName) -> int:
    found = _execute(connection, exp.select(exp.Count(this=exp.Star())).from_(_name(table))).fetchone()
    return int(found[0]) if found else 0


def _has_history(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute(_HISTORY_EXISTS, [HISTORY_SCHEMA, HISTORY]).fetchone() is not None


def _history(connection: duckdb.DuckDBPyConnection, load: TableName) -> dict[str, int]:
    if not _has_history(connection):
        return {}
    return dict(connection.execute(_READ_HISTORY, [load.schema, load.table]).fetchall())


def _create_table(load: TableName, columns: Sequence[LoadColumn]) -> exp.Create:
    definitions = [
        exp.ColumnDef(
            this=exp.to_identifier(column.name, quoted=True),
            kind=exp.DataType.build(column.ddl_type, dialect=DuckDB.dialect),
            constraints=[] if column.nullable else [exp.ColumnConstraint(kind=exp.NotNullColumnConstraint())],
        )
        for column in columns
    ]
    return exp.Create(this=exp.Schema(this=_name(load), expressions=definitions), kind="TABLE")


def _create_evolved(
    connection: duckdb.DuckDBPyConnection, table: TableName, current: _Relation, changes: Sequence[ColumnChange]
) -> None:
    """Makes a table of the same definition: types, defaults, constraints, collations, comments of columns.

    Only what changes in its columns is different.
    """
    found = connection.execute(_FIND_DEFINITION, [current.oid]).fetchone()
    match = _DEFINITION.fullmatch(found[0]) if found else None
    if match is None:
        raise WarehouseError(f"can't read the definition of the table that {table} is to replace")
    definition = match.group(1)
    for change in changes:
        if change.evolution is Evolution.WIDENED:
            definition = _with_type(definition, change)
    connection.execute(f"CREATE TABLE {_sql(table)}{definition}")
    # The types are changed before: DuckDB alters none that a constraint depends on, even where there is no row.
    _alter(connection, table, [change for change in changes if change.evolution is not Evolution.WIDENED])
    for name, text in connection.execute(_FIND_COLUMN_COMMENTS, [current.oid]).fetchall():
        column = exp.column(name, table=table.table, db=table.schema, quoted=True)
        _execute(connection, _comment("COLUMN", column, text))


def _with_type(definition: str, change: ColumnChange) -> str:
    """The columns and constraints of a CREATE TABLE, one column of another type."""
    depth = 0
    opening = (TokenType.L_PAREN, TokenType.COMMA)
    tokens = tokenize(definition, read=DuckDB.dialect)
    for previous, token in pairwise(tokens):
        depth += (previous.token_type is TokenType.L_PAREN) - (previous.token_type is TokenType.R_PAREN)
        if depth == 1 and previous.token_type in opening and token.text == change.name:
            name, rest = definition[: token.end + 1], definition[token.end + 1 :]
            if rest.startswith(f" {change.before}"):
                return f"{name} {change.ddl_type}{rest.removeprefix(f' {change.before}')}"
    raise WarehouseError(f"can't find the type {change.before} of column {change.name} in {definition}")


def _create_unconstrained(
    connection: duckdb.DuckDBPyConnection, load: TableName, target: TableName, names: Sequence[str]
) -> None:
    """Makes a table of some columns of the target, with their types and nothing else."""
    selected = exp.select(*(exp.column(name, quoted=True) for name in names)).from_(_name(target)).limit(0)
    _execute(connection, exp.Create(this=_name(load), kind="TABLE", expression=selected))


def _alter(connection: duckdb.DuckDBPyConnection, table: TableName, changes: Sequence[ColumnChange]) -> None:
    for change in changes:
        connection.execute(change.statement(_name(table), DuckDB.dialect))


def _copy_rows(connection: duckdb.DuckDBPyConnection, table: TableName, current: _Relation, into: TableName) -> None:
    found = connection.execute(_FIND_FILLED_COLUMNS, [current.oid]).fetchall()
    names = [exp.to_identifier(name, quoted=True) for (name,) in found]
    selected = exp.select(*(exp.Column(this=name.copy()) for name in names)).from_(_name(table))
    _execute(connection, exp.insert(selected, _name(into), columns=names))


def _replace(
    connection: duckdb.DuckDBPyConnection, target: TableName, current: _Relation | None, by: TableName
) -> None:
    """Gives a table the target's name and indexes, and drops the target."""
    indexes: list[str] = []
    if current is not None:
        found = connection.execute(_FIND_INDEXES, [current.oid]).fetchall()
        indexes = [statement for (statement,) in found if statement]
        connection.execute(f"DROP TABLE {_sql(target)}")
    new_name = exp.to_identifier(target.table, quoted=True).sql(DuckDB.dialect)
    connection.execute(f"ALTER TABLE {_sql(by)} RENAME TO {new_name}")
    for statement in indexes:
        connection.execute(statement)


def _comment(kind: str, of: exp.Expression, text: str) -> exp.Comment:
    return exp.Comment(this=of, kind=kind, expression=exp.Literal.string(text))


def _insert(
    connection: duckdb.DuckDBPyConnection,
    load: TableName,
    columns: Sequence[LoadColumn],
    stage: FileSystemStage,
    path: str,
) -> int:
    """Inserts one file; the rows that DuckDB reports to have inserted."""
    address = f"{stage.base_path}/{path}"
    if stage.is_local:
        if not Path(address).is_file():  # DuckDB would take the characters *?[ in a name for a pattern.
            raise FileNotFoundError(f"there is no file {address}")
        source = exp.Anonymous(
            this="read_parquet",
            expressions=[
                exp.Placeholder(),
                exp.EQ(this=exp.column("hive_partitioning"), expression=exp.false()),
            ],
        )
        return _changed_rows(connection.execute(_insert_from(load, columns, source), [address]))
    with stage.filesystem.open_input_file(address) as stream:
        batches = _read_batches(stream, [column.name for column in columns])
        connection.register("staged_file", batches)
        try:
            return _changed_rows(connection.execute(_insert_from(load, columns, exp.to_table("staged_file"))))
        finally:
            connection.unregister("staged_file")


def _insert_from(load: TableName, columns: Sequence[LoadColumn], source: exp.Expression) -> str:
    # No casts: an INSERT converts every value to the column's type, and fails when it can't.
    names = [exp.to_identifier(column.name, quoted=True) for column in columns]
    selected = exp.select(*(exp.Column(this=name.copy()) for name in names)).from_(source)
    return exp.insert(selected, _name(load), columns=names).sql(DuckDB.dialect)


def _changed_rows(result: duckdb.DuckDBPyConnection) -> int:
    counted = result.fetchone()
    return int(counted[0]) if counted else 0


_SOURCE, _NEW = (exp.table_(name, db="temp", quoted=True) for name in ("rows_to_merge", "rows_to_insert"))


def _merge(connection: duckdb.DuckDBPyConnection, merge: exp.Merge) -> int:
    """Runs a MERGE as an UPDATE and an INSERT: DuckDB's own one holds in memory what it changes, and can't spill."""
    steps = _steps_of(merge)
    if steps is None:
        return _changed_rows(_execute(connection, merge))
    update, insert = steps
    table, on, alias = merge.this, merge.args["on"], merge.args["using"].alias_or_name
    source, new = (exp.alias_(each, alias, table=True, quoted=True) for each in (_SOURCE, _NEW))
    _keep(connection, _SOURCE, exp.select("*").from_(merge.args["using"]))
    matching = exp.select("1").from_(table).where(on)
    _keep(connection, _NEW, exp.select("*").from_(source).where(exp.Not(this=exp.Exists(this=matching))))
    changed = 0
    if update is not None:
        matches = _execute(
            connection, exp.select(exp.Count(this=exp.Star())).from_(table).join(source, on=on)
        ).fetchone()
        update = exp.Update(
            this=table, expressions=update.expressions, from_=exp.From(this=source), where=exp.Where(this=on)
        )
        changed = _changed_rows(_execute(connection, update))
        if matches != (changed,):
            raise WarehouseError(
                f"can't merge into {_changed_table(merge).sql(DuckDB.dialect)}: a row of it matches several others"
            )
    if insert is not None:
        names = [column.this for column in insert.this.expressions]
        selected = exp.select(*insert.expression.expressions).from_(new)
        changed += _changed_rows(_execute(connection, exp.insert(selected, _changed_table(merge), columns=names)))
    for each in (_SOURCE, _NEW):
        connection.execute(f"DROP TABLE {each.sql(DuckDB.dialect)}")
    return changed


def _steps_of(merge: exp.Merge) -> tuple[exp.Update | None, exp.Insert | None] | None:
    """What a MERGE does with rows that match and with others; None when it does more than update and insert all."""
    update: exp.Update | None = None
    insert: exp.Insert | None = None
    for when in merge.args["whens"].expressions:
        then = when.args["then"]
        if when.args.get("condition") or when.args.get("source"):
            return None
        if when.args["matched"] and isinstance(then, exp.Update) and then.expressions and update is None:
            update = then
        elif not when.args["matched"] and isinstance(then, exp.Insert) and then.this and insert is None:
            insert = then
        else:
            return None
    return update, insert


def _keep(connection: duckdb.DuckDBPyConnection, table: exp.Table, rows: exp.Select) -> None:
    connection.execute(f"CREATE TEMP TABLE {table.sql(DuckDB.dialect)} AS {rows.sql(DuckDB.dialect)}")


def _read_batches(stream: pa.NativeFile, columns: Sequence[str]) -> pa.RecordBatchReader:
    """A Parquet file as a stream that holds one row group's compressed columns at a time."""
    file = pq.ParquetFile(stream, pre_buffer=True)
    missing = [name for name in columns if name not in file.schema_arrow.names]
    if missing:
        raise pa.ArrowInvalid(f"the file has no column {', '.join(missing)}")
    schema = pa.schema([file.schema_arrow.field(name) for name in columns])

    def batches() -> Iterator[pa.RecordBatch]:
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(
                ROWS_PER_BATCH, row_groups=[group], columns=list(columns), use_threads=False
            ):
                yield batch.select(list(columns))

    return pa.RecordBatchReader.from_batches(schema, batches())


def _query(statement: exp.Expression, database: str) -> str:
    if not isinstance(statement, exp.Query):
        raise WarehouseError("only a SELECT can be queried")
    return _of_database(statement, database).sql(DuckDB.dialect)


def _change(statement: Change, database: str) -> Change:
    if not isinstance(statement, Change):
        raise WarehouseError("only INSERT, DELETE, UPDATE and MERGE change rows")
    return _of_database(statement, database)


def _changed_table(statement: Change) -> exp.Table:
    named = statement.this.this if isinstance(statement.this, exp.Schema) else statement.this
    return exp.Table(this=named.this, db=named.args.get("db"))


_Statement = TypeVar("_Statement", bound=exp.Expression)


def _of_database(statement: _Statement, database: str) -> _Statement:
    """The statement without the database in its names, which in DuckDB is that of the open file."""
    statement = statement.copy()
    for table in statement.find_all(exp.Table):
        if table.catalog and table.catalog.lower() != database.lower():
            raise WarehouseError(f"a statement in {database} can't name {table.sql(DuckDB.dialect)}")
        table.set("catalog", None)
    for column in statement.find_all(exp.Column):
        if column.catalog.lower() == database.lower():
            column.set("catalog", None)
    return statement
