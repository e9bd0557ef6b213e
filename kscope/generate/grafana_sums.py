"""The rows of Grafana's range, each of them once: whole buckets from sums, rows at the edges.

Grafana sends the query of a panel as it stands. So the statement itself makes the choice that
`kscope.store.sums.planner` makes for the program's own questions, from the table of progress. The
widened edges and steps of a range whose rows were removed are the same, too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.generate.expressions import whole_divide
from kscope.generate.tables import CategoryTables

Number = sa.ColumnElement[Any]
_SECOND = 1_000_000
# The ends of a level that the table of progress does not name: it has no sums.
_NEVER = -(2**62)
# The name of a table of rows or sums in the statements.
ALIAS = "kscope_rows"
# The name of the tuple of the ends of all segments.
ENDS = "kscope_ends"


@dataclass(frozen=True, slots=True)
class Range:
    """Grafana's range and its step, in microseconds; a ranking has no step."""

    since: Number
    until: Number
    step: Number | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A table of rows or of sums, under the name `ALIAS`, and where those that count are read."""

    table: sa.FromClause
    source: sa.FromClause
    within: sa.ColumnElement[bool]

    def select(self, *columns: Number) -> sa.Select[Any]:
        return sa.select(*columns).select_from(self.source).where(self.within)


@dataclass(frozen=True, slots=True)
class Cover:
    """The segments that together hold each row of the range once; `step` is widened as they are.

    `ends` selects the ends of the segments, if they are not joined: one row of one tuple, which the
    statement must name `ENDS`.
    """

    segments: Sequence[Segment]
    step: Number | None
    ends: sa.Select[Any] | None = None


@dataclass(frozen=True, slots=True)
class _Level:
    """Sums of a bucket. Its closed and removed ends are columns of the table `_known`."""

    bucket: int
    table: sa.FromClause

    @property
    def length(self) -> int:
        return self.bucket * _SECOND

    def holds(self, known: sa.FromClause, time: Number) -> sa.ColumnElement[bool]:
        """Whether the bucket around this time is closed, and not removed."""
        start = _floor(time, self.length)
        removed, closed = known.c[f"removed_{self.bucket}"], known.c[f"closed_{self.bucket}"]
        return sa.and_(removed <= start, start + self.length <= closed)

    def fits(self, step: Number | None) -> sa.ColumnElement[bool]:
        """Whether a step is made of whole buckets."""
        return sa.true() if step is None else step % self.length == 0


def _floor(time: Number, length: Number | int) -> Number:
    return whole_divide(time, length) * length


def _ceil(time: Number, length: Number | int) -> Number:
    return _floor(time + length - 1, length)


def cover(
    tables: CategoryTables,
    progress: sa.Table,
    asked: Range,
    columns: Sequence[str],
    *,
    joins: bool,
) -> Cover:
    """Return the segments of the range; sums are read only if they have all these columns.

    With `joins` a table is joined with its ends, which else are elements of a tuple: each engine
    reads only a part of a table in one of the two ways.
    """
    rows = tables.rows.alias(ALIAS)
    levels = [
        _Level(each.rollup.bucket, each.table.alias(ALIAS))
        for each in reversed(tables.rollups)
        if all(name in each.table.c for name in columns)
    ]
    if not levels:
        within = sa.and_(rows.c.time >= asked.since, rows.c.time < asked.until)
        return Cover([Segment(rows, rows, within)], asked.step)
    known = _known(tables.category.table, progress, asked, levels, joins=joins)
    spans = _spans(_whole(_start(known, levels), levels), levels)
    names = spans.c.keys()

    def end(name: str) -> Number:
        return spans.c[name] if joins else sa.literal_column(f"{ENDS}.{names.index(name) + 1}")

    segments = [
        Segment(table, spans.join(table, within), sa.true())
        if joins
        else Segment(table, table, within)
        for table, within in _parts(end, levels, rows)
    ]
    step = None if asked.step is None else end("step")
    return Cover(segments, step, None if joins else sa.select(sa.func.tuple(*spans.c)))


def _parts(
    end: Callable[[str], Number], levels: Sequence[_Level], rows: sa.FromClause
) -> Iterator[tuple[sa.FromClause, sa.ColumnElement[bool]]]:
    """Yield the coarsest level first; each leaves out the spans of those before it."""
    taken: list[tuple[Number, Number]] = []

    def within(table: sa.FromClause, first: Number, last: Number) -> sa.ColumnElement[bool]:
        time = table.c.time
        others = [sa.or_(time < start, time >= stop) for start, stop in taken]
        return sa.and_(time >= first, time < last, *others)

    for level in levels:
        span = end(f"first_{level.bucket}"), end(f"last_{level.bucket}")
        yield level.table, within(level.table, *span)
        taken.append(span)
    yield rows, within(rows, end("since"), end("until"))


def _known(
    category: str, progress: sa.Table, asked: Range, levels: Sequence[_Level], *, joins: bool
) -> sa.CTE:
    """Return one row: the progress of each level, and the range as Grafana asks for it.

    Where ends are joined, each is looked up by its key: MariaDB then knows all of them before it
    chooses how to read a table.
    """
    is_own = progress.c.category == category

    def end(name: str, bucket: int) -> Number:
        is_level, found = progress.c.bucket == bucket, progress.c[name]
        if joins:
            one = sa.select(sa.func.max(found)).where(is_own, is_level).scalar_subquery()
            return sa.func.coalesce(one, _NEVER)
        return sa.func.coalesce(sa.func.max(sa.case((is_level, found))), _NEVER)

    columns = [end("removed", 0).label("removed_rows")]
    columns += [
        end(name, level.bucket).label(f"{name}_{level.bucket}")
        for level in levels
        for name in ("closed", "removed")
    ]
    columns += [asked.since.label("asked_since"), asked.until.label("asked_until")]
    if asked.step is not None:
        columns.append(asked.step.label("asked_step"))
    found = sa.select(*columns)
    return (found if joins else found.where(is_own)).cte("kscope_known")


def _start(known: sa.CTE, levels: Sequence[_Level]) -> sa.CTE:
    """Add the length of the bucket that the range starts with, if its rows were removed.

    It is 1 where there are rows, and 0 if nothing is left.
    """
    since = known.c.asked_since
    held = [(level.holds(known, since), level.length) for level in reversed(levels)]
    left = sa.case((since >= known.c.removed_rows, 1), *held, else_=0)
    return sa.select(*known.c, left.label("whole")).cte("kscope_start")


def _whole(start: sa.CTE, levels: Sequence[_Level]) -> sa.CTE:
    """Add the ends and the step: whole buckets where rows were removed."""
    since, until, steps = start.c.asked_since, start.c.asked_until, list[sa.Label[Any]]()
    step: Number | None = None
    if "asked_step" in start.c:
        whole = sa.case((start.c.whole == 0, levels[0].length), else_=start.c.whole)
        step = _ceil(start.c.asked_step, whole)
        steps = [step.label("step")]
    held = [
        (sa.and_(level.fits(step), level.holds(start, until - 1)), _ceil(until, level.length))
        for level in reversed(levels)
    ]
    kept = [start.c[f"{name}_{level.bucket}"] for level in levels for name in ("closed", "removed")]
    first = _floor(since, sa.func.greatest(start.c.whole, 1)).label("since")
    last = sa.case((until >= start.c.removed_rows, until), *held, else_=until).label("until")
    return sa.select(*kept, *steps, first, last).cte("kscope_whole")


def _spans(whole: sa.CTE, levels: Sequence[_Level]) -> sa.CTE:
    """Add the first and the last end of each level's buckets; a level without has none between."""
    step = whole.c.step if "step" in whole.c else None
    columns: list[Number] = [whole.c[name] for name in ("since", "until")]
    columns += [] if step is None else [step]
    for level in levels:
        closed: Number = whole.c[f"closed_{level.bucket}"]
        if step is not None:
            closed = sa.case((level.fits(step), closed), else_=_NEVER)
        since = sa.func.greatest(whole.c.since, whole.c[f"removed_{level.bucket}"])
        first = _ceil(since, level.length)
        last = _floor(sa.func.least(whole.c.until, closed), level.length)
        columns += [first.label(f"first_{level.bucket}"), last.label(f"last_{level.bucket}")]
    return sa.select(*columns).cte("kscope_spans")
