"""The tables that answer a question over a range: the coarsest sums that fit, rows at the edges.

Sums are exact: a rollup holds every row of its closed buckets, late ones included, so the segments
of a plan together hold each row of the range once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from kscope.declare.units import duration
from kscope.generate.tables import CategoryTables
from kscope.store.schema.progress import SECOND, Progress


@dataclass(frozen=True, slots=True)
class Segment:
    """Read `table` for `start <= time < stop` (us). `bucket` is in seconds, 0 for raw rows.

    A rollup's `time` is its bucket's start. One of several readers reads only a `part` of the rows.
    `table` may be a view of one table's rows: then it is `cut` in time as the table is.
    """

    table: sa.Table
    start: int
    stop: int
    bucket: int = 0
    part: sa.ColumnElement[bool] = field(default_factory=sa.true)
    cut: bool = True

    @property
    def within(self) -> sa.ColumnElement[bool]:
        time = self.table.c.time
        return sa.and_(time >= self.start, time < self.stop, self.part)


@dataclass(frozen=True, slots=True)
class Plan:
    """Segments in the order of time, without gaps or overlaps, over `start <= time < stop`.

    The range is wider than the question's if only sums are left at its edges, and so is the `step`
    (us); `notices` tell it to the user.
    """

    start: int
    stop: int
    segments: Sequence[Segment]
    notices: Sequence[str] = ()
    step: int | None = None

    @property
    def source(self) -> str:
        """Such as `rollup 1d + rollup 1h + raw`, for an answer's meta."""
        buckets = sorted({segment.bucket for segment in self.segments}, reverse=True)
        named = (f"rollup {duration(bucket)}" if bucket else "raw" for bucket in buckets)
        return " + ".join(named) or "raw"


@dataclass(frozen=True, slots=True)
class _Level:
    table: sa.Table
    bucket: int
    length: int
    progress: Progress

    def floor(self, time: int) -> int:
        return time - time % self.length

    def ceil(self, time: int) -> int:
        return -self.floor(-time)

    def holds(self, time: int) -> bool:
        """Return whether the bucket around this time is closed, and not removed."""
        start = self.floor(time)
        return self.progress.removed <= start and start + self.length <= self.progress.closed


def plan(
    tables: CategoryTables,
    progress: Mapping[int, Progress],
    span: tuple[int, int],
    columns: Collection[str],
    step: int | None = None,
) -> Plan:
    """Return the tables to read for span[0] <= time < span[1] (microseconds).

    A rollup is used only if it has every column in `columns`. To read raw rows only, pass a column
    that rollups do not have, such as `pid`, or `seq`. `step` (microseconds) is for answers over
    time: only rollups whose bucket divides it are used, and the answer's steps must start at
    multiples of the plan's `step`, which is longer if only sums of longer buckets are left.
    `progress` is by bucket in seconds; bucket 0 is the rows.
    """
    levels = [
        _Level(each.table, bucket, bucket * SECOND, progress.get(bucket, Progress()))
        for each in reversed(tables.rollups)
        for bucket in [each.rollup.bucket]
        if "seq" not in columns and all(name in each.table.c for name in columns)
    ]
    removed = progress.get(0, Progress()).removed
    whole = step
    if step is not None and span[0] < removed:
        # If no level goes back so far, the part of the range that is left starts with the coarsest.
        left = _finest(levels, span[0]) or next(iter(levels), None)
        whole = left.ceil(step) if left else step
    if whole is not None:
        levels = [level for level in levels if whole % level.length == 0]
    start, stop, notices = _widened(levels, removed, *span)
    if whole != step:
        notices.append("old rows were removed in this range: steps are now whole buckets")
    segments = _cover(levels, tables.rows, start, stop)
    return Plan(start, stop, segments, notices, whole)


def _finest(levels: Sequence[_Level], time: int) -> _Level | None:
    """Return the level with the shortest buckets that holds this time."""
    return next((level for level in reversed(levels) if level.holds(time)), None)


def _cover(levels: Sequence[_Level], rows: sa.Table, start: int, stop: int) -> list[Segment]:
    if start >= stop:
        return []
    if not levels:
        return [Segment(rows, start, stop)]
    level, finer = levels[0], levels[1:]
    first = level.ceil(max(start, level.progress.removed))
    last = level.floor(min(stop, level.progress.closed))
    if first >= last:
        return _cover(finer, rows, start, stop)
    return [
        *_cover(finer, rows, start, first),
        Segment(level.table, first, last, level.bucket),
        *_cover(finer, rows, last, stop),
    ]


def _widened(
    levels: Sequence[_Level], removed: int, start: int, stop: int
) -> tuple[int, int, list[str]]:
    """If the rows at an edge were removed, take the whole bucket of the finest level left."""
    if start >= removed or start >= stop:
        return start, stop, []
    first = _finest(levels, start)
    last = _finest(levels, stop - 1) if stop < removed else None
    wide = first.floor(start) if first else start, last.ceil(stop) if last else stop
    notices = []
    if wide != (start, stop):
        notices.append("old rows were removed in this range: whole buckets are shown")
    if first is None:
        notices.append("part of this range was removed by retention: the rest is shown")
    return *wide, notices
