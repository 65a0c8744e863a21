"""What is asked about the rows of one table: a statement, and what the worker does where the platform can't hash.

Some platforms can't hash every row (`CanonicalSQL.hashable`). They answer for those that they can; the texts of the
others are read, and the worker makes of them what the platform would have answered: fingerprints can be added, and so
can rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import md5

import pyarrow as pa
import pyarrow.compute as pc

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType
from migration_assets.platforms.canonical_sql import (
    Bucket,
    Buckets,
    CanonicalColumn,
    CanonicalSQL,
    HashBuckets,
    ListedBuckets,
)
from migration_assets.validation.differences.arrow_lane import fingerprints_by, row_texts, text_fingerprint

_AS_TEXT = CanonicalType(CanonicalKind.TEXT)
"""What the worker takes canonical texts as: it escapes and shortens them as SQL does, and JSON isn't read as JSON."""


class Relation:
    """Rows as a platform's queries name them.

    Attributes:
        sql: the platform's SQL for fingerprints.
        relation: the table.
        where: the condition on its rows; None for all.
    """

    def __init__(self, sql: CanonicalSQL, relation: str, where: str | None) -> None:
        self.sql = sql
        self.relation = relation
        self.where = where

    def narrowed(self, *conditions: str | None) -> str | None:
        """The relation's own condition and others."""
        given = [
            f"({text}\n)" if "--" in text else f"({text})" for text in (self.where, *conditions) if text is not None
        ]
        return " AND ".join(given) or None


@dataclass(frozen=True)
class Rest:
    """Rows that the platform can't hash.

    Attributes:
        statement: gives the texts of these rows.
        names: what its columns are called.
        answered: makes of some of the rows a table as the platform would have answered.
    """

    statement: str
    names: tuple[str, ...]
    answered: Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class Question:
    """A statement, and what it leaves to the worker.

    Attributes:
        names: what the statement's columns are called, where its answer is read as texts.
    """

    statement: str
    names: tuple[str, ...] = ()
    rest: Rest | None = None


@dataclass(frozen=True)
class Within:
    """The rows of some buckets."""

    buckets: Buckets
    wanted: Collection[Bucket]


def sums_of(
    of: Relation,
    columns: Sequence[CanonicalColumn],
    buckets: Buckets | ListedBuckets,
    *,
    within: Within | None = None,
    condition: str | None = None,
    mark: str | None = None,
) -> Question:
    """The fingerprint of every bucket: `bucket`, `row_count`, `high`, `low`. A bucket may be answered several times.

    Args:
        mark: a condition that divides every bucket; its rows have 1 as `marked`.
    """
    asked = _Asked(of, columns, columns, buckets, within, condition)
    statement = of.sql.bucket_query(of.relation, columns, buckets, asked.where, mark)

    def answered(rows: _Rows) -> list[dict[str, object]]:
        answer: list[dict[str, object]] = []
        for marked in ("0", "1") if mark is not None else (None,):
            some = rows if marked is None else rows.filtered(pc.equal(rows.table.column("marked"), marked))
            of_mark: dict[str, object] = {} if marked is None else {"marked": int(marked)}
            found = fingerprints_by(some.texts(columns), some.canonicals(columns), some.bucket)
            answer += [
                {**of_mark, "bucket": bucket, "row_count": one.rows, "high": str(one.high), "low": str(one.low)}
                for bucket, one in found.items()
            ]
        return answer

    return asked.question(statement, lambda rows: pa.Table.from_pylist(answered(rows)), mark=mark)


def total_of(of: Relation, columns: Sequence[CanonicalColumn]) -> Question:
    """The fingerprint of all rows: `row_count`, `high`, `low`, maybe in several parts."""
    asked = _Asked(of, columns, columns, None, None, None)

    def answered(rows: _Rows) -> pa.Table:
        found = text_fingerprint(rows.row_texts(columns))
        return pa.table({"row_count": [found.rows], "high": [str(found.high)], "low": [str(found.low)]})

    return asked.question(of.sql.total_query(of.relation, columns, asked.where), answered)


def column_sums_of(
    of: Relation,
    columns: Sequence[CanonicalColumn],
    key: Sequence[CanonicalColumn],
    row: Sequence[CanonicalColumn],
    within: Within,
) -> Question:
    """The fingerprint of every column, each with its key: `high_<n>`, `low_<n>`, maybe in several parts.

    Args:
        row: the columns of a row, which buckets may be of.
    """
    asked = _Asked(of, [*key, *columns], row, None, within, None)

    def answered(rows: _Rows) -> pa.Table:
        answer = {"row_count": [rows.table.num_rows]}
        for number, column in enumerate(columns):
            found = text_fingerprint(rows.row_texts([*key, column]))
            answer |= {f"high_{number}": [str(found.high)], f"low_{number}": [str(found.low)]}
        return pa.table(answer)

    return asked.question(of.sql.column_query(of.relation, columns, key, asked.where), answered)


def texts_of(
    of: Relation,
    columns: Sequence[CanonicalColumn],
    row: Sequence[CanonicalColumn],
    buckets: Buckets,
    *,
    within: Within | None = None,
    as_text: bool = False,
) -> Question:
    """The rows: `bucket`, and their canonical texts `c0`, `c1`, ….

    Args:
        row: the columns of a row, which buckets may be of.
        as_text: the bucket comes as text, for answers that are read.
    """
    asked = _Asked(of, (), row, buckets, within, None, fetched=columns)
    bucket = of.sql.bucket(row, buckets)
    statement = of.sql.rows_query(of.relation, columns, asked.where, of.sql.as_text(bucket) if as_text else bucket)
    names = tuple(f"c{number}" for number in range(len(columns)))

    def answered(rows: _Rows) -> pa.Table:
        bucket = rows.table.column("bucket") if as_text and not isinstance(buckets, HashBuckets) else rows.bucket
        return pa.table([bucket, *rows.texts(columns).columns], names=["bucket", *names])

    return asked.question(statement, answered, names=("bucket", *names))


