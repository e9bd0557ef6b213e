"""Events by time and size, weighed by the time they took or by their number."""

from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from kscope.declare.model import Column
from kscope.declare.types.base import Role, Storage
from kscope.query.answers.dominant import Cell, CellQuestion, Dominant, dominant, read_cell
from kscope.query.answers.histogram import SIZED, SLOTS, bins_of, filled, mean_notices
from kscope.query.answers.meta import Notice, Number
from kscope.query.answers.question import Measured, Question, Table, measured
from kscope.query.answers.timeseries import POINTS
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import Value, value_of
from kscope.query.parse.errors import complain
from kscope.query.parse.parameters import Asked
from kscope.query.parse.timerange import TimeRange, iso
from kscope.query.scan.aggregates import needs_single_rows
from kscope.query.scan.cells import Cells, cells, is_duration, time_column
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.intervals import in_steps
from kscope.query.scan.scan import scan_of
from kscope.query.scan.sizes import LOG2, ROUND, SCALES, Scale, scale_name, scale_of
from kscope.query.scan.timesteps import Steps, steps
from kscope.store.reader import Reader

BY_TIME, BY_EVENTS = "time", "events"
SPREAD_NOTE = (
    "Events are stored by powers of two and laid into rows as if they were spread evenly over each;"
    " sums are exact."
)


class Heatmap(Measured, frozen=True, kw_only=True):
    """`counts[i][j]`: events in the step from `times[i]`, of sizes from `lower[j]`.

    `upper` ends the last bin; times, `step` and `interval` are in microseconds, as those of a time
    series. With `weigh` `time`, `weights[i][j]` is the time that these events took, in
    microseconds, and `rate` how time per time is called; otherwise `weights` is empty. `seconds`
    are those of each step that lie in the range. `top` has the stacks of the asked cell, the
    heaviest first.
    """

    scale: str
    weigh: str
    rate: str
    step: int
    interval: int
    times: list[int]
    seconds: list[float]
    lower: list[Number]
    upper: Number
    counts: list[list[int]]
    weights: list[list[int]]
    top: list[Dominant]

    def as_table(self) -> Table:
        found = (
            (time, lower, events, *([self.weights[i][j]] if self.weights else []))
            for i, (time, counts) in enumerate(zip(self.times, self.counts, strict=True))
            for j, (lower, events) in enumerate(zip(self.lower, counts, strict=True))
            if events
        )
        names = ["time", "lower", "events", *(["microseconds"] if self.weights else [])]
        return Table(names, found, kinds={"time": Storage.TIME})


async def heatmap(reader: Reader, asked: Asked) -> Heatmap:
    ask = partial(_heatmap, reader, asked)
    answer, interval = await in_steps(reader, asked.scope, asked["points"], ask)
    return msgspec.structs.replace(answer, interval=interval)


async def _heatmap(reader: Reader, asked: Asked, wanted: int) -> Heatmap:
    """Answer in steps of this length, without the interval."""
    value = value_of(asked.category, asked["value"], "heatmap", Role.HISTOGRAM, rows=False)
    weigh = _weigh(value, asked["weigh"])
    timed = time_column(asked.category, value) if weigh == BY_TIME else None
    single = needs_single_rows(value, "p50")
    needs = (*value.columns, timed)
    scan = await scan_of(reader, asked.scope, needs, single_rows=single, step=wanted)
    grid = steps(scan.range, scan.plan.step or wanted)
    scale = await scale_of(scan, value, _scale(value, asked["scale"]), asked["slots"])
    if asked["cell"]:
        return await _one_cell(reader, asked, value, read_cell(asked["cell"]), grid)
    found = await cells(scan, lambda each: [grid.of(each)], value, scale, timed)
    rows = found.rows
    bins, counts, weights = await consumed(
        lambda *_: _laid_out(found, grid, weigh), found.events, found.time
    )
    return Heatmap(
        **measured(asked.category.table, value, scan, rows, *_notices(value, scale)),
        **bins_of(scale, bins),
        **_said(weigh, timed),
        step=grid.length,
        interval=0,
        times=grid.times,
        seconds=grid.seconds(scan.range),
        counts=counts,
        weights=weights,
        top=[],
    )


