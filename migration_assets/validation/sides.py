"""The two sides of a comparison: asked at the same time, within a budget, with every query kept as evidence."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal, TypeVar

import pyarrow as pa
import sqlglot
from sqlglot import exp

from migration_assets.platforms.base import ReadColumn, Row, SourceColumn, TableName
from migration_assets.platforms.canonical import CanonicalType, Fingerprint, whole
from migration_assets.platforms.canonical_sql import Bucket, CanonicalSQL
from migration_assets.platforms.types import TEXT
from migration_assets.resources.sources.base import Reader, Snapshot
from migration_assets.resources.warehouses.base import Answer, Warehouse
from migration_assets.validation.differences.arrow_lane import fingerprints_by
from migration_assets.validation.results import Evidence
from migration_assets.workflow import Budget

_Found = TypeVar("_Found")

SideName = Literal["source", "target"]

CANCEL_SECONDS = 0.5
"""Between two attempts to break a statement off."""


class BudgetExceededError(Exception):
    """The comparison would cost more than the workflow allows; the text says what, and how to allow more."""


class UnreadableValueError(Exception):
    """A value is not what the type of its column says."""


class Side(ABC):
    """One of the two tables.

    Attributes:
        sql: the platform's SQL for fingerprints.
        relation: the table as its queries name it.
        where: the condition on its rows; None for all.
        moment: what keeps several queries at one state, in words; None when nothing does.
    """

    name: ClassVar[SideName]

    def __init__(self, sql: CanonicalSQL, relation: str, where: str | None, moment: str | None) -> None:
        self.sql = sql
        self.relation = relation
        self.where = where
        self.moment = moment

    @abstractmethod
    def ask(self, statement: str) -> Answer:
        """Runs a SELECT in the side's dialect; the names of the columns come back in lower case."""

    @abstractmethod
    def read(self, statement: str, names: Sequence[str]) -> Iterator[pa.Table]:
        """The rows of a SELECT of texts with these names, some megabytes at a time."""

    @abstractmethod
    def cancel(self) -> None:
        """Breaks off the statement that another thread is asking."""

    def narrowed(self, condition: str | None) -> str | None:
        """The side's own condition and another one."""
        given = [f"({text})" for text in (self.where, condition) if text is not None]
        return " AND ".join(given) or None


class SourceSide(Side):
    """A table of the source, under a snapshot."""

    name: ClassVar[SideName] = "source"

    def __init__(
        self, snapshot: Snapshot, sql: CanonicalSQL, table: TableName, where: str | None, *, pinned: bool = True
    ) -> None:
        """Prepares it.

        Args:
            pinned: whether all queries see one state, as `Snapshot.steady` says.
        """
        relation = table.to_expression(with_database=False).sql(sql.dialect)
        super().__init__(sql, relation, where, f"snapshot {snapshot.identity}" if pinned else None)
        self._snapshot = snapshot
        self._reader: Reader | None = None

    def ask(self, statement: str) -> Answer:
        return Answer(_lowered(self._snapshot.query(statement)))

    def read(self, statement: str, names: Sequence[str]) -> Iterator[pa.Table]:
        columns = [ReadColumn(name, TEXT, SourceColumn(name, "text", "text", nullable=True), name) for name in names]
        with closing(self._snapshot.open_steady_reader()) as self._reader:
            yield from self._reader.read(statement, columns)

    def cancel(self) -> None:
        self._snapshot.cancel_query()
        if self._reader is not None:
            self._reader.close()


class TargetSide(Side):
    """A table of the target."""

    name: ClassVar[SideName] = "target"

    def __init__(self, warehouse: Warehouse, table: TableName, where: str | None) -> None:
        sql = warehouse.platform.canonical_sql
        pin = warehouse.pin(table)
        super().__init__(sql, pin.relation.sql(sql.dialect), where, pin.moment)
        self.platform = warehouse.platform
        self._warehouse = warehouse
        self._database = table.database

    def ask(self, statement: str) -> Answer:
        parsed = sqlglot.parse_one(statement, dialect=self.sql.dialect, into=exp.Select)
        answer = self._warehouse.ask(parsed, self._database)
        return Answer(_lowered(answer.rows), answer.query_id)

    def read(self, statement: str, names: Sequence[str]) -> Iterator[pa.Table]:
        parsed = sqlglot.parse_one(statement, dialect=self.sql.dialect, into=exp.Select)
        for table in self._warehouse.read(parsed, self._database):
            yield table.rename_columns(list(names))

    def cancel(self) -> None:
        self._warehouse.cancel_queries()


