"""What a database system must know about itself to be a source or a target: no connection, only knowledge."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import ClassVar

from sqlglot import exp
from sqlglot.errors import SqlglotError

from migration_assets.platforms.canonical_sql import CanonicalSQL
from migration_assets.platforms.measures import Measures
from migration_assets.platforms.types import ColumnType, Kind

Row = Mapping[str, object]
QueryRunner = Callable[[str], Sequence[Row]]
"""Runs one SQL statement on the source and returns its rows; given by the source resource."""


class PlatformError(Exception):
    """The source or target can't do what the workflow asks; the text names the object and the cure."""


@dataclass(frozen=True)
class TableName:
    """A table's exact name, as the catalogue of its system has it (no quotes, case folded already)."""

    database: str
    schema: str
    table: str

    def __str__(self) -> str:
        return f"{self.database}.{self.schema}.{self.table}"

    def to_expression(self, *, with_database: bool = True) -> exp.Table:
        """The name as a SQL expression, every part quoted."""
        return exp.Table(
            this=exp.to_identifier(self.table, quoted=True),
            db=exp.to_identifier(self.schema, quoted=True),
            catalog=exp.to_identifier(self.database, quoted=True) if with_database else None,
        )

    def renamed(self, table: str) -> TableName:
        """The same place with another table name."""
        return replace(self, table=table)


@dataclass(frozen=True)
class SourceColumn:
    """A column of the source's catalogue.

    Attributes:
        native_type: the type as the source spells it, with its arguments, such as `numeric(10,2)`.
        base_type: the type's bare name after domains are followed, such as `numeric`.
        category: the platform's own class of the type (PostgreSQL: `b`ase, `e`num, `c`omposite, `r`ange,
            `m`ultirange, `a`rray).
        type_arguments: precision and scale, length or fractional-second digits, where the type has them.
        distinct: the statistics' number of distinct values; negative is a share of the rows; None is unknown.
        average_bytes: the statistics' average width of a value in bytes.
        collation: the name of a text column's collation, where the platform's texts differ by it.
        code_page: what its bytes are in by the collation, as Windows numbers it; None where they are Unicode anyway.
    """

    name: str
    native_type: str
    base_type: str
    nullable: bool
    category: str = "b"
    type_arguments: tuple[int, ...] = ()
    orderable: bool = True
    generated: bool = False
    identity: bool = False
    distinct: float | None = None
    average_bytes: int | None = None
    collation: str | None = None
    code_page: int | None = None


