"""Findings as sentences: `On db-2, mysqld in jbd2_log_wait_commit: 0 to 2.7 threads waiting`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kscope.query.across import amounts
from kscope.query.across.changes_answer import Words
from kscope.query.across.readings import TableReading
from kscope.query.across.units import Unit, lowered, time_in, unit_of
from kscope.query.changes.finding import Finding
from kscope.query.parse.timerange import iso
from kscope.query.scan.sizes import Scale, quantile

_MOST_HOSTS = 3
_PROCESS = "process"
_P99 = 0.99


@dataclass(frozen=True, slots=True)
class Told:
    """A finding as a sentence; `before` and `now` are rates a second in `unit`."""

    sentence: list[Words]
    before: float
    now: float
    low: float
    high: float
    unit: Unit
    before_text: str
    now_text: str

    @property
    def text(self) -> str:
        return "".join(words.text for words in self.sentence)


@dataclass(frozen=True, slots=True)
class Teller:
    """Puts findings into words. `hosts` are all that are read, `length` is the range's (us)."""

    tables: Mapping[str, TableReading]
    hosts: Sequence[str]
    length: int
    silent_since: Mapping[str, int]

    def tell(self, found: Finding) -> Told:
        if found.kind == "silent" or found.table not in self.tables:
            return self._silent(found)
        unit = self._unit(found)
        before, now, low, high = (
            unit.rate(each, self.length)
            for each in (found.before, found.now, found.low, found.high)
        )
        texts = unit.short(before), unit.short(now)
        lead = [*self._on(found.hosts), *self._subject(found), Words(": ")]
        if found.kind == "lengths" or self._is_lengths(found):
            percentiles = self._percentiles(found)
            if percentiles and percentiles[0] != percentiles[1]:
                texts = percentiles
                sentence = [*lead, Words("p99 "), *_to(*texts)]
            else:
                first, second, word = unit.both(before, now)
                name = f"time in waits {found.name}, " if found.name else ""
                sentence = [*lead, Words(name), *_to(first, second), Words(f" {word}")]
        else:
            first, second, word = unit.both(before, now)
            sentence = [*lead, *_to(first, second), Words(f" {word}")]
        if found.factor is not None and found.kind == "load":
            sentence += [Words(", all of it "), Words(amounts.times(found.factor), "value")]
        return Told(sentence, before, now, low, high, unit, *texts)

    def _unit(self, found: Finding) -> Unit:
        view = self.tables[found.table].view
        if self._is_lengths(found) and view.histogram:
            return time_in(view.histogram)
        return unit_of(view)

    def _is_lengths(self, found: Finding) -> bool:
        histogram = self.tables[found.table].view.histogram
        return bool(histogram and histogram.name == found.column)

    def _on(self, hosts: Sequence[str]) -> list[Words]:
        if len(hosts) == len(self.hosts) > 1:
            return [Words(f"On all {len(hosts)} hosts, ")]
        return [Words("On "), *named(hosts), Words(", ")] if hosts else []

    def _subject(self, found: Finding) -> list[Words]:
        """Name the place: a frame of a process, a label, or everything of a process."""
        view = self.tables[found.table].view
        whole = self._whole(found)
        if self._is_lengths(found):
            lead = Words(lowered(view.category.prettyname))
            return [lead, Words(" of "), *whole[-1:]] if whole else [lead]
        if found.name is not None and view.stack and found.column == view.stack.name:
            frame = Words(shown(found.name), "frame")
            return [*whole, Words(" in "), frame] if whole else [frame]
        if found.name is not None:
            column = view.category.column(found.column)
            kind = f"{lowered(column.prettyname)} " if column else ""
            place = [Words(kind), Words(found.name or "no name", "label")]
            if not whole:
                return place
            if whole[-1].kind == "process":
                return [*place, Words(" of "), *whole]
            return [*whole, Words(", "), *place]
        return whole or [Words("everything")]

    def _whole(self, found: Finding) -> list[Words]:
        """Name the process, or the label that stands for it; nothing if it is several."""
        if found.process is None:
            return []
        by = self.tables[found.table].view.category.column(found.by)
        name = found.process or "no name"
        if by is None or found.by == _PROCESS:
            return [Words(name, "process")]
        return [Words(f"{lowered(by.prettyname)} "), Words(name, "label")]

    def _percentiles(self, found: Finding) -> tuple[str, str] | None:
        """Return the 99th percentile before and now."""
        table = self.tables[found.table]
        histogram = table.view.histogram
        before: dict[int, float] = {}
        now: dict[int, float] = {}
        for reading in table.readings:
            if reading.kind != "lengths" or reading.by != found.by:
                continue
            for cell in reading.cells:
                if cell.host in found.hosts and found.process in (None, cell.process):
                    slot = len(cell.path) - 1
                    events = 1.5 * 2**slot
                    now[slot] = now.get(slot, 0.0) + cell.now / events
                    before[slot] = before.get(slot, 0.0) + sum(cell.earlier) / events
        texts = [_percentile(each, histogram.unit if histogram else "") for each in (before, now)]
        return (texts[0], texts[1]) if all(texts) else None

    def _silent(self, found: Finding) -> Told:
        since = [self.silent_since[host] for host in found.hosts if host in self.silent_since]
        verb = " are silent" if found.hosts[1:] else " is silent"
        sentence = [*named(found.hosts), Words(verb)]
        if since:
            sentence += [Words(" since "), Words(clock(min(since)), "time")]
        else:
            sentence = [*named(found.hosts), Words(" sent nothing for a part of the range")]
        unit = Unit("of the time", at_once=True, size=1.0)
        return Told(sentence, 1.0, 0.0, 1.0, 1.0, unit, "heard", "silent")


def shown(frame: str) -> str:
    """Return a frame without the mark of kernel code, as the page shows it."""
    return frame.removesuffix("_[k]")


def named(hosts: Sequence[str]) -> list[Words]:
    """Name some hosts: `a`, `a, b and c`, or the first of many and how many others."""
    shown = list(hosts if len(hosts) <= _MOST_HOSTS + 1 else hosts[:_MOST_HOSTS])
    parts: list[Words] = []
    for i, host in enumerate(shown):
        last = i == len(shown) - 1 and len(shown) == len(hosts)
        parts += [Words(" and " if last else ", ")] if i else []
        parts.append(Words(host, "host"))
    if len(shown) < len(hosts):
        parts.append(Words(f" and {len(hosts) - len(shown)} others"))
    return parts


def clock(time: int) -> str:
    """Write the time of day (UTC) of a moment (us), with seconds if it has some."""
    try:
        moment = datetime.fromtimestamp(time // 10**6, UTC)
    except (ValueError, OverflowError, OSError):
        return iso(time)
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"


def _to(before: str, now: str) -> list[Words]:
    return [Words(before, "value"), Words(" to "), Words(now, "value")]


def _percentile(events: Mapping[int, float], unit: str) -> str:
    # As whole numbers: there may be less than one event of a slot in a window.
    counts = {slot: round(1000 * number) for slot, number in events.items() if number > 0}
    found = quantile(counts, _P99, Scale()) if counts else None
    if found is None or unit not in amounts.SECONDS:
        return ""
    return amounts.duration(found.value * amounts.SECONDS[unit])
