"""Columns as arrow-odbc gives them, into the Arrow types that the plan has: exact, or an error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migration_assets.platforms.base import ReadColumn
from migration_assets.platforms.sqlserver.types import PADDED
from migration_assets.platforms.types import Kind
from migration_assets.resources.sources.base import BadValueError
from migration_assets.resources.sources.sqlserver_texts import decoded

_UTF_16 = ("nchar", "nvarchar", "ntext", "sql_variant")
"""Types whose values may hold half of a surrogate pair."""


def to_planned(batches: Sequence[pa.RecordBatch], columns: Sequence[ReadColumn]) -> pa.Table:
    """The rows with the planned names and types.

    Raises:
        BadValueError: a value doesn't fit, or would lose digits.
    """
    table = pa.Table.from_batches(batches)
    arrays = [_planned(array, column) for array, column in zip(table.columns, columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=[column.name for column in columns])


def _planned(array: pa.ChunkedArray, column: ReadColumn) -> pa.ChunkedArray:
    wanted = column.type.to_arrow()
    if column.type.kind is Kind.TEXT and pa.types.is_binary(array.type):
        try:
            array = decoded(array, column.source.code_page)
        except UnicodeDecodeError as error:
            raise BadValueError(column, str(error.object)) from None
    if column.type.kind is Kind.TEXT and column.source.base_type in PADDED:
        array = pc.ascii_rtrim(array, " ")
    if column.type.kind is Kind.UUID and pa.types.is_string(array.type):
        # SQL Server prints it in capitals.
        array = pc.ascii_lower(array)
    if array.type == wanted:
        return array
    try:
        return _cast(array, wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise BadValueError(column, _first_misfit(array, wanted)) from None


def _cast(array: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(wanted) and wanted.tz and pa.types.is_timestamp(array.type) and not array.type.tz:
        return pc.assume_timezone(array.cast(pa.timestamp(wanted.unit)), wanted.tz)
    return array.cast(wanted)


def _first_misfit(array: pa.ChunkedArray, wanted: pa.DataType) -> str:
    """The first value that can't be cast, in text."""
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _cast(array.slice(low, middle - low), wanted)
            low = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            high = middle
    return str(array[low]) if len(array) else str(array.type)


class CharacterCounts:
    """Values with one character, by text column of one read."""

    def __init__(self, character: str, columns: Iterable[tuple[int, ReadColumn]]) -> None:
        """Knows which columns to look through, each with its place."""
        self._character = character
        self._first_byte = character.encode()[0]
        self._texts = [(place, column.name) for place, column in columns if column.type.to_arrow() == pa.string()]
        self.values: dict[str, int] = {}

    def add(self, table: pa.Table) -> None:
        """Looks through some rows."""
        for place, name in self._texts:
            if any(_has_byte(chunk, self._first_byte) for chunk in table.column(place).chunks):
                found = pc.sum(pc.match_substring(table.column(place), self._character)).as_py() or 0
                if found:
                    self.values[name] = self.values.get(name, 0) + found


class NulCounts(CharacterCounts):
    """Values with a NUL character (U+0000)."""

    def __init__(self, columns: Sequence[ReadColumn]) -> None:
        super().__init__("\0", enumerate(columns))


class ReplacementCounts(CharacterCounts):
    """Values with U+FFFD, which the driver's reader puts in the place of half of a surrogate pair.

    SQL Server keeps such halves in its UTF-16, and UTF-8 has nothing for them: the server's own conversion, which
    fingerprints are made of, puts U+FFFD there as well, so that no check would tell.
    """

    def __init__(self, columns: Sequence[ReadColumn]) -> None:
        super().__init__("\ufffd", ((n, one) for n, one in enumerate(columns) if one.source.base_type in _UTF_16))


def _has_byte(chunk: pa.Array, wanted: int) -> bool:
    """Whether the text of an array has a byte: one pass over its buffer."""
    data = chunk.buffers()[2]
    if data is None or not len(chunk):
        return False
    offsets = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    values = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
    return not values.all() if wanted == 0 else bool((values == wanted).any())


def text_columns(columns: Iterable[ReadColumn]) -> list[int]:
    """The places of texts without a declared length."""
    return [
        place
        for place, column in enumerate(columns)
        if column.type.kind in (Kind.TEXT, Kind.JSON) and column.type.length is None
    ]


def binary_columns(columns: Iterable[ReadColumn]) -> list[int]:
    """The places of binary values without a declared length."""
    return [
        place for place, column in enumerate(columns) if column.type.kind is Kind.BINARY and column.type.length is None
    ]
