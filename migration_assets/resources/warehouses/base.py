"""The one interface to every target: load tables, loading of staged files, atomic publishing, queries."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum

import pyarrow as pa
from sqlglot import exp

from migration_assets.platforms.base import PlatformError, Row, TableName, TargetColumn, TargetPlatform
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.stages.base import Stage, StagedFile


class WarehouseError(Exception):
    """The warehouse refused or failed; the text names the table, the cause and the cure."""


@dataclass(frozen=True)
class LoadColumn:
    """A column of a load table: its name in the target and in the staged files, and its types."""

    name: str
    type: ColumnType
    ddl_type: str
    nullable: bool = True


@dataclass(frozen=True)
class FileLoad:
    """What the warehouse says of one loaded file."""

    path: str
    rows: int


@dataclass(frozen=True)
class PublishMark:
    """Which plan made a table: written into the comment of the load table, it moves with it into the target.

    By it a table that this program made is known, and a publish that crashed after the swap.
    """

    workflow: str
    table: str
    generation: int
    token: str = ""

    _PATTERN = re.compile(r"\n?\[migration-assets (\{.*?\})\]")

    def append_to(self, comment: str | None) -> str:
        """A table comment that keeps the user's text and holds this mark instead of an older one."""
        text = self._PATTERN.sub("", comment or "")
        mark = f"[migration-assets {json.dumps(asdict(self), sort_keys=True)}]"
        return f"{text}\n{mark}" if text else mark

    @classmethod
    def find_in(cls, comment: str | None) -> PublishMark | None:
        """The mark in a table's comment; None when this program did not make the table."""
        match = cls._PATTERN.search(comment or "")
        return cls(**json.loads(match.group(1))) if match else None


@dataclass(frozen=True)
class TargetTable:
    """A table or view as it is in the target; `primary_key` holds its columns, declared or not enforced."""

    columns: tuple[TargetColumn, ...]
    rows: int
    mark: PublishMark | None = None
    is_view: bool = False
    primary_key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The rows of a query, and the name under which the target's own history knows it, where it has one."""

    rows: list[Row]
    query_id: str | None = None


@dataclass(frozen=True)
class Pin:
    """How a table is read at one moment by several queries.

    Attributes:
        relation: the table as the queries name it.
        moment: what holds it in place, in words; None when nothing does.
    """

    relation: exp.Table
    moment: str | None


class Evolution(str, Enum):
    """What can be done to a column so that it holds what is planned for it."""

    ADDED = "added"
    WIDENED = "widened"
    OPTIONAL = "optional"


@dataclass(frozen=True)
class ColumnChange:
    """One step of an existing table towards its planned columns; its text is a sentence for people.

    Attributes:
        name: the column as the table has it.
        before: its type before; None when it is added.
        ddl_type: its type afterwards.
    """

    evolution: Evolution
    name: str
    before: str | None
    ddl_type: str

    def __str__(self) -> str:
        match self.evolution:
            case Evolution.ADDED:
                return f"added column {self.name} {self.ddl_type}"
            case Evolution.WIDENED:
                return f"widened column {self.name} from {self.before} to {self.ddl_type}"
            case Evolution.OPTIONAL:
                return f"let column {self.name} be null"

    def statement(self, table: exp.Table, dialect: str) -> str:
        """The ALTER TABLE that makes the change."""
        altered = f"ALTER TABLE {table.sql(dialect)}"
        column = exp.to_identifier(self.name, quoted=True).sql(dialect)
        match self.evolution:
            case Evolution.ADDED:
                return f"{altered} ADD COLUMN {column} {self.ddl_type}"
            case Evolution.WIDENED:
                return f"{altered} ALTER COLUMN {column} SET DATA TYPE {self.ddl_type}"
            case Evolution.OPTIONAL:
                return f"{altered} ALTER COLUMN {column} DROP NOT NULL"


Change = exp.Insert | exp.Delete | exp.Update | exp.Merge
"""A statement that changes rows."""


class Transaction(ABC):
    """Changes of rows that take effect together.

    Statements name their tables in full, and columns as the catalogue spells them. An error is one of the whole
    transaction: it must be left to end it.
    """

    @abstractmethod
    def change(self, statement: Change) -> int:
        """Runs a statement in the target's dialect; the rows that it inserted, deleted and updated, in sum.

        In a MERGE one row of the source at most may match a row of the table.
        """

    @abstractmethod
    def query(self, statement: exp.Expression) -> list[Row]:
        """The rows of a SELECT that sees what was changed before it, as `Warehouse.query` gives them."""


