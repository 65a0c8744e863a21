"""Why two values are likely to differ: rules on pairs of canonical texts, and what all differences of a column share.

A rule says what it saw, or that it doesn't apply; the first one that applies wins, the most specific being first.
Causes are likely, not proven: `5` for `4.6` was rounded, or it is another number.
"""

from __future__ import annotations

import math
import re
import struct
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext
from functools import partial
from hashlib import md5
from typing import Protocol, TypeAlias

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType
from migration_assets.validation.results import Cause, CauseGroup

MOST_ULPS = 64
"""Doubles that are no farther apart, in units in the last place, differ by rounding: 15 digits can be 9 of them off."""

_QUARTER_OF_AN_HOUR = 15 * 60
_WIDEST_OFFSET = 14 * 3600
"""Of a time zone (Line Islands)."""

_DAY = 86_400

_EXACT = 2_000
"""More digits than any difference of two doubles has."""

Rule: TypeAlias = Callable[[str, str], str | None]
"""Looks at source and target; returns the detail, or None when it doesn't apply."""


def classify(source: str | None, target: str | None, canonical: CanonicalType) -> tuple[Cause, str]:
    """The likely cause and its detail, for two canonical texts that differ; None is NULL.

    The detail is short and says nothing of the values themselves, so that it can be shown beside masked ones.
    """
    if source is None or target is None:
        which = "source" if source is None else "target"
        cause = Cause.EMPTY_TEXT_AND_NULL if "" in (source, target) else Cause.NULL_AND_VALUE
        return cause, f"NULL in the {which}"
    for cause, rule in _RULES[canonical.kind]:
        detail = rule(source, target)
        if detail is not None:
            return cause, detail
    return Cause.OTHER, ""


class Classified(Protocol):
    """A difference with its cause, such as a `CellFinding`."""

    @property
    def row(self) -> int: ...
    @property
    def column(self) -> str: ...
    @property
    def cause(self) -> Cause: ...
    @property
    def detail(self) -> str: ...


def group(cells: Iterable[Classified]) -> tuple[CauseGroup, ...]:
    """What the differences of every column have in common, by column, the most frequent cause first.

    The example is the first cell of its group.
    """
    by_cause: defaultdict[tuple[str, Cause], list[Classified]] = defaultdict(list)
    for cell in cells:
        by_cause[cell.column, cell.cause].append(cell)
    of = Counter[str]()
    for (column, _), group_cells in by_cause.items():
        of[column] += len(group_cells)
    groups = [
        CauseGroup(
            column=column,
            cause=cause,
            detail=_shared_detail(cause, {cell.detail for cell in group_cells}),
            cells=len(group_cells),
            of=of[column],
            example_row=group_cells[0].row,
        )
        for (column, cause), group_cells in by_cause.items()
    ]
    order = list(Cause)
    return tuple(sorted(groups, key=lambda found: (found.column, -found.cells, order.index(found.cause))))


def display(text: str | None, canonical: CanonicalType) -> str | None:
    """The canonical text for people: floats in their shortest exact form."""
    if text is None or canonical.kind is not CanonicalKind.FLOAT:
        return text
    return repr(_double(text)) if "p" in text else text


def mask(text: str | None) -> str | None:
    """What can be told of a text without the text; equal ones have equal masks, and NULL stays NULL.

    It keeps values out of sight, not out of reach: a value of few possibilities can be found by trying them all.
    """
    if text is None:
        return None
    characters = "1 character" if len(text) == 1 else f"{len(text):,} characters"
    return (
        f"<text, {characters}, md5 {md5(text.encode(errors='surrogatepass'), usedforsecurity=False).hexdigest()[:8]}>"
    )


_DIGITS = re.compile(r"(\d+) to (\d+) digits")


def _shared_detail(cause: Cause, details: set[str]) -> str:
    """The detail of all cells of a group, if they agree.

    They also agree when one digit is zero by chance: what was cut to three digits may look like two.
    """
    if len(details) == 1:
        return next(iter(details))
    if cause in (Cause.SCALE, Cause.TIME_PRECISION):
        matches = [_DIGITS.fullmatch(detail) for detail in details]
        counts = [(int(match[1]), int(match[2])) for match in matches if match]
        if len(counts) == len(details) and len({before > after for before, after in counts}) == 1:
            return f"{max(before for before, _ in counts)} to {max(after for _, after in counts)} digits"
    return ""


# Text.


def _trailing_spaces(source: str, target: str) -> str | None:
    if source.rstrip(" ") != target.rstrip(" "):
        return None
    more = len(source) - len(target)
    return f"{'source' if more > 0 else 'target'} has {abs(more)} more"


