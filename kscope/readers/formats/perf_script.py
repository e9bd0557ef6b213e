"""Sampled stacks as `perf script` prints them.

mysqld 1234/1240 [002] 5184.302: 250000 cpu-clock:
        ffffffff81a0 schedule+0x2e ([kernel.kallsyms])
            7f2c3b1d __futex_wait+0x1c (/usr/lib/libc.so.6)
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from kscope.profiles.sample import Amount, Sample
from kscope.readers.reading.base import Format, Head, Line, ReadError, Reading, Survey

_EVENT = re.compile(
    r"\s*(?P<comm>\S.*?)\s+(?P<pid>-?\d+)(?:/(?P<tid>-?\d+))?\s+(?:\[\d+\]\s+)?"
    r"(?P<time>\d+\.\d+):\s+(?:(?P<period>\d+)\s+)?(?P<event>[\w:./\-,]+?):(?P<rest>\s.*)?"
)
_FRAME = re.compile(
    r"\s+[0-9a-f]+\s+(?P<symbol>.+?)(?:\+0x[0-9a-f]+)?\s+\((?P<dso>[^()]*(?:\(.*\))?)\)\s*"
)
# The period of these is in nanoseconds.
_CLOCKS = re.compile(r"(cpu-clock|task-clock|sched:sched_stat_\w+)(:\w+)?")


# Its line, the line of its event, and its frames with their libraries, the innermost first.
_Sample = tuple[int, re.Match[str], list[tuple[str, str]]]


def _read(reading: Reading) -> Iterator[Line]:
    """Yield one row per sample; its time counts from the first sample."""
    first: float | None = None
    for number, event, frames in _samples(reading.lines()):
        time = float(event["time"])
        first = time if first is None else first
        stack = tuple(_named(*each, event["comm"]) for each in reversed(frames))
        pid, tid = int(event["pid"]), int(event["tid"]) if event["tid"] else None
        sample = Sample(stack, _amounts(event), event["comm"], pid, tid)
        _check_time(number, event, sample, reading)
        yield reading.line(number, sample, time - first)


def _amounts(event: re.Match[str]) -> tuple[Amount, ...]:
    count = Amount("samples", "count", 1)
    if event["period"] and _CLOCKS.fullmatch(event["event"]):
        return (count, Amount("elapsed", "ns", int(event["period"])))
    return (count,)


def _check_time(number: int, event: re.Match[str], sample: Sample, reading: Reading) -> None:
    """Raise ReadError if the category needs a time that the sample does not have."""
    columns = reading.columns
    timed = len(sample.amounts) > 1 or columns.frequency or columns.value.sampled_by
    if timed or columns.value.type.counts_events:
        return
    if _CLOCKS.fullmatch(event["event"]):
        raise ReadError(
            number,
            f"event {event['event']} has no period, which says how long it was: print it with "
            "`perf script -F +period`, or choose a count with --value",
        )
    raise ReadError(
        number,
        f"event {event['event']} does not say how much {columns.value.name} there was; name the "
        "rate with --frequency, or choose a count with --value",
    )


def _survey(reading: Reading) -> Survey:
    times = [float(event["time"]) for _, event, _ in _samples(reading.lines())]
    return Survey(length=max(times) - times[0] if times else 0.0)


def _samples(lines: Iterable[tuple[int, str]]) -> Iterator[_Sample]:
    sample: _Sample | None = None
    for number, line in lines:
        frame = _FRAME.fullmatch(line.rstrip("\n"))
        if frame and sample:
            sample[2].append((frame["symbol"], frame["dso"]))
        elif line.strip() and not line.startswith("#"):
            if sample:
                yield sample
            event = _EVENT.fullmatch(line.rstrip("\n"))
            if event is None:
                raise ReadError(number, f"is neither a sample nor a frame: {line.strip()[:60]!r}")
            # Recorded without -g, the only known frame is on the line of the event.
            frame = _FRAME.fullmatch(event["rest"] or "")
            sample = number, event, [(frame["symbol"], frame["dso"])] if frame else []
    if sample:
        yield sample


def _named(symbol: str, dso: str, comm: str) -> str:
    """Return the frame with a mark for the kernel or a library, as in a probe's stacks."""
    name = symbol
    library = PurePosixPath(dso.removesuffix(" (deleted)")).name
    if dso.startswith(("[kernel", "[guest.kernel")) or ".ko" in library:
        return f"{name}_[k]"
    if dso in ("[unknown]", "inlined", "") or library.startswith(comm[:15]):
        return name
    if dso.startswith("[") and dso not in ("[vdso]", "[heap]", "[stack]", "[vsyscall]"):
        return f"{name}_[k]"
    return f"{name} [{library.strip('[]')}]"


def _matches(head: Head) -> bool:
    return any(map(_EVENT.fullmatch, head.lines()))


FORMATS = (
    Format(
        name="perf",
        help="the output of `perf script`",
        example="perf script | kscope import profile -",
        matches=_matches,
        read=_read,
        survey=_survey,
        rank=40,
        options=frozenset({"value", "root", "frequency", "event"}),
    ),
)
