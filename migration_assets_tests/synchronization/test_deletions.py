"""What a source has deleted is found exactly, by the target's own keys, and for little traffic."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest
from psycopg2.extras import execute_values

from migration_assets.platforms.base import TableName
from migration_assets.platforms.duckdb.canonical import DuckDBSQL
from migration_assets.synchronization import deletions
from migration_assets.synchronization.deletions import (
    DeletionError,
    Deletions,
    TooManyDeletionsError,
    find_deletions,
)
from migration_assets.validation.alignment import Alignment, align
from migration_assets.validation.levels import buckets as buckets_level
from migration_assets.validation.sides import Inquiry, SourceSide, TargetSide
from migration_assets.workflow import ValidationTable
from migration_assets_tests.servers import PostgreSQLDatabase
from migration_assets_tests.validation.pairs import Column, Pair

CHANGED = "w IS NULL OR w > 0"
"""The watermark of rows that an earlier run has moved is 0."""

BIGINT = Column("k", "bigint NOT NULL", "BIGINT")
TEXT = Column("k", "text NOT NULL", "VARCHAR")


@dataclass
class Mirror:
    """A table whose rows have a key, its text, and a watermark `w`; the target is as the last run left it."""

    pair: Pair
    key: tuple[Column, ...]
    where: str | None = None
    alignment: Alignment = field(init=False)
    inquiry: Inquiry = field(init=False)

    @classmethod
    def of(cls, database: PostgreSQLDatabase, folder: Path, *key: Column) -> Mirror:
        columns = (*key, Column("label", "text", "VARCHAR"), Column("w", "bigint", "BIGINT"))
        return cls(Pair(database, folder, columns), key)

    def create(self, keys: Sequence[Sequence[Any]]) -> None:
        """Makes both tables with these keys."""
        self.pair.create([], key=None)
        self.replace_source([(key, 0) for key in keys])
        if keys:
            with duckdb.connect(str(self.pair.file)) as target:
                target.execute("SET TimeZone = 'UTC'")
                places = ", ".join("?" for _ in self.pair.columns)
                values = ", ".join([f"({places})"] * len(keys))
                target.execute(
                    f"INSERT INTO t VALUES {values}", [value for key in keys for value in (*key, str(key), 0)]
                )

    def create_many(self, rows: int, *, key: str, unique: str | None = "k") -> None:
        """Makes both tables with very many rows; `key` is SQL of the number `n`."""
        self.pair.create([], key=unique)
        self.pair.database.execute(f"INSERT INTO t SELECT {key}, n::text, 0 FROM generate_series(1, {rows}) AS s(n)")
        self.pair.database.execute("VACUUM ANALYZE t")
        self.pair.change_target(f"INSERT INTO t SELECT {key}, n::text, 0 FROM range(1, {rows + 1}) AS s(n)")

    def replace_source(self, rows: Sequence[tuple[Sequence[Any], int | None]]) -> None:
        """Gives the source other rows, of a key and a watermark each."""
        self.pair.database.execute("TRUNCATE t")
        places = ", ".join(["%s::" + column.postgresql.removesuffix(" NOT NULL") for column in self.key])
        with self.pair.database.connect() as connection, connection.cursor() as cursor:
            values = [(*key, str(key), w) for key, w in rows]
            execute_values(cursor, "INSERT INTO t VALUES %s", values, template=f"({places}, %s, %s)", page_size=1000)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Has the inquiry read the source as it is now."""
        pair = self.pair
        origin, target = TableName(pair.database.database, "public", "t"), TableName("LAKE", "main", "t")
        with (
            pair.source.open_snapshot(origin, strict=False) as snapshot,
            pair.warehouse.hold(target.database),
        ):
            sql = pair.source.platform.canonical_sql(snapshot.query)
            source_side = SourceSide(snapshot, sql, origin, self.where)
            with closing(Inquiry(source_side, TargetSide(pair.warehouse, target, None))) as self.inquiry:
                found = pair.warehouse.describe(target)
                assert found is not None
                self.alignment = align(
                    ValidationTable.model_validate(
                        {
                            "source": {
                                "database_name": origin.database,
                                "schema_name": "public",
                                "table_name": "t",
                            },
                            "target": {"database_name": "LAKE", "schema_name": "main", "table_name": "t"},
                            "index_columns": [column.name for column in self.key],
                        }
                    ),
                    pair.source.platform.describe(snapshot.query, origin),
                    found,
                    source_platform=pair.source.platform,
                    target_platform=pair.warehouse.platform,
                    run=snapshot.query,
                )
                yield

    def find(self, *, limit: int = 10**9, estimated_rows: int | None = None) -> Deletions:
        """Searches, when `opened`."""
        key = self.alignment.key_columns
        assert [column.name for column in key] == [column.name for column in self.key]
        rows = 1000 if estimated_rows is None else estimated_rows
        return find_deletions(self.inquiry, key, CHANGED, estimated_rows=rows, limit=limit)

    def found(self, *, limit: int = 10**9, estimated_rows: int | None = None) -> Deletions:
        """Opens and searches."""
        with self.opened():
            return self.find(limit=limit, estimated_rows=estimated_rows)

    def delete(self, keys: pa.Table) -> set[str]:
        """Deletes from the target by its own keys; returns the labels that were deleted."""
        with duckdb.connect(str(self.pair.file)) as target:
            target.execute("SET TimeZone = 'UTC'")
            target.register("deleted", keys)
            on = " AND ".join(f't."{name}" = deleted."{name}"' for name in keys.column_names)
            return {
                label
                for (label,) in target.execute(f"DELETE FROM t USING deleted WHERE {on} RETURNING label").fetchall()
            }

    def target_labels(self) -> set[str]:
        with duckdb.connect(str(self.pair.file)) as target:
            return {label for (label,) in target.execute("SELECT label FROM t").fetchall()}

    def source_labels(self) -> set[str]:
        return {label for (label,) in self.pair.database.fetch("SELECT label FROM t")}

    def rows_of(self, step: str, side: str) -> int:
        """The rows that a side sent for steps of that name."""
        return sum(one.rows for one in self.inquiry.evidence if one.side == side and step in one.step)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a few hundred rows take every step, in many statements."""
    monkeypatch.setattr(buckets_level, "ROWS_PER_BUCKET", 16)
    monkeypatch.setattr(buckets_level, "ROWS_PER_LEAF", 2)
    monkeypatch.setattr(deletions, "FEW_KEYS", 10)
    monkeypatch.setattr(deletions, "FULL_LEAF", 3)
    monkeypatch.setattr(deletions, "FEW_CHANGED", 4)
    monkeypatch.setattr(deletions, "MOST_LISTED", 5)
    monkeypatch.setattr(deletions, "MOST_KEYS", 40)


# -- random histories -----------------------------------------------------------------------------

LETTERS = ["a", "|", "\\", "\\N", "é", "e\u0301", " ", "Z", "🐢", "x" * 600, "'", "--"]
EPOCH = datetime(2020, 1, 1)  # noqa: DTZ001 - of a column without a zone


def some_text(generator: random.Random) -> str:
    return "".join(generator.choice(LETTERS) for _ in range(generator.randint(0, 4)))


@dataclass(frozen=True)
class Form:
    """Columns of a key, and how a random one is made."""

    name: str
    columns: tuple[Column, ...]

    def make(self, generator: random.Random) -> tuple[Any, ...]:
        one = generator.randint(0, 700)
        makers: dict[str, Callable[[], tuple[Any, ...]]] = {
            "bigint": lambda: (one,),
            "negative and sparse": lambda: ((one - 350) * 10 ** generator.choice([0, 3, 12]),),
            "extremes": lambda: (str(generator.choice([-(2**63), 2**63 - 1, *range(300)])),),
            "decimal": lambda: (f"{one}",),
            "fraction": lambda: (f"{one / 8:.3f}",),
            "text": lambda: (some_text(generator),),
            "uuid": lambda: (str(UUID(int=one << 100)),),
            "timestamp": lambda: (EPOCH + timedelta(microseconds=one * 100_001),),
            "instant": lambda: ((EPOCH + timedelta(hours=one)).replace(tzinfo=timezone.utc),),
            "bytes": lambda: (one.to_bytes(2, "big"),),
            "double": lambda: (one / 7,),
            "numbers": lambda: (one % 30, generator.randint(0, 30)),
            "text and date": lambda: (some_text(generator), date(2020, 1, 1) + timedelta(days=one % 9)),
            "boolean and text": lambda: (one % 2 == 0, f"{one}|"),
        }
        return makers[self.name]()


FORMS = [
    Form("bigint", (BIGINT,)),
    Form("negative and sparse", (BIGINT,)),
    Form("extremes", (BIGINT,)),
    Form("decimal", (Column("k", "numeric(12, 0) NOT NULL", "DECIMAL(12,0)"),)),
    Form("fraction", (Column("k", "numeric(12, 3) NOT NULL", "DECIMAL(14,4)"),)),
    Form("text", (TEXT,)),
    Form("uuid", (Column("k", "uuid NOT NULL", "UUID"),)),
    Form("timestamp", (Column("k", "timestamp NOT NULL", "TIMESTAMP"),)),
    Form("instant", (Column("k", "timestamptz NOT NULL", "TIMESTAMPTZ"),)),
    Form("bytes", (Column("k", "bytea NOT NULL", "BLOB"),)),
    Form("double", (Column("k", "double precision NOT NULL", "DOUBLE"),)),
    Form("numbers", (Column("a", "int NOT NULL", "INTEGER"), Column("b", "smallint NOT NULL", "BIGINT"))),
    Form("text and date", (Column("a", "text NOT NULL", "VARCHAR"), Column("b", "date NOT NULL", "DATE"))),
    Form("boolean and text", (Column("a", "boolean NOT NULL", "BOOLEAN"), Column("b", "varchar(9)", "VARCHAR"))),
]


def history(
    form: Form, generator: random.Random, before: Sequence[tuple[Any, ...]]
) -> list[tuple[tuple[Any, ...], int | None]]:
    """The source's rows after random inserts, updates, deletes, deletes with reinserts, and changes of keys."""
    weights = generator.choice(
        [(100, 0, 0, 0, 0), (60, 20, 5, 5, 10), (90, 9, 1, 0, 0), (0, 0, 1, 0, 0), (1, 1, 1, 1, 1)]
    )
    after: dict[tuple[Any, ...], int | None] = {}
    fresh = [form.make(generator) for _ in range(generator.choice([0, 3, 80]))]
    for key in before:
        what = generator.choices(["settled", "updated", "deleted", "inserted again", "moved"], weights)[0]
        if what == "settled":
            after[key] = 0
        elif what in ("updated", "inserted again"):
            after[key] = generator.choice([1, 7, None])
        elif what == "moved":
            fresh.append(form.make(generator))
    for key in fresh:
        # Where a row takes the key of another one, that one was replaced.
        after[key] = generator.randint(1, 9)
    return list(after.items())


