"""A fleet's rows and sums in a database, through the store's own writer and housekeeping."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa

from benchmarks.fleet import MINUTE, Fleet, Pair
from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from kscope.declare.types.base import Role
from kscope.declare.types.histogram import histogram_text
from kscope.store.housekeeping.loop import roll_up
from kscope.store.open import backend_of
from kscope.store.schema.interning import text_hash, today
from kscope.store.store import Store
from kscope.store.sums.planner import SECOND
from kscope.store.write.batch import Batch, TableRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.fleet import Minute
    from kscope.config import Settings

TABLE = "offcputime"
HOUR = 3600 * SECOND
DAY = 24 * HOUR
EARLIER_DAYS = 30


@dataclass(frozen=True)
class Span:
    start: int
    stop: int

    @property
    def hours(self) -> int:
        return (self.stop - self.start) // HOUR


async def load(settings: Settings, hosts: int, span: Span) -> None:
    """Rows as agents send them, then their sums, then thirty earlier days as sums alone."""
    store = await opened(settings)
    try:
        fleet = Fleet(hosts)
        await load_rows(store, fleet, span)
        started = time.perf_counter()
        await roll_up(store)
        print(f"  sums: {time.perf_counter() - started:.1f} s")
        await _earlier_days(store, fleet, span)
    finally:
        await store.close()


async def load_without_lengths(settings: Settings, hosts: int, span: Span) -> None:
    """Rows of agents that keep no histogram, and nothing else."""
    store = await opened(settings)
    try:
        await load_rows(store, Fleet(hosts), span, lengths=False)
    finally:
        await store.close()


async def opened(settings: Settings) -> Store:
    catalog = Catalog(tuple(c for c in load_catalog() if c.table == TABLE))
    store = Store(backend_of(settings), catalog)
    await store.connect()
    await store.adopt(catalog)
    return store


async def load_rows(store: Store, fleet: Fleet, span: Span, *, lengths: bool = True) -> int:
    """Store them as they come in each minute; return how many they are."""
    started = time.perf_counter()
    minutes = (span.stop - span.start) // MINUTE
    rows = 0
    # Within a minute all hosts send at once, as a fleet does: the writer merges them.
    together: list[Batch] = []
    for number, minute in enumerate(fleet.minutes(span.start, minutes), 1):
        together.append(batch_of(store, minute, lengths=lengths))
        if len(together) == fleet.hosts:
            await asyncio.gather(*(store.writer.write(batch) for batch in together))
            rows += sum(map(len, together))
            together.clear()
        if number % (60 * fleet.hosts) == 0:
            print(f"  {number // (60 * fleet.hosts)} h loaded", file=sys.stderr)
    seconds = time.perf_counter() - started
    print(
        f"  {rows:,} rows loaded in {seconds:.0f} s, {sum(store.writer.counters.commits)} commits"
    )
    return rows


def batch_of(store: Store, minute: Minute, *, lengths: bool) -> Batch:
    category = store.catalog.categories[0]
    pairs = minute.pairs
    rows = len(pairs)
    ids = {pair.stack: text_hash(pair.stack) for pair in set(pairs)}
    columns: dict[str, Sequence[Any]] = {
        "time": [minute.time] * rows,
        "hostname": [minute.host] * rows,
        "process": [pair.process for pair in pairs],
        "pid": [pair.pid for pair in pairs],
        "tid": [0] * rows,
        "reason": [pair.reason for pair in pairs],
        "cgroup": [_cgroup(pair) for pair in pairs],
        "stack": [ids[pair.stack] for pair in pairs],
        "elapsed": minute.elapsed,
        "count": minute.count,
        "lengths": list(map(_histogram, minute.lengths)) if lengths else [""] * rows,
    }
    ordered = [columns[column.name] for column in category.all_columns]
    stacks = {key: text for text, key in ids.items()}
    # With a key, as agents send them: that a batch was stored is noted, and takes its room.
    return Batch(uuid4().bytes, [TableRows(category, ordered)], stacks)


def _cgroup(pair: Pair) -> str:
    return f"/system.slice/{pair.process}.service"


@lru_cache(maxsize=100_000)
def _histogram(slots: tuple[int, ...]) -> str:
    return histogram_text(slots)


async def _earlier_days(store: Store, fleet: Fleet, span: Span) -> None:
    """Thirty days of daily sums, as the housekeeping would have left them."""
    daily = next(r for r in store.schema.categories[TABLE].rollups if r.rollup.bucket == 86400)
    strings, stacks = store.schema.dictionaries.string, store.schema.dictionaries.stack
    known = dict(await store.reader.fetch(sa.select(strings.c.text, strings.c.id)))
    names = [c.name for c in daily.table.columns]
    histograms = {c.name: "" for c in store.catalog.categories[0].with_role(Role.HISTOGRAM)}
    every = {text_hash(text): text for text in fleet.stacks}
    groups = sorted(
        (known[f"web-{host:03}"], known[p.process], known[p.reason], known[_cgroup(p)], p.stack)
        for host in range(fleet.hosts)
        for p in set(fleet.pairs(host))
        if p.process in known
    )
    async with store.backend.transaction() as session:
        texts = {"id": [*every], "day": [today()] * len(every), "frames": [*every.values()]}
        await session.insert(stacks, texts, {"day": "max"})
        for back in range(1, EARLIER_DAYS + 1):
            start = span.start - span.start % DAY - back * DAY
            rows = [histograms | _daily_row(group, start, n) for n, group in enumerate(groups)]
            columns = {name: [row[name] for row in rows] for name in names}
            await session.insert(daily.table, columns)


def _daily_row(group: tuple[int, int, int, int, str], start: int, seq: int) -> dict[str, Any]:
    host, process, reason, cgroup, stack = group
    waits = 1 + seq % 700
    return {
        "time": start,
        "seq": seq,
        "hostname": host,
        "process": process,
        "reason": reason,
        "cgroup": cgroup,
        "stack": text_hash(stack),
        "elapsed": waits * 20_000,
        "count": waits * 3,
        "kscope_rows": waits,
    }
