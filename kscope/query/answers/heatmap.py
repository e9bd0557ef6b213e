"""Sizes over time: the number of events of each size in each step of time."""

from kscope.query.answers.histogram import (
    SCALE,
    SIZED,
    SLOTS,
    SizesQuestion,
    filled,
    mean_notices,
    upper_end,
)
from kscope.query.answers.meta import Number
from kscope.query.answers.question import Measured, Question, Table, measured
from kscope.query.answers.timeseries import POINTS
from kscope.query.parse import parameters as p
from kscope.query.parse.parameters import Asked
from kscope.query.parse.timerange import iso
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.sizes import Sized, sizes
from kscope.query.scan.timesteps import Steps, step_length, steps
from kscope.store.reader import Reader


class Heatmap(Measured, frozen=True, kw_only=True):
    """`counts[i][j]`: events in the step from `times[i]`, of sizes from `lower[j]`.

    `upper` ends the last bin; times and `step` are in microseconds.
    """

    scale: str
    step: int
    times: list[int]
    lower: list[Number]
    upper: Number
    counts: list[list[int]]

    def as_table(self) -> Table:
        cells = (
            (iso(time), lower, events)
            for time, counts in zip(self.times, self.counts, strict=True)
            for lower, events in zip(self.lower, counts, strict=True)
            if events
        )
        return Table(["time", "lower", "events"], cells)


async def heatmap(reader: Reader, asked: Asked) -> Heatmap:
    question = SizesQuestion.asked(asked, "heatmap")
    wanted = step_length(question.scope.range, asked["points"])
    scan = await question.scan(reader, wanted)
    scale = await question.scale_in(scan)
    grid = steps(scan.range, scan.plan.step or wanted)
    found = await sizes(scan, lambda each: [grid.of(each)], question.value, scale)
    rows = found.total_rows
    bins, counts = await consumed(lambda *_: _cells(found, grid), found.events, found.rows)
    return Heatmap(
        **measured(asked.category.table, question.value, scan, rows, *mean_notices(question.value)),
        scale=scale.name,
        step=grid.length,
        times=grid.times,
        lower=[scale.lower(each) for each in bins],
        upper=upper_end(scale, bins),
        counts=counts,
    )


def _cells(found: Sized, grid: Steps) -> tuple[range, list[list[int]]]:
    events = found.events
    bins = filled(each for _, each in events)
    return bins, [[events.get((step, each), 0) for each in bins] for step in range(grid.count)]


QUESTIONS = (
    Question(
        name="heatmap",
        help="Events by time and size.",
        parameters=(p.SIZE, SCALE, SLOTS, POINTS),
        ask=heatmap,
        answer=Heatmap,
        needs=SIZED,
    ),
)
