"""`migrate check | plan | run | validate | status | errors | reset | schema`: results on stdout, all else on stderr.

Exit codes: 0 done, 1 something failed or differs, 2 the input (file, option, environment) is wrong, or `validate`
could not prove that nothing differs.
"""

from __future__ import annotations

import gc
import json
import re
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import NoReturn, ParamSpec

import click
from dotenv import load_dotenv

from migration_assets.validation.results import Verdict
from migration_assets.workflow import (
    SOURCE_PLATFORMS,
    Workflow,
    WorkflowError,
    json_schema,
    load_file,
    validation_json_schema,
)

# How Dagster names an environment variable that a resource wants and nobody has set.
_UNSET_VARIABLE = re.compile(r'environment variable "(\w+)"')

FAILED = 1
WRONG_INPUT = 2
NOT_PROVEN = 2

_Parameters = ParamSpec("_Parameters")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Migrate tables from other database systems, as workflow files say."""


_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
_file = click.argument("file", type=click.Path(path_type=Path))
_platform = click.option(
    "--source-platform",
    type=click.Choice(list(SOURCE_PLATFORMS)),
    help="Platform of the source, when the file doesn't name it.",
)
_workflow = click.option("--workflow", "-w", help="Only this workflow.")


def _command(function: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Turns errors of the input into exit code 2 with their text."""

    @wraps(function)
    def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        from dagster import DagsterInvalidConfigError

        from migration_assets.deployments import UnknownDeploymentError

        load_dotenv(Path(".env"))
        try:
            function(*args, **kwargs)
        except (WorkflowError, UnknownDeploymentError) as error:
            _fail(str(error), WRONG_INPUT)
        except DagsterInvalidConfigError as error:
            told = "\n".join(detail.message for detail in error.errors)
            unset = sorted(set(_UNSET_VARIABLE.findall(told)))
            _fail(f"set {', '.join(unset)}, in the environment or in .env" if unset else told, WRONG_INPUT)

    return run


@main.command()
@_file
@_platform
@_as_json
@_command
def check(file: Path, source_platform: str | None, as_json: bool) -> None:
    """Check a workflow FILE, without any connection."""
    try:
        workflow = load_file(file, source_platform)
    except WorkflowError as error:
        if as_json:
            problems = [
                {"path": problem.path, "message": problem.message, "cure": problem.cure} for problem in error.problems
            ]
            _print_json({"file": str(file), "valid": False, "problems": problems})
            sys.exit(WRONG_INPUT)
        raise
    if as_json:
        _print_json({"file": str(file), "valid": True, "workflow": workflow.name, "problems": []})
    else:
        click.echo(f"{file}: workflow {workflow.name}, {len(workflow.tables)} tables, no problems")


@main.command()
@_file
@_platform
@_as_json
@_command
def plan(file: Path, source_platform: str | None, as_json: bool) -> None:
    """Show what a workflow FILE would move, and how. Moves nothing."""
    from migration_assets.cli.reports import plan_as_json, print_plan
    from migration_assets.cli.session import plan_workflow

    workflow = _migration(file, source_platform)
    plans, problems, reading = plan_workflow(workflow)
    if as_json:
        _print_json(
            {
                "workflow": workflow.name,
                "reading": reading,
                "tables": [plan_as_json(table_plan) for table_plan in plans],
                "problems": problems,
            }
        )
    else:
        print_plan(plans, reading)
        for problem in problems:
            click.echo(problem, err=True)
    if problems:
        sys.exit(WRONG_INPUT)


@main.command()
@_file
@_platform
@click.option("--fresh", is_flag=True, help="Plan anew instead of going on with what was broken off.")
@click.option("--metrics/--no-metrics", default=True, help="Compare metrics of source and target.")
@click.option("--fingerprint/--no-fingerprint", default=True, help="Compare fingerprints of source and target.")
@_as_json
@_command
def run(file: Path, source_platform: str | None, fresh: bool, metrics: bool, fingerprint: bool, as_json: bool) -> None:
    """Move every table of a workflow FILE and check it; go on where the last run was broken off."""
    from migration_assets.cli.reports import print_status
    from migration_assets.cli.session import migrate_workflow, workflow_status

    # Imported for good: without this every collection of garbage walks through all of Dagster.
    gc.freeze()
    workflow = _migration(file, source_platform)
    succeeded = migrate_workflow(workflow, file, source_platform, fresh=fresh, metrics=metrics, fingerprint=fingerprint)
    status = workflow_status(workflow.name)
    if as_json:
        _print_json(status)
    else:
        print_status(status)
    if not succeeded:
        sys.exit(FAILED)


