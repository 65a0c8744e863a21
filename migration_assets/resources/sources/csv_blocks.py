"""Turns blocks of delimited text, each of whole rows, into Arrow tables with declared types.

NULL is an unquoted empty field. In PostgreSQL's COPY CSV an empty string is a quoted one, so that both are kept
apart. A block is parsed as a whole, so a row may be as large as the server can send.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from migration_assets.platforms.base import ReadColumn
from migration_assets.platforms.types import Kind
from migration_assets.resources.sources.base import BadValueError, SourceError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_FAILED_AT = re.compile(r"In CSV column #(\d+)(?:: Row #(\d+))?")

# The value of a hexadecimal digit at the digit's character code.
_NIBBLES = np.zeros(256, dtype=np.uint8)
for _digit in "0123456789abcdefABCDEF":
    _NIBBLES[ord(_digit)] = int(_digit, 16)


@dataclass(frozen=True)
class Form:
    """How rows are written as text.

    Attributes:
        delimiter: one ASCII character between fields.
        quoted: fields may stand in double quotes; without, no field has a line break in it.
        true: how a boolean is written.
    """

    delimiter: str
    quoted: bool
    true: str
    false: str


COPY_CSV = Form(",", quoted=True, true="t", false="f")
"""PostgreSQL's."""


def parse_csv_block(
    block: bytes | bytearray, columns: Sequence[ReadColumn], *, check_utf8: bool, form: Form = COPY_CSV
) -> pa.Table:
    """Parses rows without a header.

    Args:
        block: CSV text of whole rows.
        columns: the columns in the order of the fields.
        check_utf8: whether the text must be checked; needless when the server has checked it on the way in.
        form: how the fields are written.

    Returns:
        A table with `columns`' names and Arrow types.

    Raises:
        BadValueError: a field is not a value of its column's type.
        SourceError: a row hasn't as many fields as there are columns.
    """
    if block.startswith(_BYTE_ORDER_MARK):
        # The mark is the first character of the first value, but the reader would take it for the file's own.
        block = _BYTE_ORDER_MARK + block
    try:
        table = _read(block, columns, form, check_utf8, as_text=False)
    except pa.ArrowInvalid as error:
        raise _locate(error, block, columns, form) from error
    for index, column in enumerate(columns):
        convert = _CONVERSIONS.get(column.type.kind)
        if convert is not None:
            chunks = [convert(chunk) for chunk in table.column(index).chunks]
            table = table.set_column(index, column.name, pa.chunked_array(chunks, column.type.to_arrow()))
    return table


def decode_hex(text: pa.StringArray) -> pa.BinaryArray:
    r"""Decodes hexadecimal text behind two characters (`\x…`, `0x…`) to bytes, all values at once."""
    text = pc.fill_null(text, "")
    offsets = np.frombuffer(text.buffers()[1], dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    characters = np.frombuffer(text.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    starts, lengths = offsets[:-1], np.diff(offsets)
    keep = np.ones(len(characters), dtype=bool)
    filled = lengths > 0
    keep[starts[filled]] = False
    keep[starts[filled] + 1] = False
    nibbles = _NIBBLES[characters[keep]]
    data = (nibbles[0::2] << 4) | nibbles[1::2]
    sizes = np.where(filled, (lengths - 2) // 2, 0)
    new_offsets = np.zeros(len(text) + 1, dtype=np.int32)
    np.cumsum(sizes, out=new_offsets[1:])
    # Every value that isn't null begins with two characters, so an empty text stands for a null.
    validity = pa.array(filled).buffers()[1]
    buffers = [validity, pa.py_buffer(new_offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.binary(), len(text), buffers)


# Parsed as something else first: hexadecimal text, and UTC wall time without a zone.
_PARSED_AS = {Kind.BINARY: pa.string(), Kind.TIMESTAMP_TZ: pa.timestamp("us")}
_CONVERSIONS: dict[Kind, Callable[[pa.Array], pa.Array]] = {
    Kind.BINARY: decode_hex,
    Kind.TIMESTAMP_TZ: lambda wall_time: wall_time.view(pa.timestamp("us", tz="UTC")),
}


def _read(
    block: bytes | bytearray, columns: Sequence[ReadColumn], form: Form, check_utf8: bool, *, as_text: bool
) -> pa.Table:
    names = [column.name for column in columns]
    types = {
        column.name: pa.string() if as_text else _PARSED_AS.get(column.type.kind, column.type.to_arrow())
        for column in columns
    }
    return csv.read_csv(
        pa.BufferReader(block),
        read_options=csv.ReadOptions(column_names=names, block_size=len(block) + 1, use_threads=False),
        # Quoted line breaks are always parsed; `newlines_in_values` only tells where blocks may be cut.
        parse_options=csv.ParseOptions(
            delimiter=form.delimiter,
            quote_char='"' if form.quoted else False,
            newlines_in_values=False,
            ignore_empty_lines=False,
        ),
        convert_options=csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=[form.true],
            false_values=[form.false],
            check_utf8=check_utf8,
        ),
    )


def _locate(error: pa.ArrowInvalid, block: bytes | bytearray, columns: Sequence[ReadColumn], form: Form) -> Exception:
    """The error that names the column and the value; the original one when they can't be told."""
    match = _FAILED_AT.search(str(error))
    if not match:
        return SourceError(f"the source's rows can't be parsed: {error}")
    column = columns[int(match.group(1))]
    row = int(match.group(2) or 1) - 1
    values = _read(block, columns, form, False, as_text=True).column(int(match.group(1)))
    # Text that is not UTF-8 may be the very reason.
    value = values[row].cast(pa.binary()).as_py() or b""
    return BadValueError(column, value.decode(errors="backslashreplace"))
