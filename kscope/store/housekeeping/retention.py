"""What is too old is removed, in steps so small that ingest hardly waits.

Rows go at their category's `retention`, sums at their level's `keep`; neither before the next
coarser level holds them. Strings and stacks go when no row can refer to them any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from kscope.declare.types.base import TYPES, Storage
from kscope.generate.tables import rows_name
from kscope.store.backends.base import BACKGROUND_SECONDS
from kscope.store.housekeeping.close_buckets import GRACE, progress_of
from kscope.store.schema.interning import today
from kscope.store.schema.meta import known_categories, read_meta
from kscope.store.schema.rollup_levels import levels_held
from kscope.store.sums.planner import SECOND, Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from kscope.generate.tables import CategoryTables
    from kscope.store.backends.base import Relation, Session
    from kscope.store.store import Store

ROWS_PER_STEP = 5000
# A sender that never learnt that its batch was stored asks again within this time.
BATCH_KEEP = 30 * 86400
_DAY = 86400
# Between a string's last use, in whole days, and rows whose clock was a day ahead.
_MARGIN_DAYS = 3


@dataclass(frozen=True)
class Expiry:
    """Everything of `table` before `before` (us) is to go. Bucket 0 is the category's rows."""

    category: str
    bucket: int
    table: sa.Table
    before: int


async def expiries(store: Store, now: int, *, as_if_summed: bool = False) -> list[Expiry]:
    """What there is to remove at `now` (us); of sums that are due as if they were there."""
    relations = await _relations(store)
    due = []
    for name, tables in store.schema.categories.items():
        progress = await progress_of(store, name)
        if as_if_summed:
            progress = {**progress, **_summed_by(tables, now)}
        for expiry in _of_category(tables, progress, now):
            if expiry.table.name not in relations:
                continue
            first = await _first(store, expiry.table)
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


async def orphans(store: Store) -> list[tuple[sa.Table, list[int]]]:
    """Strings and stacks that were last used so long ago that no row is left of then: their ids."""
    cutoff = await _cutoff(store)
    dictionaries = store.schema.dictionaries
    found = []
    for table, storage in (
        (dictionaries.stack, Storage.STACK_ID),
        (dictionaries.string, Storage.STRING_ID),
    ):
        old = sa.select(table.c.id).where(table.c.day < cutoff)
        candidates = {row[0] for row in await store.backend.fetch_in_background(old)}
        if candidates:
            candidates -= await _referred_forever(store, storage)
        found.append((table, sorted(candidates)))
    return found


async def sweep(store: Store) -> AsyncIterator[int]:
    """Remove the orphans."""
    cutoff = await _cutoff(store)
    for table, ids in await orphans(store):
        for start in range(0, len(ids), ROWS_PER_STEP):
            part = ids[start : start + ROWS_PER_STEP]
            async with store.backend.transaction() as session:
                for some in _parts(part):
                    # The day again: it may have been used meanwhile.
                    unused = sa.and_(table.c.id.in_(some), table.c.day < cutoff)
                    await session.execute(sa.delete(table).where(unused))
            yield len(part)


async def _cutoff(store: Store) -> int:
    """Before this day no text was used that a row or a sum with an age still refers to.

    Where removal is behind, rows are there that are older than they may be.
    """
    days = [today() - _longest_days(store)]
    relations = await _relations(store)
    for tables in store.schema.categories.values():
        aging = [level.table for level in tables.rollups]
        aging += [tables.rows] if tables.category.retention is not None else []
        for table in aging:
            first = await _first(store, table) if table.name in relations else None
            if first is not None:
                days.append(first // (_DAY * SECOND))
    return min(days) - _MARGIN_DAYS


async def _relations(store: Store) -> Mapping[str, Relation]:
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        return await session.relations()


async def _first(store: Store, table: sa.Table) -> int | None:
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


def _longest_days(store: Store) -> int:
    """How long a row or a sum may be there that refers to a string; those kept for ever apart."""
    keeps = [0]
    for tables in store.schema.categories.values():
        category = tables.category
        keeps += [rollup.keep + rollup.bucket for rollup in category.rollup]
        keeps.append(category.retention or 0)
    return -(-max(keeps) // _DAY)


async def _referred_forever(store: Store, storage: Storage) -> set[int]:
    """Ids in tables without retention, and in those of categories no longer declared."""
    found: set[int] = set()
    for table, columns in await _kept_forever(store, storage):
        for column in columns:
            select = sa.select(table.c[column]).distinct()
            found.update(row[0] for row in await store.backend.fetch_in_background(select))
    return found


async def _kept_forever(
    store: Store, storage: Storage
) -> Sequence[tuple[sa.TableClause, Sequence[str]]]:
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        relations = await session.relations()
        declared = known_categories(await read_meta(session, store.schema))
    kept = []
    for name, kinds in declared.items():
        columns = [column for column, kind in kinds.items() if TYPES[kind].storage is storage]
        for table in _tables_kept(store, name, relations):
            present = [column for column in columns if column in relations[table].columns]
            clause = sa.table(table, *(sa.column(column) for column in present))
            kept.append((clause, present))
    return kept


def _tables_kept(store: Store, name: str, relations: Iterable[str]) -> list[str]:
    tables = store.schema.categories.get(name)
    if tables is None:
        rows = f"kscope_rows_{name}"
        return [*([rows] if rows in relations else []), *levels_held(name, relations)]
    return [rows_name(tables.category)] if tables.category.retention is None else []


def _parts(values: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(values), 500):
        yield values[start : start + 500]
