"""Turns the UTF-16 text that a bulk utility writes into Arrow tables: fields and rows with terminators, no quotes.

No escape tells a terminator in a value from one behind it. None is mistaken all the same: a value with the field's
terminator makes its row too long, one with the row's makes a row too many, and the reader compares the rows with
those that the utility counted. For that, no terminator may overlap with itself or with the other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from migration_assets.platforms.base import ReadColumn
from migration_assets.resources.sources.base import BadValueError, SourceError
from migration_assets.resources.sources.csv_blocks import Form, parse_csv_block

BLOCK_BYTES = 8 * 1024 * 1024
"""Text of whole rows that is parsed at once; in UTF-8 it is about half."""

_ENCODING = "utf-16-le"
_BYTE_ORDER_MARK = b"\xff\xfe"

# The parser knows one delimiter and \n and \r as ends of rows. Bytes that UTF-8 has not stand for these in values.
_DELIMITER, _FIELD_END, _ROW_END = 0x1F, b"\xf8", b"\xf9"
_HIDDEN = {0x0A: 0xFA, 0x0D: 0xFB, _DELIMITER: 0xFC}
_HIDE = bytes.maketrans(bytes([*_HIDDEN, *_FIELD_END, *_ROW_END]), bytes([*_HIDDEN.values(), _DELIMITER, 0x0A]))
_SHOW = bytes.maketrans(bytes(_HIDDEN.values()), bytes(_HIDDEN))

_FORM = Form(chr(_DELIMITER), quoted=False, true="1", false="0")


class DelimitedText:
    """Decodes one stream. What is pending is less than a block and one row.

    Attributes:
        rows: how many were decoded so far.
    """

    def __init__(self, columns: Sequence[ReadColumn], *, field_end: str, row_end: str, text_mark: str) -> None:
        """Prepares it.

        Args:
            field_end: stands between fields.
            row_end: stands behind every row, the last one too.
            text_mark: the character that every value of a text column begins with; an empty field is NULL.
        """
        self._columns = columns
        self._field_end, self._row_end = field_end.encode(), row_end.encode()
        self._wide_row_end = row_end.encode(_ENCODING)
        self._mark = text_mark.encode()
        self._pending = bytearray()
        self._searched = 0
        self._begun = False
        self.rows = 0

    def feed(self, chunk: bytes) -> Iterator[pa.Table]:
        """Takes bytes as they come, and gives tables when a block is full.

        Raises:
            BadValueError: a field is not a value of its column's type.
            SourceError: a row hasn't as many fields as there are columns, or text is not UTF-16.
        """
        self._pending += chunk
        if len(self._pending) < BLOCK_BYTES:
            return
        end = self._last_end()
        if end:
            block = bytes(self._pending[:end])
            del self._pending[:end]
            self._searched = 0
            yield self._decode(block)

    def finish(self) -> Iterator[pa.Table]:
        """The rest of the rows.

        Raises:
            SourceError: as `feed`, and when the last row has no end.
        """
        end = self._last_end()
        if end < len(self._pending) and bytes(self._pending) != _BYTE_ORDER_MARK:
            raise SourceError("the utility's output ends in the middle of a row: see what it reported")
        if end:
            yield self._decode(bytes(self._pending[:end]))
        self._pending.clear()

    def _last_end(self) -> int:
        """The position behind the last row that has an end; 0 when there is none."""
        begin = max(0, self._searched - len(self._wide_row_end))
        position = len(self._pending)
        while (position := self._pending.rfind(self._wide_row_end, begin, position)) >= 0:
            if position % 2 == 0:
                return position + len(self._wide_row_end)
            # Halves of two characters that look like one.
            position += len(self._wide_row_end) - 1
        self._searched = len(self._pending)
        return 0

    def _decode(self, block: bytes) -> pa.Table:
        if not self._begun:
            self._begun = True
            # The mark of the file: no value begins with this character.
            block = block.removeprefix(_BYTE_ORDER_MARK)
        try:
            text = str(block, _ENCODING).encode()
        except UnicodeDecodeError as error:
            raise self._not_utf16(block) from error
        text = text.replace(self._row_end, _ROW_END).replace(self._field_end, _FIELD_END).translate(_HIDE)
        try:
            table = parse_csv_block(text, self._columns, check_utf8=False, form=_FORM)
        except BadValueError:
            raise
        except SourceError as error:
            raise SourceError(
                f"{error}. If a text has the characters in it that end fields or rows "
                f"({self._field_end.decode()!r}, {self._row_end.decode()!r}), choose others, or read the table "
                "without the utility"
            ) from error
        for index, column in enumerate(self._columns):
            if pa.types.is_string(column.type.to_arrow()):
                chunks = [self._text(chunk, column) for chunk in table.column(index).chunks]
                table = table.set_column(index, column.name, pa.chunked_array(chunks, pa.string()))
        self.rows += table.num_rows
        return table

    def _text(self, values: pa.StringArray, column: ReadColumn) -> pa.StringArray:
        """Takes the mark off, and puts back what was hidden."""
        offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
        data = np.frombuffer(values.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        offsets = offsets - offsets[0]
        marked = np.diff(offsets) > 0
        marks = offsets[:-1][marked]
        if not np.all(data[marks] == self._mark[0]):
            raise SourceError(
                f"column {column.source.name}: the utility wrote a text without the {self._mark.decode()!r} that the "
                "query puts before it: it is not a version that this program knows"
            )
        keep = np.ones(len(data), dtype=bool)
        keep[marks] = False
        shown = data[keep].tobytes().translate(_SHOW)
        offsets[1:] -= np.cumsum(marked, dtype=np.int32)
        # Every value that isn't null has a mark.
        validity = pa.array(marked).buffers()[1]
        return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(shown), validity)

    def _not_utf16(self, block: bytes) -> Exception:
        """The error that names the column of a character that is half of a pair."""
        for row in str(block, _ENCODING, "surrogatepass").split(self._row_end.decode()):
            for field, column in zip(row.split(self._field_end.decode()), self._columns, strict=False):
                if any("\ud800" <= character <= "\udfff" for character in field):
                    return BadValueError(column, field[1:].encode("utf-8", "backslashreplace").decode())
        return SourceError("the utility's output is not UTF-16")
