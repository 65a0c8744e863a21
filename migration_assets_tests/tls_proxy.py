"""TLS in front of a PostgreSQL server that has none: what the wheel's server lacks."""

from __future__ import annotations

import contextlib
import datetime as dt
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_TLS_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"


@contextlib.contextmanager
def tls_proxy(server: tuple[str, int], folder: Path) -> Iterator[int]:
    """A port on this machine where the server answers clients that ask for TLS, and others too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, server, context), daemon=True).start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket, server: tuple[str, int], context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):  # The listener was closed.
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_relay, args=(client, server, context), daemon=True).start()


def _relay(client: socket.socket, server: tuple[str, int], context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError), socket.create_connection(server) as upstream, contextlib.ExitStack() as opened:
        opened.callback(client.close)
        first = client.recv(8, socket.MSG_WAITALL)
        if first == _TLS_REQUEST:
            client.sendall(b"S")
            client = opened.enter_context(context.wrap_socket(client, server_side=True))
        else:
            upstream.sendall(first)
        while True:
            waiting = isinstance(client, ssl.SSLSocket) and client.pending()
            readable = [client] if waiting else select.select([client, upstream], [], [])[0]
            for source in readable:
                received = source.recv(200_000)
                if not received:
                    return
                (upstream if source is client else client).sendall(received)


def _certificate(folder: Path) -> Path:
    """A self-signed certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
