"""Plots of a run: for each contestant on lineitem, wall seconds, and below them CPU seconds of client and server."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.contestants import CONTESTANTS, OURS, Group
from benchmarks.results import Results, rows_of

_TABLE = "lineitem"
_OURS_COLOR, _PEER_COLOR, _CLIENT_COLOR, _SERVER_COLOR = "#1f6f8b", "#8a8f98", "#c9ced6", "#e6b566"
_BAR = 0.36

# The same picture is the same file: no random ids, no date, text as text.
mpl.rcParams["svg.hashsalt"] = "benchmarks"
mpl.rcParams["svg.fonttype"] = "none"


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Draws a plot per group, as PNG and SVG.

    Returns:
        The files written.
    """
    files = []
    groups: tuple[Group, ...] = ("extraction", "job")
    for group in groups:
        figure = _draw(results, group)
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            file = folder / f"{group}.{suffix}"
            figure.savefig(file, metadata=metadata, dpi=150)
            files.append(file)
    return files


def _draw(results: Results, group: Group) -> Figure:
    names = [name for name, contestant in CONTESTANTS.items() if contestant.group == group]
    rows = [row for row in rows_of(results, _TABLE, names) if not row.error]
    rows.sort(key=lambda row: row.wall)
    figure = Figure(figsize=(9, 0.8 + 0.62 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        ours = row.contestant == OURS[group]
        axes.barh(place - _BAR / 2, row.wall, _BAR, color=_OURS_COLOR if ours else _PEER_COLOR)
        axes.text(row.wall, place - _BAR / 2, f" {row.wall:.1f} s", va="center", fontsize=8)
        axes.barh(place + _BAR / 2, row.client_cpu, _BAR, color=_CLIENT_COLOR)
        axes.barh(place + _BAR / 2, row.server_cpu, _BAR, left=row.client_cpu, color=_SERVER_COLOR)
        cpu = row.client_cpu + row.server_cpu
        axes.text(cpu, place + _BAR / 2, f" {row.client_cpu:.1f} + {row.server_cpu:.1f} CPU-s", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [CONTESTANTS[row.contestant].label for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("seconds: wall above; below it CPU of the client (grey) and of the server (yellow)")
    axes.set_title(f"{_TABLE}, {results.tables[_TABLE].rows:,} rows, scale factor {results.scale_factor}", fontsize=10)
    axes.margins(x=0.22)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
