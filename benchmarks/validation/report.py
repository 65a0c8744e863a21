"""The report: docs/validation-benchmarks.md and its plot, from docs/validation-benchmarks/sf*.json; or a terminal.

    python -m benchmarks.validation.report

renders anew from the files that are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import shorten

from benchmarks.documents import Document
from benchmarks.validation.contestants import CHECKSUM, CONTESTANTS, COUNTS, OURS, OURS_ALL
from benchmarks.validation.results import Results, Row, row_of
from benchmarks.validation.targets import STATES, State

_MOST_WORDS = 600
"""Characters of what a contestant says of itself."""

_INTRODUCTION = """\
# Validation benchmarks

Written by `make bench-validation SF=1 ROUNDS=3`. TPC-H's lineitem, made by tpchgen-cli, stands in an embedded
PostgreSQL and is compared with copies of it in files of the embedded warehouse (DuckDB), all on one machine. One copy
is the same; in the others, rows were made to differ, and every row that a contestant finds is held against the list of
these. In each round every contestant has its turn on every copy, as a new process; figures are medians of the rounds.
The source table is read once before the first round, so it comes from the page cache.
"""

_LEGEND = """\
## What the figures mean

- **wall**: from the start of the process to its exit, with the smallest and largest of the rounds. The start of Python
  and the imports are in it, which a long-running service pays once.
- **work**: from the first connection to the verdict. **source**: seconds that queries of the source took, one after
  another, where they are known; this program asks source and target at the same time, so both share the cores.
- **CPU**: seconds of the contestant's process, in which DuckDB works on the target, and of all of PostgreSQL's.
- **memory**: the most that the contestant's process held (resident set, shared libraries included).
- **came back**: the length, as text, of all values that the queries of both sides returned; of long answers, reladiff's
  script looks at the first rows only.
- **found, missed, false**: rows, of those made to differ; the worst of the rounds. **described**: rows found whose kind
  (missing, extra, changed, duplicated) and differing columns the contestant itself tells as they are. **not all
  located**: the contestant itself says that there are more differences than it names.

## What to know

- *One checksum over the source alone* is `count(*)` and the sum of 60 bits of the MD5 of every row's text, with as many
  parallel workers as this program's queries of the source have (one). It says nothing of the target: it is there as the
  least that reading and hashing every value of the source costs.
- reladiff's code is in `benchmarks/peers/reladiff_rows.py`: hashdiff with its defaults, by the primary key, over all
  columns. It refuses to compare a PostgreSQL date with a DuckDB date, so the same is measured over views of both sides
  that have the dates as text; with two threads a database as well, as its manual advises for PostgreSQL.
- A row that is there twice is told as an additional line by reladiff, which counts as found here.
- Row counts are what many loading tools compare. Here the 100 scattered differences change the count, and the
  systematic one doesn't.
