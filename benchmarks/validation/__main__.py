"""`make bench-validation`: this program's validation beside its peers, against targets with differences that are known.

    python -m benchmarks.validation --scale-factor 1 --rounds 3 [--contestant NAME]... [--state NAME]...

A whole run writes docs/validation-benchmarks/sf<N>.json and renders docs/validation-benchmarks.md anew; a part of it
only prints.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks import documents
from benchmarks.machine import commit, this_machine, versions
from benchmarks.measure import Measurement, measure
from benchmarks.server import Source, open_source, server_version, warm
from benchmarks.validation.answers import Answer, score
from benchmarks.validation.contestants import CONTESTANTS, OURS, OURS_ALL, Contestant
from benchmarks.validation.report import document, print_results
from benchmarks.validation.results import Results, Sample
from benchmarks.validation.targets import STATES, TABLE, State, Target, make_targets
from demo.postgresql_server import ServerError

_PROJECT = Path(__file__).resolve().parents[2]
_HOME = _PROJECT / ".migration" / "benchmark"
# What an error may quote: a URI holds the password.
_URI = re.compile(r"\w+://\S+")
# A client that is killed must not leave a session that goes on with its query.
_NOTICE_LOST_CLIENTS = {"PGOPTIONS": "-c client_connection_check_interval=500"}


@click.command(help=__doc__.split("\n")[0] if __doc__ else None)
@click.option("--scale-factor", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--contestant", "names", type=click.Choice(list(CONTESTANTS)), multiple=True, help="Only this one.")
@click.option("--state", "states", type=click.Choice(list(STATES)), multiple=True, help="Only this one.")
@click.option("--timeout", type=click.FloatRange(1), default=900.0, show_default=True, help="Seconds of one turn.")
@click.option("--no-report", is_flag=True, help="Print only.")
def main(
    scale_factor: float, rounds: int, names: Sequence[str], states: Sequence[State], timeout: float, no_report: bool
) -> None:
    """Measures, prints, and writes the report of a whole run."""
    chosen = [contestant for name, contestant in CONTESTANTS.items() if name in (names or CONTESTANTS)]
    environments = _HOME / "environments"
    _require_environments(chosen, environments)
    scale = f"{scale_factor:g}"
    try:
        with (
            open_source(_HOME / f"server-sf{scale}", scale) as source,
            TemporaryDirectory(dir=_HOME, prefix="run-") as scratch,
        ):
            rows, size = warm(source, [TABLE.name])[TABLE.name]
            _tell("making the targets")
            targets = make_targets(source, Path(scratch) / "targets")
            wanted = {state: target for state, target in targets.items() if state in (states or STATES)}
            turns = _Turns(source, environments, Path(scratch), timeout)
            results = Results(
                scale_factor=scale,
                rounds=rounds,
                date=datetime.now(timezone.utc).date().isoformat(),
                commit=commit(_PROJECT),
                machine=this_machine(),
                versions=_versions(environments, chosen, server_version(source)),
                rows=rows,
                bytes=size,
                differences={
                    state: dict(Counter(difference.what for difference in target.differences))
                    for state, target in targets.items()
                },
                samples=list(turns.samples(chosen, wanted, rounds)),
            )
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    print_results(results)
    whole = len(chosen) == len(CONTESTANTS) and len(wanted) == len(STATES)
    if whole and not no_report:
        for file in document().write(results):
            _tell(f"wrote {file.relative_to(documents.FOLDER.parent)}")
    elif not no_report:
        _tell("a part of the benchmark: the report stays as it is")
    if any(not sample.is_true for sample in results.samples if sample.contestant in (OURS, OURS_ALL)):
        sys.exit(1)


class _Turns:
    """Runs contestants in turn."""

    def __init__(self, source: Source, environments: Path, scratch: Path, timeout: float) -> None:
        self._source = source
        self._environments = environments
        self._scratch = scratch
        self._timeout = timeout

    def samples(
        self, contestants: Sequence[Contestant], targets: Mapping[State, Target], rounds: int
    ) -> Iterator[Sample]:
        """Every contestant on every state, once a round; what took too long once has no second turn."""
        too_long: set[tuple[str, State]] = set()
        for number in range(1, rounds + 1):
            for state, target in targets.items():
                for contestant in contestants:
                    if state not in contestant.states or (contestant.name, state) in too_long:
                        continue
                    sample = self._run(contestant, target, number)
                    _tell(f"round {number}  {state:10}  {contestant.name:21}  {_told(sample)}")
                    if sample.wall > self._timeout:
                        too_long.add((contestant.name, state))
                    yield sample

    def _run(self, contestant: Contestant, target: Target, number: int) -> Sample:
        file = self._scratch / "answer.json"
        file.unlink(missing_ok=True)
        run = measure(
            contestant.command(target, file, self._environments),
            {**self._source.environment, **_NOTICE_LOST_CLIENTS},
            self._scratch,
            postmaster=self._source.postmaster,
            timeout=self._timeout,
        )
        sample = Sample(
            contestant=contestant.name,
            state=target.state,
            round=number,
            wall=run.wall,
            client_cpu=run.client_cpu,
            server_cpu=run.server_cpu or 0.0,
            memory=run.memory,
            error=self._error(run),
        )
        if sample.error is not None:
            return sample
        answer = Answer.model_validate_json(file.read_text())
        scored = score(answer, target)
        return sample.model_copy(
            update={
                "work": answer.seconds,
                "source_seconds": answer.source_seconds,
                "received_bytes": answer.bytes,
                "received_rows": answer.rows,
                "verdict": answer.verdict,
                "said": answer.said,
                "complete": answer.complete,
                "found": scored.found,
                "missed": scored.missed,
                "false": scored.false,
                "described": scored.described,
                "missed_kinds": scored.missed_kinds,
            }
        )

    def _error(self, run: Measurement) -> str | None:
        """The last line of what a command that failed has written, without addresses."""
        if not run.exit_code:
            return None
        if run.wall > self._timeout:
            return f"not done after {self._timeout:g} s"
        lines = [line.strip() for line in (run.errors or run.output).splitlines() if line.strip()]
        return _URI.sub("(an address)", lines[-1])[:300] if lines else f"exit code {run.exit_code}"


def _told(sample: Sample) -> str:
    if sample.error:
        return sample.error
    return (
        f"{sample.wall:.2f} s, {sample.verdict}: {sample.found} found, {sample.missed} missed, {sample.false} false; "
        f"{sample.said}"
    )


def _versions(environments: Path, contestants: Sequence[Contestant], postgresql: str) -> dict[str, dict[str, str]]:
    wanted = {"this program", *(contestant.environment for contestant in contestants)}
    return {name: found for name, found in versions(environments, postgresql).items() if name in wanted}


def _require_environments(contestants: Sequence[Contestant], environments: Path) -> None:
    wanted = {contestant.environment for contestant in contestants if contestant.environment}
    if missing := sorted(name for name in wanted if not (environments / name / "bin" / "python").exists()):
        raise click.ClickException(
            f"the peers' environments {', '.join(missing)} are missing: run `make bench-validation`"
        )


def _tell(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
