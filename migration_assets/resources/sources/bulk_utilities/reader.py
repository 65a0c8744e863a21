"""Reads with a bulk utility: a process per query, whose output is decoded while it writes."""

from __future__ import annotations

import fcntl
import os
import select
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from migration_assets.platforms.base import ReadColumn
from migration_assets.resources.sources.base import (
    BadValueError,
    Reader,
    SourceError,
    TransientSourceError,
)
from migration_assets.resources.sources.bulk_utilities.base import BulkUtility
from migration_assets.resources.sources.bulk_utilities.terminal import Terminal

CHUNK_BYTES = 1024 * 1024
"""What a pipe holds while the decoder is at work, and what is read from a file at once."""

POLL_SECONDS = 0.1
"""How often the end of the program and the answer to its question are looked after."""

PROMPT_SECONDS = 60.0
"""What a program has to ask for its password."""

_CLOSED = "the reader was closed"


class BulkReader(Reader):
    """Rows by a utility, whose every query sees a state of the source of its own."""

    def __init__(self, utility: BulkUtility) -> None:
        """Prepares it; nothing is started yet.

        Raises:
            SourceError: the utility isn't installed, or can't do what is asked of it.
        """
        utility.check()
        self._executable = utility.executable()
        self._utility = utility
        self._closed = threading.Event()
        self._terminal: Terminal | None = None
        self._proved: set[str] = set()
        self._source_rows = 0
        self._state: str | None = None

    @property
    def state(self) -> str | None:
        return self._state

    @property
    def source_rows(self) -> int:
        return self._source_rows

    def read(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        self._prove(query)
        self._state = f"{self._utility.name} {uuid.uuid4().hex}"
        try:
            yield from self._rows(self._utility.query(query, columns), columns)
        except BadValueError as error:
            raise SourceError(
                f"{error}: {self._utility.name} wrote what the planned type can't hold; plan the table again if it was "
                'changed, else set "bulkUtility": "none" for it'
            ) from error

    def close(self) -> None:
        self._closed.set()
        if (terminal := self._terminal) is not None:
            terminal.kill()

    def _prove(self, query: str) -> None:
        """Has the program answer a question whose answer is known, unless it has.

        Raises:
            SourceError: it answers otherwise.
        """
        sample = self._utility.sample(query)
        if sample.query in self._proved:
            return
        try:
            answer = pa.concat_tables(self._rows(sample.query, sample.columns))
        except (BadValueError, pa.ArrowInvalid) as error:
            raise self._wrong_answer(str(error)) from error
        for column, expected in zip(sample.columns, sample.expected.to_pylist()[0].values(), strict=True):
            found = answer.column(column.name).to_pylist()
            if found != [expected]:
                raise self._wrong_answer(f"{column.expression} came as {found!r}")
        self._proved.add(sample.query)

    def _wrong_answer(self, told: str) -> SourceError:
        name = self._utility.name
        return SourceError(
            f"{self._executable} does not hand on values as they are: {told}. Is it {name}, and is "
            f"SOURCE_SQLSERVER_{name.upper()}_LOCALE a UTF-8 locale of this machine? Nothing was moved with it; "
            'to read without it, set "bulkUtility": "none"'
        )

    def _rows(self, query: str, columns: Sequence[ReadColumn]) -> Iterator[pa.Table]:
        """Runs the program and decodes what it writes."""
        utility, decoder = self._utility, self._utility.decoder(columns)
        with tempfile.TemporaryDirectory(prefix=f"{utility.name}-", dir=utility.options.directory) as folder:
            output = Path(folder) / "rows"
            arguments = [str(self._executable), *utility.arguments(query, output)]
            pipe = _open_pipe(output) if utility.options.output == "pipe" else None
            try:
                terminal = Terminal(
                    arguments,
                    utility.environment(),
                    prompt=utility.prompt,
                    secret=utility.secret,
                )
                self._terminal = terminal
                try:
                    for chunk in self._written(terminal, pipe):
                        yield from decoder.feed(chunk)
                    self._require_success(terminal)
                    if pipe is None:
                        for chunk in _contents(output):
                            yield from decoder.feed(chunk)
                    yield from decoder.finish()
                    reported = self._reported(terminal)
                finally:
                    self._terminal = None
                    terminal.close()
            finally:
                if pipe is not None:
                    os.close(pipe)
        if decoder.rows != reported:
            raise SourceError(
                f"{utility.name} says that it wrote {reported:,} rows, and {decoder.rows:,} were read: a text may have "
                "the characters in it that end rows. Choose others, or read the table without the utility"
            )
        self._source_rows = reported

    def _written(self, terminal: Terminal, pipe: int | None) -> Iterator[bytes]:
        """What the program writes to its output, until it ends; meanwhile its terminal is looked after."""
        poll = select.poll()
        poll.register(terminal.screen, select.POLLIN)
        if pipe is not None:
            poll.register(pipe, select.POLLIN)
        begun = time.monotonic()
        while True:
            if self._closed.is_set():
                return
            # Looked at before the pipe is, so that what was written last isn't missed.
            ended = terminal.poll() is not None
            terminal.attend()
            chunk = _read(pipe) if pipe is not None else b""
            if chunk:
                yield chunk
                continue
            if ended:
                return
            if not terminal.is_answered and time.monotonic() - begun > PROMPT_SECONDS:
                raise SourceError(
                    f"{self._utility.name} did not ask for its password within {PROMPT_SECONDS:.0f} seconds: "
                    f"{_last_lines(terminal)}"
                )
            events = poll.poll(POLL_SECONDS * 1000)
            if events and not any(event & select.POLLIN for _, event in events):
                # An end is closed, which would be told again at once.
                time.sleep(POLL_SECONDS / 10)

    def _require_success(self, terminal: Terminal) -> None:
        if self._closed.is_set():
            raise TransientSourceError(_CLOSED)
        assert terminal.code is not None
        failure = self._utility.failure(terminal.said, terminal.code)
        if failure is not None:
            raise type(failure)(terminal.without_secret(str(failure)))

    def _reported(self, terminal: Terminal) -> int:
        reported = self._utility.reported_rows(terminal.said)
        if reported is None:
            raise SourceError(f"{self._utility.name} doesn't say how many rows it wrote: {_last_lines(terminal)}")
        return reported


def _open_pipe(path: Path) -> int:
    """The reading end of a new named pipe, which doesn't wait for the other end."""
    os.mkfifo(path, 0o600)
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    # The program can go on for so long while a block is decoded; a system may allow less.
    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)
    return pipe


def _read(pipe: int) -> bytes:
    """What waits in the pipe; nothing when it is empty."""
    try:
        return os.read(pipe, CHUNK_BYTES)
    except BlockingIOError:
        return b""


def _contents(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


def _last_lines(terminal: Terminal) -> str:
    return " ".join(terminal.without_secret(terminal.said).split())[-500:] or "it says nothing"
