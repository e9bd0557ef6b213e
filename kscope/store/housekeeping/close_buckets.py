"""Sum each closed bucket once, in the background.

A read-only connection reads the bucket, so ingest continues. Before the sums are committed, the
bucket's rows are counted again; if the count changed, the bucket is summed again. Later rows are
added by `sums/late.py` in the transaction that stores them.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from kscope.declare.types.base import Role
from kscope.generate.tables import ROLLUP_ROWS, CategoryTables, RollupTable
from kscope.store.backends.base import Session
from kscope.store.backends.in_thread import in_thread
from kscope.store.schema.meta import is_current
from kscope.store.schema.progress import SECOND, Progress, progress_of
from kscope.store.store import Store
from kscope.store.sums.functions import weight
from kscope.store.sums.grouping import (
    grouped,
    grouped_slots,
    is_cut,
    key_columns,
    summed_names,
    with_short_texts,
    with_slot_texts,
)

# Agents send once a minute: most rows of a bucket are there two minutes after its end.
GRACE = 120
# How often a bucket is summed again because rows arrived in the meantime.
_PATIENCE = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Bucket:
    """One bucket of a level, and the table that it is summed from: rows, or the finer level.

    A time without rows is one bucket that starts and ends at its end.
    """

    tables: CategoryTables
    level: RollupTable
    source: sa.Table
    start: int
    stop: int


async def close_next(store: Store, table: str, now: int) -> int | None:
    """Sum the category's next bucket that is due at `now` (us).

    Return the number of rows that were summed; None if no bucket is due.
    """
    bucket = await _next(store, table, now)
    return None if bucket is None else await _store_sums(store, bucket)


async def _store_sums(store: Store, bucket: _Bucket) -> int | None:
    """Sum while ingest continues; if rows keep arriving in this bucket, hold the writer off."""
    counted = summed_names(bucket.tables.category).index(ROLLUP_ROWS)
    for holding in (*[False] * _PATIENCE, True):
        sums = [] if holding else await _sums(store, bucket)
        async with store.backend.transaction() as session:
            if not await is_current(session, store.schema, bucket.tables.category):
                warn_once(bucket.tables.category.table)
                return None
            closed = await _locked(session, store, bucket)
            if closed is None:
                return None
            if holding:
                sums = await _sums(store, bucket)
            rows: int = sum(row[counted] for row in sums)
            if await _count(session, bucket, closed) != rows:
                continue
            if sums:
                await _insert(session, bucket, sums)
            progress = store.schema.dictionaries.progress
            update = sa.update(progress).where(_is(progress, bucket))
            await session.execute(update.values(closed=bucket.stop))
            return rows
    # Rows arrived before it: they are in another bucket, which is next.
    return None


@lru_cache
def warn_once(table: str) -> None:
    log.warning(
        "%s: another server on this database has declared other columns, and sums it; bring the"
        " categories of this one up to date",
        table,
    )


async def _sums(store: Store, bucket: _Bucket) -> list[tuple[Any, ...]]:
    category = bucket.tables.category
    histograms = category.with_role(Role.HISTOGRAM)
    what = (bucket.source, bucket.start, bucket.stop)
    fetch = store.backend.fetch_in_background
    rows = await fetch(grouped(category, *what))
    if not await in_thread(len(rows), is_cut, rows, len(histograms)):
        return await in_thread(len(rows), with_short_texts, rows, len(histograms))
    # Rows that came in between are seen by the recount.
    slots = [await fetch(grouped_slots(category, each, *what)) for each in histograms]
    return await in_thread(len(rows), with_slot_texts, rows, slots, len(key_columns(category)))


async def _next(store: Store, table: str, now: int) -> _Bucket | None:
    tables = store.schema.categories[table]
    progress = await progress_of(store.backend.fetch_in_background, store.schema, table)
    # Of rows, then of each level: seconds, table, and the time until which it is complete (us).
    sources = [(1, tables.rows, now - GRACE * SECOND)]
    for level in tables.rollups:
        bucket = level.rollup.bucket
        closed = progress.get(bucket, Progress()).closed
        # The coarsest that makes up whole buckets.
        source, complete = next(rest for each, *rest in reversed(sources) if bucket % each == 0)
        sources.append((bucket, level.table, closed))
        width = bucket * SECOND
        limit = complete - complete % width
        if limit <= closed:
            continue
        first = sa.select(sa.func.min(source.c.time)).where(
            source.c.time >= closed, source.c.time < limit
        )
        (found,) = (await store.backend.fetch_in_background(first))[0]
        if found is None:
            return _Bucket(tables, level, source, limit, limit)
        start = found - found % width
        return _Bucket(tables, level, source, start, start + width)
    return None


async def _locked(session: Session, store: Store, bucket: _Bucket) -> int | None:
    """Lock the level and return the time until which it is closed; None if this bucket is."""
    progress = store.schema.dictionaries.progress
    locked = await session.fetch(
        sa.select(progress.c.closed).where(_is(progress, bucket)).with_for_update()
    )
    if not locked or locked[0][0] > bucket.start or locked[0][0] >= bucket.stop:
        return None
    return int(locked[0][0])


async def _count(session: Session, bucket: _Bucket, closed: int) -> int:
    """Count the bucket's rows, and rows that arrived before it since it was chosen."""
    source = bucket.source
    within = (source.c.time >= closed, source.c.time < bucket.stop)
    rows = await session.fetch(sa.select(weight(source)).where(*within))
    return int(rows[0][0])


async def _insert(session: Session, bucket: _Bucket, sums: Sequence[tuple[Any, ...]]) -> None:
    # Sums of late rows have a seq below 0.
    keys = {"time": [bucket.start] * len(sums), "seq": range(len(sums))}
    names = summed_names(bucket.tables.category)
    columns = dict(zip(names, zip(*sums, strict=True), strict=True))
    await session.insert(bucket.level.table, keys | columns)


def _is(progress: sa.Table, bucket: _Bucket) -> sa.ColumnElement[bool]:
    return sa.and_(
        progress.c.category == bucket.tables.category.table,
        progress.c.bucket == bucket.level.rollup.bucket,
    )
