"""Limit a probe's cost: raise its threshold, then take it out of the kernel."""

import math
import os
import time

CHECK_EVERY = 0.5
LOWEST_RAISE = 50
HIGHEST_RAISE = 1_000_000
# If a raise saves less than this share, the cost does not depend on the threshold.
_WORTH = 0.1
# In seconds of the bound: the largest credit, because a drain is a burst of work, and the debt at
# which only a pause helps.
_CREDIT = 60.0
_DEEP = 10.0
# Seconds of low cost after which the threshold can be lowered.
_CALM = 5.0


class Governor:
    """An account in CPU seconds: time adds the bound's share of the host's, the probe's cost is
    subtracted. It outlives restarts of the probe, so that a pause repays the debt.

    `bound` is a share of the host's CPU time (0.01 is 1 %); 0 means no limit. `threshold` is added
    to the probe's own, in microseconds; if `paused`, the probe must leave the kernel.
    """

    def __init__(self, bound: float, cpus: int | None = None) -> None:
        self._bound = bound
        self._cpus = cpus or os.cpu_count() or 1
        self._rate = bound * self._cpus
        self._balance = 0.0
        self._start_cost = 0.0
        self._begun = False
        self._dear_before = 0.0
        self._can_raise = True
        self._calm_since = self._calm_spent = 0.0
        self._checked = self._spent = 0.0
        self.threshold = 0
        self.paused = False
        self.text = ""

    def begin(self, start_cost: float, now: float | None = None) -> None:
        """Note that the probe is in the kernel. The cost of the first start is not subtracted,
        because a cheap probe would start with a pause.
        """
        if self._begun:
            self._balance -= start_cost
        self._begun = True
        self._start_cost = start_cost
        self._spent = 0.0
        self._checked = time.monotonic() if now is None else now
        self._begin_calm()
        self.paused = False
        self.text = self._raised()

    def due(self) -> bool:
        return self._bound > 0 and time.monotonic() - self._checked >= CHECK_EVERY

    def account(self, spent: float, now: float | None = None) -> float:
        """Enter the CPU seconds since the start; return the share since the last entry."""
        now = time.monotonic() if now is None else now
        took, elapsed = spent - self._spent, now - self._checked
        self._spent, self._checked = spent, now
        self._balance = min(self._balance + self._rate * elapsed - took, self._rate * _CREDIT)
        self._calm_spent += took
        return took / elapsed / self._cpus if elapsed > 0 else 0.0

    def decide(self, spent: float, now: float | None = None) -> str:
        """Raise or lower `threshold`, or pause; return a message if something changed, or ''."""
        share = self.account(spent, now)
        if share > self._bound and self._balance < 0:
            return self._too_dear(share)
        seconds = self._checked - self._calm_since
        if seconds < _CALM:
            return ""
        calm = self._calm_spent / seconds / self._cpus
        self._begin_calm()
        if calm < self._bound:
            self._can_raise = True
        # A lower threshold can cost that many times more.
        return self._lower(calm) if self.threshold and calm < self._bound / 5 else ""

    def no_threshold(self) -> str:
        """Pause: the probe does not have a threshold, or raising it saves nothing."""
        self._can_raise = False
        self.threshold = 0
        return self._pause()

    def repayment(self) -> float:
        """Return the seconds out of the kernel that repay the debt and the next start."""
        return max(0.0, self._start_cost - self._balance) / self._rate

    def rested(self, seconds: float) -> None:
        self._balance = min(self._balance + self._rate * seconds, self._rate * _CREDIT)

    def _too_dear(self, share: float) -> str:
        self._begin_calm()
        saved = 1 - share / self._dear_before if self.threshold and self._dear_before else 1.0
        self._dear_before = share
        if not self._can_raise or saved < _WORTH:
            return self.no_threshold()
        deep = self._balance < -self._rate * _DEEP
        if self.threshold and (deep or self.threshold >= HIGHEST_RAISE):
            return self._pause()
        excess = max(2.0, share / self._bound)
        self.threshold = min(HIGHEST_RAISE, round(max(LOWEST_RAISE, self.threshold) * excess))
        self.text = f"{self._says(share)}: {self._raised()}"
        return self.text

    def _pause(self) -> str:
        self.paused = True
        self.text = f"{self._says(self._dear_before)}: paused for {self.repayment():.0f} s"
        return self.text

    def _lower(self, share: float) -> str:
        self.threshold = self.threshold // 4 if self.threshold > LOWEST_RAISE else 0
        self.text = self._raised()
        return f"{self._says(share)}: {self.text or 'threshold back to normal'}"

    def _begin_calm(self) -> None:
        self._calm_since, self._calm_spent = self._checked, 0.0

    def _raised(self) -> str:
        return f"threshold raised by {self.threshold} us" if self.threshold else ""

    def _says(self, share: float) -> str:
        # A small bound has more digits, so that it is not 0.
        places = max(2, 1 - math.floor(math.log10(100 * self._bound)))
        taken, bound = f"{share:.{places}%}", f"{self._bound:.{places}%}"
        return f"the probe takes {taken} of the host's CPU time (bound {bound})"
