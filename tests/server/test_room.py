"""Bodies that are being taken in have a bound together, and do not stay for ever."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette

from kscope.config import Settings, SQLite
from kscope.declare.catalog import load_catalog
from kscope.server.body import Limits
from kscope.server.ingest import Ingest, routes
from kscope.server.live import LiveCatalog
from kscope.server.metrics import Metrics
from kscope.server.problems import HANDLERS
from kscope.store.open import open_store
from tests.server.test_bad_input import problem, unfinished
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

MIB = 1024 * 1024
ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}


def test_bodies_that_never_end_leave_room(tmp_path: Path) -> None:
    """What all of them may take up is bounded: one more is told to come later, and then may."""
    config = tmp_path / "kernelscope.yaml"
    config.write_text("database: {sqlite: k.db}\nmax_body: 8MiB\n")
    with serving(tmp_path, "--config", config) as server:
        with ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(unfinished(server.ingest, 8 * MIB, b" " * (8 * MIB - 1)))
            refused = server.send(b" " * MIB)
            deadline = time.monotonic() + 20
            # What was sent may still be on its way to the server.
            while refused.status_code != 503 and time.monotonic() < deadline:
                refused = server.send(b" " * MIB)
            problem(refused, 503)
            assert refused.headers["retry-after"] == "1"
        server.post({"hostname": "h", "offcputime": [ROW]})


def test_a_body_that_does_not_come(tmp_path: Path) -> None:
    """Whoever says nothing for too long, or too little, is told so: 408."""

    async def dripping(pause: float) -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(pause)

    async def run() -> list[httpx.Response]:
        store = await open_store(Settings(SQLite(tmp_path / "k.db")), load_catalog())
        live = LiveCatalog([], store)
        limits = Limits(silence=0.2, whole=0.4)
        with ThreadPoolExecutor(1) as decoders:
            handler = Ingest(live, store.writer, decoders, Metrics(), limits)
            app = Starlette(routes=routes(handler), exception_handlers=HANDLERS)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://k.test") as client:
                answers = [await client.post("/", content=dripping(p)) for p in (60, 0.01)]
        await store.close()
        return answers

    for answer in asyncio.run(run()):
        assert "within 0.2 seconds" in problem(answer, 408)["detail"]


def test_whatever_goes_wrong_with_the_categories_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw is a problem on the page; the last good catalog stays."""
    folder = tmp_path / "mine"
    folder.mkdir()

    def fails(_: object) -> None:
        raise AttributeError("nobody foresaw this")

    async def run() -> None:
        store = await open_store(Settings(SQLite(tmp_path / "k.db")), load_catalog([folder]))
        live = LiveCatalog([folder], store)
        before = live.decoder
        (folder / "locks.yaml").write_text("table: locks\ncolumns: [{name: n, type: count}]\n")
        with monkeypatch.context() as patched:
            patched.setattr("kscope.server.live.Decoder.of", fails)
            assert not await live.has_newer(before)
            assert [p.message for p in live.problems] == [
                "cannot be taken up: AttributeError: nobody foresaw this"
            ]
        assert await live.has_newer(before)
        assert not live.problems
        await store.close()

    asyncio.run(run())
