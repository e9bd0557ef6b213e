"""Remove strings and stacks that no row or sum can refer to any more."""

from collections.abc import AsyncIterator, Collection
from typing import Any

import sqlalchemy as sa

from kscope.declare.types import TYPES
from kscope.declare.types.base import Storage
from kscope.generate.tables import rows_name
from kscope.store.backends.base import BACKGROUND_SECONDS
from kscope.store.housekeeping.retention import first_time, relations_of
from kscope.store.schema.changed_levels import tables_held
from kscope.store.schema.interning import today
from kscope.store.schema.meta import known_categories, read_meta
from kscope.store.schema.progress import SECOND
from kscope.store.store import Store

_TEXTS_PER_STEP = 2000
_DAY = 86400
# Between a string's last use, in whole days, and rows whose clock was a day ahead.
_MARGIN_DAYS = 3


async def orphans(store: Store) -> list[tuple[sa.Table, list[int]]]:
    """Return the ids of strings and stacks whose last use is older than any row."""
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
        for start in range(0, len(ids), _TEXTS_PER_STEP):
            part = ids[start : start + _TEXTS_PER_STEP]
            # The day again: a text may have been used since it was listed.
            unused = sa.and_(table.c.id.in_(part), table.c.day < cutoff)
            async with store.backend.transaction() as session:
                await session.execute(sa.delete(table).where(unused))
            yield len(part)


async def _cutoff(store: Store) -> int:
    """Return the day before which no text was used that a row or sum with an age refers to.

    If removal is behind, there are rows that are older than they may be.
    """
    days = [today()]
    relations = await relations_of(store)
    for tables in store.schema.categories.values():
        levels = [(each.table, each.rollup.keep + each.rollup.bucket) for each in tables.rollups]
        if tables.category.retention is not None:
            levels.append((tables.rows, tables.category.retention))
        for table, keep in levels:
            days.append(today() + -keep // _DAY)
            first = await first_time(store, table) if table.name in relations else None
            if first is not None:
                days.append(first // (_DAY * SECOND))
    return min(days) - _MARGIN_DAYS


async def _referred_forever(store: Store, storage: Storage) -> set[int]:
    """Return the ids in tables without retention, and in those of categories no longer declared."""
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        relations = await session.relations()
        declared = known_categories(await read_meta(session, store.schema))
    selects: list[sa.Select[Any]] = [
        sa.select(sa.column(column)).select_from(sa.table(table)).distinct()
        for name, kinds in declared.items()
        for table in _tables_kept(store, name, relations)
        for column, kind in kinds.items()
        if TYPES[kind].storage is storage and column in relations[table].columns
    ]
    return {row[0] for select in selects for row in await store.backend.fetch_in_background(select)}


def _tables_kept(store: Store, name: str, relations: Collection[str]) -> list[str]:
    tables = store.schema.categories.get(name)
    if tables is None:
        return tables_held(name, relations)
    return [rows_name(tables.category)] if tables.category.retention is None else []
