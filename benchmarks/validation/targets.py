"""The targets that are validated: copies of the source's lineitem in DuckDB files, with differences that are known."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import duckdb
from psycopg2.extensions import connection as Connection  # noqa: N812

from benchmarks.server import DATABASE, TABLES, Source

TABLE = TABLES["lineitem"]
SCHEMA = "PUBLIC"
TEXT_VIEW = "lineitem_text"
"""On both sides a view of the table with its dates as text, for peers that can't compare dates."""

SYSTEMATIC_ROWS = 12_000

Kind = Literal["missing", "extra", "changed", "duplicated"]
State = Literal["equal", "scattered", "systematic"]

STATES: dict[State, str] = {
    "equal": "the same rows",
    "scattered": "100 rows differ, scattered over the table",
    "systematic": f"{SYSTEMATIC_ROWS:,} rows, scattered over the table, have a space more at the end of l_comment",
}


class Key(NamedTuple):
    """The primary key of lineitem."""

    order: int
    line: int


@dataclass(frozen=True)
class Difference:
    """One row that was made to differ.

    Attributes:
        columns: of a changed row, those that were changed.
        what: in words, for what is missed.
    """

    key: Key
    kind: Kind
    columns: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class Target:
    """A target as the embedded warehouse has it.

    Attributes:
        directory: the folder of the database file.
        differences: all rows that differ from the source's.
    """

    state: State
    directory: Path
    differences: tuple[Difference, ...] = ()

    @property
    def file(self) -> Path:
        """The database file."""
        return self.directory / f"{DATABASE}.duckdb"


_EACH = 10
"""Rows of each kind of difference in the scattered state."""

# What, the column, and what becomes of its value.
_CHANGES = (
    ("a space at the end of a text", "l_comment", "l_comment || ' '"),
    ("a text without its last character", "l_comment", "left(l_comment, -1)"),
    ("a text in upper case", "l_comment", "upper(l_comment)"),
    ("a cent more", "l_extendedprice", "l_extendedprice + 0.01"),
    ("a number with the other sign", "l_quantity", "-l_quantity"),
    ("a date a day later", "l_shipdate", "l_shipdate + 1"),
)
_SWAPPED, _MISSING, _DUPLICATED, _EXTRA = (
    "a value swapped with another row's",
    "a row missing",
    "a row twice",
    "a row too many",
)

_NAME = f'"{SCHEMA}".{TABLE.name}'
_VIEW_NAME = f'"{SCHEMA}".{TEXT_VIEW}'
_KEY = ", ".join(TABLE.key)
# Of every 32 order keys TPC-H uses the first eight.
_UNUSED_KEY = "l_orderkey + 8"


def make_targets(source: Source, folder: Path) -> dict[State, Target]:
    """Makes a target of each state in `folder`, and the view of the source."""
    equal = Target("equal", folder / "equal")
    equal.directory.mkdir(parents=True)
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE VIEW {TEXT_VIEW} AS SELECT {_texts('text')} FROM {TABLE.name}")
        _load(connection, equal.file, folder / "lineitem.csv")
    found = {equal.state: equal}
    changes: dict[State, Callable[[duckdb.DuckDBPyConnection], list[Difference]]] = {
        "scattered": _scatter,
        "systematic": _add_spaces,
    }
    for state, change in changes.items():
        target = replace(equal, state=state, directory=folder / state)
        target.directory.mkdir()
        shutil.copyfile(equal.file, target.file)
        with duckdb.connect(target.file) as database:
            differences = change(database)
        found[target.state] = replace(target, differences=tuple(differences))
    return found


def _load(connection: Connection, file: Path, csv: Path) -> None:
    # As a migration leaves it: char(n) without its padding.
    columns = ", ".join(f"{name}::text" if kind.startswith("char") else name for name, kind in TABLE.columns.items())
    declared = ", ".join(f"{name} {kind} NOT NULL" for name, kind in TABLE.columns.items())
    with csv.open("wb") as output, connection.cursor() as cursor:
        cursor.copy_expert(f"COPY (SELECT {columns} FROM {TABLE.name}) TO STDOUT (FORMAT csv)", output)
    with duckdb.connect(file) as database:
        database.execute(f'CREATE SCHEMA "{SCHEMA}"')
        database.execute(f"CREATE TABLE {_NAME} ({declared})")
        database.execute(f"COPY {_NAME} FROM '{csv}' (HEADER false)")
        database.execute(f"CREATE VIEW {_VIEW_NAME} AS SELECT {_texts('varchar')} FROM {_NAME}")
    csv.unlink()


