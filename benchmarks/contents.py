"""Whether what a contestant has written is what the source holds: counts and sums of hashes, in any order of rows.

The reference comes from the source by another way than any contestant's: COPY as CSV, read with the declared types.
Values are hashed after a cast to the declared type, and the types that they came in are told beside.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from benchmarks.server import Source, Table

_KINDS = {"bigint": "integers", "integer": "integers", "numeric": "decimals", "date": "dates"}


@dataclass(frozen=True)
class Fingerprint:
    """What is compared of a table.

    Attributes:
        exact: the sum of the hashes of all rows.
        trimmed: the same without the padding of char(n).
        columns: the sum of the hashes of each column's values, without padding.
    """

    rows: int
    exact: int
    trimmed: int
    columns: dict[str, int]


def reference(source: Source, table: Table, folder: Path) -> Fingerprint:
    """The fingerprint of a table in the source; kept in `folder`, because the tables stay as they were loaded."""
    kept = folder / f"reference-{table.name}-duckdb-{duckdb.__version__}.json"
    if kept.exists():
        return Fingerprint(**json.loads(kept.read_text()))
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".csv") as file:
        with source.connect() as connection, connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table.name} TO STDOUT (FORMAT csv, HEADER)", file)
        file.flush()
        columns = ", ".join(f"'{name}': '{_declared(kind)}'" for name, kind in table.columns.items())
        with duckdb.connect() as database:
            rows = f"read_csv('{file.name}', header = true, auto_detect = false, columns = {{{columns}}})"
            found = _fingerprint(database, rows, table, {name: name for name in table.columns})
    kept.write_text(json.dumps(asdict(found)))
    return found


def reference_of_file(file: Path, table: Table) -> Fingerprint:
    """The fingerprint of a Parquet file that holds the rows as they were generated."""
    with duckdb.connect() as database:
        return _fingerprint(database, f"read_parquet('{file}')", table, {name: name for name in table.columns})


def compare_parquet(files: Sequence[Path], table: Table, wanted: Fingerprint) -> str:
    """The verdict on Parquet files."""
    if not files:
        return "DIFFERENT: no files"
    with duckdb.connect() as database:
        names = ", ".join(f"'{file}'" for file in files)
        # Folder names such as g1/p=1 are not columns.
        return _compare(database, f"read_parquet([{names}], hive_partitioning = false)", table, wanted)


def compare_database(file: Path, table: Table, wanted: Fingerprint) -> str:
    """The verdict on the table of that name, in any spelling, in a DuckDB file."""
    with duckdb.connect() as database:
        database.execute(f"ATTACH '{file}' AS written (READ_ONLY)")
        places = database.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() "
            "WHERE database_name = 'written' AND lower(table_name) = ?",
            [table.name],
        ).fetchall()
        if len(places) != 1:
            return f"DIFFERENT: {len(places)} tables of that name"
        ((schema, name),) = places
        return _compare(database, f'written."{schema}"."{name}"', table, wanted)


def is_different(verdict: str) -> bool:
    """Whether a verdict says that values differ."""
    return verdict.startswith("DIFFERENT")


def _compare(database: duckdb.DuckDBPyConnection, rows: str, table: Table, wanted: Fingerprint) -> str:
    came = {
        str(name).lower(): (str(name), str(kind))
        for name, kind in database.execute(
            f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {rows})"
        ).fetchall()
    }
    missing = [name for name in table.columns if name not in came]
    if missing:
        return f"DIFFERENT: without {', '.join(missing)}"
    found = _fingerprint(database, rows, table, {name: came[name][0] for name in table.columns})
    if found.rows != wanted.rows:
        return f"DIFFERENT: {found.rows:,} rows of {wanted.rows:,}"
    others = _other_types((declared, came[name][1]) for name, declared in table.columns.items())
    more = (
        [f"more columns: {', '.join(sorted(came.keys() - table.columns.keys()))}"]
        if len(came) > len(table.columns)
        else []
    )
    if found.exact == wanted.exact:
        return "; ".join(["values equal" if others else "exact", *others, *more])
    if found.trimmed == wanted.trimmed:
        return "; ".join(["values equal", "char(n) without padding", *others, *more])
    columns = [name for name in table.columns if found.columns[name] != wanted.columns[name]]
    where = f"in {', '.join(columns)}" if columns else "values of one row stand in another"
    return "; ".join([f"DIFFERENT: {where}", *others])


def _other_types(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """In words, the types that are not the declared ones: "decimals as DOUBLE"."""
    found = {
        f"{_KINDS.get(_base(declared), 'texts')} as {came}" for declared, came in pairs if came != _declared(declared)
    }
    return sorted(found)


def _fingerprint(database: duckdb.DuckDBPyConnection, rows: str, table: Table, names: dict[str, str]) -> Fingerprint:
    """The fingerprint of a relation.

    Args:
        rows: the relation, in SQL.
        names: what it calls each column of the table.
    """
    # What can't be cast becomes NULL, which no column of the source holds, so it shows.
    exact = {name: f'TRY_CAST("{names[name]}" AS {_declared(kind)})' for name, kind in table.columns.items()}
    trimmed = {
        name: f"rtrim({value}, ' ')" if _base(table.columns[name]) == "char" else value for name, value in exact.items()
    }
    sums = [f"sum(hash({value}))" for value in trimmed.values()]
    found = database.execute(
        f"SELECT count(*), sum(hash({', '.join(exact.values())})), sum(hash({', '.join(trimmed.values())})), "
        f"{', '.join(sums)} FROM {rows}"
    ).fetchone()
    assert found is not None
    count, *hashes = (int(value or 0) for value in found)
    return Fingerprint(count, hashes[0], hashes[1], dict(zip(table.columns, hashes[2:], strict=True)))


def _base(declared: str) -> str:
    return re.split(r"\W", declared)[0]


def _declared(declared: str) -> str:
    """DuckDB's type for a declared one."""
    if _base(declared) in ("char", "varchar"):
        return "VARCHAR"
    return declared.replace("numeric", "DECIMAL").upper()
