"""One reading, made ready: its cells as rows of numbers, each with its usual value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import isfinite

from kscope.query.changes.presence import HEARD, Presence, Taken
from kscope.query.changes.reading import (
    MOST_CELLS,
    MOST_FRAMES,
    MOST_SLICES,
    MOST_WINDOWS,
    Cell,
    Reading,
)
from kscope.query.changes.robust import NORMAL, median

# A cell that varies by less than this part of its usual value stands still: an idle pool.
_STILL = 0.03
# A host's total is at least this part of that of the others, so that little is not much there.
_LEAST = 0.2
# The frames of all cells together, which bound the work.
_MOST_STEPS = 200_000
# Sums beyond these are broken, and would overflow in ratios.
_TINY, _HUGE = 1e-30, 1e30

Row = list[float]


@dataclass(frozen=True, slots=True)
class Usual:
    """The cells of a reading that can be judged: `cells[i]`, `rows[i]`, `usual[i]` are of one.

    A row has the window's sum, then those of the earlier windows. `varies` is by host the usual
    total of all that does not stand still, `whole` the larger of it and that of now. `widening` is
    by host how much wider the spread is to be taken as few windows are known.
    """

    reading: Reading
    cells: list[Cell]
    rows: list[Row]
    usual: list[float]
    still: list[bool]
    slices: list[Sequence[float]]
    varies: dict[str, float]
    whole: dict[str, float]
    widening: dict[str, float]
    lost: dict[str, float]
    windows: int


def usual_of(reading: Reading, presences: Mapping[str, Presence]) -> Usual:
    """Leave out the hosts that cannot be judged, and make up for the windows that are missing."""
    count = min(max((len(cell.earlier) for cell in reading.cells), default=0), MOST_WINDOWS)
    taken = {name: each.taken(count) for name, each in presences.items() if each.tells}
    judged = {name: presences[name] for name, each in taken.items() if each.known}
    cells = _most_changed([cell for cell in reading.cells if cell.host in judged])
    rows = [_row(cell, judged[cell.host].heard, taken[cell.host]) for cell in cells]
    usual, still = _middles(rows, count)
    if reading.kind != "stack":
        # Only threads wait in pools: a slot or a label that varies little is as good as any.
        still = [False] * len(rows)
    slices = max((len(cell.slices) for cell in cells), default=0)
    return Usual(
        reading,
        cells,
        rows,
        usual,
        still,
        [_slices(cell, judged[cell.host].heard, slices) for cell in cells],
        *_varies(cells, rows, usual, still),
        {name: 1 + 6 / taken[name].known ** 1.5 for name in judged},
        {name: min(max(e.lost.get(reading.table, 0.0), 0.0), 1.0) for name, e in judged.items()},
        count,
    )


def _most_changed(cells: Sequence[Cell]) -> list[Cell]:
    """Bound the work before it begins: cells that differ most from their mean stay."""
    steps = sum(min(len(cell.path), MOST_FRAMES) for cell in cells)
    most = min(MOST_CELLS, len(cells) * _MOST_STEPS // max(steps, _MOST_STEPS))
    if len(cells) <= most:
        return list(cells)
    return nlargest(most, cells, key=_difference)


def _difference(cell: Cell) -> float:
    return abs(_sum(cell.now) - sum(_sums(cell.earlier)) / max(len(cell.earlier), 1))


def _middles(rows: Sequence[Row], count: int) -> tuple[list[float], list[bool]]:
    """Return the usual value of each row, and whether it stands still, from one sorting of it."""
    low, high, last = count // 4, count - 1 - count // 4, count - 1
    usual, still = [], []
    for row in rows:
        ordered = sorted(row[1:])
        middle = (ordered[last // 2] + ordered[count // 2]) / 2
        usual.append(middle)
        still.append(NORMAL * (ordered[high] - ordered[low]) / 2 < _STILL * middle)
    return usual, still


def _sum(value: float) -> float:
    """Take a number that is none, and one below 0, for nothing."""
    return min(value, _HUGE) if value > _TINY and isfinite(value) else 0.0


def _sums(values: Sequence[float]) -> Sequence[float]:
    """Take each as `_sum` does; all are sound but in a broken row."""
    if values and min(values) >= 0 and ((total := sum(values)) == 0 or _TINY < total < _HUGE):
        return values
    return [*map(_sum, values)]


def _row(cell: Cell, heard: float, taken: Taken) -> Row:
    now = _sum(cell.now) / (heard if heard < HEARD else 1.0)
    earlier = _sums(cell.earlier[-len(taken.windows) :])
    if taken.throughout and len(earlier) == len(taken.windows):
        return [now, *earlier]
    pairs = zip(taken.windows, taken.scales, strict=True)
    return [now, *(earlier[at] * scale if at < len(earlier) else 0.0 for at, scale in pairs)]


def _slices(cell: Cell, heard: float, count: int) -> Sequence[float]:
    """Return the slices in which the host was heard, none if the cell has not as many as others."""
    slices = _sums(cell.slices[:MOST_SLICES]) if len(cell.slices) == count else ()
    return slices[: max(1, round(len(slices) * heard))] if heard < HEARD else slices


def _varies(
    cells: Sequence[Cell], rows: Sequence[Row], usual: Sequence[float], still: Sequence[bool]
) -> tuple[dict[str, float], dict[str, float]]:
    totals = dict.fromkeys((cell.host for cell in cells), 0.0)
    now = dict(totals)
    for cell, row, middle, is_still in zip(cells, rows, usual, still, strict=True):
        if not is_still:
            totals[cell.host] += middle
            now[cell.host] += row[0]
    fleet = median(totals.values()) if totals else 0.0
    varies = {host: max(each, _LEAST * fleet) or now[host] or 1.0 for host, each in totals.items()}
    return varies, {host: max(each, now[host]) for host, each in varies.items()}
