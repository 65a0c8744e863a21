"""Runs a program on a terminal of its own, where it asks for the password that its arguments must not hold.

A program may read a password from its standard input or from the terminal that it belongs to; here both are the same
pseudo-terminal, as they are for a person. What it writes there is its report.
"""

from __future__ import annotations

import os
import re
import signal
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from migration_assets.resources.sources.base import SourceError

REPORT_BYTES = 64 * 1024
"""What is kept of a report: programs tell their progress in lines without end, and the outcome last."""

QUIET_SECONDS = 2.0
"""What a program has to turn the echo off, once it has asked. One that doesn't gets its answer all the same."""

_LOCAL_FLAGS, _CONTROL_CHARACTERS = 3, 6


class Terminal:
    """A program that runs. For one thread, except `kill`.

    Attributes:
        code: how it ended, as a shell says it: its exit code, or minus the signal; None while it runs.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        prompt: re.Pattern[bytes],
        secret: str | None,
    ) -> None:
        """Starts it.

        Args:
            arguments: the path of the executable and its arguments.
            environment: all its variables.
            prompt: the question for the secret, at the end of what was written.
            secret: the answer; given once.

        Raises:
            SourceError: it can't be started, or the secret can't be typed.
        """
        if secret is not None and ("\n" in secret or "\r" in secret):
            raise SourceError("the password has a line break in it, which can't be typed at a program's question")
        self._prompt = prompt
        self._secret = secret
        self._asked_at: float | None = None
        self._answered = secret is None
        self._said = bytearray()
        self._lock = threading.Lock()
        self.code: int | None = None
        self._screen, keyboard = os.openpty()
        try:
            _take_every_key(keyboard)
            self._process = os.posix_spawn(
                arguments[0],
                list(arguments),
                environment,
                # The leader of a session that has no terminal gets the first one that it opens.
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.ttyname(keyboard), os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                    (os.POSIX_SPAWN_DUP2, 0, 2),
                ],
                setsid=True,
                setsigdef=[signal.SIGPIPE],
            )
        except OSError as error:
            os.close(self._screen)
            raise SourceError(f"{arguments[0]} can't be started: {error.strerror}") from error
        finally:
            os.close(keyboard)

    @property
    def screen(self) -> int:
        """The descriptor that becomes readable when the program writes to its terminal."""
        return self._screen

    @property
    def is_answered(self) -> bool:
        """Whether nothing is left to be asked for."""
        return self._answered

    @property
    def said(self) -> str:
        """What the program wrote, the last of it. It may show the secret: see `without_secret`."""
        return self._said.decode(errors="replace").replace("\r\n", "\n")

    def without_secret(self, text: str) -> str:
        """The text as it may be shown."""
        return text.replace(self._secret, "***") if self._secret else text

    def attend(self) -> None:
        """Takes what the program has written, and types the secret once it was asked for and isn't shown any more."""
        while self._read():
            pass
        if self._answered or not self._prompt.search(self._said):
            return
        # A program that ends meanwhile takes no answer; how it ended says why.
        with suppress(OSError, termios.error):
            self._answer()

    def _answer(self) -> None:
        now = time.monotonic()
        self._asked_at = self._asked_at or now
        # What is typed before the program has turned the echo off would be shown, or thrown away.
        if _echoes(self._screen):
            if now - self._asked_at < QUIET_SECONDS:
                return
            _stop_echo(self._screen)
        assert self._secret is not None
        self._answered = True
        os.write(self._screen, self._secret.encode() + b"\n")

    def poll(self) -> int | None:
        """Sees whether the program has ended; then the report is complete."""
        with self._lock:
            if self.code is None:
                process, status = os.waitpid(self._process, os.WNOHANG)
                if not process:
                    return None
                self.code = os.waitstatus_to_exitcode(status)
        while self._read():
            pass
        return self.code

    def kill(self) -> None:
        """Ends the program and what it has started, from any thread."""
        with self._lock:
            if self.code is None:
                # It may have ended this moment.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process, signal.SIGKILL)

    def close(self) -> None:
        """Ends the program, waits for its end, and lets the terminal go. A second time, it does nothing."""
        self.kill()
        with self._lock:
            if self.code is None:
                self.code = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        if self._screen >= 0:
            os.close(self._screen)
            self._screen = -1

    def _read(self) -> bool:
        """Whether there was something to take."""
        try:
            os.set_blocking(self._screen, False)
            written = os.read(self._screen, REPORT_BYTES)
        except (BlockingIOError, OSError):  # Linux says EIO when nobody has the terminal open any more.
            return False
        self._said += written
        del self._said[:-REPORT_BYTES]
        return bool(written)


def _take_every_key(terminal: int) -> None:
    """Lets a secret have any character: none of them interrupts, erases or ends a line, but the line break."""
    attributes = termios.tcgetattr(terminal)
    attributes[_LOCAL_FLAGS] &= ~(termios.ISIG | termios.IEXTEN)
    keys = attributes[_CONTROL_CHARACTERS]
    for key in (termios.VERASE, termios.VKILL, termios.VEOF, termios.VEOL, termios.VEOL2):
        keys[key] = b"\0"
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _echoes(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[_LOCAL_FLAGS] & termios.ECHO)


def _stop_echo(terminal: int) -> None:
    attributes = termios.tcgetattr(terminal)
    attributes[_LOCAL_FLAGS] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
