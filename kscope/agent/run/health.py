"""Losses as data: rows of the built-in category `agent`, for each probe and interval.

One row is about the interval. Those of the state `stacks` are about binaries: stacks that broke in
them, and frames without a name.
"""

import dataclasses
import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kscope.agent.rows.interval import Fault, LossCounts, Row
from kscope.agent.stacks.walk import NAMELESS
from kscope.client.sender import Sender
from kscope.client.spool import Spool

TABLE = "agent"
# An older server refuses a row with these columns. They are sent if they are not 0.
_ADDED = frozenset({"lost_values"})
STACKS = "stacks"
_ON_ITS_WAY = 2.0  # seconds
_MOST_FAULTS = 20  # in one interval; the rows of a host stay few
_LONGEST = 200
# Means are of all rows: those about binaries repeat what is not a sum.
_NOT_SUMS = ("memory", "threshold", "spool_batches", "spool_bytes", "spool_age")
_MEMLOCK = re.compile(r"^memlock:\s+(\d+)", re.MULTILINE)


@dataclass(slots=True)
class Interval:
    """One interval of a probe; times are in microseconds."""

    probe: str
    state: str
    detail: str = ""
    elapsed: int = 0
    row_count: int = 0
    loss: LossCounts = dataclasses.field(default_factory=LossCounts)
    bpf_runs: int = 0
    bpf_time: int = 0
    cpu_time: int = 0
    threshold: int = 0
    lost_intervals: int = 0
    faults: Counter[Fault] = dataclasses.field(default_factory=Counter)


def fault_rows(interval: Interval, row: Row) -> list[Row]:
    """Return a row for each binary and reason, of those with the largest numbers.

    `row` is that of the interval.
    """
    repeated = {name: row[name] for name in _NOT_SUMS}
    return [
        {
            "probe": interval.probe,
            "state": STACKS,
            "binary_name": binary[:_LONGEST],
            "reason": reason,
            "nameless_frames" if reason == NAMELESS else "broken_stacks": count,
            **repeated,
        }
        for (binary, reason), count in interval.faults.most_common(_MOST_FAULTS)
    ]


def health_row(interval: Interval, spool: Spool, sender: Sender) -> Row:
    """Return the row about an interval, with the state of the shared spool."""
    # The rows of this interval were just written: they are on their way and do not count.
    batches, size, age = spool.depth(_ON_ITS_WAY)
    row = dataclasses.asdict(interval)
    del row["faults"]
    loss = row.pop("loss")
    row |= {name: loss.pop(name) for name in ("frames", "frames_unknown")}
    row |= {f"lost_{name}": count for name, count in loss.items()}
    row |= {
        "detail": interval.detail[:1000],
        "memory": memory_bytes(),
        "raised_time": interval.elapsed if interval.threshold else 0,
        "paused_time": interval.elapsed if interval.state == "paused" else 0,
        "spool_batches": batches,
        "spool_bytes": size,
        "spool_age": round(age, 1),
        "failed_sends": sender.take_failures(),
    }
    return {name: value for name, value in row.items() if value or name not in _ADDED}


def memory_bytes() -> int:
    """Return the resident memory of the agent plus that of its BPF maps in the kernel."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a hot path
        total = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    for info in Path("/proc/self/fdinfo").iterdir():
        with suppress(OSError):  # closed in the meantime
            text = info.read_text(encoding="ascii", errors="replace")
            if "\nmap_type:" in text and (found := _MEMLOCK.search(text)):
                total += int(found[1])
    return total
