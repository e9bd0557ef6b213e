"""Names of pieces of code by address, where later code takes the place of earlier code."""

import bisect
import heapq
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

_EACH = 64  # bytes that an entry takes beside the text of its name


@dataclass(slots=True)
class _Table:
    """Pieces that do not overlap, in ascending order; `turns` says in which order they came."""

    starts: "array[int]" = field(default_factory=lambda: array("Q"))
    ends: "array[int]" = field(default_factory=lambda: array("Q"))
    turns: "array[int]" = field(default_factory=lambda: array("Q"))
    names: list[bytes] = field(default_factory=list)

    def append(self, start: int, end: int, turn: int, name: bytes) -> None:
        self.starts.append(start)
        self.ends.append(end)
        self.turns.append(turn)
        self.names.append(name)

    def take(self, other: "_Table", first: int, last: int) -> None:
        if first < last:
            self.starts += other.starts[first:last]
            self.ends += other.ends[first:last]
            self.turns += other.turns[first:last]
            self.names += other.names[first:last]

    def chosen(self, chosen: Sequence[bool]) -> "_Table":
        starts, ends, turns = (
            array("Q", compress(each, chosen)) for each in (self.starts, self.ends, self.turns)
        )
        return _Table(starts, ends, turns, list(compress(self.names, chosen)))


class CodeNames:
    """Names by address. What is added last is there."""

    def __init__(self) -> None:
        self._table = _Table()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._table.names)

    def name(self, address: int) -> bytes:
        """Return the name of the code at an address; b'' if there is none."""
        table = self._table
        at = bisect.bisect_right(table.starts, address) - 1
        return table.names[at] if at >= 0 and address < table.ends[at] else b""

    def size(self) -> int:
        """Return about how many bytes of memory the names take."""
        names = self._table.names
        return _EACH * len(names) + sum(map(len, names))

    def keep(self, most: int) -> None:
        """Forget the oldest, so that at most so many are left."""
        if len(self) > most:
            turns = self._table.turns
            first = sorted(turns)[-most] if most > 0 else self._turn
            self._table = self._table.chosen([turn >= first for turn in turns])

    def add(self, pieces: Iterable[tuple[int, int, bytes]]) -> None:
        """Add start, end and name of pieces in the order in which they were written."""
        added = [
            (start, turn, end, name) for turn, (start, end, name) in enumerate(pieces, self._turn)
        ]
        self._turn += len(added)
        added.sort()
        replaced = _replaced(added)
        before, merged, at = self._table, _Table(), 0
        for start, turn, end, name in added:
            merged.take(before, at, bisect.bisect_right(before.ends, start))
            at = max(at, bisect.bisect_left(before.starts, end))
            if turn not in replaced:
                merged.append(start, end, turn, name)
        merged.take(before, at, len(before.names))
        self._table = merged


def _replaced(pieces: Sequence[tuple[int, int, int, bytes]]) -> set[int]:
    """Return the turns of those that a later one overlaps. The pieces are in ascending order."""
    found: set[int] = set()
    waiting: list[tuple[int, int]] = []  # turn and end of those that no later one follows yet
    latest: list[tuple[int, int]] = []  # a heap of -turn and end: the latest comes first
    for start, turn, end, _ in pieces:
        while waiting and waiting[-1][0] < turn:
            older, its_end = waiting.pop()
            if its_end > start:
                found.add(older)
        waiting.append((turn, end))
        while latest and latest[0][1] <= start:
            heapq.heappop(latest)
        if latest and -latest[0][0] > turn:
            found.add(turn)
        heapq.heappush(latest, (-turn, end))
    return found
