"""Sums of a table by place, in the range and in each earlier window: those that differ most."""

import asyncio
import operator
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import chain, groupby
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.query.across.some_places import numbers_of, only
from kscope.query.across.windows import Looks, Stretches
from kscope.query.scan.freed_memory import discard, empty
from kscope.query.scan.heaviest import Heaviest, heaviest
from kscope.query.scan.measures import MOST, ROWS, Expressions, Measure
from kscope.query.scan.parallel import together
from kscope.query.scan.read import TooManyGroups, answered
from kscope.query.scan.scan import Scan, columns
from kscope.query.sql.expressions import as_text

Key = tuple[Any, ...]
# The rows of each statement.
Found = Sequence[Sequence[Sequence[Any]]]

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

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums of both places."""
        slices = list(map(operator.add, self.slices, other.slices))
        earlier = list(map(operator.add, self.earlier, other.earlier))
        times = [each for each in (self.last, other.last) if each is not None]
        return Sums(slices, earlier, max(times, default=None))

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

    The earlier windows are then read only of these places, which two sums of each tell: that of
    the range, and that of all windows, from the longest buckets.
    """
    read = _Read(looks, by, value, events)
    try:
        if not many:
            return await read.all()
        here = await read.here()
    except TooManyGroups:
        return await read.narrowed_there()
    now = await asyncio.to_thread(_sums_of, here)
    wanted = await asyncio.to_thread(_narrowed, now, await read.before())
    return await read.filled(here, await read.windows(wanted), wanted)


def _sums_of(here: Found) -> dict[Key, float]:
    """Return the sum of each place over all slices."""
    found: defaultdict[Key, float] = defaultdict(float)
    for answer in here:
        for *key, _, value, _, _, _ in answer:
            found[tuple(map(as_text, key))] += value or 0
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


@dataclass(frozen=True, slots=True)
class _Read:
    """The readings of a table by these columns."""

    looks: Looks
    by: Sequence[Column]
    value: Measure
    events: Measure

    async def all(self) -> Cells:
        """Read every place; raise TooManyGroups if there are many."""
        here, there = await together(self.here(), self.windows())
        return await self.filled(here, there, None)

    async def narrowed_there(self) -> Cells:
        """Let the database rank the places in the range too, and read those that differ most."""
        measures = (self.value, self.events, ROWS)
        ranked = await heaviest(self.looks.now, columns(*self.by), measures, _MOST_RANKED)
        wanted = await asyncio.to_thread(_narrowed, _first(ranked), await self.before())
        here, there = await together(self.here(wanted), self.windows(wanted))
        found = await self.filled(here, there, wanted)
        _, found.events, found.rows = (each or 0 for each in ranked.totals)
        return found

    async def here(self, wanted: set[Key] | None = None) -> Found:
        """Read the range by slice."""
        measures = (self.value, self.events, ROWS, LAST_TIME)
        now = await self._of(self.looks.now, wanted)
        return await _rows(now, _keys(self.by, self.looks.slices), measures)

    async def before(self) -> dict[Key, float]:
        """Read the mean of each place in the earlier windows."""
        found = await heaviest(self.looks.before, columns(*self.by), (self.value,), _MOST_RANKED)
        return _first(found, (self.looks.windows.count or 1) / self.looks.scale)

    async def windows(self, wanted: set[Key] | None = None) -> Found:
        """Read the earlier windows."""
        if not self.looks.windows.count:
            return []
        there = await self._of(self.looks.by_window, wanted)
        return await _rows(there, _keys(self.by, self.looks.windows), (self.value,))

    async def _of(self, scan: Scan, wanted: set[Key] | None) -> Scan:
        if wanted is None:
            return scan
        return only(scan, self.by, await asyncio.to_thread(numbers_of, self.by, wanted))

    async def filled(self, here: Found, there: Found, wanted: set[Key] | None) -> Cells:
        def fill() -> Cells:
            try:
                return _filled(self.looks, here, there, wanted)
            finally:
                empty((*here, *there))

        return await asyncio.to_thread(fill)


async def _rows(scan: Scan, keys: Expressions, measures: Sequence[Measure]) -> Found:
    """Return the groups' rows; raise TooManyGroups if there are many."""
    answers = await answered(scan, keys, measures, _MOST_AT_ONCE)
    if sum(map(len, answers)) > _MOST_AT_ONCE:
        discard(*answers)
        raise TooManyGroups(_MOST_AT_ONCE)
    return answers


def _keys(by: Sequence[Column], stretches: Stretches) -> Expressions:
    return lambda segment: [*columns(*by)(segment), stretches.of(segment)]


def _filled(looks: Looks, here: Found, there: Found, wanted: set[Key] | None) -> Cells:
    """Add the rows up: those of a place mostly follow each other."""
    found, scale = Cells(), looks.scale
    slices, windows = looks.slices.count, looks.windows.count

    def place(key: Sequence[Any]) -> Sums | None:
        named = tuple(map(as_text, key))
        if named not in found.sums and (wanted is None or named in wanted):
            found.sums[named] = Sums([0.0] * slices, [0.0] * windows)
        return found.sums.get(named)

    width = _width(here, 5)
    for key, rows in _by_place(here, width):
        sums = place(key)
        for row in rows:
            number, value, events, count, last = row[width:]
            found.events += events or 0
            found.rows += count or 0
            if sums and 0 <= number < slices:
                sums.slices[number] += value or 0
                sums.last = max(last, sums.last or last)
    for key, rows in _by_place(there, _width(there, 2)):
        if sums := place(key):
            earlier = sums.earlier
            for row in rows:
                number, value = row[-2:]
                if 0 <= number < windows:
                    earlier[number] += (value or 0) * scale
    return found


def _by_place(
    answers: Found, width: int
) -> Iterator[tuple[Sequence[Any], Iterator[Sequence[Any]]]]:
    """Yield the rows of each place that follow each other."""
    key = operator.itemgetter(slice(width))
    return groupby(chain.from_iterable(answers), key)


def _width(answers: Found, others: int) -> int:
    return next((len(rows[0]) - others for rows in answers if rows), 0)
