"""Sums over a range of time: a question is a list of segments, each summed by one statement."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from kscope.declare.types.base import Role, Storage
from kscope.query.parse.errors import Complaint, QueryError
from kscope.query.parse.filters import clause, conditions
from kscope.query.parse.timerange import TimeRange
from kscope.query.scan import regex
from kscope.query.scan.parallel import together
from kscope.query.scan.release import consumed, discard
from kscope.query.scan.replayed import Replayed, replayed
from kscope.query.sql.expressions import INEXACT, as_text, exact, ids, quick_sum
from kscope.store.backends.errors import NumberOverflow
from kscope.store.sums.planner import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kscope.declare.model import Column
    from kscope.query.parse.filters import Group
    from kscope.query.parse.scope import Scope
    from kscope.store.reader import Reader
    from kscope.store.sums.planner import Segment

    Expression = Callable[[Segment], sa.ColumnElement[Any]]
    Expressions = Callable[[Segment], Sequence[sa.ColumnElement[Any]]]
    Select = Callable[[Sequence[Expression]], sa.Select[Any]]
    Merge = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Measure:
    """An aggregate of a segment's rows, and how those of two segments become one.

    `halves` are the sums of the upper and of the lower bits, where a sum may pass 64 of them.
    """

    of: Expression
    merge: Merge = operator.add
    halves: tuple[Expression, ...] = ()


def _rows(segment: Segment) -> sa.ColumnElement[Any]:
    return quick_sum(segment.weight) if segment.bucket else sa.func.count()


ROWS = Measure(_rows)
HALF = 31


def sum_of(column: Column) -> Measure:
    def stored(segment: Segment) -> sa.ColumnElement[Any]:
        return segment.table.c[column.name]

    if column.type.storage is not Storage.INTEGER:
        return Measure(lambda segment: sa.func.sum(stored(segment)))
    halves = (
        lambda segment: sa.func.sum(stored(segment).bitwise_rshift(HALF)),
        lambda segment: sa.func.sum(stored(segment).bitwise_and(2**HALF - 1)),
    )
    return Measure(lambda segment: quick_sum(stored(segment)), halves=halves)


# What an answer is made of is kept in memory: so many groups take some hundred megabytes.
MOST_GROUPS = 200_000


class TooManyGroups(QueryError):  # noqa: N818 - named for what it tells
    """There are more groups than a question may have."""

    def __init__(self, most: int) -> None:
        text = f"too many groups (over {most:,}): filter, group by less or ask for less time"
        super().__init__(Complaint("by", text))


# In microseconds of rows, and in buckets of sums: below, a second connection takes longer to ask,
# and two answers longer to merge, than is saved.
_WORTH_SHARING = 300 * 1_000_000
_BUCKETS_WORTH_SHARING = 6


@dataclass(frozen=True)
class Plan:
    """What the store planned for a scope, and its filters with their patterns resolved.

    `stack` is a stack column that the question needs. The range may be wider than asked for, and
    the `step` longer, as `notices` then say.
    """

    range: TimeRange
    segments: tuple[Segment, ...]
    where: Group
    source: str
    notices: tuple[str, ...]
    started: float
    replayed: Replayed
    step: int | None = None
    stack: Column | None = None

    @property
    def elapsed_ms(self) -> float:
        return round((time.perf_counter() - self.started) * 1000, 1)


async def plan(
    reader: Reader,
    scope: Scope,
    needs: Iterable[Column | None] = (),
    *,
    single_rows: bool = False,
    step: int | None = None,
) -> Plan:
    """Plan for a question that touches these columns.

    `single_rows` where sums will not do; `step` (us) for an answer over time.
    """
    started = time.perf_counter()
    where = await regex.resolve(reader, scope)
    needed = [column for column in needs if column]
    names = {column.name for column in needed}
    for each in conditions(where):
        names.add(each.column.name)
        # A sum says nothing of the rows that were summed.
        single_rows |= each.column.type.role not in (Role.DIMENSION, Role.STACK)
    if single_rows:
        names.add("seq")
    span = scope.range
    planned = await reader.plan(scope.category.table, span.start, span.end, names, step)
    return Plan(
        TimeRange(planned.start, planned.stop),
        tuple(planned.segments),
        where,
        planned.source,
        tuple(planned.notices),
        started,
        await replayed(reader),
        planned.step,
        next((column for column in needed if column.type.role is Role.STACK), None),
    )


def first_rows(reader: Reader, plan: Plan, limit: int) -> Plan:
    """Look at so many rows only, the oldest; the plan must be of single rows."""
    if not plan.segments:
        return plan
    (segment,) = plan.segments
    table = segment.table
    chosen = (
        sa.select(table)
        .where(inside(reader, plan, segment))
        .order_by(table.c.time, table.c.seq)
        .limit(limit)
        .subquery()
    )
    return replace(plan, segments=(replace(segment, table=cast("sa.Table", chosen)),))


async def summed(
    reader: Reader,
    plan: Plan,
    keys: Expressions,
    measures: Sequence[Measure],
    most: int | None = None,
) -> dict[tuple[Any, ...], list[Any]]:
    """Key -> measures, over all segments; a measure of no value is None.

    Raises TooManyGroups where there are more keys than `most`, or than an answer may have.
    """
    most = MOST_GROUPS if most is None else most
    wanted = [*measures, *recorded(plan)]
    shares = await _shared_out(reader, plan)

    def select(share: Share) -> Select:
        return lambda measures: grouped(reader, plan, share, keys, measures).limit(most + 1)

    answers = await together(*(_asked(reader, wanted, select(each)) for each in shares))
    merges = [measure.merge for measure in wanted]
    merged = await consumed(lambda *answers: _merged(answers, merges), *answers)
    if len(merged) > most:
        discard(merged)
        raise TooManyGroups(most)
    if plan.replayed.hosts:
        plan.replayed.seen |= await asyncio.to_thread(take_last, merged)
    return merged


def take_last(merged: dict[tuple[Any, ...], list[Any]]) -> bool:
    last = [found.pop() for found in merged.values()]
    return any(last)


def recorded(plan: Plan) -> list[Measure]:
    """Was any row replayed? Read with the others: it costs no second look at the rows."""
    if not plan.replayed.hosts:
        return []
    return [Measure(lambda segment: sa.func.max(is_recorded(plan, segment)), max)]


def is_recorded(plan: Plan, segment: Segment) -> sa.ColumnElement[int]:
    return sa.case((ids(segment.table.c.hostname, plan.replayed.hosts), 1), else_=0)


async def _asked(
    reader: Reader, measures: Sequence[Measure], select: Select
) -> Sequence[Sequence[Any]]:
    # SQLite refuses a sum beyond 64 bits: absurd values of one host must not end all answers.
    with contextlib.suppress(NumberOverflow):
        rows = await reader.fetch(select([measure.of for measure in measures]))
        if reader.dialect == "sqlite" or await asyncio.to_thread(_are_exact, rows, measures):
            return rows
        discard(rows)
    halves = [of for measure in measures for of in (measure.halves or (measure.of,))]
    rows = await reader.fetch(select(halves))
    return await consumed(lambda rows: [joined(row, measures) for row in rows], rows)


def _are_exact(rows: Sequence[Sequence[Any]], measures: Sequence[Measure]) -> bool:
    places = [i - len(measures) for i, measure in enumerate(measures) if measure.halves]
    most = (max(filter(None, map(operator.itemgetter(place), rows)), default=0) for place in places)
    return max(most, default=0) < INEXACT


def joined(row: Sequence[Any], measures: Sequence[Measure]) -> list[Any]:
    """Put the halves of each sum together again."""
    width = len(row) - sum(len(measure.halves or (0,)) for measure in measures)
    found = iter(row[width:])
    joined = list(row[:width])
    for measure in measures:
        value = next(found)
        if measure.halves:
            lower = next(found)
            value = None if value is None else (int(value) << HALF) + int(lower)
        joined.append(value)
    return joined


@dataclass(frozen=True, slots=True)
class Share:
    """What one connection sums: of a segment those rows that are `part` of it."""

    segment: Segment
    part: sa.ColumnElement[bool] = field(default_factory=sa.true)


async def _shared_out(reader: Reader, plan: Plan) -> list[Share]:
    """Cut long stretches of rows in two: engines read them over two connections at a time."""
    shares: list[Share] = []
    for segment in plan.segments:
        middle = await _middle(reader, segment)
        if middle is None:
            shares.append(Share(segment))
        elif _sorts(reader) and plan.stack and segment.bucket and not any(conditions(plan.where)):
            # To sort takes longer than to read, and halves without a key in common are less to
            # fetch and nothing to merge. The id is a hash.
            odd = segment.table.c[plan.stack.name].bitwise_and(1)
            shares += [Share(segment, odd == half) for half in (0, 1)]
        else:
            shares.append(Share(replace(segment, stop=middle)))
            shares.append(Share(replace(segment, start=middle)))
    return shares


def _sorts(reader: Reader) -> bool:
    """SQLite sorts what it groups; others count in a table, and reading is what takes long."""
    return reader.dialect == "sqlite"


async def _middle(reader: Reader, segment: Segment) -> int | None:
    """A time with rows on both sides; None where they are not worth it."""
    if not isinstance(segment.table, sa.Table):
        return None
    width = segment.bucket * SECOND or 1
    worth = _BUCKETS_WORTH_SHARING * width if segment.bucket else _WORTH_SHARING
    if segment.stop - segment.start < worth:
        return None
    # The rows of a table are in the order of time: its ends are found at once.
    time = segment.table.c.time
    first, last = (
        sa.select(time).where(segment.within).order_by(order).limit(1).scalar_subquery()
        for order in (time.asc(), time.desc())
    )
    ((start, end),) = await reader.fetch(sa.select(first, last))
    if start is None or end + width - start < worth:
        return None
    middle = (int(start) + int(end) + width) // 2
    return middle - middle % width


def columns(*named: Column) -> Expressions:
    """Group by these columns as they are stored."""
    return lambda segment: [stored(segment, column) for column in named]


def stored(segment: Segment, column: Column) -> sa.ColumnElement[Any]:
    """A column as a group's key: MySQL would count texts that end in spaces as one."""
    value = segment.table.c[column.name]
    return exact(value) if column.type.storage is Storage.TEXT else value


