"""Text of one-byte code pages, in the bytes that it is stored in: asking the driver for characters costs more.

Microsoft's driver hands on the bytes of a `char` or `varchar` untouched when it is asked for binary data. Nearly all of
them are ASCII, which needs no conversion; other values are decoded here, each different one once.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

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

_KEPT = "stored-byte"
_FIRST_BEYOND_ASCII = 0x80


def _keep(error: UnicodeError) -> tuple[str, int]:
    """A byte that a code page has no character for is the control character of that number, as in SQL Server."""
    if not isinstance(error, UnicodeDecodeError) or error.encoding == "utf-8":
        raise error
    return "".join(map(chr, error.object[error.start : error.end])), error.end


codecs.register_error(_KEPT, _keep)


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
    codec = _CODECS[_UTF_8 if code_page is None else code_page]
    texts = [value.decode(codec, _KEPT) for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)
