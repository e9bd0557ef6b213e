"""Sizes over time: how many events of which size each step of time has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from kscope.query.answers.histogram import SizesQuestion, filled, mean_notices, upper_end
from kscope.query.answers.meta import Meta, Notice, Number, meta, notices
from kscope.query.scan.release import consumed
from kscope.query.scan.sizes import sizes
from kscope.query.scan.timesteps import step_length, steps

if TYPE_CHECKING:
    from kscope.query.scan.sizes import Sized
    from kscope.query.scan.timesteps import Steps
    from kscope.store.reader import Reader


@dataclass(frozen=True, slots=True)
class HeatmapQuestion(SizesQuestion):
    """`points` is the largest number of steps."""

    points: int


class Heatmap(msgspec.Struct, frozen=True):
    """`counts[i][j]`: events in the step from `times[i]`, of sizes from `lower[j]`.

    `upper` ends the last bin; times and `step` are in microseconds.
    """

    table: str
    value_column: str
    unit: str
    scale: str
    step: int
    times: list[int]
    lower: list[Number]
    upper: Number
    counts: list[list[int]]
    meta: Meta
    notices: list[Notice]


async def heatmap(reader: Reader, question: HeatmapQuestion) -> Heatmap:
    wanted = step_length(question.scope.range, question.points)
    scan = await question.scan(reader, wanted)
    scale = await question.scale_in(scan)
    grid = steps(scan.range, scan.plan.step or wanted)
    found = await sizes(scan, lambda each: [grid.of(each)], question.value, scale)
    rows = found.total_rows
    bins, counts = await consumed(lambda *_: _cells(found, grid), found.events, found.rows)
    return Heatmap(
        table=question.scope.category.table,
        value_column=question.value.name,
        unit=question.value.unit,
        scale=scale.name,
        step=grid.length,
        times=grid.times,
        lower=[scale.lower(each) for each in bins],
        upper=upper_end(scale, bins),
        counts=counts,
        meta=meta(scan, rows),
        notices=[*notices(scan), *mean_notices(question.value)],
    )


def _cells(found: Sized, grid: Steps) -> tuple[range, list[list[int]]]:
    events = found.events
    bins = filled(each for _, each in events)
    return bins, [[events.get((step, each), 0) for each in bins] for step in range(grid.count)]
