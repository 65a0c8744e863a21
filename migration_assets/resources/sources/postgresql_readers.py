"""One connection that reads from PostgreSQL under an exported snapshot: COPY in binary format, or in CSV."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import socket
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg
import pyarrow as pa

from migration_assets.platforms.base import ReadColumn
from migration_assets.platforms.postgresql import SESSION_SETTINGS, explain_bad_value
from migration_assets.platforms.types import Kind
from migration_assets.resources.sources.base import (
    BadValueError,
    Reader,
    SnapshotLostError,
    SourceError,
    TransientSourceError,
)
from migration_assets.resources.sources.copy_binary import BYTES, BinaryDecoder, Wire, wire_of
from migration_assets.resources.sources.csv_blocks import parse_csv_block
from migration_assets.resources.sources.rate_limit import RateLimiter

BLOCK_BYTES = 4 * 1024 * 1024
"""CSV text that is parsed at once: large enough that the cost of a call is nothing beside the parsing."""

BLOCKS_AHEAD = 2
"""Blocks that wait for the parser; with them the memory of a stream is bounded."""

CHUNK_BYTES = 1024 * 1024
"""Bytes that are received at once."""

CHUNKS_AHEAD = 8
"""Chunks that wait for the decoder."""

# PostgreSQL sends 8 KB at a time. A reader that is faster than the server would wake up for each of them, and wake
# the server's next one: that costs both more than half of their time. A nap lets half a megabyte come together.
NAP_SECONDS = 0.003
_FLOWING = 4096

POLL_SECONDS = 0.1
"""How often the two ends of a stream look whether it was closed."""

CLOSE_SECONDS = 2
"""What the server has to break off a query and to say goodbye; then the connection is cut."""

KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 30, 10, 6
"""Seconds without a word, seconds between probes, and probes without an answer until a connection is dead."""

_CLOSED = "the connection was closed during a read"
_END = object()


@dataclass(frozen=True)
class Login:
    """Where and as whom to connect, and how fast to read."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    database: str
    sslmode: str
    timeout_seconds: int
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(0))


