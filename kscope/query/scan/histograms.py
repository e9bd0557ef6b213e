"""Events of histogram columns by group and power of two."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.histogram import HISTOGRAM_SLOTS, histogram_counts
from kscope.generate.dialects import DIALECTS
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.measures import Expressions, Measure, MergeRule
from kscope.query.scan.parallel import together
from kscope.query.scan.read import summed
from kscope.query.scan.scan import Scan
from kscope.store.sums.functions import SLOT, SLOT_EVENTS, sum_of_slots, total, with_slots
from kscope.store.sums.planner import Segment

# Steps and slots of the largest heat map, or groups and slots of percentiles.
MOST_CELLS = 1_100_000
# Of texts of histograms: joined, they add up.
_JOINED = MergeRule("{},{}".format, sum_of_slots, sum_of_slots)
_SLOT_EVENTS = Measure(lambda segment: total(segment.table.c[SLOT_EVENTS]))


async def events_and_sums(
    scan: Scan, keys: Expressions, column: Column, measures: Sequence[Measure]
) -> tuple[dict[tuple[Any, ...], int], dict[tuple[Any, ...], Any]]:
    """Return key and power of two -> events of a histogram column, and key -> measures."""
    if adds_histograms(scan):
        return await _in_one_statement(scan, keys, column, measures)
    most = HISTOGRAM_SLOTS * MOST_CELLS
    found: list[Any] = await together(
        histogram_events(scan, keys, column), summed(scan, keys, measures, most)
    )
    events, sums = found
    return events, sums


async def histogram_events(
    scan: Scan, keys: Expressions, column: Column
) -> dict[tuple[Any, ...], int]:
    """Return key and power of two -> events of a histogram column."""
    if adds_histograms(scan):
        events, _ = await _in_one_statement(scan, keys, column, ())
        return events

    def with_slot(segment: Segment) -> Sequence[sa.ColumnElement[Any]]:
        return [*keys(segment), segment.table.c[SLOT]]

    slots = scan.over(lambda segment: with_slots(segment.table, column.name))
    counted = await summed(slots, with_slot, (_SLOT_EVENTS,), HISTOGRAM_SLOTS * MOST_CELLS)
    return await consumed(lambda found: {key: each for key, (each,) in found.items()}, counted)


def adds_histograms(scan: Scan) -> bool:
    """Return whether the database adds histograms up by itself."""
    return "sum_of_slots" in DIALECTS[scan.reader.dialect].functions


async def _in_one_statement(
    scan: Scan, keys: Expressions, column: Column, measures: Sequence[Measure]
) -> tuple[dict[tuple[Any, ...], int], dict[tuple[Any, ...], Any]]:
    slots = Measure(lambda segment: sum_of_slots(segment.table.c[column.name]), _JOINED)
    both = await summed(scan, keys, (*measures, slots), MOST_CELLS)
    return await consumed(_parted, both)


def _parted(
    both: Mapping[tuple[Any, ...], Sequence[Any]],
) -> tuple[dict[tuple[Any, ...], int], dict[tuple[Any, ...], Any]]:
    """Part the text of a histogram from the other measures of each key."""
    events = {
        (*key, slot): number
        for key, (*_, text) in both.items()
        for slot, number in histogram_counts(text or "").items()
    }
    return events, {key: sums for key, (*sums, _) in both.items()}
