"""The pages of one table that the target has keys of, in their order: they are copied.

Page n has a key that anyone can make from the source, the table and n: the target stores a page
once, and the pages after a gap do not exist.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa

from kscope.store.backends.base import BACKGROUND_SECONDS, Backend
from kscope.store.copy.memo import Contents, Page, Place, contents_of, page_of
from kscope.store.write.batch import MEMO

_PAGES_AT_ONCE = 16


@dataclass
class Journal:
    """The pages of one level of a table; bucket 0 is its rows. `source` names the database.

    Without a `backend` nothing was copied.
    """

    source: str
    table: str
    bucket: int
    backend: Backend | None
    batches: sa.Table
    pages: list[Page] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)

    async def load(self) -> None:
        """Find the pages that the target has."""
        while True:
            numbers = range(len(self.pages), len(self.pages) + _PAGES_AT_ONCE)
            memos = await self.memos(numbers)
            for number in numbers:
                if number not in memos:
                    return
                self.add(page_of(number, memos[number]))

    def add(self, page: Page) -> None:
        self.pages.append(page)
        self.counts.update(page.slots)

    def key(self, number: int) -> bytes:
        name = f"copy {self.source} {self.table} {self.bucket} {number}"
        return blake2b(name.encode(), digest_size=16).digest()

    async def memos(self, numbers: Sequence[int]) -> Mapping[int, str]:
        """Return the memos of those of the pages that exist."""
        if self.backend is None:
            return {}
        by_key = {self.key(number): number for number in numbers}
        columns = [self.batches.c.key, self.batches.c.answer]
        async with self.backend.snapshot(BACKGROUND_SECONDS) as session:
            found = await session.look_up(self.batches.c.key, columns, [*by_key])
        return {by_key[bytes(key)]: json.loads(answer)[MEMO] for key, answer in found}

    def reading(self, before: int | None = None) -> "Copied":
        """Return what to read in the order of time: all pages, or those `before` a number."""
        return Copied(self, sorted(self.pages[:before], key=lambda page: page.first))


@dataclass
class Copied:
    """The pages that overlap a time, which only grows: what a reader in order has to know.

    Pages of one run do not overlap, so there are as many at a time as there were runs.
    """

    journal: Journal
    waiting: list[Page]
    _next: int = 0
    _open: dict[int, tuple[Page, Contents]] = field(default_factory=dict)
    _until: int | None = None

    async def go_to(self, time: int) -> None:
        """Open the pages of this time, and close those before it."""
        if self._until is not None and time < self._until:
            return
        for number, (page, _) in list(self._open.items()):
            if page.last < time:
                del self._open[number]
        while self._next < len(self.waiting) and self.waiting[self._next].first <= time:
            page = self.waiting[self._next]
            self._next += 1
            if page.last >= time:
                memo = (await self.journal.memos([page.number]))[page.number]
                self._open[page.number] = (page, contents_of(memo))
        ends = [page.last + 1 for page, _ in self._open.values()]
        if self._next < len(self.waiting):
            ends.append(self.waiting[self._next].first)
        self._until = min(ends) if ends else 2**63

    def take(self, place: Place) -> bool:
        """Return whether a row of this place was copied; each copied one counts once."""
        for _, contents in self._open.values():
            if contents.places[place] > 0:
                contents.places[place] -= 1
                return True
        return False

    def late(self, group: Place) -> tuple[Any, ...] | None:
        """Return the sums of the late rows of a group as they were copied last."""
        for number in sorted(self._open, reverse=True):
            if group in (late := self._open[number][1].late):
                return late[group]
        return None
