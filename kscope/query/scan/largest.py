"""A value by step of time: the largest groups, and all others as one."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import nsmallest
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.query.parse.columns import Value
from kscope.query.scan.aggregates import adds, aggregated
from kscope.query.scan.heaviest import in_line
from kscope.query.scan.measures import (
    ROWS,
    Aggregated,
    Expressions,
    Measure,
    events_of,
    total_of,
)
from kscope.query.scan.read import TooManyGroups, in_columns
from kscope.query.scan.same_stacks import SameStacks, same_stacks
from kscope.query.scan.scan import Scan, columns, stored
from kscope.query.scan.timesteps import Steps
from kscope.query.sql.expressions import texts
from kscope.store.sums.planner import Segment

_MOST_GROUPS = 50_000
# Marks a group with its own series, which may be null, and all others.
OWN, OTHERS = 0, 1


@dataclass(frozen=True, slots=True)
class Amounts:
    """Each of the `n` groups with the most events or the largest sum has its own series.

    A column of few words has one for each word, in the order of the words.
    """

    value: Value
    by: Column | None
    n: int
    aggregate: str


async def by_steps(scan: Scan, question: Amounts, grid: Steps) -> tuple[list[Any], Aggregated]:
    """Return the groups that have their own series, and the values by step and group.

    Sums of few groups are read once, and those beyond the largest are added up here; otherwise
    the rows are read twice, so that the answer of the database stays small.
    """
    same = same_stacks(scan, [question.by], first=1)
    ask = partial(aggregated, same, value=question.value, name=question.aggregate)
    cells = grid.count * (question.n + 1)
    if question.by is None:
        return [], await ask(keys=lambda segment: [grid.of(segment)], most=cells)
    by = question.by
    if adds(question.aggregate):
        try:
            keys = _keys(grid, by)
            found = await in_columns(scan, keys, [_weight(question), ROWS], _MOST_GROUPS)
        except TooManyGroups:
            pass
        else:
            if same and found:
                found[1] = await same.shown(found[1])
            return await asyncio.to_thread(_with_rest, found, question.n)
    shown = await _ranked(replace(same, places=(0,) if same else ()), by, question)
    members = same.members(shown) if same else shown
    cells += grid.count * (len(members) - len(shown))
    return shown, await ask(keys=_keys_with_rest(grid, by, members), most=cells)


def _with_rest(found: Sequence[Sequence[Any]], n: int) -> tuple[list[Any], Aggregated]:
    """Return the same of columns of steps, groups, values and numbers of rows."""
    if not found:
        return [], Aggregated({}, {})
    at, groups, weights, rows = found
    totals: defaultdict[Any, Any] = defaultdict(int)
    for group, weight in zip(groups, weights, strict=True):
        totals[group] += weight
    shown = _largest(totals, n)
    own = set(shown)
    values: defaultdict[tuple[Any, ...], Any] = defaultdict(int)
    rest: defaultdict[int, Any] = defaultdict(int)
    for step, group, weight in zip(at, groups, weights, strict=True):
        if group in own:
            values[step, group, OWN] += weight
        else:
            rest[step] += weight
    values.update({(step, None, OTHERS): weight for step, weight in rest.items()})
    return shown, Aggregated(values, {(): sum(rows)})


def _weight(question: Amounts) -> Measure:
    value = question.value
    return total_of(value) if question.aggregate == "sum" else events_of(value)


async def _ranked(same: SameStacks, by: Column, question: Amounts) -> list[Any]:
    found = await same.heaviest(columns(by), (_weight(question),), question.n)
    return _largest({key: weight for (key,), (weight,) in found.groups.items()}, question.n)


def _largest(totals: Mapping[Any, Any], n: int) -> list[Any]:
    """Return the groups with the largest totals, the largest first."""
    return nsmallest(n, totals, lambda group: (-(totals[group] or 0), in_line((group,))))


def _keys(grid: Steps, by: Column) -> Expressions:
    return lambda segment: [grid.of(segment), stored(segment, by)]


def _keys_with_rest(grid: Steps, by: Column, shown: Sequence[Any]) -> Expressions:
    """Group by step, by group, and by whether it is in the rest, which is one group."""

    def keys(segment: Segment) -> list[sa.ColumnElement[Any]]:
        among, group = _among(segment, by, shown), stored(segment, by)
        own = sa.case((among, group), else_=sa.null())
        return [grid.of(segment), own, sa.case((among, OWN), else_=OTHERS)]

    return keys


def _among(segment: Segment, by: Column, shown: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return whether a row belongs to one of these groups; null may be one of them."""
    column = segment.table.c[by.name]
    if by.type.storage is Storage.TEXT:
        return texts(column, shown)
    present = column.in_([group for group in shown if group is not None])
    return sa.or_(present, column.is_(None)) if None in shown else present
