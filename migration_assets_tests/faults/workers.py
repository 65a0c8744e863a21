"""A process that has everything imported, and forks a child for each run of a workflow.

A child begins in milliseconds, can be killed like any process, and takes nothing with it. Its faults are hooks around
the operations that leave a trace: writes of the ledger, of the stage and of the warehouse.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PROJECT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Run:
    """A run in a child."""

    pid: int
    workers: Workers
    log: Path

    def kill(self) -> None:
        """Ends the process without a word to it."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """The exit code; negative for the signal that ended it."""
        return int(self.workers.ask({"wait": self.pid})["status"])


class Process:
    """A run in a process of its own from the beginning."""

    def __init__(self, file: Path, environment: Mapping[str, str], log: Path) -> None:
        with log.open("a") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "migration_assets.cli", "run", str(file)],
                cwd=PROJECT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """Ends the process without a word to it."""
        self._process.kill()

    def wait(self) -> int:
        """The exit code; negative for the signal that ended it."""
        return self._process.wait()


class Workers:
    """The parent of all runs."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "migration_assets_tests.faults.workers"],
            cwd=PROJECT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._asking = threading.Lock()

    def start(
        self, file: Path, environment: Mapping[str, str], log: Path, fault: Mapping[str, object] | None = None
    ) -> Run:
        """Starts `migrate run` of a file."""
        request = {"file": str(file), "environment": dict(environment), "log": str(log), "fault": fault}
        return Run(int(self.ask({"run": request})["pid"]), self, log)

    def ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        """The answer to one request."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._asking:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """Ends the parent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def open_workers() -> Iterator[Workers]:
    """The parent, for as long as the context lasts."""
    workers = Workers()
    try:
        yield workers
    finally:
        workers.close()


# -- in the parent of the runs --------------------------------------------------------------------


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Forks and waits, as it is asked to."""
    import migration_assets.cli.session
    import migration_assets.definitions  # noqa: F401

    for line in requests:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = {"status": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                _run(request["run"])
            answer = {"pid": pid}
        print(json.dumps(answer), file=answers, flush=True)


def _run(request: Mapping[str, Any]) -> None:
    """A child, from its first to its last moment."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in [name for name in os.environ if name.startswith(("MIGRATION_", "DAGSTER_", "SOURCE_", "AWS_"))]:
        del os.environ[name]
    os.environ.update(request["environment"])
    code = 1
    try:
        from migration_assets.cli.session import migrate_workflow
        from migration_assets.workflow import load_workflow

        if request["fault"]:
            install(request["fault"])
        file = Path(request["file"])
        done = migrate_workflow(load_workflow(file), file, None, fresh=False, metrics=True, fingerprint=True)
        code = 0 if done else 1
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


# -- faults ---------------------------------------------------------------------------------------


def install(fault: Mapping[str, Any]) -> None:
    """Puts a fault around the operations of this process.

    `kill`: SIGKILL at the n-th boundary of an operation. `damage`: the n-th COPY finds its first file cut in half.
    """
    from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse

    if fault["kind"] == "damage":
        _damage(DuckDBWarehouse, fault["number"])
        return
    boundaries = itertools.count()

    def strike() -> None:
        if next(boundaries) == fault["number"]:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, names in _operations():
        for name in names:
            _surround(owner, name, strike)


def _operations() -> list[tuple[type, tuple[str, ...]]]:
    from migration_assets.resources.ledger import Ledger
    from migration_assets.resources.stages.filesystem import FileSystemStage
    from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse, _Transaction

    return [
        (
            Ledger,
            (
                "submit_workflow",
                "start_generation",
                "record_progress",
                "update_partitions",
                "record_source_facts",
                "record_check",
                "set_generation_status",
                "clear_errors",
                "set_workflow_status",
            ),
        ),
        (FileSystemStage, ("write_bytes", "open_output", "delete")),
        (DuckDBWarehouse, ("create_load_table", "copy_into", "publish", "drop_table", "evolve", "transaction")),
        (_Transaction, ("change",)),
    ]


def _surround(owner: type, name: str, strike: Callable[[], None]) -> None:
    original = getattr(owner, name)

    if name in ("open_output", "transaction"):

        @contextmanager
        def entered(*arguments: Any, **keys: Any) -> Iterator[Any]:
            strike()
            with original(*arguments, **keys) as value:
                strike()
                yield value
                strike()
            strike()

        setattr(owner, name, entered)
        return

    @functools.wraps(original)
    def called(*arguments: Any, **keys: Any) -> Any:
        strike()
        answer = original(*arguments, **keys)
        strike()
        return answer

    setattr(owner, name, called)


def _damage(owner: Any, number: int) -> None:
    original = owner.copy_into
    calls = itertools.count()

    def copy_into(self: Any, load: Any, columns: Any, files: Any, stage: Any) -> Any:
        if files and next(calls) == number:
            path = Path(stage.base_path) / files[0].path
            os.truncate(path, path.stat().st_size // 2)
        return original(self, load, columns, files, stage)

    owner.copy_into = copy_into


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
