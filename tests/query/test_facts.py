"""A question begins with what the last one found; what has changed since then is not in its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from kscope.query.questions import QUESTIONS
from kscope.query.responses import respond
from kscope.store.housekeeping.loop import retain, roll_up
from kscope.store.sums.planner import SECOND
from tests.store.opened import WAITS, batch, category, opened

if TYPE_CHECKING:
    from kscope.store.store import Store
    from tests.databases import Database

HOUR = 3600 * SECOND
DAY = 24 * HOUR
T0 = 20_000 * DAY
CATEGORY = category(f"{WAITS}retention: 4d\nrollup: {{1h: 20d, 1d: 40d}}\n")


async def asked(store: Store) -> tuple[str, int, list[str]]:
    """Return the tables that a ranking of a day is read from, its total, and its notices."""
    given = [("from", str(T0)), ("to", str(T0 + DAY)), ("by", "process"), ("value", "elapsed")]
    question = QUESTIONS["top"]
    body = await respond(store.reader, question, question.read(CATEGORY, given))
    assert isinstance(body.content, bytes)
    found = msgspec.json.decode(body.content)
    return found["meta"]["source"], found["total"], [each["text"] for each in found["notices"]]


async def write(store: Store, host: str, *hours: int) -> None:
    rows = [(T0 + hour * HOUR, host, "p", 1, "main", 2**hour, "") for hour in hours]
    await store.writer.write(batch(CATEGORY, rows))


def test_another_server_sums_and_removes(database: Database) -> None:
    """Each answer is of the tables as they are when it is asked for, whatever was so before."""

    async def ask_in_between() -> None:
        async with opened(database, CATEGORY) as reading, opened(database, CATEGORY) as other:
            await write(other, "a", 1, 2)
            assert await asked(reading) == ("raw", 6, [])
            assert await asked(reading) == ("raw", 6, [])
            await roll_up(other, T0 + 12 * HOUR)
            assert await asked(reading) == ("rollup 1h + raw", 6, [])
            await write(other, "a", 3, 13)
            assert await asked(reading) == ("rollup 1h + raw", 14 + 2**13, [])
            await roll_up(other, T0 + 2 * DAY)
            await retain(other, T0 + 10 * DAY)
            assert await asked(reading) == ("rollup 1d", 14 + 2**13, [])
            await write(other, "recording:b", 5)
            source, total, (notice,) = await asked(reading)
            assert (source, total) == ("rollup 1d", 14 + 2**13 + 2**5)
            assert "recording:" in notice

    asyncio.run(ask_in_between())
