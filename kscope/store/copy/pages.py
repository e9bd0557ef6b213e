"""Rows or sums of one level on their way to the target, a page at a time."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kscope.declare.model import Category
from kscope.errors import KscopeError
from kscope.store.copy.journal import Journal
from kscope.store.copy.memo import Late, Place, page_of, written
from kscope.store.copy.source import Source
from kscope.store.copy.spans import Slots
from kscope.store.copy.target import write
from kscope.store.store import Store
from kscope.store.write.batch import Batch

ROWS_PER_PAGE = 20_000
# Texts of histograms and stacks can be long: a page of them must fit into a statement's answer.
_CHARACTERS_PER_PAGE = 8 << 20


@dataclass
class Pages:
    """Collects rows in the order of time, and stores each page once. `done` gets its rows."""

    source: Source
    target: Store
    journal: Journal
    category: Category
    names: list[str]
    slots: Slots
    done: Callable[[int], None]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    late: Late = field(default_factory=dict)
    _characters: int = 0

    async def add(self, place: Place, row: tuple[Any, ...]) -> None:
        """Add a row, or a sum that stays as it is, in the order of `names`."""
        self.places.append(place)
        await self._take(row)

    async def add_late(self, group: Place, row: tuple[Any, ...], sums: tuple[Any, ...]) -> None:
        """Add to the sums of late rows of a group; they are `sums` by now."""
        self.late[group] = sums
        await self._take(row)

    async def _take(self, row: tuple[Any, ...]) -> None:
        self.rows.append(row)
        self._characters += sum(len(value) for value in row if isinstance(value, str))
        if len(self.rows) >= ROWS_PER_PAGE or self._characters >= _CHARACTERS_PER_PAGE:
            await self.flush()

    async def flush(self) -> None:
        if not self.rows:
            return
        number = len(self.journal.pages)
        slots = Counter(self.slots.slot(time) for time, _ in self.places)
        memo = written(self.places, self.late, slots)
        columns = dict(zip(self.names, zip(*self.rows, strict=True), strict=True))
        key, bucket = self.journal.key(number), self.journal.bucket
        rows, stacks = await self.source.named(self.category, columns, bucket)
        stored = await write(self.target, Batch(key, [rows], stacks, memo))
        if stored.duplicate and stored.memo != memo:
            raise KscopeError(
                "another `kscope copy` of this source into this target is running: let it end"
            )
        self.journal.add(page_of(number, memo))
        self.done(len(self.rows))
        self.rows, self.places, self.late, self._characters = [], [], {}, 0
