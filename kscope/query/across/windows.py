"""The range asked about, and the earlier windows of about its length that say what is usual."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from kscope.declare.files.union import STATE
from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role
from kscope.generate.expressions import whole_divide
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import TimeRange
from kscope.query.scan import union
from kscope.query.scan.scan import Scan, at_another_time, plain_scan_of
from kscope.query.scan.timesteps import step_below
from kscope.query.sql.conditions import conditions
from kscope.store.reader import Reader
from kscope.store.schema.progress import SECOND
from kscope.store.sums.planner import Segment

WINDOWS = 24
SLICES = 6
# With fewer earlier windows nothing is known to be usual.
LEAST_WINDOWS = 3
# Windows of whole buckets may be by so much shorter or longer than the range.
_SHORTEST, _LONGEST = 0.7, 1.3
# Of the range, so that each slice has some.
_STEPS = 12
# Agents send once a minute (us).
_SHORTEST_SLICE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Baseline:
    """The time that the range is compared with: earlier windows end at `end` (us).

    They have `length`, and none begins before `begin`. With `hosts` each host is compared with the
    others in the same range instead.
    """

    end: int
    length: int
    begin: int | None = None
    hosts: bool = False


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches of equal `length` (us), one after the other from `start` on.

    They are numbered in SQL, where a row of a rollup counts at the start of its bucket.
    """

    start: int
    length: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.count * self.length

    @property
    def range(self) -> TimeRange:
        return TimeRange(self.start, self.stop)

    def of(self, segment: Segment) -> sa.ColumnElement[int]:
        return whole_divide(segment.table.c.time - sa.literal(self.start), self.length)


def slices_of(span: TimeRange) -> Stretches:
    """Cut a range into six or fewer, none so short that agents send nothing in it.

    The last may be a little shorter than it should be.
    """
    count = max(1, min(SLICES, (span.end - span.start) // _SHORTEST_SLICE))
    length = -(-(span.end - span.start) // count)
    return Stretches(span.start, length, -(-(span.end - span.start) // length))


def windows_before(baseline: Baseline, buckets: Iterable[int], first: int | None) -> Stretches:
    """Return the earlier windows, the oldest first.

    They are made of whole `buckets` (us) if some fit. None begins before `first`, when the data
    begin: there may be few then, or none.
    """
    end, length = baseline.end, baseline.length
    fitting = [
        bucket
        for bucket in buckets
        if _SHORTEST <= max(1, round(length / bucket)) * bucket / length <= _LONGEST
    ]
    if fitting:
        whole = max(fitting)
        end, length = end - end % whole, max(1, round(length / whole)) * whole
    begins = [each for each in (baseline.begin, first) if each is not None]
    count = min(WINDOWS, (end - max(begins)) // length) if first is not None else 0
    count = 0 if baseline.hosts else max(0, count)
    return Stretches(end - count * length, length, count)


@dataclass(frozen=True, slots=True)
class Looks:
    """The scans of one table: of the range, of all earlier windows, and of these by window."""

    now: Scan
    slices: Stretches
    before: Scan
    by_window: Scan
    windows: Stretches

    @property
    def length(self) -> int:
        """The length of the range that is read, in microseconds."""
        return self.now.plan.stop - self.now.plan.start

    @property
    def scale(self) -> float:
        """How much longer the range is than an earlier window."""
        return self.length / self.windows.length

    def over(self, change: Callable[[Scan], Scan]) -> "Looks":
        """Return the same with other scans."""
        return replace(
            self,
            now=change(self.now),
            before=change(self.before),
            by_window=change(self.by_window),
        )


async def looks_of(
    reader: Reader, scope: Scope, needs: Collection[Column], baseline: Baseline
) -> Looks:
    """Plan the reading of a table. There may be few earlier windows, or none."""
    now = await plain_scan_of(reader, scope, needs, step=_fine(scope.range))
    first = await oldest_of(reader, scope.category)
    buckets = [] if baseline.hosts else buckets_of(reader, scope, needs)
    windows = windows_before(baseline, buckets, first)
    earlier = replace(scope, range=windows.range)
    step = max((each for each in (*buckets, 1) if windows.length % each == 0), default=1)
    by_window = await at_another_time(now, earlier, step)
    before = await at_another_time(now, earlier)
    return Looks(now, slices_of(now.range), before, by_window, windows).over(Scan.uncut)


async def oldest_of(reader: Reader, category: Category) -> int | None:
    """Return the time from which on there are rows or sums; None if there are none."""
    levels = await _levels_of(reader, category)
    (firsts,) = await _times_of(reader, levels, sa.func.min)
    return _oldest(levels, firsts)


async def ends_of(reader: Reader, category: Category) -> tuple[int, int] | None:
    """Return the times of the oldest and the newest row or sum; None if there are none."""
    levels = await _levels_of(reader, category)
    firsts, lasts = await _times_of(reader, levels, sa.func.min, sa.func.max)
    oldest = _oldest(levels, firsts)
    return None if oldest is None else (oldest, max(int(e) for e in lasts if e is not None))


@dataclass(frozen=True, slots=True)
class _Level:
    """The rows of one table, or its sums of so many seconds."""

    name: str
    bucket: int
    table: sa.Table


async def _levels_of(reader: Reader, category: Category) -> list[_Level]:
    """Return the levels of each table of a category, the finest first."""
    levels: list[_Level] = []
    for name in union.tables_of(category):
        tables, progress = reader.schema.categories[name], await reader.progress(name)
        sums = {each.rollup.bucket: each.table for each in tables.rollups}
        levels.append(_Level(name, 0, tables.rows))
        levels += [_Level(name, each, sums[each]) for each in sorted(sums) if each in progress]
    return levels


async def _times_of(
    reader: Reader, levels: Sequence[_Level], *ends: Callable[[Any], Any]
) -> list[Sequence[Any]]:
    """Return for each of the ends the times of the levels, None of an empty one."""
    columns = [(end, each.table.c.time) for end in ends for each in levels]
    found = [sa.select(end(time)).scalar_subquery() for end, time in columns]
    (times,) = await reader.fetch(sa.select(*found))
    return [times[start : start + len(levels)] for start in range(0, len(times), len(levels))]


def _oldest(levels: Sequence[_Level], firsts: Sequence[Any]) -> int | None:
    """A sum has the time at which its bucket begins: a day's may be hours before its first row."""
    oldest: dict[str, int] = {}
    for level, first in zip(levels, firsts, strict=True):
        known = oldest.get(level.name)
        if first is not None and (known is None or first + level.bucket * SECOND <= known):
            oldest[level.name] = int(first)
    return min(oldest.values(), default=None)


def buckets_of(reader: Reader, scope: Scope, needs: Collection[Column]) -> list[int]:
    """Return the lengths (us) of the sums that can answer, which filters may rule out."""
    columns = {each.column for each in conditions(scope.where)}
    if any(each.type.role not in (Role.DIMENSION, Role.STACK) for each in columns):
        return []
    # The state of a union comes from columns that sums keep.
    names = {each.name for each in (*needs, *columns)} - {STATE}
    tables = (reader.schema.categories[name] for name in union.tables_of(scope.category))
    of_each = [
        {one.rollup.bucket * SECOND for one in each.rollups if names <= {*one.table.c.keys()}}
        for each in tables
    ]
    return sorted(set.intersection(*of_each))


def _fine(span: TimeRange) -> int:
    """Return a step in which a range has several in each slice."""
    return max(1, step_below((span.end - span.start) // _STEPS))
