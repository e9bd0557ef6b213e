"""Long housekeeping: no question waits for it, and no deadline cancels it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kscope.declare.model import Catalog
from kscope.store.backends import mysql, sqlite
from kscope.store.backends.errors import QueryTimeout
from kscope.store.housekeeping.loop import roll_up
from kscope.store.sums.planner import SECOND
from tests.databases import SQLiteFile, scalar
from tests.store.opened import WAITS, batch, category, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kscope.store.store import Store
    from tests.databases import Database

HOUR = 3600 * SECOND
T0 = 20_000 * 24 * HOUR
CATEGORY = category(f"{WAITS}rollup: {{1h: 20d}}\n")
ROWS = 2000


@asynccontextmanager
async def slow(database: Database, times: int, deadline: float) -> AsyncIterator[Store]:
    """Open a store of whose rows each is there 2000 times, and that many times again."""
    chosen = replace(database.settings, query_deadline=deadline)
    store = await opened_store(chosen, Catalog((CATEGORY,)))
    try:
        row = ("h", "p", 1, "a;b", 1, "")
        await store.writer.write(batch(CATEGORY, [(T0 + n, *row) for n in range(ROWS)]))
        names = [f"a.{column.name}" for column in store.schema.categories["waits"].rows.columns]
        others = "".join(f", some AS other{n}" for n in range(times))
        database.run(
            "ALTER TABLE kscope_rows_waits RENAME TO some",
            f"CREATE VIEW kscope_rows_waits AS SELECT {', '.join(names)} FROM some AS a{others}",
        )
        yield store
    finally:
        await store.close()


def test_a_sum_takes_no_reader_from_those_who_ask(database: Database) -> None:
    """While one goes on for hours, as many are answered at a time as without it."""
    readers = sqlite.READERS if isinstance(database, SQLiteFile) else mysql.READERS

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


def test_a_sum_may_take_longer_than_a_question(database: Database) -> None:
    """An hour of a fleet that is too large for the deadline of a question is still summed."""

    async def run() -> None:
        async with slow(database, 1, deadline=0.0001) as store:
            rows = store.schema.categories["waits"].rows
            with pytest.raises(QueryTimeout):
                await store.reader.fetch(sa.select(sa.func.sum(rows.c.elapsed)))
            assert await roll_up(store, T0 + 3 * HOUR) == 1
        assert scalar(database, "SELECT kscope_rows FROM kscope_rollup_1h_waits") == ROWS**2

    asyncio.run(run())
