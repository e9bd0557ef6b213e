"""Keeps a probe's cost under a bound: raises its threshold, then takes it out of the kernel."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kscope.agent.engines.base import Cost

CHECK_EVERY = 2.0
LOWEST_RAISE = 50
HIGHEST_RAISE = 1_000_000
# A raise that saves less than this share is not what the cost depends on.
_WORTH = 0.1


@dataclass(frozen=True, slots=True)
class Decision:
    """What changed; `threshold` is None where the probe is to be paused."""

    text: str
    threshold: int | None


class Governor:
    """`bound` is a share of all the host's CPU time (0.01 is one per cent); 0 governs nothing.

    `threshold` is what is added to the probe's own, in microseconds.
    """

    def __init__(self, bound: float, cpus: int | None = None) -> None:
        self._bound = bound
        self._cpus = cpus or os.cpu_count() or 1
        self._checked = time.monotonic()
        self._busy: float | None = None
        self._share_before = 0.0
        self._calm = 0
        self._futile = 0
        self.threshold = 0
        self.paused = False
        self.text = ""

    def due(self) -> bool:
        return self._bound > 0 and time.monotonic() - self._checked >= CHECK_EVERY

    def decide(self, cost: Cost, cpu: float, now: float | None = None) -> Decision | None:
        """From the kernel's account so far and the CPU seconds the agent took for the probe."""
        now = time.monotonic() if now is None else now
        busy, elapsed = cost.run_ns / 1e9 + cpu, now - self._checked
        before, self._busy, self._checked = self._busy, busy, now
        if before is None or elapsed <= 0:
            return None
        share = (busy - before) / elapsed / self._cpus
        if share > self._bound:
            return self._too_dear(share)
        self._calm += 1
        self._futile = 0
        # Halving the threshold may well double the cost.
        if self.threshold and self._calm >= 5 and share < self._bound / 3:
            return self._lower(share)
        return None

    def no_threshold(self) -> None:
        """The probe has none to raise: all that is left is to pause it."""
        self.threshold = 0
        self.paused = True

    def _too_dear(self, share: float) -> Decision:
        self._calm = 0
        saved = 1 - share / self._share_before if self.threshold and self._share_before else 1.0
        self._futile = self._futile + 1 if saved < _WORTH else 0
        self._share_before = share
        if self.threshold >= HIGHEST_RAISE or self._futile >= 3:
            self.paused = True
            self.text = f"{self._says(share)}: paused for an interval"
            return Decision(self.text, None)
        self.threshold = min(HIGHEST_RAISE, max(LOWEST_RAISE, self.threshold * 4))
        self.text = f"{self._says(share)}: threshold raised by {self.threshold} us"
        return Decision(self.text, self.threshold)

    def _lower(self, share: float) -> Decision:
        self._calm = 0
        self.threshold = self.threshold // 4 if self.threshold > LOWEST_RAISE else 0
        self.text = f"threshold raised by {self.threshold} us" if self.threshold else ""
        return Decision(f"{self._says(share)}: {self.text or 'threshold back to normal'}",
                        self.threshold)  # fmt: skip

    def _says(self, share: float) -> str:
        return f"the probe takes {share:.2%} of the host's CPU time (bound {self._bound:.2%})"
