"""The store's background work: sums of closed buckets, and removal of old rows."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from kscope.errors import KscopeError
from kscope.store.backends.errors import StoreMoved
from kscope.store.housekeeping import (
    close_buckets,
    close_in_engine,
    drop_days,
    retention,
    unused_texts,
)
from kscope.store.housekeeping.clock import ClockCheck, note_run
from kscope.store.schema.progress import SECOND
from kscope.store.store import Store

_ROLLUP_SECONDS = 10
_RETENTION_SECONDS = 600
# In seconds. After each step ingest has the database to itself for this time.
_PAUSE = 0.005

log = logging.getLogger(__name__)


def works(store: Store, *, keeps_house: bool = True) -> list[Coroutine[Any, Any, None]]:
    """Return what runs until it is cancelled: of every shard, if there are several.

    A process that does not keep house leaves sums and removal to another one.
    """
    return [_follow(store), *(map(run, store.parts.values()) if keeps_house else ())]


async def _follow(store: Store) -> None:
    while True:
        with _logging("shards that were away"):
            await store.catch_up()
        await asyncio.sleep(_ROLLUP_SECONDS)


async def run(store: Store) -> None:
    """Run until cancelled. A failure is logged, and tried again."""
    swept, clock = 0.0, ClockCheck()
    while True:
        with _logging("its turn"):
            async with store.backend.duty() as is_ours:
                if is_ours:
                    swept = await turn(store, swept, clock)
        await asyncio.sleep(_ROLLUP_SECONDS)


async def turn(store: Store, swept: float, clock: ClockCheck) -> float:
    """Do what is due; return when removal by age was done last, by the monotonic clock."""
    with _logging("the sums"):
        await roll_up(store)
    with _logging("the log"):
        await store.backend.checkpoint()
    if time.monotonic() - swept < _RETENTION_SECONDS and swept:
        return swept
    with _logging("removal by age"):
        now = time.time_ns() // 1000
        if await clock.trusts(store, now):
            await retain(store, now)
            await note_run(store, now)
    return time.monotonic()


@contextmanager
def _logging(what: str) -> Iterator[None]:
    """Log a failure of one part, so that the other parts continue."""
    try:
        yield
    except StoreMoved:
        pass  # the backend has said so, once
    except KscopeError as error:
        log.warning("%s: housekeeping waits: %s", what, error)
    except Exception:
        log.exception("%s: housekeeping failed", what)


async def close_next(store: Store, table: str, now: int) -> int | None:
    """Sum the category's next bucket, or stretch of buckets, that is due at `now` (us).

    Return the number of rows that were summed; None if nothing is due.
    """
    if store.backend.transactional:
        return await close_buckets.close_next(store, table, now)
    return await close_in_engine.close_next(store, table, now)


async def roll_up(
    store: Store, now: int | None = None, closed: Callable[[str], None] = lambda _: None
) -> int:
    """Sum every bucket that is due; return the number of buckets with rows.

    `closed` gets the table after each bucket.
    """
    now = now or time.time_ns() // 1000
    buckets = 0
    tables = list(store.schema.categories)
    if not store.backend.transactional:
        tables = await close_in_engine.due_tables(store, now)
    for table in tables:
        with _logging(table):
            while table in store.schema.categories:
                rows = await close_next(store, table, now)
                if rows is None:
                    break
                buckets += rows > 0
                closed(table)
                await asyncio.sleep(_PAUSE)
    return buckets


async def retain(store: Store, now: int | None = None) -> int:
    """Remove everything that is too old; return the number of rows and sums removed."""
    now = now or time.time_ns() // 1000
    removed = 0
    how = retention if store.backend.transactional else drop_days
    for expiry in await retention.expiries(store, now):
        with _logging(expiry.table.name):
            async for rows in how.remove(store, expiry):
                removed += rows
                await asyncio.sleep(_PAUSE)
            log.info("%s: removed what is before %d", expiry.table.name, expiry.before // SECOND)
    batches, texts = how.forget_batches(store, now), unused_texts.sweep(store)
    for steps in (batches, texts, store.backend.shrink()):
        async for _ in steps:
            await asyncio.sleep(_PAUSE)
    return removed
