"""PostgreSQL's COPY (FORMAT binary) as Arrow tables: `copy_binary.c` decodes, this module tells it what into.

The C code is compiled when the package is installed, if there is a compiler; `is_available` tells. Values go from the
wire into Arrow's buffers at once, with no object a value or a row.
"""

from __future__ import annotations

import ctypes
import functools
import sysconfig
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np
import pyarrow as pa

from migration_assets.platforms.base import ReadColumn
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.sources.base import BadValueError, SourceError
from migration_assets.resources.sources.wire_text import (
    date_text,
    integer_text,
    numeric_text,
    time_text,
    timestamp_text,
)

TABLE_ROWS = 32 * 1024
"""Rows of a table: its buffers stay in the processor's cache while they are filled."""

TABLE_BYTES = 8 * 1024 * 1024
"""Bytes on the wire past which a table ends before that."""

_LIBRARY = Path(__file__).with_name(f"_copy_binary{sysconfig.get_config_var('EXT_SUFFIX')}")


class _Encoding(IntEnum):
    """`enum encoding` in C."""

    BOOLEAN, INTEGER, UNSIGNED, FLOAT, DECIMAL, BYTES, PADDED, UUID, TEMPORAL = range(9)


class _Status(IntEnum):
    """`enum status` in C."""

    NEED_BYTES, GROUP_FULL, OTHER_MESSAGE, BAD_VALUE, CORRUPT = range(5)


