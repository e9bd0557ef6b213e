"""Sizes over time, and sizes alone: how many events in each slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kscope.query.answers.meta import Meta, Notice, Number, meta, notices
from kscope.query.scan.aggregates import needs_single_rows
from kscope.query.scan.plan import scan_of
from kscope.query.scan.release import consumed
from kscope.query.scan.sizes import QUANTILES, Scale, quantile, scale_of, sizes
from kscope.query.scan.timesteps import step_length, steps

if TYPE_CHECKING:
    from kscope.query.parse.columns import Value
    from kscope.query.parse.scope import Scope
    from kscope.query.scan.plan import Scan
    from kscope.query.scan.sizes import Sized
    from kscope.query.scan.timesteps import Steps
    from kscope.store.reader import Reader

MEAN_NOTE = "A row that sums several events counts as that many of their mean size."


@dataclass(frozen=True, slots=True)
class HeatmapQuestion:
    """`slots` is how many of equal width there are; powers of two are as many as needed."""

    scope: Scope
    value: Value
    scale: str
    slots: int
    points: int


class Heatmap(msgspec.Struct, frozen=True):
    """`counts[i][j]`: events in the step from `times[i]`, of sizes from `lower[j]`.

    `upper` ends the last slot; times and `step` are in microseconds.
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


class Percentile(msgspec.Struct, frozen=True):
    """`value` is interpolated; the true one lies from `lower` to `upper`."""

    value: float
    lower: Number
    upper: Number


class Histogram(msgspec.Struct, frozen=True):
    """`counts[j]`: events of sizes from `lower[j]`; `upper` ends the last slot."""

    table: str
    value_column: str
    unit: str
    scale: str
    lower: list[Number]
    upper: Number
    counts: list[int]
    total: int
    percentiles: dict[str, Percentile]
    meta: Meta
    notices: list[Notice]


async def heatmap(reader: Reader, question: HeatmapQuestion) -> Heatmap:
    wanted = step_length(question.scope.range, question.points)
    scan = await _scan(reader, question, wanted)
    scale = await scale_of(scan, question.value, question.scale, question.slots)
    grid = steps(scan.range, scan.plan.step or wanted)
    found = await sizes(scan, lambda each: [grid.of(each)], question.value, scale)
    rows = found.total_rows
    slots, counts = await consumed(lambda *_: _cells(found, grid), found.events, found.rows)
    return Heatmap(
        table=question.scope.category.table,
        value_column=question.value.name,
        unit=question.value.unit,
        scale=scale.name,
        step=grid.length,
        times=grid.times,
        lower=[scale.lower(slot) for slot in slots],
        upper=_upper(scale, slots),
        counts=counts,
        meta=meta(scan, rows),
        notices=_notices(scan, question.value),
    )


async def histogram(reader: Reader, question: HeatmapQuestion) -> Histogram:
    scan = await _scan(reader, question)
    scale = await scale_of(scan, question.value, question.scale, question.slots)
    found = await sizes(scan, lambda _: [], question.value, scale)
    counts = {slot: events for (slot,), events in found.events.items()}
    slots = _slots(list(counts))
    read = {name: quantile(counts, share, scale) for name, share in QUANTILES.items()}
    return Histogram(
        table=question.scope.category.table,
        value_column=question.value.name,
        unit=question.value.unit,
        scale=scale.name,
        lower=[scale.lower(slot) for slot in slots],
        upper=_upper(scale, slots),
        counts=[counts.get(slot, 0) for slot in slots],
        total=sum(counts.values()),
        percentiles={
            name: Percentile(each.value, each.lower, each.upper)
            for name, each in read.items()
            if each
        },
        meta=meta(scan, found.total_rows),
        notices=_notices(scan, question.value),
    )


async def _scan(reader: Reader, question: HeatmapQuestion, step: int | None = None) -> Scan:
    single = needs_single_rows(question.value, "p50")
    needs = question.value.columns
    return await scan_of(reader, question.scope, needs, single_rows=single, step=step)


def _cells(found: Sized, grid: Steps) -> tuple[range, list[list[int]]]:
    events = found.events
    slots = _slots([slot for _, slot in events])
    return slots, [[events.get((step, slot), 0) for slot in slots] for step in range(grid.count)]


def _slots(found: list[int]) -> range:
    return range(min(found), max(found) + 1) if found else range(0)


def _upper(scale: Scale, slots: range) -> Any:
    return scale.lower(slots[-1] + 1) if slots else 0


def _notices(scan: Scan, value: Value) -> list[Notice]:
    means = [Notice("info", MEAN_NOTE)] if value.weight else []
    return [*notices(scan), *means]
