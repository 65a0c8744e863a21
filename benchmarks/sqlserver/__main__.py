"""`make bench-sqlserver`: lineitem from SQL Server to Parquet files, beside peers, into docs/sqlserver-benchmarks.md.

    python -m benchmarks.sqlserver --rows 1000000 --rounds 3

The server is the one that `SOURCE_SQLSERVER_*` names; the table is made there once. Contestants take turns, and what
each has written is compared with the rows as they were generated.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.contents import Fingerprint, compare_parquet, is_different, reference_of_file
from benchmarks.documents import FOLDER
from benchmarks.homes import new_home, write_workflow
from benchmarks.machine import commit, this_machine
from benchmarks.measure import Measurement, measure
from benchmarks.sqlserver.server import DATABASE, TABLE, Server, fill, named_server

_PROJECT = Path(__file__).resolve().parents[2]
_HOME = _PROJECT / ".migration" / "benchmark"
_PEERS = _HOME / "environments" / "sqlserver" / "bin" / "python"
_OURS = "staged-2"
_ROWS_PER_PARTITION = 150_000


@dataclass(frozen=True)
class Contestant:
    """Somebody who moves the table.

    Attributes:
        command: what is run, with its folder.
        files: a pattern for what it leaves there.
        environment: variables of its own.
    """

    name: str
    label: str
    command: Callable[[Path], list[str]]
    files: str
    environment: Callable[[Path], Mapping[str, str]] = lambda folder: {}


@dataclass(frozen=True)
class Turn:
    """One measured run.

    Attributes:
        seconds: of work, as it tells itself: without Python's start and imports, and without planning.
        planning: seconds; only this program plans.
    """

    run: Measurement
    seconds: float
    planning: float
    verdict: str


@click.command(help=__doc__.split("\n")[0] if __doc__ else None)
@click.option("--rows", type=click.IntRange(1000), default=1_000_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--server-pid", type=int, help="The server's first process, of which sessions are children.")
@click.option("--no-report", is_flag=True, help="Print only.")
def main(rows: int, rounds: int, server_pid: int | None, no_report: bool) -> None:
    """Measures, prints, and writes the document."""
    server = named_server()
    _HOME.mkdir(parents=True, exist_ok=True)
    file = _HOME / f"lineitem-{rows}.parquet"
    fill(server, rows, file)
    wanted = reference_of_file(file, TABLE)
    contestants = _contestants()
    turns: dict[str, list[Turn]] = {one.name: [] for one in contestants}
    for number in range(1, rounds + 1):
        for one in contestants:
            turn = _turn(one, server, wanted, server_pid)
            turns[one.name].append(turn)
            told = f"{turn.seconds:.2f} s of {turn.run.wall:.2f} s, {turn.run.client_cpu:.1f} CPU-s, {turn.verdict}"
            print(f"round {number}: {one.label}: {told}", file=sys.stderr, flush=True)
    lines = list(_document(contestants, turns, server, rows))
    print("\n".join(lines))
    if not no_report:
        (FOLDER / "sqlserver-benchmarks.md").write_text("\n".join(lines) + "\n")


def _contestants() -> Sequence[Contestant]:
    ours = [
        Contestant(
            f"staged-{threads}",
            f"this program: staged asset, {threads} connection{'s' if threads > 1 else ''}",
            _stage,
            "stage/**/data/**/*.parquet",
            _home_with(threads),
        )
        for threads in (2, 1)
    ]
    if not _PEERS.exists():
        print("the peers' environment is missing: `make bench-sqlserver` makes it", file=sys.stderr)
        return ours
    return [
        *ours,
        _peer("arrow-odbc", "arrow-odbc alone", "sqlserver_arrow_odbc_parquet", "*.parquet"),
        _peer("pyodbc", "pyodbc rows", "sqlserver_pyodbc_parquet", "*.parquet"),
        _peer("dlt", "dlt, PyArrow backend", "sqlserver_dlt_parquet", "files/tpch/lineitem/*.parquet", "pyarrow"),
        _peer("connectorx", "ConnectorX, streamed", "sqlserver_connectorx_parquet", "*.parquet"),
    ]


def _home_with(threads: int) -> Callable[[Path], Mapping[str, str]]:
    return lambda folder: {**new_home(folder), "SOURCE_SQLSERVER_THREADS": str(threads)}


def _stage(folder: Path) -> list[str]:
    workflow = write_workflow(
        folder / "tpch.json",
        DATABASE,
        ["lineitem"],
        "sqlserver",
        "dbo",
        columnNamesToPartitionBy=[TABLE.key[0]],
        # By themselves, so few rows are one partition, which one connection reads.
        partitionSize={"maxRowsPerPartition": _ROWS_PER_PARTITION},
        metricsCheck=False,
        fingerprintCheck=False,
    )
    return [sys.executable, "-m", "benchmarks.staged", str(workflow)]


def _peer(name: str, label: str, module: str, files: str, *arguments: str) -> Contestant:
    script = [str(_PEERS), "-m", f"benchmarks.peers.{module}", *arguments, TABLE.name, TABLE.key[0]]
    return Contestant(name, label, lambda folder: [*script, str(folder)], files)


def _turn(one: Contestant, server: Server, wanted: Fingerprint, server_pid: int | None) -> Turn:
    with TemporaryDirectory(dir=_HOME, prefix="run-") as scratch, TemporaryDirectory(dir=_HOME, prefix="out-") as logs:
        folder = Path(scratch)
        environment = {**server.environment, **one.environment(folder)}
        run = measure(one.command(folder), environment, Path(logs), postmaster=server_pid)
        if run.exit_code:
            raise click.ClickException(f"{one.label}: {run.errors[-2000:]}{run.output[-2000:]}")
        verdict = compare_parquet(sorted(folder.glob(one.files)), TABLE, wanted)
        told = json.loads(run.output.splitlines()[-1])
        planning = float(told.get("plan_seconds", 0))
    if one.name.startswith("staged") and is_different(verdict):
        raise click.ClickException(f"{one.label}: {verdict}")
    return Turn(run, float(told["seconds"]) - planning, planning, verdict)


def _document(
    contestants: Sequence[Contestant], turns: Mapping[str, Sequence[Turn]], server: Server, rows: int
) -> Iterator[str]:
    machine = this_machine()
    seconds = {name: statistics.median(turn.seconds for turn in of) for name, of in turns.items()}
    walls = {name: statistics.median(turn.run.wall for turn in of) for name, of in turns.items()}
    rounds = len(turns[_OURS])
    yield "# SQL Server benchmarks"
    yield ""
    yield f"Written by `make bench-sqlserver`. {rows:,} rows of TPC-H's lineitem, clustered by their key, are moved to"
    yield "Parquet files on local disk. Work is what each tells itself, without Python's start and imports, and without"
    yield "this program's planning, which asks the server's catalogue and divides the table; wall is the whole process."
    yield f"Medians of {rounds} interleaved rounds. Values are compared with the rows as they were"
    yield "generated."
    yield ""
    today = datetime.now(timezone.utc).date().isoformat()
    yield f"{today}, commit {commit(_PROJECT)}. {machine.cpu}, {machine.cores} cores, {machine.system}."
    yield f"The server is on the same machine and says that it is: {server.version}"
    yield ""
    yield "| who | work s | rows/s | planning s | wall s | CPU s, client / server | MB | times ours | values |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|---|"
    for one in contestants:
        of = turns[one.name]
        client = statistics.median(turn.run.client_cpu for turn in of)
        servers = [turn.run.server_cpu for turn in of if turn.run.server_cpu is not None]
        cpu = f"{client:.1f} / {statistics.median(servers):.1f}" if servers else f"{client:.1f} /"
        memory = max(turn.run.memory for turn in of) / 1e6
        ratio = seconds[one.name] / seconds[_OURS]
        planning = statistics.median(turn.planning for turn in of)
        planned = f"{planning:.2f}" if planning else ""
        figures = (
            f"{seconds[one.name]:.2f} | {rows / seconds[one.name]:,.0f} | {planned} | {walls[one.name]:.2f} | {cpu}"
        )
        yield f"| {one.label} | {figures} | {memory:.0f} | {ratio:.2f} | {of[-1].verdict} |"


if __name__ == "__main__":
    main()
