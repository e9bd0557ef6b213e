"""How far a place is usually off its usual value."""

from collections.abc import Sequence
from math import inf, sqrt

from kscope.query.changes.robust import deviation, median, totals
from kscope.query.changes.usual import Usual


class Knobs:
    """The few numbers that decide; `benchmarks/changes.py` shows how good they are."""

    unusual = 7.0  # deviations that are not usual
    relative = 0.05  # a deviation is at least this part of the usual value
    few = 0.002  # and this part of all that varies on the host
    odd = 4.0  # the second largest deviation of the earlier windows is at most so many
    largest = 7.0  # and the largest so many
    effect = 0.01  # a change below this part of all that varies is not shown as unusual
    score = 1.0  # of sureness and part together, both as multiples of the least
    lasting = 0.6  # of the slices; less is a burst
    load = 0.4  # as a power of 2, the least load of a process that is shown as unusual
    loaded = 9.0  # and its least deviations
    nothing = 0.1  # of the usual value: nearly gone
    always = 0.3  # of the usual value: never so little before
    gone = 12.0  # deviations that a place is off if it is gone
    margin = 2.0  # a burst is news beyond so many times the largest of the earlier windows


def floor(usual: Usual, host: str, middle: float) -> float:
    """Return the least that a place with this usual value is off, in the unit of the sums."""
    quantum = usual.reading.quantum
    chance = quantum * sqrt(middle / quantum + 1) if quantum > 0 else 0.0
    part = Knobs.relative * middle * usual.widening[host] + usual.lost[host] * middle
    return max(chance, part, Knobs.few * usual.varies[host])


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
            odd[0] / Knobs.odd,
            odd[-1] / Knobs.largest,
        )
        return max(min(spread, self._gone(host, cells)), least)

    def _gone(self, host: str, cells: tuple[int, ...]) -> float:
        """Return the most that a place is off where it is gone, though it never was before.

        Such a change is at most as large as the usual value, however much that varies.
        """
        now, *earlier = totals([self._usual.rows[at] for at in cells])
        usually = median(earlier)
        if now > Knobs.nothing * usually or min(earlier) < Knobs.always * usually:
            return inf
        return usually / Knobs.gone * self._usual.widening[host]
