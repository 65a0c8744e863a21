"""What is wrong with a workflow file, in words its author can act on.

Checks inside this package yield a `Finding`, which knows where it is in the JSON value.
What leaves the package is a `Problem`, which also names the file, or a `WorkflowError` with all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Location = tuple[str | int, ...]
"""Keys and list indexes from the outermost object down to a value."""

LONGEST_ECHO = 56
_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


@dataclass(frozen=True)
class Problem:
    """One thing to change in a workflow file.

    Args:
        file: The file as the user named it.
        path: JSON path of the place, such as `$.tables[2].synchronization.watermarkColumn`.
        message: What is wrong, as a sentence that continues the path.
        cure: What to do about it.
    """

    file: str
    path: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: {self.message}. {self.cure}"


class WorkflowError(Exception):
    """A workflow file that can't be used; `problems` holds everything found in it, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        by_file: dict[str, list[Problem]] = {}
        for problem in self.problems:
            by_file.setdefault(problem.file, []).append(problem)
        lines = []
        for file, problems in by_file.items():
            lines.append(f"{file}: {len(problems)} {'problem' if len(problems) == 1 else 'problems'}")
            for problem in problems:
                lines += [f"  {problem.path}: {problem.message}.", f"    {problem.cure}"]
        return "\n".join(lines)


@dataclass(frozen=True)
class Finding:
    """A problem before its file and the place where the user wrote the value are known.

    `kind` tells apart what a set of defaults may leave to the tables: a `missing` key, and a `rule`
    that relates several keys. A `value` is wrong wherever it stands.
    """

    location: Location
    message: str
    cure: str
    kind: Literal["value", "missing", "rule"] = "value"

    def at(self, location: Location) -> Finding:
        """The same finding at another place."""
        return Finding(location, self.message, self.cure, self.kind)

    def in_file(self, file: str) -> Problem:
        """The finding as the user sees it."""
        return Problem(file, json_path(self.location), self.message, self.cure)


def json_path(location: Location) -> str:
    """`("tables", 0, "my key")` as `$.tables[0]["my key"]`."""
    steps = ["$"]
    for step in location:
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step):
            steps.append(f".{_shorten(step)}")
        else:
            steps.append(f"[{_shorten(json.dumps(step))}]")
    return "".join(steps)


def echo(value: object) -> str:
    """A JSON value for a message: short, printable, and never a whole object."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, str):
        printable = value if value.isprintable() else json.dumps(value)[1:-1]
        return f'"{_shorten(printable)}"'
    return _shorten(json.dumps(value))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST_ECHO else text[: LONGEST_ECHO - 3] + "..."
