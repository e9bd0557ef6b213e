"""A value over time: one series per group, the largest groups and the rest."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import nsmallest
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.query.answers.meta import Number
from kscope.query.answers.question import (
    Measured,
    Question,
    Table,
    grouped_by,
    measured,
    n_parameter,
)
from kscope.query.answers.top import AGGREGATE, value_and_aggregate
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import Value, by_values
from kscope.query.parse.errors import complain
from kscope.query.parse.parameters import Asked
from kscope.query.scan.aggregates import adds, aggregated, needs_single_rows
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import REST, in_line
from kscope.query.scan.hidden import note_hidden
from kscope.query.scan.intervals import step_of
from kscope.query.scan.labels import labels
from kscope.query.scan.measures import Aggregated, Expressions, events_of, total_of
from kscope.query.scan.read import TooManyGroups
from kscope.query.scan.same_stacks import SameStacks, same_stacks
from kscope.query.scan.scan import Scan, columns, scan_of, stored
from kscope.query.scan.timesteps import Steps, steps
from kscope.query.sql.expressions import texts
from kscope.store.reader import Reader
from kscope.store.sums.planner import Segment

_MOST_GROUPS = 50_000
# Marks a group with its own series, which may be null, and all others.
_OWN, _REST = 0, 1


@dataclass(frozen=True, slots=True)
class TimeseriesQuestion:
    """Each of the `n` groups with the most events or the largest sum has its own series.

    A column of few words has one for each word, in the order of the words.
    """

    value: Value
    by: Column | None
    n: int
    aggregate: str


class Series(msgspec.Struct, frozen=True):
    """`rest` marks the series of all other groups; the group null is named ""."""

    name: str
    values: list[Number | None]
    rest: bool


class Timeseries(Measured, frozen=True, kw_only=True):
    """`times` begin the steps, `step` is their length, both in microseconds.

    No step is shorter than `interval`, which is how far apart the rows of a host come, in
    microseconds; 0 if that is not known, or does not matter for so long a range. `seconds` are
    those of each step that lie in the range. `rate` is how the value per time is called, such as
    `threads waiting`, if it is an amount of time that is summed: microseconds by a million times
    the seconds.
    """

    by: str
    aggregate: str
    rate: str
    step: int
    interval: int
    times: list[int]
    seconds: list[float]
    series: list[Series]

    def as_table(self) -> Table:
        # A row per value: a series may have any name, `time` and that of the rest as well. In the
        # order of time, which Grafana needs to make series of them.
        rows = (
            (time, each.name, each.values[at], each.rest)
            for at, time in enumerate(self.times)
            for each in self.series
        )
        # The series of the rest is a text among numbers.
        kinds = {"time": Storage.TIME, "series": Storage.TEXT, "rest": Storage.BOOLEAN}
        return Table(["time", "series", "value", "rest"], rows, {1: self.by}, kinds)


def _question(asked: Asked) -> TimeseriesQuestion:
    value, aggregate = value_and_aggregate(asked, "timeseries")
    by = grouped_by(asked, "timeseries")
    if len(by) > 1:
        raise complain("by", "a series is of one column")
    words = by[0].words if by else ()
    n = asked["n"] if "n" in asked.given else max(asked["n"], len(words))
    return TimeseriesQuestion(value, by[0] if by else None, n, aggregate)


async def timeseries(reader: Reader, asked: Asked) -> Timeseries:
    question = _question(asked)
    table, value, aggregate = asked.category.table, question.value, question.aggregate
    wanted, interval = await step_of(reader, asked.scope, asked["points"])
    needs = (question.by, *value.columns)
    single = needs_single_rows(value, aggregate) or by_values([question.by])
    scan = await scan_of(reader, asked.scope, needs, single_rows=single, step=wanted)
    grid = steps(scan.range, scan.plan.step or wanted, interval)
    shown, found = await _measured(scan, question, grid)
    await note_hidden(scan, value, aggregate)
    return Timeseries(
        **measured(table, value, scan, found.total_rows, aggregate=aggregate),
        by=question.by.name if question.by else "",
        aggregate=aggregate,
        rate=value.column.rate if value.column and aggregate == "sum" else "",
        step=grid.length,
        interval=grid.interval,
        times=grid.times,
        seconds=grid.seconds(scan.range),
        series=await _series(reader, question, grid, shown, found.values),
    )


async def _measured(
    scan: Scan, question: TimeseriesQuestion, grid: Steps
) -> tuple[list[Any], Aggregated]:
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
            found = await ask(keys=lambda at: [grid.of(at), stored(at, by)], most=_MOST_GROUPS)
            large = (found.values, found.rows)
            return await consumed(lambda *_: _with_rest(found, question.n), *large)
        except TooManyGroups:
            pass
    shown = await _ranked(replace(same, places=(0,) if same else ()), by, question)
    members = same.members(shown) if same else shown
    cells += grid.count * (len(members) - len(shown))
    return shown, await ask(keys=_keys(grid, by, members), most=cells)


def _with_rest(found: Aggregated, n: int) -> tuple[list[Any], Aggregated]:
    totals: defaultdict[Any, Any] = defaultdict(int)
    for (_, group), value in found.values.items():
        totals[group] += value
    shown = _largest(totals, n)
    own = set(shown)
    values: dict[tuple[Any, ...], Any] = {}
    rest: defaultdict[int, Any] = defaultdict(int)
    for (step, group), value in found.values.items():
        if group in own:
            values[step, group, _OWN] = value
        else:
            rest[step] += value
    values.update({(step, None, _REST): value for step, value in rest.items()})
    return shown, Aggregated(values, {(): found.total_rows})


async def _ranked(same: SameStacks, by: Column, question: TimeseriesQuestion) -> list[Any]:
    weigh = total_of(question.value) if question.aggregate == "sum" else events_of(question.value)
    found = await same.heaviest(columns(by), (weigh,), question.n)
    return _largest({key: weight for (key,), (weight,) in found.groups.items()}, question.n)


def _largest(totals: Mapping[Any, Any], n: int) -> list[Any]:
    """Return the groups with the largest totals, the largest first."""
    return nsmallest(n, totals, lambda group: (-(totals[group] or 0), in_line((group,))))


def _keys(grid: Steps, by: Column, shown: Sequence[Any]) -> Expressions:
    """Group by step, by group, and by whether it is in the rest, which is one group."""

    def keys(segment: Segment) -> list[sa.ColumnElement[Any]]:
        among, group = _among(segment, by, shown), stored(segment, by)
        own = sa.case((among, group), else_=sa.null())
        return [grid.of(segment), own, sa.case((among, _OWN), else_=_REST)]

    return keys


def _among(segment: Segment, by: Column, shown: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return whether a row belongs to one of these groups; null may be one of them."""
    column = segment.table.c[by.name]
    if by.type.storage is Storage.TEXT:
        return texts(column, shown)
    present = column.in_([group for group in shown if group is not None])
    return sa.or_(present, column.is_(None)) if None in shown else present


async def _series(
    reader: Reader,
    question: TimeseriesQuestion,
    grid: Steps,
    shown: Sequence[Any],
    found: Mapping[tuple[Any, ...], Any],
) -> list[Series]:
    empty = 0 if adds(question.aggregate) else None

    def series(name: str, *key: Any, rest: bool = False) -> Series:
        values = [found.get((step, *key), empty) for step in range(grid.count)]
        return Series(name, values, rest)

    if question.by is None:
        return [series(question.value.name)]
    if words := question.by.words:
        shown = sorted(shown, key=words.index)
    names = await labels(reader, question.by, shown)
    listed = [series(names[group], group, _OWN) for group in shown]
    if any(kind == _REST for *_, kind in found):
        listed.append(series(REST, None, _REST, rest=True))
    return listed


POINTS = p.Parameter("points", "how many steps of time at most", "120", least=1, most=2000)
QUESTIONS = (
    Question(
        name="timeseries",
        help="A value over time: the largest groups, and the others as one.",
        parameters=(
            p.MEASURE,
            p.SERIES_BY,
            n_parameter("series beside the rest", 5),
            AGGREGATE,
            POINTS,
        ),
        ask=timeseries,
        answer=Timeseries,
    ),
)
