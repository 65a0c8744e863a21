"""`make bench-synchronization`: a table that is loaded already is kept in step, beside dlt and beside the bare scan.

    python -m benchmarks.synchronization --scale-factor 1

The table is TPC-H's lineitem with a `version` that grows with every change, in an embedded PostgreSQL. Everybody loads
it once, which is not measured here; then come turns with nothing new, and with changes. The document
docs/synchronization-benchmarks.md is written anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import duckdb

from benchmarks.documents import FOLDER
from benchmarks.homes import SCHEMA, new_home, write_workflow
from benchmarks.machine import commit, this_machine
from benchmarks.measure import Measurement, measure
from benchmarks.server import DATABASE, TABLES, Source, open_source, warm

_PROJECT = Path(__file__).resolve().parents[2]
_HOME = _PROJECT / ".migration" / "benchmark"
_ROWS_PER_RANGE = 60_000
_CHANGED_ROWS = 60_000
_DELETED_ROWS = 50

_COLUMNS = ", ".join(TABLES["lineitem"].columns)
_CREATE = f"""
CREATE TABLE kept AS SELECT {_COLUMNS}, row_number() OVER () AS version FROM lineitem;
ALTER TABLE kept ADD PRIMARY KEY (l_orderkey, l_linenumber), ALTER version SET NOT NULL;
CREATE INDEX kept_version ON kept (version);
CREATE SEQUENCE kept_versions;
SELECT setval('kept_versions', (SELECT max(version) FROM kept));
"""
_TEXTS = ", ".join(rf"coalesce({name}::text, '\N')" for name in (*TABLES["lineitem"].columns, "version"))
_CHECKSUM = f"SELECT count(*), sum(('x' || substr(md5(concat_ws('|', {_TEXTS})), 18, 15))::bit(60)::bigint) FROM kept"
# One row in each of a hundredth of the ranges: every hundredth range of order keys.
_SCATTER = """
UPDATE kept SET l_quantity = l_quantity + 1, version = nextval('kept_versions')
WHERE (l_orderkey, l_linenumber) IN (
    SELECT l_orderkey, l_linenumber FROM kept WHERE version % 600000 = 1 LIMIT greatest(1, {ranges})
)
"""
_CHANGE = f"""
UPDATE kept SET l_quantity = l_quantity + 1, version = nextval('kept_versions')
WHERE (l_orderkey, l_linenumber) IN (
    SELECT l_orderkey, l_linenumber FROM kept TABLESAMPLE SYSTEM (2) LIMIT {_CHANGED_ROWS}
)
"""
_DELETE = f"""
DELETE FROM kept WHERE (l_orderkey, l_linenumber) IN (
    SELECT l_orderkey, l_linenumber FROM kept TABLESAMPLE SYSTEM (1) LIMIT {_DELETED_ROWS}
)
"""

_WATERMARK = {"strategy": "watermark", "watermarkColumn": "version", "trackModifications": True}
_KEY = ["l_orderkey", "l_linenumber"]


@dataclass(frozen=True)
class Follower:
    """Somebody who keeps the table in step.

    Attributes:
        command: one run of it, in a folder of its own.
        is_ours: whether its figures of moved rows are in a ledger.
    """

    name: str
    description: str
    command: Callable[[Path], list[str]]
    is_ours: bool = True


@dataclass(frozen=True)
class Turn:
    """One measured run."""

    state: str
    follower: str
    run: Measurement
    moved: str

    def line(self) -> str:
        """A row of the document's table."""
        run = self.run
        server = f"{run.server_cpu:.1f}" if run.server_cpu is not None else ""
        figures = f"{run.wall:.2f} | {run.client_cpu:.1f} / {server} | {run.memory / 1e6:.0f} | {self.moved}"
        return f"| {self.state} | {self.follower} | {figures} |"


@click.command(help=__doc__.split("\n")[0] if __doc__ else None)
@click.option("--scale-factor", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True)
@click.option("--no-report", is_flag=True, help="Print only.")
def main(scale_factor: float, no_report: bool) -> None:
    """Measures, prints, and writes the document."""
    scale = f"{scale_factor:g}"
    with (
        open_source(_HOME / f"server-sf{scale}", scale) as source,
        TemporaryDirectory(dir=_HOME, prefix="run-") as scratch,
    ):
        _execute(source, "DROP TABLE IF EXISTS kept; DROP SEQUENCE IF EXISTS kept_versions;" + _CREATE)
        _execute(source, "VACUUM ANALYZE kept")
        rows, size = warm(source, ["kept"])["kept"]
        turns = []
        for turn in _turns(source, Path(scratch), rows):
            print(turn.line(), file=sys.stderr, flush=True)
            turns.append(turn)
    lines = list(_document(turns, scale, rows, size))
    print("\n".join(lines))
    if not no_report:
        (FOLDER / "synchronization-benchmarks.md").write_text("\n".join(lines) + "\n")


