"""What only this program does: planning, orchestrating many partitions, registering very many.

    python -m benchmarks.own plan | register FILE

plans the one table of a workflow file (and registers its partitions with ledger and Dagster), and prints the seconds as
JSON.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.homes import new_home, write_workflow
from benchmarks.measure import Measurement, measure
from benchmarks.results import OwnSample
from benchmarks.server import DATABASE, Source, create_numbers

_PLANNED, _TINY, _REGISTERED = 64, 200, 10_000
_TINY_ROWS = 10
_BY_ID = {"columnNamesToPartitionBy": ["id"], "partitionSize": {"maxRowsPerPartition": _TINY_ROWS}}

OWN = {
    f"plan-{_PLANNED}": f"planning lineitem into {_PLANNED} partitions",
    f"orchestration-{_TINY}": f"orchestration of {_TINY} partitions of {_TINY_ROWS} rows, over the bare data path",
    f"register-{_REGISTERED}": f"planning and registering {_REGISTERED:,} partitions",
}
"""Names and descriptions of the figures."""


class OwnError(RuntimeError):
    """A command that has to succeed failed, so there is nothing to report."""


def measure_own(source: Source, rounds: int, lineitem_bytes: int, scratch: Path) -> Iterator[OwnSample]:
    """Takes every figure once a round.

    Raises:
        OwnError: a command failed.
    """
    create_numbers(source, "tiny", _TINY * _TINY_ROWS)
    create_numbers(source, "many", _REGISTERED * _TINY_ROWS)
    for number in range(1, rounds + 1):
        yield _plan(source, number, lineitem_bytes, scratch)
        yield _orchestration(source, number, scratch)
        yield _register(source, number, scratch)


def _plan(source: Source, number: int, size: int, scratch: Path) -> OwnSample:
    # Not by rows: at most so many of them would be kept to with a margin, which makes more partitions.
    wanted = {"targetSizeMb": math.ceil(size / _PLANNED) / 2**20}
    run = _run(source, scratch, "benchmarks.own", "plan", table="lineitem", partitionSize=wanted)
    found = _answer(run)
    return OwnSample(name=f"plan-{_PLANNED}", round=number, value=found["plan_seconds"], unit="s", details=found)


def _orchestration(source: Source, number: int, scratch: Path) -> OwnSample:
    whole = _run(
        source,
        scratch,
        "migration_assets.cli",
        "run",
        table="tiny",
        **_BY_ID,
        metricsCheck=False,
        fingerprintCheck=False,
    )
    bare = _run(
        source,
        scratch,
        "benchmarks.orchestration",
        "--bare",
        table="tiny",
        **_BY_ID,
        metricsCheck=False,
        fingerprintCheck=False,
    )
    return OwnSample(
        name=f"orchestration-{_TINY}",
        round=number,
        value=(whole.wall - bare.wall) / _TINY * 1000,
        unit="ms a partition",
        details={
            "run_seconds": whole.wall,
            "bare_seconds": bare.wall,
            "run_client_cpu_seconds": whole.client_cpu,
            "bare_client_cpu_seconds": bare.client_cpu,
        },
    )


def _register(source: Source, number: int, scratch: Path) -> OwnSample:
    run = _run(source, scratch, "benchmarks.own", "register", table="many", **_BY_ID)
    found = _answer(run)
    seconds = found["plan_seconds"] + found["register_seconds"]
    return OwnSample(name=f"register-{_REGISTERED}", round=number, value=seconds, unit="s", details=found)


def _run(source: Source, scratch: Path, module: str, verb: str, *, table: str, **keys: object) -> Measurement:
    """Measures `python -m MODULE VERB FILE` in a home of its own, with a workflow of one table."""
    with TemporaryDirectory(dir=scratch) as folder:
        home = new_home(Path(folder))
        file = write_workflow(Path(folder) / "own.json", DATABASE, [table], **keys)
        command = [sys.executable, "-m", module, verb, str(file)]
        run = measure(command, {**source.environment, **home}, scratch, postmaster=source.postmaster)
    if run.exit_code:
        raise OwnError(f"{module} {verb} of {table} failed:\n{run.errors[-2000:]}")
    return run


def _answer(run: Measurement) -> dict[str, float]:
    found: dict[str, float] = json.loads(run.output.splitlines()[-1])
    return found


def _timed(file: str, *, register: bool) -> dict[str, float]:
    """Plans the table of a workflow file, and registers it if asked; seconds of each, and the number of partitions."""
    from dagster import DagsterInstance

    from migration_assets.assets import generations
    from migration_assets.deployments import current_deployment
    from migration_assets.jobs import open_connections, submit
    from migration_assets.resources.ledger import GenerationStatus, WorkflowStatus
    from migration_assets.workflow import load_workflow

    workflow = load_workflow(file)
    (table,) = generations.workflow_tables(workflow)
    with (
        DagsterInstance.get() as instance,
        open_connections(current_deployment(), workflow.source_platform) as connections,
    ):
        source, ledger = connections.source, connections.ledger
        submit(ledger, workflow, WorkflowStatus.EXECUTING)
        started = time.monotonic()
        with source.connect(generations.source_database(table, source)) as run:
            plan = generations.plan(workflow, table, run, source, connections.warehouse, ledger)
        found = {"plan_seconds": time.monotonic() - started, "partitions": float(len(plan.partitions))}
        if register:
            started = time.monotonic()
            generations.start(ledger, instance, plan, GenerationStatus.PLANNED)
            found["register_seconds"] = time.monotonic() - started
    return found


_VERBS: dict[str, Callable[[str], dict[str, float]]] = {
    "plan": lambda file: _timed(file, register=False),
    "register": lambda file: _timed(file, register=True),
}

if __name__ == "__main__":
    print(json.dumps(_VERBS[sys.argv[1]](sys.argv[2])))
