"""The readings of one table for the measure of changes: its stacks, its labels, its lengths."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from itertools import cycle, islice
from typing import Any, Literal

from kscope.declare.model import HOSTNAME, Column
from kscope.declare.types import TYPES
from kscope.query.across.amounts import threshold
from kscope.query.across.cells import Cells, Key, Sums, cells_of, numbers_of, only
from kscope.query.across.names import Names
from kscope.query.across.views import View, view_of
from kscope.query.across.windows import LEAST_WINDOWS, WINDOWS, Baseline, Looks, looks_of
from kscope.query.changes.reading import Cell, Reading
from kscope.query.parse.scope import Scope
from kscope.query.scan.measures import ROWS, Measure, events_of, total_of
from kscope.query.scan.read import summed
from kscope.query.scan.scan import Scan
from kscope.store.reader import Reader
from kscope.store.sums.functions import SLOT, SLOT_EVENTS, total, with_slots

Path = Callable[[Key], tuple[str, ...]]

_SLOT = Column(SLOT, TYPES["int"], "Slot")
_SLOT_EVENTS = Measure(lambda segment: total(segment.table.c[SLOT_EVENTS]))
# Hosts and processes (or labels) whose lengths are read.
_DIFFERENT_PAIRS, _LARGE_PAIRS = 40, 20
# The middle of a slot, in its lower bounds.
_MIDDLE = 1.5
# The number of other hosts that a host is compared with.
LEAST_HOSTS, _MOST_HOSTS = 2, 24


@dataclass(slots=True)
class TableReading:
    """One table, read. `last` is the time (us) of each host's newest row in the range."""

    view: View
    looks: Looks
    readings: list[Reading] = field(default_factory=list)
    rows: int = 0
    last: dict[str, int] = field(default_factory=dict)


async def read_table(
    reader: Reader, scope: Scope, baseline: Baseline, texts: Names
) -> TableReading:
    """Read one category in the range and in the earlier windows."""
    view = view_of(scope.category)
    by = tuple(each for each in (HOSTNAME, view.by, view.stack, *view.labels) if each)
    value, count = view.value.columns
    needs = [each for each in (*by, value, count) if each]
    looks = await looks_of(reader, scope, needs, baseline)
    found = TableReading(view, looks)
    if looks.windows.count < LEAST_WINDOWS and not baseline.hosts:
        counted = await summed(looks.now, lambda _: [], (ROWS,))
        found.rows = sum(rows or 0 for (rows,) in counted.values())
        return found
    cells = await cells_of(
        looks, by, total_of(view.value), events_of(view.value), many=bool(view.stack)
    )
    found.rows = cells.rows
    await _add(texts, found, cells, by)
    if view.histogram and not view.stack:
        # Labels tell most of lengths: a disk's operation, a system call.
        for column in view.labels or by[1:]:
            await _add_lengths(texts, found, column, _pairs(cells, by.index(column)))
    if baseline.hosts:
        found.readings = _among_hosts(found.readings)
    return found


async def _add(texts: Names, found: TableReading, cells: Cells, by: Sequence[Column]) -> None:
    """Add the readings of the table's value."""
    view = found.view
    named = await _named(texts, cells, by)
    for (host, *_), sums in named.items():
        if sums.last is not None:
            found.last[host] = max(sums.last, found.last.get(host, sums.last))
    whole = sum(each.now for each in cells.sums.values())
    quantum = view.quantum(whole, cells.events)
    for kind, column, path in _paths(view):
        found.readings.append(
            Reading(
                view.table,
                column,
                kind,
                _cells(named, path, has_by=bool(view.by)),
                by=view.by.name if view.by else "",
                quantum=quantum,
                load=bool(view.stack and view.value.column and "CPU" in view.value.column.rate),
            )
        )


def _paths(view: View) -> list[tuple[Literal["stack", "label", "total"], str, Path]]:
    """Return each reading of a table's value: its kind, its column, and the path of a place."""
    if view.stack:
        return [("stack", view.stack.name, lambda key: key[-1])]
    if not view.labels:
        return [("total", "", lambda _: ())]
    first = 2 if view.by else 1
    return [("label", each.name, _label(i)) for i, each in enumerate(view.labels, first)]


def _label(place: int) -> Path:
    return lambda key: (key[place],)


