"""The number of events of each size, and percentiles of the sizes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from kscope.declare.aggregates import QUANTILES
from kscope.declare.types.base import Role
from kscope.query.answers.meta import Notice, Number
from kscope.query.answers.question import Measured, Question, Table, measured
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import Value, value_of
from kscope.query.parse.parameters import Asked
from kscope.query.parse.scope import Scope
from kscope.query.scan.aggregates import needs_single_rows
from kscope.query.scan.scan import Scan, scan_of
from kscope.query.scan.sizes import (
    SCALES,
    Scale,
    quantile,
    scale_name,
    scale_of,
    sizes,
)
from kscope.store.reader import Reader

MEAN_NOTE = "A row that sums several events counts as that many of their mean size."


@dataclass(frozen=True, slots=True)
class SizesQuestion:
    """`slots` is the number of bins of equal width; powers of two take as many as needed."""

    scope: Scope
    value: Value
    scale: str
    slots: int

    @classmethod
    def asked(cls, asked: Asked, kind: str) -> "SizesQuestion":
        """Return the question for a chart of this kind."""
        value = value_of(asked.category, asked["value"], kind, Role.HISTOGRAM, rows=False)
        return cls(asked.scope, value, scale_name(value, asked["scale"]), asked["slots"])

    async def scan(self, reader: Reader, step: int | None = None) -> Scan:
        """Plan the scan; `step` is in microseconds, for sizes over time."""
        single = needs_single_rows(self.value, "p50")
        needs = self.value.columns
        return await scan_of(reader, self.scope, needs, single_rows=single, step=step)

    async def scale_in(self, scan: Scan) -> Scale:
        return await scale_of(scan, self.value, self.scale, self.slots)


class Percentile(msgspec.Struct, frozen=True):
    """`value` is interpolated; the true one lies from `lower` to `upper`."""

    value: float
    lower: Number
    upper: Number


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
    question = SizesQuestion.asked(asked, "histogram")
    scan = await question.scan(reader)
    scale = await question.scale_in(scan)
    found = await sizes(scan, lambda _: [], question.value, scale)
    counts = {bin_: events for (bin_,), events in found.events.items()}
    bins = filled(counts)
    quantiles = {name: quantile(counts, share, scale) for name, share in QUANTILES.items()}
    more = mean_notices(question.value)
    return Histogram(
        **measured(asked.category.table, question.value, scan, found.total_rows, *more),
        scale=scale.name,
        lower=[scale.lower(each) for each in bins],
        upper=upper_end(scale, bins),
        counts=[counts.get(each, 0) for each in bins],
        total=sum(counts.values()),
        percentiles={
            name: Percentile(each.value, each.lower, each.upper)
            for name, each in quantiles.items()
            if each
        },
    )


def filled(found: Iterable[int]) -> range:
    """Return the bins from the first to the last that holds events."""
    bins = set(found)
    return range(min(bins), max(bins) + 1) if bins else range(0)


def upper_end(scale: Scale, bins: range) -> Any:
    return scale.lower(bins[-1] + 1) if bins else 0


def mean_notices(value: Value) -> list[Notice]:
    return [Notice("info", MEAN_NOTE)] if value.weight else []


SCALE = p.Parameter(
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
        parameters=(p.SIZE, SCALE, SLOTS),
        ask=histogram,
        answer=Histogram,
        needs=SIZED,
    ),
)