class Warehouse(ABC):
    """A target. Every operation may be repeated after a crash, with the same end."""

    @property
    @abstractmethod
    def platform(self) -> TargetPlatform:
        """What the target can hold and how it spells it."""

    @abstractmethod
    def require_stage(self, stage: Stage) -> None:
        """Raises WarehouseError when the warehouse can't read files of that stage."""

    @abstractmethod
    def target_name(self, database: str, schema: str, table: str) -> TableName:
        """The exact name of a target table: the deployment may put a prefix before the database."""

    def hold(self, database: str) -> AbstractContextManager[None]:
        """Keeps a database at hand for several operations in a row, where opening it costs something."""
        return nullcontext()

    @abstractmethod
    def describe(self, table: TableName) -> TargetTable | None:
        """The table as it is now; None when there is none."""

    @abstractmethod
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
        """Makes the empty load table, and its schema and database where they are missing.

        A load table with the same mark is kept. When the target exists, its column types, its grants and its
        comment are taken over, so that publishing doesn't change what the user has set up.

        Args:
            constrained: whether the load table, which is to replace an existing target, has all that the target
                has. Otherwise its rows are to be merged, so that keys may repeat in it: it has the planned columns
                with the target's types, and nothing that a row must obey.
            evolve: whether the load table is brought to hold the planned columns, as `evolve` does with a table.
                Otherwise a target that can't hold them is refused.
        """

    @abstractmethod
    def evolve(self, table: TableName, columns: Sequence[LoadColumn]) -> list[str]:
        """Brings a table to hold the planned columns: adds those it lacks, widens types, lets columns be null.

        Nothing is dropped or narrowed. The changes take effect together, or one by one where the target commits
        each; what is missing is then made by a repeat.

        Returns:
            A sentence per change.

        Raises:
            WarehouseError: there is no such table, or `planned_evolution` refuses.
        """

    @abstractmethod
    def loaded_files(self, load: TableName, known: Collection[str] = ()) -> Mapping[str, int]:
        """Files that are already in the load table, with the rows of each.

        Args:
            known: paths on the stage; a file that is one of them has this name, whatever the warehouse calls it.
        """

    @abstractmethod
    def copy_into(
        self, load: TableName, columns: Sequence[LoadColumn], files: Sequence[StagedFile], stage: Stage
    ) -> list[FileLoad]:
        """Loads files into the load table, all or none; a file that is in it already is not loaded again.

        Returns:
            One entry per file, those loaded before included.
        """

    @abstractmethod
    def count_rows(self, table: TableName) -> int:
        """The exact number of rows."""

    @abstractmethod
    def publish(self, load: TableName, target: TableName) -> None:
        """Puts the load table in the target's place in one atomic step, and drops what was there before."""

    @abstractmethod
    def transaction(self, database: str) -> AbstractContextManager[Transaction]:
        """Changes that take effect together when the context ends, or not at all when it ends by an error.

        Only when the connection breaks at the very end is it unknown which: what tells the two apart must be
        among the changes. As long as the context is open, its thread changes nothing in the database but by it.
        """

    @abstractmethod
    def drop_table(self, table: TableName) -> None:
        """Drops a table if it exists."""

    @abstractmethod
    def list_tables(self, database: str, schema: str, prefix: str) -> list[TableName]:
        """Tables whose name begins with `prefix`."""

    @abstractmethod
    def ask(self, statement: exp.Expression, database: str) -> Answer:
        """Runs a SELECT, written as an expression and rendered in the target's dialect."""

    def query(self, statement: exp.Expression, database: str) -> list[Row]:
        """The rows of `ask`."""
        return self.ask(statement, database).rows

    @abstractmethod
    def read(self, statement: exp.Expression, database: str) -> Iterator[pa.Table]:
        """The rows of a SELECT, some megabytes at a time."""

    @abstractmethod
    def pin(self, table: TableName) -> Pin:
        """Has the following queries read a table as it is now."""

    @abstractmethod
    def cancel_queries(self) -> None:
        """Breaks off what other threads are asking; it raises WarehouseError there."""


