"""How often which size: events counted by slots of their value, over time or by group.

A row that sums several events counts as that many of their mean size. Slots are powers of two,
round (1, 2, 5, 10, 20, 50 ...), or of equal width between the least and the greatest size.
"""

import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Role
from kscope.query.parse.columns import Value
from kscope.query.parse.errors import complain
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.histograms import MOST_CELLS, events_and_sums
from kscope.query.scan.measures import (
    ROWS,
    Aggregated,
    Expressions,
    events_of,
    least_of,
    most_of,
    size_of,
)
from kscope.query.scan.read import summed
from kscope.query.scan.scan import Scan
from kscope.query.sql.expressions import (
    log2_slot,
    log2_slot_of_mean,
    place_among_bounds,
    whole,
    whole_mean,
)
from kscope.store.sums.planner import Segment

LOG2, LINEAR, ROUND = "log2", "linear", "round"
SCALES = (LOG2, LINEAR)
_ROUND = (*(step * 10**power for power in range(19) for step in (1, 2, 5)), 10**19)
# Of floats: from here on not every whole number is one.
_EXACT = 2**53
_NARROWEST = 1e-300


@dataclass(frozen=True, slots=True)
class Scale:
    """Slot i holds the sizes from `lower(i)` up to but without `lower(i + 1)`.

    Without `bounds`, a `width` 0 stands for powers of two. Slots go from 0 to `last`.
    """

    start: float = 0.0
    width: float = 0.0
    last: int = 62
    bounds: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return ROUND if self.bounds else LINEAR if self.width else LOG2

    def lower(self, slot: int) -> int | float:
        if self.bounds:
            return self.bounds[slot]
        if not self.width:
            return 2**slot if slot else 0
        # Halved as in _slot.
        bound = _finite((self.start / 2 + slot * (self.width / 2)) * 2)
        return int(bound) if bound.is_integer() and abs(bound) < _EXACT else bound


def scale_name(value: Value, given: str) -> str:
    """Powers of two where the value is a whole number, unless asked otherwise."""
    assert value.column is not None
    if value.column.type.role is Role.HISTOGRAM and given == LINEAR:
        raise complain("scale", "sizes of a histogram column are powers of two: use scale=log2")
    if value.column.type.signed:
        if given in (LOG2, ROUND):
            kind = value.column.type.name
            raise complain("scale", f"a {kind} may be negative or below 1: allowed is linear")
        return LINEAR
    return given or LOG2


async def scale_of(scan: Scan, value: Value, name: str, slots: int) -> Scale:
    """The slots for what the plan's rows hold."""
    if name == LOG2:
        return Scale()
    if name == ROUND:
        return round_scale(value)
    found = await summed(scan, lambda _: [], (least_of(value), most_of(value)))
    low, high = next(iter(found.values()), [None, None])
    if low is None or high is None:
        return Scale(0.0, 1.0, 0)
    # Divided first: the difference of two floats may be none.
    width = _round_width(high / slots - low / slots)
    start = _finite(math.floor(low / width) * width)
    return Scale(start, width, int(high / width - start / width))


def round_scale(value: Value) -> Scale:
    """Return round slots; a histogram does not tell 0 from 1, so these have one slot."""
    assert value.column is not None
    first = (0,) if value.column.type.role is Role.HISTOGRAM else (0, 1)
    bounds = (*first, *_ROUND[1:])
    return Scale(bounds=bounds, last=len(bounds) - 2)


def _finite(number: float) -> float:
    return max(-sys.float_info.max, min(number, sys.float_info.max))


def _round_width(width: float) -> float:
    """Return the next of 1, 2, 5, 10, ...: bounds that a person can read."""
    if width < _NARROWEST:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return float(next(power * step for step in (1, 2, 5, 10) if power * step >= width))


async def sizes(scan: Scan, keys: Expressions, value: Value, scale: Scale) -> Aggregated:
    """Return key and slot -> events; key -> rows."""
    assert value.column is not None
    if value.column.type.role is Role.HISTOGRAM:
        return await _of_histograms(scan, keys, value.column)

    measures = (events_of(value), ROWS)
    counted = await summed(scan, with_size(keys, value, scale), measures, MOST_CELLS)
    return await consumed(lambda counted: _sized(counted, scale), counted)


def with_size(keys: Expressions, value: Value, scale: Scale) -> Expressions:
    """Group by these keys, then by the slot of a value column."""
    return lambda segment: [*keys(segment), _slot(segment, value, scale)]


def _sized(counted: Mapping[tuple[Any, ...], Sequence[Any]], scale: Scale) -> Aggregated:
    found: defaultdict[tuple[Any, ...], int] = defaultdict(int)
    rows: defaultdict[tuple[Any, ...], int] = defaultdict(int)
    for (*key, slot), (events, number) in counted.items():
        rows[tuple(key)] += number
        if events and slot is not None:
            # A row that came since the scale was read may lie outside of it.
            found[(*key, max(0, min(slot, scale.last)))] += events
    return Aggregated(found, rows)


def _slot(segment: Segment, value: Value, scale: Scale) -> sa.ColumnElement[Any]:
    assert value.column is not None
    if scale.width:
        # Halved, which is exact: the difference of two floats may be none.
        above = size_of(value, segment) / 2.0 - sa.literal(scale.start / 2, sa.Double())
        return whole(above / sa.literal(scale.width / 2, sa.Double()))
    size = segment.table.c[value.column.name]
    weight = segment.table.c[value.weight.name] if value.weight is not None else None
    if scale.bounds:
        mean = size if weight is None else whole_mean(size, weight)
        return place_among_bounds(mean, scale.bounds[:-1])
    return log2_slot(size) if weight is None else log2_slot_of_mean(size, weight)


async def _of_histograms(scan: Scan, keys: Expressions, column: Column) -> Aggregated:
    """Add up the slots of histograms, and count the rows."""
    events, rows = await events_and_sums(scan, keys, column, (ROWS,))
    return Aggregated(events, {key: each for key, (each,) in rows.items()})


class Percentile(msgspec.Struct, frozen=True):
    """`value` is interpolated; the true one lies from `lower` to `upper`."""

    value: float
    lower: int | float
    upper: int | float


def quantile(counts: Mapping[int, int], share: float, scale: Scale) -> Percentile | None:
    """The size that `share` of the events do not exceed; None without events."""
    total = sum(counts.values())
    rank = max(1, math.ceil(share * total))
    passed = 0
    for slot in sorted(counts):
        if passed + counts[slot] >= rank:
            lower, upper = scale.lower(slot), scale.lower(slot + 1)
            part = (rank - passed) / counts[slot]
            return Percentile(round(lower + part * (upper - lower), 6), lower, upper)
        passed += counts[slot]
    return None
