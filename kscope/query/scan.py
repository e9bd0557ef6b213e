"""Sums over a range of time: a question is a list of segments, each summed by one statement."""

from __future__ import annotations

import asyncio
import operator
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from kscope.declare.columns import Role
from kscope.query import regex
from kscope.query.filters import clause, conditions
from kscope.query.timerange import TimeRange
from kscope.store.planner import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kscope.declare.model import Column
    from kscope.query.filters import Group
    from kscope.query.scope import Scope
    from kscope.store.base import Reader
    from kscope.store.planner import Segment

    Expressions = Callable[[Segment], Sequence[sa.ColumnElement[Any]]]
    Merge = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Measure:
    """An aggregate of a segment's rows, and how those of two segments become one."""

    of: Callable[[Segment], sa.ColumnElement[Any]]
    merge: Merge = operator.add


def _rows(segment: Segment) -> sa.ColumnElement[Any]:
    return sa.func.sum(segment.weight) if segment.bucket else sa.func.count()


ROWS = Measure(_rows)
# In microseconds of rows, and in buckets of sums: below, a second connection takes longer to ask,
# and two answers longer to merge, than is saved.
_WORTH_SHARING = 300 * 1_000_000
_BUCKETS_WORTH_SHARING = 6


@dataclass(frozen=True)
class Plan:
    """What the store planned for a scope, and its filters with their patterns resolved.

    `segments` are those of the store's plan, some of them cut in two so that two connections
    share the work. The range may be wider than asked for, as `notices` then say.
    """

    range: TimeRange
    segments: tuple[Segment, ...]
    where: Group
    source: str
    notices: tuple[str, ...]
    started: float

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
    names = {column.name for column in needs if column}
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

    With `most` there may be one key more, which says that there are too many.
    """
    segments = await _shared_out(reader, plan)
    statements = [_grouped(reader, plan, segment, keys, measures) for segment in segments]
    if most is not None:
        statements = [statement.limit(most + 1) for statement in statements]
    answers = await asyncio.gather(*(reader.fetch(statement) for statement in statements))
    return await asyncio.to_thread(_merged, answers, [measure.merge for measure in measures])


async def _shared_out(reader: Reader, plan: Plan) -> list[Segment]:
    """Cut long stretches of rows in two: engines read them over two connections at a time."""
    shared: list[Segment] = []
    for segment in plan.segments:
        middle = await _middle(reader, segment)
        if middle is None:
            shared.append(segment)
        else:
            shared += [replace(segment, stop=middle), replace(segment, start=middle)]
    return shared


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
    return lambda segment: [segment.table.c[column.name] for column in named]


def inside(reader: Reader, plan: Plan, segment: Segment) -> sa.ColumnElement[bool]:
    """The segment's rows that the filters let through."""
    return sa.and_(segment.within, clause(plan.where, segment.table, reader.schema.dictionaries))


def _grouped(
    reader: Reader, plan: Plan, segment: Segment, keys: Expressions, measures: Sequence[Measure]
) -> sa.Select[Any]:
    by = [key.label(f"key_{i}") for i, key in enumerate(keys(segment))]
    found = [each.of(segment).label(f"measure_{i}") for i, each in enumerate(measures)]
    statement = sa.select(*by, *found).where(inside(reader, plan, segment))
    return statement.group_by(*by) if by else statement


def _merged(
    answers: Sequence[Sequence[Sequence[Any]]], merges: Sequence[Merge]
) -> dict[tuple[Any, ...], list[Any]]:
    merged: dict[tuple[Any, ...], list[Any]] = {}
    for answer in answers:
        for row in answer:
            width = len(row) - len(merges)
            key, found = tuple(row[:width]), [_number(value) for value in row[width:]]
            before = merged.get(key)
            merged[key] = found if before is None else _both(before, found, merges)
    return merged


def _both(before: list[Any], found: list[Any], merges: Sequence[Merge]) -> list[Any]:
    return [
        b if a is None else a if b is None else merge(a, b)
        for a, b, merge in zip(before, found, merges, strict=True)
    ]


def _number(value: Any) -> Any:
    """MySQL sums whole numbers to decimals."""
    return int(value) if isinstance(value, Decimal) else value