def _line_endings(source: str, target: str) -> str | None:
    if _with_line_feeds(source) != _with_line_feeds(target):
        return None
    return f"{_line_ending(source)} to {_line_ending(target)}"


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line_ending(text: str) -> str:
    endings = {"CRLF": "\r\n" in text, "CR": "\r" in (rest := text.replace("\r\n", "")), "LF": "\n" in rest}
    found = [name for name, is_there in endings.items() if is_there]
    return found[0] if len(found) == 1 else "mixed"


def _white_space(source: str, target: str) -> str | None:
    if "".join(source.split()) != "".join(target.split()):
        return None
    if source.strip() != target.strip():
        return "inner"
    if source.rstrip() == target.rstrip():
        return "trailing"
    return "leading" if source.lstrip() == target.lstrip() else "leading and trailing"


def _unicode_form(source: str, target: str) -> str | None:
    if source.isascii() and target.isascii():
        return None
    if unicodedata.normalize("NFC", source) == unicodedata.normalize("NFC", target):
        return f"{_form(source)} to {_form(target)}"
    if unicodedata.normalize("NFKC", source) == unicodedata.normalize("NFKC", target):
        return "compatibility characters"
    return None


def _form(text: str) -> str:
    if unicodedata.is_normalized("NFC", text):
        return "NFC"
    return "NFD" if unicodedata.is_normalized("NFD", text) else "mixed"


def _case(source: str, target: str) -> str | None:
    if source.casefold() != target.casefold():
        return None
    if target == source.upper():
        return "to upper case"
    return "to lower case" if target == source.lower() else ""


_REPLACEMENTS = {"\N{REPLACEMENT CHARACTER}": "U+FFFD", "?": "?", "\x1a": "U+001A"}


def _replaced_characters(source: str, target: str) -> str | None:
    for damaged, original, side in ((target, source, "target"), (source, target, "source")):
        for character, name in _REPLACEMENTS.items():
            if character in damaged and _is_original(damaged, original, character):
                return f"{name} in the {side}"
    return None


def _is_original(damaged: str, original: str, replacement: str) -> bool:
    """Whether `damaged` is `original` with `replacement` for characters that aren't ASCII.

    A character can leave several behind, one for each of its bytes. The parts between them are looked for from left
    to right, each as early as it can be.
    """
    parts = re.split(f"({re.escape(replacement)}+)", damaged)
    if not original.startswith(parts[0]):
        return False
    at, is_changed = len(parts[0]), False
    for run, part in zip(parts[1::2], parts[2::2], strict=True):
        is_last = part is parts[-1]
        end = len(original) - len(part) if is_last else original.find(part, at + 1, at + len(run) + len(part))
        gap = original[at:end]
        if end < 0 or not 1 <= len(gap) <= len(run) or not original.startswith(part, end):
            return False
        if any(character.isascii() and character != replacement for character in gap):
            return False
        is_changed = is_changed or gap != run
        at = end + len(part)
    return is_changed


def _decoding_table(encoding: str) -> dict[int, str]:
    """What an encoding of one byte per character makes of bytes that were taken for Latin-1.

    Bytes that it leaves undefined stay as they are, as decoders on the web and on Windows have it.
    """
    return {
        byte: character
        for byte in range(256)
        if (character := bytes([byte]).decode(encoding, errors="ignore")) and ord(character) != byte
    }


_ENCODINGS = {name: _decoding_table(name) for name in ("cp1252", "latin-1", "cp850", "cp437", "mac-roman", "cp1251")}


def _wrong_encoding(source: str, target: str) -> str | None:
    if source.isascii() or target.isascii():
        return None
    for damaged, original, side in ((target, source, "target"), (source, target, "source")):
        as_latin = original.encode(errors="surrogatepass").decode("latin-1")
        for read_as, table in _ENCODINGS.items():
            if as_latin.translate(table) == damaged:
                return f"UTF-8 read as {read_as} in the {side}"
    for written_as in _ENCODINGS:
        try:
            as_latin = source.encode(written_as).decode("latin-1")
        except UnicodeEncodeError:
            continue
        for read_as, table in _ENCODINGS.items():
            if as_latin.translate(table) == target:
                return f"{written_as} read as {read_as}"
    return None


def _truncated(source: str, target: str, characters_per_unit: int = 1, unit: str = "character") -> str | None:
    short, long, prefix = (target, source, "") if len(target) < len(source) else (source, target, "source is ")
    if not short or len(short) == len(long) or not long.startswith(short):
        return None
    length = len(short) // characters_per_unit
    return f"{prefix}cut to {length} {unit}{'' if length == 1 else 's'}"


# Numbers.


def _sign(source: str, target: str) -> str | None:
    return "" if source.removeprefix("-") == target.removeprefix("-") else None


def _decimal_digits(source: str, target: str) -> str | None:
    if not (_is_finite(source) and _is_finite(target)):
        return None
    return _fewer_digits(Decimal(source), Decimal(target), _digits(source))


