"""What the commands print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from migration_assets.planning import TablePlan
from migration_assets.resources.ledger import WorkflowType

VERDICT_STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "waived": "magenta"}

SHOWN_PARTITIONS = 8


PLAIN_WIDTH = 160
"""Columns of a report that goes into a file or a pipe."""


def open_console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def plan_as_json(plan: TablePlan) -> dict[str, object]:
    """The whole plan, with the target's DDL."""
    return {**plan.model_dump(mode="json"), "ddl": plan.ddl}


def print_plan(plans: Sequence[TablePlan], reading: str) -> None:
    """Every table: where from, where to, columns, partitions, notes; and how rows are read."""
    console = open_console()
    console.print(f"Rows are read with {reading}.", markup=False)
    for plan in plans:
        console.print(f"\n[bold]{plan.table}[/]: {plan.source} ({plan.source_kind}) → {plan.target}")
        asked = plan.synchronization
        console.print(f"  synchronization {asked.strategy}: {asked.reason}", markup=False)
        for told in plan.drift:
            console.print(f"  source has changed: {told}", markup=False)
        console.print(
            f"  about {plan.estimated_rows:,} rows, {plan.estimated_bytes / 1e6:,.1f} MB in the source; "
            f"{len(plan.partitions)} partitions by {plan.method}; consistency {plan.consistency}"
        )
        columns = Table("source", "type", "", "target", "type", "notes", box=None, padding=(0, 2, 0, 0))
        for column in plan.columns:
            nullable = "" if column.source.nullable else "not null"
            columns.add_row(
                column.source.name,
                column.source.native_type,
                nullable,
                column.target_name,
                column.target_type,
                "; ".join(column.notes),
            )
        console.print(columns)
        partitions = Table("partition", "rows", "which", box=None, padding=(0, 2, 0, 0))
        for partition in plan.partitions[:SHOWN_PARTITIONS]:
            partitions.add_row(partition.key, f"{partition.rows:,}", partition.description)
        if len(plan.partitions) > SHOWN_PARTITIONS:
            partitions.add_row("…", "", f"{len(plan.partitions) - SHOWN_PARTITIONS} more (--json shows all)")
        console.print(partitions)
        if plan.where:
            console.print(f"  only rows where {plan.where}", markup=False)
        for note in plan.notes:
            console.print(f"  note: {note}", markup=False)


def print_status(status: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
    """A line per table."""
    console = open_console()
    if not status["workflows"]:
        console.print("no workflow has run yet")
    for workflow in status["workflows"]:
        if workflow["type"] == WorkflowType.VALIDATION.value:
            _print_comparisons(workflow, console)
            continue
        table = Table(title=f"{workflow['name']}: {workflow['status']}", title_justify="left")
        table.add_column("table")
        table.add_column("status")
        table.add_column("synchronization")
        for name in ("rows", "partitions", "MB staged", "seconds", "rows/s"):
            table.add_column(name, justify="right")
        table.add_column("checks")
        failures = []
        tables = workflow["tables"]
        assert isinstance(tables, list)
        for row in tables:
            checks = " ".join(
                f"[{VERDICT_STYLES.get(check['verdict'], 'red')}]{check['name']} {check['verdict']}[/]"
                for check in row["checks"]
            )
            seconds = row["seconds"]
            table.add_row(
                str(row["table"]),
                str(row["status"]),
                _synchronization(row["synchronization"]),
                f"{row['rows']:,}",
                _partitions(row),
                f"{row['bytes'] / 1e6:,.1f}",
                f"{seconds:,.1f}" if seconds is not None else "",
                f"{row['rows'] / seconds:,.0f}" if seconds else "",
                checks,
            )
            if row["status"] == "failed" and row["error"]:
                failures.append(f"{row['table']}: {row['error']}")
            failures += [
                f"{row['table']}: check {check['name']}: {check['summary']}"
                for check in row["checks"]
                if check["verdict"] != "pass"
            ]
        console.print(table)
        for failure in failures:
            console.print(failure, markup=False)


def _synchronization(found: Mapping[str, object]) -> str:
    """Strategy, the state of the source that the target shows, and how long ago that was."""
    if not found:
        return ""
    told = [str(found["strategy"])]
    if found["watermark"] is not None:
        told.append(f"up to {found['watermark']}")
    if found["keys_deleted"]:
        told.append(f"{found['keys_deleted']:,} deleted")
    lag = found["lag_seconds"]
    assert isinstance(lag, float)
    told.append(f"{duration(lag)} ago")
    return ", ".join(told)


def _partitions(row: Mapping[str, object]) -> str:
    told = f"{row['partitions_loaded']}/{row['partitions']}"
    return f"{told}, {row['partitions_unchanged']} unchanged" if row["partitions_unchanged"] else told


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = round(seconds)
    units = [("d", whole // 86_400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60)]
    told = [f"{count} {unit}" for unit, count in units if count]
    return " ".join(told[:2]) or "0 s"


def _print_comparisons(workflow: Mapping[str, object], console: Console) -> None:
    table = Table(title=f"{workflow['name']}: {workflow['status']}", title_justify="left")
    for name in ("table", "source → target", "verdict", "at"):
        table.add_column(name)
    tables = workflow["tables"]
    assert isinstance(tables, list)
    for row in tables:
        verdict = str(row["verdict"] or "")
        moment = str(row["evaluated_at"] or "")[:19]
        shown = f"[{VERDICT_STYLES[verdict]}]{verdict}[/]" if verdict else "not compared yet"
        table.add_row(str(row["table"]), f"{row['source']} → {row['target']}", shown, moment)
    console.print(table)


def print_errors(errors: Sequence[Mapping[str, object]]) -> None:
    """A paragraph per error."""
    console = open_console()
    if not errors:
        console.print("no errors")
    for error in errors:
        place = " ".join(
            str(part)
            for part in (
                error["workflow_name"],
                error["table_name"],
                error["partition_key"] and f"partition {error['partition_key']}",
            )
            if part
        )
        console.print(f"{error['occurred_at']}  {place}  ({error['stage']})", markup=False)
        console.print(f"  {error['error']}", markup=False)
