"""Batches in order of arrival, with a lane for each table: every step takes constant time."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class Queued(Protocol):
    """What a lane has: `number` counts arrivals, `size` is in bytes."""

    @property
    def table(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def size(self) -> int: ...


Entry = TypeVar("Entry", bound=Queued)


class TableQueues(Generic[Entry]):
    """`rows` and `size` are those of all entries; an entry is known by its number."""

    def __init__(self) -> None:
        self._lanes: dict[str, OrderedDict[int, Entry]] = {}
        self.count = 0
        self.rows = 0
        self.size = 0

    def __iter__(self) -> Iterator[Entry]:
        for lane in self._lanes.values():
            yield from lane.values()

    def add(self, entry: Entry) -> None:
        self._lanes.setdefault(entry.table, OrderedDict())[entry.number] = entry
        self._count(entry, 1)

    def remove(self, entry: Entry) -> bool:
        """Return whether the entry was there."""
        lane = self._lanes.get(entry.table, OrderedDict())
        if lane.pop(entry.number, None) is None:
            return False
        if not lane:
            del self._lanes[entry.table]
        self._count(entry, -1)
        return True

    def fronts(self) -> list[Entry]:
        """Return the first entry of each lane."""
        return [next(iter(lane.values())) for lane in self._lanes.values()]

    def first(self, without: Collection[str] = ()) -> Entry | None:
        """Return the entry that came first, of tables that are not in `without`."""
        fronts = (entry for entry in self.fronts() if entry.table not in without)
        return min(fronts, key=lambda entry: entry.number, default=None)

    def newest(self) -> Iterator[Entry]:
        """Yield the entries of each lane, the last ones first."""
        for lane in self._lanes.values():
            yield from reversed(lane.values())

    def lanes(self) -> list[Iterator[Entry]]:
        """Return each lane, its last entry first."""
        return [iter(reversed(lane.values())) for lane in self._lanes.values()]

    def _count(self, entry: Entry, by: int) -> None:
        self.count += by
        self.rows += by * entry.rows
        self.size += by * entry.size
