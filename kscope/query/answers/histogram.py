"""The number of events of each size over a whole range, and percentiles."""

from collections.abc import Iterable
from typing import Any

from kscope.declare.aggregates import QUANTILES
from kscope.declare.types.base import Role
from kscope.query.answers.meta import Notice, Number
from kscope.query.answers.question import Measured, Question, Table, measured
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import Value, value_of
from kscope.query.parse.parameters import Asked
from kscope.query.scan.aggregates import needs_single_rows
from kscope.query.scan.scan import scan_of
from kscope.query.scan.sizes import (
    SCALES,
    Percentile,
    Scale,
    quantile,
    scale_name,
    scale_of,
    sizes,
)
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


async def histogram(reader: Reader, asked: Asked) -> Histogram:
    value = value_of(asked.category, asked["value"], "histogram", Role.HISTOGRAM, rows=False)
    name = scale_name(value, asked["scale"])
    single = needs_single_rows(value, "p50")
    scan = await scan_of(reader, asked.scope, value.columns, single_rows=single)
    scale = await scale_of(scan, value, name, asked["slots"])
    found = await sizes(scan, lambda _: [], value, scale)
    counts = {bin_: events for (bin_,), events in found.values.items()}
    bins = filled(counts)
    found_at = ((name, quantile(counts, share, scale)) for name, share in QUANTILES.items())
    return Histogram(
        **measured(asked.category.table, value, scan, found.total_rows, *mean_notices(value)),
        **bins_of(scale, bins),
        counts=[counts.get(each, 0) for each in bins],
        total=sum(counts.values()),
        percentiles={name: each for name, each in found_at if each},
    )


def mean_notices(value: Value) -> list[Notice]:
    return [Notice("info", MEAN_NOTE)] if value.weight else []


def bins_of(scale: Scale, bins: range) -> dict[str, Any]:
    """Return the fields `scale`, `lower` and `upper` of an answer with these bins."""
    return {
        "scale": scale.name,
        "lower": [scale.lower(each) for each in bins],
        "upper": scale.lower(bins[-1] + 1) if bins else 0,
    }


def filled(found: Iterable[int]) -> range:
    """Return the bins from the first to the last that holds events."""
    bins = set(found)
    return range(min(bins), max(bins) + 1) if bins else range(0)


_SCALE = p.Parameter(
    "scale",
    "bins by powers of two or of equal width; default: suits the value",
    choices=SCALES,
)
SLOTS = p.Parameter("slots", "about how many bins of equal width", "32", least=1, most=500)
SIZED = (Role.VALUE, Role.HISTOGRAM)
QUESTIONS = (
    Question(
        name="histogram",
        help="Events by size, and percentiles read from them.",
        parameters=(p.SIZE, _SCALE, SLOTS),
        ask=histogram,
        answer=Histogram,
        needs=SIZED,
    ),
)