def _turns(source: Source, scratch: Path, rows: int) -> Iterator[Turn]:
    followers = _followers()
    for follower in followers:
        folder = scratch / follower.name
        yield _turn("first load", follower, folder, source)
    bare = _measured(source, scratch, [sys.executable, "-m", "benchmarks.synchronization.bare", _CHECKSUM])
    yield Turn("nothing new", "one checksum over the source alone", bare, "")
    for follower in followers:
        yield _turn("nothing new", follower, scratch / follower.name, source)
    _execute(source, _SCATTER.format(ranges=rows // _ROWS_PER_RANGE // 100))
    for follower in followers:
        yield _turn("a row in 1 % of the ranges", follower, scratch / follower.name, source)
    _execute(source, _CHANGE)
    _execute(source, _DELETE)
    for follower in followers:
        yield _turn(
            f"{_CHANGED_ROWS:,} rows changed, {_DELETED_ROWS} deleted", follower, scratch / follower.name, source
        )


def _followers() -> Sequence[Follower]:
    by_key = {"columnNamesToPartitionBy": ["l_orderkey"], "partitionSize": {"maxRowsPerPartition": _ROWS_PER_RANGE}}
    merge: dict[str, object] = {"synchronization": _WATERMARK, "primaryKeyColumns": _KEY}
    deletions = {**merge, "synchronization": {**_WATERMARK, "trackDeletions": True}}
    dlt = _HOME / "environments" / "arrow" / "bin" / "python"
    ours = [
        Follower("checksum", "this program: checksum", _ours({"synchronization": {"strategy": "checksum"}, **by_key})),
        Follower("merge", "this program: watermark, trackModifications", _ours(merge)),
        Follower("deletions", "this program: the same, trackDeletions", _ours(deletions)),
    ]
    if not dlt.exists():
        print("dlt's environment is missing: `make bench` makes it", file=sys.stderr)
        return ours
    command = [str(dlt), "-m", "benchmarks.peers.dlt_merge", "kept", "version"]
    return [
        *ours,
        Follower("dlt", "dlt: incremental, merge, PyArrow", lambda home: [*command, str(home)], is_ours=False),
    ]


def _ours(keys: dict[str, object]) -> Callable[[Path], list[str]]:
    def command(home: Path) -> list[str]:
        file = write_workflow(home / "kept.json", DATABASE, ["kept"], **keys)
        return [sys.executable, "-m", "migration_assets.cli", "run", str(file), "--json"]

    return command


def _turn(state: str, follower: Follower, folder: Path, source: Source) -> Turn:
    home = new_home(folder)
    run = _measured(source, folder, follower.command(folder), home if follower.is_ours else {})
    if run.exit_code:
        raise click.ClickException(f"{follower.name}, {state}: {run.errors[-2000:]}{run.output[-2000:]}")
    moved = _moved(run) if follower.is_ours else ""
    if follower.name in ("checksum", "deletions"):
        _require_equal(source, folder)
    return Turn(state, follower.description, run, moved)


def _moved(run: Measurement) -> str:
    (table,) = json.loads(run.output)["workflows"][0]["tables"]
    told = f"{table['rows']:,} rows"
    if table["partitions_unchanged"]:
        told += f", {table['partitions'] - table['partitions_unchanged']} of {table['partitions']} ranges"
    if table["synchronization"]["keys_deleted"]:
        told += f", {table['synchronization']['keys_deleted']} deleted"
    return told


def _require_equal(source: Source, home: Path) -> None:
    """Count and sums of the target are those of the source; the runs' own fingerprints prove what moved."""
    sums = "count(*), sum(version), sum(l_quantity), sum(l_extendedprice)"
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {sums} FROM kept")
        wanted = cursor.fetchone()
    file = home / "warehouse" / f"{DATABASE}.duckdb"
    with closing(duckdb.connect(str(file), read_only=True)) as database:
        found = database.execute(f'SELECT {sums} FROM "{SCHEMA}".kept').fetchone()
    if wanted is None or found is None or [int(x) for x in wanted] != [int(x) for x in found]:
        raise click.ClickException(f"the target differs: {found} instead of {wanted}")


def _measured(source: Source, folder: Path, command: list[str], home: dict[str, str] | None = None) -> Measurement:
    folder.mkdir(exist_ok=True)
    return measure(command, {**source.environment, **(home or {})}, folder, postmaster=source.postmaster)


def _execute(source: Source, statement: str) -> None:
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _document(turns: Sequence[Turn], scale: str, rows: int, size: int) -> Iterator[str]:
    machine = this_machine()
    walls = {(turn.state, turn.follower): turn.run for turn in turns}
    bare = walls["nothing new", "one checksum over the source alone"]
    checked = walls["nothing new", "this program: checksum"]
    yield "# Synchronization benchmarks"
    yield ""
    yield "Written by `make bench-synchronization`. TPC-H's lineitem, with a `version` that grows with every change, is"
    yield "in an embedded PostgreSQL and is kept in step in files of DuckDB, on one machine, each turn once, as a new"
    yield "process. Seconds of wall are those of the whole process, imports included. dlt finds no deletions."
    yield ""
    yield f"## Scale factor {scale}"
    yield ""
    today = datetime.now(timezone.utc).date().isoformat()
    yield f"{today}, commit {commit(_PROJECT)}. {machine.cpu}, {machine.cores} cores, {machine.system}."
    yield f"{rows:,} rows, {size / 1e6:,.0f} MB in the source."
    yield ""
    yield "| what is new | who | wall s | CPU client / server s | memory MB | moved |"
    yield "|---|---|--:|--:|--:|---|"
    for turn in turns:
        yield turn.line()
    yield ""
    if bare.server_cpu and checked.server_cpu:
        yield (
            f"- Unchanged rows by checksum cost the source {checked.server_cpu / bare.server_cpu:.2f} times the CPU "
            f"of one checksum over all rows, and {checked.wall / bare.wall:.2f} times its wall."
        )


if __name__ == "__main__":
    main()
