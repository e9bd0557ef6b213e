"""Rows of a recording of `perf script`."""

from collections.abc import Iterable, Iterator

from kscope.declare.types.base import Role
from kscope.profiles.sample import Amount, Sample
from kscope.readers.perf.events import column_name, is_clock, nanoseconds
from kscope.readers.perf.heads import SampleHead
from kscope.readers.perf.samples import PerfSample, SampleReader
from kscope.readers.perf.survey import PerfSurvey, survey
from kscope.readers.reading.base import Line, ReadError, Reading

_MOST_LISTED = 20
_ONE = Amount("samples", "count", 1)
_ONLY_THREADS = (
    "only the ids of threads are in it, so pid is 0: print both with `perf script -F +pid`"
)


def rows(reading: Reading) -> Iterator[Line]:
    """Yield one row per sample; its time counts from the first sample. Raises ReadError."""
    found = reading.survey if isinstance(reading.survey, PerfSurvey) else survey(reading)
    _tell(reading, found)
    amounts = _Amounts(reading)
    named = [name for name in ("cpu", "event") if reading.category.column(name)]
    reader = SampleReader(found.shape, reading.skipped, lambda head: head.event in found.chosen)
    first, has_pid = found.first or 0.0, reading.category.column("pid") is not None
    for sample in reader.samples(reading.lines()):
        head = sample.head
        labels = _labels(head, named) if named else {}
        stack = tuple(reversed(sample.frames))
        made = Sample(stack, amounts.of(sample), head.comm, head.pid, head.tid, labels)
        if has_pid and head.pid is None and head.tid:
            reading.notice(_ONLY_THREADS)
        yield reading.line(sample.number, made, 0.0 if head.time is None else head.time - first)


def _labels(head: SampleHead, names: Iterable[str]) -> dict[str, str | int]:
    """Return the fields of a sample that the category has columns for."""
    known: dict[str, str | int | None] = {"cpu": head.cpu, "event": head.event}
    return {name: value for name in names if (value := known[name]) is not None}


class _Amounts:
    """The amounts of samples for the columns of a category."""

    def __init__(self, reading: Reading) -> None:
        columns = reading.columns
        self._value = columns.value
        self._columns = {each.name for each in reading.category.with_role(Role.VALUE)}
        timed = columns.value.sampled_by or reading.options.frequency
        self._needs_time = columns.value.type.unit == "us" and not timed
        counts = (each.name for each in reading.category.columns if each.type.counts_events)
        self._count = next(counts, "")

    def of(self, sample: PerfSample) -> tuple[Amount, ...]:
        """Return one sample, its time if it says one, and its period for a column of its name."""
        head = sample.head
        time = nanoseconds(head.event, head.period, head.rest)
        if time is not None:
            return (_ONE, Amount("elapsed", "ns", time))
        if self._needs_time:
            self._refuse(sample)
        name = column_name(head.event) if head.period else ""
        if head.period and name in self._columns and name != _ONE.kind:
            return (_ONE, Amount(name, "count", head.period))
        return (_ONE,)

    def _refuse(self, sample: PerfSample) -> None:
        event, name = sample.head.event, self._value.name
        count = f", or choose a count with --value {self._count}" if self._count else ""
        if is_clock(event):
            raise ReadError(
                sample.number,
                f"event {event} has no period, which says how long it was: print it with "
                f"`perf script -F +period`{count}",
            )
        named = f"event {event}" if event else "the recording"
        raise ReadError(
            sample.number,
            f"{named} does not say how much {name} there was; name the rate with --frequency"
            f"{count}",
        )


def _tell(reading: Reading, found: PerfSurvey) -> None:
    """Note which events are left out, and where the time of a sample comes from."""
    if found.others and not reading.options.event:
        others = found.others[:_MOST_LISTED]
        listed = ", ".join(f"{name or 'no name'} ({_samples(count)})" for name, count in others)
        chosen = ", ".join(sorted(found.chosen))
        reading.notice(f"event {chosen} is read; left out are {listed}: choose with --event")
    if found.interval and not reading.options.frequency:
        source = (
            f"by the {found.header_rate} Hz in its header"
            if found.header_rate
            else "the recording's own interval"
        )
        reading.notice(
            f"time is samples x {found.interval * 1000:.3g} ms, {source}; --frequency says another"
        )


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"
