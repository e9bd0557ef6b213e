"""Long housekeeping: no question waits for it, and no deadline cancels it."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kscope.declare.model import Catalog
from kscope.generate.clickhouse.tables import LATE
from kscope.store.backends import clickhouse, mysql, sqlite
from kscope.store.backends.errors import QueryTimeout
from kscope.store.housekeeping.loop import roll_up
from kscope.store.sums.planner import SECOND
from tests import serving
from tests.databases import ClickHouseDatabase, scalar
from tests.serving import start, stop
from tests.store.opened import WAITS, batch, category, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kscope.store.store import Store
    from tests.databases import Database

HOUR = 3600 * SECOND
T0 = 20_000 * 24 * HOUR
CATEGORY = category(f"{WAITS}rollup: {{1h: 20d}}\n")
ROWS = 2000


@asynccontextmanager
async def slow(
    database: Database, times: int, deadline: float, where: str = ""
) -> AsyncIterator[Store]:
    """Open a store of whose rows each is there 2000 times, and that many times again."""
    chosen = replace(database.settings, query_deadline=deadline)
    store = await opened_store(chosen, Catalog((CATEGORY,)))
    try:
        row = ("h", "p", 1, "a;b", 1, "")
        await store.writer.write(batch(CATEGORY, [(T0 + n, *row) for n in range(ROWS)]))
        names = [column.name for column in store.schema.categories["waits"].rows.columns]
        if isinstance(database, ClickHouseDatabase):
            names.append(LATE)
        columns = ", ".join(f"a.{name} AS {name}" for name in names)
        others = "".join(f", some AS other{n}" for n in range(times))
        database.rename("kscope_rows_waits", "some")
        tables = f"(SELECT *, seq FROM some WHERE {where}) AS a" if where else "some AS a"
        database.run(f"CREATE VIEW kscope_rows_waits AS SELECT {columns} FROM {tables}{others}")
        yield store
    finally:
        await store.close()


def test_a_sum_takes_no_reader_from_those_who_ask(database: Database) -> None:
    """While one goes on for hours, as many are answered at a time as without it."""
    readers = {"sqlite": sqlite, "mysql": mysql, "clickhouse": clickhouse}[database.name].READERS

    async def run() -> None:
        async with slow(database, 3, deadline=20) as store, AsyncExitStack() as asking:
            summing = asyncio.create_task(roll_up(store, T0 + 3 * HOUR))
            strings = sa.select(store.schema.dictionaries.string.c.text)
            await asyncio.sleep(0.5)
            for _ in range(readers):
                rows: Any = store.reader.stream(strings)
                await asking.enter_async_context(aclosing(rows))
                assert await anext(rows)
            assert not summing.done()
            summing.cancel()
            await asyncio.gather(summing, return_exceptions=True)

    asyncio.run(run())
    while running(database):
        time.sleep(0.1)


RUNNING = {
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE command = 'Query'"
    " AND db = database() AND id != connection_id()",
    "clickhouse": "SELECT count() FROM system.processes WHERE current_database = currentDatabase()"
    " AND query NOT LIKE '%processes%'",
}


def running(database: Database) -> int:
    """Return how many statements the engine goes on with, which would take hours."""
    return scalar(database, RUNNING[database.name]) if database.name in RUNNING else 0


def test_a_sum_may_take_longer_than_a_question(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of a fleet that is too large for the deadline of a question is still summed."""
    # ClickHouse is too fast for this, and cancels to the second.
    monkeypatch.setattr(clickhouse, "_GRACE", 0)
    where = "NOT sleepEachRow(0.0005)" if isinstance(database, ClickHouseDatabase) else ""

    async def run() -> None:
        async with slow(database, 1, 0.0001, where) as store:
            rows = store.schema.categories["waits"].rows
            with pytest.raises(QueryTimeout):
                await store.reader.fetch(sa.select(sa.func.sum(rows.c.elapsed)))
            assert await roll_up(store, T0 + 3 * HOUR) == 1
        assert scalar(database, "SELECT kscope_rows FROM kscope_rollup_1h_waits") == ROWS**2

    asyncio.run(run())


SLOW_TO_STOP = """
import asyncio
from kscope.store import store
from kscope.store.housekeeping import loop
async def run(_):
    try:
        await asyncio.sleep(600)
    finally:
        try:
            await asyncio.sleep(0.2)
        finally:
            print("the work has ended", flush=True)
loop.run = run
close = store.Store.close
async def closing(self):
    print("the store is closed", flush=True)
    await close(self)
store.Store.close = closing
from kscope.cli import main
main()
"""


def test_the_store_is_open_until_its_work_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that is slow to stop, beside some that stops at once."""
    monkeypatch.setattr(serving, "PROGRAM", (sys.executable, "-c", SLOW_TO_STOP))
    server = start(tmp_path)
    assert stop(server) == 0
    assert re.findall("the .* (?:ended|closed)", server.log) == [
        "the work has ended",
        "the store is closed",
    ]
