"""Buckets of a tool's histogram become counts by powers of two."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from kscope.declare.model import Column
from kscope.declare.types.histogram import HISTOGRAM_SLOTS
from kscope.errors import KscopeError
from kscope.profiles.sample import Quantity, unit_of

# bpftrace up to 0.17 keeps bounds in 32 bits: values from 2**31 on are all in this bucket.
_CUT = (-(2**31), 0)
_CUT_SLOT = 31


class SlotError(KscopeError):
    """A bucket does not fit into one slot."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The number of values from `least` to `most`; None is no bound."""

    least: int | None
    most: int | None
    count: int

    @property
    def negative(self) -> bool:
        return self.most is not None and self.most < 0

    @property
    def cut(self) -> bool:
        """Return whether it has all values from 2**31 on, which an old bpftrace puts together."""
        return (self.least, self.most) == _CUT

    def slot(self) -> int:
        """Return the slot that holds all its values. Raises SlotError."""
        if self.cut:
            return _CUT_SLOT
        if self.least is not None and self.most is not None and 0 <= self.least <= self.most:
            slot = max(self.least.bit_length() - 1, 0)
            if slot == max(self.most.bit_length() - 1, 0) and slot < HISTOGRAM_SLOTS:
                return slot
        raise SlotError(
            f"the bucket from {_bound(self.least)} to {_bound(self.most)} does not fit between two "
            "powers of two, as a histogram's must: use hist() in place of lhist()"
        )


def _bound(number: int | None) -> str:
    return "any number" if number is None else str(number)


def slots_of(buckets: Iterable[Bucket]) -> list[int]:
    """Return counts by slot, without empty ones at the end; values below 0 are left out.

    Raises SlotError.
    """
    counts = [0] * HISTOGRAM_SLOTS
    for bucket in buckets:
        if bucket.count and not bucket.negative:
            counts[bucket.slot()] += bucket.count
    while counts and not counts[-1]:
        counts.pop()
    return counts


def shifted(counts: list[int], unit: str, column: Column) -> tuple[list[int], bool]:
    """Convert counts of values in `unit` to the column's unit; also return whether they moved.

    A thousand is taken as 2**10, so a slot's bounds are off by 2.4 % for each thousand.
    """
    source, target = unit_of(unit), unit_of(column.unit)
    if source.quantity is not target.quantity or source.quantity is Quantity.OTHER:
        return counts, False
    by = _power(source.factor / target.factor)
    if by >= 0:
        moved = [0] * by + counts if counts else []
        inside, above = moved[:HISTOGRAM_SLOTS], sum(moved[HISTOGRAM_SLOTS:])
        if above:
            inside[-1] += above
        return inside, by != 0
    first, rest = sum(counts[: 1 - by]), counts[1 - by :]
    return [first, *rest] if first or rest else [], True


def _power(factor: Fraction) -> int:
    """Return the power of two that is nearest to a factor."""
    inverse = factor < 1
    whole = round(1 / factor if inverse else factor)
    power = whole.bit_length() - 1
    if whole * 2 > 3 * 2**power:
        power += 1
    return -power if inverse else power
