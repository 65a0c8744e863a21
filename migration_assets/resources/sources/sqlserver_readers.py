"""One connection that streams rows from SQL Server as Arrow tables, through arrow-odbc."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from migration_assets.platforms.base import ReadColumn, TableName
from migration_assets.resources.sources.base import BadValueError, Reader, SourceError, TransientSourceError
from migration_assets.resources.sources.rate_limit import RateLimiter
from migration_assets.resources.sources.sqlserver_columns import (
    NulCounts,
    ReplacementCounts,
    binary_columns,
    text_columns,
    to_planned,
)
from migration_assets.resources.sources.sqlserver_drivers import load_arrow_odbc
from migration_assets.resources.sources.sqlserver_errors import query_error
from migration_assets.resources.sources.sqlserver_login import SQLServerLogin
from migration_assets.resources.sources.sqlserver_sockets import connected
from migration_assets.resources.sources.sqlserver_texts import as_stored

NulCharacters = Literal["keep", "fail"]

BATCH_BYTES = 8 * 1024 * 1024
"""The driver's buffer, which has room for the longest possible row many times: larger ones were not faster, nor was a
second one that is filled meanwhile."""

BATCH_ROWS = 65_535

TABLE_BYTES = 4 * 1024 * 1024
"""Rows of wide columns come in small batches, which are joined to tables of about this size."""

TABLES_AHEAD = 2
"""Tables that wait for who reads; with them the memory of a stream is bounded."""

POLL_SECONDS = 0.1
"""How often the two ends of a stream look whether it was closed."""

CLOSE_SECONDS = 2
"""What the thread has to end by itself when the connection is closed."""

_LONGEST_DECLARED = 8_000
"""Bytes or characters of a type that is not `(max)`."""

_END = object()
_CLOSED = "the connection was closed"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadRules:
    """What every read of a source keeps to.

    Attributes:
        hands_on_bytes: whether the driver gives a text as it is stored when it is asked for binary data.
        in_transaction: whether each read is a transaction; False where the connection has one that stays open.
        session: statements that prepare a connection.
    """

    table: TableName
    hands_on_bytes: bool
    nul_characters: NulCharacters
    limiter: RateLimiter
    in_transaction: bool
    session: tuple[str, ...]


class SQLServerReader(Reader):
    """Fetches on a thread of its own, so that the server, the driver and who writes the rows work at the same time.

    It is a daemon: where the driver's call can't be ended, a reader that is closed leaves it behind.
    """

    def __init__(
        self,
        login: SQLServerLogin,
        connection_string: str,
        rules: ReadRules,
        name_state: Callable[[], str | None],
        *,
        give_back: Callable[[SQLServerReader], bool] = lambda reader: False,
    ) -> None:
        """Connects.

        Args:
            name_state: the name of the state that the next read sees; None for the snapshot's own.
            give_back: takes a connection that is not in the middle of a read, if it is still of use.

        Raises:
            Exception: what arrow-odbc raises when it can't connect.
        """
        self._odbc = load_arrow_odbc()
        self._rules = rules
        self._name_state = name_state
        self._give_back = give_back
        self._state: str | None = None
        self._source_rows = 0
        self._reading = False
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: Any
        self._connection, self._lifeline = connected(
            login, lambda: self._odbc.connect(connection_string, login_timeout_sec=login.timeout_seconds)
        )
        for statement in rules.session:
            self._connection.execute(statement)

    @property
    def state(self) -> str | None:
        return self._state

    @property
    def source_rows(self) -> int:
        return self._source_rows

    def read(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        tables: queue.Queue[object] = queue.Queue(maxsize=TABLES_AHEAD)
        nuls, replaced = NulCounts(columns), ReplacementCounts(columns)
        self._state, self._source_rows, self._reading = self._name_state(), 0, True
        arguments = (query, tuple(columns), tables)
        self._thread = threading.Thread(target=self._fetch, args=arguments, name="sqlserver-reader", daemon=True)
        self._thread.start()
        finished = False
        try:
            while (item := self._next(tables)) is not _END:
                if isinstance(item, BaseException):
                    raise item
                assert isinstance(item, pa.Table)
                nuls.add(item)
                replaced.add(item)
                refuse_nuls(nuls, self._rules.nul_characters)
                self._rules.limiter.take(item.num_rows, self._closed)
                yield item
            finished, self._reading = True, False
        except BadValueError as error:
            raise SourceError(
                f"column {error.column.source.name} ({error.column.source.native_type}): the value {error.value!r} "
                f"doesn't fit {error.column.type}: map the column to a type that holds it with columnTypeMappings, or, "
                "if the table was changed since it was planned, plan it again"
            ) from None
        finally:
            if not finished:
                self._end()
        tell_nuls(nuls, self._rules.table)
        tell_replaced(replaced, self._rules.table)

    def close(self) -> None:
        if self._reading or not self._give_back(self):
            self._end()

    def _end(self) -> None:
        self._closed.set()
        if self._reading:
            self._lifeline.cut()
        self._lifeline.release()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
        # Dropping the last reference ends the connection; a thread that still waits has another one.
        self._connection = None

    def begin(self, first: str) -> None:
        """Begins a transaction that stays open, with a first query.

        Raises:
            SourceError: the server refused.
        """
        try:
            self._connection.execute("BEGIN TRANSACTION")
            for _ in self._connection.read_arrow_batches(first):
                pass
        except self._odbc.Error as error:
            raise query_error(error) from None

    def _next(self, tables: queue.Queue[object]) -> object:
        while not self._closed.is_set():
            with suppress(queue.Empty):
                return tables.get(timeout=POLL_SECONDS)
        raise TransientSourceError(_CLOSED)

    # -- on the thread ------------------------------------------------------------------------------

    def _fetch(self, query: str, columns: Sequence[ReadColumn], tables: queue.Queue[object]) -> None:
        connection = self._connection
        # An end that nobody has foreseen must not look like that of the rows.
        last: object = SourceError("reading broke off by a fault of this program: its traceback is in the log")
        try:
            if self._rules.in_transaction:
                connection.execute("BEGIN TRANSACTION")
            for table in self._tables(connection, query, columns):
                self._put(tables, table)
            if self._rules.in_transaction:
                connection.execute("COMMIT TRANSACTION")
            last = _END
        except self._odbc.Error as error:
            last = self._explained(error)
        except (SourceError, BadValueError, pa.ArrowException) as error:
            # Its traceback would keep the connection.
            last = error.with_traceback(None)
        finally:
            del connection
            with suppress(TransientSourceError):
                self._put(tables, last)

    def _tables(self, connection: Any, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:  # noqa: ANN401
        options: dict[str, object] = {**self._buffers(connection, query, columns)}
        # The server tells by itself how many rows it has sent.
        statement = f"{query};\nSELECT ROWCOUNT_BIG() AS sent"
        if self._rules.hands_on_bytes:
            options["map_schema"] = lambda schema: as_stored(schema, columns)
        reader = self._batches(connection, statement, batch_size=BATCH_ROWS, fetch_concurrently=False, **options)
        waiting: list[pa.RecordBatch] = []
        size = 0
        for batch in reader:
            if self._closed.is_set():
                raise TransientSourceError(_CLOSED)
            waiting.append(batch)
            size += batch.nbytes
            if size >= TABLE_BYTES:
                yield to_planned(waiting, columns)
                waiting, size = [], 0
        if waiting:
            yield to_planned(waiting, columns)
        if not reader.more_results():
            raise TransientSourceError("SQL Server broke off: it did not say how many rows it has sent")
        self._source_rows = next(reader).column(0)[0].as_py()
        # Up to the very end: the connection is busy until then.
        while reader.more_results():
            pass

    def _buffers(self, connection: Any, query: str, columns: Sequence[ReadColumn]) -> dict[str, int]:  # noqa: ANN401
        """How much room the driver's buffers need for values that have no declared length: that of the longest."""
        texts, binaries = text_columns(columns), binary_columns(columns)
        if not texts and not binaries:
            return {
                "max_bytes_per_batch": BATCH_BYTES,
                "max_text_size": _LONGEST_DECLARED,
                "max_binary_size": _LONGEST_DECLARED,
            }
        names = [f"c{place}" for place in range(len(columns))]
        # A text's length in UTF-16, whatever it is stored as.
        lengths = [
            *(f"MAX(DATALENGTH(CAST({names[place]} AS NVARCHAR(MAX)))) / 2" for place in texts),
            *(f"MAX(DATALENGTH({names[place]}))" for place in binaries),
        ]
        selected = ", ".join(f"CAST({length} AS BIGINT) AS l{number}" for number, length in enumerate(lengths))
        statement = f"SELECT {selected} FROM ({query}) AS [rows]({', '.join(names)})"  # noqa: S608
        (row,) = pa.Table.from_batches(self._batches(connection, statement, batch_size=1)).to_pylist()
        longest = [max(1, length or 0) for length in row.values()]
        text, binary = max(longest[: len(texts)], default=0), max(longest[len(texts) :], default=0)
        return {
            # One row has to fit, however long it is; arrow-odbc takes the smaller of this and a declared length.
            "max_bytes_per_batch": max(BATCH_BYTES, 2 * (text + 2) * len(texts) + binary * len(binaries) + BATCH_BYTES),
            "max_text_size": max(text, _LONGEST_DECLARED),
            "max_binary_size": max(binary, _LONGEST_DECLARED),
        }

    def _batches(self, connection: Any, statement: str, **options: object) -> Any:  # noqa: ANN401
        """Runs a statement; both it and its texts travel as UTF-16.

        Bytes would mean what the process's locale says, which may know fewer characters: Microsoft's driver was seen to
        take the UTF-8 of a statement for Latin-1.
        """
        if statement.isascii():
            parameters = None
        else:
            statement, parameters = "EXEC sys.sp_executesql ?", [statement]
        encoding = self._odbc.TextEncoding.UTF16
        return connection.read_arrow_batches(
            statement, parameters=parameters, payload_text_encoding=encoding, **options
        )

    def _put(self, tables: queue.Queue[object], item: object) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                return tables.put(item, timeout=POLL_SECONDS)
        raise TransientSourceError(_CLOSED)

    def _explained(self, error: Exception) -> SourceError:
        if self._closed.is_set():
            return TransientSourceError(_CLOSED)
        if "too large to be written into the allocated buffer" in str(error):
            return TransientSourceError(
                "a value has become longer than the longest one was when the partition was begun: it is read again"
            )
        if "not representable in arrow" in str(error):
            return SourceError(
                f"{str(error).splitlines()[0]}: the server sends a column with seven digits of a second that was "
                "planned with fewer; plan the table again, or map the column's type with columnTypeMappings"
            )
        return query_error(error)


def refuse_nuls(nuls: NulCounts, characters: NulCharacters) -> None:
    """Raises SourceError where NUL characters were found that the source's settings don't let pass."""
    if characters == "fail" and nuls.values:
        found = ", ".join(f"{name} ({count:,} values so far)" for name, count in nuls.values.items())
        raise SourceError(
            f"text with the NUL character (U+0000) in {found}, and SOURCE_SQLSERVER_NUL_CHARACTERS is fail: "
            "correct it in the source, leave the columns out, or keep the characters with "
            "SOURCE_SQLSERVER_NUL_CHARACTERS=keep"
        )


def tell_nuls(nuls: NulCounts, table: object) -> None:
    """Warns of NUL characters that are kept."""
    for name, count in nuls.values.items():
        _log.warning("%s, column %s: %s values have a NUL character (U+0000), which is kept", table, name, count)


def tell_replaced(replaced: ReplacementCounts, table: object) -> None:
    """Warns of characters that may not be what the source has."""
    for name, count in replaced.values.items():
        _log.warning(
            "%s, column %s: %s values have the replacement character (U+FFFD): the source has it, or half of a "
            "surrogate pair in its place, such as a cut emoji, which no UTF-8 can hold",
            table,
            name,
            count,
        )
