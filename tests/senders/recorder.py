"""A server between a profiler and Kernelscope that keeps each request."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Recorded:
    """A request, and the status of its answer; the body is without its Content-Encoding."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int


@dataclass
class Recorder:
    url: str = ""
    requests: list[Recorded] = field(default_factory=list)


@contextmanager
def recorder(target: str) -> Iterator[Recorder]:
    """Pass requests on to the base URL `target`."""
    found = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept = {name: value for name, value in headers.items() if name != "host"}
            answer = httpx.post(target + self.path, content=sent, headers=kept, timeout=30)
            body = gzip.decompress(sent) if "content-encoding" in headers else sent
            found.requests.append(Recorded(self.path, headers, body, answer.status_code))
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        found.url = f"http://127.0.0.1:{listener.server_address[1]}"
        thread = threading.Thread(target=listener.serve_forever, daemon=True)
        thread.start()
        yield found
        listener.shutdown()
        thread.join(5)
