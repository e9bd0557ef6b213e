"""How many times as much of everything a process does: more load is no news of each stack."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from kscope.query.changes.limits import GONE
from kscope.query.changes.robust import median, weighted_median
from kscope.query.changes.usual import Usual

# (host, process)
Group = tuple[str, str]
Scales = dict[Group, list[float]]

# A process with fewer cells says nothing about all that it does.
_ENOUGH = 6
# A cell has at most this part of the weight.
_MOST_WEIGHT = 0.2
# A cell follows a load that leaves less than this part of its deviations.
_FOLLOWS = 0.5


@dataclass(frozen=True, slots=True)
class Loads:
    """How many times as much as usual a process does, and its host, now and in earlier windows."""

    processes: Scales
    hosts: Mapping[str, Sequence[float]]

    def of(self, group: Group) -> list[Sequence[float]]:
        """Return the loads that are known: that of the process, and that of the host."""
        both = self.processes.get(group), self.hosts.get(group[0])
        return [each for each in both if each]


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


def excess(usual: Usual, own: Scales, loads: Loads) -> list[list[float]]:
    """Return for each cell how much more there is than its process's load explains, by window."""
    return [_beyond(usual, at, own, loads) for at in range(len(usual.cells))]


def expected(usual: Usual, excess: Sequence[Sequence[float]]) -> list[float]:
    """Return what each cell would have in the window at its process's load."""
    pairs = zip(usual.rows, excess, strict=True)
    return [max(row[0] - beyond[0], 0.0) for row, beyond in pairs]


def _beyond(usual: Usual, at: int, own: Scales, loads: Loads) -> list[float]:
    cell, row, middle = usual.cells[at], usual.rows[at], usual.usual[at]
    group = (cell.host, cell.process)
    known = own.get(group, ())
    # No load explains that a process does nothing at all.
    if middle and not usual.still[at] and known and known[0] > GONE:
        return _centred(_less(row, known, middle), usual.windows)
    beyond = [value - middle for value in row]
    if usual.still[at] or known:
        return beyond
    scale, beyond = _following(usual, at, loads.of(group), beyond)
    # Anything between the usual and as much more as the process does is no surprise.
    low, high = sorted((middle, middle * scale))
    beyond[0] = row[0] - min(max(row[0], low), high)
    return beyond


def _following(
    usual: Usual, at: int, loads: Sequence[Sequence[float]], beyond: list[float]
) -> tuple[float, list[float]]:
    """Return the load now that a cell follows, if any the first, and what is beyond it."""
    middle = usual.usual[at]
    best, least = (loads[0][0] if loads else 1.0), _FOLLOWS * _middle_size(beyond)
    for scale in loads:
        if middle and len(scale) == len(beyond):
            without = _centred(_less(usual.rows[at], scale, middle), usual.windows)
            if (size := _middle_size(without)) < least:
                best, least, beyond = scale[0], size, without
    return best, beyond


def _less(row: Sequence[float], scale: Sequence[float], middle: float) -> list[float]:
    """Return what is left of a row without what the load explains."""
    return [value - part * middle for value, part in zip(row, scale, strict=True)]


def _middle_size(beyond: Sequence[float]) -> float:
    return median(map(abs, beyond[1:]))


def _centred(row: list[float], windows: int) -> list[float]:
    """Return a row whose earlier windows have their middle at 0."""
    ordered = sorted(row[1:])
    centre = (ordered[(windows - 1) // 2] + ordered[windows // 2]) / 2
    return [value - centre for value in row]


def loads_of(readings: Sequence[tuple[Usual, Scales]]) -> Loads:
    """Return the loads of the readings that are made to say it, then of others."""
    found: Scales = {}
    sizes: dict[Group, float] = {}
    ordered = sorted(readings, key=lambda each: not each[0].reading.load)
    for usual, own in ordered:
        if usual.reading.by == "process" and usual.reading.kind == "stack":
            new = {group for group, windows in own.items() if windows[0] > GONE} - found.keys()
            found |= {group: own[group] for group in own if group in new}
            _add_sizes(usual, new, sizes)
    return Loads(found, _of_hosts(found, sizes))


def _add_sizes(usual: Usual, new: Collection[Group], sizes: dict[Group, float]) -> None:
    """Note the part of its host that each process is of all that does not stand still."""
    for at, cell in enumerate(usual.cells):
        group = (cell.host, cell.process)
        if group in new and not usual.still[at]:
            part = usual.usual[at] / usual.varies[cell.host]
            sizes[group] = sizes.get(group, 0.0) + part


def _of_hosts(processes: Scales, sizes: Mapping[Group, float]) -> dict[str, Sequence[float]]:
    """Return the middle of the loads of a host's processes, by window; large ones weigh more."""
    found: defaultdict[str, list[Group]] = defaultdict(list)
    for group in processes:
        found[group[0]].append(group)
    hosts: dict[str, Sequence[float]] = {}
    for host, own in found.items():
        windows = [processes[group] for group in own]
        weights = [sizes[group] for group in own]
        if len({*map(len, windows)}) == 1:
            hosts[host] = [weighted_median(each, weights) for each in zip(*windows, strict=True)]
    return hosts
