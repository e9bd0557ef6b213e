"""The first pass over a recording of `perf script`: its events, its length and its interval."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kscope.declare.model import Category
from kscope.errors import KscopeError
from kscope.readers.perf.events import chosen_events, nanoseconds, same_events, takes_time
from kscope.readers.perf.gaps import SampleTimes
from kscope.readers.perf.header import HeaderRates
from kscope.readers.perf.heads import SampleHead
from kscope.readers.perf.other_lines import NO_SAMPLE, shown
from kscope.readers.perf.samples import SampleReader, Shape, shape_of
from kscope.readers.reading.base import ReadError, Reading, Survey

# Recordings have some events; more names come from damaged lines.
_MOST_EVENTS = 64
_MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class PerfSurvey(Survey):
    """Also the shape of the samples, the time of the first one in seconds, which events to read,
    how many samples the others have, and the samples a second that the header names.
    """

    shape: Shape = Shape.FULL
    first: float | None = None
    chosen: frozenset[str] = frozenset()
    others: tuple[tuple[str, int], ...] = ()
    header_rate: int | None = None


@dataclass(slots=True)
class _Event:
    """An event: its samples, how many of them name no time, and when they came."""

    samples: int = 0
    untimed: int = 0
    times: SampleTimes = field(default_factory=SampleTimes)


@dataclass(slots=True)
class _Seen:
    """The events and times of all samples, in bounded memory."""

    events: dict[str, _Event] = field(default_factory=dict)
    first: float | None = None
    last: float = 0.0

    def add(self, head: SampleHead) -> bool:
        """Add a sample; return False, since its frames are not needed."""
        event = self.events.get(head.event)
        if event is None:
            if len(self.events) >= _MOST_EVENTS:
                return False
            event = self.events[head.event] = _Event()
        event.samples += 1
        event.untimed += nanoseconds(head.event, head.period, head.rest) is None
        if head.time is not None:
            event.times.add(head.time, head.cpu, head.tid)
            self.first = head.time if self.first is None else self.first
            self.last = max(self.last, head.time)
        return False


def survey(reading: Reading) -> PerfSurvey:
    """Read the recording once. Raises ReadError if it has no samples, KscopeError for --event."""
    rates = HeaderRates()
    shape, other = shape_of(rates.watched(reading.lines()))
    if shape is None:
        number, line = other or (1, "")
        raise ReadError(number, f"is {NO_SAMPLE}: {shown(line)}" if other else "has no samples")
    seen = _Seen()
    for _ in SampleReader(shape, reading.skipped, seen.add).samples(reading.lines()):
        raise AssertionError("no frames are asked for")
    if not seen.events:
        # The lines with the shape of a sample are all records of other kinds.
        raise ReadError(1, "has no samples")
    chosen = _chosen(seen, reading.options.event)
    event = next(name for name in seen.events if name in chosen)
    rate = rates.of(event)
    wanted = _needs_interval(reading.category, event, [seen.events[name] for name in chosen])
    interval = (1 / rate if rate else seen.events[event].times.interval()) if wanted else None
    return PerfSurvey(
        length=seen.last - seen.first if seen.first is not None else 0.0,
        event=event,
        interval=interval,
        shape=shape,
        first=seen.first,
        chosen=chosen,
        others=tuple((n, each.samples) for n, each in seen.events.items() if n not in chosen),
        header_rate=rate if wanted else None,
    )


def _chosen(seen: _Seen, wanted: str) -> frozenset[str]:
    """Return the events that the user named, else the first with any modifiers.

    Raises KscopeError.
    """
    if not wanted:
        return same_events(seen.events, next(iter(seen.events)))
    found = chosen_events(seen.events, wanted)
    if not found:
        named = ", ".join(name for name in [*seen.events][:_MOST_LISTED] if name)
        raise KscopeError(f"--event {wanted}: the recording has {named or 'no names of events'}")
    return found


def _needs_interval(category: Category, event: str, chosen: Iterable[_Event]) -> bool:
    """Return whether times are computed from the number of samples, and can be."""
    counted = any(column.sampled_by for column in category.columns)
    return counted and takes_time(event) and any(each.untimed for each in chosen)
