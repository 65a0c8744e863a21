"""The HTML report: one file, well-formed, all of it escaped, bounded, and honest about what it leaves out."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from migration_assets.validation.reports.html import (
    SHOWN_CELLS,
    SHOWN_ROWS,
    SHOWN_SQL,
    SHOWN_VALUE,
    pieces,
    printable,
    render,
    waivers,
)
from migration_assets.validation.results import (
    BucketFinding,
    Cause,
    CauseGroup,
    CellFinding,
    Evidence,
    TableResult,
    WorkflowResult,
)
from migration_assets_tests.validation import result_examples as examples


def page(*tables: TableResult) -> ET.Element:
    """The report, read as XML: what is not well-formed fails."""
    return ET.fromstring(render(examples.workflow(*tables)))  # noqa: S314 - our own output


def text(element: ET.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def section(document: ET.Element, number: int = 1) -> ET.Element:
    found = document.find(f".//section[@id='table-{number}']")
    assert found is not None
    return found


def rows_below(document: ET.Element, heading: str) -> list[list[ET.Element]]:
    """The cells of the table that follows a heading."""
    parts = list(section(document))
    start = next(at for at, part in enumerate(parts) if part.tag == "h3" and text(part) == heading)
    table = next(part for part in parts[start:] if part.find("table") is not None)
    return [list(row) for row in table.findall(".//tbody/tr")]


def headings(document: ET.Element, number: int = 1) -> list[str]:
    return [text(heading) for heading in section(document, number).findall("h3")]


@pytest.mark.parametrize(
    "result",
    [examples.everything(), examples.workflow(examples.hostile()), examples.workflow()],
    ids=["every kind of table", "hostile", "no table"],
)
def test_the_report_is_well_formed_html_and_xml(result: WorkflowResult) -> None:
    report = render(result)

    ET.fromstring(report)  # noqa: S314 - our own output
    assert report.startswith("<!DOCTYPE html>")
    reader = _Elements()
    reader.feed(report)
    reader.close()
    assert reader.open == []


def test_the_report_needs_nothing_but_itself() -> None:
    report = render(examples.everything())

    assert not re.search(r"https?://|url\(|@import", report)
    document = page(*examples.everything().tables)
    assert [element.tag for element in document.iter() if element.tag in {"script", "link", "img", "iframe"}] == []
    assert [element for element in document.iter() if "src" in element.attrib] == []


def test_every_link_leads_to_one_element_of_the_page() -> None:
    document = page(*examples.everything().tables)

    ids = [element.attrib["id"] for element in document.iter() if "id" in element.attrib]
    links = {link.attrib["href"] for link in document.iter("a")}
    assert len(ids) == len(set(ids))
    assert links
    assert links <= {f"#{each}" for each in ids}


def test_every_table_has_headers_and_every_plot_a_text() -> None:
    document = page(*examples.everything().tables)

    for table in document.iter("table"):
        assert [header.attrib["scope"] for header in table.findall("thead/tr/th")]
    ids = {element.attrib["id"]: element for element in document.iter() if "id" in element.attrib}
    for plot in document.iter("svg"):
        label = plot.get("aria-label") or " ".join(text(ids[each]) for each in plot.attrib["aria-labelledby"].split())
        assert plot.attrib["role"] == "img"
        assert label


def test_markup_in_data_stays_text() -> None:
    report = render(examples.workflow(examples.hostile()))
    document = page(examples.hostile())

    assert "<script" not in report
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in report
    assert [name for element in document.iter() for name in element.attrib if name.startswith("on")] == []


def test_control_characters_and_changes_of_direction_are_spelled_out() -> None:
    report = render(examples.workflow(examples.hostile()))

    assert "[U+0000][U+001B]" in report
    assert "[U+D800][U+202E][U+FFFE]" in report
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff\ufffe]", report)
    report.encode()


def test_the_title_has_the_workflow_and_its_verdict() -> None:
    document = page(*examples.everything().tables)

    assert document.findtext("head/title") == "sales: fail"
    header = document.find("body/header")
    assert header is not None
    assert text(header).startswith("Validation of sales ✖ fail Started 2026-07-01 12:30:00 UTC , took 83.2 seconds.")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            examples.all_pass(),
            "regions|✔ pass|✔ pass|✔ pass|✔ pass|25|25|0|1.2|2 columns compared, 1 bucket",
        ),
        (
            examples.many_differences(),
            "customers|✖ fail|✔ pass|✖ fail|✖ fail|100,000|100,000|12,000|83.2|"
            "5 columns compared, 1 excluded, 64 buckets",
        ),
        (
            examples.inconclusive(),
            "places|? inconclusive|? inconclusive|none|? inconclusive|10|10|0|2.0|"
            "2 columns compared, 2 skipped, 1 bucket",
        ),
        (
            examples.waived(),
            "products|~ waived|~ waived|not run|~ waived|9|9|2|3.0|2 columns compared, 1 bucket",
        ),
        (
            examples.ended_with_error(),
            "orders|? inconclusive|✔ pass|none|not run|unknown|unknown|0|0.5|0 columns compared",
        ),
    ],
    ids=lambda value: value.table if isinstance(value, TableResult) else "",
)
def test_the_summary_has_a_row_per_table(table: TableResult, expected: str) -> None:
    (row,) = page(table).findall("body/main/section[1]//tbody/tr")

    assert "|".join(text(cell) for cell in row) == expected


def test_the_cause_of_all_differences_is_a_headline() -> None:
    document = page(examples.many_differences())

    first = section(document).find("ul[@class='causes']/li")
    assert first is not None
    assert text(first) == "all 12,000 differences in column NAME are trailing spaces , such as in row finding 1"


def test_there_are_plots_where_there_are_differences() -> None:
    document = page(examples.many_differences())

    buckets = section(document).findall(".//svg[@class='buckets']")
    columns = section(document).findall(".//svg[@class='column']")
    assert len(buckets) == 1
    assert len(buckets[0].findall("rect")) == 14
    assert [plot.attrib["aria-label"] for plot in columns] == [
        "NAME: 12,000 trailing spaces",
        "CITY: 3,100 replaced characters, 1,000 Unicode normalization form, 200 empty text against NULL",
    ]
    caption = section(document).find("figure/figcaption")
    assert caption is not None
    assert text(caption).startswith("14 of 64 buckets differ, all between 16% and 95% of the way")


@pytest.mark.parametrize("table", [examples.all_pass(), examples.inconclusive(), examples.ended_with_error()])
def test_there_is_no_plot_where_nothing_differs(table: TableResult) -> None:
    assert list(page(table).iter("svg")) == []


def test_a_single_bucket_has_no_place_to_plot() -> None:
    assert section(page(examples.waived())).findall(".//svg[@class='buckets']") == []


def test_bars_lie_where_the_buckets_are_and_are_as_high_as_their_rows() -> None:
    table = examples.many_differences().model_copy(
        update={
            "buckets": (
                BucketFinding(bucket="first", position=0.0, source_rows=100, target_rows=10),
                BucketFinding(bucket="middle", position=0.5, source_rows=10, target_rows=50),
                BucketFinding(bucket="last", position=1.0, source_rows=0, target_rows=0),
            )
        }
    )

    bars = section(page(table)).findall(".//svg[@class='buckets']/rect")

    assert [bar.attrib["x"] for bar in bars] == ["0.000%", "50.000%", "98.438%"]
    assert [bar.attrib["height"] for bar in bars] == ["120.0", "60.0", "3.0"]


def test_plots_are_bounded_however_many_buckets_and_columns_differ() -> None:
    table = examples.many_differences().model_copy(
        update={
            "buckets": tuple(
                BucketFinding(bucket=str(number), position=number / 5_000, source_rows=1, target_rows=1)
                for number in range(5_000)
            ),
            "causes": tuple(
                CauseGroup(column=f"C{number}", cause=Cause.OTHER, detail="", cells=1, of=1) for number in range(300)
            ),
        }
    )

    document = page(table)

    assert len(section(document).findall(".//svg[@class='buckets']/rect")) == 100
    assert len(section(document).findall(".//svg[@class='column']")) == 40
    assert "260 more columns are not shown." in text(document)


def test_rows_and_cells_are_bounded_and_what_is_not_shown_is_counted() -> None:
    document = page(examples.many_differences(differences=12_000, kept=1_000))

    assert len(rows_below(document, "Rows that differ")) == SHOWN_ROWS
    assert len(rows_below(document, "Cells that differ")) == SHOWN_CELLS
    assert "The first 200 are shown; 11,800 more rows that differ are not." in text(document)
    assert "The first 500 are shown; 503 more cells are not." in text(document)


def test_long_values_and_queries_are_bounded() -> None:
    long = "x" * 1_000_000
    table = examples.all_pass().model_copy(
        update={
            "cells": (CellFinding(row=1, column="A", source=long, target="y" * 1_000_000, cause=Cause.OTHER),),
            "evidence": (Evidence(step="rows", side="source", sql=long, query_id=None, seconds=1, rows=1, bytes=1),),
        }
    )

    report = render(examples.workflow(table))

    assert len(report) < 100_000
    assert f"…({1_000_000 - SHOWN_VALUE:,} more)…" in report
    assert f"{1_000_000 - SHOWN_SQL:,} more characters are not." in report


def test_a_row_shows_its_key_its_kind_and_its_counts() -> None:
    document = page(examples.no_key())

    assert [[text(cell) for cell in row] for row in rows_below(document, "Rows that differ")] == [
        ["1", "duplicated", "A = 1 , B = NULL", "1", "2", "", ""]
    ]


def test_null_empty_text_and_the_text_null_look_different() -> None:
    cells = (
        CellFinding(row=1, column="A", source=None, target="", cause=Cause.EMPTY_TEXT_AND_NULL),
        CellFinding(row=2, column="A", source="NULL", target="empty text", cause=Cause.OTHER),
    )
    document = page(examples.all_pass().model_copy(update={"cells": cells}))

    shown = [[text(row[2]), text(row[3])] for row in rows_below(document, "Cells that differ")]

    assert shown == [["NULL", "empty text"], ["' NULL '", "' empty · text '"]]


@pytest.mark.parametrize(
    ("value", "other", "shown"),
    [
        ("a b", "a b", "a·b"),
        ("ab  ", "ab", "ab<··>"),
        ("ab", "ab  ", "ab"),
        ("aXc", "aYc", "a<X>c"),
        ("??d? G", "Łódź G", "<??>d<?>·G"),
        ("10:00", "12:00", "1<0>:00"),
        ("a\tb\n", "a b", "a<→><b><↵\n>"),
        ("a\r\n", "a\n", "a<[CR]>↵\n"),
        ("é", "e\u0301", "<é>"),
        ("e\u0301", "é", "<e><◌\u0301>"),
        ("a\u200bb", "ab", "a<[U+200B]>b"),
        ("a\xa0b", "a b", "a<[U+00A0]>b"),
        ("aaa", "aa", "aa<a>"),
        ("", "x", ""),
        ("x", "", "<x>"),
        ("a" * 50 + "b", "a" * 50 + "c", "…(10 more)…" + "a" * 40 + "<b>"),
        ("b" + "a" * 50, "c" + "a" * 50, "<b>" + "a" * 40 + "…(10 more)…"),
    ],
)
def test_the_part_of_a_value_that_differs_is_marked(value: str, other: str, shown: str) -> None:
    assert "".join(f"<{piece.shown}>" if piece.differs else piece.shown for piece in pieces(value, other)) == shown


def test_a_value_by_itself_has_nothing_marked() -> None:
    assert [(piece.shown, piece.title, piece.differs) for piece in pieces("a  é")] == [
        ("a", "", False),
        ("··", "space, 2 times", False),
        ("é", "", False),
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 'text' żółw 🐢\n\tindented", "plain 'text' żółw 🐢\n\tindented"),
        ("\x1b[2J\r\x00", "[U+001B][2J[CR][U+0000]"),
        ("\u202eabc\u200b", "[U+202E]abc[U+200B]"),
        ("\ud800", "[U+D800]"),
    ],
)
def test_text_is_made_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_schema_and_metrics_show_what_is_not_a_pass_and_count_the_rest() -> None:
    document = page(examples.waived(), examples.many_differences())

    assert "1 of 2 properties are as they should be." in text(section(document, 1))
    assert [[text(cell) for cell in row] for row in rows_below(document, "Schema")] == [
        [
            "NAME",
            "length",
            "~ waived",
            "20",
            "40",
            "the target is longer Waived: VARCHAR is wider on purpose",
        ]
    ]
    assert "1 of 3 metrics are the same on both sides." in text(section(document, 2))


def test_waivers_are_shown_with_their_reasons_and_what_they_excuse() -> None:
    document = page(examples.waived())

    assert "Waivers" in headings(document)
    assert [(waiver.reason, waiver.excuses) for waiver in waivers(examples.waived())] == [
        ("VARCHAR is wider on purpose", ("length of NAME",)),
        (
            "ERP pads names; agreed with finance (DATA-12)",
            ("all 2 differences in column NAME are trailing spaces", "2 changed rows of those listed"),
        ),
    ]
    assert "Waivers" not in headings(page(examples.many_differences()))


def test_coverage_says_what_was_not_compared_and_why() -> None:
    coverage = text(section(page(examples.inconclusive())))

    assert "SHAPE : geometry has no canonical text" in coverage
    assert "Source read at not pinned" in coverage
    assert "no key: rows were compared as a multiset" in text(section(page(examples.no_key())))
    assert "1 of 256 differ; not all of them were looked into" in text(section(page(examples.no_key())))


def test_an_error_is_shown_first() -> None:
    found = section(page(examples.ended_with_error())).find("p[@class='error']")

    assert found is not None
    assert text(found) == "Ended with an error. could not connect to server: connection refused"


def test_every_query_is_there_with_its_cost() -> None:
    queries = section(page(examples.all_pass())).findall("details")

    assert [text(query) for query in queries] == [
        "fingerprint of all rows (source, 0.40 s, 1 row, 48 B) "
        'SELECT count(*) FROM "public"."regions" Query id none Fingerprint 25:8123:-99',
        "fingerprint of all rows (target, 0.50 s, 1 row, 48 B) "
        'SELECT COUNT(*) FROM "SALES"."REGIONS" Query id 01b2-77 Fingerprint 25:8123:-99',
    ]


class _Elements(HTMLParser):
    """Elements that are opened and not closed; one that is closed out of turn fails."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
