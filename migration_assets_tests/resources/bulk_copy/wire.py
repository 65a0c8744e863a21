"""What `bcp -w` writes: UTF-16 with a byte order mark, NULL as nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

FIELD_END, ROW_END = "\x02\x1f", "\x03\x1e"

CHARACTERS = "\uf8ff"
"""In the recorded answer: where the characters of the question stand."""

RECORDED_SAMPLE = [
    None,
    "_",
    "_ x ",
    '_\r\n\t"',
    "_\ufeff\u00e9\u6f22",
    f"_{CHARACTERS}",
    "0x",
    "0x00FF0A",
    None,
    "0.10000000000000001",
    "-0.0001",
    "0",
    "0001-01-01",
    "9999-12-31 23:59:59.999999",
]
"""The answer of a server to `bulk_text.sample`."""


def written(
    rows: Iterable[Sequence[str | None]],
    *,
    mark: bytes = b"\xff\xfe",
    field_end: str = FIELD_END,
    row_end: str = ROW_END,
) -> bytes:
    """The file of some rows, each a text or NULL per field."""
    text = "".join(field_end.join(value or "" for value in row) + row_end for row in rows)
    return mark + text.encode("utf-16-le", "surrogatepass")
