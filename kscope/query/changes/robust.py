"""Middles and spreads that a few odd windows do not move."""

from collections.abc import Iterable, Sequence

# A normal distribution's standard deviation is so many times its median absolute deviation.
NORMAL = 1.4826


def median(values: Iterable[float]) -> float:
    """Return the middle of at least one value; `statistics` has it too, in three times the time."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def deviation(values: Sequence[float], middle: float) -> float:
    """Return the standard deviation as the median deviation tells it."""
    return NORMAL * median([abs(value - middle) for value in values])


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """Return the value below which half of the weight is; 1 if there is no weight."""
    half, reached = sum(weights) / 2, 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        reached += weight
        if reached >= half:
            return value
    return 1.0


def band(values: Sequence[float]) -> tuple[float, float]:
    """Return the usual band: a tenth of the values is below it, a tenth above it."""
    ordered = sorted(values)
    cut = len(ordered) // 10
    return ordered[cut], ordered[-1 - cut]


def totals(rows: Sequence[Sequence[float]]) -> list[float]:
    """Add up rows of one length, column by column."""
    return [sum(column) for column in zip(*rows, strict=True)]
