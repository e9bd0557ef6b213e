"""Late rows leave sums in pieces; housekeeping makes one of them again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kscope.declare.types.histogram import histogram_counts
from kscope.store.housekeeping.loop import retain, roll_up
from kscope.store.sums import late
from kscope.store.sums.planner import SECOND
from tests.store.opened import WAITS, batch, category, opened, totals

if TYPE_CHECKING:
    from tests.databases import Database

HOUR = 3600 * SECOND
DAY = 24 * HOUR
T0 = 20_000 * DAY
CATEGORY = category(f"{WAITS}rollup: {{1h: 20d, 1d: 40d}}\n")


def row(time: int, host: str) -> tuple[Any, ...]:
    return (time, host, "p", 1, "a;b", 10, "2:1")


@pytest.mark.parametrize("step", [20_000, 7])
def test_late_rows_end_up_as_one_sum(
    database: Database, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Sent one by one they leave a sum each; after housekeeping there is one a group, the same."""
    monkeypatch.setattr(late, "PIECES_PER_STEP", step)

    async def run() -> None:
        async with opened(database, CATEGORY) as store:
            await store.writer.write(batch(CATEGORY, [row(T0, "on time")]))
            await roll_up(store, T0 + 3 * DAY)
            for n in range(20):
                rows = [row(T0 + n * SECOND, "late"), row(T0 + HOUR + n, "late")]
                await store.writer.write(batch(CATEGORY, rows))
            before = await totals(store, T0, T0 + DAY)
            assert before == {"p": (41, 410)}
            for _ in range(8):
                await retain(store, T0 + 3 * DAY)
            assert await totals(store, T0, T0 + DAY) == before
            for level, many in zip(store.schema.categories["waits"].rollups, (3, 2), strict=True):
                rows = await store.reader.fetch(
                    sa.select(level.table.c.kscope_rows, level.table.c.sizes)
                )
                assert len(rows) == many
                assert all(histogram_counts(text) == {2: count} for count, text in rows)
            meta = store.schema.dictionaries.meta
            left = sa.select(meta.c.name).where(meta.c.name.startswith("late "))
            assert not await store.reader.fetch(left)

    asyncio.run(run())
