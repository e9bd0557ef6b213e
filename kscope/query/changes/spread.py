"""How far a place is usually off its usual value."""

from collections.abc import Sequence
from math import inf, sqrt

from kscope.query.changes.limits import ALWAYS, FEW, GONE, GONE_BY, LARGEST, RELATIVE, SECOND
from kscope.query.changes.robust import deviation, median, totals
from kscope.query.changes.usual import Usual


def floor(usual: Usual, host: str, middle: float) -> float:
    """Return the least that a place with this usual value is off, in the unit of the sums."""
    quantum = usual.reading.quantum
    chance = quantum * sqrt(middle / quantum + 1) if quantum > 0 else 0.0
    part = RELATIVE * middle * usual.widening[host] + usual.lost[host] * middle
    return max(chance, part, FEW * usual.varies[host])


class Spreads:
    """The spread of places, each reckoned once; chains of frames share their cells."""

    def __init__(self, usual: Usual, excess: Sequence[Sequence[float]]) -> None:
        self._usual, self._excess = usual, excess
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
        least = floor(self._usual, host, sum(self._usual.usual[at] for at in cells))
        spread = max(
            deviation(earlier, middle) * self._usual.widening[host],
            odd[0] / SECOND,
            odd[-1] / LARGEST,
        )
        return max(min(spread, self._gone(host, cells)), least)

    def _gone(self, host: str, cells: tuple[int, ...]) -> float:
        """Return the most that a place is off where it is gone, though it never was before.

        Such a change is at most as large as the usual value, however much that varies.
        """
        now, *earlier = totals([self._usual.rows[at] for at in cells])
        usually = median(earlier)
        if now > GONE * usually or min(earlier) < ALWAYS * usually:
            return inf
        return usually / GONE_BY * self._usual.widening[host]
