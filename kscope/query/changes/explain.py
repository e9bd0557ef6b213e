"""Explain the changes of a reading away, the largest first, each at its deepest place."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from kscope.query.changes.limits import GONE, UNUSUAL
from kscope.query.changes.places import Place, candidates
from kscope.query.changes.spread import Spreads
from kscope.query.changes.telling import tells
from kscope.query.changes.usual import Usual

# Two places with this much of a change in common have the same change.
_SAME = 0.8
# Of places as sure as this part of the surest, the deepest is named.
_AS_SURE = 0.85
# Changes of a reading; a window with more is another world.
_MOST = 40


@dataclass(frozen=True, slots=True)
class Explained:
    """A place, what of the window's sum it explains, and in how many usual deviations."""

    place: Place
    excess: float
    z: float


@dataclass(slots=True)
class _Open:
    place: Place
    excess: float
    spread: float

    @property
    def z(self) -> float:
        return self.excess / self.spread

    @property
    def weight(self) -> float:
        return abs(self.z) * sqrt(abs(self.excess))


def explained(
    usual: Usual, excess: Sequence[Sequence[float]], taken: Iterable[int]
) -> list[Explained]:
    """Return the places that explain the excess, each without that of those before it.

    `taken` are the cells whose change is explained already.
    """
    left = [row[0] for row in excess]
    for at in taken:
        left[at] = 0.0
    spreads = Spreads(usual, excess)
    open_places = _sure(
        _Open(place, sum(left[at] for at in place.cells), spreads.of(place.host, place.cells))
        for place in candidates(usual, left, spreads.expected)
    )
    depths = _depths(usual) if open_places else {}
    found: list[Explained] = []
    while open_places and len(found) < _MOST:
        first = max(open_places, key=lambda each: each.weight)
        chosen = _deepest(usual, _alike(open_places, first, left), depths)
        found.append(_named(usual, chosen, left))
        open_places = _without(open_places, chosen.place, left)
    return found


def _sure(places: Iterable[_Open]) -> list[_Open]:
    return [each for each in places if abs(each.z) >= UNUSUAL]


def _alike(places: Iterable[_Open], first: _Open, left: Sequence[float]) -> list[_Open]:
    """Return the places of the host that have the same change, as they share its cells."""
    mine = frozenset(first.place.cells)

    def alike(each: _Open) -> bool:
        if each.place.host != first.place.host:
            return False
        if not _SAME < each.excess / first.excess < 1 / _SAME:
            return False
        common = sum(left[at] for at in each.place.cells if at in mine)
        return common / first.excess > _SAME

    return [first, *(each for each in places if each is not first and alike(each))]


def _deepest(usual: Usual, alike: Sequence[_Open], depths: dict[str, int]) -> _Open:
    """Choose the process if it is new or gone, else the deepest name, of any process if it can.

    A name that tells something comes before one that all waits have.
    """
    best = max(abs(each.z) for each in alike)

    def depth(each: _Open) -> tuple[int, bool, int, bool]:
        place = each.place
        if place.name is None:
            return int(_new_or_gone(usual, place)), False, -1, False
        return 0, tells(place.name), depths[place.name], place.process is None

    sure = [each for each in alike if abs(each.z) >= _AS_SURE * best or depth(each)[0]]
    return max(sure, key=depth)


def _new_or_gone(usual: Usual, place: Place) -> bool:
    now = sum(usual.rows[at][0] for at in place.cells)
    before = sum(usual.usual[at] for at in place.cells)
    return before <= 0 or now <= GONE * before


def _depths(usual: Usual) -> dict[str, int]:
    """Return how far from the root a name is at least."""
    depths: dict[str, int] = {}
    for cell in usual.cells:
        for level, name in enumerate(cell.path):
            if level < depths.get(name, 1 << 30):
                depths[name] = level
    return depths


def _named(usual: Usual, chosen: _Open, left: Sequence[float]) -> Explained:
    """Name the process too if nearly all of the change is in one."""
    place = chosen.place
    if place.process is None:
        of: defaultdict[str, float] = defaultdict(float)
        for at in place.cells:
            of[usual.cells[at].process] += left[at] / chosen.excess
        top = max(of, key=of.__getitem__)
        if of[top] >= _SAME:
            place = replace(place, process=top)
    return Explained(place, chosen.excess, chosen.z)


def _without(places: Iterable[_Open], taken: Place, left: list[float]) -> list[_Open]:
    """Set what the place explains to nothing, and keep the places that are unusual without it."""
    cells = frozenset(taken.cells)
    for at in cells:
        left[at] = 0.0
    rest = []
    for each in places:
        if each.place is taken:
            continue
        if not cells.isdisjoint(each.place.cells):
            each.excess = sum(left[at] for at in each.place.cells)
        rest.append(each)
    return _sure(rest)
