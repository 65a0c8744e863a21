"""Text of one-byte code pages, in the bytes that it is stored in: asking the driver for characters costs more.

Microsoft's driver hands on the bytes of a `char` or `varchar` untouched when it is asked for binary data. Nearly all of
them are ASCII, which needs no conversion; other values are decoded here, each different one once.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from migration_assets.platforms.base import ReadColumn
from migration_assets.platforms.sqlserver.sql import quote
from migration_assets.platforms.types import Kind

_UTF_8 = 65001
_CODECS = {
    **{page: f"cp{page}" for page in (437, 850, 874, *range(1250, 1259))},
    _UTF_8: "utf-8",
}
"""Code pages of a byte for each character, and UTF-8: the others differ in some characters between systems."""

_FIRST_BEYOND_ASCII = 0x80

_PRIVATE_USE: Mapping[int, tuple[tuple[range, int], ...]] = MappingProxyType(
    {
        874: ((range(0xDB, 0xDF), 0xF8C1), (range(0xFC, 0x100), 0xF8C5)),
        1253: ((range(0xAA, 0xAB), 0xF8F9), (range(0xD2, 0xD3), 0xF8FA), (range(0xFF, 0x100), 0xF8FB)),
        1255: (
            (range(0xCA, 0xCB), 0x05BA),
            (range(0xD9, 0xE0), 0xF88D),
            (range(0xFB, 0xFD), 0xF894),
            (range(0xFF, 0x100), 0xF896),
        ),
        1257: ((range(0xA1, 0xA2), 0xF8FC), (range(0xA5, 0xA6), 0xF8FD)),
    }
)
"""Bytes that Python's tables leave undefined and Windows' don't, by code page, and the first one's character."""


def _unknown(page: int) -> Callable[[UnicodeError], tuple[str, int]]:
    """What Windows, and SQL Server with it, has for bytes that Python's table of a code page lacks."""
    known = {byte: chr(first + byte - bytes_[0]) for bytes_, first in _PRIVATE_USE.get(page, ()) for byte in bytes_}

    def characters(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        # What nothing stands for is the control character of that number.
        return "".join(known.get(byte, chr(byte)) for byte in error.object[error.start : error.end]), error.end

    return characters


def _handler(page: int) -> str:
    """The name of what decodes bytes that Python doesn't know; bytes that are no UTF-8 are an error."""
    return "strict" if page == _UTF_8 else f"as-stored-{page}"


for _page in _CODECS.keys() - {_UTF_8}:
    codecs.register_error(_handler(_page), _unknown(_page))


def as_stored(schema: pa.Schema, columns: Sequence[ReadColumn]) -> pa.Schema:
    """The types to ask the driver for: bytes where a column can be read as it is stored."""
    if len(schema) != len(columns):
        return schema
    return pa.schema(
        [
            pa.field(field.name, pa.binary(), field.nullable) if _is_stored(column, field) else field
            for field, column in zip(schema, columns, strict=True)
        ]
    )


def _is_stored(column: ReadColumn, field: pa.Field) -> bool:
    return (
        pa.types.is_string(field.type)
        and column.type.kind is Kind.TEXT
        and column.type.length is not None
        and column.source.code_page in _CODECS
        # Not what an expression makes of it, which may have another collation.
        and column.expression == quote(column.source.name)
    )


def decoded(array: pa.ChunkedArray, code_page: int | None) -> pa.ChunkedArray:
    """Stored bytes as text.

    Raises:
        UnicodeDecodeError: bytes that are not UTF-8, in a column of UTF-8.
    """
    return pa.chunked_array([_text(chunk, code_page) for chunk in array.chunks], pa.string())


def _text(chunk: pa.Array, code_page: int | None) -> pa.Array:
    valid, offsets, data = chunk.buffers()
    if data is None or not len(chunk):
        return chunk.cast(pa.string())
    places = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    stored = np.frombuffer(data, np.uint8)[places[0] : places[-1]]
    if not len(stored) or stored.max() < _FIRST_BEYOND_ASCII:
        return pa.Array.from_buffers(pa.string(), len(chunk), [valid, offsets, data], offset=chunk.offset)
    encoded = chunk.dictionary_encode()
    page = _UTF_8 if code_page is None else code_page
    texts = [value.decode(_CODECS[page], _handler(page)) for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)