class _Column(ctypes.Structure):
    """`column_t` in C."""

    _fields_ = (
        ("encoding", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("scale", ctypes.c_int32),
        ("skip", ctypes.c_int32),
        ("shift", ctypes.c_int64),
        ("smallest", ctypes.c_int64),
        ("largest", ctypes.c_int64),
        ("limit", ctypes.c_uint64 * 2),
        ("validity", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("data", ctypes.c_void_p),
        ("data_capacity", ctypes.c_int64),
        ("data_size", ctypes.c_int64),
        ("nulls", ctypes.c_int64),
    )


class _Group(ctypes.Structure):
    """`group_t` in C."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("row_capacity", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
        ("byte_limit", ctypes.c_int64),
        ("used", ctypes.c_int64),
        ("needed", ctypes.c_int64),
        ("field", ctypes.c_int64),
        ("field_size", ctypes.c_int64),
        ("column", ctypes.c_int32),
        ("started", ctypes.c_int32),
    )


_LAYOUT = 1
"""`LAYOUT` in C."""


@functools.cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(_LIBRARY))
        # A library that an older or newer release left behind has other structures.
        if library.layout() != _LAYOUT << 16 | ctypes.sizeof(_Column) << 8 | ctypes.sizeof(_Group):
            return None
    except (OSError, AttributeError):
        return None
    library.decode_rows.restype = ctypes.c_int32
    library.decode_rows.argtypes = (
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.POINTER(_Column),
        ctypes.c_int32,
        ctypes.POINTER(_Group),
    )
    return library


def is_available() -> bool:
    """Whether the C code was compiled when the package was installed."""
    return _library() is not None


_DATE_WIDTH = 4
_DAYS_TO_2000 = 10_957
_MICROSECONDS_A_DAY = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, the calendar that targets share


@dataclass(frozen=True)
class Wire:
    """How the values of a column come, and what is made of them; the attributes are those of `column_t`."""

    encoding: int
    width: int = 0
    scale: int = 0
    skip: int = 0
    shift: int = 0
    smallest: int = 0
    largest: int = 0
    limit: int = 0


_TEXT_KINDS = (Kind.TEXT, Kind.JSON, Kind.UUID)
BYTES = Wire(_Encoding.BYTES)
"""Values that are taken as they come."""

# Types by their fixed numbers in pg_type, whose send function writes the bytes of the text.
_SENT_AS_TEXT = (25, 1043, 19, 114)  # text, varchar, name, json
_PADDED = 1042  # bpchar
_JSONB, _UUID, _BYTEA, _BOOLEAN, _NUMERIC = 3802, 2950, 17, 16, 1700
_SIGNED = (21, 23, 20)  # int2, int4, int8
_UNSIGNED = (26, 28, 29, 5069)  # oid, xid, cid, xid8
_FLOATS = {700: 4, 701: 8}
_DATE, _TIME, _TIMESTAMP, _TIMESTAMP_TZ = 1082, 1083, 1114, 1184


def wire_of(type_oid: int, column_type: ColumnType) -> Wire | None:
    """How a column of a type of PostgreSQL is decoded as a column type; None when it has to be sent as text.

    Args:
        type_oid: number of the type in `pg_type`, the base type in the case of a domain.
    """
    kind, scale = column_type.kind, column_type.scale or 0
    bits = column_type.bits or 64
    integers = {"smallest": -(1 << bits - 1), "largest": (1 << bits - 1) - 1}
    match kind:
        case Kind.BOOLEAN if type_oid == _BOOLEAN:
            return Wire(_Encoding.BOOLEAN)
        case Kind.INTEGER if type_oid in _SIGNED:
            return Wire(_Encoding.INTEGER, bits // 8, **integers)
        case Kind.INTEGER if type_oid in _UNSIGNED:
            return Wire(_Encoding.UNSIGNED, bits // 8, largest=integers["largest"])
        case Kind.INTEGER if type_oid == _NUMERIC:
            return Wire(_Encoding.DECIMAL, bits // 8, limit=10**20, **integers)
        case Kind.DECIMAL if type_oid == _NUMERIC:
            return Wire(_Encoding.DECIMAL, 16, scale, limit=10**column_type.digits)
        case Kind.FLOAT if _FLOATS.get(type_oid) == bits // 8:
            return Wire(_Encoding.FLOAT, bits // 8)
        case Kind.TEXT if type_oid == _PADDED:
            return Wire(_Encoding.PADDED)
        case Kind.BINARY if type_oid == _BYTEA:
            return BYTES
        case Kind.UUID | Kind.TEXT if type_oid == _UUID:
            return Wire(_Encoding.UUID)
        case Kind.JSON | Kind.TEXT if type_oid == _JSONB:
            return Wire(_Encoding.BYTES, skip=1)
        case Kind.DATE if type_oid == _DATE:
            return Wire(_Encoding.TEMPORAL, _DATE_WIDTH, shift=_DAYS_TO_2000, smallest=_FIRST_DAY, largest=_LAST_DAY)
        case Kind.TIME if type_oid == _TIME:
            return Wire(_Encoding.TEMPORAL, 8, smallest=0, largest=_MICROSECONDS_A_DAY - 1)
        case Kind.TIMESTAMP | Kind.TIMESTAMP_TZ if type_oid in (_TIMESTAMP, _TIMESTAMP_TZ):
            return Wire(
                _Encoding.TEMPORAL,
                8,
                shift=_DAYS_TO_2000 * _MICROSECONDS_A_DAY,
                smallest=_FIRST_DAY * _MICROSECONDS_A_DAY,
                largest=(_LAST_DAY + 1) * _MICROSECONDS_A_DAY - 1,
            )
    return BYTES if kind in _TEXT_KINDS and type_oid in _SENT_AS_TEXT else None


@dataclass
class _Buffer:
    """Memory for a column of a table: Arrow's buffers, as large as they may get."""

    validity: np.ndarray
    values: np.ndarray
    data: np.ndarray
    is_bitmap: bool
    is_variable: bool
    leases: list[weakref.ref[np.ndarray]] = field(default_factory=list)

    @classmethod
    def of(cls, wire: Wire) -> _Buffer:
        """New memory; what is never written to is never taken from the system."""
        is_variable = wire.encoding in (_Encoding.BYTES, _Encoding.PADDED, _Encoding.UUID)
        is_bitmap = wire.encoding == _Encoding.BOOLEAN
        size = 4 * (TABLE_ROWS + 1) if is_variable else TABLE_ROWS // 8 if is_bitmap else wire.width * TABLE_ROWS
        values = np.zeros(size, dtype=np.uint8)
        validity, data = np.empty(TABLE_ROWS // 8, np.uint8), np.empty(0, np.uint8)
        return cls(validity, values, data, is_bitmap, is_variable)

    def clear(self, capacity: int) -> None:
        """Makes it ready for a table, with so much room for the bytes of variable values."""
        self.validity.fill(255)
        if self.is_bitmap:
            self.values.fill(0)
        # What a single large value needed is not kept.
        if self.is_variable and not capacity <= len(self.data) <= 2 * capacity:
            self.data = np.empty(capacity, np.uint8)

    def lend(self, part: np.ndarray) -> pa.Buffer:
        """A part as Arrow's buffer. Arrow keeps the view that it is given for as long as any array needs it."""
        view = part[:]
        self.leases.append(weakref.ref(view))
        return pa.py_buffer(view)

    def is_free(self) -> bool:
        """Whether no Arrow array uses the memory any more."""
        self.leases = [lease for lease in self.leases if lease() is not None]
        return not self.leases


_Buffers = list[_Buffer]


class BinaryDecoder:
    """Turns what a server sends, cut anywhere, into tables; for the rows of one query.

    Attributes:
        messages: the messages that were no rows, type and body, in their order.
        is_ready: whether the server is ready for the next query.
    """

    def __init__(self, columns: Sequence[ReadColumn], wires: Sequence[Wire], *, check_utf8: bool) -> None:
        self._columns = columns
        self._wires = wires
        self._check_utf8 = check_utf8
        self._schema = pa.schema([pa.field(column.name, column.type.to_arrow()) for column in columns])
        self._descriptions = (_Column * len(columns))()
        self._group = _Group(row_capacity=TABLE_ROWS, byte_limit=TABLE_BYTES)
        self._pool: list[_Buffers] = []
        self._buffers: _Buffers = []
        self._pending = bytearray()
        self.messages: list[tuple[bytes, bytes]] = []
        self.is_ready = False
        for description, wire in zip(self._descriptions, wires, strict=True):
            for name in ("encoding", "width", "scale", "skip", "shift", "smallest", "largest"):
                setattr(description, name, getattr(wire, name))
            description.limit[:] = wire.limit & (1 << 64) - 1, wire.limit >> 64
        self._begin(0)

    def feed(self, received: memoryview) -> Iterator[pa.Table]:
        """The tables that are full with these bytes; the bytes must stay until the next call.

        Raises:
            BadValueError: a value has no place in its column's type.
            SourceError: the bytes are not COPY's.
        """
        if self._pending:
            received = received[self._complete(received) :]
            if len(self._pending) < _message_size(self._pending):
                return
            message, self._pending = self._pending, bytearray()
            yield from self._decode(memoryview(message))
        yield from self._decode(received)

    def finish(self) -> Iterator[pa.Table]:
        """The rows that are left."""
        if self._group.rows:
            yield self._table()

    def _complete(self, received: memoryview) -> int:
        """Moves what the pending message lacks; returns the number of bytes."""
        taken = 0
        for _ in range(2):  # its header first, which tells the size
            missing = max(_message_size(self._pending) - len(self._pending), 0)
            self._pending += received[taken : taken + missing]
            taken = min(taken + missing, len(received))
        return taken

    def _decode(self, wire: memoryview) -> Iterator[pa.Table]:
        library = _library()
        assert library is not None
        if not wire:
            return
        group, address = self._group, np.frombuffer(wire, dtype=np.uint8).ctypes.data
        position = 0
        while position < len(wire):
            status = library.decode_rows(
                address + position, len(wire) - position, self._descriptions, len(self._columns), group
            )
            start = position
            position += group.used
            if status == _Status.NEED_BYTES:
                break
            if status == _Status.GROUP_FULL:
                if group.rows:
                    yield self._table()
                self._begin(group.needed)
            elif status == _Status.OTHER_MESSAGE:
                size = _message_size(wire[position : position + _HEADER])
                if len(wire) - position < size:
                    break
                message = bytes(wire[position : position + size])
                self.messages.append((message[:1], message[_HEADER:]))
                self.is_ready |= message[:1] == b"Z"
                position += size
            elif status == _Status.BAD_VALUE:
                field = bytes(wire[start + group.field : start + group.field + group.field_size])
                raise BadValueError(self._columns[group.column], _text(self._wires[group.column], field))
            else:
                raise SourceError("the source's rows can't be read: they are not what COPY in binary format promises")
        self._pending += wire[position:]

    def _begin(self, needed: int) -> None:
        """Begins a table, with room for `needed` bytes in every column of variable size."""
        capacity = max(TABLE_BYTES, needed) + _ROOM
        self._buffers = next((buffers for buffers in self._pool if all(buffer.is_free() for buffer in buffers)), [])
        if not self._buffers:
            self._buffers = [_Buffer.of(wire) for wire in self._wires]
            self._pool.append(self._buffers)
        for description, buffer in zip(self._descriptions, self._buffers, strict=True):
            buffer.clear(capacity)
            description.validity, description.values = buffer.validity.ctypes.data, buffer.values.ctypes.data
            if buffer.is_variable:
                description.data, description.data_capacity = buffer.data.ctypes.data, len(buffer.data)
            description.data_size = description.nulls = 0
        self._group.rows = self._group.bytes = 0

    def _table(self) -> pa.Table:
        rows = self._group.rows
        arrays = []
        for column, description, buffer in zip(self._schema, self._descriptions, self._buffers, strict=True):
            parts = [buffer.lend(buffer.validity) if description.nulls else None, buffer.lend(buffer.values)]
            if buffer.is_variable:
                parts.append(buffer.lend(buffer.data[: description.data_size]))
            arrays.append(pa.Array.from_buffers(column.type, rows, parts, description.nulls))
        if self._check_utf8:
            for column, array in zip(self._columns, arrays, strict=True):
                _require_utf8(column, array)
        return pa.Table.from_arrays(arrays, schema=self._schema)


_HEADER = 5
"""Bytes of a message's type and size."""

_ROOM = 64
"""What the C code wants free behind the last byte."""


def _message_size(message: bytearray | memoryview) -> int:
    """Bytes of a whole message; its header's, while that is not there."""
    return 1 + int.from_bytes(message[1:_HEADER], "big") if len(message) >= _HEADER else _HEADER


def _text(wire: Wire, field: bytes) -> str:
    """A value that was refused, as PostgreSQL prints it."""
    match wire.encoding:
        case _Encoding.INTEGER | _Encoding.UNSIGNED:
            return integer_text(field, signed=wire.encoding == _Encoding.INTEGER)
        case _Encoding.DECIMAL:
            return numeric_text(field)
        case _Encoding.TEMPORAL if wire.width == _DATE_WIDTH:
            return date_text(field)
        case _Encoding.TEMPORAL:
            return timestamp_text(field) if wire.shift else time_text(field)
    return field.hex()


def _require_utf8(column: ReadColumn, array: pa.Array) -> None:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        if not pa.types.is_string(array.type):
            raise
        for value in array.cast(pa.binary()).to_pylist():
            try:
                (value or b"").decode()
            except UnicodeDecodeError:
                raise BadValueError(column, value.decode(errors="backslashreplace")) from None
        raise
