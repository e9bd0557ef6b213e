"""Rows are not removed by a clock that is wrong: what it removes is gone."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from kscope.store.housekeeping.clock import ClockCheck
from kscope.store.housekeeping.loop import turn
from tests.store.opened import WAITS, batch, category, opened

if TYPE_CHECKING:
    import pytest

    from kscope.store.store import Store
    from tests.databases import Database

DAY = 86400
KEPT = category(f"{WAITS}retention: 30d\n")
NOW, MONOTONIC = time.time_ns, time.monotonic


class Clocks:
    """Both clocks of this process, which a test may set ahead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = self.passed = 0
        monkeypatch.setattr(time, "time_ns", lambda: NOW() + self.ahead * 10**9)
        monkeypatch.setattr(
            "kscope.store.housekeeping.clock.monotonic", lambda: MONOTONIC() + self.passed
        )


async def rows(store: Store) -> int:
    table = store.schema.categories["waits"].rows
    ((count,),) = await store.reader.fetch(sa.select(sa.func.count()).select_from(table))
    return int(count)


async def filled(store: Store) -> None:
    moment = NOW() // 1000 - 2 * DAY * 10**6
    await store.writer.write(batch(KEPT, [[moment, "h", "p", 1, "main;a", 7, "1:2"]]))


def test_a_clock_that_jumps_ahead_removes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and goes on when the clock is right."""
    clocks = Clocks(monkeypatch)

    async def check() -> None:
        async with opened(database, KEPT) as store:
            await filled(store)
            clock = ClockCheck()
            await turn(store, 0, clock)
            clocks.ahead = 40 * DAY
            for _ in range(3):
                await turn(store, 0, clock)
            assert await rows(store) == 1
            said = [line for line in caplog.messages if "ahead of the last removal" in line]
            assert len(said) == 1
            assert "960 hours" in said[0]
            clocks.ahead = 0
            await turn(store, 0, clock)
            assert clock.doubted == 0
            clocks.ahead = DAY // 2
            await turn(store, 0, clock)
            assert await rows(store) == 1

    asyncio.run(check())


def test_a_clock_that_stays_ahead_for_a_day_is_right(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine was off. A server that starts again waits again."""
    clocks = Clocks(monkeypatch)

    async def check() -> None:
        async with opened(database, KEPT) as store:
            await filled(store)
            await turn(store, 0, ClockCheck())
            clocks.ahead = 40 * DAY
            clock = ClockCheck()
            await turn(store, 0, clock)
            clocks.passed = DAY - 60
            await turn(store, 0, clock)
            assert await rows(store) == 1
            clocks.passed = DAY + 1
            await turn(store, 0, clock)
            assert await rows(store) == 0
            # Noted: from now on this is the time.
            await turn(store, 0, ClockCheck())

    asyncio.run(check())


def test_a_new_database_begins_at_any_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are too old are removed at once, as before."""
    clocks = Clocks(monkeypatch)
    clocks.ahead = 40 * DAY

    async def check() -> None:
        async with opened(database, KEPT) as store:
            await filled(store)
            await turn(store, 0, ClockCheck())
            assert await rows(store) == 0

    asyncio.run(check())
