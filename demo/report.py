"""Reads what `migrate status --json` prints, says whether the migration is complete, and shows it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from rich import box, filesize
from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLOURS = {"published": "green", "pass": "green", "failed": "red", "fail": "red"}


class _Record(BaseModel):
    """A part of the status; what the report does not show is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CheckStatus(_Record):
    name: str
    verdict: str


class TableStatus(_Record):
    """`bytes` are those of the staged files, `seconds` those from the start to the publication."""

    table: str
    source: str
    target: str
    status: str
    rows: int | None = None
    partitions: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    checks: tuple[CheckStatus, ...] = ()

    @property
    def complete(self) -> bool:
        return self.status == "published" and all(check.verdict == "pass" for check in self.checks)


class WorkflowStatus(_Record):
    name: str
    status: str
    tables: tuple[TableStatus, ...] = ()


class Status(_Record):
    workflows: tuple[WorkflowStatus, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether there are tables, each is published, and every check of each passed."""
        tables = [table for workflow in self.workflows for table in workflow.tables]
        return bool(tables) and all(table.complete for table in tables)


def show(status: Status, console: Console) -> None:
    for workflow in status.workflows:
        console.print(_table(workflow))


def _table(workflow: WorkflowStatus) -> Table:
    title = f"{workflow.name}: {workflow.status}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Table", no_wrap=True)
    table.add_column("Status", no_wrap=True)
    for heading in ("Rows", "Partitions", "Staged", "Rows/s"):
        table.add_column(heading, justify="right")
    table.add_column("Checks", no_wrap=True)
    for row in workflow.tables:
        table.add_row(
            row.table,
            _coloured(row.status),
            _number(row.rows),
            _number(row.partitions),
            _size(row.bytes),
            _rate(row.rows, row.seconds),
            Text("\n").join(_coloured(check.verdict, f"{check.name}: ") for check in row.checks),
        )
    return table


def _coloured(word: str, label: str = "") -> Text:
    return Text(label).append(word, style=_COLOURS.get(word, "yellow"))


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _size(value: int | None) -> str:
    return "-" if value is None else filesize.decimal(value)


def _rate(rows: int | None, seconds: float | None) -> str:
    return f"{rows / seconds:,.0f}" if rows is not None and seconds else "-"
