"""Removal by age on an engine that keeps days apart: whole days go at once, the rest by rows."""

from collections.abc import AsyncIterator
from typing import Any

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
        await _remove_parts(session, time, before)
    return removed


async def _remove_parts(session: Session, time: sa.Column[int], before: int) -> None:
    """Remove whole partitions, and the old rows of others."""
    quote = session.dialect.identifier_preparer
    table, column = quote.format_table(time.table), quote.format_column(time)
    for partition, is_old in await _partitions(session, time, before):
        if is_old:
            await session.run(f"ALTER TABLE {table} DROP PARTITION ID '{partition}'")
        else:
            # By its partition: else the engine writes all parts of the table again.
            await session.run(
                f"DELETE FROM {table} IN PARTITION ID '{partition}'"  # noqa: S608 - our names
                f" WHERE {column} < {before:d}"
            )


async def _partitions(
    session: Session, time: sa.Column[int], before: int
) -> list[tuple[str, bool]]:
    """Return the partitions with rows that are too old, and whether all are."""
    of: sa.ColumnElement[Any] = sa.literal_column("_partition_id")
    select = sa.select(of, sa.func.max(time)).select_from(time.table).group_by(of)
    found = await session.fetch(select.having(sa.func.min(time) < before))
    return [(str(partition), bool(newest < before)) for partition, newest in found]