async def _one_cell(reader: Reader, asked: Asked, value: Value, cell: Cell, grid: Steps) -> Heatmap:
    """Answer for one cell alone, with the stacks that have the most in it."""
    step = (cell.time - grid.origin) // grid.length
    if not 0 <= step < grid.count:
        raise complain("cell", f"{iso(cell.time)} is not in the range")
    begin = grid.origin + step * grid.length
    whole = asked.scope.range
    span = TimeRange(max(begin, whole.start), min(begin + grid.length, whole.end))
    weigh = _weigh(value, asked["weigh"])
    scope = replace(asked.scope, range=span)
    question = CellQuestion(scope, value, cell, asked["top"], weigh == BY_TIME)
    found = await dominant(reader, question)
    table, rows = asked.category.table, found.rows
    return Heatmap(
        **measured(table, value, found.scan, rows, *mean_notices(value)),
        **_said(weigh, time_column(asked.category, value)),
        scale=_scale(value, asked["scale"]),
        step=grid.length,
        interval=0,
        times=[begin],
        seconds=[(span.end - span.start) / 1_000_000],
        lower=[cell.low],
        upper=cell.high,
        counts=[[round(found.events)]],
        weights=[[round(found.time)]] if weigh == BY_TIME else [],
        top=found.top,
    )


def _weigh(value: Value, given: str) -> str:
    if given == BY_TIME and not is_duration(value):
        raise complain("weigh", f"{value.name} is no length of time: use weigh={BY_EVENTS}")
    return given or (BY_TIME if is_duration(value) else BY_EVENTS)


def _said(weigh: str, timed: Column | None) -> dict[str, Any]:
    return {"weigh": weigh, "rate": timed.rate if timed and weigh == BY_TIME else ""}


def _scale(value: Value, given: str) -> str:
    """Return a scale's name: by default round rows, but powers of two for amounts of data."""
    assert value.column is not None
    usual = LOG2 if value.unit() == "bytes" else ROUND
    return scale_name(value, given or ("" if value.column.type.signed else usual))


def _notices(value: Value, scale: Scale) -> list[Notice]:
    assert value.column is not None
    spread = scale.bounds and value.column.type.role is Role.HISTOGRAM
    return [*mean_notices(value), *([Notice("info", SPREAD_NOTE)] if spread else [])]


def _laid_out(found: Cells, grid: Steps, weigh: str) -> tuple[range, list[list[int]], Any]:
    events, time = found.events, found.time
    bins = filled(each for _, each in events)
    every = range(grid.count)
    counts = [[events.get((step, each), 0) for each in bins] for step in every]
    if weigh == BY_EVENTS:
        return bins, counts, []
    return bins, counts, [[time.get((step, each), 0) for each in bins] for step in every]


_SCALE = p.Parameter(
    "scale",
    "bins of round sizes (1, 2, 5, 10 ...), by powers of two, or of equal width; default: suits"
    " the value",
    choices=(ROUND, *SCALES),
)
_WEIGH = p.Parameter(
    "weigh",
    "by the time that events took, or by their number; default: time of durations",
    choices=(BY_TIME, BY_EVENTS),
)
_CELL = p.Parameter(
    "cell", "answer for this cell alone: TIME,LOW,HIGH, a time inside of its step and its sizes"
)
_TOP = p.Parameter("top", "how many stacks of the cell at most", "1", least=0, most=100)
QUESTIONS = (
    Question(
        name="heatmap",
        help="Events by time and size, by the time they took or by their number.",
        parameters=(p.SIZE, _SCALE, _WEIGH, SLOTS, POINTS, _CELL, _TOP),
        ask=heatmap,
        answer=Heatmap,
        needs=SIZED,
    ),
)