def _fewer_digits(source: Decimal, target: Decimal, source_digits: int) -> str | None:
    """Whether the target is the source, rounded or cut; the digits of the source are those it was given.

    A target with more digits than the source has another cause: nothing on the way adds digits.
    """
    needed = (_significant_digits(source), _significant_digits(target))
    if needed[0] <= needed[1]:
        return None
    long, short, detail = source, target, f"{source_digits} to {needed[1]} digits"
    with localcontext() as context:
        context.prec = _EXACT
        step = Decimal(1).scaleb(-min(needed))
        off = abs(long - short)
        is_cut = off < step and abs(short) < abs(long) and (short.is_zero() or short.is_signed() == long.is_signed())
        return detail if is_cut or 2 * off <= step else None


def _significant_digits(number: Decimal) -> int:
    """The digits after the point, without trailing zeros."""
    return len(f"{number:f}".partition(".")[2].rstrip("0"))


def _digits(text: str) -> int:
    return len(text.partition(".")[2])


def _is_finite(text: str) -> bool:
    return not text.endswith(("NaN", "Infinity"))


def _through_float(source: str, target: str) -> str | None:
    """Whether one number is what printing the other one as a float makes of it, with usual numbers of digits."""
    if not (_is_finite(source) and _is_finite(target)):
        return None
    first, second = float(source), float(target)
    # Most differences are larger than any rounding, and the test below is slow.
    if abs(first - second) > 1e-5 * max(abs(first), abs(second)) + 10.0 ** -min(_digits(source), _digits(target)):
        return None
    for bits, of_width, digits in ((64, float, (15, 16, 17)), (32, _single, (6, 7, 8, 9))):
        for original, result in ((source, target), (target, source)):
            through = of_width(float(original))
            if through == 0 or not math.isfinite(through):
                continue
            printed = [Decimal(through), *(Decimal(f"{through:.{n}g}") for n in digits)]
            if any(_is_rounded(number, Decimal(result), _digits(result)) for number in printed):
                return f"{bits} bits"
    return None


def _is_rounded(number: Decimal, rounded: Decimal, digits: int) -> bool:
    with localcontext() as context:
        context.prec = _EXACT
        return 2 * abs(number - rounded) <= Decimal(1).scaleb(-digits)


def _single(double: float) -> float:
    """The nearest 32-bit float."""
    try:
        single: float = struct.unpack("<f", struct.pack("<f", double))[0]
    except OverflowError:
        return math.copysign(math.inf, double)
    return single


def _power_of_ten(source: str, target: str) -> str | None:
    """Two currencies' minor units, a scale that got lost: nothing that has a cause of its own."""
    if not (_is_finite(source) and _is_finite(target)):
        return None
    left, right = Decimal(source).normalize(), Decimal(target).normalize()
    if left.is_zero() or left.as_tuple()[:2] != right.as_tuple()[:2]:
        return None
    return f"times 1e{right.adjusted() - left.adjusted():+d}"


# Floats.


def _double(text: str) -> float:
    mantissa, mark, exponent = text.partition("p")
    return math.ldexp(int(mantissa), int(exponent)) if mark else float(text)


def _ulps(source: str, target: str) -> str | None:
    if not (_is_finite(source) and _is_finite(target)):
        return None
    left, right = _double(source), _double(target)
    ulps = abs(_place(left) - _place(right))
    if ulps <= MOST_ULPS:
        return f"{ulps} ulp"
    if _single(left) != left or _single(right) != right:
        return None
    # Both were 32 bits wide: neighbours there are 2^29 places apart among doubles.
    narrow, rest = divmod(ulps, 1 << 29)
    return f"{narrow} ulp of 32 bits" if narrow <= MOST_ULPS and rest == 0 else None


def _place(double: float) -> int:
    """The place of a double among all of them, zero being at 0."""
    bits: int = struct.unpack("<q", struct.pack("<d", abs(double)))[0]
    return -bits if double < 0 else bits


def _single_precision(source: str, target: str) -> str | None:
    if not (_is_finite(source) and _is_finite(target)):
        return None
    left, right = _double(source), _double(target)
    return "32 bits" if _single(left) == right or _single(right) == left else None


def _float_digits(source: str, target: str) -> str | None:
    if not (_is_finite(source) and _is_finite(target)):
        return None
    left, right = Decimal(repr(_double(source))), Decimal(repr(_double(target)))
    return _fewer_digits(left, right, _significant_digits(left))


# Dates and times.

_DATE = re.compile(r"(\d{4,})-(\d\d)-(\d\d)( BC)?")
_TIMESTAMP = re.compile(r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)( BC)?")
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d+))?")


