"""Remove rows and sums that are too old, in steps that ingest barely waits for.

Rows are removed after their category's `retention`, sums after their level's `keep`; neither
before the next coarser level holds them.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.generate.tables import CategoryTables
from kscope.store.backends.base import BACKGROUND_SECONDS, Relation
from kscope.store.housekeeping.close_buckets import GRACE
from kscope.store.schema.progress import SECOND, Progress, progress_of
from kscope.store.store import Store

ROWS_PER_STEP = 5000
# In seconds. A sender that did not learn that its batch was stored sends it again in this time.
BATCH_KEEP = 30 * 86400


@dataclass(frozen=True)
class Expiry:
    """Everything in `table` before `before` (us) is too old. Bucket 0 is the category's rows."""

    category: str
    bucket: int
    table: sa.Table
    before: int


async def expiries(store: Store, now: int, *, as_if_summed: bool = False) -> list[Expiry]:
    """Return what is too old at `now` (us); `as_if_summed` counts sums that are due as stored."""
    relations = await relations_of(store)
    due = []
    for name, tables in store.schema.categories.items():
        progress = await progress_of(store.backend.fetch_in_background, store.schema, name)
        if as_if_summed:
            ends = now - GRACE * SECOND
            buckets = [level.rollup.bucket for level in tables.rollups]
            progress |= {each: Progress(closed=ends - ends % (each * SECOND)) for each in buckets}
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
    """Remove it in steps; yield the number of rows of each step once they are removed."""
    async with store.backend.transaction() as session:
        # First: from here on no plan reads the rows that are removed.
        progress = store.schema.dictionaries.progress
        await session.execute(
            sa.update(progress)
            .where(progress.c.category == expiry.category, progress.c.bucket == expiry.bucket)
            .where(progress.c.removed < expiry.before)
            .values(removed=expiry.before)
        )
    table = expiry.table
    async for removed in _removed(store, table, [table.c.time, table.c.seq], expiry.before):
        yield removed


async def _removed(
    store: Store, table: sa.Table, order: Sequence[sa.Column[Any]], before: int
) -> AsyncIterator[int]:
    """Remove the oldest rows in steps, and yield how many; `order` is of their time first."""
    time = order[0]
    last = sa.select(*order).where(time < before).order_by(*order)
    while True:
        async with store.backend.transaction() as session:
            rows = await session.fetch(last.offset(ROWS_PER_STEP - 1).limit(1))
            # The time alone as well: MySQL finds no range of two columns.
            until = (
                sa.and_(time <= rows[0][0], sa.tuple_(*order) <= tuple(rows[0]))
                if rows
                else time < before
            )
            removed = await session.execute(sa.delete(table).where(until))
        if not removed:
            return
        yield removed


def forget_batches(store: Store, now: int) -> AsyncIterator[int]:
    """Forget batches that arrived so long ago that none is sent again; yield each step's number."""
    batch = store.schema.dictionaries.batch
    return _removed(store, batch, [batch.c.received], now - BATCH_KEEP * SECOND)


async def relations_of(store: Store) -> Mapping[str, Relation]:
    """Return the tables and views that the database holds."""
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        return await session.relations()


async def first_time(store: Store, table: sa.Table) -> int | None:
    """Return the time of the table's oldest row in microseconds, None if it is empty."""
    first: int | None
    ((first,),) = await store.backend.fetch_in_background(sa.select(sa.func.min(table.c.time)))
    return first


def _of_category(
    tables: CategoryTables, progress: Mapping[int, Progress], now: int
) -> Iterator[Expiry]:
    """Yield levels from fine to coarse; each waits for the sums of the coarser ones."""
    category = tables.category
    levels = [(0, tables.rows, category.retention)]
    levels += [(r.rollup.bucket, r.table, r.rollup.keep) for r in tables.rollups]
    for index, (bucket, table, keep) in enumerate(levels):
        if keep is None:
            continue
        coarser = [level[0] for level in levels[index + 1 :]]
        summed = [progress.get(each, Progress()).closed for each in coarser]
        before = min([now - keep * SECOND, *summed])
        # Whole buckets of the next level: what is left at an edge is never half a bucket.
        width = (coarser[0] if coarser else max(bucket, 1)) * SECOND
        yield Expiry(category.table, bucket, table, before - before % width)