@dataclass(frozen=True)
class SourceTable:
    """A table or view of the source's catalogue.

    Attributes:
        kind: `table`, `partitioned table`, `view`, `materialized view` or `foreign table`.
        primary_key: the columns of the primary key, in key order; empty when there is none.
        unique_keys: the other unique keys over not-null columns.
        estimated_rows: rows by the statistics; 0 when there are none.
        bytes: size on disk without indexes; 0 for views.
        blocks: physical blocks, where the platform can read ranges of them; 0 otherwise.
    """

    name: TableName
    kind: str
    columns: tuple[SourceColumn, ...]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    estimated_rows: int = 0
    bytes: int = 0
    blocks: int = 0

    def column(self, name: str) -> SourceColumn:
        """The column of that exact name; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class ColumnMapping:
    """How one source column is read and what it becomes.

    Attributes:
        type: the type that travels.
        expression: SQL in the source's dialect whose value is staged.
        notes: what a reader of the plan should know (padding removed, offset not kept, …).
        refusal: why the column can't be moved exactly, with the cure; None when it can.
        needs_profile: the type says too little (numeric without precision); `profile` scans the values.
        cuts: digits that the type hasn't are left out without an error, as only the user may ask for.
    """

    type: ColumnType
    expression: str
    notes: tuple[str, ...] = ()
    refusal: str | None = None
    needs_profile: bool = False
    cuts: bool = False


Bound = tuple[str, ...]
"""A key, one literal per key column, as the source prints the value in text."""


@dataclass(frozen=True)
class Partition:
    """A part of a table's rows.

    Attributes:
        predicate: a boolean expression in the source's dialect; None is every row.
        low: the first key in the range; None is open.
        high: the first key after the range; None is open.
        rows: the estimated rows.
        below: whether a row that has a key comes before the range's end, in the source's dialect; None for the last
            range, and for what is no range.
        absent: these are the rows that have no key.
    """

    predicate: str | None
    description: str
    low: Bound | None = None
    high: Bound | None = None
    rows: int = 0
    below: str | None = None
    absent: bool = False


@dataclass(frozen=True)
class Partitioning:
    """How a table is divided: disjoint partitions that cover it, in the order in which they are read.

    Attributes:
        method: the way of dividing, in words.
        physical: the partitions are ranges of physical blocks, which only one snapshot keeps in place.
    """

    method: str
    partitions: tuple[Partition, ...]
    physical: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadColumn:
    """A column of the staged rows, the source column that it comes from, and the SQL that it is read with."""

    name: str
    type: ColumnType
    source: SourceColumn
    expression: str


@dataclass(frozen=True)
class BulkChoice:
    """The bulk utility that reads a table instead of the driver.

    Attributes:
        name: as the workflow spells it.
        note: what a reader of the plan should know.
    """

    name: str
    note: str


_ALIKE = frozenset(
    {
        Kind.INTEGER,
        Kind.DECIMAL,
        Kind.DATE,
        Kind.TIME,
        Kind.TIMESTAMP,
        Kind.TIMESTAMP_TZ,
        Kind.UUID,
        Kind.TEXT,
    }
)


@dataclass(frozen=True)
class KeyColumn:
    """A column of a key whose ranges must hold the same rows in the source and in the target.

    Attributes:
        type: the type that travels.
        expression: SQL in the source's dialect whose value is staged.
    """

    source: SourceColumn
    type: ColumnType
    expression: str

    @property
    def is_alike(self) -> bool:
        """Whether the type has one order on every platform: text by the bytes of its UTF-8, a UUID as its text.

        What else the source's column needs, `SourcePlatform.alike_keys` knows.
        """
        return self.type.kind in _ALIKE


class SourcePlatform(ABC):
    """What is read from a database system, as SQL in its own dialect."""

    name: ClassVar[str]
    dialect: ClassVar[str]
    ignores_case: ClassVar[bool] = False
    """Whether names that differ in case only are one, unless both are there."""

    @abstractmethod
    def canonical_sql(self, run: QueryRunner) -> CanonicalSQL:
        """The platform's SQL for fingerprints; `run` asks the server what it has to know of it."""

    def measures(self, run: QueryRunner) -> Measures:
        """The platform's SQL for the figures of columns; `run` asks the server what it has to know of it."""
        return Measures(self.dialect)

    @abstractmethod
    def fold(self, identifier: str) -> str:
        """The catalogue's spelling of an identifier that the user wrote without quotes."""

    @abstractmethod
    def describe(self, run: QueryRunner, name: TableName) -> SourceTable:
        """The table's catalogue entry.

        Raises:
            PlatformError: there is no such table, or it can't be read; the text suggests similar names.
        """

    def find_name(self, written: str, names: Collection[str]) -> str | None:
        """The name in a catalogue that a user means by a name that is folded already; None when there is none.

        Raises:
            PlatformError: the system compares names without case, and several are meant.
        """
        if written in names or not self.ignores_case:
            return written if written in names else None
        alike = [name for name in names if name.casefold() == written.casefold()]
        if len(alike) > 1:
            raise PlatformError(f"{written!r} could be {' or '.join(alike)}: write it exactly as one of them")
        return alike[0] if alike else None

    def normalised_type(self, written: str) -> str:
        """One spelling for the synonyms of a type of the source, such as `int4` and `INTEGER`."""
        try:
            return exp.DataType.build(written, dialect=self.dialect, udt=True).sql(self.dialect).upper()
        except SqlglotError:
            return " ".join(written.upper().split())

    @abstractmethod
    def consistency(self, run: QueryRunner, table: SourceTable, *, strict: bool) -> tuple[str, ...]:
        """What is not guaranteed for rows that change while they are read, as notes for the plan.

        Args:
            strict: all partitions must see the table at one moment.

        Raises:
            PlatformError: strict is asked for and the source can't do it; the text names the cure.
        """

    @abstractmethod
    def map_column(self, column: SourceColumn, override: ColumnType | None = None) -> ColumnMapping:
        """How a column is read; `override` is the type that the user's columnTypeMappings ask for."""

    def unchecked(self, column: SourceColumn, wanted: ColumnType, expression: str) -> str:
        """A mapped value without the check of a number's digits, which only serves readers that don't count them.

        Args:
            expression: the SQL that the column is mapped with.
        """
        return expression

    @abstractmethod
    def profile(
        self, run: QueryRunner, table: SourceTable, where: str | None, columns: Sequence[SourceColumn]
    ) -> Mapping[str, ColumnMapping]:
        """The mappings of columns whose type says too little (`needs_profile`), after one scan of them."""

    @abstractmethod
    def estimate_rows(self, run: QueryRunner, table: SourceTable, where: str | None) -> int:
        """Rows that the filter leaves, by the source's statistics."""

    @abstractmethod
    def partition_by_key(
        self,
        run: QueryRunner,
        table: SourceTable,
        columns: Sequence[str],
        where: str | None,
        count: int,
        max_rows: int | None = None,
    ) -> Partitioning:
        """Divides a table into about `count` half-open ranges of a key, plus its NULLs, without sorting it.

        With `max_rows`, ranges hold at most so many rows at planning time, where the key's duplicates
        allow it.
        """

    @abstractmethod
    def partition_by_location(
        self, run: QueryRunner, table: SourceTable, where: str | None, count: int, max_rows: int | None = None
    ) -> Partitioning:
        """Divides a table into ranges of its physical blocks; a single partition where that is impossible."""

    @abstractmethod
    def alike_keys(self, run: QueryRunner, keys: Sequence[KeyColumn]) -> tuple[KeyColumn, ...]:
        """The longest leading part of a key whose order is the same in the source and in every target.

        It is what `partition_by_value` can divide by, and may be empty. The leading part of a unique key need not
        be unique.
        """

    @abstractmethod
    def partition_by_value(
        self,
        run: QueryRunner,
        table: SourceTable,
        keys: Sequence[KeyColumn],
        where: str | None,
        count: int,
        max_rows: int | None = None,
    ) -> Partitioning:
        """Divides a table into about `count` half-open ranges that mean the same rows in the target.

        As `partition_by_key` does, but by the staged values and in the order that they have everywhere. Where a
        key column may be NULL, the last partition is `absent` and has the rows without key, even if there are none
        yet. The bounds are texts of staged values, which `platforms/ranges.py` reads back for a target: plain
        digits, `YYYY-MM-DD`, `HH:MM:SS[.fffffff]`, both with a blank between them for TIMESTAMP and with `+00` behind
        them for TIMESTAMP_TZ, a UUID in lower case, text as it is. A value that has no such form (infinity, NaN, a
        year before 1 or after 9999, 24:00, a long text) is no bound: the ranges beside it are one.

        Args:
            keys: what `alike_keys` has left of the key.

        Raises:
            PlatformError: there is no key, or it has a column whose order isn't the same everywhere.
        """

    @abstractmethod
    def split_by_value(
        self,
        run: QueryRunner,
        table: SourceTable,
        keys: Sequence[KeyColumn],
        where: str | None,
        low: Bound | None,
        high: Bound | None,
        max_rows: int,
    ) -> list[Partition]:
        """One range of `partition_by_value` divided into ranges of at most `max_rows` rows, where its keys allow it.

        The first begins at `low` and the last ends at `high`, so that the neighbours stay as they are; rows are
        counted. The one range itself when there is nothing to divide.

        Raises:
            PlatformError: as `partition_by_value`.
        """

    @abstractmethod
    def count_query(self, table: TableName, predicate: str | None, where: str | None) -> str:
        """SQL for `rows`, the number of rows of one partition."""

    @abstractmethod
    def watermark_problem(self, column: SourceColumn, lookback: timedelta | Decimal | None) -> str | None:
        """Why a column can't be a watermark, or not with this lookback, and the cure; None when it can."""

    @abstractmethod
    def watermark_query(self, table: TableName, column: SourceColumn, where: str | None) -> str:
        """SQL for `high` and `missing`: the text of the largest value (NULL without one), and the rows with NULL."""

    @abstractmethod
    def high_problem(self, column: SourceColumn, high: str) -> str | None:
        """Why nothing could ever come after a watermark (infinity, NaN), and the cure; None when something can."""

    @abstractmethod
    def lookback_query(self, column: SourceColumn, low: str, lookback: timedelta | Decimal) -> str:
        """SQL for `low`, the text of the value that lies `lookback` before another; never above it, if it is rounded.

        Raises:
            PlatformError: `watermark_problem` has something against it.
        """

    @abstractmethod
    def after(self, column: SourceColumn, low: str, *, inclusive: bool = False) -> str:
        """A condition for the rows whose value is above a watermark, which an index on the column serves.

        Args:
            inclusive: or the watermark itself.
        """

    @abstractmethod
    def up_to(self, column: SourceColumn, high: str) -> str:
        """A condition for the rows whose value is not above a watermark, which an index on the column serves."""

    @abstractmethod
    def extraction_query(
        self, table: TableName, columns: Sequence[ReadColumn], predicate: str | None, where: str | None
    ) -> str:
        """The rows of one partition, for the source's reader."""

    @abstractmethod
    def location_mark(self, table: TableName) -> str:
        """SQL for one text, `mark`: the snapshot and the place of the table's rows, for `changed_since`."""

    @abstractmethod
    def changed_since(self, table: TableName, mark: str) -> str:
        """SQL for one boolean, `changed`: whether rows may have moved to other blocks since a mark."""


