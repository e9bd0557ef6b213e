"""Late rows are added to the sums of their bucket as they are stored."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kscope.declare.types.histogram import histogram_counts
from kscope.store.housekeeping.loop import retain, roll_up
from kscope.store.schema.progress import SECOND
from kscope.store.sums import late
from tests.databases import MariaDBDatabase
from tests.enginefixtures import TRANSACTIONAL
from tests.store.opened import WAITS, batch, category, opened, totals

if TYPE_CHECKING:
    from kscope.store.store import Store
    from tests.databases import Database
    from tests.mariadb import MariaDB

HOUR = 3600 * SECOND
DAY = 24 * HOUR
T0 = 20_000 * DAY
CATEGORY = category(f"{WAITS}rollup: {{1h: 20d, 1d: 40d}}\n")


def row(time: int, host: str) -> tuple[Any, ...]:
    return (time, host, "p", 1, "a;b", 10, "2:1")


async def sums(store: Store, level: sa.Table) -> dict[tuple[Any, ...], tuple[int, dict[int, int]]]:
    """Return rows and histogram of each group: its time, host, and whether its rows were late.

    ClickHouse keeps the sums of each batch apart until a question adds them up.
    """
    was_late = level.c.seq < 0 if store.backend.transactional else level.c.seq > 0
    columns = (level.c.time, level.c.hostname, was_late, level.c.kscope_rows, level.c.sizes)
    found: dict[tuple[Any, ...], tuple[int, dict[int, int]]] = {}
    fetched = await store.reader.fetch(sa.select(*columns))
    for time, host, is_late, rows, text in fetched:
        key = time, host, bool(is_late)
        before, slots = found.get(key, (0, {}))
        counts = histogram_counts(text)
        added = {slot: slots.get(slot, 0) + counts.get(slot, 0) for slot in {*slots, *counts}}
        found[key] = before + rows, added
    if store.backend.transactional:
        assert len(fetched) == len(found)
    return found


def test_late_rows_end_up_as_one_sum(database: Database) -> None:
    """Rows of a group that are sent one by one are added to one sum, in each level."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, [row(T0, "on time")]))
            await roll_up(store, T0 + 3 * DAY)
            for n in range(20):
                rows = [row(T0 + n * SECOND, "late"), row(T0 + HOUR + n, "late")]
                await store.writer.write(batch(CATEGORY, rows))
            assert await totals(store, T0, T0 + DAY) == {"p": (41, 410)}
            for level, many in zip(store.schema.categories["waits"].rollups, (3, 2), strict=True):
                found = await sums(store, level.table)
                assert len(found) == many
                assert all(slots == {2: rows} for rows, slots in found.values())
            await retain(store, T0 + 3 * DAY)
            assert await totals(store, T0, T0 + DAY) == {"p": (41, 410)}

    asyncio.run(run())


def test_a_group_that_was_on_time_keeps_that_sum(database: Database) -> None:
    """Its late rows are one sum more; a row without events leaves the histogram unchanged."""

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, [row(T0, "host")]))
            await roll_up(store, T0 + 3 * DAY)
            for sizes in ("", "5:2", "", "5:1,7:4"):
                late = (T0 + 1, "host", "p", 1, "a;b", 10, sizes)
                await store.writer.write(batch(CATEGORY, [late]))
            hourly = store.schema.categories["waits"].rollups[0].table
            found = {late: each for (_, _, late), each in (await sums(store, hourly)).items()}
            assert found == {False: (1, {2: 1}), True: (4, {5: 3, 7: 4})}

    asyncio.run(run())


@pytest.mark.parametrize("database", TRANSACTIONAL, indirect=True)  # ClickHouse keeps no text
def test_the_text_of_a_late_histogram_stays_short(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slots are added up before it is longer than one histogram can be."""
    monkeypatch.setattr(late, "LONG_TEXT", 30)

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, [row(T0, "on time")]))
            await roll_up(store, T0 + 3 * DAY)
            hourly = store.schema.categories["waits"].rollups[0].table
            for n in range(1, 25):
                rows = [(T0 + 1, host, "p", 1, "a;b", 1, "1:2,2:1,3:1") for host in "ab"]
                await store.writer.write(batch(CATEGORY, rows))
                shown = sa.select(hourly.c.sizes).where(hourly.c.seq < 0)
                texts = [text for (text,) in await store.reader.fetch(shown)]
                assert len(texts) == 2
                assert all(len(text) <= 30 for text in texts)
                assert all(histogram_counts(text) == {1: 2 * n, 2: n, 3: n} for text in texts)

    asyncio.run(run())


@pytest.mark.mysql
def test_three_servers_add_late_rows_to_the_same_sums(mariadb: MariaDB) -> None:
    """They write at the same time and in different orders; no row is lost or counted twice."""
    database = MariaDBDatabase(mariadb, mariadb.new_database())
    groups, rounds = 300, 8

    async def write(store: Store, server: int) -> None:
        chance = random.Random(server)
        for n in range(rounds):
            rows = [
                (T0 + group % 3 * HOUR, f"h{group}", "p", server, "a;b", 1 + server, "1:1")
                for group in chance.sample(range(groups), groups)
            ]
            await store.writer.write(batch(CATEGORY, rows, f"{server} {n}".encode()))

    async def run() -> None:
        async with AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(opened(database, CATEGORY)) for _ in range(3)]
            await stores[0].writer.write(batch(CATEGORY, [row(T0 + 5 * HOUR, "on time")]))
            await roll_up(stores[0], T0 + 3 * DAY)
            await asyncio.gather(*(write(store, n) for n, store in enumerate(stores)))
            count = groups * rounds * 3
            expected = {"p": (count + 1, groups * rounds * (1 + 2 + 3) + 10)}
            assert await totals(stores[0], T0, T0 + DAY) == expected
            hourly = stores[0].schema.categories["waits"].rollups[0].table
            shown = sa.select(hourly.c.kscope_rows, hourly.c.sizes).where(hourly.c.seq < 0)
            found = await stores[0].reader.fetch(shown)
            assert len(found) == groups
            assert all(rows == 24 and histogram_counts(text) == {1: 24} for rows, text in found)

    asyncio.run(run())
