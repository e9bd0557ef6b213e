"""Sampled stacks as `perf script` prints them.

mysqld 1234/1240 [002] 5184.302: 250000 cpu-clock:
        ffffffff81a0 schedule+0x2e ([kernel.kallsyms])
            7f2c3b1d __futex_wait+0x1c (/usr/lib/libc.so.6)
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from kscope.readers.base import ImportColumns, Line, ReadError

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


def perf_script(lines: Iterable[str], columns: ImportColumns) -> Iterator[Line]:
    """Yield one row per sample; its time counts from the first sample."""
    first: float | None = None
    for number, event, frames in _samples(lines):
        time = float(event["time"])
        first = time if first is None else first
        row: dict[str, Any] = {
            columns.stack.name: ";".join(_named(*each, event["comm"]) for each in reversed(frames)),
            columns.value.name: _value(number, event, columns),
        }
        if columns.root:
            row[columns.root.name] = event["comm"]
        for name in ("pid", "tid"):
            if event[name] and columns.category.column(name) is not None:
                row[name] = int(event[name])
        yield Line(number, row, time - first)


def _samples(lines: Iterable[str]) -> Iterator[_Sample]:
    sample: _Sample | None = None
    for number, line in enumerate(lines, 1):
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


def _value(number: int, event: re.Match[str], columns: ImportColumns) -> int:
    if columns.value.type.counts_events:
        return 1
    if columns.value.type.unit == "us" and _CLOCKS.fullmatch(event["event"]):
        if event["period"]:
            return int(event["period"]) // 1000
        raise ReadError(
            number,
            f"event {event['event']} has no period, which says how long it was: print it with "
            "`perf script -F +period`, or choose a count with --value",
        )
    raise ReadError(
        number,
        f"event {event['event']} does not say how much {columns.value.name} there was; "
        "choose a count with --value",
    )


def _named(symbol: str, dso: str, comm: str) -> str:
    """Return the frame with a mark for the kernel or a library, as in a probe's stacks."""
    name = symbol.replace(";", ":")
    library = PurePosixPath(dso.removesuffix(" (deleted)")).name
    if dso.startswith(("[kernel", "[guest.kernel")) or ".ko" in library:
        return f"{name}_[k]"
    if dso in ("[unknown]", "inlined", "") or library.startswith(comm[:15]):
        return name
    if dso.startswith("[") and dso not in ("[vdso]", "[heap]", "[stack]", "[vsyscall]"):
        return f"{name}_[k]"
    return f"{name} [{library.strip('[]')}]"
