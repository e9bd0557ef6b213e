"""Sums of a table by place, in the range and in each earlier window: those that differ most."""

import asyncio
import functools
import operator
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.query.across.windows import Looks, Stretches
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import Heaviest, heaviest
from kscope.query.scan.measures import MOST, ROWS, Expressions, Measure
from kscope.query.scan.parallel import together
from kscope.query.scan.read import TooManyGroups, summed
from kscope.query.scan.scan import Scan, columns
from kscope.query.sql.expressions import ids
from kscope.store.sums.planner import Segment

Key = tuple[Any, ...]

# Of a table: groups that are ranked, and those kept of them. The sums of each process's largest
# ones tell how busy it is.
_MOST_RANKED = 20_000
_DIFFERENT = 1000
_STEADY = 8
_MOST_KEPT = 1600
# Groups of a table that are read at once, by window.
_MOST_AT_ONCE = 60_000
LAST_TIME = Measure(lambda segment: sa.func.max(segment.table.c.time), MOST)


@dataclass(slots=True)
class Sums:
    """The sums of one place: by slice of the range and by earlier window, oldest first.

    `last` is the time (us) of its newest row in the range.
    """

    slices: list[float]
    earlier: list[float]
    last: int | None = None

    @property
    def now(self) -> float:
        return sum(self.slices)

    def add(self, other: "Sums") -> None:
        self.slices = list(map(operator.add, self.slices, other.slices))
        self.earlier = list(map(operator.add, self.earlier, other.earlier))
        self.last = max(
            (each for each in (self.last, other.last) if each is not None), default=None
        )

    def times(self, factor: float) -> "Sums":
        slices, earlier = ([factor * each for each in part] for part in (self.slices, self.earlier))
        return Sums(slices, earlier, self.last)


@dataclass(slots=True)
class Cells:
    """The sums by place, and the events and rows of all places in the range."""

    sums: dict[Key, Sums] = field(default_factory=dict)
    events: float = 0.0
    rows: int = 0


async def cells_of(
    looks: Looks, by: Sequence[Column], value: Measure, events: Measure, *, many: bool
) -> Cells:
    """Return the sums by these columns, of the places that differ most; `many` if there are many.

    The database first finds these places from two sums of each, and then reads only them.
    """
    if not many:
        try:
            return await _by_time(looks, by, value, events, None)
        except TooManyGroups:
            pass
    measures = (value, events, ROWS)
    now, before = await together(
        heaviest(looks.now, columns(*by), measures, _MOST_RANKED),
        heaviest(looks.before, columns(*by), (value,), _MOST_RANKED),
    )
    windows = (looks.windows.count or 1) / looks.scale
    wanted = await asyncio.to_thread(_narrowed, _first(now), _first(before, windows))
    found = await _by_time(looks, by, value, events, wanted)
    _, found.events, found.rows = (each or 0 for each in now.totals)
    return found


def _first(found: Heaviest, divisor: float = 1.0) -> dict[Key, float]:
    return {key: float(sums[0] or 0) / divisor for key, sums in found.groups.items()}


def _narrowed(now: Mapping[Key, float], usual: Mapping[Key, float]) -> set[Key]:
    """Return the places that differ most, and the largest of each process, up to a limit."""
    every = {key: abs(now.get(key, 0.0) - usual.get(key, 0.0)) for key in now.keys() | usual.keys()}
    wanted = {*nlargest(_DIFFERENT, every, key=every.__getitem__)}
    groups: defaultdict[Key, list[Key]] = defaultdict(list)
    for key in usual:
        groups[key[:2]].append(key)
    steady = {
        key: usual[key]
        for keys in groups.values()
        for key in nlargest(_STEADY, keys, key=usual.__getitem__)
        if key not in wanted
    }
    most = _MOST_KEPT - len(wanted)
    return {*wanted, *nlargest(most, steady, key=steady.__getitem__)}


async def _by_time(
    looks: Looks, by: Sequence[Column], value: Measure, events: Measure, wanted: set[Key] | None
) -> Cells:
    """Read the range by slice and the time before it by window; of the `wanted` places only."""
    now, before = looks.now, looks.by_window
    if wanted is not None:
        numbers = await asyncio.to_thread(numbers_of, by, wanted)
        now, before = (only(scan, by, numbers) for scan in (now, before))
    parts = [summed(now, _keys(by, looks.slices), (value, events, ROWS, LAST_TIME), _MOST_AT_ONCE)]
    if looks.windows.count:
        parts.append(summed(before, _keys(by, looks.windows), (value,), _MOST_AT_ONCE))
    here, *there = await together(*parts)
    before_it = there[0] if there else {}
    return await consumed(lambda *both: _filled(looks, both, wanted), here, before_it)


def _keys(by: Sequence[Column], stretches: Stretches) -> Expressions:
    return lambda segment: [*columns(*by)(segment), stretches.of(segment)]


def _filled(
    looks: Looks, both: Sequence[Mapping[Key, Sequence[Any]]], wanted: set[Key] | None
) -> Cells:
    here, there = both
    found = Cells()
    slices, windows, scale = looks.slices.count, looks.windows.count, looks.scale

    def sums(key: Key) -> Sums | None:
        if wanted is not None and key not in wanted:
            return None
        return found.sums.setdefault(key, Sums([0.0] * slices, [0.0] * windows))

    for (*key, number), (value, events, rows, last) in here.items():
        found.events += events or 0
        found.rows += rows or 0
        if (each := sums(tuple(key))) and 0 <= number < slices:
            each.slices[number] += float(value or 0)
            each.last = max(last, each.last or last)
    for (*key, number), (value,) in there.items():
        if 0 <= number < windows and (each := sums(tuple(key))):
            each.earlier[number] += float(value or 0) * scale
    return found


# Of a place: numbers that tell most places apart, as one number of 64 bits.
_BITS = 2**40 - 1
_PRIMES = (1, 786_433, 393_241, 196_613, 98_317, 49_157)
_WHOLE = (Storage.STRING_ID, Storage.STACK_ID, Storage.INTEGER, Storage.BOOLEAN)


def numbers_of(by: Sequence[Column], wanted: Iterable[Key]) -> list[int]:
    """Return a number for each of the places; few others have the same."""
    places = [(i, prime) for (i, _), prime in zip(_whole(by), _PRIMES, strict=False)]
    return list({sum((key[i] & _BITS) * prime for i, prime in places) for key in wanted})


def only(scan: Scan, by: Sequence[Column], numbers: Sequence[int]) -> Scan:
    """Return the scan of the rows at some places, and of few others that have the same number."""

    def chosen(segment: Segment) -> sa.FromClause:
        table = segment.table
        parts = (
            table.c[column.name].bitwise_and(_BITS) * prime
            for (_, column), prime in zip(_whole(by), _PRIMES, strict=False)
        )
        number = functools.reduce(operator.add, parts)
        return sa.select(table).where(segment.within, ids(number, numbers)).subquery()

    return scan.over(chosen)


def _whole(by: Sequence[Column]) -> list[tuple[int, Column]]:
    return [(i, each) for i, each in enumerate(by) if each.type.storage in _WHOLE]
