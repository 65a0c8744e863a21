"""Measures a command: wall, CPU of its processes and of the server's, peak memory."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_SECONDS = 0.05
_SETTLE_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

CONNECTION_VARIABLES = ("PG", "SOURCE_", "MIGRATION_", "DAGSTER_", "SNOWFLAKE_", "AWS_")
"""Beginnings of the variables that a measured command must not have from the shell."""


@dataclass(frozen=True)
class Measurement:
    """What a command cost.

    Attributes:
        wall: seconds from the start of the process to its exit.
        client_cpu: CPU seconds of the process and of its descendants.
        server_cpu: CPU seconds of all the server's processes, in clock ticks of 10 ms; None without a server.
        memory: the most bytes of memory that the process and its descendants held; shared pages count for each.
        output: what it wrote to stdout.
        errors: what it wrote to stderr.
    """

    wall: float
    client_cpu: float
    server_cpu: float | None
    memory: int
    exit_code: int
    output: str
    errors: str


def measure(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    scratch: Path,
    *,
    postmaster: int | None = None,
    timeout: float = 3600,
) -> Measurement:
    """Runs a command and measures it. Nothing else may run as a child of this process at the same time.

    Args:
        environment: variables beside those of this process that name no connection.
        scratch: a folder for stdout and stderr.
        postmaster: the server's first process; it is waited for until no session of a client is left.
        timeout: seconds after which the command is killed.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(CONNECTION_VARIABLES)}
    server_before = server_cpu_seconds(postmaster) if postmaster else 0.0
    with (scratch / "stdout").open("w+") as output, (scratch / "stderr").open("w+") as errors:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            text=True,
        )
        sampler = _MemorySampler(process.pid)
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        with sampler:
            exit_code = process.wait()
        wall = time.monotonic() - started
        killer.cancel()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        output.seek(0)
        errors.seek(0)
        return Measurement(
            wall=wall,
            client_cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            server_cpu=server_cpu_seconds(postmaster) - server_before if postmaster else None,
            memory=sampler.peak,
            exit_code=exit_code,
            output=output.read(),
            errors=errors.read(),
        )


def server_cpu_seconds(postmaster: int) -> float:
    """CPU seconds of a PostgreSQL server's processes so far, those that ended included, once no client is connected.

    The sessions of clients end and are reaped first; what the server's own processes do on their behalf
    (PostgreSQL 18 reads files in workers) is in the sum.

    Raises:
        TimeoutError: a client stays connected.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        processes = [postmaster, *_children(postmaster)]
        if not any(map(_is_session, processes)):
            # utime, stime, cutime, cstime: fields 14 to 17 of /proc/<pid>/stat, in ticks.
            ticks = sum(sum(_stat(pid)[10:14]) for pid in processes)
            # A process that was reaped in between would be counted twice, or not at all.
            if processes == [postmaster, *_children(postmaster)]:
                return ticks / _TICKS
        time.sleep(0.01)
    raise TimeoutError(f"a client of the server was still connected after {_SETTLE_SECONDS:.0f} s")


class _MemorySampler:
    """Sums the resident memory of a process and its descendants, every 50 ms, in a thread of its own.

    /proc is read directly: a library that lists all processes of the machine would cost what is measured here.
    `ru_maxrss` won't do, because a child starts with the figure of the process that made it.
    """

    def __init__(self, process: int) -> None:
        self.peak = 0
        self._process = process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            # The high-water mark of the first process, which most have alone, sees what lies between two samples.
            size = _high_water(self._process) + sum(map(_resident, _descendants(self._process)))
            self.peak = max(self.peak, size)
            if self._stop.wait(_SAMPLE_SECONDS):
                return


def _descendants(process: int) -> Iterator[int]:
    for child in _children(process):
        yield child
        yield from _descendants(child)


def _children(process: int) -> list[int]:
    # The kernel lists children by the thread that made them.
    children: list[int] = []
    with suppress(FileNotFoundError):  # It has ended.
        for file in Path(f"/proc/{process}/task").glob("*/children"):
            children += map(int, _read(file).split())
    return children


def _resident(process: int) -> int:
    fields = _read(Path(f"/proc/{process}/statm")).split()
    return int(fields[1]) * _PAGE if fields else 0


def _high_water(process: int) -> int:
    for line in _read(Path(f"/proc/{process}/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _is_session(process: int) -> bool:
    """Whether a process of the server serves a client, or has ended and is not reaped."""
    title = _read(Path(f"/proc/{process}/cmdline")).strip("\0")
    # The title names user, database and address; it is empty from the end of a process until it is reaped.
    return not title or any(part in title for part in ("127.0.0.1(", "[local]", "parallel worker"))


def _stat(process: int) -> list[int]:
    """The numbers of /proc/<pid>/stat after the name and state; empty when the process has ended."""
    fields = _read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return [int(field) for field in fields[1:]]


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
