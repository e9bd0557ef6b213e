"""How far a place is usually off its usual value."""

from collections.abc import Sequence
from math import inf, sqrt

from kscope.query.changes.limits import ALWAYS, FEW, GONE, GONE_BY, LARGEST, RELATIVE, SECOND
from kscope.query.changes.load import expected
from kscope.query.changes.robust import deviation, median, totals
from kscope.query.changes.usual import Usual


def floor(usual: Usual, host: str, expected: float) -> float:
    """Return the least that a place with this expected sum is off, in the unit of the sums."""
    quantum = usual.reading.quantum
    chance = quantum * sqrt(expected / quantum + 1) if quantum > 0 else 0.0
    part = RELATIVE * expected * usual.widening[host] + usual.lost[host] * expected
    return max(chance, part, FEW * usual.varies[host])


class Spreads:
    """The spread of places, each reckoned once; chains of frames share their cells."""

    def __init__(self, usual: Usual, excess: Sequence[Sequence[float]]) -> None:
        self._usual, self._excess = usual, excess
        self.expected = expected(usual, excess)
        self._known: dict[tuple[int, ...], float] = {}

    def of(self, host: str, cells: tuple[int, ...]) -> float:
        """Return the spread of all cells of a place together."""
        if cells not in self._known:
            self._known[cells] = self._reckoned(host, cells)
        return self._known[cells]

    def _reckoned(self, host: str, cells: tuple[int, ...]) -> float:
        earlier = totals([self._excess[at] for at in cells])[1:]
        middle = median(earlier)
        # The median does not see anything that happened once or twice: two may be as large.
        odd = sorted(abs(each - middle) for each in earlier)[-2:]
        expect = sum(self.expected[at] for at in cells)
        least = floor(self._usual, host, expect)
        spread = max(
            deviation(earlier, middle) * self._usual.widening[host],
            odd[0] / SECOND,
            odd[-1] / LARGEST,
        )
        return max(min(spread, self._gone(host, cells, expect)), least)

    def _gone(self, host: str, cells: tuple[int, ...], expect: float) -> float:
        """Return the most that a place is off where it is gone, though it never was before.

        Such a change is at most as large as the expected sum, however much that varies.
        """
        now, *earlier = totals([self._usual.rows[at] for at in cells])
        usually = median(earlier)
        if now > GONE * min(usually, expect) or min(earlier) < ALWAYS * usually:
            return inf
        return expect / GONE_BY * self._usual.widening[host]
