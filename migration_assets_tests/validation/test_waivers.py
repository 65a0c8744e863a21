"""Waivers: what they cover, what they don't, and that the reason stays with the finding."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from migration_assets.validation.results import (
    Cause,
    CauseGroup,
    MetricFinding,
    RowFinding,
    RowKind,
    SchemaFinding,
    Verdict,
)
from migration_assets.validation.waivers import waive_metrics, waive_rows, waive_schema
from migration_assets.workflow import Waiver

REASON = "known, see ticket 4711"


def waiver(check: Literal["schema", "metrics", "rows"], reason: str = REASON, **keys: Any) -> Waiver:
    return Waiver(check=check, reason=reason, **keys)


# -- schema and metrics -------------------------------------------------------------------------

LENGTH = SchemaFinding(
    column="Note", aspect="length", source="20", target="10", verdict=Verdict.FAIL, message="too short"
)
KEY = SchemaFinding(column=None, aspect="key", source=None, target="a", verdict=Verdict.FAIL)
SUM = MetricFinding(column="price", metric="sum", source="1", target="2", verdict=Verdict.FAIL)
ROW_COUNT = MetricFinding(column=None, metric="row_count", source=1, target=2, verdict=Verdict.FAIL)


@pytest.mark.parametrize(
    ("finding", "keys", "covered"),
    [
        (LENGTH, {}, True),
        (LENGTH, {"column": "NOTE"}, True),
        (LENGTH, {"column": '"note"', "aspect": "length"}, True),
        (LENGTH, {"column": "[Note]"}, True),
        (LENGTH, {"aspect": "length"}, True),
        (LENGTH, {"aspect": "type"}, False),
        (LENGTH, {"column": "other"}, False),
        (KEY, {}, True),
        (KEY, {"aspect": "key"}, True),
        (KEY, {"column": "a", "aspect": "key"}, False),
    ],
)
def test_a_waiver_covers_schema_findings_that_agree_with_all_its_keys(
    finding: SchemaFinding, keys: dict[str, Any], covered: bool
) -> None:
    (found,) = waive_schema([finding], [waiver("metrics"), waiver("schema", **keys)])

    assert (found.verdict, found.waiver) == ((Verdict.WAIVED, REASON) if covered else (Verdict.FAIL, None))
    assert found.message == finding.message


@pytest.mark.parametrize(
    ("finding", "keys", "covered"),
    [
        (SUM, {}, True),
        (SUM, {"column": "PRICE", "metric": "SUM"}, True),
        (SUM, {"metric": "max"}, False),
        (SUM, {"column": "prices"}, False),
        (ROW_COUNT, {"metric": "row_count"}, True),
        (ROW_COUNT, {"column": "price", "metric": "row_count"}, False),
    ],
)
def test_a_waiver_covers_metrics_that_agree_with_all_its_keys(
    finding: MetricFinding, keys: dict[str, Any], covered: bool
) -> None:
    (found,) = waive_metrics([finding], [waiver("rows"), waiver("metrics", **keys)])

    assert (found.verdict, found.waiver) == ((Verdict.WAIVED, REASON) if covered else (Verdict.FAIL, None))


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.INCONCLUSIVE])
def test_only_what_fails_is_waived(verdict: Verdict) -> None:
    schema, metric = (finding.model_copy(update={"verdict": verdict}) for finding in (LENGTH, SUM))

    assert waive_schema([schema], [waiver("schema")]) == [schema]  # type: ignore[list-item]
    assert waive_metrics([metric], [waiver("metrics")]) == [metric]  # type: ignore[list-item]


def test_the_first_waiver_that_covers_gives_the_reason() -> None:
    waivers = [waiver("schema", "one", aspect="type"), waiver("schema", "two"), waiver("schema", "three")]

    assert [finding.waiver for finding in waive_schema([LENGTH], waivers)] == ["two"]


# -- rows ---------------------------------------------------------------------------------------


def row(kind: RowKind = RowKind.CHANGED, *columns: str) -> RowFinding:
    return RowFinding(row=1, kind=kind, key={"id": "1"}, source_rows=1, target_rows=1, columns=columns)


def reason(finding: RowFinding, *waivers: Waiver, cells: tuple[tuple[str, Cause], ...] = ()) -> str | None:
    """The waiver of a row."""
    (waived,), _ = waive_rows([finding], {1: cells} if cells else {}, [], waivers)
    return waived.waiver


@pytest.mark.parametrize("kind", [RowKind.MISSING, RowKind.EXTRA, RowKind.DUPLICATED])
def test_rows_are_waived_by_how_they_differ(kind: RowKind) -> None:
    others = [waiver("rows", cause=other.value) for other in RowKind if other is not kind]

    assert reason(row(kind), waiver("rows", cause=kind.value)) == REASON
    assert reason(row(kind), waiver("rows")) == REASON
    assert reason(row(kind), *others) is None
    assert reason(row(kind), waiver("rows", column="id")) is None
    assert reason(row(kind), waiver("schema")) is None


SPACES = ("note", Cause.TRAILING_SPACES)
SCALE = ("price", Cause.SCALE)


@pytest.mark.parametrize(
    ("waivers", "waived"),
    [
        ([waiver("rows")], True),
        ([waiver("rows", cause="changed")], True),
        ([waiver("rows", cause="trailing spaces")], False),
        ([waiver("rows", cause="trailing spaces"), waiver("rows", column="PRICE")], True),
        ([waiver("rows", cause="trailing spaces"), waiver("rows", column="price", cause="changed")], True),
        ([waiver("rows", column="note"), waiver("rows", cause="digits after the point")], True),
        ([waiver("rows", column="price", cause="trailing spaces"), waiver("rows", column="price")], False),
        ([waiver("rows", cause="missing")], False),
    ],
)
def test_a_changed_row_is_waived_when_all_of_its_values_are(waivers: list[Waiver], waived: bool) -> None:
    found = reason(row(RowKind.CHANGED, "note", "price"), *waivers, cells=(SPACES, SCALE))

    assert found == (REASON if waived else None)


def test_a_row_that_several_waivers_excuse_has_all_their_reasons() -> None:
    waivers = [waiver("rows", "trimmed", column="note"), waiver("rows", "rounded", column="price")]

    assert reason(row(RowKind.CHANGED, "note", "price"), *waivers, cells=(SPACES, SCALE)) == "trimmed; rounded"


def test_a_value_whose_cause_is_not_known_needs_a_waiver_for_every_cause() -> None:
    finding = row(RowKind.CHANGED, "note")

    assert reason(finding, waiver("rows", column="note", cause="trailing spaces")) is None
    assert reason(finding, waiver("rows", column="note")) == REASON
    assert reason(finding, waiver("rows", column="other")) is None
    assert reason(row(), waiver("rows", column="note")) is None
    assert reason(row(), waiver("rows")) == REASON


def test_a_group_is_waived_by_its_column_and_its_cause() -> None:
    groups = [
        CauseGroup(column=column, cause=cause, detail="", cells=1, of=2)
        for column in ("note", "Text")
        for cause in (Cause.TRAILING_SPACES, Cause.CASE)
    ]
    waivers = [waiver("rows", "trimmed", cause="trailing spaces"), waiver("rows", "any", column="TEXT")]

    _, waived = waive_rows([], {}, groups, waivers)

    assert [group.waiver for group in waived] == ["trimmed", None, "trimmed", "any"]