def keys_of(of: Relation, key: Sequence[CanonicalColumn], within: Within) -> Question:
    """The row texts of keys: `row_text`."""
    asked = _Asked(of, key, key, None, within, None)
    statement = of.sql.keys_query(of.relation, key, asked.where)
    return asked.question(statement, lambda rows: pa.table({"row_text": rows.row_texts(key)}), names=("row_text",))


class _Asked:
    """The rows that a question is about: those that the platform answers for, and the rest."""

    def __init__(
        self,
        of: Relation,
        hashed: Sequence[CanonicalColumn],
        row: Sequence[CanonicalColumn],
        buckets: Buckets | ListedBuckets | None,
        within: Within | None,
        condition: str | None,
        *,
        fetched: Sequence[CanonicalColumn] = (),
    ) -> None:
        """Finds them.

        Args:
            hashed: columns of texts whose hash is asked for.
            row: the columns of a row, which buckets may be of.
            fetched: columns that are only read.
        """
        self._of, self._buckets, self._within, self._condition = of, buckets, within, condition
        self._bucketed = _hashed_for(buckets, row)
        self._selected = _hashed_for(within.buckets if within else None, row)
        needed = dict.fromkeys([*hashed, *self._bucketed, *self._selected])
        self._hashable = of.sql.hashable(list(needed))
        self._columns = list(dict.fromkeys([*needed, *fetched]))
        self._condition_of_buckets = of.sql.in_buckets(row, within.buckets, within.wanted) if within else None
        self.where = of.narrowed(condition, self._condition_of_buckets, self._hashable)

    def question(
        self,
        statement: str,
        answered: Callable[[_Rows], pa.Table],
        *,
        mark: str | None = None,
        names: tuple[str, ...] = (),
    ) -> Question:
        """The question that a statement with `where` is a part of.

        Args:
            answered: makes an answer of rows that the platform can't hash.
            names: of the statement's columns, where its answer is read.
        """
        if self._hashable is None:
            return Question(statement, names)
        sql = self._of.sql
        # Hashes of keys that the platform can't compute can't be in a condition, either.
        selected = None if self._selected else self._condition_of_buckets
        where = self._of.narrowed(self._condition, selected, f"NOT ({self._hashable})")
        by_platform = self._buckets is not None and not isinstance(self._buckets, HashBuckets)
        bucket = sql.as_text(sql.bucket((), self._buckets)) if self._buckets is not None and by_platform else "NULL"
        rest = sql.rows_query(self._of.relation, self._columns, where, bucket, mark)
        read = ["bucket", *(["marked"] if mark is not None else []), *(f"c{n}" for n in range(len(self._columns)))]
        return Question(statement, names, Rest(rest, tuple(read), lambda table: answered(self._wanted(table))))

    def _wanted(self, table: pa.Table) -> _Rows:
        digits = self._buckets.digits if isinstance(self._buckets, HashBuckets) else 0
        rows = _Rows(table, self._columns, self._bucketed, digits)
        within = self._within
        if within is None or not isinstance(within.buckets, HashBuckets):
            return rows
        found = rows.hexadecimal(self._selected, within.buckets.digits)
        return rows.filtered(pc.is_in(found, value_set=pa.array(list(within.wanted), pa.string())))


@dataclass(frozen=True)
class _Rows:
    """Texts of rows, as `rows_query` gives them.

    Attributes:
        columns: what the table's columns `c0`, `c1`, … are.
        bucketed: the columns whose hash is a row's bucket; none where the platform gave the bucket.
        digits: of that hash.
    """

    table: pa.Table
    columns: Sequence[CanonicalColumn]
    bucketed: Sequence[CanonicalColumn]
    digits: int

    def filtered(self, mask: pa.Array) -> _Rows:
        return _Rows(self.table.filter(mask), self.columns, self.bucketed, self.digits)

    def texts(self, columns: Sequence[CanonicalColumn]) -> pa.Table:
        places = {column: place for place, column in enumerate(self.columns)}
        arrays = [self.table.column(f"c{places[column]}").cast(pa.string()) for column in columns]
        return pa.table(arrays, names=list(self.canonicals(columns)))

    def canonicals(self, columns: Sequence[CanonicalColumn]) -> dict[str, CanonicalType]:
        return {f"t{number}": _AS_TEXT for number in range(len(columns))}

    def row_texts(self, columns: Sequence[CanonicalColumn]) -> pa.Array:
        return row_texts(self.texts(columns).columns, list(self.canonicals(columns).values()))

    def hexadecimal(self, columns: Sequence[CanonicalColumn], digits: int) -> pa.Array:
        """The first digits of the hash of some columns."""
        found = (md5(text, usedforsecurity=False) for text in self.row_texts(columns).cast(pa.binary()).to_pylist())
        return pa.array([one.hexdigest()[:digits] for one in found], pa.string())

    @cached_property
    def bucket(self) -> pa.Array | pa.ChunkedArray:
        """The bucket of every row."""
        if self.bucketed:
            return self.hexadecimal(self.bucketed, self.digits)
        return self.table.column("bucket").cast(pa.int64())


def _hashed_for(buckets: Buckets | ListedBuckets | None, row: Sequence[CanonicalColumn]) -> Sequence[CanonicalColumn]:
    """The columns whose hash the buckets are of."""
    return (buckets.columns or row) if isinstance(buckets, HashBuckets) else ()
