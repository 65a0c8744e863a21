"""A validation's result as one HTML file that needs nothing else: it can be mailed, archived and printed.

Nearly all that it says comes from databases. The template escapes whatever it prints, characters that would hide or
reorder text are spelled out, and each list has an end, however much was found.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from migration_assets.validation.results import (
    LEVELS,
    BucketFinding,
    Cause,
    Coverage,
    TableResult,
    Verdict,
    WorkflowResult,
)

SYMBOLS = {Verdict.PASS: "✔", Verdict.WAIVED: "~", Verdict.INCONCLUSIVE: "?", Verdict.FAIL: "✖"}
"""So that verdicts are told apart without their colours."""

SHOWN_ROWS = 200
SHOWN_CELLS = 500
SHOWN_FINDINGS = 500
"""Findings of the schema, and of the metrics."""
SHOWN_CAUSES = 100
SHOWN_BUCKETS = 200
SHOWN_QUERIES = 200
SHOWN_KEY_COLUMNS = 12
SHOWN_EXCUSES = 20
SHOWN_SQL = 20_000
"""Characters of one query."""
SHOWN_VALUE = 240
"""Characters of one value, or of the part of it that differs."""
CONTEXT = 40
"""Characters before and after the part that differs."""

SLOTS = 100
"""Places on the axis of the plot of buckets; when there are more buckets, some share one."""
PLOT_HEIGHT = 120
PLOTTED_COLUMNS = 40
SERIES = 6
"""Colours of causes in the style sheet; each cause has a letter as well."""

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for tab and line feed
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # without width, or changing the direction of reading
    "\ud800-\udfff\ufffe\uffff]"  # not characters at all
)
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_HIDDEN_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Hangul fillers: letters by their category, and nothing to see."""
_STAND_INS = {" ": "·", "\t": "→", "\n": "↵\n"}
_NAMES = {"\t": "tab", "\n": "line feed", "\r": "carriage return"}


def render(result: WorkflowResult) -> str:
    """The report."""
    return _template().render(result=result, span=_span(result.tables))


def printable(text: str) -> str:
    """The text with characters spelled out that control a terminal, or that hide or reorder text."""
    return _UNPRINTABLE.sub(lambda match: _spelled(match[0]), text)


def _spelled(character: str) -> str:
    return "[CR]" if character == "\r" else f"[U+{ord(character):04X}]"


@dataclass(frozen=True)
class Piece:
    """A part of a value as it is shown.

    Attributes:
        shown: the text, or what stands for characters that can't be seen.
        title: which characters these are, where that can't be seen.
        differs: whether the other side has something else here.
        left_out: whether it stands for a part of the value that isn't shown.
    """

    shown: str
    title: str = ""
    differs: bool = False
    left_out: bool = False


def pieces(value: str, other: str | None = None) -> tuple[Piece, ...]:
    """The value in parts, those marked that the other value has differently; of a long one what is around them.

    Values of one length are compared character by character, so that replaced characters are marked one by one.
    """
    if other is None:
        return (*_visible(value[:SHOWN_VALUE]), *_left_out(len(value) - SHOWN_VALUE))
    start, stop = _differing_part(value, other)
    first = max(0, start - CONTEXT)
    until = min(stop, start + SHOWN_VALUE)
    last = min(len(value), until + CONTEXT) if until == stop else until
    shown = [*_left_out(first), *_visible(value[first:start])]
    aligned = len(value) == len(other)
    for differs, run in groupby(range(start, until), key=lambda at: not aligned or value[at] != other[at]):
        shown += _visible("".join(value[at] for at in run), differs)
    return (*shown, *_visible(value[until:last]), *_left_out(len(value) - last))


def _differing_part(value: str, other: str) -> tuple[int, int]:
    """Where, in the value, the start that both have ends, and where the end that both have starts."""
    start = _common_start(value, other)
    end = min(_common_start(value[::-1], other[::-1]), min(len(value), len(other)) - start)
    return start, len(value) - end


def _common_start(one: str, two: str) -> int:
    """By halves, as values may be megabytes long."""
    same, limit = 0, min(len(one), len(two))
    while same < limit:
        middle = (same + limit + 1) // 2
        if one[same:middle] == two[same:middle]:
            same = middle
        else:
            limit = middle - 1
    return same


def _left_out(characters: int) -> Iterator[Piece]:
    if characters > 0:
        yield Piece(f"…({characters:,} more)…", left_out=True)


