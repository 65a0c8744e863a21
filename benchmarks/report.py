"""The report: docs/benchmarks.md and its plots, rendered from every docs/benchmarks/sf<N>.json; or a terminal.

    python -m benchmarks.report

renders anew from the files that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from benchmarks.contestants import CONTESTANTS, OURS, Group
from benchmarks.documents import Document
from benchmarks.own import OWN
from benchmarks.results import Results, Row, rows_of
from benchmarks.shapes import READERS, SHAPES

_TITLES: dict[Group, str] = {
    "extraction": "PostgreSQL to Parquet files",
    "job": "PostgreSQL to a DuckDB table",
}

_INTRODUCTION = """\
# Benchmarks

Written by `make bench SF=1 ROUNDS=3`, which needs what `make demo` needs and about four gigabytes more for the peers'
environments and the data. Tables of TPC-H, made by tpchgen-cli, stand in an embedded PostgreSQL on the same machine as
the contestants; it has the demo's settings (no fsync) and PostgreSQL's defaults beside them (128 MB of shared buffers).
Every table is read once before the first round, so it comes from the page cache. In each round every contestant has its
turn on every table, as a new process with an empty folder; figures are medians of the rounds.
"""

_LEGEND = """\
## What the figures mean

- **wall**: from the start of the process to its exit, with the smallest and largest of the rounds. The start of Python
  and the imports are in it, which a long-running service pays once.
- **work**: from the first connection to the last closed file, as the contestant's own script takes it. For this
  program: the plan and Dagster's run of the staged asset, with the source's own count of the table beside.
- **CPU**: seconds of the contestant's processes, and of all of the server's, in ticks of 10 ms.
- **memory**: the most that the contestant's processes held (resident set, shared libraries included).
- **output**: the Parquet files, or the database file. **left**: all files that remain, the output included; for this
  program's job also the staged Parquet files, the ledger and Dagster's records.
- **wall ratio, work ratio**: the figure divided by this program's; above 1 it is slower than this program.
- **contents**: a count and sums of hashes of all rows against the source's. `exact`: the declared types and values.
  `values equal`: after casts from the types that are named. `DIFFERENT` says where.

## What to know

- The contestants' code is in `benchmarks/peers`: what a user of each tool would write who has read its manual, over two
  connections where the tool can use two. The fastest setting of a tool on another machine may be another one.
- Source and contestants share the cores, so CPU of the server counts against everybody.
- Types that a tool makes of its own accord are named under contents. Decimals that come as DOUBLE are equal here after
  a cast, because TPC-H has no more than 15 digits; longer ones would not be.
- ADBC and dlt's PyArrow backend read over one connection. ConnectorX reads its two ranges in two transactions, so rows
  that are written meanwhile may show in one and not in the other; DuckDB and this program read one snapshot.
- DuckDB, ConnectorX and ADBC stage, prove and resume nothing. This program's job does all of it: plan, Parquet files on
  the stage, load table, publish, and the checks `schema` and `row_count`; the row with metrics also compares counts,
  sums and extremes of every column of source and target, the one with all checks the fingerprint of all rows as well.
- Since 1.0 ingestr downloads its program when it first runs; where that fails, its row says so. Release 0.14 is Python
  throughout and needs no download.
