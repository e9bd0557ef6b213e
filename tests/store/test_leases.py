"""ClickHouse: one of several servers does the background work, and another one once it dies."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from kscope.declare.model import Catalog
from kscope.generate.clickhouse.tables import LATE, TWIN, UNTIL
from kscope.store.backends import clickhouse_lease
from kscope.store.backends.clickhouse import ClickHouseBackend, ClickHouseSession
from kscope.store.backends.errors import StoreBusy
from kscope.store.open import backend_of
from tests.databases import ClickHouseDatabase, scalar
from tests.store.opened import category, opened, opened_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kscope.store.store import Store
    from tests.clickhouse import Node

pytestmark = pytest.mark.clickhouse
SLOT = 10.0


@pytest.fixture
def database(clickhouse: Node, monkeypatch: pytest.MonkeyPatch) -> ClickHouseDatabase:
    """Make slots short, and what is done in each of them."""
    monkeypatch.setattr(clickhouse_lease, "_SLOT", int(SLOT * 1_000_000))
    monkeypatch.setattr(clickhouse_lease, "_RENEW_SECONDS", 0.2)
    monkeypatch.setattr(clickhouse_lease, "_AGAIN_SECONDS", 0.1)
    return ClickHouseDatabase(clickhouse, clickhouse.new_database())


@asynccontextmanager
async def two(database: ClickHouseDatabase) -> AsyncIterator[list[ClickHouseBackend]]:
    async with opened(database, category()):
        pair = [backend_of(database.settings) for _ in range(2)]
        assert all(isinstance(each, ClickHouseBackend) for each in pair)
        try:
            yield pair  # type: ignore[misc]
        finally:
            for each in pair:
                await each.close()


async def has_turn(backend: ClickHouseBackend) -> bool:
    async with backend.duty() as is_ours:
        return is_ours


def test_one_server_at_a_time_has_the_turn(database: ClickHouseDatabase) -> None:
    """As long as it works, whatever slots pass; then it gives it back at once."""

    async def check() -> None:
        async with two(database) as (first, second):
            async with first.duty() as is_ours:
                assert is_ours
                for _ in range(3):
                    assert not await has_turn(second)
                    await asyncio.sleep(SLOT / 2)
                assert first.duty_ends > await ClickHouseSession(first.clients, first.dialect).now()
            assert await has_turn(second)
            assert await has_turn(first)

    asyncio.run(check())


def test_another_server_has_it_once_one_dies(database: ClickHouseDatabase) -> None:
    async def check() -> None:
        async with two(database) as (first, second):
            now = await ClickHouseSession(first.clients, first.dialect).now()
            slot = int(SLOT * 1_000_000)
            dead = await first.leases._take("housekeeping", now - now % slot + slot)
            assert dead is not None
            async with second.leases.held("housekeeping", 10 * SLOT) as lease:
                assert lease is not None
                assert lease.until > dead.until

    asyncio.run(check())


def test_a_turn_that_is_left_in_the_middle_is_not_passed_on(
    database: ClickHouseDatabase,
) -> None:
    """Its server may have begun something: the engine cancels it, and the slot ends."""

    async def check() -> None:
        async with two(database) as (first, second):

            async def work() -> None:
                async with first.duty() as is_ours, first.transaction() as session:
                    assert is_ours
                    assert isinstance(session, ClickHouseSession)
                    await session.rows(
                        "SELECT sum(sleepEachRow(1)) FROM numbers(60) SETTINGS max_block_size = 1"
                    )

            working = asyncio.create_task(work())
            await until_running(database, 1)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            assert not await has_turn(second)
            await until_running(database, 0)

    asyncio.run(check())


async def until_running(database: ClickHouseDatabase, count: int) -> None:
    """Wait until the engine runs so many statements of the work."""
    asleep = "query LIKE '%sleepEachRow%' AND query NOT LIKE '%processes%'"
    for _ in range(300):
        if scalar(database, f"SELECT count() FROM system.processes WHERE {asleep}") == count:
            return
        await asyncio.sleep(0.1)
    raise AssertionError


def test_many_that_ask_at_once_are_one_at_a_time(database: ClickHouseDatabase) -> None:
    async def check() -> None:
        working: set[int] = set()

        async def work(number: int) -> None:
            backend = backend_of(database.settings)
            assert isinstance(backend, ClickHouseBackend)
            async with backend.leases.held("test", 60) as lease:
                assert lease is not None
                assert not working
                working.add(number)
                await asyncio.sleep(0.05)
                working.remove(number)
            await backend.close()

        async with opened(database, category()):
            await asyncio.gather(*map(work, range(6)))

    asyncio.run(check())


def test_servers_that_start_at_once_make_the_tables_once(database: ClickHouseDatabase) -> None:
    async def check() -> None:
        async def start() -> Store:
            return await opened_store(database.settings, Catalog((category(),)))

        stores = await asyncio.gather(*(start() for _ in range(4)))
        for each in stores:
            await each.close()

    asyncio.run(check())
    assert database.rows("SELECT count() FROM kscope_rows_waits") == [["0"]]


def test_rows_that_come_too_late_are_refused(database: ClickHouseDatabase) -> None:
    """A server that stood still cannot store rows behind the next one's back."""

    async def check() -> None:
        async with opened(database, category()) as store, store.backend.transaction() as session:
            assert isinstance(session, ClickHouseSession)
            table = store.schema.categories["waits"].rows
            now = await session.now()
            row = {column.name: 0 for column in table.columns if column.name != "seq"}
            row |= {"sizes": "", "time": now, LATE: 0, TWIN: 0}  # type: ignore[dict-item]
            columns = {name: [value] for name, value in row.items()}
            await session.append(table, columns | {UNTIL: [now + 60_000_000]})
            with pytest.raises(StoreBusy), store.backend.translating():
                await session.append(table, columns | {UNTIL: [now - 1]})
            assert await session.fetch(sa.select(sa.func.count()).select_from(table)) == [(1,)]

    asyncio.run(check())
