"""A platform that can't hash every row gets the same answers as one that can, with the worker's help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import duckdb
import pyarrow as pa
import pytest

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType, Fingerprint, whole
from migration_assets.platforms.canonical_sql import (
    Bucket,
    Buckets,
    CanonicalColumn,
    CanonicalSQL,
    HashBuckets,
    ListedBuckets,
    RangeBuckets,
)
from migration_assets.platforms.duckdb.canonical import DuckDBSQL
from migration_assets.platforms.types import JSON, TEXT, ColumnType, Kind, decimal, integer
from migration_assets.resources.warehouses.base import Answer
from migration_assets.validation.questions import (
    Question,
    Within,
    column_sums_of,
    keys_of,
    sums_of,
    texts_of,
    total_of,
)
from migration_assets.validation.sides import Side, SideName, read_buckets

ID = CanonicalColumn("id", "id", integer(64), CanonicalType(CanonicalKind.NUMBER), nullable=False)
NAME = CanonicalColumn("name", "name", TEXT, CanonicalType(CanonicalKind.TEXT))
NOTE = CanonicalColumn("note", "note", JSON, CanonicalType(CanonicalKind.JSON))
AMOUNT = CanonicalColumn("amount", "amount", decimal(10, 2), CanonicalType(CanonicalKind.NUMBER, 4))
BYTES = CanonicalColumn("bytes", "bytes", ColumnType(Kind.BINARY), CanonicalType(CanonicalKind.BINARY))
COLUMNS = [ID, NAME, NOTE, AMOUNT, BYTES]

RANGES = RangeBuckets(ID, origin=0, width=4)
OF_KEYS = HashBuckets((NAME,), 1)
OF_ROWS = HashBuckets((), 1)
BUCKETS: list[Buckets] = [RANGES, OF_KEYS, OF_ROWS]


class AsciiSQL(DuckDBSQL):
    """DuckDB that would have no UTF-8: what it hashes of other texts is wrong."""

    def characters(self, column: CanonicalColumn) -> str:
        return f"regexp_replace(CAST({column.expression} AS VARCHAR), '[^\\x01-\\x7f]', '?', 'g')"

    def fetched(self, column: CanonicalColumn) -> str:
        return super().characters(column) if self._is_text(column) else self.text(column)

    def hashable(self, columns: Sequence[CanonicalColumn]) -> str | None:
        texts = [column.expression for column in columns if self._is_text(column)]
        ascii_only = [f"regexp_full_match(COALESCE(CAST({one} AS VARCHAR), ''), '[\\x01-\\x7f]*')" for one in texts]
        return " AND ".join(ascii_only) or None

    def _is_text(self, column: CanonicalColumn) -> bool:
        return column.canonical.kind in (CanonicalKind.TEXT, CanonicalKind.JSON)


class DuckDBSide(Side):
    name: ClassVar[SideName] = "source"

    def __init__(self, sql: CanonicalSQL, connection: duckdb.DuckDBPyConnection, where: str | None = None) -> None:
        super().__init__(sql, "t", where, None)
        self._connection = connection

    def ask(self, statement: str) -> Answer:
        return Answer(self._connection.sql(statement).to_arrow_table().to_pylist())

    def read(self, statement: str, names: Sequence[str]) -> Iterator[pa.Table]:
        found = self._connection.sql(statement).to_arrow_table().rename_columns(list(names))
        # In pieces, as a source reads.
        for start in range(0, found.num_rows, 7):
            yield found.slice(start, 7)

    def cancel(self) -> None: ...


@pytest.fixture
def sides() -> tuple[Side, Side]:
    """One that hashes every row, and one that doesn't, over the same rows."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (id BIGINT, name VARCHAR, note VARCHAR, amount DECIMAL(10, 2), bytes BLOB)")
    names = [None, "", "a", "a|b\\c", "é", "żółw 🐢", "x" * 1500, "é" * 800, " ", "a\0b", "é|\\"]
    for number in range(60):
        connection.execute(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?)",
            [
                number,
                names[number % len(names)],
                None if number % 5 else f'{{"k": "{names[number % 7]}", "n": {number}}}',
                None if number % 4 == 1 else f"{number}.{number:02}",
                bytes([number]) * (number * 13) if number % 3 else None,
            ],
        )
    return DuckDBSide(DuckDBSQL(), connection, "id <> 17"), DuckDBSide(AsciiSQL(), connection, "id <> 17")