class _PostgreSQLReader(Reader):
    """Fetches on a thread of its own, so that the server, the wire and the decoder work at the same time."""

    def __init__(self, login: Login, snapshot: str, *, check_utf8: bool) -> None:
        self._login = login
        self._check_utf8 = check_utf8
        self._source_rows = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgresql-reader", daemon=True)
        self._thread.start()
        self._closed = threading.Event()
        self._closing = threading.Lock()
        self._connection: asyncpg.Connection | None = None
        try:
            self._wait(self._connect(snapshot))
        except BaseException:
            self.close()
            raise

    @property
    def source_rows(self) -> int:
        return self._source_rows

    def read(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        finished = False
        try:
            for table in self._rows(query, columns):
                self._login.limiter.take(table.num_rows, self._closed)
                yield table
            finished = True
        except BadValueError as error:
            explained = explain_bad_value(error.column.source, error.column.type, error.value)
            raise SourceError(explained) from None
        except TransientSourceError as error:
            # What the server says of a statement that was broken off may come before the reader sees that it is closed.
            if self._closed.is_set() and str(error) != _CLOSED:
                raise TransientSourceError(_CLOSED) from error
            raise
        finally:
            if not finished:
                self.close()

    @abstractmethod
    def _rows(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        """What `read` gives; sets the number of rows in the end."""

    def _next(self, items: queue.Queue[object]) -> object:
        while not self._closed.is_set():
            with suppress(queue.Empty):
                return items.get(timeout=POLL_SECONDS)
        raise TransientSourceError(_CLOSED)

    def close(self) -> None:
        with self._closing:
            if self._closed.is_set():
                return
            self._closed.set()
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        with suppress(TimeoutError, concurrent.futures.TimeoutError):
            ending.result(timeout=self._login.timeout_seconds + CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end(self) -> None:
        # A cancelled COPY is broken off in the server too, which would notice a connection that was cut only when
        # it has a row to send.
        await _cancel_others()
        if self._connection is not None:
            with suppress(*_TRANSIENT, asyncpg.PostgresError):
                await self._connection.close(timeout=CLOSE_SECONDS)
            self._connection.terminate()
        await _cancel_others()

    async def _connect(self, snapshot: str) -> None:
        login = self._login
        self._connection = await asyncpg.connect(
            host=login.host,
            port=login.port,
            user=login.username,
            password=login.password,
            database=login.database,
            ssl=login.sslmode,
            timeout=login.timeout_seconds,
            statement_cache_size=0,
            server_settings={**SESSION_SETTINGS, "application_name": "migration-assets"},
        )
        _keep_alive(self._connection)
        await self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            await self._connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        except _NO_SNAPSHOT as error:
            raise SnapshotLostError(
                f"PostgreSQL doesn't hold the snapshot any more, since the connection that took it was lost: "
                f"{message_of(error)}"
            ) from error

    def _wait(self, coroutine: Coroutine[None, None, None]) -> None:
        _translated(asyncio.run_coroutine_threadsafe(coroutine, self._loop).result)


class CsvReader(_PostgreSQLReader):
    """Reads COPY's CSV, which pyarrow parses: for machines without a compiler."""

    def _rows(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        blocks: queue.Queue[object] = queue.Queue(maxsize=BLOCKS_AHEAD)
        copying = asyncio.run_coroutine_threadsafe(self._copy(query, blocks), self._loop)
        while (block := self._next(blocks)) is not _END:
            assert isinstance(block, bytearray)
            yield parse_csv_block(block, columns, check_utf8=self._check_utf8)
        self._source_rows = _translated(copying.result)

    def _put(self, blocks: queue.Queue[object], item: object) -> None:
        # Blocking the loop is meant: it serves this one connection, and a full queue must hold back the server.
        while not self._closed.is_set():
            with suppress(queue.Full):
                return blocks.put(item, timeout=POLL_SECONDS)
        raise TransientSourceError(_CLOSED)

    async def _copy(self, query: str, blocks: queue.Queue[object]) -> int:
        assert self._connection is not None
        block = bytearray()

        async def collect(messages: bytes) -> None:
            nonlocal block
            # PostgreSQL sends one row a message and asyncpg joins whole messages: a block ends with a row.
            block += messages
            if len(block) >= BLOCK_BYTES:
                self._put(blocks, block)
                block = bytearray()

        try:
            status = await self._connection.copy_from_query(query, output=collect, format="csv")
            if block:
                self._put(blocks, block)
            return int(status.rpartition(" ")[2])
        finally:
            with suppress(TransientSourceError):
                self._put(blocks, _END)


class BinaryReader(_PostgreSQLReader):
    """Reads COPY's binary format.

    asyncpg makes the connection; during a query the bytes go past it, since it would handle each row by itself.
    """

    def __init__(self, login: Login, snapshot: str, *, check_utf8: bool) -> None:
        self._exchanging = False
        super().__init__(login, snapshot, check_utf8=check_utf8)

    def _rows(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        described = BinaryDecoder((), (), check_utf8=False)
        for _ in self._exchange(_describe(query), described):
            raise AssertionError("a description has no rows")
        wires = [_wire(oid, column) for oid, column in zip(_type_oids(described.messages), columns, strict=True)]
        decoder = BinaryDecoder(columns, [wire or BYTES for wire in wires], check_utf8=self._check_utf8)
        yield from self._exchange(_message(b"Q", _copy_statement(query, wires).encode() + b"\0"), decoder)
        self._source_rows = _copied_rows(decoder.messages)

    def _exchange(self, request: bytes, decoder: BinaryDecoder) -> Iterator[pa.Table]:
        """Sends a request and decodes the answer until the server is ready for the next.

        Raises:
            SourceError: the server refused.
        """
        assert self._connection is not None
        transport = self._connection._transport
        if transport is None:
            raise TransientSourceError("the connection was lost")
        # Asked for by name: the transport may still have the receiver of the exchange before.
        own = self._connection._protocol
        # TLS comes in records of at most 16 KB, which asyncio hands on as they are; it has naps enough of its own.
        naps = transport.get_extra_info("ssl_object") is None
        receiver = _Receiver(self._closed, naps=naps)

        def begin() -> None:
            transport.set_protocol(receiver)
            if transport.is_closing():  # asyncpg was told already.
                receiver.connection_lost(None)
            else:
                transport.write(request)

        self._exchanging = True
        self._call_soon(begin)
        while not decoder.is_ready:
            received = self._next(receiver.received)
            if not isinstance(received, memoryview):
                _raise_refusal(decoder.messages)
                reason = _CLOSED if self._closed.is_set() else f"PostgreSQL broke off: {received}"
                raise TransientSourceError(reason)
            yield from decoder.feed(received)
            receiver.give_back(received)
        yield from decoder.finish()
        # Nothing comes now that asyncpg would not know: the server waits for the next request.
        self._call_soon(transport.set_protocol, own)
        self._exchanging = False
        _raise_refusal(decoder.messages)

    def _call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError as error:  # The loop is closed.
            raise TransientSourceError(_CLOSED) from error

    async def _end(self) -> None:
        if self._exchanging and self._connection is not None:
            # A backend that has no row to send would not notice that the connection was cut.
            with suppress(*_TRANSIENT):
                await asyncio.wait_for(self._connection._cancel(self._loop.create_future()), CLOSE_SECONDS)
            self._connection.terminate()
        await super()._end()


class _Receiver(asyncio.BufferedProtocol):
    """Takes what a server sends, as it comes, into a bounded number of buffers."""

    def __init__(self, closed: threading.Event, *, naps: bool) -> None:
        self._closed = closed
        self._naps = naps
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._allocated = 0
        self._filling: bytearray | None = None
        self.received: queue.Queue[object] = queue.Queue()

    def get_buffer(self, sizehint: int) -> memoryview:
        # With TLS, asyncio may ask again before it has filled anything, and it cuts the buffer, which must not copy it.
        if self._filling is None:
            self._filling = self._empty_chunk()
        return memoryview(self._filling)

    def _empty_chunk(self) -> bytearray:
        # Blocking the loop is meant: it serves this one connection, and the server must be held back.
        while not self._closed.is_set():
            if self._free.empty() and self._allocated < CHUNKS_AHEAD:
                self._allocated += 1
                break
            with suppress(queue.Empty):
                return self._free.get(timeout=POLL_SECONDS)
        return bytearray(CHUNK_BYTES)

    def buffer_updated(self, nbytes: int) -> None:
        assert self._filling is not None
        self.received.put(memoryview(self._filling)[:nbytes])
        self._filling = None
        if self._naps and _FLOWING <= nbytes < CHUNK_BYTES // 4:
            time.sleep(NAP_SECONDS)

    def give_back(self, received: memoryview) -> None:
        """Lets a buffer be filled again."""
        buffer = received.obj
        assert isinstance(buffer, bytearray)
        self._free.put(buffer)

    def eof_received(self) -> None:
        self.received.put("the server closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self.received.put(str(exc) if exc else "the connection was lost")


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def _describe(query: str) -> bytes:
    """Asks for the types of a query's columns: Parse, Describe and Sync."""
    parse = b"\0" + query.encode() + b"\0" + (0).to_bytes(2, "big")
    return _message(b"P", parse) + _message(b"D", b"S\0") + _message(b"S", b"")


def _type_oids(messages: Sequence[tuple[bytes, bytes]]) -> list[int]:
    """The types' numbers in `pg_type`, from a RowDescription."""
    (body,) = (body for kind, body in messages if kind == b"T")
    oids, position = [], 2
    for _ in range(int.from_bytes(body[:2], "big")):
        # The name; then table (4 bytes), column (2), type (4), its size (2), modifier (4), format (2).
        position = body.index(b"\0", position) + 1
        oids.append(int.from_bytes(body[position + 6 : position + 10], "big"))
        position += 18
    return oids


def _wire(oid: int, column: ReadColumn) -> Wire | None:
    wire = wire_of(oid, column.type)
    if wire is None and column.type.kind not in (Kind.TEXT, Kind.JSON, Kind.UUID):
        raise SourceError(
            f"column {column.source.name!r} was planned as {column.source.native_type}, and the source sends another "
            f"type (number {oid} in pg_type), which does not read as {column.type}: the table was changed since; plan "
            "it again"
        )
    return wire


def _copy_statement(query: str, wires: Sequence[Wire | None]) -> str:
    """COPY in binary format, in which columns of other types are sent as the text that PostgreSQL prints."""
    if None in wires:
        names = [f"c{number}" for number in range(len(wires))]
        # Of a composite value, IS NULL asks whether all its fields are.
        selected = [
            name if wire else f"CASE WHEN {name} IS DISTINCT FROM NULL THEN pg_catalog.format('%s', {name}) END"
            for name, wire in zip(names, wires, strict=True)
        ]
        query = f"SELECT {', '.join(selected)} FROM ({query}) AS rows({', '.join(names)})"  # noqa: S608
    return f"COPY ({query}) TO STDOUT (FORMAT binary)"


def _copied_rows(messages: Sequence[tuple[bytes, bytes]]) -> int:
    """The rows that the server says it sent."""
    (tag,) = (body for kind, body in messages if kind == b"C")
    return int(tag.rstrip(b"\0").rpartition(b" ")[2])


def _raise_refusal(messages: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises what an ErrorResponse says, if one came."""
    body = next((body for kind, body in messages if kind == b"E"), None)
    if body is None:
        return
    fields = {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}

    def refuse() -> None:
        raise asyncpg.PostgresError.new(fields)

    _translated(refuse)


async def _cancel_others() -> None:
    """Cancels every other task of the loop and waits for its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _keep_alive(connection: asyncpg.Connection) -> None:
    """Lets the system find out that the server is gone; asyncpg has no setting for it."""
    sock = connection._transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
            ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
            ("TCP_KEEPCNT", KEEPALIVE_COUNT),
        ):
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


_Result = TypeVar("_Result")

# Faults of the connection or of the server's state, not of the query.
_TRANSIENT = (
    OSError,
    asyncio.TimeoutError,
    concurrent.futures.CancelledError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)

# What PostgreSQL 12 to 18 answer to the name of a snapshot whose transaction is over.
_NO_SNAPSHOT = (
    asyncpg.InvalidParameterValueError,
    asyncpg.UndefinedObjectError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)


def _translated(result: Callable[[], _Result]) -> _Result:
    """Calls `result` and gives asyncpg's errors the names of this interface."""
    try:
        return result()
    except _TRANSIENT as error:
        raise TransientSourceError(f"PostgreSQL broke off: {message_of(error)}") from error
    except asyncpg.PostgresError as error:
        raise SourceError(f"PostgreSQL refused the query: {message_of(error)}") from error


def message_of(error: Exception) -> str:
    """The first line of an error, which is its cause."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
