"""A table over time by host, beside the earlier windows, and what is on top of it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from typing import Any

from kscope.declare.files.union import STATE
from kscope.declare.model import HOSTNAME
from kscope.query.across.cells import LAST_TIME
from kscope.query.across.names import Names
from kscope.query.across.overview_answer import OnTop
from kscope.query.across.units import Unit, unit_of
from kscope.query.across.views import View, view_of
from kscope.query.across.windows import Baseline, Stretches, buckets_of, ends_of, windows_before
from kscope.query.changes.telling import telling
from kscope.query.parse.scope import Scope
from kscope.query.scan.heaviest import heaviest
from kscope.query.scan.measures import ROWS, events_of, total_of
from kscope.query.scan.read import summed
from kscope.query.scan.scan import Scan, at_another_time, columns, plain_scan_of
from kscope.query.scan.timesteps import Steps
from kscope.store.reader import Reader

# Groups that are read to find those on top, and those that are named.
_RANKED = 200
_SHOWN = 2


@dataclass(slots=True)
class HostSeries:
    """Rates of one host: by step, and by earlier window. `quantum` is the size of one event.

    `rows` has those of each step, `last` is the newest's time (us), in the range or before it.
    """

    values: list[float]
    rows: list[int]
    earlier: list[float]
    last: int = 0
    quantum: float = 0.0


@dataclass(slots=True)
class TableSeries:
    view: View
    unit: Unit
    hosts: dict[str, HostSeries] = field(default_factory=dict)
    rows: int = 0
    last: int | None = None
    on_top: list[OnTop] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        """The rates of all hosts together."""
        return [sum(step) for step in zip(*(h.values for h in self.hosts.values()), strict=True)]

    @property
    def earlier(self) -> list[float]:
        return [sum(each) for each in zip(*(h.earlier for h in self.hosts.values()), strict=True)]


async def read_series(reader: Reader, scope: Scope, grid: Steps, texts: Names) -> TableSeries:
    """Read one category; it has no rows at all if `last` is None."""
    view = view_of(scope.category)
    found = TableSeries(view, unit_of(view))
    ends = await ends_of(reader, scope.category)
    if ends is None:
        return found
    first, found.last = ends
    needs = [each for each in (HOSTNAME, *view.value.columns) if each]
    measures = (total_of(view.value), events_of(view.value), ROWS, LAST_TIME)
    scan = await plain_scan_of(reader, scope, needs, step=grid.length)
    here = await summed(scan.uncut(), lambda at: [*columns(HOSTNAME)(at), grid.of(at)], measures)
    length = scope.range.end - scope.range.start
    baseline = Baseline(scope.range.start, length)
    windows = windows_before(baseline, buckets_of(reader, scope, needs), first)
    there = await _earlier(scan, scope, windows, view)
    hosts = await texts.of(HOSTNAME, {key[0] for key in (*here, *there)})
    _fill(found, hosts, (here, there), (grid, windows))
    if found.rows:
        found.on_top = await _on_top(scan, scope, view, texts)
    return found


Sums = Mapping[tuple[Any, ...], Sequence[Any]]


async def _earlier(scan: Scan, scope: Scope, windows: Stretches, view: View) -> Sums:
    """Return the sums of each host and earlier window."""
    if not windows.count:
        return {}
    scan = await at_another_time(scan, replace(scope, range=windows.range), windows.length)
    keys = columns(HOSTNAME)
    measures = (total_of(view.value), LAST_TIME)
    return await summed(scan.uncut(), lambda at: [*keys(at), windows.of(at)], measures)


def _fill(
    found: TableSeries,
    hosts: Mapping[Any, str],
    sums: tuple[Sums, Sums],
    grids: tuple[Steps, Stretches],
) -> None:
    here, there = sums
    grid, windows = grids

    def host(key: Any) -> HostSeries:
        empty = HostSeries([0.0] * grid.count, [0] * grid.count, [0.0] * windows.count)
        return found.hosts.setdefault(hosts[key], empty)

    totals: defaultdict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (key, step), (value, events, rows, last) in here.items():
        series = host(key)
        if 0 <= step < grid.count:
            series.values[step] += found.unit.rate(float(value or 0), grid.length)
            series.rows[step] += rows
        series.last = max(series.last, last)
        found.rows += rows
        totals[key][0] += float(value or 0)
        totals[key][1] += float(events or 0)
    for key, (value, events) in totals.items():
        host(key).quantum = found.view.quantum(value, events)
    for (key, window), (value, last) in there.items():
        series = host(key)
        if 0 <= window < windows.count:
            series.earlier[window] += found.unit.rate(float(value or 0), windows.length)
        series.last = max(series.last, last)


async def _on_top(scan: Scan, scope: Scope, view: View, texts: Names) -> list[OnTop]:
    """Return the states of a union; else the frames, or the processes, with the largest shares."""
    states = scope.category.column(STATE) if scope.category.union else None
    column = states or view.stack or view.by
    if column is None:
        return []
    names = {*scan.names, column.name}
    scan = await at_another_time(replace(scan, names=names, stack=view.stack), scope)
    found = await heaviest(scan.uncut(), columns(column), (total_of(view.value),), _RANKED)
    shares: Counter[str] = Counter()
    whole = found.totals[0] or 0
    keys = {key for (key,) in found.groups}
    if column is view.stack:
        stacks = await texts.of(column, keys)
        shown = {key: telling(stacks[key]) for key in keys}
    else:
        shown = {**await texts.of(column, keys)}
    for (key,), (value,) in found.groups.items():
        shares[shown[key]] += value or 0
    if states:
        best = [word for word in states.words if word in shares]
    else:
        best = nlargest(_SHOWN, (name for name in shares if name), key=shares.__getitem__)
    return [OnTop(column.name, name, shares[name] / whole) for name in best if whole]
