"""A name that comes with as much as another went with is a new name, not a new cost."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kscope.query.changes.places import Place
from kscope.query.changes.usual import Usual

# So much of the old name's sum, at the process's load.
_SAME = (0.5, 1.8)
# Less than this part of a sum is nothing.
_NOTHING = 0.02


@dataclass(slots=True)
class _Sums:
    now: float = 0.0
    usual: float = 0.0

    def add(self, now: float, usual: float) -> None:
        self.now += now
        self.usual += usual


def other_name(usual: Usual, place: Place) -> str:
    """Return the name that went where this one came, or came where it went, with as much.

    A frame's other name has the same caller. It is empty if there is none, or if the place is
    neither new nor gone.
    """
    own = _Sums()
    for at in place.cells:
        own.add(usual.rows[at][0], usual.usual[at])
    new = own.usual <= _NOTHING * own.now
    if not new and own.now > _NOTHING * own.usual:
        return ""
    # The sum that the place would have in the other windows, at their load.
    amount = own.now / _load(usual, place) if new else own.usual * _load(usual, place)
    best = min(
        (
            (abs(was - amount), name)
            for name, sums in _others(usual, place).items()
            if (was := _opposite(sums, new=new)) and _SAME[0] < was / amount < _SAME[1]
        ),
        default=None,
    )
    return best[1] if best else ""


def _load(usual: Usual, place: Place) -> float:
    """Return how many times as much the process does of what is neither new nor gone."""
    sums = _Sums()
    for at, cell in enumerate(usual.cells):
        mine = cell.host == place.host and place.process in (None, cell.process)
        if mine and not usual.still[at] and place.name is not None:
            now, before = usual.rows[at][0], usual.usual[at]
            if min(now, before) > _NOTHING * max(now, before):
                sums.add(now, before)
    return sums.now / sums.usual if sums.usual > 0 else 1.0


def _opposite(sums: _Sums, *, new: bool) -> float:
    """Return the sum of a name that did the opposite, 0 if it did not."""
    here, there = (sums.usual, sums.now) if new else (sums.now, sums.usual)
    return here if there <= _NOTHING * here else 0.0


def _others(usual: Usual, place: Place) -> dict[str, _Sums]:
    """Return the sums of the processes of the host, or of the names with the same callers."""
    sums: defaultdict[str, _Sums] = defaultdict(_Sums)
    if place.name is None:
        for at, cell in enumerate(usual.cells):
            if cell.host == place.host and cell.process != place.process:
                sums[cell.process].add(usual.rows[at][0], usual.usual[at])
        return sums
    callers = _callers([usual.cells[at].path for at in place.cells], place.name)
    for at, cell in enumerate(usual.cells):
        if cell.host == place.host and place.process in (None, cell.process):
            for name in _called(cell.path, callers) - {place.name}:
                sums[name].add(usual.rows[at][0], usual.usual[at])
    return sums


def _callers(paths: Iterable[Sequence[str]], name: str) -> set[str]:
    """Return the frames right above a name, "" for a root."""
    return {path[at - 1] if (at := path.index(name)) else "" for path in paths}


def _called(path: Sequence[str], callers: set[str]) -> set[str]:
    """Return the frames of a path right below one of the callers."""
    return {name for caller, name in zip(("", *path), path, strict=False) if caller in callers}
