"""/readyz: what a flood of it costs the database, and how soon it shows a fault."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette

from kscope.server.http.metrics import Metrics, metrics_routes
from kscope.store.backends import last_fault
from kscope.store.backends.errors import StoreDamaged, StoreFault
from tests.databases import Database, SQLiteFile, scalar
from tests.store.opened import batch, category, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from kscope.store.store import Store

_STATEMENTS = {
    "mysql": "SELECT variable_value FROM information_schema.global_status"
    " WHERE variable_name = 'Com_select'",
    "clickhouse": "SELECT value FROM system.events WHERE event = 'SelectQuery'",
}
FLOOD = 1000
AT_MOST = 8


async def asked(store: Store, times: int) -> AsyncIterator[int]:
    """Yield the status of each of many requests that are made at the same time."""
    app = Starlette(routes=metrics_routes(store, Metrics()))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for answer in await asyncio.gather(*(client.get("/readyz") for _ in range(times))):
            yield answer.status_code


def counting(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count the connections to a file, or the statements that a server has run."""
    if not isinstance(database, SQLiteFile):
        return lambda: scalar(database, _STATEMENTS[database.name])
    made: list[Any] = []
    connect = sqlite3.connect

    def counted(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made.append(arguments)
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", counted)
    return lambda: len(made)


def test_a_flood_of_readyz_asks_the_database_a_few_times(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests share the running ping, and its outcome for up to a second."""

    async def run() -> None:
        count = counting(database, monkeypatch)
        async with opened(database, category()) as store:
            before = count()
            for _ in range(2):
                assert {status async for status in asked(store, FLOOD)} == {200}
            assert count() - before <= AT_MOST

    asyncio.run(run())


def test_a_flood_does_not_hide_a_fault(tmp_path: Path) -> None:
    """The next ping after the last outcome's second finds it."""
    database = SQLiteFile(tmp_path / "k.db")

    async def run() -> None:
        async with opened(database, category()) as store:
            assert {status async for status in asked(store, FLOOD)} == {200}
            database.run("PRAGMA wal_checkpoint(TRUNCATE)")
            os.truncate(database.path, 10)
            await asyncio.sleep(1.1)
            assert {status async for status in asked(store, FLOOD)} == {503}
            # A client that goes away does not cancel the ping of the others.
            await asyncio.sleep(1.1)
            gone = asyncio.ensure_future(store.ping())
            others = asyncio.ensure_future(anext(asked(store, 1)))
            await asyncio.sleep(0)
            gone.cancel()
            assert await others == 503

    asyncio.run(run())


def test_no_rows_are_taken_while_damage_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage found by a question stops the writer while /readyz reports it; other errors do not."""
    monkeypatch.setattr(last_fault, "_SECONDS", 0.5)
    waits = category()
    rows = batch(waits, [(1_728_000_000_000_000, "h", "p", 1, "main", 1, "0:1")])

    async def run() -> None:
        async with opened(SQLiteFile(tmp_path / "k.db"), waits) as store:
            store.last_fault.note(StoreFault("full"))
            assert len(rows) == (await store.writer.write(rows)).rows["waits"]
            store.last_fault.note(StoreDamaged("damaged"))
            assert {status async for status in asked(store, 1)} == {503}
            with pytest.raises(StoreDamaged):
                await store.writer.write(rows)
            await asyncio.sleep(0.6)
            assert {status async for status in asked(store, 1)} == {200}
            await store.writer.write(rows)

    asyncio.run(run())
