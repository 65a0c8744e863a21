"""Text in the bytes that it is stored in, decoded as SQL Server would."""

from __future__ import annotations

import pyarrow as pa
import pytest

from migration_assets.platforms.base import ReadColumn, SourceColumn
from migration_assets.platforms.types import ColumnType, Kind, text
from migration_assets.resources.sources.base import BadValueError
from migration_assets.resources.sources.sqlserver_columns import ReplacementCounts, to_planned
from migration_assets.resources.sources.sqlserver_readers import tell_replaced
from migration_assets.resources.sources.sqlserver_rows import in_utf8, wide_text
from migration_assets.resources.sources.sqlserver_texts import as_stored, decoded


def _column(
    expression: str = "[c]", code_page: int | None = 1252, base: str = "varchar", wanted: ColumnType | None = None
) -> ReadColumn:
    source = SourceColumn("c", base, base, nullable=True, code_page=code_page)
    return ReadColumn("c", wanted or text(10), source, expression)


@pytest.mark.parametrize(
    ("code_page", "stored", "expected"),
    [
        (1252, [b"plain", None, b""], ["plain", None, ""]),
        (1252, [b"caf\xe9 \x80", b"caf\xe9 \x80"], ["café €", "café €"]),
        (1252, [b"\x81\x8d\x90"], ["\x81\x8d\x90"]),
        (1251, [b"\xcf\xf0\xe8"], ["При"]),
        (1253, [b"\xc1\xe2"], ["Αβ"]),
        (437, [b"\x81"], ["ü"]),
        # What Windows' tables have, and those of other systems lack.
        (874, [b"\x81\xdb\xde\xfc\xff"], ["\x81\uf8c1\uf8c4\uf8c5\uf8c8"]),
        (1253, [b"\x88\xaa\xd2\xff"], ["\x88\uf8f9\uf8fa\uf8fb"]),
        (1255, [b"\xca\xd9\xdf\xfb\xfc\xff\xe0"], ["\u05ba\uf88d\uf893\uf894\uf895\uf896א"]),
        (1257, [b"\xa1\xa5\x9f"], ["\uf8fc\uf8fd\x9f"]),
        (65001, ["é漢😀".encode(), b"x"], ["é漢😀", "x"]),
    ],
)
def test_bytes_are_the_text_of_their_code_page(
    code_page: int, stored: list[bytes | None], expected: list[str | None]
) -> None:
    array = pa.chunked_array([pa.array(stored, pa.binary())])
    assert decoded(array, code_page).to_pylist() == expected


def test_a_slice_of_rows_is_decoded_alone() -> None:
    array = pa.array([b"\xff" * 3, b"a", None, b"bc", b"\xff"], pa.binary())
    found = decoded(pa.chunked_array([array.slice(1, 3)]), 1252)
    assert found.to_pylist() == ["a", None, "bc"]
    found.validate(full=True)


def test_bytes_that_are_no_utf_8_are_refused_with_their_column() -> None:
    batch = pa.record_batch([pa.array([b"\xff"], pa.binary())], names=["c"])
    with pytest.raises(BadValueError, match="column c"):
        to_planned([batch], [_column(code_page=65001)])


def test_blanks_that_pad_a_text_are_removed_and_others_stay() -> None:
    batch = pa.record_batch([pa.array([b"ab  ", b"  ", b" a\t "], pa.binary())], names=["c"])
    assert to_planned([batch], [_column(base="char")]).column(0).to_pylist() == ["ab", "", " a\t"]
    assert to_planned([batch], [_column(base="varchar")]).column(0).to_pylist() == ["ab  ", "  ", " a\t "]


@pytest.mark.parametrize(
    ("column", "is_bytes"),
    [
        (_column(), True),
        (_column(code_page=65001), True),
        (_column(code_page=932), False),
        (_column(code_page=None, base="nvarchar"), False),
        (_column(expression="LOWER([c])"), False),
        (_column(wanted=text()), False),
        (_column(wanted=ColumnType(Kind.JSON)), False),
    ],
    ids=["one-byte", "utf-8", "japanese", "nvarchar", "expression", "max", "json"],
)
def test_bytes_are_asked_for_where_a_column_is_read_as_it_is_stored(column: ReadColumn, is_bytes: bool) -> None:
    schema = pa.schema([("c", pa.string())])
    assert (as_stored(schema, [column]).field("c").type == pa.binary()) is is_bytes


def test_characters_that_may_have_been_replaced_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Half of a surrogate pair comes as U+FFFD, and no check would tell: the server's UTF-8 has it, too."""
    utf_16, stored = (_column(code_page=None, base="nvarchar"), _column(code_page=65001))
    texts = ["caf\ufffd", None, "\uff21\uff22", "\ufffd\ufffd", "plain"]
    counts = ReplacementCounts([utf_16, stored])
    table = pa.table([pa.chunked_array([texts[:2], texts[2:]]), pa.chunked_array([texts])], names=["c", "d"])
    counts.add(table)
    assert counts.values == {"c": 2}
    tell_replaced(counts, "db.dbo.t")
    assert "db.dbo.t, column c: 2 values have the replacement character (U+FFFD)" in caplog.text


def test_half_of_a_surrogate_pair_is_read() -> None:
    found = wide_text("ab".encode("utf-16-le") + b"\x3d\xd8")
    assert found == "ab\ud83d"
    assert in_utf8(found) == "ab\ufffd"
    assert in_utf8(wide_text("é😀".encode("utf-16-le"))) == "é😀"
    assert in_utf8(7) == 7
