"""Faults in the middle of runs. A few seeds always; `make faults` plays hundreds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.postgresql_server import PostgreSQLServer
from migration_assets_tests.conftest import fresh_database
from migration_assets_tests.faults.harness import Case, Field, play
from migration_assets_tests.faults.workers import Workers, open_workers
from migration_assets_tests.servers import S3Bucket

LONG_RUN = 240
"""Seeds of the long run."""


def short_run() -> list[int]:
    """The first seed of every fault that takes seconds, and kills in two ways of changing a target."""
    cases = [Case.of(seed) for seed in range(LONG_RUN)]
    first = {case.fault: case.seed for case in reversed(cases) if not case.fault.startswith("store")}
    killed = {case.strategy: case.seed for case in reversed(cases) if case.fault == "kill at a step" and not case.first}
    return sorted({*first.values(), killed["checksum"], killed["deletions"]})


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with open_workers() as opened:
        yield opened


def has_tmpfs(folder: Path) -> bool:
    """Whether a small disk can be made here."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return False
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607
    return True


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case.of(seed), marks=() if seed in short_run() else pytest.mark.slow, id=str(Case.of(seed)))
        for seed in range(LONG_RUN)
    ],
)
def test_the_run_after_a_fault_ends_well(
    case: Case,
    workers: Workers,
    postgresql_server: PostgreSQLServer,
    s3_bucket: S3Bucket,
    tmp_path: Path,
) -> None:
    if case.fault == "full disk" and not has_tmpfs(tmp_path):
        pytest.skip("needs a small disk of its own: run the tests as root, who may mount a tmpfs")
    with fresh_database(postgresql_server) as database:
        play(case, Field(workers, database, tmp_path / "home", s3_bucket))