def _seconds(text: str) -> Decimal | None:
    """A date, time or timestamp in seconds, from a day of its own for times; None for the infinities."""
    if match := _TIME.fullmatch(text):
        return int(match[1]) * 3600 + int(match[2]) * 60 + Decimal(f"{match[3]}.{match[4] or 0}")
    if match := _DATE.fullmatch(text):
        return Decimal(_day(match) * _DAY)
    if match := _TIMESTAMP.fullmatch(text):
        day, time = _seconds(match[1] + (match[3] or "")), _seconds(match[2])
        return None if day is None or time is None else day + time
    return None


def _day(date: re.Match[str]) -> int:
    """Days since 1970-01-01 (`days_from_civil` of https://howardhinnant.github.io/date_algorithms.html)."""
    year, month = int(date[1]), int(date[2])
    year = (1 - year if date[4] else year) - (month <= 2)
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + int(date[3]) - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _time_digits(source: str, target: str) -> str | None:
    left, right = _seconds(source), _seconds(target)
    if left is None or right is None:
        return None
    return _fewer_digits(left, right, _digits(source.removesuffix(" BC")))


def _time_of_day(source: str, target: str) -> str | None:
    """Only in the target: midnight in the source is more often a date that was shifted to another zone."""
    lost = _TIMESTAMP.fullmatch(source), _TIMESTAMP.fullmatch(target)
    if not lost[0] or not lost[1]:
        return None
    same_day = lost[0].group(1, 3) == lost[1].group(1, 3)
    return "" if same_day and not lost[1][2].strip("0:.") else None


def _zone(source: str, target: str, *, wraps: bool = False) -> str | None:
    """A whole number of quarters of an hour; `wraps` at midnight for times without a date."""
    left, right = _seconds(source), _seconds(target)
    if left is None or right is None:
        return None
    offset = right - left
    if wraps and abs(offset) > _DAY // 2:
        offset -= _DAY if offset > 0 else -_DAY
    if not offset or offset % _QUARTER_OF_AN_HOUR or abs(offset) > _WIDEST_OFFSET:
        return None
    minutes = abs(int(offset)) // 60
    return f"{'+' if offset > 0 else '-'}{minutes // 60:02}:{minutes % 60:02}"


def _days(source: str, target: str) -> str | None:
    """Days that are off, or that were read in another order: no cause of their own, but worth saying."""
    if source.removesuffix(" BC") == target.removesuffix(" BC"):
        return "BC on one side only"
    before, after = _DATE.match(source), _DATE.match(target)
    left, right = _seconds(source), _seconds(target)
    if not before or not after or left is None or right is None:
        return None
    is_same_time = source[before.end(3) :] == target[after.end(3) :]
    if is_same_time and before.group(1, 2, 3, 4) == after.group(1, 3, 2, 4):
        return "day and month swapped"
    days, rest = divmod(right - left, _DAY)
    return None if rest else f"{int(days):+,} {'day' if abs(days) == 1 else 'days'}"


_TEXT_RULES: tuple[tuple[Cause, Rule], ...] = (
    (Cause.TRAILING_SPACES, _trailing_spaces),
    (Cause.LINE_ENDINGS, _line_endings),
    (Cause.WHITESPACE, _white_space),
    (Cause.UNICODE_FORM, _unicode_form),
    (Cause.CASE, _case),
    (Cause.REPLACED_CHARACTERS, _replaced_characters),
    (Cause.ENCODING, _wrong_encoding),
    (Cause.TRUNCATED, _truncated),
)

_RULES: dict[CanonicalKind, tuple[tuple[Cause, Rule], ...]] = {
    CanonicalKind.TEXT: _TEXT_RULES,
    CanonicalKind.JSON: _TEXT_RULES,
    CanonicalKind.BINARY: ((Cause.TRUNCATED, partial(_truncated, characters_per_unit=2, unit="byte")),),
    CanonicalKind.NUMBER: (
        (Cause.SIGN, _sign),
        (Cause.SCALE, _decimal_digits),
        (Cause.FLOAT_PRECISION, _through_float),
        (Cause.OTHER, _power_of_ten),
    ),
    CanonicalKind.FLOAT: (
        (Cause.SIGN, _sign),
        (Cause.FLOAT_PRECISION, _ulps),
        (Cause.FLOAT_PRECISION, _single_precision),
        (Cause.SCALE, _float_digits),
    ),
    CanonicalKind.DATE: ((Cause.OTHER, _days),),
    CanonicalKind.TIME: (
        (Cause.TIME_PRECISION, _time_digits),
        (Cause.TIME_ZONE, partial(_zone, wraps=True)),
    ),
    CanonicalKind.TIMESTAMP: (
        (Cause.TIME_PRECISION, _time_digits),
        (Cause.DATE_ONLY, _time_of_day),
        (Cause.TIME_ZONE, _zone),
        (Cause.OTHER, _days),
    ),
}
