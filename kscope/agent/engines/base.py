"""What the runner asks of an engine, and what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to trace; all zero means the whole host. `cgroup` is a cgroup v2 folder."""

    pid: int = 0
    tid: int = 0
    children: bool = False
    cgroup: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the probe's programs took in the kernel since they were loaded.

    `known` is False where the kernel's BPF statistics could not be switched on. `helper_ns` is CPU
    time of a process beside the agent.
    """

    runs: int = 0
    run_ns: int = 0
    known: bool = False
    helper_ns: int = 0

    def plus(self, other: Cost) -> Cost:
        return Cost(
            self.runs + other.runs,
            self.run_ns + other.run_ns,
            self.known or other.known,
            self.helper_ns + other.helper_ns,
        )


@dataclass(slots=True)
class Loss:
    """What one interval could not record, counted by cause."""

    stacks_collided: int = 0
    stacks_full: int = 0
    stacks_other: int = 0
    keys_full: int = 0
    starts_full: int = 0
    events: int = 0
    runs: int = 0
    values: int = 0
    frames: int = 0
    frames_unknown: int = 0
    stacks_truncated: int = 0


@dataclass(slots=True)
class Drained:
    """One interval's rows, in the category's columns."""

    rows: list[Row] = field(default_factory=list)
    loss: Loss = field(default_factory=Loss)


class Engine(Protocol):
    """A probe that is running once `start` has returned.

    Every method but `start` is called from the thread that called `start`. A probe that cannot
    go on raises; the runner closes it and starts another one later.
    """

    def start(self) -> None: ...

    def poll(self, seconds: float) -> None:
        """Take in events for up to `seconds`, or until it is full."""

    def full(self) -> bool:
        """Whether it holds as much as one drain should give: the next one must not wait."""

    def drain(self) -> Drained: ...

    def cost(self) -> Cost: ...

    def raise_threshold(self, by: int) -> bool:
        """Record less: add `by` to the probe's threshold; False if it has none."""

    def close(self) -> None: ...