def _visible(text: str, differs: bool = False) -> Iterator[Piece]:
    for stand_in, run in groupby(text, key=lambda character: _stand_in(character, differs)):
        characters = list(run)
        if stand_in is not None:
            count = f", {len(characters)} times" if len(characters) > 1 else ""
            yield Piece(stand_in * len(characters), _name(characters[0]) + count, differs)
        else:
            plain = "".join(characters)
            unusual = differs and not plain.isascii()
            yield Piece(plain, ", ".join(_name(each) for each in plain[:8]) if unusual else "", differs)


def _stand_in(character: str, differs: bool) -> str | None:
    """What is shown in the place of a character that is hard to see; None for those that aren't.

    Accents that combine with the letter before them are, where they are what differs: é has two forms.
    """
    if character in _STAND_INS:
        return _STAND_INS[character]
    if unicodedata.combining(character):
        return f"◌{character}" if differs else None
    hidden = unicodedata.category(character) in _HIDDEN or character in _HIDDEN_LETTERS
    return _spelled(character) if hidden or "\ufe00" <= character <= "\ufe0f" else None


def _name(character: str) -> str:
    return _NAMES.get(character) or unicodedata.name(character, f"U+{ord(character):04X}").lower()


@dataclass(frozen=True)
class Waiver:
    """A waiver that was used: its reason, and what it excuses."""

    reason: str
    excuses: tuple[str, ...]


def waivers(table: TableResult) -> tuple[Waiver, ...]:
    """The waivers that excuse something of the table, in the order of the levels."""
    excused: defaultdict[str, list[str]] = defaultdict(list)
    for schema in table.schema_findings:
        if schema.waiver is not None:
            excused[schema.waiver].append(f"{schema.aspect} of {schema.column or 'the table'}")
    for metric in table.metrics:
        if metric.waiver is not None:
            excused[metric.waiver].append(f"{metric.metric} of {metric.column or 'the table'}")
    for cause in table.causes:
        if cause.waiver is not None:
            excused[cause.waiver].append(str(cause))
    rows = Counter((row.waiver, row.kind) for row in table.rows if row.waiver is not None)
    for (reason, kind), count in rows.items():
        excused[reason].append(f"{count:,} {kind.value} row{'s' if count > 1 else ''} of those listed")
    return tuple(Waiver(reason, tuple(excuses)) for reason, excuses in excused.items())


@dataclass(frozen=True)
class BucketBar:
    """Lengths are those of SVG: per cent from the left, pixels from the top."""

    left: str
    width: str
    top: float
    height: float
    title: str


@dataclass(frozen=True)
class BucketPlot:
    """Where in the table the differences are."""

    bars: tuple[BucketBar, ...]
    highest: int
    explanation: str


def bucket_plot(buckets: Sequence[BucketFinding], coverage: Coverage) -> BucketPlot | None:
    """A bar per differing bucket; as high as it has rows, on the side that has more.

    None when no bucket differs, and when there is only one: it has no place among others.
    """
    every = max(coverage.buckets, len(buckets))
    if not buckets or every == 1:
        return None
    slots = min(SLOTS, every)
    in_slot: defaultdict[int, list[BucketFinding]] = defaultdict(list)
    for bucket in sorted(buckets, key=lambda bucket: bucket.position):
        in_slot[min(slots - 1, int(bucket.position * slots + 1e-9))].append(bucket)
    rows = {
        slot: sum(max(bucket.source_rows, bucket.target_rows) for bucket in found) for slot, found in in_slot.items()
    }
    highest = max(rows.values())
    bars = []
    for slot, found in in_slot.items():
        height = max(3.0, round(PLOT_HEIGHT * rows[slot] / max(1, highest), 1))
        names = found[0].bucket if len(found) == 1 else f"{len(found)} buckets, {found[0].bucket} to {found[-1].bucket}"
        bars.append(
            BucketBar(
                _per_cent(slot / slots),
                _per_cent(1 / slots),
                PLOT_HEIGHT - height,
                height,
                f"{names}: {rows[slot]:,} rows",
            )
        )
    first, last = min(in_slot), max(in_slot) + 1
    explanation = (
        f"{len(buckets):,} of {every:,} buckets differ, "
        f"{'all ' if len(buckets) > 1 else ''}between {first / slots:.0%} and {last / slots:.0%} of the way from the "
        "first bucket to the last. A bar is as high as its differing buckets have rows, on the side with more of them; "
        "not all of these rows need to differ."
    )
    if not coverage.key:
        explanation += " Without a key the buckets are those of a hash: their order says nothing of the rows."
    return BucketPlot(tuple(bars), highest, explanation)