def some_of(side: Side, buckets: Buckets) -> Within:
    """Half of the buckets."""
    known = sorted(read_buckets(side.answer(sums_of(side, COLUMNS, buckets))), key=str)
    return Within(buckets, known[::2])


def sums(side: Side, question: Question, mark: int | None = None) -> dict[Bucket, Fingerprint]:
    return read_buckets([row for row in side.answer(question) if mark is None or whole(row["marked"]) == mark])


@pytest.mark.parametrize("buckets", [*BUCKETS, ListedBuckets("CASE WHEN id < 9 THEN 0 ELSE 1 END")], ids=str)
def test_buckets_have_the_same_sums(sides: tuple[Side, Side], buckets: Buckets | ListedBuckets) -> None:
    able, unable = (sums(side, sums_of(side, COLUMNS, buckets)) for side in sides)
    assert able == unable
    assert len(able) > 1


@pytest.mark.parametrize("buckets", BUCKETS, ids=str)
@pytest.mark.parametrize("marked", [0, 1])
def test_marked_rows_of_some_buckets_have_the_same_sums(
    sides: tuple[Side, Side], buckets: Buckets, marked: int
) -> None:
    some = some_of(sides[0], buckets)
    finer = HashBuckets(buckets.columns, 3) if isinstance(buckets, HashBuckets) else RangeBuckets(ID, 0, 1)
    able, unable = (
        sums(side, sums_of(side, COLUMNS, finer, within=some, condition="id > 2", mark="id % 2 = 0"), marked)
        for side in sides
    )
    assert able == unable
    assert able


def test_tables_have_the_same_fingerprint(sides: tuple[Side, Side]) -> None:
    able, unable = (sum(map(Fingerprint.of, side.answer(total_of(side, COLUMNS))), Fingerprint.ZERO) for side in sides)
    assert able == unable
    assert able.rows == 59


@pytest.mark.parametrize("buckets", BUCKETS, ids=str)
def test_columns_have_the_same_sums(sides: tuple[Side, Side], buckets: Buckets) -> None:
    some = some_of(sides[0], buckets)

    def found(side: Side) -> dict[str, int]:
        rows = side.answer(column_sums_of(side, COLUMNS[1:], [ID], COLUMNS, some))
        return {name: sum(whole(row[name]) for row in rows) for name in rows[0]}

    assert found(sides[0]) == found(sides[1])


@pytest.mark.parametrize("buckets", BUCKETS, ids=str)
@pytest.mark.parametrize("as_text", [False, True])
def test_the_same_rows_come_back(sides: tuple[Side, Side], buckets: Buckets, as_text: bool) -> None:
    some = some_of(sides[0], buckets)

    def found(side: Side) -> list[tuple[object, ...]]:
        question = texts_of(side, [ID, NAME, AMOUNT], COLUMNS, buckets, within=some, as_text=as_text)
        return sorted(tuple(row.values()) for row in side.answer(question))

    def plain(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        return sorted(rows, key=lambda row: str(row[1]))

    assert plain(found(sides[0])) == plain(found(sides[1]))


@pytest.mark.parametrize("buckets", BUCKETS, ids=str)
def test_the_same_keys_come_back(sides: tuple[Side, Side], buckets: Buckets) -> None:
    key = [NAME, ID]
    of_keys = HashBuckets((), 1) if isinstance(buckets, HashBuckets) and not buckets.columns else buckets
    known = Within(of_keys, list(sums(sides[0], sums_of(sides[0], key, of_keys)))[::2])

    able, unable = (sorted(str(row["row_text"]) for row in side.answer(keys_of(side, key, known))) for side in sides)

    assert able == unable
    assert able


def test_a_platform_that_hashes_every_row_leaves_nothing_to_the_worker(sides: tuple[Side, Side]) -> None:
    able, unable = sides
    assert total_of(able, COLUMNS).rest is None
    assert total_of(unable, [ID, AMOUNT]).rest is None
    assert total_of(unable, [ID, NAME]).rest is not None
