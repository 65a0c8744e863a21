"""A plot of a run: for each target, the seconds of work of each contestant."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.validation.contestants import CHECKSUM, CONTESTANTS, OURS, OURS_ALL
from benchmarks.validation.results import Results, Row, row_of
from benchmarks.validation.targets import STATES, State

_COLORS = {OURS: "#1f6f8b", OURS_ALL: "#1f6f8b", CHECKSUM: "#e6b566"}
_PEER_COLOR = "#8a8f98"

# The same picture is the same file: no random ids, no date, text as text.
mpl.rcParams["svg.hashsalt"] = "benchmarks"
mpl.rcParams["svg.fonttype"] = "none"


def write_plot(results: Results, folder: Path) -> list[Path]:
    """Draws the plot as PNG and SVG.

    Returns:
        The files written.
    """
    rows = {state: _rows(results, state) for state in STATES}
    heights = [len(of_state) + 1 for of_state in rows.values()]
    figure = Figure(figsize=(9, 0.9 + 0.34 * sum(heights)), layout="constrained")
    parts = figure.subplots(len(STATES), sharex=True, height_ratios=heights)
    for axes, (state, of_state) in zip(parts, rows.items(), strict=True):
        _draw(axes, state, of_state)
    parts[-1].set_xlabel("seconds from the first connection to the verdict")
    figure.suptitle(f"lineitem, {results.rows:,} rows, scale factor {results.scale_factor}", fontsize=10)
    files = []
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        file = folder / f"work.{suffix}"
        figure.savefig(file, metadata=metadata, dpi=150)
        files.append(file)
    return files


def _rows(results: Results, state: State) -> list[Row]:
    rows = (row_of(results, name, state) for name in CONTESTANTS)
    return [row for row in rows if row is not None]


def _draw(axes: Axes, state: State, rows: list[Row]) -> None:
    for place, row in enumerate(rows):
        axes.barh(place, 0 if row.error else row.work, 0.6, color=_COLORS.get(row.contestant, _PEER_COLOR))
        axes.text(0 if row.error else row.work, place, f" {_label(row)}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [CONTESTANTS[row.contestant].label for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_title(STATES[state], fontsize=9, loc="left")
    axes.margins(x=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _label(row: Row) -> str:
    worst = row.worst
    if row.error:
        return f"failed: {row.error}" if len(row.error) < 40 else "failed"
    figure = f"{row.work:.2f} s"
    if row.contestant == CHECKSUM:
        return figure
    known = worst.found + worst.missed
    found = f"{worst.found:,} of {known:,} found" if known else "nothing differs"
    return f"{figure}, {found}{f', {worst.false:,} false' if worst.false else ''}"
