"""The number of events of each size: over a whole range, with percentiles, or over time."""

from collections.abc import Iterable
from typing import Any

from kscope.declare.aggregates import QUANTILES
from kscope.declare.types.base import Role
from kscope.query.answers.meta import Notice, Number
from kscope.query.answers.question import Measured, Question, Table, measured
from kscope.query.answers.timeseries import POINTS
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import Value, value_of
from kscope.query.parse.parameters import Asked
from kscope.query.parse.timerange import iso
from kscope.query.scan.aggregates import needs_single_rows
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.measures import Aggregated
from kscope.query.scan.scan import Scan, scan_of
from kscope.query.scan.sizes import (
    SCALES,
    Percentile,
    Scale,
    quantile,
    scale_name,
    scale_of,
    sizes,
)
from kscope.query.scan.timesteps import Steps, step_length, steps
from kscope.store.reader import Reader

MEAN_NOTE = "A row that sums several events counts as that many of their mean size."


class Histogram(Measured, frozen=True, kw_only=True):
    """`counts[j]`: events of sizes from `lower[j]`; `upper` ends the last bin."""

    scale: str
    lower: list[Number]
    upper: Number
    counts: list[int]
    total: int
    percentiles: dict[str, Percentile]

    def as_table(self) -> Table:
        upper = [*self.lower[1:], self.upper]
        names = ["lower", "upper", "events"]
        return Table(names, zip(self.lower, upper, self.counts, strict=False))


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


async def histogram(reader: Reader, asked: Asked) -> Histogram:
    value, scan, scale = await _scaled(reader, asked, "histogram")
    found = await sizes(scan, lambda _: [], value, scale)
    counts = {bin_: events for (bin_,), events in found.values.items()}
    bins = _filled(counts)
    found_at = ((name, quantile(counts, share, scale)) for name, share in QUANTILES.items())
    return Histogram(
        **measured(asked.category.table, value, scan, found.total_rows, *_notices(value)),
        **_sizes(scale, bins),
        counts=[counts.get(each, 0) for each in bins],
        total=sum(counts.values()),
        percentiles={name: each for name, each in found_at if each},
    )


async def heatmap(reader: Reader, asked: Asked) -> Heatmap:
    wanted = step_length(asked.scope.range, asked["points"])
    value, scan, scale = await _scaled(reader, asked, "heatmap", wanted)
    grid = steps(scan.range, scan.plan.step or wanted)
    found = await sizes(scan, lambda each: [grid.of(each)], value, scale)
    rows = found.total_rows
    bins, counts = await consumed(lambda *_: _cells(found, grid), found.values, found.rows)
    return Heatmap(
        **measured(asked.category.table, value, scan, rows, *_notices(value)),
        **_sizes(scale, bins),
        step=grid.length,
        times=grid.times,
        counts=counts,
    )


async def _scaled(
    reader: Reader, asked: Asked, kind: str, step: int | None = None
) -> tuple[Value, Scan, Scale]:
    """Return the value of a chart of this kind, the reading of its rows, and their scale.

    `step` is in microseconds, for sizes over time.
    """
    value = value_of(asked.category, asked["value"], kind, Role.HISTOGRAM, rows=False)
    name = scale_name(value, asked["scale"])
    single = needs_single_rows(value, "p50")
    scan = await scan_of(reader, asked.scope, value.columns, single_rows=single, step=step)
    return value, scan, await scale_of(scan, value, name, asked["slots"])


def _notices(value: Value) -> list[Notice]:
    return [Notice("info", MEAN_NOTE)] if value.weight else []


def _sizes(scale: Scale, bins: range) -> dict[str, Any]:
    """Return the fields of both answers for these bins."""
    return {
        "scale": scale.name,
        "lower": [scale.lower(each) for each in bins],
        "upper": scale.lower(bins[-1] + 1) if bins else 0,
    }


def _filled(found: Iterable[int]) -> range:
    """Return the bins from the first to the last that holds events."""
    bins = set(found)
    return range(min(bins), max(bins) + 1) if bins else range(0)


def _cells(found: Aggregated, grid: Steps) -> tuple[range, list[list[int]]]:
    events = found.values
    bins = _filled(each for _, each in events)
    return bins, [[events.get((step, each), 0) for each in bins] for step in range(grid.count)]


_SCALE = p.Parameter(
    "scale",
    "bins by powers of two or of equal width; default: suits the value",
    choices=SCALES,
)
_SLOTS = p.Parameter("slots", "about how many bins of equal width", "32", least=1, most=500)
_SIZED = (Role.VALUE, Role.HISTOGRAM)
QUESTIONS = (
    Question(
        name="heatmap",
        help="Events by time and size.",
        parameters=(p.SIZE, _SCALE, _SLOTS, POINTS),
        ask=heatmap,
        answer=Heatmap,
        needs=_SIZED,
    ),
    Question(
        name="histogram",
        help="Events by size, and percentiles read from them.",
        parameters=(p.SIZE, _SCALE, _SLOTS),
        ask=histogram,
        answer=Histogram,
        needs=_SIZED,
    ),
)
