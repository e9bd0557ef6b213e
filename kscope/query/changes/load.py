"""How many times as much of everything a process does: more load is no news of each stack."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt

from kscope.query.changes.robust import weighted_median
from kscope.query.changes.usual import Usual

# (host, process)
Group = tuple[str, str]
Scales = dict[Group, list[float]]

# A process with fewer cells says nothing about all that it does.
_ENOUGH = 6
# A cell has at most this part of the weight.
_MOST_WEIGHT = 0.2


def groups(usual: Usual) -> dict[Group, list[int]]:
    """Return the cells of each process of each host."""
    found: defaultdict[Group, list[int]] = defaultdict(list)
    for at, cell in enumerate(usual.cells):
        found[cell.host, cell.process].append(at)
    return found


def scales(usual: Usual, of_process: Mapping[Group, Sequence[int]]) -> Scales:
    """Return for each process with enough cells its load in each window, 1 being the usual.

    That is the middle of its cells' ratios to their usual values, which a few changed stacks
    cannot move, as they move shares.
    """
    found = {}
    for group, cells in of_process.items():
        moving = [at for at in cells if usual.usual[at] > 0 and not usual.still[at]]
        if len(moving) >= _ENOUGH:
            weights = _even([_weight(usual, at) for at in moving])
            ratios = [[value / usual.usual[at] for value in usual.rows[at]] for at in moving]
            found[group] = [
                weighted_median(window, weights) for window in zip(*ratios, strict=True)
            ]
    return found


def _weight(usual: Usual, at: int) -> float:
    """A slot's sum is time: its events weigh, not the few long ones."""
    length = 2.0 ** len(usual.cells[at].path) if usual.reading.kind == "lengths" else 1.0
    return sqrt(usual.usual[at] / length)


def _even(weights: Sequence[float]) -> list[float]:
    """Return the weights so that no cell alone says what the load is."""
    most = sum(weights) * _MOST_WEIGHT
    return [min(weight, most) for weight in weights]


def excess(usual: Usual, own: Scales, loads: Mapping[Group, float]) -> list[list[float]]:
    """Return for each cell how much more there is than its process's load explains, by window."""
    return [_beyond(usual, at, own, loads) for at in range(len(usual.cells))]


def expected(usual: Usual, excess: Sequence[Sequence[float]]) -> list[float]:
    """Return what each cell would have in the window at its process's load."""
    pairs = zip(usual.rows, excess, strict=True)
    return [max(row[0] - beyond[0], 0.0) for row, beyond in pairs]


def _beyond(usual: Usual, at: int, own: Scales, loads: Mapping[Group, float]) -> list[float]:
    cell, row, middle = usual.cells[at], usual.rows[at], usual.usual[at]
    group = (cell.host, cell.process)
    if middle and not usual.still[at] and group in own:
        beyond = [value - scale * middle for value, scale in zip(row, own[group], strict=True)]
        return _centred(beyond, usual.windows)
    beyond = [value - middle for value in row]
    if not usual.still[at]:
        # Anything between the usual and as much more as the process does is no surprise.
        low, high = sorted((middle, middle * loads.get(group, 1.0)))
        beyond[0] = row[0] - min(max(row[0], low), high)
    return beyond


def _centred(row: list[float], windows: int) -> list[float]:
    """Return a row whose earlier windows have their middle at 0."""
    ordered = sorted(row[1:])
    centre = (ordered[(windows - 1) // 2] + ordered[windows // 2]) / 2
    return [value - centre for value in row]


def loads_of(readings: Sequence[tuple[Usual, Scales]]) -> dict[Group, float]:
    """Return the load of each process now: of the readings that are made to say it, then others."""
    found: dict[Group, float] = {}
    ordered = sorted(readings, key=lambda each: not each[0].reading.load)
    for usual, own in ordered:
        if usual.reading.by == "process" and usual.reading.kind == "stack":
            for group, windows in own.items():
                found.setdefault(group, windows[0])
    return found
