"""What a validation prints: a line of verdicts per table, what was found, and nothing that harms a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migration_assets.cli.validation_reports import print_validation, validation_as_json
from migration_assets.validation.results import (
    CauseGroup,
    MetricFinding,
    TableResult,
    Verdict,
    WorkflowResult,
)
from migration_assets_tests.validation import result_examples as examples

Capture = pytest.CaptureFixture[str]


def printed(capsys: Capture, *tables: TableResult, report: Path | None = None) -> str:
    print_validation(examples.workflow(*tables), report)
    return capsys.readouterr().out


def found(capsys: Capture, table: TableResult) -> list[str]:
    """The lines below the table of verdicts."""
    return printed(capsys, table).split("\n\n", 1)[1].splitlines()


def verdicts(output: str, table: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if line.startswith(f"│ {table} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_every_table_has_a_line_of_verdicts(capsys: Capture) -> None:
    output = printed(capsys, *examples.everything().tables)

    assert output.startswith("sales: fail")
    assert verdicts(output, "regions") == [
        "regions",
        "public.regions → SALES.REGIONS",
        "pass",
        "pass",
        "pass",
        "25",
        "0",
        "1.2",
    ]
    assert verdicts(output, "customers")[2:] == ["pass", "fail", "fail", "100,000", "12,000", "83.2"]
    assert verdicts(output, "products")[2:5] == ["waived", "not run", "waived"]
    assert verdicts(output, "clicks")[2:6] == ["", "", "fail", "100 / 101"]


def test_a_table_that_passed_has_nothing_more_to_say(capsys: Capture) -> None:
    output = printed(capsys, examples.all_pass())

    assert output.rstrip().endswith("┘")


def test_levels_causes_and_the_first_rows_are_said(capsys: Capture) -> None:
    lines = found(capsys, examples.many_differences())

    assert lines[:9] == [
        "customers: fail",
        "  metrics fail: 2 of 9 metrics differ.",
        "  rows fail: 12,000 of 100,000 rows differ.",
        "  all 12,000 differences in column NAME are trailing spaces",
        "  3,100 of 4,300 differences in column CITY are replaced characters (?)",
        "  1,000 of 4,300 differences in column CITY are Unicode normalization form (NFD)",
        "  200 of 4,300 differences in column CITY are empty text against NULL",
        "  changed row: ID = '7001'",
        "    CITY: 'Köln' → 'Ko◌\u0308ln' (Unicode normalization form)",
    ]
    assert "    CITY: '' → NULL (empty text against NULL)" in lines
    assert "    NAME: 'Customer·1··' → 'Customer·1' (trailing spaces)" in lines
    assert lines[-1] == "  … 11,995 more rows that differ"


def test_what_could_not_be_compared_is_said_with_the_reason(capsys: Capture) -> None:
    lines = found(capsys, examples.inconclusive())

    assert "  not compared: column SHAPE: geometry has no canonical text" in lines


def test_waivers_are_said_with_their_reasons(capsys: Capture) -> None:
    lines = found(capsys, examples.waived())

    assert "  changed row: ID = '1', waived" in lines
    assert lines[-2:] == [
        "  waived: length of NAME: VARCHAR is wider on purpose",
        "  waived: all 2 differences in column NAME are trailing spaces; 2 changed rows of those listed: "
        "ERP pads names; agreed with finance (DATA-12)",
    ]


def test_duplicated_rows_are_counted_and_a_missing_search_is_said(capsys: Capture) -> None:
    assert found(capsys, examples.no_key()) == [
        "clicks: fail",
        "  rows fail: 1 row is there twice.",
        "  duplicated row: A = '1', B = NULL (1 times in the source, 2 times in the target)",
        "  not all differing buckets were looked into",
    ]


def test_an_error_is_said_first(capsys: Capture) -> None:
    assert found(capsys, examples.ended_with_error()) == [
        "orders: inconclusive",
        "  error: could not connect to server:",
        "  connection refused",
        "  rows not run: Ended with an error.",
    ]


def test_the_path_of_the_report_is_last_and_on_one_line(capsys: Capture) -> None:
    report = Path("/reports") / ("long" * 60) / "sales.html"

    assert printed(capsys, examples.all_pass(), report=report).endswith(f"\nreport: {report}\n")


def test_long_lists_end_and_say_so(capsys: Capture) -> None:
    table = examples.many_differences()
    many = table.model_copy(
        update={
            "causes": tuple(
                CauseGroup(column=f"C{number}", cause=table.causes[0].cause, detail="", cells=1, of=2)
                for number in range(50)
            ),
            "coverage": table.coverage.model_copy(
                update={"skipped": {f"C{number}": "no canonical text" for number in range(50)}}
            ),
        }
    )

    lines = found(capsys, many)

    assert "  … 40 more causes" in lines
    assert "  … 40 more columns that were not compared" in lines
    assert len(lines) < 60


def test_neither_markup_nor_control_characters_of_data_reach_the_terminal(capsys: Capture) -> None:
    name = "[bold]x[/bold] \x1b[2J\u202e"
    table = examples.many_differences(kept=5).model_copy(update={"table": name, "error": name})

    output = printed(capsys, table)

    assert "[bold]x[/bold] [U+001B][2J[U+202E]" in output
    assert "\x1b" not in output
    assert "\u202e" not in output


def test_json_is_the_result_and_the_verdicts_that_follow_from_it() -> None:
    result = examples.everything()

    document = json.loads(json.dumps(validation_as_json(result)))

    assert document.pop("verdict") == "fail"
    assert [table.pop("verdict") for table in document["tables"]] == [
        "pass",
        "fail",
        "inconclusive",
        "waived",
        "fail",
        "inconclusive",
    ]
    assert WorkflowResult.model_validate(document) == result


def test_figures_that_json_does_not_have_are_null() -> None:
    metric = MetricFinding(column="A", metric="sum", source=0, target=1, verdict=Verdict.FAIL, relative=float("inf"))
    table = examples.all_pass().model_copy(update={"metrics": (metric,)})

    assert '"relative": null' in json.dumps(validation_as_json(examples.workflow(table)), allow_nan=False)
