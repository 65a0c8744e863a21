"""What a contestant answers, and how that compares with the differences that are known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from benchmarks.validation.targets import Key, Kind, Target

SOURCE_PROCESSES = 2
"""Of the source, for every query of this program and every bare one: the session's own and one parallel worker."""


class Found(BaseModel):
    """A row that a contestant says differs; what it doesn't say of it is None."""

    model_config = ConfigDict(frozen=True)

    key: Key
    kind: Kind | None = None
    columns: tuple[str, ...] | None = None


class Answer(BaseModel):
    """What a contestant's process leaves in a file.

    Attributes:
        seconds: from the first connection to the verdict.
        source_seconds: those that queries of the source took, where it is known.
        bytes: about what came back from both sides.
        rows: rows that came back from both sides.
        said: its verdict in its own words.
        complete: whether it claims to have found all that differs.
    """

    model_config = ConfigDict(frozen=True)

    seconds: float
    source_seconds: float | None = None
    bytes: int
    rows: int
    verdict: Literal["equal", "different", "inconclusive"]
    said: str
    complete: bool = True
    found: tuple[Found, ...] = ()


@dataclass(frozen=True)
class Score:
    """An answer against what is known.

    Attributes:
        described: rows found whose kind, and columns, are told as they are; None when none are told.
        false: rows said to differ that don't.
        missed_kinds: what was missed, in words, and how often.
    """

    found: int
    missed: int
    false: int
    described: int | None
    missed_kinds: dict[str, int]


def score(answer: Answer, target: Target) -> Score:
    """Compares an answer with the target's differences."""
    known = {difference.key: difference for difference in target.differences}
    told = {found.key: found for found in answer.found}
    right = [
        found
        for key, found in told.items()
        if (difference := known.get(key)) and found.kind == difference.kind and found.columns == difference.columns
    ]
    return Score(
        found=len(known.keys() & told.keys()),
        missed=len(known.keys() - told.keys()),
        false=len(told.keys() - known.keys()),
        described=len(right) if any(found.kind for found in answer.found) else None,
        missed_kinds=dict(Counter(known[key].what for key in known.keys() - told.keys())),
    )