def _texts(kind: str) -> str:
    return ", ".join(
        f"{name}::{kind} AS {name}" if declared == "date" else name for name, declared in TABLE.columns.items()
    )


def _scatter(database: duckdb.DuckDBPyConnection) -> list[Difference]:
    """The 100 differences."""
    _pick(database, _EACH * (len(_CHANGES) + 4))
    found: list[Difference] = []
    for place, (what, column, value) in enumerate(_CHANGES):
        keys = _picked(database, place)
        database.execute(f"UPDATE {_NAME} SET {column} = {value} WHERE {_of_picked(place)}")
        found += [Difference(key, "changed", (column,), what) for key in keys]
    place = len(_CHANGES)
    found += _swap(database, _picked(database, place))
    of_rows: tuple[tuple[str, Kind, str], ...] = (
        (_MISSING, "missing", f"DELETE FROM {_NAME} WHERE {{rows}}"),
        (_DUPLICATED, "duplicated", f"INSERT INTO {_NAME} SELECT * FROM {_NAME} WHERE {{rows}}"),
        (
            _EXTRA,
            "extra",
            f"INSERT INTO {_NAME} SELECT * REPLACE ({_UNUSED_KEY} AS l_orderkey) FROM {_NAME} WHERE {{rows}}",
        ),
    )
    for what, kind, statement in of_rows:
        place += 1
        keys = _picked(database, place)
        database.execute(statement.format(rows=_of_picked(place)))
        if kind == "extra":
            keys = [Key(key.order + 8, key.line) for key in keys]
            assert all(_count(database, key) == 1 for key in keys), "an order key that should be unused is not"
        found += [Difference(key, kind, (), what) for key in keys]
    assert len({difference.key for difference in found}) == len(found)
    return found


def _add_spaces(database: duckdb.DuckDBPyConnection) -> list[Difference]:
    """The systematic difference."""
    _pick(database, SYSTEMATIC_ROWS)
    keys = [Key(*row) for row in database.execute(f"SELECT {_KEY} FROM picked").fetchall()]
    assert len(keys) == SYSTEMATIC_ROWS, "the table is too small"
    what, column, value = _CHANGES[0]
    database.execute(f"UPDATE {_NAME} SET {column} = {value} WHERE ({_KEY}) IN (SELECT ({_KEY}) FROM picked)")
    return [Difference(key, "changed", (column,), what) for key in keys]


def _pick(database: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Chooses rows all over the table, the same in every run, that every change can change."""
    database.execute(
        f"CREATE TEMP TABLE picked AS SELECT {_KEY}, row_number() OVER () - 1 AS place FROM ("
        f"SELECT {_KEY} FROM {_NAME} WHERE length(l_comment) > 1 AND upper(l_comment) <> l_comment "
        f"ORDER BY md5(concat_ws(':', {_KEY})), {_KEY} LIMIT {rows})"
    )


def _of_picked(place: int) -> str:
    return f"({_KEY}) IN (SELECT ({_KEY}) FROM picked WHERE place // {_EACH} = {place})"


def _picked(database: duckdb.DuckDBPyConnection, place: int) -> list[Key]:
    rows = database.execute(f"SELECT {_KEY} FROM picked WHERE place // {_EACH} = {place} ORDER BY place").fetchall()
    return [Key(*row) for row in rows]


def _swap(database: duckdb.DuckDBPyConnection, keys: Sequence[Key]) -> list[Difference]:
    """Gives each of two rows the other's l_partkey, which no sum of the column shows."""
    column = "l_partkey"
    for pair in zip(keys[::2], keys[1::2], strict=True):
        values = [
            database.execute(f"SELECT {column} FROM {_NAME} WHERE ({_KEY}) = (?, ?)", list(key)).fetchall()[0][0]
            for key in pair
        ]
        assert values[0] != values[1], "the same value in both rows"
        for key, value in zip(pair, reversed(values), strict=True):
            database.execute(f"UPDATE {_NAME} SET {column} = ? WHERE ({_KEY}) = (?, ?)", [value, *key])
    return [Difference(key, "changed", (column,), _SWAPPED) for key in keys]


def _count(database: duckdb.DuckDBPyConnection, key: Key) -> int:
    return int(database.execute(f"SELECT count(*) FROM {_NAME} WHERE ({_KEY}) = (?, ?)", list(key)).fetchall()[0][0])