@dataclass(frozen=True)
class TargetColumn:
    """A column of a table in the target, as the target's catalogue spells it.

    Attributes:
        has_default: the target fills the column itself when a row doesn't (default, sequence, expression).
    """

    name: str
    type: str
    nullable: bool = True
    has_default: bool = False


class TargetPlatform(ABC):
    """What a database system can hold, and how it spells it.

    Attributes:
        max_text_length: from so many characters on, a text's length is a limit of the platform, not of the column;
            None when columns without a length have none.
        max_binary_length: the same of bytes.
    """

    name: ClassVar[str]
    dialect: ClassVar[str]
    max_text_length: ClassVar[int | None] = None
    max_binary_length: ClassVar[int | None] = None

    @property
    @abstractmethod
    def canonical_sql(self) -> CanonicalSQL:
        """The platform's SQL for fingerprints."""

    @property
    def measures(self) -> Measures:
        """The platform's SQL for the figures of columns."""
        return Measures(self.dialect)

    @abstractmethod
    def fold(self, identifier: str) -> str:
        """The catalogue's spelling of an identifier written without quotes."""

    @abstractmethod
    def ddl_type(self, column_type: ColumnType) -> str:
        """The target's type for a column, in its DDL.

        Raises:
            PlatformError: the target has no type that holds every value.
        """

    @abstractmethod
    def parse_type(self, ddl_type: str) -> ColumnType:
        """The column type that a DDL type of the target stands for (used by columnTypeMappings).

        Raises:
            PlatformError: the type is unknown or this program can't stage it.
        """

    @abstractmethod
    def same_name(self, first: str, second: str) -> bool:
        """Whether two quoted column names are one and the same in the target."""

    def find_column(self, name: str, columns: Iterable[TargetColumn]) -> TargetColumn | None:
        """The column of a table that has a name; None when there is none."""
        return next((column for column in columns if self.same_name(column.name, name)), None)

    def widens_in_place(self, before: ColumnType, after: ColumnType) -> bool:
        """Whether a column with rows in it can be given a type that holds every value of its own."""
        return True


_DDL_TYPE = re.compile(r"([A-Z]\w*(?: \w+)*) ?(?:\( ?(\d+(?: ?, ?\d+)*) ?\))?((?: [A-Z]+)*)")


def split_type(ddl_type: str) -> tuple[str, tuple[int, ...]]:
    """The upper-case name of a DDL type and its whole-number arguments: `Decimal(10, 2)` is DECIMAL, (10, 2).

    Words after the arguments belong to the name: `TIMESTAMP(3) WITH TIME ZONE`. A type of any other form is
    all name, which no platform knows.
    """
    written = " ".join(ddl_type.upper().split())
    match = _DDL_TYPE.fullmatch(written)
    if match is None:
        return written, ()
    name, arguments, suffix = match.groups()
    return name + suffix, tuple(int(argument) for argument in arguments.split(",")) if arguments else ()


def unknown_type(platform: str, ddl_type: str, known: Iterable[str]) -> PlatformError:
    """The error for a DDL type that a platform doesn't know, with the nearest ones that it does."""
    nearest = get_close_matches(split_type(ddl_type)[0], list(known), n=3, cutoff=0.6)
    suggestion = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
    return PlatformError(f"{platform} has no type {ddl_type!r}, or it can't be staged.{suggestion}")
