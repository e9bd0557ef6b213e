"""Sums of one bucket that late rows left in pieces become one again.

Each late row may have added a sum of its own. The writer notes which host's sums of which bucket
got some, in the transaction that stores them; from time to time those are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from kscope.store.backends.statements import bulk_insert
from kscope.store.schema.meta import is_current
from kscope.store.sums.grouping import merged, summed_names, transposed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from kscope.generate.tables import CategoryTables, Schema
    from kscope.store.backends.base import Backend, Session

    NextSeq = Callable[[int], range]

PIECES_PER_STEP = 20_000
_PREFIX = "late "


@dataclass(frozen=True, order=True)
class Late:
    """A host's sums of one bucket: `bucket` in seconds, `time` in us, `host` the id of its name."""

    table: str
    bucket: int
    time: int
    host: int

    @property
    def note(self) -> str:
        return f"{_PREFIX}{self.table} {self.bucket} {self.time} {self.host}"


async def note(session: Session, meta: sa.Table, late: Iterable[Late]) -> None:
    """Remember them; the smallest first, so that two servers do not wait for each other."""
    names = [each.note for each in sorted(late)]
    insert = bulk_insert(meta, ("name", "value"), session.dialect, update="value")
    await session.insert(insert, (names, [""] * len(names)))


async def compact(backend: Backend, schema: Schema, next_seq: NextSeq) -> AsyncIterator[int]:
    """Add up what is noted, a host's bucket at a time; gives how many sums each step did away."""
    meta = schema.dictionaries.meta
    select = sa.select(meta.c.name).where(meta.c.name.startswith(_PREFIX))
    for (name,) in await backend.fetch_in_background(select):
        table, bucket, time, host = str(name).removeprefix(_PREFIX).split(" ")
        yield await _join(backend, schema, next_seq, Late(table, int(bucket), int(time), int(host)))


async def _join(backend: Backend, schema: Schema, next_seq: NextSeq, late: Late) -> int:
    meta, progress = schema.dictionaries.meta, schema.dictionaries.progress
    tables = schema.categories.get(late.table)
    async with backend.transaction() as session:
        if tables is not None and not await is_current(session, schema, tables.category):
            return 0
        # Whoever adds late rows holds this lock until they are committed.
        select = sa.select(progress.c.closed).where(
            progress.c.category == late.table, progress.c.bucket == late.bucket
        )
        locked = await session.fetch(select.with_for_update())
        pieces, left = (
            await _rewrite(session, tables, late, next_seq) if tables and locked else (0, 0)
        )
        if pieces < PIECES_PER_STEP:
            await session.execute(sa.delete(meta).where(meta.c.name == late.note))
        return pieces - left


async def _rewrite(
    session: Session, tables: CategoryTables, late: Late, next_seq: NextSeq
) -> tuple[int, int]:
    """Give how many sums there were, and how many there are in their place."""
    table = next((r.table for r in tables.rollups if r.rollup.bucket == late.bucket), None)
    if table is None:
        return 0, 0
    its = sa.and_(table.c.time == late.time, table.c.hostname == late.host)
    names = summed_names(tables.category)
    select = sa.select(*(table.c[name] for name in names), table.c.seq).where(its)
    found = await session.fetch(select.order_by(table.c.seq).limit(PIECES_PER_STEP))
    sums = merged(tables.category, [row[:-1] for row in found])
    if len(sums) < len(found):
        await session.execute(sa.delete(table).where(its, table.c.seq <= found[-1][-1]))
        insert = bulk_insert(table, ("time", "seq", *names), session.dialect)
        seq = next_seq(len(sums))
        columns = transposed(names, sums).values()
        await session.insert(insert, ([late.time] * len(sums), seq, *columns))
    return len(found), len(sums)