@main.command()
@_file
@_platform
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the HTML report here, too.")
@_as_json
@_command
def validate(file: Path, source_platform: str | None, report: Path | None, as_json: bool) -> None:
    """Compare the tables of a workflow FILE with their targets.

    FILE is a validation workflow, or a migration workflow whose tables are compared whole. Exit code 0: all are
    equal or excused by waivers; 1: something differs; 2: not proven, or the input is wrong.
    """
    from migration_assets.cli.session import SessionError, validate_workflow
    from migration_assets.cli.validation_reports import print_validation, validation_as_json
    from migration_assets.validation.reports.html import render

    try:
        result, written = validate_workflow(file, source_platform)
    except SessionError as error:
        _fail(str(error), WRONG_INPUT)
    if report is not None:
        report.write_text(render(result), encoding="utf-8")
        written = report
    if as_json:
        _print_json(validation_as_json(result))
    else:
        print_validation(result, written)
    if result.verdict is Verdict.FAIL:
        sys.exit(FAILED)
    if result.verdict is Verdict.INCONCLUSIVE:
        sys.exit(NOT_PROVEN)


@main.command()
@_workflow
@_as_json
@_command
def status(workflow: str | None, as_json: bool) -> None:
    """Show workflows and tables: rows, partitions, checks."""
    from migration_assets.cli.reports import print_status
    from migration_assets.cli.session import workflow_status

    found = workflow_status(workflow)
    if workflow is not None and not found["workflows"]:
        _fail(f"there is no workflow {workflow} in the ledger", WRONG_INPUT)
    if as_json:
        _print_json(found)
    else:
        print_status(found)


@main.command()
@_workflow
@_as_json
@_command
def errors(workflow: str | None, as_json: bool) -> None:
    """Show the first error of every failed partition, table and file."""
    from migration_assets.cli.reports import print_errors
    from migration_assets.cli.session import workflow_errors

    found = workflow_errors(workflow)
    if as_json:
        _print_json({"errors": found})
    else:
        print_errors(found)


@main.command()
@click.argument("table")
@_workflow
@click.option("--yes", is_flag=True, help="Don't ask.")
@_command
def reset(table: str, workflow: str | None, yes: bool) -> None:
    """Start a TABLE over: its next run moves all rows, and then replaces the target.

    Forgets the table's watermark and checksums, and what an unfinished run has extracted. The target stays as it is
    until the next run.
    """
    from migration_assets.cli.session import UnknownTableError, find_table, reset_table
    from migration_assets.resources.ledger import TableBusyError

    try:
        of_workflow, name = find_table(table, workflow)
        if not yes:
            click.confirm(f"Start {of_workflow}/{name} over? Its next run moves all rows again.", abort=True, err=True)
        reset_table(of_workflow, name)
    except UnknownTableError as error:
        _fail(str(error), WRONG_INPUT)
    except TableBusyError as error:
        _fail(str(error), FAILED)
    click.echo(f"{of_workflow}/{name}: the next run begins anew", err=True)


@main.command()
@click.option("--validation", is_flag=True, help="Of validation workflows instead of migrations.")
def schema(validation: bool) -> None:
    """Print the JSON Schema of workflow files, for editors."""
    _print_json(validation_json_schema() if validation else json_schema())


def _migration(file: Path, source_platform: str | None) -> Workflow:
    workflow = load_file(file, source_platform)
    if not isinstance(workflow, Workflow):
        _fail(f"{file} is a validation workflow: use `migrate validate {file}`", WRONG_INPUT)
    return workflow


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, default=str))


def _fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)