def _pairs(cells: Cells, place: int) -> set[Key]:
    """Return the hosts and values of a column whose sums differ most, or are the largest.

    Only their lengths are read: events that are longer take more time.
    """
    now: defaultdict[Key, float] = defaultdict(float)
    usual: defaultdict[Key, float] = defaultdict(float)
    for key, sums in cells.sums.items():
        now[key[0], key[place]] += sums.now
        usual[key[0], key[place]] += sum(sums.earlier) / max(1, len(sums.earlier))
    different = {pair: abs(now[pair] - usual[pair]) for pair in now}
    most = nlargest(_DIFFERENT_PAIRS, different, key=different.__getitem__)
    return {*most, *nlargest(_LARGE_PAIRS, usual, key=usual.__getitem__)}


async def _add_lengths(
    texts: Names, found: TableReading, by: Column, pairs: Collection[Key]
) -> None:
    """Add the reading of a histogram, by one column."""
    histogram = found.view.histogram
    assert histogram is not None
    columns = (HOSTNAME, by, _SLOT)
    numbers = numbers_of(columns[:2], pairs)

    def slots(scan: Scan) -> Scan:
        chosen = only(scan, columns[:2], numbers)
        return chosen.over(lambda segment: with_slots(segment.table, histogram.name))

    looks = found.looks.over(slots)
    cells = await cells_of(looks, columns, _SLOT_EVENTS, ROWS, many=False)
    events = sum(each.now for each in cells.sums.values())
    cells.sums = {
        key: sums.times(_MIDDLE * 2 ** min(key[-1], 62)) for key, sums in cells.sums.items()
    }
    named = await _named(texts, cells, columns)
    unit = histogram.unit
    chains = {slot: tuple(threshold(i, unit) for i in range(slot + 1)) for slot in range(64)}
    found.readings.append(
        Reading(
            found.view.table,
            histogram.name,
            "lengths",
            _cells(named, lambda key: chains[int(key[-1])], has_by=True),
            by=by.name,
            quantum=sum(each.now for each in named.values()) / events if events else 0.0,
        )
    )


async def _named(texts: Names, cells: Cells, by: Sequence[Column]) -> dict[Key, Sums]:
    """Return the cells by names; a stack's is its frames. Places of the same names are one."""
    names = [await texts.of(column, {key[i] for key in cells.sums}) for i, column in enumerate(by)]
    found: dict[Key, Sums] = {}
    for key, sums in cells.sums.items():
        named = tuple([each[part] for each, part in zip(names, key, strict=True)])
        if named in found:
            found[named].add(sums)
        else:
            found[named] = sums
    return found


def _cells(named: Mapping[Key, Sums], path: Path, *, has_by: bool) -> list[Cell]:
    """Return the cells of a reading: places with the same host, process and path are one."""
    found: dict[tuple[str, str, tuple[str, ...]], Sums] = {}
    for key, sums in named.items():
        place = (key[0], key[1] if has_by else "", path(key))
        if place in found:
            found[place].add(sums)
        else:
            found[place] = sums.times(1.0)
    # One slice tells nothing of how long a change lasted.
    return [
        Cell(*place, sums.now, filled(sums.earlier), tuple(sums.slices[1:] and sums.slices))
        for place, sums in found.items()
    ]


def filled(earlier: Sequence[float]) -> tuple[float, ...]:
    """Return as many windows as all tables have; those of a table with fewer are repeated.

    The newest stay the last. Medians and deviations are the same.
    """
    if not earlier:
        return ()
    missing = WINDOWS - len(earlier)
    return (*islice(cycle(earlier), missing), *earlier)


def _among_hosts(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings with the sums of other hosts in place of earlier windows.

    A host is compared with those that have at least half of the processes in common with it.
    """
    processes: defaultdict[str, set[str]] = defaultdict(set)
    for cell in (cell for each in readings[:1] for cell in each.cells):
        if cell.now:
            processes[cell.host].add(cell.process)
    alike = {
        host: [
            other
            for other, its in processes.items()
            if other != host and 2 * len(own & its) >= len(own | its)
        ][:_MOST_HOSTS]
        for host, own in processes.items()
    }
    return [replace(each, cells=_beside_hosts(each, alike)) for each in readings]


def _beside_hosts(reading: Reading, alike: Mapping[str, Sequence[str]]) -> list[Cell]:
    by_place: defaultdict[Any, dict[str, Cell]] = defaultdict(dict)
    for cell in reading.cells:
        by_place[cell.process, cell.path][cell.host] = cell
    cells = []
    for (process, path), found in by_place.items():
        for host, others in alike.items():
            earlier = [found[each].now if each in found else 0.0 for each in others]
            here = found.get(host)
            if len(others) < LEAST_HOSTS or not (here or 2 * sum(map(bool, earlier)) > len(others)):
                continue
            now, slices = (here.now, here.slices) if here else (0.0, ())
            cells.append(Cell(host, process, path, now, filled(earlier), slices))
    return cells
