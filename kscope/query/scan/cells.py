"""Events and time by step of time and by size: the cells of a heat map.

Of a value column both are exact. A histogram keeps numbers of events by powers of two. Its events
are laid into other rows as if those of a slot were spread evenly over it, as its percentiles are
read; their time is the middle of the part of the slot that they lie in. All times of a step are
then scaled by one factor, so that they add up to the time that the rows say, unless no sizes
within the slots add up to it: then some rows have a time and no histogram, or the reverse.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role
from kscope.query.parse.columns import Value
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.histograms import MOST_CELLS, events_and_sums
from kscope.query.scan.measures import ROWS, Expressions, events_of, sum_of
from kscope.query.scan.read import summed
from kscope.query.scan.scan import Scan
from kscope.query.scan.sizes import Scale, with_size

Key = tuple[Any, ...]

# Of units of time: how many microseconds one is.
MICROSECONDS = {"ns": 0.001, "us": 1.0, "ms": 1000.0, "s": 1_000_000.0}


@dataclass(slots=True)
class Cells:
    """Key and row of sizes -> events, and -> time in microseconds; the number of rows read."""

    events: dict[Key, int] = field(default_factory=dict)
    time: dict[Key, int] = field(default_factory=dict)
    rows: int = 0


def time_column(category: Category, value: Value) -> Column | None:
    """Return the column with the time of the value's events; None if they have none.

    It is the value itself, or of a histogram of durations the category's only amount of time.
    """
    column = value.column
    assert column is not None
    if column.type.role is Role.VALUE:
        return column if column.type.unit == "us" else None
    amounts = [each for each in category.with_role(Role.VALUE) if each.type.unit == "us"]
    return amounts[0] if column.unit in MICROSECONDS and len(amounts) == 1 else None


def is_duration(value: Value) -> bool:
    """Whether the events of a value take time: it is an amount of time, or a histogram of some."""
    column = value.column
    assert column is not None
    if column.type.role is Role.HISTOGRAM:
        return column.unit in MICROSECONDS
    return column.type.unit == "us"


async def cells(
    scan: Scan, keys: Expressions, value: Value, scale: Scale, timed: Column | None
) -> Cells:
    """Return the cells by these keys; the scan has the columns of the value and `timed`."""
    assert value.column is not None
    if value.column.type.role is Role.HISTOGRAM:
        return await _of_histograms(scan, keys, value.column, scale, timed)
    measures = (events_of(value), ROWS, *([sum_of(timed)] if timed else []))
    counted = await summed(scan, with_size(keys, value, scale), measures, MOST_CELLS)
    return await consumed(lambda counted: _exact(counted, scale), counted)


def _exact(counted: Mapping[Key, Sequence[Any]], scale: Scale) -> Cells:
    events: defaultdict[Key, int] = defaultdict(int)
    time: defaultdict[Key, int] = defaultdict(int)
    rows = 0
    for (*key, slot), (number, read, *spent) in counted.items():
        rows += read
        if number and slot is not None:
            # A row that came since the scale was read may lie outside of it.
            cell = (*key, max(0, min(slot, scale.last)))
            events[cell] += number
            if spent:
                time[cell] += spent[0] or 0
    return Cells(dict(events), dict(time), rows)


async def _of_histograms(
    scan: Scan, keys: Expressions, column: Column, scale: Scale, timed: Column | None
) -> Cells:
    measures = (ROWS, *([sum_of(timed)] if timed else []))
    counted, spent = await events_and_sums(scan, keys, column, measures)
    unit = MICROSECONDS.get(column.unit, 0.0)
    return await consumed(lambda *_: _spread(counted, spent, scale, unit), counted, spent)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a power of two that lies in one row: its share of the slot, and its middle.

    `low` and `high` are the bounds of the whole slot.
    """

    row: int
    share: float
    middle: float
    low: int
    high: int


def _spread(
    counted: Mapping[Key, int], spent: Mapping[Key, Sequence[Any]], scale: Scale, unit: float
) -> Cells:
    by_key: defaultdict[Key, dict[int, int]] = defaultdict(dict)
    for (*keys, slot), events in counted.items():
        by_key[tuple(keys)][slot] = events
    met = {slot for slots in by_key.values() for slot in slots}
    parts = {slot: slot_parts(scale, slot) for slot in met}
    found = Cells(rows=sum(rows for rows, *_ in spent.values()))
    for key, slots in by_key.items():
        _, *exact = spent.get(key, (0,))
        laid = [each for slot, events in slots.items() for each in _laid(events, parts[slot])]
        for part, events in laid:
            cell = (*key, part.row)
            found.events[cell] = found.events.get(cell, 0) + events
        if unit:
            times = _times(laid, unit, exact[0] if exact else None)
            found.time.update({(*key, row): time for row, time in times.items()})
    return found


def slot_parts(scale: Scale, slot: int) -> list[_Part]:
    """Return the parts of the power of two that lie in each row of a scale."""
    low, high = (2**slot if slot else 0), 2 ** (slot + 1)
    if not scale.bounds:
        return [_Part(slot, 1.0, (low + high) / 2, low, high)]
    found = []
    for row in range(scale.last + 1):
        start, end = max(low, scale.bounds[row]), min(high, scale.bounds[row + 1])
        if start < end:
            share, middle = (end - start) / (high - low), (start + end) / 2
            found.append(_Part(row, share, middle, low, high))
    return found


def _laid(events: int, parts: list[_Part]) -> list[tuple[_Part, int]]:
    """Return the parts of a slot with the events that each gets, without the empty ones."""
    if len(parts) == 1:
        return [(parts[0], events)] if events else []
    shares = shared_out(events, [part.share for part in parts])
    return [(part, share) for part, share in zip(parts, shares, strict=True) if share]


def _times(laid: list[tuple[_Part, int]], unit: float, exact: int | None) -> dict[int, int]:
    """Return row -> time of one key's events; `exact` is the sum that the rows say, if they do."""
    guessed: defaultdict[int, float] = defaultdict(float)
    least = most = 0.0
    for part, events in laid:
        least += events * part.low * unit
        most += events * part.high * unit
        guessed[part.row] += events * part.middle * unit
    rows = sorted(guessed)
    whole = exact if exact is not None and least <= exact <= most else round(sum(guessed.values()))
    return dict(zip(rows, shared_out(whole, [guessed[row] for row in rows]), strict=True))


def shared_out(whole: int, weights: Sequence[float]) -> list[int]:
    """Share a whole number out by weights, in whole numbers that add up to it.

    The remainders go where the most was cut off.
    """
    total = sum(weights)
    if len(weights) == 1 or not total:
        return [whole, *[0] * (len(weights) - 1)]
    exact = [whole * weight / total for weight in weights]
    shares = [int(each) for each in exact]
    left = whole - sum(shares)
    if left:
        cut_off = [each % 1 for each in exact]
        places = sorted(range(len(weights)), key=cut_off.__getitem__, reverse=True)
        for place in places[: max(0, left)]:
            shares[place] += 1
        # Of numbers beyond 2**53 floating point may be off by more.
        shares[0] += whole - sum(shares)
    return shares
