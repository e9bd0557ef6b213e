"""Losses as data: one row of the built-in category `agent` for each probe and interval."""

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path

from kscope.agent.rows.interval import LossCounts, Row
from kscope.client.sender import Sender
from kscope.client.spool import Spool

TABLE = "agent"
# An older server refuses a row with these columns. They are sent if they are not 0.
_ADDED = frozenset({"lost_values"})
_ON_ITS_WAY = 2.0  # seconds
_MEMLOCK = re.compile(r"^memlock:\s+(\d+)", re.MULTILINE)
_PAGE = os.sysconf("SC_PAGE_SIZE")


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


class Health:
    """Turns intervals into rows, with the state of the shared spool."""

    def __init__(self, spool: Spool, sender: Sender) -> None:
        self._spool = spool
        self._sender = sender

    def row(self, interval: Interval) -> Row:
        # The rows of this interval were just written: they are on their way and do not count.
        batches, size, age = self._spool.depth(_ON_ITS_WAY)
        row = dataclasses.asdict(interval)
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
            "failed_sends": self._sender.take_failures(),
        }
        return {name: value for name, value in row.items() if value or name not in _ADDED}


def killed_row(probe: str, seconds: float) -> Row:
    """Return the row of an interval without a drain: the agent was killed or the host failed."""
    return {
        "probe": probe,
        "state": "killed",
        "detail": "the agent ended without a drain: the data of this interval is lost",
        "elapsed": round(seconds * 1e6),
        "lost_intervals": 1,
    }


def memory_bytes() -> int:
    """Return the resident memory of the agent plus that of its BPF maps in the kernel."""
    return resident_bytes() + map_bytes()


def map_bytes() -> int:
    total = 0
    for info in Path("/proc/self/fdinfo").iterdir():
        try:
            text = info.read_text(encoding="ascii", errors="replace")
        except OSError:  # closed in the meantime
            continue
        if "\nmap_type:" in text and (found := _MEMLOCK.search(text)):
            total += int(found[1])
    return total


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a hot path
        return int(file.read().split()[1]) * _PAGE
