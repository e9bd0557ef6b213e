"""The readings of one table for the measure of changes: its stacks, its labels, its lengths."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from itertools import cycle, islice
from typing import Any, Literal

from kscope.declare.model import HOSTNAME, Column
from kscope.query.across.amounts import threshold
from kscope.query.across.cells import Cells, Key, Sums, cells_of
from kscope.query.across.lengths import slots_of
from kscope.query.across.names import Names
from kscope.query.across.views import View, view_of
from kscope.query.across.windows import LEAST_WINDOWS, WINDOWS, Baseline, Looks, looks_of
from kscope.query.changes.reading import Cell, Reading
from kscope.query.parse.scope import Scope
from kscope.query.scan.measures import ROWS, events_of, total_of
from kscope.query.scan.read import summed
from kscope.store.reader import Reader

Path = Callable[[Key], tuple[str, ...]]
# For each column of a key: value as stored -> text.
_Texts = Sequence[Mapping[Any, Any]]
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
    names = await _names(texts, cells.sums, by)
    found.readings += await asyncio.to_thread(_of_value, found, cells, names)


def _of_value(found: TableReading, cells: Cells, names: _Texts) -> list[Reading]:
    view, named = found.view, _named(cells.sums, names)
    for (host, *_), sums in named.items():
        if sums.last is not None:
            found.last[host] = max(sums.last, found.last.get(host, sums.last))
    whole = sum(each.now for each in cells.sums.values())
    quantum = view.quantum(whole, cells.events)
    return [
        Reading(
            view.table,
            column,
            kind,
            _cells(named, path, has_by=bool(view.by)),
            by=view.by.name if view.by else "",
            quantum=quantum,
            load=bool(view.stack and view.value.column and "CPU" in view.value.column.rate),
        )
        for kind, column, path in _paths(view)
    ]


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
    counts = await slots_of(found.looks, by, histogram, pairs)
    names = await _names(texts, counts, (HOSTNAME, by))
    found.readings.append(await asyncio.to_thread(_of_lengths, found.view, by, counts, names))


def _of_lengths(view: View, by: Column, counts: Mapping[Key, Sums], names: _Texts) -> Reading:
    assert view.histogram is not None
    events = sum(each.now for each in counts.values())
    named = _named(
        {key: each.times(_MIDDLE * 2 ** min(key[-1], 62)) for key, each in counts.items()}, names
    )
    slots = max((slot for *_, slot in counts), default=0) + 1
    names_of_slots = tuple(threshold(slot, view.histogram.unit) for slot in range(slots))
    chains = [names_of_slots[: slot + 1] for slot in range(slots)]
    return Reading(
        view.table,
        view.histogram.name,
        "lengths",
        _cells(named, lambda key: chains[key[-1]], has_by=True),
        by=by.name,
        quantum=sum(each.now for each in named.values()) / events if events else 0.0,
    )


async def _names(texts: Names, sums: Mapping[Key, Sums], by: Sequence[Column]) -> _Texts:
    """Return the texts of each column's values; a stack's are its frames."""
    return [await texts.of(column, {key[i] for key in sums}) for i, column in enumerate(by)]


def _named(sums: Mapping[Key, Sums], names: _Texts) -> dict[Key, Sums]:
    """Return the sums by names, and by the rest of the key. Places of the same names are one."""
    found: dict[Key, Sums] = {}
    width = len(names)
    for key, each in sums.items():
        texts = [of[part] for of, part in zip(names, key, strict=False)]
        named = (*texts, *key[width:])
        found[named] = found[named].plus(each) if named in found else each
    return found


def _cells(named: Mapping[Key, Sums], path: Path, *, has_by: bool) -> list[Cell]:
    """Return the cells of a reading: places with the same host, process and path are one."""
    found: dict[tuple[str, str, tuple[str, ...]], Sums] = {}
    for key, sums in named.items():
        place = (key[0], key[1] if has_by else "", path(key))
        found[place] = found[place].plus(sums) if place in found else sums
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
    if missing <= 0:
        return tuple(earlier)
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
