"""Servers between the program and its source, or its object store, that do what networks and stores do at times."""

from __future__ import annotations

import http.client
import io
import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO
from urllib.parse import urlsplit


@contextmanager
def cutting_proxy(server: tuple[str, int], *, connection: int, after_bytes: int) -> Iterator[int]:
    """A port that hands everything on, and ends one connection after so many bytes of the server.

    Args:
        connection: which one, in the order of their beginning, from 0.
    """
    numbers = itertools.count()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):  # The listener was closed.
                while True:
                    client, _ = listener.accept()
                    limit = after_bytes if next(numbers) == connection else None
                    threading.Thread(target=_relay, args=(client, server, limit), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def _relay(client: socket.socket, server: tuple[str, int], limit: int | None) -> None:
    with suppress(OSError), client, socket.create_connection(server) as upstream:
        threading.Thread(target=_pump, args=(client, upstream, None), daemon=True).start()
        _pump(upstream, client, limit)


def _pump(source: socket.socket, goal: socket.socket, limit: int | None) -> None:
    with ExitStack() as ended, suppress(OSError):
        for end in (source, goal):
            ended.callback(_shut, end)
        left = limit
        while received := source.recv(65_536):
            if left is not None:
                received, left = received[:left], left - len(received)
            goal.sendall(received)
            if left is not None and left <= 0:
                return


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@dataclass
class StoreFault:
    """What the object store does wrong.

    Attributes:
        refuses: numbers of requests, from 0, that are answered with 503.
        truncates: numbers of uploads of data, from 0, of which only half is kept.
    """

    refuses: range = range(0)
    truncates: range = range(0)
    requests: Iterator[int] = field(default_factory=itertools.count)
    uploads: Iterator[int] = field(default_factory=itertools.count)


_OF_THE_BODY = {
    "content-encoding",
    "content-length",
    "expect",
    "transfer-encoding",
    "x-amz-content-sha256",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
}


def _chunks(stream: io.BufferedIOBase | BinaryIO) -> Iterator[bytes]:
    """The data of chunks, up to the empty one; what follows that one is read as well."""
    while size := int(stream.readline().partition(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass


@contextmanager
def faulty_store(endpoint: str, fault: StoreFault) -> Iterator[str]:
    """An address of the object store with a fault."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def _hand_on(self) -> None:
            body = self._body()
            if next(fault.requests) in fault.refuses:
                self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
                return
            is_data = self.command == "PUT" and ".parquet" in self.path and len(body) > 200
            if is_data and next(fault.uploads) in fault.truncates:
                body = body[: len(body) // 2]
            connection = http.client.HTTPConnection(urlsplit(endpoint).netloc)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_BODY}
            headers |= {"x-amz-content-sha256": "UNSIGNED-PAYLOAD", "Content-Length": str(len(body))}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())

        def _body(self) -> bytes:
            """The payload, without the chunks of HTTP and those of the SDK in them."""
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b"".join(_chunks(self.rfile))
            return b"".join(_chunks(io.BytesIO(body))) if "x-amz-trailer" in self.headers else body

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            dropped = {"content-length", "transfer-encoding", "connection"}
            for name, value in headers.items():
                if name.lower() not in dropped:
                    self.send_header(name, value)
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _hand_on  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
