"""A real `dagster dev`: web server, daemon and code server in processes of their own, over a home of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError

from migration_assets.resources.ledger import Ledger

PROJECT = Path(__file__).resolve().parent.parent

_STOP_SECONDS = 20

_Found = TypeVar("_Found")


def wait_for(what: str, look: Callable[[], _Found | None], seconds: float) -> _Found:
    """What `look` returns, as soon as it returns something; an error that says what never came."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.2)
    return found


@dataclass(frozen=True)
class DagsterDev:
    """A running `dagster dev` and the folders it works with."""

    home: Path
    workflows: Path
    url: str
    process: subprocess.Popen[bytes]

    @property
    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.home / 'ledger.sqlite'}")

    @property
    def log(self) -> str:
        """What the processes wrote."""
        return (self.home / "dev.log").read_text(errors="replace")

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """The answer of the web server's GraphQL interface, which the UI is made from."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def is_ready(self) -> bool:
        """Whether the UI shows the code location."""
        if self.process.poll() is not None:
            raise RuntimeError(f"dagster dev ended: {self.log[-5000:]}")
        with suppress(URLError, OSError):
            return bool(self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"))
        return False

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """The runs that have all of these tags; `__` in a name stands for `/`."""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        answer = self.ask(
            """query Runs($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results {
                 runId status jobName startTime endTime assetSelection { path } tags { key value } } } } }""",
            filter={"tags": wanted},
        )
        runs: list[dict[str, Any]] = answer["runsOrError"]["results"]
        return runs

    def skip_reasons(self, sensor: str) -> list[str]:
        """What the last ticks of a sensor said, the latest first."""
        answer = self.ask(
            """query Ticks($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor {
                 sensorState { ticks(limit: 20) { skipReason error { message } } } } } }""",
            selector={
                "sensorName": sensor,
                "repositoryName": "__repository__",
                "repositoryLocationName": "migration_assets",
            },
        )
        ticks = answer["sensorOrError"]["sensorState"]["ticks"]
        return [tick["skipReason"] or (tick["error"] or {}).get("message") or "" for tick in ticks]

    def generations(self, workflow: str) -> dict[str, str]:
        """The statuses of a workflow's tables."""
        return {record.table: record.status.value for record in self.ledger.generations(workflow)}


@contextmanager
def running_dagster_dev(
    home: Path, workflows: Path, environment: Mapping[str, str], *arguments: str
) -> Iterator[DagsterDev]:
    """Starts `dagster dev` on a free port, with the project's own instance below `home`; ends all its processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = (PROJECT / "dagster.yaml").read_text().replace(".migration/dagster", str(home / "dagster"))
    (home / "dagster.yaml").write_text(configuration)
    # The launcher has the kernel end the process when this one ends, however it ends.
    launcher = [sys.executable, str(PROJECT / "demo" / "launch.py"), str(os.getuid()), str(os.getgid()), "bound"]
    dagster = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT / "workspace.yaml"), "-p", str(port)]
    with (home / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            [*launcher, *dagster, "-h", "127.0.0.1", *arguments],
            cwd=home,
            env={
                **os.environ,
                "PYTHONPATH": str(PROJECT),
                "DAGSTER_HOME": str(home),
                "MIGRATION_HOME": str(home),
                "MIGRATION_WORKFLOWS": str(workflows),
                **environment,
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group of its own: whatever it starts can be ended with it.
            start_new_session=True,
        )
    dev = DagsterDev(home, workflows, f"http://127.0.0.1:{port}", process)
    try:
        wait_for("the code location in the UI", lambda: dev.is_ready(), 60)
        yield dev
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_SECONDS)
