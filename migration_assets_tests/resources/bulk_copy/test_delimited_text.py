"""The decoder of what `bcp -w` writes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.platforms.base import ReadColumn
from migration_assets.platforms.types import Kind, floating, temporal
from migration_assets.resources.sources.base import BadValueError, SourceError
from migration_assets.resources.sources.bulk_utilities import delimited_text
from migration_assets.resources.sources.bulk_utilities.delimited_text import DelimitedText
from migration_assets_tests.resources.bulk_copy.columns import COLUMNS, ID, NAME, column
from migration_assets_tests.resources.bulk_copy.wire import FIELD_END, ROW_END, written


def decoded(data: bytes, columns: Sequence[ReadColumn], chunk: int = 1 << 20) -> pa.Table:
    """All rows, after they came in chunks."""
    decoder = DelimitedText(columns, field_end=FIELD_END, row_end=ROW_END, text_mark="_")
    tables = [table for at in range(0, len(data), chunk) for table in decoder.feed(data[at : at + chunk])]
    tables += decoder.finish()
    for table in tables:
        table.validate(full=True)
    schema = pa.schema([(one.name, one.type.to_arrow()) for one in columns])
    assert decoder.rows == sum(table.num_rows for table in tables)
    return pa.concat_tables([schema.empty_table(), *tables])


@pytest.mark.parametrize(
    ("one", "field", "value"),
    [
        pytest.param(column("c", "bit"), "1", True, id="true"),
        pytest.param(column("c", "bit"), "0", False, id="false"),
        pytest.param(column("c", "tinyint"), "255", 255, id="tinyint"),
        pytest.param(column("c", "bigint"), "-9223372036854775808", -(2**63), id="bigint"),
        pytest.param(column("c", "decimal", 38, 10), "-1234567890123456789012345678.0123456789", "same", id="decimal"),
        pytest.param(column("c", "money"), "922337203685477.5807", "same", id="money"),
        pytest.param(column("c", "float"), "1.7976931348623157e+308", 1.7976931348623157e308, id="largest float"),
        pytest.param(column("c", "float"), "-4.9406564584124654e-324", -5e-324, id="smallest float"),
        pytest.param(column("c", "real"), "1.1000000238418579e+000", pytest.approx(1.1, rel=1e-7), id="real"),
        pytest.param(column("c", "date"), "0001-01-01", "same", id="date"),
        pytest.param(column("c", "time", 6), "23:59:59.999999", "same", id="time"),
        pytest.param(column("c", "datetime2", 6), "9999-12-31 23:59:59.999999", "same", id="datetime2"),
        pytest.param(column("c", "datetime2", 0), "0001-01-01 00:00:00", "same", id="no fraction"),
        pytest.param(
            column("c", "datetime2", 7), "_9999-12-31 23:59:59.9999999", "9999-12-31 23:59:59.9999999", id="100 ns"
        ),
        pytest.param(
            column("c", "datetimeoffset", 7, wanted=temporal(Kind.TIMESTAMP_TZ)),
            "1969-12-31 23:59:59.5",
            "1969-12-31 23:59:59.500000+00:00",
            id="instant",
        ),
        pytest.param(column("c", "varbinary", 10), "0x", b"", id="no bytes"),
        pytest.param(column("c", "varbinary", 10), "0x00FFa0", b"\x00\xff\xa0", id="bytes"),
        pytest.param(column("c", "nvarchar", 10), "_", "", id="empty text"),
        pytest.param(column("c", "nvarchar", 10), "_\0", "\0", id="a text of one character 0"),
        pytest.param(column("c", "nvarchar", 10), "__", "_", id="a text that is the mark"),
        pytest.param(column("c", "nvarchar", 10), '_"a","b"', '"a","b"', id="quotes and commas"),
        pytest.param(column("c", "nvarchar", 10), "_\\N\\t", "\\N\\t", id="backslashes"),
        pytest.param(column("c", "nvarchar", 10), "_\r\n\t\x1f\x1e\x02\x03", "\r\n\t\x1f\x1e\x02\x03", id="controls"),
        pytest.param(column("c", "nvarchar", 10), "_\ufeff\u1f00\u0200\uffff", "\ufeff\u1f00\u0200\uffff", id="marks"),
        pytest.param(column("c", "nvarchar", 10), "_Zoë 漢字 😀", "Zoë 漢字 😀", id="all planes"),
        pytest.param(
            column("c", "uniqueidentifier"),
            "_6f9619ff-8b86-d011-b42d-00c04fc964ff",
            "6f9619ff-8b86-d011-b42d-00c04fc964ff",
            id="uuid",
        ),
    ],
)  # fmt: skip
def test_every_planned_type_reads_back(one: ReadColumn, field: str, value: object) -> None:
    table = decoded(written([[field], [None], [field]]), [one])

    assert table.schema.field("c").type == one.type.to_arrow()
    first, nothing, again = table.column("c").to_pylist()
    assert nothing is None
    assert first == again
    if value == "same":
        assert str(first) == field
    elif isinstance(value, str) and one.type.kind is Kind.TIMESTAMP_TZ:
        assert first.isoformat(" ", "microseconds") == value
    else:
        assert first == value


_TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x02\x03\x1e\x1f\n\r\0_"))


@given(
    rows=st.lists(st.tuples(st.none() | st.integers(-(2**31), 2**31 - 1), _TEXTS), max_size=20),
    chunk=st.integers(1, 50),
)
def test_any_texts_in_any_chunks_read_back_or_are_refused(
    rows: list[tuple[int | None, str | None]], chunk: int
) -> None:
    fields = [(None if number is None else str(number), None if text is None else f"_{text}") for number, text in rows]
    has_ends = any(text and (FIELD_END in text or ROW_END in text) for _, text in rows)

    try:
        table = decoded(written(fields), COLUMNS, chunk)
    except (SourceError, BadValueError):
        assert has_ends
    else:
        # The reader compares this number with the one that bcp reports.
        assert (
            table.num_rows > len(rows)
            if has_ends
            else table.to_pylist() == [{"id": number, "name": text} for number, text in rows]
        )


def test_blocks_end_behind_whole_rows_wherever_the_chunks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited_text, "BLOCK_BYTES", 64)
    rows = [(str(number), "_" + "é" * (number % 50)) for number in range(200)]

    for chunk in (1, 7, 64, 1000):
        assert decoded(written(rows), COLUMNS, chunk).to_pylist() == [
            {"id": int(number), "name": text[1:]} for number, text in rows
        ]


def test_a_row_may_be_larger_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited_text, "BLOCK_BYTES", 64)
    long = column("name", "nvarchar", -1)

    assert decoded(written([["1", "_" + "x" * 1000], ["2", "_y"]]), [ID, long], 10).column("name").to_pylist() == [
        "x" * 1000,
        "y",
    ]


def test_halves_of_characters_that_look_like_an_end_are_none() -> None:
    # In UTF-16 the end of a row is 03 00 1e 00; these characters hold it one byte further on.
    text = "\u0361\u1e00\u0061"

    assert text.encode("utf-16-le")[1:4] == b"\x03\x00\x1e"
    assert decoded(written([["1", f"_{text}"]]), COLUMNS, 3).column("name").to_pylist() == [text]


def test_no_rows_are_nothing_or_the_mark_of_the_file_alone() -> None:
    assert decoded(b"", COLUMNS).num_rows == 0
    assert decoded(b"\xff\xfe", COLUMNS).num_rows == 0


def test_a_file_without_its_mark_is_read_too() -> None:
    assert decoded(written([["1", "_x"]], mark=b""), COLUMNS).num_rows == 1


def test_a_text_with_the_end_of_a_field_in_it_is_refused_with_a_cure() -> None:
    with pytest.raises(SourceError, match=r"Expected 2 columns, got 3.*choose others, or read the table without"):
        decoded(written([["1", f"_a{FIELD_END}b"]]), COLUMNS)


def test_output_that_ends_in_a_row_is_refused() -> None:
    with pytest.raises(SourceError, match=r"ends in the middle of a row"):
        decoded(written([["1", "_abc"]])[:-6], COLUMNS)


def test_a_text_without_the_mark_is_refused() -> None:
    with pytest.raises(SourceError, match=r"column name: the utility wrote a text without the '_'"):
        decoded(written([["1", "abc"]]), COLUMNS)


def test_half_of_a_pair_of_characters_names_the_column() -> None:
    with pytest.raises(BadValueError, match=r"column name: .*udc00"):
        decoded(written([["1", "_ok"], ["2", "_a\udc00b"]]), COLUMNS)


def test_a_value_of_another_type_names_column_and_value() -> None:
    with pytest.raises(BadValueError, match=r"column id: 'many' is not a integer"):
        decoded(written([["1", "_x"], ["many", "_x"]]), [ID, NAME])


def test_a_float_of_32_bits_is_the_nearest_to_its_text() -> None:
    table = decoded(written([["3.4028234663852886e+38"]]), [column("c", "float", wanted=floating(32))])

    assert table.column("c").to_pylist() == [3.4028234663852886e38]
