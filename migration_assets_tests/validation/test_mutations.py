"""Every single-cell change of a table with every type is found, named and explained; equal tables raise no alarm."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.postgresql_server import PostgreSQLServer
from migration_assets.platforms.duckdb.canonical import DuckDBSQL
from migration_assets_tests.conftest import fresh_database
from migration_assets_tests.servers import PostgreSQLDatabase
from migration_assets_tests.validation.pairs import COLUMNS, Pair

UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{:02x}"


def row(number: int, *, null: bool = False) -> list[object]:
    """A row with a value of its own in every column; with `null`, NULL everywhere but in the key."""
    if null:
        return [number, *(None for _ in COLUMNS[1:])]
    return [
        number,
        number % 2 == 0,
        number,
        -number * 1000,
        number * 10**15,
        f"{number}.25",
        f"{number}{'7' * 30}",
        f"0.{'0' * 30}{number:08d}",
        number + 0.5,
        number / 3,
        f"żółw {number} | \\N é",
        f"code {number}",
        f"p{number}",
        bytes([number % 256, 0, 255]),
        f"20{number % 100:02d}-02-03",
        f"01:02:03.{number:06d}",
        f"2020-01-01 00:00:00.{number:06d}",
        f"2020-06-01 12:00:00.{number:06d}+00",
        UUID.format(number % 256),
        f'{{"a": {number}}}',
    ]


ROWS = [*(row(number) for number in range(1, 11)), row(11, null=True)]


@dataclass(frozen=True)
class Mutation:
    """A change of one cell of row 5 in the target, and what is to be said of it."""

    column: str
    value: str
    cause: str
    row: int = 5

    def __str__(self) -> str:
        return f"{self.column}: {self.cause}: {self.value}"[:60]


MUTATIONS = [
    Mutation("flag", "NOT flag", "other value"),
    Mutation("small", "small + 1", "other value"),
    Mutation("int_", "-int_", "sign"),
    Mutation("big", "big + 100000000000000", "other value"),
    Mutation("price", "price + 0.01", "other value"),
    Mutation("price", "round(price, 1)", "digits after the point"),
    Mutation("wide", "wide + 1", "other value"),
    Mutation("tiny", f"tiny + 0.{'0' * 37}1", "other value"),
    Mutation("single", "CAST(5.5000005 AS FLOAT)", "floating-point rounding"),
    Mutation("ratio", "1.6666666666666665", "floating-point rounding"),  # 1 ulp below 5 / 3
    Mutation("note", "note || ' '", "trailing spaces"),
    Mutation("note", "upper(note)", "upper and lower case"),
    Mutation("note", f"replace(note, 'é', '{unicodedata.normalize('NFD', 'é')}')", "Unicode normalization form"),
    Mutation("note", "replace(note, 'ż', '\ufffd')", "replaced characters"),
    Mutation("note", "replace(note, 'ż', '?')", "replaced characters"),
    Mutation("note", "left(note, 6)", "cut off"),
    Mutation("note", "''", "other value"),
    Mutation("note", "NULL", "NULL against a value"),
    Mutation("note", "''", "empty text against NULL", row=11),
    Mutation("code", "replace(code, ' ', chr(160))", "leading or inner white space"),
    Mutation("padded", "padded || ' '", "trailing spaces"),
    Mutation("blob", r"'\x05\x00\xFE'::BLOB", "other value"),
    Mutation("blob", "''::BLOB", "empty text against NULL", row=11),
    Mutation("day", "day + 1", "other value"),
    Mutation("moment", "moment + INTERVAL 1 MICROSECOND", "other value"),
    Mutation("moment", "'01:02:03'", "precision of fractional seconds"),
    Mutation("stamp", "stamp + INTERVAL 1 MICROSECOND", "other value"),
    Mutation("stamp", "date_trunc('millisecond', stamp)", "precision of fractional seconds"),
    Mutation("stamp", "stamp + INTERVAL 2 HOUR", "time zone"),
    Mutation("instant", "instant - INTERVAL 5 HOUR", "time zone"),
    Mutation("token", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380aff'", "other value"),
    Mutation("doc", """'{"a": 6}'""", "other value"),
    *(Mutation(column.name, "NULL", "NULL against a value") for column in COLUMNS[1:]),
]


@pytest.fixture(scope="module")
def pair(postgresql_server: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with fresh_database(postgresql_server) as database:
        pair = Pair(database, tmp_path_factory.mktemp("lake"))
        pair.create(ROWS)
        pair.change_target("CREATE TABLE original AS FROM t")
        yield pair


@pytest.fixture(autouse=True)
def whole(pair: Pair) -> Iterator[None]:
    yield
    pair.change_target("DELETE FROM t", "INSERT INTO t FROM original")


def test_the_tables_are_equal_before(pair: Pair) -> None:
    result = pair.validate()
    assert result.verdict == "pass", result.levels
    assert set(result.coverage.compared) == {column.name for column in COLUMNS}
    assert not result.coverage.skipped


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_changed_cell_is_found_and_explained(pair: Pair, mutation: Mutation) -> None:
    pair.change_target(f"UPDATE t SET {mutation.column} = {mutation.value} WHERE id = {mutation.row}")
    result = pair.validate()
    assert result.verdict == "fail"
    (found,) = result.rows
    assert (found.kind, found.key, found.columns) == ("changed", {"id": str(mutation.row)}, (mutation.column,))
    (cell,) = result.cells
    assert (cell.column, cell.cause.value) == (mutation.column, mutation.cause)
    (cause,) = result.causes
    assert (cause.column, cause.cells, cause.of) == (mutation.column, 1, 1)


@pytest.mark.parametrize("column", [column.name for column in COLUMNS[1:]])
def test_values_that_changed_places_between_two_rows_are_found(pair: Pair, column: str) -> None:
    pair.change_target(
        f"UPDATE t SET {column} = (SELECT o.{column} FROM original o WHERE o.id = 3 + 4 - t.id) WHERE id IN (3, 4)"
    )
    result = pair.validate()
    assert result.verdict == "fail"
    assert [(found.key["id"], found.columns) for found in result.rows] == [("3", (column,)), ("4", (column,))]


def test_a_missing_row_is_found(pair: Pair) -> None:
    pair.change_target("DELETE FROM t WHERE id = 7")
    (found,) = pair.validate().rows
    assert (found.kind, found.key, found.source_rows, found.target_rows) == ("missing", {"id": "7"}, 1, 0)


def test_an_extra_row_is_found(pair: Pair) -> None:
    pair.change_target("INSERT INTO t SELECT * REPLACE (70 AS id) FROM original WHERE id = 7")
    (found,) = pair.validate().rows
    assert (found.kind, found.key) == ("extra", {"id": "70"})


def test_a_row_that_is_there_twice_is_found(pair: Pair) -> None:
    pair.change_target("INSERT INTO t FROM original WHERE id = 7")
    (found,) = pair.validate().rows
    assert (found.kind, found.key, found.source_rows, found.target_rows) == ("duplicated", {"id": "7"}, 1, 2)


def test_a_row_loaded_two_extra_times_does_not_cancel_out(pair: Pair) -> None:
    pair.change_target("INSERT INTO t FROM original WHERE id = 7", "INSERT INTO t FROM original WHERE id = 7")
    (found,) = pair.validate().rows
    assert (found.source_rows, found.target_rows) == (1, 3)


def test_json_of_another_text_and_the_same_meaning_is_no_difference(pair: Pair) -> None:
    pair.change_target("""UPDATE t SET doc = '{ "a" : 5.0 }' WHERE id = 5""")
    result = pair.validate()
    assert result.verdict == "pass", result.levels
    assert not result.rows


@pytest.mark.parametrize("key", [None, "id"])
def test_json_that_a_platform_writes_its_own_way_is_hashed_by_the_worker(
    postgresql_database: PostgreSQLDatabase, tmp_path: Path, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stub of what Snowflake's VARIANT does: DuckDB is said to rewrite JSON, and every text is another one."""
    monkeypatch.setattr(DuckDBSQL, "keeps_json_text", False)
    pair = Pair(postgresql_database, tmp_path / "lake")
    pair.create(ROWS, key=key)
    pair.change_target("UPDATE t SET doc = replace(doc, ': ', ' :  ')")
    result = pair.validate()
    assert result.verdict == "pass", result.levels
    assert [one.fingerprint for one in result.evidence if "worker" in one.step].count(None) == 0
    pair.change_target(
        """UPDATE t SET doc = '{"a": 50}' WHERE id = 5""",
        "UPDATE t SET big = 0 WHERE id IN (5, 6)",
        "DELETE FROM t WHERE id = 7",
    )
    result = pair.validate()
    assert result.verdict == "fail"
    found = {(row.kind.value, row.key["id"]): set(row.columns) for row in result.rows}
    if key:
        assert found == {("changed", "5"): {"big", "doc"}, ("changed", "6"): {"big"}, ("missing", "7"): set()}
    else:
        assert found[("changed", "6")] == {"big"}
        assert ("missing", "7") in found


