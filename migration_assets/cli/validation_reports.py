"""What validations print for people, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from rich.text import Text

from migration_assets.cli.reports import VERDICT_STYLES, open_console
from migration_assets.validation.reports.html import pieces, printable, waivers
from migration_assets.validation.results import (
    LEVELS,
    CellFinding,
    LevelResult,
    RowFinding,
    RowKind,
    TableResult,
    Verdict,
    WorkflowResult,
)

SHOWN_CAUSES = 10
SHOWN_FINDINGS = 5
"""Rows that are printed for a table; all that were kept are in the report."""
SHOWN_CELLS_PER_ROW = 5
SHOWN_KEY_COLUMNS = 6
SHOWN_SKIPPED = 10


def validation_as_json(result: WorkflowResult) -> dict[str, object]:
    """All of the result, with the verdicts that follow from it. Figures that JSON doesn't have are null."""
    document = json.loads(result.model_dump_json())
    tables = [
        {"verdict": table.verdict.value, **fields}
        for table, fields in zip(result.tables, document["tables"], strict=True)
    ]
    return {"verdict": result.verdict.value, **document, "tables": tables}


def print_validation(result: WorkflowResult, report: Path | None) -> None:
    """A table of verdicts, what was found in each table, and where the report is."""
    console = open_console()
    overview = Table(title=_title(result), title_justify="left")
    overview.add_column("table")
    overview.add_column("source → target")
    for level in LEVELS:
        overview.add_column(level)
    for heading in ("row count", "differences", "seconds"):
        overview.add_column(heading, justify="right")
    for table in result.tables:
        overview.add_row(
            _text(table.table),
            _text(f"{table.source} → {table.target}"),
            *(_level(table.level(level)) for level in LEVELS),
            _row_count(table),
            f"{table.rows_different:,}",
            f"{table.seconds:,.1f}",
        )
    console.print(overview)
    for table in result.tables:
        lines = list(_found(table))
        if lines:
            console.print(Text.assemble("\n", (printable(table.table), "bold"), ": ", _verdict(table.verdict)))
        for line in lines:
            # Paths and values are to be copied: no line is broken but by the terminal.
            console.print(Text("  ") + line, soft_wrap=True)
    if report is not None:
        console.print(_text(f"\nreport: {report}"), soft_wrap=True)


def _title(result: WorkflowResult) -> Text:
    return Text.assemble(printable(result.workflow), ": ", _verdict(result.verdict))


def _text(text: str) -> Text:
    """Plain text: neither markup nor control characters of what databases hold reach the terminal."""
    return Text(printable(text))


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict.value, style=VERDICT_STYLES[verdict.value])


def _level(level: LevelResult | None) -> Text:
    if level is None:
        return Text("")
    return _verdict(level.verdict) if level.ran else Text("not run", style="dim")


def _row_count(table: TableResult) -> str:
    source, target = table.coverage.source_rows, table.coverage.target_rows
    if source == target:
        return "" if source is None else f"{source:,}"
    return " / ".join("?" if rows is None else f"{rows:,}" for rows in (source, target))


def _found(table: TableResult) -> Iterator[Text]:
    """What there is to say of a table beyond its verdicts; nothing for one that passed as a whole."""
    if table.error is not None:
        yield Text.assemble(("error", VERDICT_STYLES["fail"]), ": ", printable(table.error).replace("\n", "\n  "))
    for level in table.levels:
        if not level.ran or level.verdict is not Verdict.PASS:
            yield Text.assemble(f"{level.level} ", _level(level), ": ", printable(level.summary))
    for cause in table.causes[:SHOWN_CAUSES]:
        yield _text(str(cause))
    yield from _more(len(table.causes) - SHOWN_CAUSES, "causes")
    for row in table.rows[:SHOWN_FINDINGS]:
        yield _row(row)
        cells = [cell for cell in table.cells if cell.row == row.row]
        for cell in cells[:SHOWN_CELLS_PER_ROW]:
            yield _cell(cell)
        yield from _more(len(cells) - SHOWN_CELLS_PER_ROW, "cells of this row")
    shown = min(SHOWN_FINDINGS, len(table.rows))
    yield from _more(max(table.rows_different, len(table.rows)) - shown if shown else 0, "rows that differ")
    for column, reason in list(table.coverage.skipped.items())[:SHOWN_SKIPPED]:
        yield _text(f"not compared: column {column}: {reason}")
    yield from _more(len(table.coverage.skipped) - SHOWN_SKIPPED, "columns that were not compared")
    if not table.coverage.located:
        yield Text("not all differing buckets were looked into")
    for waiver in waivers(table):
        more = f" and {len(waiver.excuses) - SHOWN_FINDINGS} more" if len(waiver.excuses) > SHOWN_FINDINGS else ""
        yield _text(f"waived: {'; '.join(waiver.excuses[:SHOWN_FINDINGS])}{more}: {waiver.reason}")


def _row(row: RowFinding) -> Text:
    key = [Text.assemble(f"{printable(column)} = ", _value(value)) for column, value in row.key.items()]
    shown = Text(", ").join(key[:SHOWN_KEY_COLUMNS])
    if len(key) > SHOWN_KEY_COLUMNS:
        shown.append(f" and {len(key) - SHOWN_KEY_COLUMNS} more columns", style="dim")
    if row.kind is RowKind.DUPLICATED:
        shown.append(f" ({row.source_rows:,} times in the source, {row.target_rows:,} times in the target)")
    if row.waiver is not None:
        shown.append(", waived", style=VERDICT_STYLES["waived"])
    return Text.assemble(f"{row.kind.value} row: ", shown)


def _cell(cell: CellFinding) -> Text:
    source, target = _value(cell.source, cell.target or ""), _value(cell.target, cell.source or "")
    return Text.assemble(f"  {printable(cell.column)}: ", source, " → ", target, f" ({cell.cause.value})")


def _value(value: str | None, other: str | None = None) -> Text:
    """In quotes, so that NULL and the empty text are told apart; what differs is underlined."""
    if value is None:
        return Text("NULL", style="italic")
    parts = [
        (printable(piece.shown).replace("\n", ""), "underline" if piece.differs else "")
        for piece in pieces(value, other)
    ]
    return Text.assemble("'", *parts, "'")


def _more(count: int, what: str) -> Iterator[Text]:
    if count > 0:
        yield Text(f"… {count:,} more {what}", style="dim")
