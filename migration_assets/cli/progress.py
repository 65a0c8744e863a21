"""Progress bars on stderr, fed by the ledger while the job runs in this process."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from migration_assets.resources.ledger import GenerationStatus, Ledger, PartitionStatus

REFRESH_SECONDS = 0.5

_DONE = (PartitionStatus.EXTRACTED, PartitionStatus.LOADED)


class RateColumn(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} rows/s" if speed else "")


@contextmanager
def show_progress(ledger: Ledger, workflow: str) -> Iterator[None]:
    """A bar per table of a workflow: rows of the estimate, bytes staged, rate, time left.

    Nothing is shown when stderr is not a terminal.
    """
    if not sys.stderr.isatty():
        yield
        return
    # Dagster sends the process's own stdout and stderr into its logs while a step runs.
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows {task.fields[size]}"),
            RateColumn(),
            TimeRemainingColumn(),
            console=Console(file=terminal, force_terminal=True),
        )
        stop = threading.Event()
        follower = threading.Thread(target=_follow, args=(ledger, workflow, bars, stop), daemon=True)
        with bars:
            follower.start()
            try:
                yield
            finally:
                stop.set()
                follower.join()


def _follow(ledger: Ledger, workflow: str, bars: Progress, stop: threading.Event) -> None:
    tasks: dict[int, TaskID] = {}
    finished: set[int] = set()
    while True:
        ended = stop.wait(REFRESH_SECONDS)
        for generation in ledger.generations(workflow):
            if generation.id in finished or generation.started_at is None:
                continue
            partitions = ledger.partitions(generation.id)
            if generation.id not in tasks:
                tasks[generation.id] = bars.add_task(generation.table, size="")
            rows = sum(partition.rows for partition in partitions)
            expected = sum(
                partition.rows if partition.status in _DONE else max(partition.estimated_rows, partition.rows)
                for partition in partitions
            )
            size = sum(partition.bytes for partition in partitions)
            bars.update(tasks[generation.id], completed=rows, total=expected, size=f"{size / 1e6:,.1f} MB")
            if generation.status in (GenerationStatus.PUBLISHED, GenerationStatus.FAILED):
                finished.add(generation.id)
                bars.stop_task(tasks[generation.id])
        if ended:
            return
