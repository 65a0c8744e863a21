"""The one interface to every target: load tables, loading of staged files, atomic publishing, queries."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from decimal import Decimal

import pyarrow as pa
from sqlglot import exp

from migration_assets.platforms.base import PlatformError, Row, TableName, TargetColumn, TargetPlatform
from migration_assets.platforms.types import ColumnType
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
        self, load: TableName, columns: Sequence[LoadColumn], target: TableName, mark: PublishMark
    ) -> None:
        """Makes the empty load table, and its schema and database where they are missing.

        A load table with the same mark is kept. When the target exists, its column types, its grants and its
        comment are taken over, so that publishing doesn't change what the user has set up.
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

    def known(name: str, names: Sequence[str]) -> bool:
        return any(platform.same_name(name, other) for other in names)

    planned = [column.name for column in columns]
    missing = [name for name in planned if not known(name, [column.name for column in existing])]
    unfilled = [
        column.name
        for column in existing
        if not column.nullable and not column.has_default and not known(column.name, planned)
    ]
    if missing:
        raise WarehouseError(
            f"{target} exists and lacks {', '.join(missing)}. Add these columns to the target, leave them "
            "out of the table's columns in the workflow, or drop the target so that it is made anew."
        )
    if unfilled:
        raise WarehouseError(
            f"{target} exists and needs a value in {', '.join(unfilled)}, which the source doesn't give. Let "
            "these columns be null, give them a default, or drop the target so that it is made anew."
        )

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


def _rounds(platform: TargetPlatform, column: LoadColumn, existing: TargetColumn) -> bool:
    try:
        return column.type.is_rounded_in(platform.parse_type(existing.type))
    except PlatformError:
        return False  # A type that isn't staged takes what it can convert, and refuses the rest.


def plain_value(value: object) -> object:
    """A value as every warehouse returns it: whole decimals are int, instants are in UTC."""
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc)
    return value
