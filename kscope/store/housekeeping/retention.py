"""Remove rows and sums that are too old, in steps so small that ingest hardly waits.

Rows are removed after their category's `retention`, sums after their level's `keep`; neither
before the next coarser level holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from kscope.store.backends.base import BACKGROUND_SECONDS
from kscope.store.housekeeping.close_buckets import GRACE
from kscope.store.schema.progress import SECOND, Progress, progress_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from kscope.generate.tables import CategoryTables
    from kscope.store.backends.base import Relation, Session
    from kscope.store.store import Store

ROWS_PER_STEP = 5000
# A sender that never learnt that its batch was stored asks again within this time.
BATCH_KEEP = 30 * 86400


@dataclass(frozen=True)
class Expiry:
    """Everything of `table` before `before` (us) is to go. Bucket 0 is the category's rows."""

    category: str
    bucket: int
    table: sa.Table
    before: int


async def expiries(store: Store, now: int, *, as_if_summed: bool = False) -> list[Expiry]:
    """What there is to remove at `now` (us); of sums that are due as if they were there."""
    relations = await relations_of(store)
    due = []
    for name, tables in store.schema.categories.items():
        progress = await progress_of(store.backend.fetch_in_background, store.schema, name)
        if as_if_summed:
            progress = {**progress, **_summed_by(tables, now)}
        for expiry in _of_category(tables, progress, now):
            if expiry.table.name not in relations:
                continue
            first = await first_time(store, expiry.table)
            if first is not None and first < expiry.before:
                due.append(expiry)
    return due


async def count(store: Store, expiry: Expiry) -> int:
    table = expiry.table
    select = sa.select(sa.func.count()).select_from(table).where(table.c.time < expiry.before)
    return int((await store.backend.fetch_in_background(select))[0][0])


async def remove(store: Store, expiry: Expiry) -> AsyncIterator[int]:
    """Remove it, a step at a time; gives the rows of each step once they are gone."""
    async with store.backend.transaction() as session:
        # First of all: from here on no plan reads what is about to go.
        await _mark(session, store, expiry)
    while True:
        async with store.backend.transaction() as session:
            removed = await _step(session, expiry.table, expiry.before)
        if not removed:
            return
        yield removed


async def forget_batches(store: Store, now: int) -> AsyncIterator[int]:
    """Forget which batches came so long ago that none is sent again, a step at a time."""
    batch = store.schema.dictionaries.batch
    received = batch.c.received
    before = now - BATCH_KEEP * SECOND
    old = sa.select(received).where(received < before).order_by(received)
    while True:
        async with store.backend.transaction() as session:
            rows = await session.fetch(old.offset(ROWS_PER_STEP - 1).limit(1))
            until = received <= rows[0][0] if rows else received < before
            forgotten = await session.execute(sa.delete(batch).where(until))
        if not forgotten:
            return
        yield forgotten


async def relations_of(store: Store) -> Mapping[str, Relation]:
    """Return the tables and views that the database holds."""
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        return await session.relations()


async def first_time(store: Store, table: sa.Table) -> int | None:
    """Return the time of the table's oldest row in microseconds, None if it is empty."""
    first: int | None
    ((first,),) = await store.backend.fetch_in_background(sa.select(sa.func.min(table.c.time)))
    return first


def _summed_by(tables: CategoryTables, now: int) -> dict[int, Progress]:
    """Give the progress that there is once every bucket that is due was summed."""
    ends = now - GRACE * SECOND
    buckets = [level.rollup.bucket for level in tables.rollups]
    return {bucket: Progress(closed=ends - ends % (bucket * SECOND)) for bucket in buckets}


def _of_category(
    tables: CategoryTables, progress: Mapping[int, Progress], now: int
) -> Iterator[Expiry]:
    """Levels from fine to coarse, each with what it must wait for."""
    category = tables.category
    levels = [(0, tables.rows, category.retention)]
    levels += [(r.rollup.bucket, r.table, r.rollup.keep) for r in tables.rollups]
    for index, (bucket, table, keep) in enumerate(levels):
        if keep is None:
            continue
        before = now - keep * SECOND
        coarser = [level[0] for level in levels[index + 1 :]]
        for each in coarser:
            before = min(before, progress.get(each, Progress()).closed)
        # Whole buckets of the next level: what is left at an edge is never half a bucket.
        width = (coarser[0] if coarser else max(bucket, 1)) * SECOND
        yield Expiry(category.table, bucket, table, before - before % width)


async def _mark(session: Session, store: Store, expiry: Expiry) -> None:
    progress = store.schema.dictionaries.progress
    await session.execute(
        sa.update(progress)
        .where(progress.c.category == expiry.category, progress.c.bucket == expiry.bucket)
        .where(progress.c.removed < expiry.before)
        .values(removed=expiry.before)
    )


async def _step(session: Session, table: sa.Table, before: int) -> int:
    last = (
        sa.select(table.c.time, table.c.seq)
        .where(table.c.time < before)
        .order_by(table.c.time, table.c.seq)
    )
    rows = await session.fetch(last.offset(ROWS_PER_STEP - 1).limit(1))
    if not rows:
        return await session.execute(sa.delete(table).where(table.c.time < before))
    time, seq = rows[0]
    removed = await session.execute(sa.delete(table).where(table.c.time < time))
    same = sa.and_(table.c.time == time, table.c.seq <= seq)
    return removed + await session.execute(sa.delete(table).where(same))
