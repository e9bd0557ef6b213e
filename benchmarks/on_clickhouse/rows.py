"""The fleet's rows, through the store's own writer; the same rows in SQLite beside it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.fleet import ROWS_PER_MINUTE, Fleet
from benchmarks.loading import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kscope.store.store import Store
    from kscope.store.write.batch import Batch

BEGIN = 1_795_392_000_000_000  # 2026-11-23T00:00:00Z
_MINUTES_A_DAY = 24 * 60
# Batches of several minutes in one commit, as a writer merges those of a larger fleet.
_BATCHES_AT_ONCE = 100


@dataclass(frozen=True)
class Size:
    """About so many rows in a day: of a host for each million."""

    rows: int

    @property
    def fleet(self) -> Fleet:
        hosts = max(1, round(self.rows / ROWS_PER_MINUTE / _MINUTES_A_DAY))
        return Fleet(hosts, rows_per_minute=round(self.rows / hosts / _MINUTES_A_DAY))


@dataclass
class Loaded:
    """Rows that a store has, and the seconds in which it stored them."""

    rows: int = 0
    seconds: float = 0.0

    async def store(self, store: Store, batches: list[Batch]) -> None:
        started = time.perf_counter()
        await asyncio.gather(*map(store.writer.write, batches))
        self.seconds += time.perf_counter() - started
        self.rows += sum(map(len, batches))


async def load(size: Size, store: Store, beside: Store | None, *, full: bool) -> list[Loaded]:
    """Return what each store has: the one beside a tenth of the rows, unless `full`."""
    whole, part = Loaded(), Loaded()
    for batches in _groups(size, store):
        await whole.store(store, batches)
        if beside and (full or part.rows < size.rows / 10):
            await part.store(beside, batches)
    return [whole, part]


def _groups(size: Size, store: Store) -> Iterator[list[Batch]]:
    together: list[Batch] = []
    for minute in size.fleet.minutes(BEGIN, _MINUTES_A_DAY):
        together.append(batch_of(store, minute, lengths=True))
        if len(together) == _BATCHES_AT_ONCE:
            yield together
            together = []
    yield together
