"""Hosts and processes where everything is that many times as much, or as long."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import log2, sqrt
from operator import mul
from typing import Literal

from kscope.query.changes.limits import UNUSUAL
from kscope.query.changes.load import Group, Scales, groups
from kscope.query.changes.reading import MOST_FRAMES
from kscope.query.changes.robust import deviation, median, totals
from kscope.query.changes.usual import Usual

# The least that a group is usually off, as a power of 2.
_HOST, _PROCESS, _LENGTH = 0.03, 0.04, 0.02
# A host with fewer processes has them named.
_PROCESSES = 3
# A host has changed as a whole if this part of its processes has half of its change.
_MOST, _ALIKE = 0.6, 0.5
# More often nothing doubles.
_DOUBLINGS = 60.0


@dataclass(frozen=True, slots=True)
class Whole:
    """A group of cells of one host, of one process or of all (None)."""

    kind: Literal["load", "lengths"]
    host: str
    process: str | None
    cells: tuple[int, ...]
    factor: float
    z: float
    before: bool  # whether the last two earlier windows had half of it


def wholes(usual: Usual, own: Scales) -> list[Whole]:
    """Return the hosts where everything has changed, and elsewhere such processes."""
    by_host: defaultdict[str, list[_Series]] = defaultdict(list)
    for group, cells in groups(usual).items():
        if each := _of_process(usual, group, cells, own):
            by_host[group[0]].append(each)
    found = []
    for host, series in by_host.items():
        whole = _of_host(usual, host, series)
        found += [whole] if whole else [*filter(None, map(partial(_whole, usual), series))]
    return found


@dataclass(frozen=True, slots=True)
class _Series:
    """The load or the mean length of a group in each window, and how far it is off at least."""

    host: str
    process: str | None
    cells: Sequence[int]
    values: Sequence[float]
    least: float

    @property
    def more(self) -> float:
        """How much more there is now, as a power of 2."""
        middle = median(self.values[1:])
        return log2(self.values[0] / middle) if min(self.values[0], middle) > 0 else 0.0


def _of_process(usual: Usual, group: Group, cells: Sequence[int], own: Scales) -> _Series | None:
    if usual.reading.kind == "lengths":
        return _Series(*group, cells, *_mean_length(usual, cells))
    if group not in own:
        return None
    return _Series(*group, cells, own[group], max(_PROCESS, _chance(usual, cells)))


def _of_host(usual: Usual, host: str, series: Sequence[_Series]) -> Whole | None:
    """Return the host as a whole if it has changed, and most of its processes alike."""
    cells = [at for each in series for at in each.cells]
    if usual.reading.kind == "lengths":
        whole = _whole(usual, _Series(host, None, cells, *_mean_length(usual, cells)))
    elif len(series) >= _PROCESSES:
        windows = zip(*(each.values for each in series), strict=True)
        least = max(_HOST, _chance(usual, cells))
        whole = _whole(usual, _Series(host, None, cells, [*map(median, windows)], least))
    else:
        return None
    if whole is None or len(series) == 1:
        return None
    alike = sum(each.more / log2(whole.factor) > _ALIKE for each in series)
    return whole if alike >= _MOST * len(series) else None


def _whole(usual: Usual, series: _Series) -> Whole | None:
    if series.values[0] <= 0:
        return None
    logs = [log2(each) if each > 0 else 0.0 for each in series.values]
    middle = median(logs[1:])
    more = max(min(logs[0] - middle, _DOUBLINGS), -_DOUBLINGS)
    spread = max(deviation(logs[1:], middle), series.least) * usual.widening[series.host]
    if abs(more) < UNUSUAL * spread:
        return None
    before = all((each - middle) / more > 0.5 for each in logs[-2:])
    kind: Literal["load", "lengths"] = "lengths" if usual.reading.kind == "lengths" else "load"
    z = more / spread
    return Whole(kind, series.host, series.process, tuple(series.cells), 2**more, z, before)


def _chance(usual: Usual, cells: Sequence[int]) -> float:
    """Return how far the load of so few events is off by chance, as a power of 2."""
    quantum = usual.reading.quantum
    return 2 / sqrt(1 + sum(usual.usual[at] for at in cells) / quantum) if quantum > 0 else 0.0


def _mean_length(usual: Usual, cells: Sequence[int]) -> tuple[list[float], float]:
    """Return the geometric mean length in each window, which a few long events barely move.

    The second number is how far it is off by chance, as a power of 2.
    """
    slots = [min(len(usual.cells[at].path), MOST_FRAMES) for at in cells]
    counts = [
        [value * part for value in usual.rows[at]]
        for at, slot in zip(cells, slots, strict=True)
        if (part := 0.5**slot)
    ]
    events = totals(counts)
    sums = [sum(map(mul, slots, window)) for window in zip(*counts, strict=True)]
    series = [2 ** (slot / n) if n else 0.0 for slot, n in zip(sums, events, strict=True)]
    quantum = usual.reading.quantum
    if not events[0] or quantum <= 0:
        return series, _LENGTH
    number = sum(usual.rows[at][0] for at in cells) / quantum
    squares = sum(slot * slot * row[0] for slot, row in zip(slots, counts, strict=True))
    variance = max(squares / events[0] - (sums[0] / events[0]) ** 2, 1.0)
    return series, max(_LENGTH, sqrt(variance / number))
