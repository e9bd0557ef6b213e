"""A server with scripted answers that records its requests, for cases rare on a real server."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zstandard

from kscope.client.columns import in_rows
from kscope.errors import UNKNOWN_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Answer = tuple[int, dict[str, str], dict[str, Any]]


@dataclass
class Received:
    """One request: `sent` is its body as it came, `body` the same with rows in place of columns."""

    key: str
    body: dict[str, Any]
    headers: dict[str, str]
    sent: dict[str, Any]

    @property
    def has_columns(self) -> bool:
        return self.body is not self.sent


@dataclass
class Server:
    """`answers` are given in turn, then 200; `received` are all requests, accepted or not.

    `clock_ahead`: by how many seconds its clock is wrong. `refusal` gives the answer to a body that
    is refused whenever it comes, or None. One that is `old` refuses columns, as 0.1.0 does.
    """

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    clock_ahead: float = 0.0
    refusal: Callable[[dict[str, Any]], Answer | None] = lambda _body: None
    old: bool = False
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, seconds: float = 20) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, seconds)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row that came, its stack as text."""
        found = []
        for received in self.received:
            stacks = received.body.get("stacks", [])
            for row in received.body.get(table, []):
                number = row.get("stack")
                found.append(row | {"stack": stacks[number]} if isinstance(number, int) else row)
        return found

    def intervals(self) -> list[dict[str, Any]]:
        """The agent's rows, without those about single binaries."""
        return [row for row in self.rows("agent") if row["state"] != "stacks"]


def stored(body: dict[str, Any]) -> Answer:
    """The answer to rows that are stored."""
    envelope = ("hostname", "time", "stacks")
    counts = {name: len(rows) for name, rows in body.items() if name not in envelope}
    return 200, {}, {"stored": counts, "duplicate": False}


def problem(status: int, detail: str, *faults: tuple[str, str], **headers: str) -> Answer:
    """A problem document, as our server writes it; `faults` are pointers and details."""
    errors = [{"pointer": pointer, "detail": text} for pointer, text in faults]
    more = {"errors": errors} if errors else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    document = {"type": "about:blank", "title": "t", "status": status, "detail": detail}
    return status, named, document | more


def with_rows(sent: dict[str, Any]) -> dict[str, Any]:
    """A body with rows in place of columns; the same one if it has none."""
    for name, value in sent.items():
        if isinstance(value, dict):
            return dict(in_rows(sent, name))
    return sent


def columns_refused(sent: dict[str, Any]) -> Answer | None:
    """The answer of a server that knows no columns, as 0.1.0 writes it; None to rows."""
    if "strings" in sent:
        detail = "there is no category 'strings'"
        status, headers, document = problem(422, detail, ("/strings", detail))
        return status, headers, document | {"type": UNKNOWN_NAME}
    for name, value in sent.items():
        if isinstance(value, dict):
            detail = "{... does not satisfy 'type'"
            return problem(422, f"/{name}: {detail}", (f"/{name}", detail))
    return None


@contextmanager
def fake_server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            state.connections += 1

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) + state.clock_ahead)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            unpack = {
                "gzip": gzip.decompress,
                "zstd": lambda b: zstandard.ZstdDecompressor().decompressobj().decompress(b),
            }
            sent = json.loads(unpack.get(self.headers["Content-Encoding"] or "", bytes)(raw))
            body = with_rows(sent)
            with state.arrived:
                answer = columns_refused(sent) if state.old else None
                answer = answer or state.refusal(body)
                if answer is None:
                    answer = state.answers.pop(0) if state.answers else stored(body)
                key = self.headers["Idempotency-Key"]
                state.received.append(Received(key, body, dict(self.headers), sent))
                state.arrived.notify_all()
            status, headers, content = answer
            text = json.dumps(content).encode()
            kind = "application/json" if status == 200 else "application/problem+json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
