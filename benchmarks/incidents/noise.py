"""Random sums of windows and slices: Poisson counts, log-normal noise, bursts, load that drifts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import exp, pi, sin, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOWS, SLICES = 24, 6


@dataclass(frozen=True)
class Kind:
    """How rough a fleet is. A burst is a minute of many times as much."""

    sigma: float = 1.0  # of what is usual, 0 for Poisson counts alone
    bursts: float = 0.002  # a minute
    pareto: float = 0.0  # the shape of the bursts' sizes, 0 for 4 to 15 times
    season: float = 0.5  # how much the load changes within a day
    drift: float = 0.0  # growth of each process over the 24 windows, at most


KINDS = {
    "mixed": Kind(),
    "poisson": Kind(sigma=0.0, bursts=0.0),
    "smooth": Kind(sigma=0.3, bursts=0.0005),
    "heavy": Kind(sigma=1.6, bursts=0.004, pareto=1.3),
    "drift": Kind(season=0.8, drift=0.6),
}


class Noise:
    """Series of 24 windows, then of the last window's six slices, of so many minutes a window."""

    def __init__(self, chance: random.Random, kind: Kind, minutes: float) -> None:
        self.chance, self.kind, self.minutes = chance, kind, minutes
        self.slice = minutes / SLICES
        self.lengths = [minutes] * WINDOWS + [self.slice] * SLICES
        start = chance.uniform(0, 1440)
        self.season = [
            1 + kind.season * sin((start + self._middle(at)) / 1440 * 2 * pi)
            for at in range(WINDOWS + SLICES)
        ]

    def _middle(self, at: int) -> float:
        if at < WINDOWS:
            return (at + 0.5) * self.minutes
        return WINDOWS * self.minutes + (at - WINDOWS + 0.5) * self.slice

    def wander(self, sigma: float) -> list[float]:
        """Return a load that wanders around 0: each minute keeps four fifths of the one before."""
        if not sigma or not self.kind.sigma:
            return [0.0] * (WINDOWS + SLICES)
        keep: float = 0.8**self.slice
        step, value, values = sigma * sqrt(1 - keep * keep), self.chance.gauss(0, sigma), []
        for _ in range((WINDOWS + 1) * SLICES):
            value = keep * value + self.chance.gauss(0, step)
            values.append(value)
        cut = WINDOWS * SLICES
        means = [sum(values[at : at + SLICES]) / SLICES for at in range(0, cut, SLICES)]
        return [*means, *values[cut:]]

    def load(self, sigma: float, of: Sequence[float]) -> list[float]:
        """Return the load of a process: season, drift, its host's wandering and its own."""
        own = self.wander(sigma)
        drift = self.chance.uniform(-self.kind.drift, self.kind.drift)
        return [
            season * exp(host + mine) * (1 + drift * min(at, WINDOWS) / WINDOWS)
            for at, (season, host, mine) in enumerate(zip(self.season, of, own, strict=True))
        ]

    def series(self, base: float, load: Sequence[float], sigma: float, event: float) -> list[float]:
        """Return sums of events of this mean size, `base` being the usual sum of a minute."""
        spread = sigma * self.kind.sigma
        values = []
        for at, factor in enumerate(load):
            length = self.lengths[at]
            mean = base * factor * length
            if spread:
                per = spread / sqrt(max(length, 1.0))
                mean *= exp(self.chance.gauss(0, per) - per * per / 2)
                if self.chance.random() < self.kind.bursts * length:
                    mean += base * factor * min(1.0, length) * (self._burst() - 1)
            values.append(self.sized(self.poisson(mean / event), event))
        return values

    def sized(self, count: int, event: float) -> float:
        if not count:
            return 0.0
        return count * event * exp(self.chance.gauss(0, 0.5) / sqrt(count))

    def _burst(self) -> float:
        if self.kind.pareto:
            return 4 * min(self.chance.paretovariate(self.kind.pareto), 50.0)
        return self.chance.uniform(4, 15)

    def poisson(self, mean: float) -> int:
        if mean > 30:
            return max(0, round(self.chance.gauss(mean, sqrt(mean))))
        limit, product, count = exp(-mean), self.chance.random(), 0
        while product > limit:
            product *= self.chance.random()
            count += 1
        return count

    def in_window(self, a_minute: float, sigma: float = 0.2, slices: int = SLICES) -> list[float]:
        """Return an amount that is in the last window alone, in the last slices of it."""
        quiet = [0.0] * (WINDOWS + SLICES - slices)
        return quiet + [
            a_minute * self.slice * self.chance.lognormvariate(0, sigma) for _ in range(slices)
        ]
