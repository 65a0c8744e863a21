"""`python -m demo`: load the source, migrate it, look at it in the UI, stop.

The source's server ends with the command that started it, unless that command leaves it running on purpose
(`load`, `run --keep`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console

from demo import report, source
from demo.nycflights13 import DATABASE, TABLES, DataError
from demo.postgresql_server import PostgreSQLServer, ServerError

_PROJECT = Path(__file__).resolve().parent.parent
_WORKFLOW = "nycflights13"
_WORKFLOW_FILE = f"workflows/{_WORKFLOW}.json"

# Wide enough for the report when the output is a file.
console = Console(width=None if sys.stdout.isatty() else 110)


@click.group(help=__doc__)
def main() -> None:
    """The commands of the demo."""


@main.command()
def load() -> None:
    """Start the source's server, load its data, and leave it running."""
    server = source.demo_server(bound=False).start()
    _load(server)
    console.print(f"The source listens on {server.host}:{server.port}; `python -m demo stop` stops it.")


@main.command()
@click.option("--keep", is_flag=True, help="Leave the source's server running.")
def run(keep: bool) -> None:
    """Load the source, migrate it, and report. Exit code 1 unless every table is published and checked."""
    with _source(keep=keep) as server:
        environment = _environment(server)
        finished = _migrate(environment)
        status = _status(environment)
    report.show(status, console)
    console.print("Look at the assets, their partitions and checks in the UI: [bold]make ui[/bold]")
    if not (finished and status.complete):
        raise click.ClickException("the migration is not complete; the report and the log say what is missing")


@main.command()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ui(arguments: tuple[str, ...]) -> None:
    """Start the source and the Dagster UI; ARGUMENTS go to `dagster dev` (after `--`)."""
    with _source(keep=False) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", *arguments],
            cwd=_PROJECT,
            env=_environment(server),
        )
        code = _wait_through_interrupts(process)
    sys.exit(code)


@main.command()
def stop() -> None:
    """Stop the source's server; its data stay."""
    source.demo_server(bound=False).stop()
    console.print("The source is stopped.")


@contextmanager
def _source(*, keep: bool) -> Iterator[PostgreSQLServer]:
    """The loaded source. A server that ran before is left as it was found."""
    embedded = source.demo_server(bound=not keep)
    found = embedded.running()
    server = found or embedded.start()
    try:
        _load(server)
        yield server
    finally:
        if not (keep or found):
            embedded.stop()


def _load(server: PostgreSQLServer) -> None:
    started = time.monotonic()
    with console.status(f"Loading {DATABASE} into PostgreSQL"):
        loaded = source.load(server)
    rows = sum(table.rows for table in TABLES)
    if loaded:
        seconds = time.monotonic() - started
        console.print(f"Loaded {rows:,} rows in {len(TABLES)} tables into {DATABASE} in {seconds:.1f} s.")
    else:
        console.print(f"{DATABASE} is loaded: {rows:,} rows in {len(TABLES)} tables.")


def _environment(server: PostgreSQLServer) -> dict[str, str]:
    """What the migration's processes see: the demo's source, and this project's instance unless told else."""
    return {
        "DAGSTER_HOME": str(_PROJECT),
        "DAGSTER_DEPLOYMENT": "local",
        **os.environ,
        "MIGRATION_HOME": str(source.migration_home()),
        **source.environment(server),
    }


def _migrate(environment: dict[str, str]) -> bool:
    """Run the migration's job; whether it succeeded."""
    log = source.demo_home() / "run.log"
    configuration = {"ops": {"migrate_tables": {"config": {"file": _WORKFLOW_FILE}}}}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file, log.open("wb") as output:
        # JSON is YAML.
        json.dump(configuration, file)
        file.flush()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "dagster", "job", "execute"),
                *("-m", "migration_assets.definitions", "-j", "run_workflow", "--config", file.name),
            ],
            cwd=_PROJECT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            code = _show_progress(process, log)
        finally:
            # Reached with a running process only on the way out, as after Ctrl-C, which it received as well.
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=60)
    if code != 0:
        console.print(f"[red]The run failed[/red]; the end of {log}:")
        console.print("\n".join(_last_lines(log, 30)), markup=False, highlight=False)
    return code == 0


def _show_progress(process: subprocess.Popen[bytes], log: Path) -> int:
    started = time.monotonic()
    console.print(f"Migrating {_WORKFLOW_FILE}; log: {log}")
    with console.status("Starting Dagster") as status:
        while True:
            try:
                code = process.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - started
                event = " ".join(_last_lines(log, 1)).rsplit(" - ", 1)[-1]
                status.update(f"{seconds:.0f} s  {event[:80]}")
            else:
                console.print(f"The run took {time.monotonic() - started:.1f} s.")
                return code


def _status(environment: dict[str, str]) -> report.Status:
    answer = subprocess.run(
        # The command is installed beside the interpreter.
        [str(Path(sys.executable).with_name("migrate")), "status", "--workflow", _WORKFLOW, "--json"],
        capture_output=True,
        check=False,
        cwd=_PROJECT,
        env=environment,
        text=True,
        timeout=120,
    )
    if answer.returncode != 0:
        raise click.ClickException(f"`migrate status` failed: {answer.stderr.strip()}")
    try:
        return report.Status.model_validate_json(answer.stdout)
    except ValidationError as error:
        raise click.ClickException(f"`migrate status --json` printed something else: {error}") from error


def _wait_through_interrupts(process: subprocess.Popen[bytes]) -> int:
    """Wait for a child in the foreground, which handles Ctrl-C itself; an impatient second one kills it."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            return process.wait(timeout=30)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.kill()
            return process.wait()


def _last_lines(path: Path, count: int) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 16_384))
        return file.read().decode(errors="replace").splitlines()[-count:]


if __name__ == "__main__":
    try:
        main()
    except (DataError, ServerError) as error:
        sys.exit(f"Error: {error}")
