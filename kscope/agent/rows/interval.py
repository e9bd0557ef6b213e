"""One interval of a probe: its rows, the losses, and the cost of recording it."""

from dataclasses import dataclass, field
from typing import Any

from kscope.agent.host.bpfstats import ProgramRuns

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of a probe's programs since they were loaded, in nanoseconds.

    `known` is False if the kernel's BPF statistics are off. `helper_ns` is the CPU time of a
    process that the agent started for the probe.
    """

    runs: int = 0
    run_ns: int = 0
    known: bool = False
    helper_ns: int = 0

    @classmethod
    def of(cls, programs: ProgramRuns, helper_ns: int = 0) -> "Cost":
        """Return the cost of these programs, and of a helper process."""
        return cls(programs.runs, programs.run_ns, programs.runs > 0, helper_ns)

    def plus(self, other: "Cost") -> "Cost":
        """Return the sum of both costs."""
        return Cost(
            self.runs + other.runs,
            self.run_ns + other.run_ns,
            self.known or other.known,
            self.helper_ns + other.helper_ns,
        )


@dataclass(slots=True)
class LossCounts:
    """The things that one interval could not record, counted by cause."""

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
    loss: LossCounts = field(default_factory=LossCounts)
