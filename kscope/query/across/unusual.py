"""Stretches of a series that are not usual, and the events behind them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt

from kscope.query.changes.robust import deviation, median

# In spreads: a step of a stretch, and a stretch of several and of one.
_STEP, _STRETCH, _SINGLE = 3.0, 9.0, 12.0
# A spread is at least this part of the usual, and a stretch differs by this part.
_RELATIVE, _EFFECT = 0.05, 0.1
# Steps without which nothing is usual.
_LEAST = 6
_BAND = 3.0
# Of the shorter of two stretches: with so much in common they are one event.
_COMMON = 0.5
_SIMILAR = 3.0


@dataclass(frozen=True, slots=True)
class Usual:
    """A rate and its usual deviation."""

    middle: float
    spread: float

    @property
    def low(self) -> float:
        return max(0.0, self.middle - _BAND * self.spread)

    @property
    def high(self) -> float:
        return self.middle + _BAND * self.spread


@dataclass(frozen=True, slots=True)
class Run:
    """Steps from `first` up to `stop` have `rate`, not the `usual` one; `score` is in spreads."""

    first: int
    stop: int
    rate: float
    usual: float
    score: float


def usual_of(values: Sequence[float], earlier: Sequence[float], chance: float = 0.0) -> Usual:
    """Return the usual of steps. Earlier windows say their middle, if there are some.

    `chance` is the deviation that counting events by chance has.
    """
    middle = median(earlier) if earlier else median(values) if values else 0.0
    spreads = [chance, _RELATIVE * middle]
    if values:
        spreads.append(deviation(values, median(values)))
    if len(earlier) > 1:
        spreads.append(deviation(earlier, middle))
    return Usual(middle, max(spreads))


def runs(values: Sequence[float], usual: Usual) -> list[Run]:
    """Return the runs of steps that are off the usual on one side, the oldest first."""
    if len(values) < _LEAST or usual.spread <= 0:
        return []
    offs = [(each - usual.middle) / usual.spread for each in values]
    found = [*_runs(offs, 1), *_runs(offs, -1)]
    made = [_run(values, offs, usual, *each) for each in found]
    return sorted((each for each in made if _counts(each)), key=lambda each: each.first)


def _runs(offs: Sequence[float], side: int) -> Iterable[tuple[int, int]]:
    """Yield stretches of steps beyond the limit on one side; one step in between may be usual."""
    first = last = None
    for i, each in enumerate(offs):
        if each * side < _STEP:
            continue
        if first is not None and last is not None and i - last > 2:
            yield first, last + 1
            first = None
        first, last = (i if first is None else first), i
    if first is not None and last is not None:
        yield first, last + 1


def _run(
    values: Sequence[float], offs: Sequence[float], usual: Usual, first: int, stop: int
) -> Run:
    part = values[first:stop]
    score = abs(sum(offs[first:stop])) / sqrt(stop - first)
    return Run(first, stop, sum(part) / len(part), usual.middle, score)


def _counts(run: Run) -> bool:
    needed = _STRETCH if run.stop - run.first > 1 else _SINGLE
    return run.score >= needed and abs(run.rate - run.usual) >= _EFFECT * run.usual


@dataclass(slots=True)
class Part:
    """One stretch (us) of one table on one host."""

    start: int
    end: int
    table: str
    host: str
    score: float


@dataclass(slots=True)
class Together:
    """Parts of one event; the heaviest says when it was."""

    parts: list[Part] = field(default_factory=list)

    @property
    def head(self) -> Part:
        return self.parts[0]

    @property
    def weight(self) -> float:
        return sqrt(sum(each.score**2 for each in self.parts))


def together(parts: Iterable[Part]) -> list[Together]:
    """Return the events, the weightiest first: parts at about the same time are of one."""
    found: list[Together] = []
    for part in sorted(parts, key=lambda each: (-each.score, each.start, each.table, each.host)):
        same = next((each for each in found if _same(each.head, part)), None)
        if same is None:
            found.append(Together([part]))
        else:
            same.parts.append(part)
    return sorted(found, key=lambda each: -each.weight)


def _same(one: Part, other: Part) -> bool:
    common = min(one.end, other.end) - max(one.start, other.start)
    shorter, longer = sorted((one.end - one.start, other.end - other.start))
    return common >= _COMMON * shorter and longer <= _SIMILAR * shorter
