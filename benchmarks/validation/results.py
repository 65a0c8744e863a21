"""What a run of the validation's benchmark found: the samples, and where and with what they were taken."""

from __future__ import annotations

from statistics import median

from pydantic import BaseModel, ConfigDict

from benchmarks.results import Machine
from benchmarks.validation.targets import State


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Sample(_Record):
    """One contestant, one state of the target, one round; the attributes are those of an answer and its score.

    Attributes:
        wall: seconds from the start of the process to its exit.
        work: seconds from the first connection to the verdict.
        client_cpu: CPU seconds of the contestant's process; the target's database is in it.
        server_cpu: CPU seconds of the source's processes.
        memory: peak bytes of the contestant's process.
        error: why it failed; then the other figures mean nothing.
    """

    contestant: str
    state: State
    round: int
    wall: float
    client_cpu: float
    server_cpu: float
    memory: int
    work: float | None = None
    source_seconds: float | None = None
    received_bytes: int = 0
    received_rows: int = 0
    verdict: str = ""
    said: str = ""
    complete: bool = True
    found: int = 0
    missed: int = 0
    false: int = 0
    described: int | None = None
    missed_kinds: dict[str, int] = {}
    error: str | None = None

    @property
    def is_exact(self) -> bool:
        """Whether it found all that differs, and nothing else."""
        return self.error is None and not self.missed and not self.false

    @property
    def is_true(self) -> bool:
        """Whether what it claims is so: what it misses, it must know to be incomplete."""
        right = self.verdict == ("different" if self.found + self.missed else "equal")
        return self.error is None and right and not self.false and not (self.missed and self.complete)


class Results(_Record):
    """A whole run.

    Attributes:
        versions: of each environment's packages, by environment; this program's own under "this program".
        rows: of the source's table; `bytes` of its heap.
        differences: the rows that differ, by state and then by what differs.
    """

    scale_factor: str
    rounds: int
    date: str
    commit: str
    machine: Machine
    versions: dict[str, dict[str, str]]
    rows: int
    bytes: int
    differences: dict[State, dict[str, int]]
    samples: list[Sample]


class Row(_Record):
    """A contestant's samples of one state, as medians.

    Attributes:
        spread: the smallest and the largest wall.
        worst: the sample with the worst score.
    """

    contestant: str
    wall: float
    spread: tuple[float, float]
    work: float
    source_seconds: float | None
    client_cpu: float
    server_cpu: float
    memory: int
    received_bytes: int
    worst: Sample
    error: str | None

    @classmethod
    def of(cls, samples: list[Sample]) -> Row:
        """The medians; of a contestant that ever failed, only the error counts."""
        walls = [sample.wall for sample in samples]
        source = [sample.source_seconds for sample in samples if sample.source_seconds is not None]
        return cls(
            contestant=samples[0].contestant,
            wall=median(walls),
            spread=(min(walls), max(walls)),
            work=median(sample.work or 0.0 for sample in samples),
            source_seconds=median(source) if source else None,
            client_cpu=median(sample.client_cpu for sample in samples),
            server_cpu=median(sample.server_cpu for sample in samples),
            memory=round(median(sample.memory for sample in samples)),
            received_bytes=round(median(sample.received_bytes for sample in samples)),
            worst=max(samples, key=lambda sample: sample.missed + sample.false),
            error=next((sample.error for sample in samples if sample.error), None),
        )


def row_of(results: Results, contestant: str, state: State) -> Row | None:
    """A contestant's row of one state; None when it has no sample."""
    samples = [sample for sample in results.samples if (sample.contestant, sample.state) == (contestant, state)]
    return Row.of(samples) if samples else None