@pytest.mark.parametrize("key", [None, "id"])
def test_a_table_without_a_key_is_compared_as_a_multiset(
    postgresql_database: PostgreSQLDatabase, tmp_path: Path, key: str | None
) -> None:
    pair = Pair(postgresql_database, tmp_path / "lake")
    pair.create([*ROWS, ROWS[0], ROWS[0]] if key is None else ROWS, key=key)
    assert pair.validate().verdict == "pass"
    pair.change_target("UPDATE t SET note = note || ' ' WHERE id = 5")
    result = pair.validate()
    assert result.verdict == "fail"
    (found,) = result.rows
    assert (found.kind, found.columns) == ("changed", ("note",))
    assert found.key["id"] == "5"


def random_rows(generator: random.Random) -> list[list[object]]:
    """Rows of every type: NULLs, bars, backslashes, emoji, subnormals, extremes."""
    texts = ["", " ", "|", "\\", "\\N", "\\p", "a|b", "é", "e\u0301", "🐢" * 3, "x" * 1001, "null", "NaN", "\n"]
    floats = [0.0, -0.0, 5e-324, 1.7976931348623157e308, float("nan"), float("inf"), 0.1, 1e-290, 2.0**1023]

    def maybe(value: object) -> object:
        return None if generator.random() < 0.15 else value

    rows: list[list[object]] = []
    for number in range(generator.randint(0, 12)):
        double = generator.choice([generator.choice(floats), generator.uniform(-1e9, 1e9)])
        single = generator.choice([0.1, 1e-45, 3.4028234663852886e38, -1.5, float("nan")])
        texts_of_row = [generator.choice(texts) for _ in range(3)]
        rows.append(
            [
                number,
                maybe(generator.random() < 0.5),
                maybe(generator.randint(-(2**15), 2**15 - 1)),
                maybe(generator.randint(-(2**31), 2**31 - 1)),
                maybe(generator.randint(-(2**63), 2**63 - 1)),
                maybe(f"{generator.randint(-(10**10) + 1, 10**10 - 1) / 100:.2f}"),
                maybe(str(generator.randint(-(10**38) + 1, 10**38 - 1))),
                maybe(f"{generator.choice('- ').strip()}0.{generator.randint(0, 10**38 - 1):038d}"),
                maybe(single),
                maybe(double),
                maybe(texts_of_row[0] + texts_of_row[1]),
                maybe(texts_of_row[2][:20]),
                maybe(texts_of_row[1][:10].rstrip(" ")),
                maybe(generator.randbytes(generator.choice([0, 1, 16, 501]))),
                maybe(
                    f"{generator.randint(1, 9999):04d}-{generator.randint(1, 12):02d}-{generator.randint(1, 28):02d}"
                ),
                maybe(f"{generator.randint(0, 23):02d}:00:59.{generator.randint(0, 999999):06d}"),
                maybe(f"{generator.randint(1, 9999):04d}-01-02 03:04:05.{generator.randint(0, 999999):06d}"),
                maybe(f"{generator.randint(1, 9998):04d}-01-02 03:04:05.{generator.randint(0, 999999):06d}+05:30"),
                maybe(UUID.format(generator.randint(0, 255))),
                maybe('{"a": [1, null, "ü"]}'),
            ]
        )
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_random_equal_tables_have_one_fingerprint_everywhere(
    postgresql_database: PostgreSQLDatabase, tmp_path: Path, seed: int
) -> None:
    pair = Pair(postgresql_database, tmp_path / "lake")
    for number in range(5):
        pair.create(random_rows(random.Random(f"{seed}/{number}")))
        result = pair.validate()
        assert result.verdict == "pass", (seed, number, result.levels, result.cells)
        assert len(set(pair.fingerprints().values())) == 1, (seed, number, pair.fingerprints())


@pytest.mark.slow
def test_a_thousand_random_equal_tables_have_one_fingerprint_everywhere(
    postgresql_database: PostgreSQLDatabase, tmp_path: Path
) -> None:
    pair = Pair(postgresql_database, tmp_path / "lake")
    for number in range(1000):
        pair.create(random_rows(random.Random(number)))
        result = pair.validate()
        assert result.verdict == "pass", (number, result.levels, result.cells)
        assert len(set(pair.fingerprints().values())) == 1, (number, pair.fingerprints())