@pytest.mark.parametrize("steps", ["small", "usual"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_random_history_leaves_exactly_the_keys_of_the_source(
    postgresql_database: PostgreSQLDatabase, folder: Path, form: Form, steps: str, request: pytest.FixtureRequest
) -> None:
    if steps == "small":
        request.getfixturevalue("small_steps")
    mirror = Mirror.of(postgresql_database, folder, *form.columns)
    for seed in range(2):
        generator = random.Random(f"{form.name}/{steps}/{seed}")
        before = sorted({form.make(generator) for _ in range(generator.choice([0, 20, 250]))})
        mirror.create(before)
        for _ in range(3):
            mirror.replace_source(history(form, generator, before))
            source, target = mirror.source_labels(), mirror.target_labels()
            expected = target - source
            found = mirror.found()
            assert (found.target_rows, found.source_rows) == (len(target), len(source))
            assert found.keys.num_rows == len(expected)
            if expected:
                assert mirror.delete(found.keys) == expected
            left = mirror.target_labels()
            before = [key for key in before if str(key) in left]


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("column", [Column("k", "int", "INTEGER"), Column("k", "text", "VARCHAR")], ids=["int", "text"])
def test_keys_that_are_there_several_times_or_null_on_either_side(
    postgresql_database: PostgreSQLDatabase, folder: Path, column: Column
) -> None:
    mirror = Mirror.of(postgresql_database, folder, column)
    for seed in range(6):
        generator = random.Random(seed)
        keys: list[Any] = [(value,) for value in [*range(60), *range(20), *range(5)]] + [(None,)] * 3
        mirror.create([*generator.sample(keys, 70), (None,)])
        source = [(key, generator.choice([0, 0, 0, 1])) for key in generator.sample(keys, generator.randint(20, 70))]
        mirror.replace_source([*source, ((None,), generator.choice([0, 1]))])
        expected = mirror.target_labels() - mirror.source_labels()
        found = mirror.found()
        assert found.keys.num_rows == len(expected)
        assert mirror.delete(found.keys) == expected


# -- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [BIGINT, TEXT], ids=["ranges", "hashes"])
def test_an_emptied_source(postgresql_database: PostgreSQLDatabase, folder: Path, key: Column) -> None:
    mirror = Mirror.of(postgresql_database, folder, key)
    mirror.create_many(30_000, key=f"n::{key.duckdb}".replace("VARCHAR", "text"))
    mirror.replace_source([])
    with pytest.raises(TooManyDeletionsError, match="30,000 or more of the 30,000 rows of the target, and 29,999 may"):
        mirror.found(limit=29_999)
    assert not [one.step for one in mirror.inquiry.evidence if "keys of unexplained" in one.step]
    found = mirror.found(limit=30_000, estimated_rows=30_000)
    # Leaves would have spared nothing.
    assert not [one.step for one in mirror.inquiry.evidence if "leaves" in one.step]
    assert len(mirror.delete(found.keys)) == 30_000


def test_an_empty_target(postgresql_database: PostgreSQLDatabase, folder: Path) -> None:
    mirror = Mirror.of(postgresql_database, folder, BIGINT)
    mirror.create([])
    mirror.replace_source([((1,), 0), ((2,), 1)])
    found = mirror.found(estimated_rows=0)
    assert (found.keys.num_rows, found.keys.column_names) == (0, ["k"])
    assert (found.target_rows, found.source_rows) == (0, 2)


def test_more_deletions_than_are_certain_before_keys_are_fetched(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    mirror = Mirror.of(postgresql_database, folder, TEXT)
    mirror.create([(f"{n}",) for n in range(50)])
    mirror.replace_source([((f"{n}",), 0 if n < 50 else 1) for n in range(25, 75)])
    assert mirror.found(limit=25, estimated_rows=1).keys.num_rows == 25
    with pytest.raises(TooManyDeletionsError) as caught:
        mirror.found(limit=24, estimated_rows=1)
    assert (caught.value.found, caught.value.target_rows, caught.value.limit) == (25, 50, 24)


def test_a_deleted_key_with_a_null_is_refused_and_one_that_is_still_there_is_not(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    key = (Column("a", "int", "INTEGER"), Column("b", "text", "VARCHAR"))
    mirror = Mirror.of(postgresql_database, folder, *key)
    mirror.create([(1, "x"), (1, None), (2, None), (3, "\\N")])
    mirror.replace_source([((1, None), 0), ((2, None), 1), ((3, None), 1)])
    found = mirror.found()
    assert sorted(found.keys.to_pylist(), key=lambda row: row["a"]) == [{"a": 1, "b": "x"}, {"a": 3, "b": "\\N"}]
    mirror.replace_source([((1, "x"), 0), ((2, None), 1)])
    with pytest.raises(DeletionError, match=r"1 of 2 deleted rows have NULL in the key's column b.* choose a key"):
        mirror.found()


def test_rows_that_have_left_the_filter_are_deleted(postgresql_database: PostgreSQLDatabase, folder: Path) -> None:
    mirror = Mirror.of(postgresql_database, folder, BIGINT)
    mirror.create([(n,) for n in range(10)])
    mirror.where = "k <> 4 OR w = 9"
    assert mirror.found().keys.to_pylist() == [{"k": 4}]


def test_rows_that_the_target_never_got_are_no_deletions(postgresql_database: PostgreSQLDatabase, folder: Path) -> None:
    mirror = Mirror.of(postgresql_database, folder, BIGINT)
    mirror.create([(n,) for n in range(10)])
    mirror.pair.change_target("DELETE FROM t WHERE k IN (2, 3)")
    assert mirror.found().keys.num_rows == 0
    postgresql_database.execute("DELETE FROM t WHERE k = 5")
    assert mirror.found().keys.to_pylist() == [{"k": 5}]


def test_what_happens_after_the_snapshot_does_not_matter(postgresql_database: PostgreSQLDatabase, folder: Path) -> None:
    mirror = Mirror.of(postgresql_database, folder, TEXT)
    mirror.create([(f"{n}",) for n in range(100)])
    postgresql_database.execute("DELETE FROM t WHERE k = '7'")
    with mirror.opened():
        postgresql_database.execute("DELETE FROM t WHERE k < '5'; INSERT INTO t VALUES ('7', 'back', 1)")
        assert mirror.find().keys.to_pylist() == [{"k": "7"}]


@pytest.mark.parametrize("side", [SourceSide, TargetSide])
def test_a_key_that_is_lost_on_its_way_is_not_taken_for_a_deleted_one(
    postgresql_database: PostgreSQLDatabase,
    folder: Path,
    side: type[SourceSide | TargetSide],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirror = Mirror.of(postgresql_database, folder, TEXT)
    mirror.create([(f"{n}",) for n in range(100)])
    postgresql_database.execute("DELETE FROM t WHERE k = '7'")
    honest = side.read

    def losing(self: Any, statement: str, names: Sequence[str]) -> Iterator[pa.Table]:
        for table in honest(self, statement, names):
            yield table.slice(1)

    monkeypatch.setattr(side, "read", losing)
    with pytest.raises(DeletionError, match=f"the {side.name} was changed while keys were compared"):
        mirror.found(estimated_rows=1)


def test_json_that_a_platform_writes_its_own_way_is_no_key(
    postgresql_database: PostgreSQLDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror.of(postgresql_database, folder, Column("k", "jsonb NOT NULL", "JSON"))
    mirror.create([('{"a": 1}',), ('{"a": 2}',)])
    postgresql_database.execute("""DELETE FROM t WHERE k = '{"a": 2}'""")
    assert mirror.found().keys.to_pylist() == [{"k": '{"a": 2}'}]
    monkeypatch.setattr(DuckDBSQL, "keeps_json_text", False)
    with pytest.raises(DeletionError, match="by a key with k: one side writes JSON"):
        mirror.found()


# -- traffic --------------------------------------------------------------------------------------

ROWS = 200_000
KEYS = pytest.mark.parametrize(("key", "value"), [(BIGINT, "n"), (TEXT, "md5(n::text)")], ids=["ranges", "hashes"])
UPDATES = f"UPDATE t SET w = 1 WHERE label::int % 100 = 17 AND label::int <= {ROWS}"


@KEYS
def test_few_deletions_between_many_updates_are_found_for_some_hundred_keys(
    postgresql_database: PostgreSQLDatabase, folder: Path, key: Column, value: str
) -> None:
    mirror = Mirror.of(postgresql_database, folder, key)
    mirror.create_many(ROWS, key=value)
    postgresql_database.execute(UPDATES)
    found = mirror.found(estimated_rows=ROWS)
    assert (found.keys.num_rows, found.pulled_keys) == (0, 0)
    postgresql_database.execute("DELETE FROM t WHERE label IN ('1', '5017', '77777', '150000', '200000')")
    found = mirror.found(estimated_rows=ROWS)
    assert mirror.delete(found.keys) == {"1", "5017", "77777", "150000", "200000"}
    assert found.pulled_keys < 700
    assert found.pulled_bytes < 1_000_000


@KEYS
def test_updates_and_inserts_without_deletions_fetch_hardly_a_key_of_the_target(
    postgresql_database: PostgreSQLDatabase, folder: Path, key: Column, value: str
) -> None:
    mirror = Mirror.of(postgresql_database, folder, key)
    mirror.create_many(ROWS, key=value)
    postgresql_database.execute(UPDATES)
    postgresql_database.execute(
        f"INSERT INTO t SELECT {value}, n::text, 1 FROM generate_series(200001, 201000) AS s(n)"
    )
    found = mirror.found(estimated_rows=ROWS)
    assert found.keys.num_rows == 0
    assert mirror.rows_of("keys of unexplained", "target") == 0
    assert found.pulled_keys < 3000


def test_very_many_deletions_everywhere_are_found_in_leaves(
    postgresql_database: PostgreSQLDatabase, folder: Path
) -> None:
    mirror = Mirror.of(postgresql_database, folder, Column("k", "bigint NOT NULL", "BIGINT"))
    mirror.create_many(ROWS, key="n::bigint * 1000003")
    postgresql_database.execute(UPDATES)
    postgresql_database.execute("DELETE FROM t WHERE label::int % 250 = 3")
    found = mirror.found(estimated_rows=ROWS)
    assert found.keys.num_rows == 800
    assert mirror.rows_of("leaves", "target") > 0
    assert found.pulled_keys < 30_000


def test_a_narrow_part_of_a_wide_range_is_divided_again(postgresql_database: PostgreSQLDatabase, folder: Path) -> None:
    mirror = Mirror.of(postgresql_database, folder, BIGINT)
    mirror.create_many(50_000, key="CASE n WHEN 1 THEN 4000000000000000000 ELSE n END")
    postgresql_database.execute("DELETE FROM t WHERE label IN ('300', '40000')")
    found = mirror.found(estimated_rows=50_000)
    assert found.keys.sort_by("k").to_pylist() == [{"k": 300}, {"k": 40_000}]
    assert found.pulled_keys < 30_000
