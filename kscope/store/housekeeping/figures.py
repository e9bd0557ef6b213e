"""Figures of the database for those who watch it: its size, its newest rows, what is late.

Each is found without a scan: the ends of a table, its notes, and what the engine counts by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from kscope.generate.tables import CategoryTables, Schema
from kscope.store.backends.base import Session, Space
from kscope.store.backends.errors import StoreError
from kscope.store.housekeeping.clock import NOTE
from kscope.store.housekeeping.close_buckets import GRACE
from kscope.store.schema.progress import SECOND, Progress, progress_of_all
from kscope.store.store import Store

_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Figures:
    """`read` and the times are in seconds since 1970, lags in seconds; by table."""

    read: float
    space: Space = field(default_factory=Space)
    last_row: Mapping[str, float] = field(default_factory=dict)
    rollup_lag: Mapping[str, float] = field(default_factory=dict)
    retention_lag: Mapping[str, float] = field(default_factory=dict)
    retention_run: float | None = None

    def plus(self, other: "Figures") -> "Figures":
        """Return the figures of two databases as those of one: the latest rows, the longest lag."""
        runs = [run for run in (self.retention_run, other.retention_run) if run is not None]
        return Figures(
            min(self.read, other.read),
            self.space.plus(other.space),
            _largest(self.last_row, other.last_row),
            _largest(self.rollup_lag, other.rollup_lag),
            _largest(self.retention_lag, other.retention_lag),
            min(runs, default=None),
        )


def _largest(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {
        table: max(side[table] for side in (one, other) if table in side)
        for table in {**one, **other}
    }


async def figures(store: Store, now: int) -> Figures:
    """Return the figures at `now` (us), of all shards if there are several. Raises StoreError."""
    first, *rest = store.parts.values()
    found = await _of_one(first, now)
    for part in rest:
        found = found.plus(await _of_one(part, now))
    return found


async def _of_one(store: Store, now: int) -> Figures:
    schema = store.schema
    async with store.backend.look(_DEADLINE_SECONDS) as session:
        ends = await _ends(session, schema)
        progress = await progress_of_all(session.fetch, schema)
        run = await _last_run(session, schema)
        space = await _space(store, session)
    filled = {name: span for name, span in ends.items() if span is not None}
    tables = schema.categories
    return Figures(
        now / SECOND,
        space,
        {name: span[1] / SECOND for name, span in filled.items()},
        {
            name: _rollup_lag(tables[name], ends[name], progress.get(name, {}), now)
            for name in tables
            if tables[name].rollups
        },
        {
            name: _retention_lag(tables[name], ends[name], now)
            for name in tables
            if tables[name].category.retention is not None
        },
        run,
    )


async def _space(store: Store, session: Session) -> Space:
    """Return the space; unknown if the database does not tell its user."""
    try:
        with store.backend.translating():
            return await store.backend.space(session)
    except StoreError:
        return Space()


async def _ends(session: Session, schema: Schema) -> dict[str, tuple[int, int] | None]:
    """Return the oldest and the newest time of each category's rows (us); None without rows."""
    # Each end by itself: then engines look at the end of the index alone.
    selects = [
        sa.select(sa.literal(name), _end(each.rows, sa.func.min), _end(each.rows, sa.func.max))
        for name, each in schema.categories.items()
    ]
    rows: Sequence[Sequence[Any]] = []
    if selects:
        rows = await session.fetch(sa.union_all(*selects))  # type: ignore[arg-type]
    return {
        # Of a table without rows ClickHouse returns zeros.
        str(name): (int(first), int(last)) if first and last else None
        for name, first, last in rows
    }


def _end(table: sa.Table, which: Any) -> sa.ScalarSelect[Any]:
    # Without a condition: ClickHouse then looks at what it knows of its parts.
    return sa.select(which(table.c.time)).scalar_subquery()


async def _last_run(session: Session, schema: Schema) -> float | None:
    meta = schema.dictionaries.meta
    found = await session.fetch(sa.select(meta.c.value).where(meta.c.name == NOTE))
    return int(found[0][0]) / SECOND if found else None


def _rollup_lag(
    tables: CategoryTables,
    span: tuple[int, int] | None,
    progress: Mapping[int, Progress],
    now: int,
) -> float:
    """Return how long the oldest bucket with rows that is not summed has been due, in seconds."""
    lag = 0
    for level in tables.rollups:
        width = level.rollup.bucket * SECOND
        due = (now - GRACE * SECOND) // width * width
        if span is None or span[0] >= due:
            continue
        closed = progress.get(level.rollup.bucket, Progress()).closed
        # The end of the first bucket that is not summed.
        end = max(closed, span[0] // width * width) + width
        if end <= due and span[1] >= closed:
            lag = max(lag, now - GRACE * SECOND - end)
    return lag / SECOND


def _retention_lag(tables: CategoryTables, span: tuple[int, int] | None, now: int) -> float:
    retention = tables.category.retention
    if span is None or retention is None:
        return 0.0
    return max(0, now - retention * SECOND - span[0]) / SECOND
