"""Old rows are removed, and no text that is still referenced."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from kscope.store.housekeeping import retention
from kscope.store.housekeeping.loop import retain, roll_up
from kscope.store.sums.planner import SECOND
from tests.databases import aging
from tests.enginefixtures import TRANSACTIONAL
from tests.store.opened import WAITS, batch, category, opened, totals

if TYPE_CHECKING:
    from kscope.store.store import Store
    from tests.databases import Database

HOUR = 3600 * SECOND
DAY = 24 * HOUR
T0 = 20_000 * DAY
KEPT = category(f"{WAITS}retention: 2d\nrollup: {{1h: 5d, 1d: 10d}}\n")
ROWS_ONLY = category(f"{WAITS}retention: 2d\n")


def hourly(days: int, host: str = "a") -> list[tuple[object, ...]]:
    return [(T0 + h * HOUR, host, "p", 1, f"s{h // 24}", 1, "") for h in range(24 * days)]


async def count(store: Store, table: sa.Table) -> int:
    return int((await store.reader.fetch(sa.select(sa.func.count()).select_from(table)))[0][0])


def test_each_level_has_its_age(database: Database) -> None:
    """Rows go first, then hourly sums, then daily ones; the totals stay while a level has them."""

    async def run() -> None:
        async with opened(database, KEPT) as store:
            await store.writer.write(batch(KEPT, hourly(8)))
            tables = store.schema.categories["waits"]
            hours, days = (rollup.table for rollup in tables.rollups)
            now = T0 + 8 * DAY + 130 * SECOND
            await roll_up(store, now)
            before = await totals(store, T0, T0 + 8 * DAY)
            assert await retain(store, now) == 24 * 6 + 24 * 3
            assert [await count(store, t) for t in (tables.rows, hours, days)] == [48, 24 * 5, 8]
            assert await totals(store, T0, T0 + 8 * DAY) == before == {"p": (192, 192)}
            await retain(store, T0 + 14 * DAY)
            assert await count(store, days) == 4

    asyncio.run(run())


def test_rows_wait_for_their_sums(database: Database) -> None:
    """Where sums are behind, age alone removes nothing."""

    async def run() -> None:
        async with opened(database, KEPT) as store:
            await store.writer.write(batch(KEPT, hourly(3)))
            assert await retain(store, T0 + 100 * DAY) == 0
            await roll_up(store, T0 + 100 * DAY)
            assert await retain(store, T0 + 100 * DAY) == 72 + 72 + 3

    asyncio.run(run())


@pytest.mark.parametrize("database", TRANSACTIONAL, indirect=True)  # ClickHouse drops whole days
def test_steps_are_small(database: Database) -> None:
    """Between two steps ingest has its turn, even where all rows are of one moment."""

    async def run() -> None:
        async with opened(database, ROWS_ONLY) as store:
            same = [(T0, "a", "p", n, "s", 1, "") for n in range(12_000)]
            await store.writer.write(batch(ROWS_ONLY, same))
            (due,) = await retention.expiries(store, T0 + 3 * DAY)
            assert await retention.count(store, due) == 12_000
            sizes = []
            async for removed in retention.remove(store, due):
                sizes.append(removed)
                await store.writer.write(
                    batch(ROWS_ONLY, [(T0 + 3 * DAY, "a", "p", 1, "s", 1, "")])
                )
            assert sizes == [5000, 5000, 2000]
            assert await count(store, store.schema.categories["waits"].rows) == 3

    asyncio.run(run())


def test_orphans_are_swept(database: Database) -> None:
    """Stacks and strings that no row can refer to go; those still referred to stay."""

    async def run() -> None:
        async with opened(database, KEPT) as store:
            now = time.time_ns() // 1000
            rows = [(now, "old-host", "p", 1, "old;stack", 1, "")]
            await store.writer.write(batch(KEPT, rows))
            await store.writer.write(batch(KEPT, [(now, "new-host", "q", 1, "new;stack", 1, "")]))
            dictionaries = store.schema.dictionaries
            tables = store.schema.categories["waits"]
            # As if the first row had come, and gone, long ago.
            for table in ("kscope_stack", "kscope_string"):
                database.run(*aging(database, table))
            async with store.backend.transaction() as session:
                await session.execute(sa.delete(tables.rows))
            store.writer.known.clear()
            await store.writer.write(batch(KEPT, [(now, "new-host", "q", 1, "new;stack", 1, "")]))
            await retain(store)
            stacks = await store.reader.fetch(sa.select(dictionaries.stack.c.frames))
            strings = await store.reader.fetch(sa.select(dictionaries.string.c.text))
            assert [row[0] for row in stacks] == ["new;stack"]
            assert sorted(row[0] for row in strings) == ["new-host", "q"]

    asyncio.run(run())


def test_a_category_that_is_kept_for_ever_keeps_its_stacks(database: Database) -> None:
    """So does one whose file is gone: its rows are still there to be read."""
    forever = category(WAITS)

    async def run() -> None:
        async with opened(database, forever) as store:
            await store.writer.write(batch(forever, [(T0, "a", "p", 1, "s;t", 1, "")]))
            dictionaries = store.schema.dictionaries
            for table in ("kscope_stack", "kscope_string"):
                database.run(*aging(database, table))
            await retain(store)
            assert await count(store, dictionaries.stack) == 1
            assert await count(store, dictionaries.string) == 2
        other = category(WAITS.replace("waits", "other"))
        async with opened(database, other) as store:
            await retain(store)
            assert await count(store, store.schema.dictionaries.stack) == 1
            assert await count(store, store.schema.dictionaries.string) == 2

    asyncio.run(run())


def test_freed_space_is_used_again(database: Database) -> None:
    """The same amount of rows a day does not make the database grow without end."""

    async def run() -> None:
        async with opened(database, ROWS_ONLY) as store:
            sizes = []
            for day in range(8):
                start = T0 + day * DAY
                rows = [(start + n, "a", "p", n, "s", 1, "") for n in range(20_000)]
                await store.writer.write(batch(ROWS_ONLY, rows))
                await retain(store, start + DAY)
                pages = sa.text("SELECT page_count FROM pragma_page_count")
                if store.reader.dialect == "sqlite":
                    sizes.append((await store.reader.fetch(pages))[0][0])
            assert await count(store, store.schema.categories["waits"].rows) == 20_000 * 2
            if sizes:
                assert sizes[-1] <= sizes[3] * 1.1

    asyncio.run(run())


def test_one_table_that_fails_holds_up_no_other(database: Database) -> None:
    """Unreadable rows of one category stop neither the sums nor the removal of the others,
    and its own rows keep the strings that they refer to.
    """
    bad = category(f"{WAITS}retention: 2d\nrollup: {{1h: 5d}}\n".replace("waits", "bad"))
    other = replace(KEPT, table="zzz")

    async def run() -> None:
        async with opened(database, bad, other) as store:
            await store.writer.write(batch(other, hourly(8)))
            # ClickHouse stores no text as a histogram: there the table of sums is missing.
            sizes = "no histogram" if store.backend.transactional else ""
            await store.writer.write(batch(bad, [(T0, "a", "kept", 1, "s", 1, sizes)] * 2))
            if not store.backend.transactional:
                database.rename("kscope_rollup_1h_bad", "away")
            strings = store.schema.dictionaries.string
            database.run(*aging(database, "kscope_string", T0 // DAY))
            now = T0 + 14 * DAY
            await roll_up(store, now)
            levels = store.schema.categories["zzz"].rollups
            assert [await count(store, each.table) for each in levels] == [24 * 8, 8]
            assert await retain(store, now) > 24 * 8
            texts = await store.reader.fetch(sa.select(strings.c.text))
            assert {"a", "kept"} <= {text for (text,) in texts}

    asyncio.run(run())