- Source, target and contestants share the cores, so everybody's CPU counts against everybody.
"""


def document() -> Document[Results]:
    """What is written of all runs."""
    # Imported here: a partial run has no use for it.
    from benchmarks.validation.plots import write_plot

    return Document("validation-benchmarks", Results.model_validate_json, _lines, write_plot)


def print_results(results: Results) -> None:
    """Prints a run on the terminal, in lines that are as long as they need to be."""
    for state, title in STATES.items():
        cells = _cells(results, state)
        if cells:
            print(f"\n{title}")
            lines = [_HEADER, *cells]
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            for first, *figures, last in lines:
                right = (figure.rjust(width) for figure, width in zip(figures, widths[1:-1], strict=True))
                print("  ".join([first.ljust(widths[0]), *right, last]))
    print()
    for line in (*_ratio_lines(results), *_missed_lines(results)):
        print(line)


def _lines(kept: Sequence[Results]) -> Iterator[str]:
    yield _INTRODUCTION
    yield "![seconds of work on each target](validation-benchmarks/work.svg)\n"
    for results in kept:
        yield from _scale_factor(results)
    yield _LEGEND.rstrip()


def _scale_factor(results: Results) -> Iterator[str]:
    machine = results.machine
    yield f"## Scale factor {results.scale_factor}\n"
    yield (
        f"{results.date}, commit {results.commit}, rounds: {results.rounds}. {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory_bytes / 2**30:.0f} GB of memory, {machine.system}. "
        f"lineitem: {results.rows:,} rows, {results.bytes / 1e6:,.0f} MB in the source.\n"
    )
    for name, packages in results.versions.items():
        yield f"- {name}: {', '.join(f'{package} {version}' for package, version in packages.items())}"
    yield ""
    for state, title in STATES.items():
        yield f"### {title[0].upper()}{title[1:]}\n"
        if state == "scattered":
            kinds = ", ".join(f"{what} ({rows})" for what, rows in results.differences[state].items())
            yield f"Rows, by what was done to them: {kinds}.\n"
        yield f"| {' | '.join(_HEADER)} |"
        yield "|" + "|".join("---" if name in ("", "verdict") else "--:" for name in _HEADER) + "|"
        for cells in _cells(results, state):
            yield f"| {' | '.join(cell.replace('|', '/').replace('<', '&lt;') for cell in cells)} |"
        yield ""
        for name in (OURS, OURS_ALL):
            row = row_of(results, name, state)
            if row and not row.error:
                said = shorten(row.worst.said, _MOST_WORDS, placeholder=" …")
                yield f"{_capitalized(CONTESTANTS[name].label)}, in its own words: {said}\n"
    yield "### Ratios\n"
    yield from (f"- {line}" for line in _ratio_lines(results))
    missed = list(_missed_lines(results))
    if missed:
        yield "\n### What was missed, or found where nothing differs\n"
        yield from (f"- {line}" for line in missed)
    yield ""


_HEADER = [
    "",
    *("wall s", "min-max", "work s", "source s", "CPU client / server s", "memory MB", "came back kB"),
    *("found", "missed", "false", "described", "verdict"),
]


def _cells(results: Results, state: State) -> list[list[str]]:
    lines = []
    for name, contestant in CONTESTANTS.items():
        row = row_of(results, name, state)
        if row is None:
            continue
        if row.error:
            lines.append([contestant.label, *[""] * (len(_HEADER) - 2), f"failed: {row.error}"])
            continue
        worst = row.worst
        figures = [
            f"{row.wall:.2f}",
            f"{row.spread[0]:.2f}-{row.spread[1]:.2f}",
            f"{row.work:.2f}",
            f"{row.source_seconds:.2f}" if row.source_seconds is not None else "",
            f"{row.client_cpu:.1f} / {row.server_cpu:.1f}",
            f"{row.memory / 1e6:,.0f}",
            f"{row.received_bytes / 1e3:,.1f}",
        ]
        if name == CHECKSUM:
            lines.append([contestant.label, *figures, *[""] * 5])
            continue
        described = f"{worst.described:,}" if worst.described is not None else ""
        verdict = worst.verdict if worst.complete or name == COUNTS else f"{worst.verdict}, not all located"
        scores = [f"{worst.found:,}", f"{worst.missed:,}", f"{worst.false:,}", described, verdict]
        lines.append([contestant.label, *figures, *scores])
    return lines


def _ratio_lines(results: Results) -> Iterator[str]:
    """What this program's rows cost, measured by the one checksum, and by its own run on equal rows."""
    floor, equal = _completed(results, CHECKSUM, "equal"), _completed(results, OURS, "equal")
    if floor and equal:
        yield f"one checksum over the source alone: {floor.work:.2f} s"
        yield (
            f"equal rows, queries of the source over the checksum: {(equal.source_seconds or 0) / floor.work:.2f} "
            "(wanted: below 1.3)"
        )
        yield f"equal rows, CPU of the source over the checksum's: {equal.server_cpu / floor.server_cpu:.2f}"
        yield f"equal rows, work over the checksum: {equal.work / floor.work:.2f}"
        yield f"equal rows, wall over the checksum: {equal.wall / floor.work:.2f}"
    if equal:
        yield f"equal rows, what came back: {equal.received_bytes / 1e6:.3f} MB (wanted: below 1 MB)"
        for state in STATES:
            row = _completed(results, OURS, state)
            if state != "equal" and row:
                wanted = " (wanted: below 2)" if state == "scattered" else ""
                yield (
                    f"{state} differences, work over that on equal rows: {row.work / equal.work:.2f}, "
                    f"wall: {row.wall / equal.wall:.2f}{wanted}"
                )


def _completed(results: Results, contestant: str, state: State) -> Row | None:
    row = row_of(results, contestant, state)
    return row if row and not row.error else None


def _missed_lines(results: Results) -> Iterator[str]:
    for state in STATES:
        for name, contestant in CONTESTANTS.items():
            row = _completed(results, name, state)
            if row is None or row.worst.is_exact:
                continue
            kinds = [f"{what} ({count:,})" for what, count in row.worst.missed_kinds.items()]
            false = [f"{row.worst.false:,} rows that don't differ"] if row.worst.false else []
            told = [f"missed {', '.join(kinds)}"] if kinds else []
            yield f"{state}, {contestant.label}: {'; '.join([*told, *(f'found {text}' for text in false)])}"


def _capitalized(text: str) -> str:
    return text[0].upper() + text[1:]


if __name__ == "__main__":
    document().render()
