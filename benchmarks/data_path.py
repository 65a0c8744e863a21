"""`make bench`: this program beside its peers, on TPC-H in a local PostgreSQL, in turn and on the same work.

    python -m benchmarks.data_path --scale-factor 1 --rounds 3 [--only GROUPS] [--tables NAMES] [--contestants NAMES]

A whole run writes docs/benchmarks/sf<N>.json and renders docs/benchmarks.md anew; a part of it only prints.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks import contents, documents
from benchmarks.contestants import CONTESTANTS, OURS, Contestant, Task
from benchmarks.machine import commit, this_machine, versions
from benchmarks.measure import Measurement, measure
from benchmarks.own import OwnError, measure_own
from benchmarks.report import document, print_results
from benchmarks.results import OwnSample, Results, Sample, SourceTable
from benchmarks.server import TABLES, Source, open_source, server_version, warm
from benchmarks.shapes import measure_shapes
from demo.postgresql_server import ServerError

_PROJECT = Path(__file__).resolve().parent.parent
_HOME = _PROJECT / ".migration" / "benchmark"
_GROUPS = ("extraction", "job", "shapes", "own")
# What an error may quote: a URI holds the password.
_URI = re.compile(r"\w+://\S+")


class _Names(click.ParamType[list[str]]):
    """A comma-separated list of known names."""

    name = "names"

    def __init__(self, known: list[str]) -> None:
        self._known = known

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """The names in the order in which they are known."""
        if isinstance(value, list):
            return value
        wanted = [name.strip() for name in str(value).split(",")]
        if unknown := [name for name in wanted if name not in self._known]:
            self.fail(f"{', '.join(unknown)}: use some of {', '.join(self._known)}", param, ctx)
        return [name for name in self._known if name in wanted]


@click.command(help=__doc__.split("\n")[0] if __doc__ else None)
@click.option("--scale-factor", type=click.FloatRange(0, 1000, min_open=True), default=1.0, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--only", "groups", type=_Names(list(_GROUPS)), default=list(_GROUPS), help=", ".join(_GROUPS))
@click.option("--tables", type=_Names(list(TABLES)), default=list(TABLES), help=", ".join(TABLES))
@click.option("--contestants", type=_Names(list(CONTESTANTS)), default=list(CONTESTANTS), help=", ".join(CONTESTANTS))
@click.option("--no-report", is_flag=True, help="Print only.")
def main(
    scale_factor: float, rounds: int, groups: list[str], tables: list[str], contestants: list[str], no_report: bool
) -> None:
    """Measures, prints, and writes the report of a whole run."""
    chosen = [CONTESTANTS[name] for name in contestants if CONTESTANTS[name].group in groups]
    if not chosen and not {"own", "shapes"} & set(groups):
        raise click.UsageError("none of these contestants is in these groups")
    environments = _HOME / "environments"
    _require_environments([*chosen, *([CONTESTANTS["duckdb-parquet"]] if "shapes" in groups else [])], environments)
    scale = f"{scale_factor:g}"
    folder = _HOME / f"server-sf{scale}"
    try:
        with open_source(folder, scale) as source, TemporaryDirectory(dir=_HOME, prefix="run-") as scratch:
            figures = warm(source, list(TABLES))
            samples = list(_samples(source, folder, Path(scratch), environments, chosen, tables, rounds))
            shapes = []
            if "shapes" in groups:
                for shaped in measure_shapes(source, rounds, scale_factor, environments, Path(scratch)):
                    _tell(f"round {shaped.round}  {shaped.shape}, {shaped.reader}: {shaped.work:.2f} s")
                    shapes.append(shaped)
            own: list[OwnSample] = []
            if "own" in groups:
                for found in measure_own(source, rounds, figures["lineitem"][1], Path(scratch)):
                    _tell(f"round {found.round}  {found.name}: {found.value:.2f} {found.unit}")
                    own.append(found)
            results = Results(
                scale_factor=scale,
                rounds=rounds,
                date=datetime.now(timezone.utc).date().isoformat(),
                commit=commit(_PROJECT),
                machine=this_machine(),
                versions=versions(environments, server_version(source)),
                tables={name: SourceTable(rows=rows, bytes=size) for name, (rows, size) in figures.items()},
                samples=samples,
                own=own,
                shapes=shapes,
            )
    except (ServerError, OwnError) as error:
        raise click.ClickException(str(error)) from error
    print_results(results)
    whole = len(groups) == len(_GROUPS) and len(tables) == len(TABLES) and len(contestants) == len(CONTESTANTS)
    if whole and not no_report:
        for file in document().write(results):
            _tell(f"wrote {file.relative_to(documents.FOLDER.parent)}")
    elif not no_report:
        _tell("a part of the benchmark: the report stays as it is")
    if any(sample.error or contents.is_different(sample.contents or "") for sample in samples if _is_ours(sample)):
        sys.exit(1)


def _samples(
    source: Source,
    server: Path,
    scratch: Path,
    environments: Path,
    contestants: list[Contestant],
    tables: list[str],
    rounds: int,
) -> Iterator[Sample]:
    """Every contestant in turn, on every table, once a round."""
    references = {}
    if any(contestant.output for contestant in contestants):
        references = {name: contents.reference(source, TABLES[name], server) for name in tables}
    for number in range(1, rounds + 1):
        for name in tables:
            for contestant in contestants:
                with TemporaryDirectory(dir=scratch) as folder:
                    task = Task(TABLES[name], Path(folder), source, environments)
                    sample = _run(contestant, task, number, scratch, references.get(name))
                told = sample.error or f"{sample.wall:.2f} s, {sample.contents or 'writes nothing'}"
                _tell(f"round {number}  {name:9} {contestant.name:27} {told}")
                yield sample


def _run(contestant: Contestant, task: Task, number: int, scratch: Path, wanted: contents.Fingerprint | None) -> Sample:
    """Runs one contestant and looks at what it has written."""
    start = contestant.start(task)
    environment = {**task.source.environment, **start.environment}
    run = measure(start.command, environment, scratch, postmaster=task.source.postmaster)
    files = sorted(task.folder.glob(contestant.output.format(table=task.table.name))) if contestant.output else []
    verdict = None
    if contestant.output and wanted and not run.exit_code:
        if contestant.group == "extraction":
            verdict = contents.compare_parquet(files, task.table, wanted)
        elif len(files) == 1:
            verdict = contents.compare_database(files[0], task.table, wanted)
        else:
            verdict = f"DIFFERENT: {len(files)} database files"
    return Sample(
        contestant=contestant.name,
        table=task.table.name,
        round=number,
        wall=run.wall,
        work=_told_seconds(run),
        client_cpu=run.client_cpu,
        server_cpu=run.server_cpu or 0.0,
        memory=run.memory,
        output_bytes=sum(file.stat().st_size for file in files),
        disk_bytes=sum(file.stat().st_size for file in task.folder.rglob("*") if file.is_file()),
        contents=verdict,
        error=_error(run),
    )


def _told_seconds(run: Measurement) -> float | None:
    last = (run.output.splitlines() or [""])[-1]
    return float(json.loads(last)["seconds"]) if last.startswith('{"seconds"') else None


def _error(run: Measurement) -> str | None:
    """The last line of what a command that failed has written, without addresses."""
    if not run.exit_code:
        return None
    lines = [line.strip() for line in (run.errors or run.output).splitlines() if line.strip()]
    return _URI.sub("(an address)", lines[-1])[:300] if lines else f"exit code {run.exit_code}"


def _require_environments(contestants: list[Contestant], environments: Path) -> None:
    wanted = {contestant.environment for contestant in contestants if contestant.environment}
    if missing := sorted(name for name in wanted if not (environments / name / "bin" / "python").exists()):
        raise click.ClickException(f"the peers' environments {', '.join(missing)} are missing: run `make bench`")


def _is_ours(sample: Sample) -> bool:
    return sample.contestant in (*OURS.values(), "migration-run-metrics", "migration-run-checks")


def _tell(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
