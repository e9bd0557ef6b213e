"""Servers that are not ours: each answers a request with the bytes that it is given."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def http(status: str, body: bytes = b"", **headers: str) -> bytes:
    """An answer with these headers; with its length in them."""
    named = {"Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Stranger:
    """`requests` counts the requests that came; `sent` the bytes that went out."""

    def __init__(self, listener: socket.socket, said: bytes, again: bytes, keep: bool) -> None:  # noqa: FBT001
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests = 0
        self.sent = 0
        self._listener = listener
        self._said = said
        self._again = again
        self._keep = keep

    def serve(self) -> None:
        with suppress(OSError):  # the end: the listener is closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=[client], daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            client.recv(1 << 20)
            self.requests += 1
            client.sendall(self._said)
            while self._again:
                client.sendall(self._again)
                self.sent += len(self._again)
            if not self._keep:
                client.shutdown(socket.SHUT_WR)
            while client.recv(1 << 16):  # closing before the request is read resets the connection
                pass


@contextmanager
def stranger(said: bytes, again: bytes = b"", *, keep: bool = False) -> Iterator[Stranger]:
    """Says `said`, then `again` without end; `keep` leaves the connection open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Stranger(listener, said, again, keep)
        threading.Thread(target=made.serve, daemon=True).start()
        yield made


@contextmanager
def tls_server(folder: Path) -> Iterator[int]:
    """Yield the port of a TLS server whose certificate no authority signed."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError), client, context.wrap_socket(client, server_side=True):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
