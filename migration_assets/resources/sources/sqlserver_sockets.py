"""A second handle of the socket that an ODBC driver has opened, to end its connection from any thread.

ODBC has SQLCancel for that, and it isn't enough: arrow-odbc doesn't offer it, and under unixODBC it was seen to wait
for the very call that it should break off. A socket that is shut down ends every call at once, and the server sees that
its client is gone.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from migration_assets.resources.sources.sqlserver_login import SQLServerLogin

KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT = 30, 10, 6
"""Seconds, seconds and probes until a server that is gone without a word is noticed."""

_FOLDERS = ("/proc/self/fd", "/dev/fd")

_Connection = TypeVar("_Connection")
_Handle = tuple[int, int, int]
"""Descriptor, device and inode: a number that was closed and given out again is another handle."""

_connecting = threading.Lock()


class Lifeline:
    """What ends one connection; without a socket, nothing does."""

    def __init__(self, end: socket.socket | None) -> None:
        self._end = end
        self._lock = threading.Lock()
        if end is not None:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in (
                ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
                ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
                ("TCP_KEEPCNT", KEEPALIVE_COUNT),
            ):
                if hasattr(socket, option):
                    end.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def cut(self) -> None:
        """Ends the connection, whatever waits for it."""
        with self._lock:
            if self._end is not None:
                with suppress(OSError):  # The other side was quicker.
                    self._end.shutdown(socket.SHUT_RDWR)
                self._end.close()
                self._end = None

    def release(self) -> None:
        """Leaves the connection to the driver."""
        with self._lock:
            if self._end is not None:
                self._end.close()
                self._end = None


_REDIRECTED = range(11000, 12000)
"""Ports of the nodes that Azure SQL Database hands a connection on to."""


def connected(login: SQLServerLogin, connect: Callable[[], _Connection]) -> tuple[_Connection, Lifeline]:
    """Connects, and finds the socket that was opened for it.

    Whatever else the process opens at the same time is told apart by its peer; where it can't be, there is no handle
    rather than a wrong one.
    """
    with _connecting:
        before = _sockets()
        connection = connect()
        opened = _sockets() - before
    found = [end for end in map(_duplicate, opened) if end is not None]
    # An instance's port is known to the driver only.
    ours = found if login.instance else [end for end in found if end.getpeername()[1] == login.port]
    if not ours:
        ours = [end for end in found if end.getpeername()[1] in _REDIRECTED]
    kept = ours[0] if len(ours) == 1 else None
    for end in found:
        if end is not kept:
            end.close()
    return connection, Lifeline(kept)


def _sockets() -> set[_Handle]:
    folder = next((name for name in _FOLDERS if Path(name).is_dir()), None)
    found: set[_Handle] = set()
    for entry in Path(folder).iterdir() if folder else ():
        with suppress(OSError, ValueError):  # Closed meanwhile.
            descriptor = int(entry.name)
            status = os.fstat(descriptor)
            if stat.S_ISSOCK(status.st_mode):
                found.add((descriptor, status.st_dev, status.st_ino))
    return found


def _duplicate(handle: _Handle) -> socket.socket | None:
    """Another handle of a connected TCP socket."""
    with suppress(OSError):
        end = socket.socket(fileno=os.dup(handle[0]))
        status = os.fstat(end.fileno())
        is_same = (status.st_dev, status.st_ino) == handle[1:]
        if is_same and end.family in (socket.AF_INET, socket.AF_INET6) and end.type == socket.SOCK_STREAM:
            with suppress(OSError):
                end.getpeername()
                return end
        end.close()
    return None
