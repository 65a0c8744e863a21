"""What a run of the benchmark found: the samples, and where and with what they were taken."""

from __future__ import annotations

from statistics import median
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sample(_Record):
    """One contestant, one table, one round.

    Attributes:
        wall: seconds from the start of the process to its exit.
        work: seconds from the first connection to the last closed file, where the contestant tells them.
        client_cpu: CPU seconds of the contestant's processes.
        server_cpu: CPU seconds of the server's processes.
        memory: peak bytes of the contestant's processes.
        output_bytes: of the Parquet files, or of the database file.
        disk_bytes: of all files that were left, the output included.
        contents: the verdict on what was written; None for what writes nothing.
        error: why it failed; then the other figures mean nothing.
    """

    contestant: str
    table: str
    round: int
    wall: float
    work: float | None = None
    client_cpu: float
    server_cpu: float
    memory: int
    output_bytes: int = 0
    disk_bytes: int = 0
    contents: str | None = None
    error: str | None = None


class OwnSample(_Record):
    """One figure of this program alone, of one round.

    Attributes:
        details: what the figure is made of.
    """

    name: str
    round: int
    value: float
    unit: Literal["s", "ms a partition"]
    details: dict[str, float]


class ShapeSample(_Record):
    """A table of another shape, staged by one reader.

    Attributes:
        work: seconds from the first connection to the last closed file.
        memory: peak bytes.
    """

    shape: str
    reader: str
    round: int
    work: float
    client_cpu: float
    server_cpu: float
    memory: int


class Machine(_Record):
    """Where the samples were taken."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str


class SourceTable(_Record):
    """A table of the source: rows, and bytes of its heap."""

    rows: int
    bytes: int


class Results(_Record):
    """A whole run.

    Attributes:
        versions: of each environment's packages, by environment; this program's own under "this program".
    """

    scale_factor: str
    rounds: int
    date: str
    commit: str
    machine: Machine
    versions: dict[str, dict[str, str]]
    tables: dict[str, SourceTable]
    samples: list[Sample]
    own: list[OwnSample]
    shapes: list[ShapeSample] = []


class Row(_Record):
    """A contestant's samples of one table, as medians.

    Attributes:
        spread: the smallest and the largest wall.
        contents: the verdict; the worst, if rounds differ.
    """

    contestant: str
    wall: float
    spread: tuple[float, float]
    work: float | None
    client_cpu: float
    server_cpu: float
    memory: int
    rows_per_second: float
    output_bytes: int
    disk_bytes: int
    contents: str | None
    error: str | None

    @classmethod
    def of(cls, samples: list[Sample], rows: int) -> Row:
        """The medians; of a contestant that ever failed, only the error counts.

        Args:
            rows: of the source's table.
        """
        walls = [sample.wall for sample in samples]
        works = [sample.work for sample in samples if sample.work is not None]
        verdicts = sorted({sample.contents for sample in samples if sample.contents}, key=_badness)
        return cls(
            contestant=samples[0].contestant,
            wall=median(walls),
            spread=(min(walls), max(walls)),
            work=median(works) if works else None,
            client_cpu=median(sample.client_cpu for sample in samples),
            server_cpu=median(sample.server_cpu for sample in samples),
            memory=round(median(sample.memory for sample in samples)),
            rows_per_second=rows / median(walls),
            output_bytes=round(median(sample.output_bytes for sample in samples)),
            disk_bytes=round(median(sample.disk_bytes for sample in samples)),
            contents=verdicts[-1] if verdicts else None,
            error=next((sample.error for sample in samples if sample.error), None),
        )


def rows_of(results: Results, table: str, contestants: list[str]) -> list[Row]:
    """The rows of one table in the order of `contestants`, which may name some that didn't run."""
    found = []
    for name in contestants:
        samples = [sample for sample in results.samples if (sample.contestant, sample.table) == (name, table)]
        if samples:
            found.append(Row.of(samples, results.tables[table].rows))
    return found


def _badness(verdict: str) -> tuple[bool, int]:
    return verdict.startswith("DIFFERENT"), len(verdict)
