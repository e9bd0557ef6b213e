"""Numbers for rows that are alike in everything, of one host and one microsecond."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    """The next numbers of hosts and times that had rows: several batches may be of one."""

    _next: Known[Place, int] = field(default_factory=lambda: Known(_KNOWN))

    def numbers(
        self, table: str, times: Sequence[Any], hosts: Sequence[Any], rows: Sequence[Sequence[Any]]
    ) -> list[int]:
        """Return a number for each row; rows alike in all columns of `rows` have different ones."""
        places = set(zip(hosts, times, strict=True))
        if len(places) > _MOST_PLACES:
            return _numbered(rows, {}, times, hosts)
        known = self._next.find([(table, *place) for place in places])
        first = {(host, time): number for (_, host, time), number in known.items()}
        numbers = _numbered(rows, first, times, hosts)
        following: dict[Place, int] = {(table, *place): 0 for place in places}
        for host, time, number in zip(hosts, times, numbers, strict=True):
            place = (table, host, time)
            following[place] = max(following[place], number + 1)
        self._next.add(following)
        return numbers


def _numbered(
    columns: Sequence[Sequence[Any]],
    first: dict[tuple[Any, Any], int],
    times: Sequence[Any],
    hosts: Sequence[Any],
) -> list[int]:
    rows = list(zip(times, *columns, strict=True))
    if not first and len(set(rows)) == len(rows):
        return [0] * len(rows)
    met: dict[tuple[Any, ...], int] = {}
    numbers = []
    for row, time, host in zip(rows, times, hosts, strict=True):
        number = met.get(row, first.get((host, time), 0))
        met[row] = number + 1
        numbers.append(number % _MOST)
    return numbers
