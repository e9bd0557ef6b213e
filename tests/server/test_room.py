"""Bodies being received share a memory limit and a time limit."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from kscope.config import Settings, SQLite
from kscope.declare.files.catalog import load_catalog
from kscope.server.http.memory_budget import Budget
from kscope.server.http.metrics import Metrics
from kscope.server.http.problems import HANDLERS
from kscope.server.http.request_body import BodyLimits, read_small
from kscope.server.ingest.fair_queue import FairQueue
from kscope.server.ingest.live_catalog import LiveCatalog
from kscope.server.ingest.routes import Ingest, ingest_routes
from tests.server.test_bad_input import problem
from tests.store.opened import opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest
    from starlette.requests import Request

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}


GOOD = {"hostname": "h", "offcputime": [ROW]}


@asynccontextmanager
async def listening(
    folder: Path, *, silence: float = 30, whole: float = 300, in_flight: int = 192 << 20
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an ingest listener in this process."""
    store = await opened_store(Settings(SQLite(folder / "k.db")), load_catalog())
    limits = BodyLimits(32 << 20, silence, whole)
    live = LiveCatalog([], store)
    handler = Ingest(live, store.writer, FairQueue(), Metrics(), limits, Budget(in_flight))
    app = Starlette(routes=ingest_routes(handler), exception_handlers=HANDLERS)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://k.test") as client:
        yield client
    await store.close()


def test_bodies_that_never_end_leave_room(tmp_path: Path) -> None:
    """Their total is bounded, before and after decompression: one more gets 503, and is accepted
    later.
    """
    many = json.dumps(GOOD | {"offcputime": [ROW] * 1000}).encode()

    async def run() -> None:
        taken = asyncio.Event()

        async def unfinished() -> AsyncIterator[bytes]:
            yield b" " * 60_000
            taken.set()
            await asyncio.sleep(60)

        async with listening(tmp_path, in_flight=150_000) as client:
            waiting = asyncio.create_task(client.post("/", content=unfinished()))
            await taken.wait()
            for refused in (
                await client.post("/", content=b" " * 60_000),
                await client.post(
                    "/", content=gzip.compress(many), headers={"Content-Encoding": "gzip"}
                ),
            ):
                problem(refused, 503)
                assert refused.headers["retry-after"] == "1"
            assert (await client.post("/", json=GOOD)).status_code == 200
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert (await client.post("/", content=many[:20_000])).status_code == 400

    asyncio.run(run())


def test_a_body_that_does_not_come(tmp_path: Path) -> None:
    """A client that sends nothing or too little for too long gets 408."""

    async def dripping(pause: float) -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(pause)

    async def run() -> None:
        async with listening(tmp_path, silence=0.2, whole=0.4) as client:
            for pause in (60, 0.01):
                answer = await client.post("/", content=dripping(pause))
                assert "within 0.2 seconds" in problem(answer, 408)["detail"]

    asyncio.run(run())


def test_a_question_that_does_not_come() -> None:
    """The read listener has the same time limit."""

    async def asked(request: Request) -> Response:
        return Response(await read_small(request, 100, "too large", silence=0.2, whole=0.4))

    async def dripping(pause: float) -> AsyncIterator[bytes]:
        for _ in range(99):
            yield b" "
            await asyncio.sleep(pause)

    async def run() -> None:
        app = Starlette(routes=[Route("/", asked, methods=["POST"])], exception_handlers=HANDLERS)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://k.test") as client:
            assert (await client.post("/", content=b"here")).text == "here"
            problem(await client.post("/", content=b" " * 101), 413)
            for pause in (60, 0.01):
                answer = await client.post("/", content=dripping(pause))
                assert "within 0.2 seconds" in problem(answer, 408)["detail"]

    asyncio.run(run())


def test_whatever_goes_wrong_with_the_categories_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error is shown on the page; the last good catalog stays."""
    folder = tmp_path / "mine"
    folder.mkdir()

    def fails(_: object) -> None:
        raise AttributeError("nobody foresaw this")

    async def run() -> None:
        store = await opened_store(Settings(SQLite(tmp_path / "k.db")), load_catalog([folder]))
        live = LiveCatalog([folder], store)
        before = live.decoder
        (folder / "locks.yaml").write_text("table: locks\ncolumns: [{name: n, type: count}]\n")
        with monkeypatch.context() as patched:
            patched.setattr("kscope.server.ingest.live_catalog.Decoder", fails)
            assert not await live.has_newer(before)
            assert [p.message for p in live.problems] == [
                "cannot be applied: AttributeError: nobody foresaw this"
            ]
        assert await live.has_newer(before)
        assert not live.problems
        await store.close()

    asyncio.run(run())


def test_many_unknown_names_make_one_look_at_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look at the files serves all senders of undeclared names that wait for it."""
    looks: list[object] = []

    def counted(folders: list[Path]) -> tuple[()]:
        looks.append(folders)
        return ()

    async def run() -> None:
        store = await opened_store(Settings(SQLite(tmp_path / "k.db")), load_catalog())
        live = LiveCatalog([], store)
        monkeypatch.setattr("kscope.server.ingest.live_catalog.signature", counted)
        found = await asyncio.gather(*(live.has_newer(live.decoder) for _ in range(10_000)))
        assert not any(found)
        await store.close()

    asyncio.run(run())
    assert 1 <= len(looks) <= 2
