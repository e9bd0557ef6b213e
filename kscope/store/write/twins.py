"""Numbers for rows that are alike in everything, of one host and one microsecond."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from typing import Any

from kscope.store.schema.interning import Known

# The store keeps 16 bits.
_MOST = 2**16
_KNOWN = 200_000
# Events have times that differ, and their rows are rarely alike.
_MOST_PLACES = 5000

Place = tuple[str, Any, Any]


@dataclass(eq=False)
class Twins:
    """The next numbers of hosts and times that had rows: several batches may be of one.

    Safe to use in several threads.
    """

    _next: Known[Place, int] = field(default_factory=lambda: Known(_KNOWN))
    _lock: Lock = field(default_factory=Lock)

    def numbers(
        self, table: str, times: Sequence[Any], hosts: Sequence[Any], rows: Sequence[Sequence[Any]]
    ) -> list[int]:
        """Return a number for each row; rows alike in all columns of `rows` have different ones."""
        alike = _alike([times, *rows])
        places = set(zip(hosts, times, strict=True))
        if len(places) > _MOST_PLACES:
            return _numbered(len(times), {}, alike, times, hosts)
        with self._lock:
            known = self._next.find([(table, *place) for place in places])
            first = {(host, time): number for (_, host, time), number in known.items()}
            numbers = _numbered(len(times), first, alike, times, hosts)
            following = {(table, *place): first.get(place, 0) + 1 for place in places}
            for row in chain.from_iterable(alike):
                place = (table, hosts[row], times[row])
                following[place] = max(following[place], numbers[row] + 1)
            self._next.add(following)
        return numbers


def _alike(columns: Sequence[Sequence[Any]]) -> Iterable[list[int]]:
    """Return the rows that are alike, in their order, for each kind that is there twice."""
    rows = range(len(columns[0]))
    last = dict(zip(zip(*columns, strict=True), rows, strict=True))
    if len(last) == len(rows):
        return ()
    found: dict[int, list[int]] = {}
    for row in sorted({*rows}.difference(last.values())):
        end = last[tuple(column[row] for column in columns)]
        found.setdefault(end, []).append(row)
    return [[*others, end] for end, others in found.items()]


def _numbered(
    count: int,
    first: dict[tuple[Any, Any], int],
    alike: Iterable[list[int]],
    times: Sequence[Any],
    hosts: Sequence[Any],
) -> list[int]:
    """Return a number for each row: those of a host and time begin with its first."""
    numbers = [0] * count
    if first:
        numbers = [first.get(place, 0) % _MOST for place in zip(hosts, times, strict=True)]
    for rows in alike:
        for further, row in enumerate(rows):
            numbers[row] = (numbers[row] + further) % _MOST
    return numbers