@dataclass
class Inquiry:
    """What was asked of both sides so far, and what may still be asked.

    Attributes:
        spent_bytes: about what came back from both sides.
        spent_rows: the rows that came back from both sides.
    """

    source: Side
    target: Side
    budget: Budget = field(default_factory=Budget)
    evidence: list[Evidence] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    spent_bytes: int = 0
    spent_rows: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _threads: dict[SideName, ThreadPoolExecutor] = field(default_factory=dict)

    def both(self, step: str, of_source: str, of_target: str) -> tuple[list[Row], list[Row]]:
        """The answers to two queries, asked at the same time.

        Raises:
            BudgetExceededError: the answers didn't come in time, or are more than may come.
            SourceError, WarehouseError: a side refused.
        """
        answers = self._answers(step, {self.source: of_source, self.target: of_target})
        return answers[self.source], answers[self.target]

    def one(self, step: str, side: Side, statement: str) -> list[Row]:
        """The answer to a query of one side.

        Raises:
            BudgetExceededError, SourceError, WarehouseError: as for `both`.
        """
        return self._answers(step, {side: statement})[side]

    def both_read(
        self, step: str, of_source: tuple[str, Sequence[str]], of_target: tuple[str, Sequence[str]]
    ) -> tuple[pa.Table, pa.Table]:
        """The answers to two queries as Arrow tables: for many rows, or for values that are the target's own.

        Args:
            of_source: the query, and the names that its columns get. They are texts.
            of_target: likewise; its columns are of any type.

        Raises:
            BudgetExceededError, SourceError, WarehouseError: as for `both`.
        """
        queries = {self.source: of_source, self.target: of_target}
        tables = self._at_once(
            step, {side: partial(self._read, step, side, sql, names) for side, (sql, names) in queries.items()}
        )
        return tables[self.source], tables[self.target]

    def both_hashed(
        self, step: str, of_source: str, of_target: str, columns: Mapping[str, CanonicalType]
    ) -> tuple[dict[Bucket, Fingerprint], dict[Bucket, Fingerprint]]:
        """The fingerprints by bucket of two queries, whose rows the worker hashes: for what a platform can't.

        Args:
            columns: the texts that are hashed, by name, in order; before them the queries have one called `bucket`.

        Raises:
            BudgetExceededError, SourceError, WarehouseError: as for `both`.
            UnreadableValueError: a text is not what its column says.
        """
        statements = {self.source: of_source, self.target: of_target}
        answers = self._at_once(
            step, {side: partial(self._hashed, step, side, sql, columns) for side, sql in statements.items()}
        )
        return answers[self.source], answers[self.target]

    def _answers(self, step: str, statements: Mapping[Side, str]) -> dict[Side, list[Row]]:
        answers = self._at_once(step, {side: partial(self._asked, side, sql) for side, sql in statements.items()})
        rows = {side: self._noted(step, side, sql, *answers[side]) for side, sql in statements.items()}
        self._require_within_budget(step)
        return rows

    def _at_once(self, step: str, calls: Mapping[Side, Callable[[], _Found]]) -> dict[Side, _Found]:
        """What the calls return, made at the same time; the first error ends both."""
        late = BudgetExceededError(f"{step}: not done in time{self.advice('seconds')}")
        if self._seconds_left() == 0:
            raise late
        asked = {self._thread_of(side).submit(call): side for side, call in calls.items()}
        try:
            done, pending = wait(asked, timeout=self._seconds_left(), return_when=FIRST_EXCEPTION)
        except BaseException:
            self._cancel(asked)
            raise
        self._cancel({answer: side for answer, side in asked.items() if answer in pending})
        if pending and all(answer.exception() is None for answer in done):
            raise late
        # The error that came first: the other side was only told to stop.
        for answer in [*done, *asked]:
            answer.result()
        return {side: answer.result() for answer, side in asked.items()}

    def _cancel(self, asked: Mapping[Future[_Found], Side]) -> None:
        """Breaks off what is asked: again and again, because a statement may only just begin."""
        while any(not answer.done() for answer in asked):
            for answer, side in asked.items():
                if not answer.done():
                    side.cancel()
            wait(asked, timeout=CANCEL_SECONDS)

    def _thread_of(self, side: Side) -> ThreadPoolExecutor:
        """One thread for each side, as long as the inquiry lasts: a target may have a session for each thread."""
        if side.name not in self._threads:
            self._threads[side.name] = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"validate-{side.name}")
        return self._threads[side.name]

    def close(self) -> None:
        """Ends the threads."""
        for thread in self._threads.values():
            thread.shutdown()

    def advice(self, unit: str) -> str:
        """How to allow more, where the workflow has set a limit."""
        limit = getattr(self.budget, unit)
        if limit is None:
            return ""
        shown = f"{limit:g}" if isinstance(limit, float) else f"{limit:,}"
        return f" (the budget of {shown} {unit}; raise validation_configuration.budget.{unit})"

    def _asked(self, side: Side, statement: str) -> tuple[Answer, float]:
        started = time.monotonic()
        return side.ask(statement), time.monotonic() - started

    def _hashed(
        self, step: str, side: Side, statement: str, columns: Mapping[str, CanonicalType]
    ) -> dict[Bucket, Fingerprint]:
        started = time.monotonic()
        sums: dict[Bucket, Fingerprint] = {}
        rows = size = 0
        for table in side.read(statement, ["bucket", *columns]):
            try:
                found = fingerprints_by(table, columns, table.column("bucket"))
            except ValueError as error:
                raise UnreadableValueError(f"{step}: a value of the {side.name} can't be read: {error}") from error
            for bucket, fingerprint in found.items():
                sums[bucket] = sums.get(bucket, Fingerprint.ZERO) + fingerprint
            rows, size = rows + table.num_rows, size + table.nbytes
            self._count(step, table)
        evidence = Evidence(
            step=step,
            side=side.name,
            sql=statement,
            query_id=None,
            seconds=round(time.monotonic() - started, 3),
            rows=rows,
            bytes=size,
            fingerprint=str(total(sums)),
        )
        self.evidence.append(evidence)
        return sums

    def _read(self, step: str, side: Side, statement: str, names: Sequence[str]) -> pa.Table:
        started = time.monotonic()
        tables = [pa.table({name: pa.nulls(0) for name in names})]
        for table in side.read(statement, names):
            self._count(step, table)
            tables.append(table)
        # Snowflake sends whole numbers in the smallest type that each batch fits.
        joined = pa.concat_tables(tables, promote_options="permissive")
        evidence = Evidence(
            step=step,
            side=side.name,
            sql=statement,
            query_id=None,
            seconds=round(time.monotonic() - started, 3),
            rows=joined.num_rows,
            bytes=joined.nbytes,
        )
        self.evidence.append(evidence)
        return joined

    def _count(self, step: str, table: pa.Table) -> None:
        with self._counting:
            self.spent_rows += table.num_rows
            self.spent_bytes += table.nbytes
        self._require_within_budget(step)

    def _noted(self, step: str, side: Side, statement: str, found: Answer, seconds: float) -> list[Row]:
        size = sum(len(str(value)) for row in found.rows for value in row.values())
        self.spent_bytes += size
        self.spent_rows += len(found.rows)
        has_sums = bool(found.rows) and {"row_count", "high", "low"} <= found.rows[0].keys()
        self.evidence.append(
            Evidence(
                step=step,
                side=side.name,
                sql=statement,
                query_id=found.query_id,
                seconds=round(seconds, 3),
                rows=len(found.rows),
                bytes=size,
                fingerprint=str(sum(map(Fingerprint.of, found.rows), Fingerprint.ZERO)) if has_sums else None,
            )
        )
        return found.rows

    def _seconds_left(self) -> float | None:
        if self.budget.seconds is None:
            return None
        return max(0.0, self.budget.seconds - (time.monotonic() - self.started))

    def _require_within_budget(self, step: str) -> None:
        for unit, limit, spent in (
            ("bytes", self.budget.bytes, self.spent_bytes),
            ("rows", self.budget.rows, self.spent_rows),
        ):
            if limit is not None and spent > limit:
                raise BudgetExceededError(f"{step}: {spent:,} {unit} came back{self.advice(unit)}")


def read_buckets(rows: Sequence[Row]) -> dict[Bucket, Fingerprint]:
    """The rows of a bucket query."""
    return {read_bucket(row.get("bucket")): Fingerprint.of(row) for row in rows}


def total(buckets: Mapping[Bucket, Fingerprint]) -> Fingerprint:
    """The fingerprint of all rows."""
    return sum(buckets.values(), Fingerprint.ZERO)


def read_bucket(value: object) -> Bucket:
    """A bucket, whatever type the driver has for it."""
    return value if value is None or isinstance(value, str) else whole(value)


def _lowered(rows: list[Row]) -> list[Row]:
    """Rows with their names in lower case; as they are, where they have them: there may be hundreds of thousands."""
    if not rows or all(name == name.lower() for name in rows[0]):
        return rows
    return [{name.lower(): value for name, value in row.items()} for row in rows]
