"""The contestants of the validation, and how each is started."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.validation.targets import SCHEMA, STATES, TABLE, TEXT_VIEW, State, Target

CHECKSUM, OURS, OURS_ALL, COUNTS = "checksum", "rows", "all", "counts"


@dataclass(frozen=True)
class Contestant:
    """One row of the report.

    Attributes:
        command: from the target, the file for the answer, and the folder of the peers' virtual environments.
        states: those of the target that it is shown.
        environment: the peer's virtual environment; None for this program's own.
    """

    name: str
    label: str
    command: Callable[[Target, Path, Path], list[str]]
    states: tuple[State, ...] = tuple(STATES)
    environment: str | None = None


def _own(module: str, turn: str) -> Callable[[Target, Path, Path], list[str]]:
    def command(target: Target, answer: Path, _environments: Path) -> list[str]:
        return [sys.executable, "-m", f"benchmarks.validation.{module}", turn, str(target.directory), str(answer)]

    return command


def _reladiff(relation: str, threads: int) -> Callable[[Target, Path, Path], list[str]]:
    def command(target: Target, answer: Path, environments: Path) -> list[str]:
        python = str(environments / "reladiff" / "bin" / "python")
        others = ",".join(name for name in TABLE.columns if name not in TABLE.key)
        sides = [relation, ",".join(TABLE.key), others, str(target.file), f"{SCHEMA}.{relation}"]
        return [python, "-m", "benchmarks.peers.reladiff_rows", *sides, str(threads), str(answer)]

    return command


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant(CHECKSUM, "one checksum over the source alone", _own("queries", "checksum"), ("equal",)),
        Contestant(OURS, "this program: rows, with cells", _own("own", "rows")),
        Contestant(OURS_ALL, "this program: schema, metrics, rows", _own("own", "all")),
        Contestant("reladiff", "reladiff", _reladiff(TABLE.name, 1), environment="reladiff"),
        Contestant("reladiff-text", "reladiff, dates as text", _reladiff(TEXT_VIEW, 1), environment="reladiff"),
        Contestant(
            "reladiff-text-threads",
            "reladiff, dates as text, two threads",
            _reladiff(TEXT_VIEW, 2),
            environment="reladiff",
        ),
        Contestant(COUNTS, "row counts", _own("queries", "counts")),
    )
}