"""


def document() -> Document[Results]:
    """What is written of all runs."""
    # Imported here: a partial run has no use for it.
    from benchmarks.plots import write_plots

    return Document("benchmarks", Results.model_validate_json, _lines, write_plots)


def print_results(results: Results) -> None:
    """Prints a run on the terminal, in lines that are as long as they need to be."""
    for group, title in _TITLES.items():
        for table in results.tables:
            rows = _group_rows(results, group, table)
            if rows:
                print(f"\n{title}: {table}")
                lines = [_header(group), *_cells(group, rows)]
                widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
                for first, *figures, last in lines:
                    right = (figure.rjust(width) for figure, width in zip(figures, widths[1:-1], strict=True))
                    print("  ".join([first.ljust(widths[0]), *right, last]))
    for shape, *cells in _shape_cells(results):
        print(f"{shape}: {'; '.join(cells)}")
    for line in _own_lines(results):
        print(line)


def _lines(kept: Sequence[Results]) -> Iterator[str]:
    yield _INTRODUCTION
    for name, alternative in (("extraction", "to Parquet files"), ("job", "to a DuckDB table")):
        yield f"![lineitem {alternative}: wall and CPU seconds](benchmarks/{name}.svg)\n"
    for results in kept:
        yield from _scale_factor(results)
    yield _LEGEND.rstrip()


def _scale_factor(results: Results) -> Iterator[str]:
    machine = results.machine
    yield f"## Scale factor {results.scale_factor}\n"
    yield (
        f"{results.date}, commit {results.commit}, rounds: {results.rounds}. {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory_bytes / 2**30:.0f} GB of memory, {machine.system}.\n"
    )
    for name, packages in results.versions.items():
        yield f"- {name}: {', '.join(f'{package} {version}' for package, version in packages.items())}"
    yield ""
    for group, title in _TITLES.items():
        yield f"### {title}\n"
        for table, figures in results.tables.items():
            rows = _group_rows(results, group, table)
            yield f"**{table}**: {figures.rows:,} rows, {figures.bytes / 1e6:,.0f} MB in the source\n"
            yield from _markdown(_header(group), _cells(group, rows))
            yield ""
    if results.shapes:
        yield "### Other shapes, to Parquet files\n"
        yield from _markdown(_SHAPE_HEADER, _shape_cells(results))
        yield ""
    yield "### This program alone\n"
    yield from (f"- {line}" for line in _own_lines(results))
    yield ""


_SHAPE_HEADER = ["", *(f"{label}: work s, CPU client / server, MB" for label in READERS.values()), "contents"]


def _shape_cells(results: Results) -> Iterator[list[str]]:
    for shape, (description, _, _, rows) in SHAPES.items():
        cells = []
        for reader in READERS:
            samples = [sample for sample in results.shapes if (sample.shape, sample.reader) == (shape, reader)]
            if samples:
                work, client, server, memory = (
                    median(getattr(sample, name) for sample in samples)
                    for name in ("work", "client_cpu", "server_cpu", "memory")
                )
                cells.append(f"{work:.2f}, {client:.1f} / {server:.1f}, {memory / 1e6:,.0f}")
        if cells:
            yield [shape, *cells, f"{description}; {int(rows * float(results.scale_factor)):,} rows"]


def _markdown(header: Sequence[str], cells: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "|".join("---" if name in ("", "contents") else "--:" for name in header) + "|"
    for line in cells:
        yield f"| {' | '.join(_escaped(cell) for cell in line)} |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "/").replace("<", "&lt;")


def _group_rows(results: Results, group: Group, table: str) -> list[Row]:
    names = [name for name, contestant in CONTESTANTS.items() if contestant.group == group]
    return rows_of(results, table, names)


def _header(group: Group) -> list[str]:
    work = ["work s"] if group == "extraction" else []
    ratios = ["wall ratio", "work ratio"] if group == "extraction" else ["wall ratio"]
    cpu = "CPU client / server s"
    return ["", "wall s", "min-max", *work, cpu, "memory MB", "rows/s", "output MB", "left MB", *ratios, "contents"]


def _cells(group: Group, rows: Sequence[Row]) -> Iterator[list[str]]:
    ours = next((row for row in rows if row.contestant == OURS[group] and not row.error), None)
    with_work = group == "extraction"
    width = len(_header(group))
    for row in rows:
        label = CONTESTANTS[row.contestant].label
        if row.error:
            yield [label, *[""] * (width - 2), f"failed: {row.error}"]
            continue
        work = [f"{row.work:.2f}" if row.work is not None else ""] if with_work else []
        ratios = [_ratio(row.wall, ours.wall if ours else None)]
        if with_work:
            ratios.append(_ratio(row.work, ours.work if ours else None))
        yield [
            label,
            f"{row.wall:.2f}",
            f"{row.spread[0]:.2f}-{row.spread[1]:.2f}",
            *work,
            f"{row.client_cpu:.1f} / {row.server_cpu:.1f}",
            f"{row.memory / 1e6:,.0f}",
            f"{row.rows_per_second:,.0f}",
            f"{row.output_bytes / 1e6:,.1f}" if row.contents else "",
            f"{row.disk_bytes / 1e6:,.1f}" if row.contents else "",
            *ratios,
            row.contents or "",
        ]


def _ratio(figure: float | None, ours: float | None) -> str:
    return f"{figure / ours:.2f}" if figure is not None and ours else ""


def _own_lines(results: Results) -> Iterator[str]:
    for name, description in OWN.items():
        samples = [sample for sample in results.own if sample.name == name]
        if samples:
            values = [sample.value for sample in samples]
            details = ", ".join(
                f"{key.replace('_', ' ')} {_number(median(sample.details[key] for sample in samples))}"
                for key in samples[0].details
            )
            spread = f"{min(values):.2f}-{max(values):.2f}"
            yield f"{description}: {median(values):.2f} {samples[0].unit} ({spread}; {details})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"


if __name__ == "__main__":
    document().render()
