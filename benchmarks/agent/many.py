"""One agent that traces many processes: its memory, and where it goes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.agent import account
from benchmarks.agent.workloads import SMALL, MissingError
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent
from tests.stacks.stage import Stage

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

PROCESSES = 50
_INTERVALS = 4
_PAUSE = 20
_PATIENCE = 60


@dataclass(frozen=True)
class Memory:
    """Bytes. `said` is the agent's own figure; `mapped` its resident memory by file."""

    processes: int
    said: int
    resident: int
    maps: account.Maps
    mapped: Counter[str]


def memory(folder: Path, processes: int) -> Memory:
    """Trace so many processes of all kinds by their cgroup."""
    with _processes(folder, processes) as stage, fake_server() as server:
        sending = ("--server", server.url, "--spool", folder / "many.spool", "--interval", 2)
        with agent("offcputime", "--cgroup", stage.cgroup, *sending) as running:
            end = time.monotonic() + _PATIENCE
            while len(server.intervals()) < _INTERVALS and time.monotonic() < end:
                time.sleep(0.1)
            pid = running.process.pid
            return Memory(
                len((stage.cgroup / "cgroup.procs").read_text().split()),
                max((row["memory"] for row in server.intervals()), default=0),
                account.resident(pid),
                account.maps(pid),
                account.mapped(pid),
            )


@contextmanager
def _processes(folder: Path, count: int) -> Iterator[Stage]:
    with Stage(folder, "many") as stage:
        for i in range(count):
            try:
                SMALL[i % len(SMALL)].start(stage, _PAUSE)
            except MissingError:
                SMALL[0].start(stage, _PAUSE)
        yield stage
