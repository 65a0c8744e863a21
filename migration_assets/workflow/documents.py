"""A file's bytes as a JSON object, with what JSON readers usually let pass: repeated keys, odd characters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from migration_assets.workflow.errors import Finding, Location, Problem, WorkflowError

# The format needs five levels. Far beyond that, recursive code elsewhere would fail less politely.
DEEPEST_LEVEL = 32
LONGEST_NUMBER = 300


@dataclass(frozen=True)
class Document:
    """A JSON object and what is wrong with the way it is written."""

    content: dict[str, object]
    findings: tuple[Finding, ...]


class _UnreadableNumberError(ValueError):
    """A number that JSON doesn't have, or that no field of the format can hold."""


def read_bytes(file: Path) -> bytes:
    """The bytes of a workflow file.

    Raises:
        WorkflowError: There is no such file, or it can't be read.
    """
    try:
        if file.is_dir():
            raise _refusal(str(file), "is a directory", "Give the path of one workflow file.")
        return file.read_bytes()
    except FileNotFoundError as error:
        raise _refusal(str(file), "does not exist", "Check the path of the workflow file.") from error
    except OSError as error:
        raise _refusal(str(file), f"can't be read: {error.strerror}", "Check the file and its permissions.") from error
    except ValueError as error:
        raise _refusal(str(file), "is not a possible path", "Check the path of the workflow file.") from error


def bytes_of(text: str | bytes) -> bytes:
    """The bytes of a text; those of a lone surrogate are refused later, like any that are not UTF-8."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def read_document(data: bytes, file: str) -> Document:
    """The JSON object that the bytes hold.

    Raises:
        WorkflowError: There is no JSON object in them, or one that can't be examined further.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(file, f"is not UTF-8 text (byte {error.start})", "Save the file as UTF-8.") from error
    repeated: list[tuple[dict[str, object], str]] = []
    content = _parse(text, file, repeated)
    if not isinstance(content, dict):
        raise _refusal(file, "is not a JSON object", "Put the whole workflow between { and }.")
    fatal = [finding.in_file(file) for finding in _unusable_values(content)]
    if fatal:
        raise WorkflowError(fatal)
    return Document(content, tuple(_repeated_keys(content, repeated)))


def positions(content: Mapping[str, object]) -> dict[Location, int]:
    """For every value its rank in reading order, so that problems can be listed as the file goes."""
    return {location: rank for rank, (location, _) in enumerate(_walk(content))}


def in_reading_order(findings: Iterable[Finding], content: Mapping[str, object]) -> list[Finding]:
    """The findings as the file goes, each once; a key that is missing sorts with the object that lacks it."""
    rank = positions(content)

    def place(finding: Finding) -> int:
        location = finding.location
        while location not in rank:
            location = location[:-1]
        return rank[location]

    unique = {(finding.location, finding.message): finding for finding in findings}
    return sorted(unique.values(), key=place)


def _parse(text: str, file: str, repeated: list[tuple[dict[str, object], str]]) -> object:
    def read_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) < len(pairs):
            keys = [key for key, _ in pairs]
            # Keeps the object alive too, so that its identity stays its own.
            repeated.extend((value, key) for key in value if keys.count(key) > 1)
        return value

    try:
        value: object = json.loads(
            text,
            object_pairs_hook=read_object,
            parse_int=_read_integer,
            parse_float=_read_float,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise _refusal(
            file,
            f"is not JSON: {_lower_first(error.msg)} at line {error.lineno}, column {error.colno}",
            "Correct the JSON there, or just before.",
        ) from error
    except _UnreadableNumberError as error:
        raise _refusal(file, f"holds {error}", "Write an ordinary number.") from error
    except RecursionError as error:
        raise _refusal(file, "is nested too deeply", "A workflow needs only a few levels.") from error
    return value


def _read_integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _UnreadableNumberError(f"a number of {len(text)} digits")
    return int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _UnreadableNumberError("a number that is too large")
    return value


def _refuse_constant(text: str) -> float:
    raise _UnreadableNumberError(f"{text}, which JSON does not have")


def _walk(content: object) -> Iterator[tuple[Location, object]]:
    """All values in reading order, without recursion."""
    pending: list[tuple[Location, object]] = [((), content)]
    while pending:
        location, value = pending.pop()
        yield location, value
        if len(location) > DEEPEST_LEVEL:
            continue
        if isinstance(value, dict):
            pending += [((*location, key), inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            pending += [((*location, index), inner) for index, inner in reversed(list(enumerate(value)))]


def _unusable_values(content: dict[str, object]) -> Iterator[Finding]:
    for location, value in _walk(content):
        if len(location) > DEEPEST_LEVEL:
            yield Finding(location[:3], "is nested too deeply", "A workflow needs only a few levels.")
            return
        for text in (value, location[-1] if location else ""):
            if isinstance(text, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
                yield Finding(
                    location,
                    "holds a character that no database stores (U+0000 or half of a surrogate pair)",
                    "Remove the character.",
                )


def _repeated_keys(content: dict[str, object], repeated: list[tuple[dict[str, object], str]]) -> Iterator[Finding]:
    keys: dict[int, list[str]] = {}
    for value, key in repeated:
        keys.setdefault(id(value), []).append(key)
    for location, inner in _walk(content):
        for key in keys.get(id(inner), ()):
            yield Finding((*location, key), "is written more than once in the same object", "Keep one of them.")


def _refusal(file: str, message: str, cure: str) -> WorkflowError:
    return WorkflowError([Problem(file, "$", message, cure)])


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
