"""A value over time: one series per group, the largest groups and the rest."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

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
from kscope.query.parse.columns import by_values
from kscope.query.parse.errors import complain
from kscope.query.parse.parameters import Asked
from kscope.query.scan.aggregates import adds, needs_single_rows
from kscope.query.scan.heaviest import REST
from kscope.query.scan.hidden import note_hidden
from kscope.query.scan.intervals import in_steps
from kscope.query.scan.labels import labels
from kscope.query.scan.largest import OTHERS, OWN, Amounts, by_steps
from kscope.query.scan.scan import scan_of
from kscope.query.scan.timesteps import Steps, steps
from kscope.store.reader import Reader


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


def _question(asked: Asked) -> Amounts:
    value, aggregate = value_and_aggregate(asked, "timeseries")
    by = grouped_by(asked, "timeseries")
    if len(by) > 1:
        raise complain("by", "a series is of one column")
    words = by[0].words if by else ()
    n = asked["n"] if "n" in asked.given else max(asked["n"], len(words))
    return Amounts(value, by[0] if by else None, n, aggregate)


async def timeseries(reader: Reader, asked: Asked) -> Timeseries:
    ask = partial(_timeseries, reader, asked, _question(asked))
    answer, interval = await in_steps(reader, asked.scope, asked["points"], ask)
    return msgspec.structs.replace(answer, interval=interval)


async def _timeseries(reader: Reader, asked: Asked, question: Amounts, wanted: int) -> Timeseries:
    """Answer in steps of this length, without the interval."""
    table, value, aggregate = asked.category.table, question.value, question.aggregate
    needs = (question.by, *value.columns)
    single = needs_single_rows(value, aggregate) or by_values([question.by])
    scan = await scan_of(reader, asked.scope, needs, single_rows=single, step=wanted)
    grid = steps(scan.range, scan.plan.step or wanted)
    shown, found = await by_steps(scan, question, grid)
    await note_hidden(scan, value, aggregate)
    return Timeseries(
        **measured(table, value, scan, found.total_rows, aggregate=aggregate),
        by=question.by.name if question.by else "",
        aggregate=aggregate,
        rate=value.column.rate if value.column and aggregate == "sum" else "",
        step=grid.length,
        interval=0,
        times=grid.times,
        seconds=grid.seconds(scan.range),
        series=await _series(reader, question, grid, shown, found.values),
    )


async def _series(
    reader: Reader,
    question: Amounts,
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
    listed = [series(names[group], group, OWN) for group in shown]
    if any(kind == OTHERS for *_, kind in found):
        listed.append(series(REST, None, OTHERS, rest=True))
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
