"""Removal by age on an engine that keeps days apart: whole days go at once, the rest by rows."""

from collections.abc import AsyncIterator

import sqlalchemy as sa

from kscope.store.backends.base import Session
from kscope.store.housekeeping.retention import BATCH_KEEP, Expiry
from kscope.store.schema.progress import SECOND, Progress, progress_rows
from kscope.store.store import Store


async def remove(store: Store, expiry: Expiry) -> AsyncIterator[int]:
    """Remove it; yield the number of rows."""
    async with store.backend.transaction() as session:
        # First: from here on no plan reads the rows that are removed.
        progress = {(expiry.category, expiry.bucket): Progress(removed=expiry.before)}
        await session.insert(store.schema.dictionaries.progress, progress_rows(progress))
    yield await _remove(store, expiry.table, expiry.table.c.time, expiry.before)


async def forget_batches(store: Store, now: int) -> AsyncIterator[int]:
    """Forget batches that arrived so long ago that none is sent again; yield their number."""
    batch = store.schema.dictionaries.batch
    removed = await _remove(store, batch, batch.c.received, now - BATCH_KEEP * SECOND)
    if removed:
        yield removed


async def _remove(store: Store, table: sa.Table, time: sa.Column[int], before: int) -> int:
    counted = sa.select(sa.func.count()).select_from(table).where(time < before)
    removed = int((await store.backend.fetch_in_background(counted))[0][0])
    if not removed:
        return 0
    async with store.backend.transaction() as session:
        for partition in await _partitions(session, time, before):
            quoted = session.dialect.identifier_preparer.format_table(table)
            await session.run(f"ALTER TABLE {quoted} DROP PARTITION ID '{partition}'")
        await session.execute(sa.delete(table).where(time < before))
    return removed


async def _partitions(session: Session, time: sa.Column[int], before: int) -> list[str]:
    """Return the partitions whose rows are all too old, by what the engine knows of them."""
    newest = sa.func.max(time)
    of: sa.ColumnElement[str] = sa.literal_column("_partition_id")
    select = sa.select(of).select_from(time.table).group_by(of).having(newest < before)
    return [str(partition) for (partition,) in await session.fetch(select)]
