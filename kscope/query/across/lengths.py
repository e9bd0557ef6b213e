"""The slots of a histogram at some places of a table, in the range and in each earlier window.

The texts of histograms are added up here, unless the database has histograms as such: SQLite
takes nearly three times as long for it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import aclosing
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import HOSTNAME, Column
from kscope.declare.types.histogram import summed_counts
from kscope.query.across.cells import Key, Sums
from kscope.query.across.some_places import numbers_of, only
from kscope.query.across.windows import Looks, Stretches
from kscope.query.scan.histograms import adds_histograms, histogram_events
from kscope.query.scan.parallel import together
from kscope.query.scan.scan import Scan, columns
from kscope.query.sql.expressions import as_text
from kscope.store.sums.planner import Segment

# Rows that are in memory at a time.
_AT_ONCE = 20_000
# By place and number of the stretch: events by slot.
_Counts = defaultdict[Key, defaultdict[int, int]]


async def slots_of(
    looks: Looks, by: Column, histogram: Column, wanted: Collection[Key]
) -> dict[Key, Sums]:
    """Return the numbers of events by host, value of `by` and slot.

    They are those of the `wanted` pairs of a host and a value, and of few others.
    """
    pair = (HOSTNAME, by)
    numbers = await asyncio.to_thread(numbers_of, pair, wanted)

    async def counted(scan: Scan, stretches: Stretches) -> _Counts:
        return await _counted(only(scan, pair, numbers), pair, histogram, stretches)

    parts = [counted(looks.now, looks.slices)]
    if looks.windows.count:
        parts.append(counted(looks.by_window, looks.windows))
    return await asyncio.to_thread(_sums, looks, *await together(*parts))


async def _counted(
    scan: Scan, by: Sequence[Column], histogram: Column, stretches: Stretches
) -> _Counts:
    found: _Counts = defaultdict(lambda: defaultdict(int))
    if adds_histograms(scan):

        def keys_of(segment: Segment) -> list[sa.ColumnElement[Any]]:
            return [*columns(*by)(segment), stretches.of(segment)]

        for (*key, slot), events in (await histogram_events(scan, keys_of, histogram)).items():
            found[tuple(key)][slot] += events
        return found
    for segment in scan.segments:
        text = segment.table.c[histogram.name]
        keys = [*columns(*by)(segment), stretches.of(segment)]
        statement: sa.Select[Any] = sa.select(*keys, text).where(scan.inside(segment), text != "")
        rows: list[Sequence[Any]] = []
        async with aclosing(scan.reader.stream(statement)) as portions:
            async for portion in portions:
                rows += portion
                if len(rows) >= _AT_ONCE:
                    await asyncio.to_thread(_add, found, rows)
                    rows = []
        await asyncio.to_thread(_add, found, rows)
    return found


def _add(found: _Counts, rows: Sequence[Sequence[Any]]) -> None:
    texts: defaultdict[Key, list[str]] = defaultdict(list)
    for host, value, number, text in rows:
        texts[host, value, number].append(text)
    for key, listed in texts.items():
        counts = found[key]
        for slot, events in summed_counts(listed).items():
            counts[slot] += events


def _sums(looks: Looks, here: _Counts, there: _Counts | None = None) -> dict[Key, Sums]:
    slices, windows = looks.slices.count, looks.windows.count
    found: defaultdict[Key, Sums] = defaultdict(lambda: Sums([0.0] * slices, [0.0] * windows))
    for (*key, number), counts in here.items():
        for slot, events in counts.items():
            if 0 <= number < slices:
                found[*map(as_text, key), slot].slices[number] += events
    for (*key, number), counts in (there or {}).items():
        for slot, events in counts.items():
            if 0 <= number < windows:
                found[*map(as_text, key), slot].earlier[number] += events * looks.scale
    return found
