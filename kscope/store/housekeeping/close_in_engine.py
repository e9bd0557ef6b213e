"""Sum closed buckets inside an engine without transactions, so that each row counts once.

1. The level is noted as being closed up to a time. From then on writers mark rows before it as
   late, and add their sums to the level by themselves.
2. Writers that began before the note may still store rows that are not marked. Other servers get
   the time in which the engine takes them; this server's own commits have ended.
3. The engine sums the rows that are not marked, and the level is noted as closed.

If the server dies before the last note, the next one removes what the first stored, and sums again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from kscope.declare.types.base import Role
from kscope.generate.clickhouse.tables import COMMIT, LATE, UNTIL
from kscope.generate.tables import CategoryTables, RollupTable
from kscope.store.backends.appending import SETTLED_SECONDS, AppendingSession, Duties
from kscope.store.backends.base import BACKGROUND_SECONDS
from kscope.store.housekeeping.close_buckets import GRACE, warn_once
from kscope.store.schema.closing import Closing, closing_note, closing_of
from kscope.store.schema.meta import is_noted, read_meta, write_meta
from kscope.store.schema.progress import (
    SECOND,
    Progress,
    progress_of,
    progress_of_all,
    progress_rows,
)
from kscope.store.store import Store
from kscope.store.sums.functions import sum_of, sum_of_slots, weight
from kscope.store.sums.grouping import key_columns, summed_names

# Rows of one statement: what they are summed to is in the engine's memory.
_MOST_ROWS = 5_000_000
_MOST_BUCKETS = 300


@dataclass(frozen=True)
class _Due:
    """A stretch of a level to close, and the table that it is summed from."""

    tables: CategoryTables
    level: RollupTable
    mark: int
    source: sa.Table
    start: int
    stop: int

    @property
    def bucket(self) -> int:
        return self.level.rollup.bucket

    @property
    def width(self) -> int:
        return self.bucket * SECOND


async def due_tables(store: Store, now: int) -> list[str]:
    """Return the categories that have sums due at `now` (us), in two statements for all."""
    async with store.backend.snapshot(BACKGROUND_SECONDS) as session:
        notes = await read_meta(session, store.schema)
        progress = await progress_of_all(session.fetch, store.schema)
    return [
        name
        for name, tables in store.schema.categories.items()
        if _due(tables, now, progress.get(name, {}), closing_of(notes, name))
    ]


async def close_next(store: Store, table: str, now: int) -> int | None:
    """Sum the category's next stretch that is due at `now` (us).

    Return the number of rows that were summed; None if nothing is due, or writers need time.
    """
    tables = store.schema.categories[table]
    async with store.backend.transaction() as session:
        assert isinstance(session, AppendingSession)
        notes = await read_meta(session, store.schema)
        if not is_noted(notes, tables.category):
            warn_once(table)
            return None
        closing = closing_of(notes, table)
        progress = await progress_of(session.fetch, store.schema, table)
        due = _due(tables, now, progress, closing)
        if due is None:
            return None
        begun = closing[due.bucket]
        if begun.stop < due.stop:
            due = replace(due, stop=await _stop(session, due))
            begun = replace(begun, stop=due.stop, at=await session.now())
            await write_meta(session, store.schema, closing_note(table, due.bucket), begun.text)
        duties = store.backend
        assert isinstance(duties, Duties)
        settled = begun.at + SETTLED_SECONDS * SECOND
        if await duties.rows_may_come() and await session.now() < settled:
            return None
        return await _sum(session, store, due, duties.duty_ends)


def _due(
    tables: CategoryTables,
    now: int,
    progress: Mapping[int, Progress],
    closing: Mapping[int, Closing],
) -> _Due | None:
    """Return the stretch of the first level that is due, or was begun."""
    # Of rows, then of each level: seconds, table, and the time until which it is complete (us).
    sources = [(1, tables.rows, now - GRACE * SECOND)]
    for level in tables.rollups:
        bucket = level.rollup.bucket
        width, closed = bucket * SECOND, progress.get(bucket, Progress()).closed
        source, complete = next(rest for each, *rest in reversed(sources) if bucket % each == 0)
        sources.append((bucket, level.table, closed))
        if bucket not in closing:
            continue  # another server makes the level, or removes it
        begun = closing[bucket]
        stop = begun.stop if begun.stop > closed else complete - complete % width
        if stop > closed:
            return _Due(tables, level, begun.mark, source, closed, stop)
    return None


async def _stop(session: AppendingSession, due: _Due) -> int:
    """Return the end of the buckets whose rows are summed at once."""
    source, width = due.source, due.width
    bucket: sa.ColumnElement[Any] = sa.literal_column(f"intDiv(time, {width})").label("bucket")
    columns: list[sa.ColumnElement[Any]] = [bucket, sa.func.count()]
    within = (source.c.time >= due.start, source.c.time < due.stop)
    counted = sa.select(*columns).select_from(source).where(*within).group_by(bucket)
    rows = await session.fetch(counted.order_by(bucket).limit(_MOST_BUCKETS + 1))
    total = 0
    for place, (number, count) in enumerate(rows):
        total += count
        if place and (total > _MOST_ROWS or place == _MOST_BUCKETS):
            return int(number) * width
    return due.stop


async def _sum(session: AppendingSession, store: Store, due: _Due, until: int) -> int:
    within = (due.source.c.time >= due.start, due.source.c.time < due.stop)
    await _remove_begun(session, due)
    ((rows,),) = await session.fetch(sa.select(weight(due.source)).where(*within))
    if rows:
        await session.insert_from(due.level.table, _columns(due), _sums(due, until))
    progress = {(due.tables.category.table, due.bucket): Progress(closed=due.stop)}
    await session.insert(store.schema.dictionaries.progress, progress_rows(progress))
    return int(rows)


async def _remove_begun(session: AppendingSession, due: _Due) -> None:
    """Remove sums that a server stored before it died."""
    table = due.level.table
    stored = sa.and_(
        table.c.time >= due.start, table.c.time < due.stop, sa.literal_column(f"{LATE} = 0")
    )
    ((count,),) = await session.fetch(sa.select(sa.func.count()).select_from(table).where(stored))
    if count:
        await session.execute(sa.delete(table).where(stored))


def _columns(due: _Due) -> Sequence[str]:
    return ["time", *summed_names(due.tables.category), LATE, COMMIT, UNTIL]


def _sums(due: _Due, until: int) -> sa.Select[tuple[object, ...]]:
    category, source = due.tables.category, due.source
    start: sa.ColumnElement[int] = sa.literal_column(f"intDiv(time, {due.width}) * {due.width}")
    keys = [start.label("start"), *(source.c[column.name] for column in key_columns(category))]
    values = [sum_of(source, column) for column in category.with_role(Role.VALUE)]
    slots = [sum_of_slots(source.c[each.name]) for each in category.with_role(Role.HISTOGRAM)]
    own: list[sa.ColumnElement[Any]] = [sa.literal_column(text) for text in ("0", "0", str(until))]
    return (
        sa.select(*keys, *values, weight(source), *slots, *own)
        .where(source.c.time >= due.start, source.c.time < due.stop)
        .where(sa.literal_column(f"bitAnd({LATE}, {due.mark}) = 0"))
        .group_by(*keys)
    )
