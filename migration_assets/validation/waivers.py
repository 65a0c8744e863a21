"""Differences that the workflow knows and accepts: they stay in the result, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from migration_assets.validation.results import (
    Cause,
    CauseGroup,
    MetricFinding,
    RowFinding,
    RowKind,
    SchemaFinding,
    Verdict,
)
from migration_assets.workflow import Identifier, Waiver

_Finding = TypeVar("_Finding", SchemaFinding, MetricFinding)


def waive_schema(findings: Iterable[SchemaFinding], waivers: Sequence[Waiver]) -> list[SchemaFinding]:
    """The findings, those that fail and are excused as waived."""

    def covers(waiver: Waiver, finding: SchemaFinding) -> bool:
        return (
            waiver.check == "schema"
            and waiver.aspect in (None, finding.aspect)
            and _is_column(waiver.column, finding.column)
        )

    return [_waived(finding, waivers, covers) if finding.verdict is Verdict.FAIL else finding for finding in findings]


def waive_metrics(findings: Iterable[MetricFinding], waivers: Sequence[Waiver]) -> list[MetricFinding]:
    """The findings, those that fail and are excused as waived."""

    def covers(waiver: Waiver, finding: MetricFinding) -> bool:
        return (
            waiver.check == "metrics"
            and (waiver.metric is None or waiver.metric.lower() == finding.metric.lower())
            and _is_column(waiver.column, finding.column)
        )

    return [_waived(finding, waivers, covers) if finding.verdict is Verdict.FAIL else finding for finding in findings]


def waive_rows(
    rows: Iterable[RowFinding],
    cells_by_row: Mapping[int, Sequence[tuple[str, Cause]]],
    groups: Iterable[CauseGroup],
    waivers: Sequence[Waiver],
) -> tuple[list[RowFinding], list[CauseGroup]]:
    """Row findings and groups of causes, with the reason where they are excused.

    A changed row is excused when each of its differing values is. Of a column whose cause nobody looked for, only a
    waiver that covers every cause excuses the value.

    Args:
        cells_by_row: by the number of a row finding, column and cause of its differing values.
    """
    of_rows = [waiver for waiver in waivers if waiver.check == "rows"]
    return (
        [_waived_row(row, cells_by_row.get(row.row, ()), of_rows) for row in rows],
        [group.model_copy(update={"waiver": _excuse(group.column, group.cause, of_rows)}) for group in groups],
    )


def _waived_row(row: RowFinding, cells: Sequence[tuple[str, Cause]], waivers: Sequence[Waiver]) -> RowFinding:
    if row.kind is not RowKind.CHANGED:
        reasons = [
            waiver.reason for waiver in waivers if waiver.column is None and waiver.cause in (None, row.kind.value)
        ]
        return row.model_copy(update={"waiver": reasons[0] if reasons else None})
    explained = {column for column, _ in cells}
    differing: list[tuple[str | None, Cause | None]] = [*cells]
    differing += [(column, None) for column in row.columns if column not in explained]
    excuses = [_excuse(column, cause, waivers) for column, cause in differing or [(None, None)]]
    given = [reason for reason in excuses if reason is not None]
    return row.model_copy(update={"waiver": "; ".join(dict.fromkeys(given)) if len(given) == len(excuses) else None})


def _excuse(column: str | None, cause: Cause | None, waivers: Sequence[Waiver]) -> str | None:
    """The reason that covers a differing value; a cause of None is unknown, a column of None is any."""
    causes = {None, RowKind.CHANGED.value, cause.value if cause else None}
    found = (waiver for waiver in waivers if waiver.cause in causes and _is_column(waiver.column, column))
    return next((waiver.reason for waiver in found), None)


def _waived(finding: _Finding, waivers: Sequence[Waiver], covers: Callable[[Waiver, _Finding], bool]) -> _Finding:
    waiver = next((waiver for waiver in waivers if covers(waiver, finding)), None)
    if waiver is None:
        return finding
    return finding.model_copy(update={"verdict": Verdict.WAIVED, "waiver": waiver.reason})


def _is_column(written: str | None, column: str | None) -> bool:
    """Whether a waiver's column is that one; a waiver without a column is for all, and for the table."""
    if written is None:
        return True
    return column is not None and Identifier.parse(written).text.lower() == column.lower()
