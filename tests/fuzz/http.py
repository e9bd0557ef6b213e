"""Both listeners in this process: requests are bytes, and answers below 500, or 503."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from kscope.config import ReceiverSettings, ReceiveSettings, Settings, SQLite
from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from kscope.server.app import ingest_app, read_app
from kscope.server.http.metrics import Metrics
from kscope.server.ingest.live_catalog import LiveCatalog
from tests.fuzz.target import Finding
from tests.serving import ROOT
from tests.store.opened import opened_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.applications import Starlette

FOLDERS = ("builtin", ROOT / "tests/cases/every_type/categories")
TABLES = ("offcputime", "everything", "marker", "pressure", "profile")
_LOOPBACK = ("127.0.0.1", 40000)


class Server:
    """A server on a new SQLite database, with receivers, links, and without tokens."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="kscope-fuzz-"))
        on = ReceiverSettings()
        settings = Settings(
            SQLite(folder / "fuzzed.db"),
            links=folder / "links.db",
            receive=ReceiveSettings(on, on),
            query_deadline=20.0,
        )
        found = load_catalog(list(FOLDERS))
        catalog = Catalog(tuple(each for each in found if each.table in TABLES))
        self.loop = asyncio.new_event_loop()
        self.raised: list[Any] = []
        store = self.loop.run_until_complete(opened_store(settings, catalog))
        live, metrics = LiveCatalog([], store), Metrics()
        self.ingest = ingest_app(store, live, settings, metrics)
        self.read = read_app(store, live, settings, metrics)
        log = logging.getLogger("kscope")
        log.addHandler(_Kept(self.raised))
        log.propagate = False

    def ask(
        self, app: Starlette, method: str, target: str, body: bytes = b"", **headers: str
    ) -> int:
        """Return the status. Raise what the server logged as a failure, or Finding."""
        self.raised.clear()
        sent = [("host", "localhost"), ("content-length", str(len(body))), *headers.items()]
        path, _, query = target.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": unquote(path), "raw_path": path.encode("latin-1"),
            "root_path": "", "query_string": query.encode("latin-1"), "client": _LOOPBACK,
            "server": ("127.0.0.1", 8081), "state": {}, "extensions": {},
            "headers": [(n.replace("_", "-").encode(), v.encode("latin-1")) for n, v in sent],
        }  # fmt: skip
        status = self.loop.run_until_complete(_answer(app, scope, body))
        if self.raised:
            raise self.raised[0]
        if status >= 500 and status != 503:
            raise Finding(f"{method} {target[:200]}: {status}")
        return status


class _Kept(logging.Handler):
    """Keeps the exceptions that are logged, which are those of answers with 500."""

    def __init__(self, raised: list[Any]) -> None:
        super().__init__()
        self._raised = raised

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self._raised.append(record.exc_info[1])


async def _answer(app: Starlette, scope: Mapping[str, Any], body: bytes) -> int:
    status = 0
    sent = [{"type": "http.request", "body": body, "more_body": False}]
    ended = asyncio.Event()

    async def receive() -> Mapping[str, Any]:
        if sent:
            return sent.pop()
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)  # type: ignore[arg-type]
    return status


@cache
def server() -> Server:
    return Server()


def address(data: bytes) -> str:
    """Return the bytes as the target of a request, in which a parser of HTTP lets them pass."""
    return "".join(chr(each) if 0x21 <= each < 0x7F else f"%{each:02X}" for each in data)
