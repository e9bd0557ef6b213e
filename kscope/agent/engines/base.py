"""The interface between the runner and an engine."""

from dataclasses import dataclass
from typing import Protocol

from kscope.agent.host.bpfstats import Cost
from kscope.agent.rows.interval import Drained


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """The threads to trace; the defaults trace the whole host. `cgroup` is a cgroup v2 folder."""

    pid: int = 0
    tid: int = 0
    children: bool = False
    cgroup: str = ""


class Engine(Protocol):
    """A probe that is running once `start` has returned.

    Every method except `start` is called from the thread that called `start`. A probe that cannot
    continue raises; the runner closes it and starts another one later.
    """

    def start(self) -> None: ...

    def poll(self, seconds: float) -> None:
        """Collect events for up to `seconds`, or until the engine is full."""

    def full(self) -> bool:
        """Return whether the next drain must not wait for the end of the interval."""
        return False

    def drain(self) -> Drained: ...

    def cost(self) -> Cost:
        return Cost()

    def raise_threshold(self, by: int) -> bool:  # noqa: ARG002
        """Add `by` microseconds to the probe's threshold; return False if it does not have one."""
        return False

    def close(self) -> None: ...