@dataclass(frozen=True)
class Segment:
    """The differences of one cause in the bar of a column."""

    cause: Cause
    letter: str
    series: int
    cells: int
    left: str
    width: str
    middle: str
    labelled: bool


@dataclass(frozen=True)
class ColumnBar:
    """The differences of one column."""

    column: str
    cells: int
    segments: tuple[Segment, ...]

    @property
    def description(self) -> str:
        """What the bar shows, in words."""
        return f"{self.column}: " + ", ".join(f"{part.cells:,} {part.cause.value}" for part in self.segments)


@dataclass(frozen=True)
class ColumnPlot:
    """What the differences are, by column."""

    bars: tuple[ColumnBar, ...]
    left_out: int


def column_plot(table: TableResult) -> ColumnPlot | None:
    """A bar per column, longest first, stacked by cause. None when no cell differs."""
    cells: defaultdict[str, Counter[Cause]] = defaultdict(Counter)
    for group in table.causes:
        cells[group.column][group.cause] += group.cells
    if not table.causes:
        for cell in table.cells:
            cells[cell.column][cell.cause] += 1
    if not cells:
        return None
    letters = {cause: position for position, cause in enumerate(_by_size(cells.values()))}
    longest = max(causes.total() for causes in cells.values())
    bars = []
    for column, causes in sorted(cells.items(), key=lambda item: -item[1].total()):
        segments, before = [], 0
        for cause, count in causes.most_common():
            segments.append(
                Segment(
                    cause=cause,
                    letter=chr(ord("A") + letters[cause]),
                    series=letters[cause] % SERIES + 1,
                    cells=count,
                    left=_per_cent(before / longest),
                    width=_per_cent(count / longest),
                    middle=_per_cent((before + count / 2) / longest),
                    labelled=count / longest > 0.08,
                )
            )
            before += count
        bars.append(ColumnBar(column, causes.total(), tuple(segments)))
    return ColumnPlot(tuple(bars[:PLOTTED_COLUMNS]), max(0, len(bars) - PLOTTED_COLUMNS))


def _by_size(columns: Iterable[Counter[Cause]]) -> list[Cause]:
    together: Counter[Cause] = Counter()
    for causes in columns:
        together.update(causes)
    return [cause for cause, _ in together.most_common()]


def _per_cent(share: float) -> str:
    return f"{100 * share:.3f}%"


def _span(tables: Sequence[TableResult]) -> tuple[datetime, float] | None:
    """When the work on the tables started, in UTC, and how many seconds it went on."""
    if not tables:
        return None
    starts = [_utc(table.started_at) for table in tables]
    ends = [start + timedelta(seconds=table.seconds) for start, table in zip(starts, tables, strict=True)]
    return min(starts), (max(ends) - min(starts)).total_seconds()


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def covered(coverage: Coverage) -> str:
    """What was compared, in a few words."""
    columns, buckets = len(coverage.compared), coverage.buckets
    parts = [f"{columns:,} column{'' if columns == 1 else 's'} compared"]
    if coverage.excluded:
        parts.append(f"{len(coverage.excluded):,} excluded")
    if coverage.skipped:
        parts.append(f"{len(coverage.skipped):,} skipped")
    if buckets:
        parts.append(f"{buckets:,} bucket{'' if buckets == 1 else 's'}")
    return ", ".join(parts)


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB" if count >= 1e3 else f"{count:,} B"


def _finalize(value: object) -> object:
    """What the template does with all that it prints; markup is its own."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_finalize, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "size": _size, "pieces": pieces}
    environment.globals |= {
        "LEVELS": LEVELS,
        "PLOT_HEIGHT": PLOT_HEIGHT,
        "SHOWN_BUCKETS": SHOWN_BUCKETS,
        "SHOWN_CAUSES": SHOWN_CAUSES,
        "SHOWN_CELLS": SHOWN_CELLS,
        "SHOWN_EXCUSES": SHOWN_EXCUSES,
        "SHOWN_FINDINGS": SHOWN_FINDINGS,
        "SHOWN_KEY_COLUMNS": SHOWN_KEY_COLUMNS,
        "SHOWN_QUERIES": SHOWN_QUERIES,
        "SHOWN_ROWS": SHOWN_ROWS,
        "SHOWN_SQL": SHOWN_SQL,
        "SYMBOLS": SYMBOLS,
        "bucket_plot": bucket_plot,
        "column_plot": column_plot,
        "covered": covered,
        "waivers": waivers,
    }
    source = files("migration_assets.validation.reports").joinpath("report_template.html").read_text(encoding="utf-8")
    return environment.from_string(source)