def require_fit(
    platform: TargetPlatform,
    target: TableName,
    existing: Sequence[TargetColumn],
    columns: Sequence[LoadColumn],
) -> None:
    """Refuses an existing target that the planned columns can't fill.

    Raises:
        WarehouseError: the target lacks a planned column, has one that would round its values, or has another
            one that must have a value.
    """
    missing = [column.name for column in columns if platform.find_column(column.name, existing) is None]
    if missing:
        raise WarehouseError(
            f"{target} exists and lacks {', '.join(missing)}. Add these columns to the target, leave them "
            "out of the table's columns in the workflow, or drop the target so that it is made anew."
        )
    _require_filled(platform, target, existing, columns)
    rounded = [
        f"{column.name} ({column.type} in {other.type})"
        for column in columns
        for other in existing
        if platform.same_name(column.name, other.name) and _rounds(platform, column, other)
    ]
    if rounded:
        raise WarehouseError(
            f"{target} exists and would round or cut the values of {', '.join(rounded)}. Change the target's types, "
            "map the columns to them in the workflow, or drop the target so that it is made anew."
        )


def _require_filled(
    platform: TargetPlatform,
    target: TableName,
    existing: Sequence[TargetColumn],
    columns: Sequence[LoadColumn],
) -> None:
    planned = [column.name for column in columns]
    unfilled = [
        column.name
        for column in existing
        if not column.nullable
        and not column.has_default
        and not any(platform.same_name(column.name, name) for name in planned)
    ]
    if unfilled:
        raise WarehouseError(
            f"{target} exists and needs a value in {', '.join(unfilled)}, which the source doesn't give. Let "
            "these columns be null, give them a default, or drop the target so that it is made anew."
        )


def _rounds(platform: TargetPlatform, column: LoadColumn, existing: TargetColumn) -> bool:
    parsed = _parse_type(platform, existing.type)
    # A type that isn't staged takes what it can convert, and refuses the rest.
    return parsed is not None and column.type.is_rounded_in(parsed)


def planned_evolution(
    platform: TargetPlatform,
    target: TableName,
    existing: Sequence[TargetColumn],
    columns: Sequence[LoadColumn],
    key: Collection[str] = (),
) -> list[ColumnChange]:
    """What `Warehouse.evolve` does to a table with the existing columns.

    Args:
        key: the columns of the table's primary key, which can't be null whatever is planned.

    Raises:
        WarehouseError: a column's type is no narrower form of the planned one, or can't be changed where it is, or
            a column that is not planned must have a value.
    """
    _require_filled(platform, target, existing, columns)
    changes: list[ColumnChange] = []
    for column in columns:
        found = platform.find_column(column.name, existing)
        if found is None:
            changes.append(ColumnChange(Evolution.ADDED, column.name, None, column.ddl_type))
            continue
        ddl_type = found.type
        if _must_widen(platform, target, column, found):
            ddl_type = column.ddl_type
            changes.append(ColumnChange(Evolution.WIDENED, found.name, found.type, ddl_type))
        if column.nullable and not found.nullable and found.name not in key:
            changes.append(ColumnChange(Evolution.OPTIONAL, found.name, found.type, ddl_type))
    return changes


def _must_widen(platform: TargetPlatform, target: TableName, column: LoadColumn, existing: TargetColumn) -> bool:
    before, after = _parse_type(platform, existing.type), _parse_type(platform, column.ddl_type)
    if before is None or before.holds(column.type):
        return False  # A type that isn't staged takes what it can convert, and refuses the rest.
    change = f"{existing.name} from {existing.type} to {column.ddl_type}"
    if after is None or not after.holds(before):
        raise WarehouseError(
            f"{target} exists and can't be changed in {change}, which doesn't hold every value of {existing.type}. "
            "Change the column's type in the target, map the column to one that holds both in the workflow, or drop "
            "the target so that it is made anew."
        )
    if not platform.widens_in_place(before, after):
        raise WarehouseError(
            f"{target} exists, and {platform.name} can't change {change} where it is. Reset the table and drop the "
            "target, so that it is made anew and loaded whole."
        )
    return True


def _parse_type(platform: TargetPlatform, ddl_type: str) -> ColumnType | None:
    """The type that a target's type stands for, a length without limits taken for none; None if it isn't staged."""
    try:
        parsed = platform.parse_type(ddl_type)
    except PlatformError:
        return None
    limits = {Kind.TEXT: platform.max_text_length, Kind.BINARY: platform.max_binary_length}
    most = limits.get(parsed.kind)
    is_limited = parsed.length is not None and (most is None or parsed.length < most)
    return parsed if is_limited else replace(parsed, length=None)


def plain_value(value: object) -> object:
    """A value as every warehouse returns it: whole decimals are int, instants are in UTC."""
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc)
    return value
