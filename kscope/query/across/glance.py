"""The parts of an overview, from the series that are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from math import sqrt
from typing import Any

from kscope.query.across import amounts
from kscope.query.across.hearing import PATIENCE
from kscope.query.across.losses import Loss
from kscope.query.across.overview_answer import Event, HostOverview, Stretch, TableOverview
from kscope.query.across.question import AskedOfAll, TableScope
from kscope.query.across.sentences import clock
from kscope.query.across.series import HostSeries, TableSeries
from kscope.query.across.unusual import Part, Run, Together, runs, together, usual_of
from kscope.query.answers.hosts import Host
from kscope.query.answers.meta import Notice
from kscope.query.answers.quality import AGENT
from kscope.query.parse.timerange import SECOND
from kscope.query.scan.timesteps import Steps

_MOST_EVENTS = 5
_MOST_STRETCHES = 5
# The weight of a host's silence beside that of stretches, which is in spreads.
_SILENCE = 60.0


@dataclass(frozen=True)
class Glance:
    """Making it takes processor time: do it in a thread."""

    asked: AskedOfAll
    grid: Steps
    read: Mapping[str, TableSeries]
    failed: Mapping[str, str]
    losses: Sequence[Loss]
    alike: Mapping[str, Host]

    def parts(self) -> dict[str, Any]:
        """Return the fields of an answer that the series tell."""
        return {
            "tables": [
                self._table(each, found)
                for each in self.asked.tables
                if (found := self.read.get(each.category.table)) and found.last is not None
            ],
            "hosts": [self._host(name) for name in sorted(self.last)],
            "events": self._events(),
            "notices": [
                Notice("warning", f"{table}: {why}") for table, why in sorted(self.failed.items())
            ],
        }

    @cached_property
    def last(self) -> dict[str, int]:
        """Each host's newest row of any table (us)."""
        found: dict[str, int] = {}
        for table in self.read.values():
            for host, series in table.hosts.items():
                found[host] = max(series.last, found.get(host, series.last))
        return found

    @cached_property
    def silent(self) -> dict[str, int]:
        """The hosts that stopped while others went on, each with the time of its newest row."""
        newest = max(self.last.values(), default=0)
        pause = max(PATIENCE, 2 * self.grid.length)
        return {host: time for host, time in self.last.items() if time < newest - pause}

    @cached_property
    def heard(self) -> dict[str, list[bool]]:
        """The earlier windows in which a host has rows of any table, the newest first."""
        found: dict[str, list[bool]] = {}
        for host in self.last:
            each = (
                table.hosts[host].earlier[::-1]
                for table in self.read.values()
                if host in table.hosts
            )
            found[host] = [any(window) for window in zip_longest(*each, fillvalue=0.0)]
        return found

    @cached_property
    def heard_at_all(self) -> list[bool]:
        """The earlier windows in which any host is heard, the newest first."""
        return [any(window) for window in zip_longest(*self.heard.values(), fillvalue=False)]

    @cached_property
    def whole(self) -> int:
        """How many steps have ended before the newest row: the next may not be whole yet."""
        newest = max(self.last.values(), default=self.asked.range.end)
        end = min(newest, self.asked.range.end)
        return max(0, min(self.grid.count, (end - self.grid.origin) // self.grid.length))

    @cached_property
    def found(self) -> dict[str, list[tuple[str, Run]]]:
        """The unusual runs of each table, with their hosts."""
        return {
            name: [
                (host, run)
                for host, series in table.hosts.items()
                for run in self._runs(table, host, series)
            ]
            for name, table in self.read.items()
            if name != AGENT
        }

    def _first(self) -> int:
        """The first step that lies in the range as a whole."""
        return 0 if self.grid.origin >= self.asked.range.start else 1

    def _runs(self, table: TableSeries, host: str, series: HostSeries) -> list[Run]:
        first, stop = self._first(), self._heard_until(host)
        values = series.values[first:stop]
        known = _known(series.earlier, self.heard[host])
        usual = usual_of(values, known, self._chance(table, series, known))
        return [
            Run(run.first + first, run.stop + first, run.rate, run.usual, run.score)
            for run in runs(values, usual)
        ]

    def _heard_until(self, host: str) -> int:
        if host not in self.silent:
            return self.whole
        ended = (self.silent[host] - self.grid.origin) // self.grid.length
        return max(0, min(self.whole, ended))

    def _chance(self, table: TableSeries, series: HostSeries, known: Sequence[float]) -> float:
        """The deviation of a step's rate that comes from counting its events by chance."""
        length = self.grid.length / SECOND
        quantum = series.quantum * table.unit.size / length
        middle = usual_of(series.values, known).middle
        return quantum * sqrt(middle / quantum + 1) if quantum else 0.0

    def _table(self, asked: TableScope, found: TableSeries) -> TableOverview:
        category, unit = asked.category, found.unit
        values = found.values or [0.0] * self.grid.count
        first, stop = self._first(), self.whole
        usual = usual_of(values[first:stop], _known(found.earlier, self.heard_at_all))
        now = values[stop - 1] if 0 < stop <= len(values) else 0.0
        total = sum(values) / len(values) if values else 0.0
        return TableOverview(
            table=category.table,
            prettyname=category.prettyname,
            description=category.description,
            unit=unit.name,
            now=now,
            now_text=unit.short(now),
            total_text=unit.long(total),
            values=values,
            low=usual.low,
            high=usual.high,
            unusual=self._stretches(found),
            on_top=found.on_top,
            rows=found.rows,
            last=found.last,
            inactive=[each.parameter for each in asked.inactive],
        )

    def _stretches(self, table: TableSeries) -> list[Stretch]:
        """Return the table's unusual stretches: those of several hosts at a time are one."""
        name = table.view.table
        found = self.found.get(name, [])
        by_part = {(*self._times(run), host): run for host, run in found}
        joined = together(Part(*self._times(run), name, host, run.score) for host, run in found)
        return [self._stretch(each, by_part) for each in joined[:_MOST_STRETCHES]]

    def _stretch(self, found: Together, by_part: Mapping[tuple[int, int, str], Run]) -> Stretch:
        head = found.head
        run = by_part[head.start, head.end, head.host]
        factor = run.rate / run.usual if run.usual > 0 else None
        size = amounts.times(factor) if factor else "new"
        open_end = run.stop >= self.whole and self.whole == self._heard_until(head.host)
        ended = f"since {clock(head.start)}" if open_end else self._at(head)
        hosts = sorted({each.host for each in found.parts})
        return Stretch(head.start, head.end, factor, f"{size} {ended}", hosts)

    def _at(self, part: Part) -> str:
        return f"at {clock(part.start)}-{clock(part.end)}"

    def _times(self, run: Run) -> tuple[int, int]:
        start = self.grid.origin + run.first * self.grid.length
        return start, min(self.grid.origin + run.stop * self.grid.length, self.asked.range.end)

    def _host(self, name: str) -> HostOverview:
        losses = [each for each in self.losses if each.host == name]
        like = self.alike.get(name)
        return HostOverview(
            host=name,
            group=like.group if like else -1,
            group_name=like.group_name if like else "",
            distance=like.distance if like else None,
            last=self.last[name],
            silent_since=self.silent.get(name),
            lost=sum(each.lost for each in losses),
            lost_text="; ".join(each.text for each in losses[:3]),
            rows=sum(
                sum(table.hosts[name].rows) for table in self.read.values() if name in table.hosts
            ),
        )

    def _events(self) -> list[Event]:
        parts = [
            Part(*self._times(run), table, host, run.score)
            for table, each in self.found.items()
            for host, run in each
        ]
        weighed = [(each.weight, _event(each)) for each in together(parts)]
        for host, time in self.silent.items():
            start = max(time, self.asked.range.start)
            silence = Event(
                start=start, end=self.asked.range.end, hosts=[host], tables=[], silent=True
            )
            weighed.append((_SILENCE, silence))
        weighed.sort(key=lambda each: -each[0])
        return [event for _, event in weighed[:_MOST_EVENTS]]


def _event(found: Together) -> Event:
    """Return an event; hosts and tables that tell most of it come first."""
    head = found.head
    return Event(
        start=head.start,
        end=head.end,
        hosts=list(dict.fromkeys(each.host for each in found.parts)),
        tables=list(dict.fromkeys(each.table for each in found.parts)),
        silent=False,
    )


def _known(earlier: Sequence[float], heard: Sequence[bool]) -> list[float]:
    """Leave out the windows before the first rows, and those in which nothing was heard.

    `heard` begins with the newest window.
    """
    first = next((i for i, each in enumerate(earlier) if each), len(earlier))
    later = zip(reversed(earlier[first:]), heard, strict=False)
    return [each for each, is_heard in later if is_heard][::-1]