def inside(reader: Reader, plan: Plan, segment: Segment) -> sa.ColumnElement[bool]:
    """The segment's rows that the filters let through."""
    return sa.and_(segment.within, clause(plan.where, segment.table, reader.schema.dictionaries))


def grouped(
    reader: Reader,
    plan: Plan,
    share: Share,
    keys: Expressions,
    measures: Sequence[Expression],
) -> sa.Select[Any]:
    segment = share.segment
    by = [key.label(f"key_{i}") for i, key in enumerate(keys(segment))]
    found = [of(segment).label(f"measure_{i}") for i, of in enumerate(measures)]
    statement = sa.select(*by, *found).where(inside(reader, plan, segment), share.part)
    return statement.group_by(*by) if by else statement


def _merged(
    answers: Sequence[Sequence[Sequence[Any]]], merges: Sequence[Merge]
) -> dict[tuple[Any, ...], list[Any]]:
    merged: dict[tuple[Any, ...], list[Any]] = {}
    both = _merger(merges)
    for answer in answers:
        if not answer:
            continue
        width = len(answer[0]) - len(merges)
        keys = _keys(answer, width)
        if not merged:  # no key comes twice in one answer
            merged = {key: [*row[width:]] for key, row in zip(keys, answer, strict=True)}
            continue
        for key, row in zip(keys, answer, strict=True):
            before = merged.get(key)
            merged[key] = [*row[width:]] if before is None else both(before, row[width:])
    return merged


def _keys(answer: Sequence[Sequence[Any]], width: int) -> Iterator[tuple[Any, ...]]:
    keys = (tuple(row[:width]) for row in answer)
    # Exact texts are bytes in every row, but for those that have none.
    if any(part is None or isinstance(part, bytes) for part in answer[0][:width]):
        return (tuple(map(as_text, key)) for key in keys)
    return keys


def _merger(merges: Sequence[Merge]) -> Callable[[Sequence[Any], Sequence[Any]], list[Any]]:
    def both(before: Sequence[Any], found: Sequence[Any]) -> list[Any]:
        return [
            b if a is None else a if b is None else merge(a, b)
            for a, b, merge in zip(before, found, merges, strict=True)
        ]

    def added(before: Sequence[Any], found: Sequence[Any]) -> list[Any]:
        try:
            return list(map(operator.add, before, found))
        except TypeError:  # one of them has no value
            return both(before, found)

    # Half of the time, where there are some ten thousand.
    return added if all(merge is operator.add for merge in merges) else both
