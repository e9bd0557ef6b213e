"""A network between agent and server, to be cut in the ways that networks are."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


class Proxy:
    """Passes bytes on. `lose_answers`: the server gets what is sent, and its answer goes astray.
    `silent`: whatever is sent goes nowhere, and no connection is refused. `down`: none lasts.
    """

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        self._listener = listener
        self._target = target
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.lose_answers = False
        self.silent = False
        self.down = False
        self.lost = 0

    def serve(self) -> None:
        with suppress(OSError):  # the end: the listener is closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for job in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass_on, args=job, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:  # noqa: FBT001
        with suppress(OSError):
            while part := source.recv(65536):
                if self.silent:
                    continue
                if self.down:
                    break
                if answers and self.lose_answers:
                    self.lost += 1
                    break
                sink.sendall(part)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Proxy(listener, (parts.hostname or "", parts.port or 0))
        thread = threading.Thread(target=running.serve, daemon=True)
        thread.start()
        yield running
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
