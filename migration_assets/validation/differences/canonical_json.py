"""JSON in one spelling: two documents with the same meaning have the same canonical text (spec `v1`).

Keys are sorted by code point and the last of repeated ones wins; there is no white space; numbers are exact decimals;
strings escape what JSON demands and nothing more. Databases normalise JSON each in their own way, so that only a
reader outside of them can compare it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NoReturn

MOST_DIGITS = 400
"""A number that would take more is written as `<significand>e<exponent>`: `1e999999999` must not fill the memory."""

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")
_STRING_OR_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity', re.DOTALL)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_quoted: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode


class _Number(str):
    """A number in its canonical text; a class of its own to tell it from a string."""

    __slots__ = ()


def canonical_json(text: str) -> str:
    """The document in canonical form.

    Raises:
        ValueError: it isn't JSON (RFC 8259, so NaN and Infinity aren't either), with the position; the message has
            nothing of the document itself.
    """
    try:
        return _written(_decoder.decode(text))
    except _ConstantError:
        raise json.JSONDecodeError("NaN and Infinity are no JSON", text, _position_of_constant(text)) from None
    except RecursionError:
        raise ValueError("JSON that is nested too deeply to be read") from None


class _ConstantError(Exception):
    """The decoder met NaN or Infinity; it doesn't say where."""


def _refuse_constant(_name: str) -> NoReturn:
    raise _ConstantError


def _position_of_constant(text: str) -> int:
    return next(match.start() for match in _STRING_OR_CONSTANT.finditer(text) if not match[0].startswith('"'))


def _number(text: str) -> _Number:
    """`text` without exponent, needless zeros and sign of zero; with `e` when it is too long that way."""
    match = _NUMBER.fullmatch(text)
    assert match, "the decoder takes nothing else for a number"
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    exponent -= len(fraction)
    digits = (whole + fraction).lstrip("0")
    significand = digits.rstrip("0")
    if not significand:
        return _Number("0")
    exponent += len(digits) - len(significand)
    if max(len(significand) + max(exponent, 0), 1 - exponent) > MOST_DIGITS:
        return _Number(f"{sign}{significand}e{exponent}")
    if exponent >= 0:
        return _Number(sign + significand + "0" * exponent)
    padded = significand.rjust(1 - exponent, "0")
    return _Number(f"{sign}{padded[:exponent]}.{padded[exponent:]}")


def _string(value: str) -> str:
    """`value` in quotes; half a surrogate pair, which UTF-8 has no bytes for, stays escaped."""
    return _LONE_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", _quoted(value))


def _written(value: object) -> str:
    match value:
        case _Number():
            return value
        case str():
            return _string(value)
        case dict():
            return "{" + ",".join(f"{_string(key)}:{_written(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
        case None:
            return "null"
        case _:
            return "true" if value else "false"


_decoder = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_refuse_constant)
