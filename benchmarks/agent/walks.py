"""The walk of the user stack alone: ks_stack beside get_stackid, timed in one BPF program."""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.agent import account
from tests.agent.fakeserver import fake_server
from tests.agent.tracing import agent

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
TABLE = "walkcost"
INTERVALS = 3  # of a second, after the first
_PATIENCE = 60
_MARKS = ("[broken]", "[truncated]")
# Where a thread starts: the kernel's first instruction in it, or libc's code that nothing calls.
_START = re.compile(r"(_start|__libc_start_call_main|(__)?clone3?|start_thread)( \[.*\])?")


@dataclass
class Walks:
    """Of each interval: ns and frames of a walk, ours and get_stackid's; share of whole ones."""

    ns: list[float] = field(default_factory=list)
    kernel_ns: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    kernel_frames: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    agent_memory: int = 0
    maps: int = 0

    @property
    def times(self) -> float:
        return statistics.median(
            ours / kernel for ours, kernel in zip(self.ns, self.kernel_ns, strict=True)
        )

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        ours = sum(row["walks"] for row in rows)
        kernel = sum(row["kernel_walks"] for row in rows)
        if not ours or not kernel:
            return
        self.ns.append(sum(row["nanoseconds"] for row in rows) / ours)
        self.frames.append(sum(row["frames"] for row in rows) / ours)
        self.kernel_ns.append(sum(row["kernel_nanoseconds"] for row in rows) / kernel)
        self.kernel_frames.append(sum(row["kernel_frames"] for row in rows) / kernel)
        self.whole.append(sum(row["walks"] for row in rows if is_whole(row["stack"])) / ours)


def is_whole(stack: str) -> bool:
    root, _, _ = stack.partition(";")
    return not any(mark in stack for mark in _MARKS) and _START.fullmatch(root) is not None


def walks(pid: int, folder: Path, *flags: object) -> Walks:
    """Trace a process for some intervals. Raises RuntimeError if the agent says nothing in time."""
    config = folder / "walkcost.yaml"
    config.write_text(f"categories: ['{HERE / 'categories'}']\n")
    found = Walks()
    with fake_server() as server:
        sending = ("--server", server.url, "--spool", folder / "walkcost.spool", "--interval", 1)
        given = ("--config", config, TABLE, "--pid", pid, *sending, *flags)
        with agent(*given) as running:
            end = time.monotonic() + _PATIENCE
            while len(_bodies(server.received)) <= INTERVALS:
                if time.monotonic() > end:
                    raise RuntimeError("".join(running.log)[-300:] or "no rows came")
                time.sleep(0.05)
            found.maps = account.maps(running.process.pid).total
            found.agent_memory = account.resident(running.process.pid) + found.maps
            bodies = _bodies(server.received)
    for body in bodies[1:]:  # tables are still being read in the first one
        stacks = body.get("stacks", [])
        rows = body[TABLE]
        found.add([row | {"stack": _text(row["stack"], stacks)} for row in rows])
    return found


def _bodies(received: Sequence[Any]) -> list[dict[str, Any]]:
    return [each.body for each in [*received] if each.body.get(TABLE)]


def _text(stack: Any, stacks: Sequence[str]) -> str:
    return stacks[stack] if isinstance(stack, int) else stack
