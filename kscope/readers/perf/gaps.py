"""The usual time between two samples, from the times of all of them, in bounded memory."""

import math
from dataclasses import dataclass, field

_SHORTEST, _LONGEST = 1e-6, 10.0
# Gaps are sorted into bins, each 9 % wider than the one before.
_BINS_PER_DOUBLING = 8
_AROUND = (-1, 0, 1)
_MOST_KEYS = 2048
_LEAST = 2
_STARTING = 12


@dataclass(slots=True)
class _Bins:
    counts: dict[int, int] = field(default_factory=dict)
    sums: dict[int, float] = field(default_factory=dict)

    def add(self, gap: float) -> None:
        place = math.floor(math.log2(gap) * _BINS_PER_DOUBLING)
        self.counts[place] = self.counts.get(place, 0) + 1
        self.sums[place] = self.sums.get(place, 0.0) + gap

    def usual(self) -> tuple[int, float]:
        """Return how many gaps are like the most frequent one, and their mean."""
        if not self.counts:
            return 0, 0.0
        most = max(self.counts, key=self._near)
        count = self._near(most)
        return count, sum(self.sums.get(most + each, 0.0) for each in _AROUND) / count

    def _near(self, place: int) -> int:
        return sum(self.counts.get(place + each, 0) for each in _AROUND)


@dataclass(slots=True)
class _Gaps:
    """The gaps between samples of the same thread, or of the same CPU.

    The first ones of each are also kept apart: counters of hardware find their period with them.
    """

    last: dict[int, tuple[float, int]] = field(default_factory=dict)
    early: _Bins = field(default_factory=_Bins)
    steady: _Bins = field(default_factory=_Bins)

    def add(self, key: int, time: float) -> None:
        before, count = self.last.get(key, (None, 0))
        if before is None and len(self.last) >= _MOST_KEYS:
            self.last.clear()
        self.last[key] = time, count + 1
        if before is not None and _SHORTEST <= time - before <= _LONGEST:
            (self.early if count <= _STARTING else self.steady).add(time - before)

    def usual(self) -> tuple[int, float]:
        """Return how many gaps are like the most frequent one, and their mean."""
        steady = self.steady.usual()
        return steady if steady[0] >= _LEAST else self.early.usual()


@dataclass(slots=True)
class SampleTimes:
    """The times of an event's samples: counted by CPU, and by thread for one that follows threads.

    The idle task has the same number on every CPU.
    """

    by_cpu: _Gaps = field(default_factory=_Gaps)
    by_thread: _Gaps = field(default_factory=_Gaps)

    def add(self, time: float, cpu: int | None, tid: int | None) -> None:
        """Add a sample's time in seconds."""
        if cpu is not None:
            self.by_cpu.add(cpu, time)
        if tid != 0:
            self.by_thread.add(-1 if tid is None else tid, time)

    def interval(self) -> float | None:
        """Return the usual seconds between two samples; None if too few are known."""
        count, gap = max(self.by_cpu.usual(), self.by_thread.usual(), key=lambda one: one[0])
        return round(gap, 9) if count >= _LEAST else None
