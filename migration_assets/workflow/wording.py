"""Findings of the models in plain words: no name of a validation library, one cure each."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from migration_assets.workflow.errors import Finding, Location, echo
from migration_assets.workflow.model import TableConfiguration

M = TypeVar("M", bound=BaseModel)

_REQUIRED_IN_TABLES = ("source", "target")


def validated(model: type[M], value: object) -> tuple[M | None, list[Finding]]:
    """A model from a JSON value, or None and all that is wrong with the value."""
    try:
        return model.model_validate(value, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, [_finding(model, details) for details in error.errors(include_url=False) if not _echoes(details)]


def did_you_mean(word: object, known: list[str]) -> str | None:
    """The known word nearest to a misspelt one, whatever its case."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(str(word).lower()[:100], by_lower, n=1)
    return by_lower[matches[0]] if matches else None


def _echoes(details: ErrorDetails) -> bool:
    # A list whose entries are all wrong counts as too short as well.
    return details["type"] == "too_short" and bool(details["input"])


def _finding(model: type[BaseModel], details: ErrorDetails) -> Finding:
    location: Location = details["loc"]
    context = details.get("ctx") or {}
    kind = details["type"]
    if kind in ("value", "rule"):
        return Finding(location, context["message"], context["cure"], kind="rule" if kind == "rule" else "value")
    if kind == "missing":
        return Finding(location, "is required", _cure_of_missing(model, location), kind="missing")
    if kind == "extra_forbidden":
        return _unknown_key(model, location)
    if kind == "literal_error":
        return _unknown_word(model, location, details["input"])
    words = _WORDS.get(kind, _other)
    message, cure = words(details["input"], context)
    return Finding(location, message, cure)


def _cure_of_missing(model: type[BaseModel], location: Location) -> str:
    if issubclass(model, TableConfiguration) and location[0] in (
        *_REQUIRED_IN_TABLES,
        "synchronization",
        "extraction",
    ):
        return "Add it here or in defaultTableConfiguration."
    return "Add it."


def _unknown_key(model: type[BaseModel], location: Location) -> Finding:
    known = [field.alias or name for name, field in _fields_at(model, location[:-1]).items()]
    near = did_you_mean(location[-1], known)
    cure = f'Did you mean "{near}"?' if near else f"Remove it; the keys known here are {', '.join(known)}."
    return Finding(location, "is not a known key", cure)


def _unknown_word(model: type[BaseModel], location: Location, value: object) -> Finding:
    field = next((f for f in _fields_at(model, location[:-1]).values() if f.alias == location[-1]), None)
    known = [word for word in _literals(field.annotation) if isinstance(word, str)] if field else []
    near = did_you_mean(value, known) if isinstance(value, str) else None
    cure = f'Did you mean "{near}"? ' if near else ""
    return Finding(location, f"is {echo(value)}", f"{cure}Use one of: {', '.join(known)}.")


def _fields_at(model: type[BaseModel], location: Location) -> dict[str, FieldInfo]:
    """The fields of the model that describes the object at a location."""
    for step in location:
        if isinstance(step, int):
            continue
        field = next((f for f in model.model_fields.values() if f.alias == step), None)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return {}
        model = inner
    return dict(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _literals(annotation: object) -> list[object]:
    parts = get_args(annotation)
    return [word for part in parts for word in (_literals(part) or [part])]


def _must_be(what: str, cure: str) -> Callable[[object, dict[str, Any]], tuple[str, str]]:
    return lambda value, context: (f"must be {what}, but is {echo(value)}", cure)


def _other(value: object, context: dict[str, Any]) -> tuple[str, str]:
    return (
        f"has a value that the format does not allow: {echo(value)}",
        "See the workflow reference for this key.",
    )


_OBJECT = _must_be("an object", "Write it between { and }.")
_LIST = _must_be("a list", "Write it between [ and ].")
_NUMBER = _must_be("a number", "Write a number without quotes.")
_WHOLE_NUMBER = _must_be("a whole number", "Write a whole number without quotes.")

_WORDS: dict[str, Callable[[object, dict[str, Any]], tuple[str, str]]] = {
    "string_type": _must_be("a string", "Write it between double quotes."),
    "string_too_short": lambda value, context: ("is empty", "Write a value, or leave the key out."),
    "bool_type": _must_be("true or false", "Write true or false without quotes."),
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "int_type": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "tuple_type": _LIST,
    "too_short": lambda value, context: ("is empty", "Add at least one entry."),
    "greater_than": lambda value, context: (
        f"is {echo(value)}",
        f"Use a number greater than {context['gt']:g}.",
    ),
    "greater_than_equal": lambda value, context: (
        f"is {echo(value)}",
        f"Use a number of at least {context['ge']:g}.",
    ),
    "less_than_equal": lambda value, context: (
        f"is {echo(value)}",
        f"Use a number of at most {context['le']:,.0f}.",
    ),
}
