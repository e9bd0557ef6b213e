"""Rows that the target has more often than the source, after a copy: no row may be there twice.

Rows from elsewhere are not alike with those of the source: a host's row has its microsecond. One
that is alike was stored by both databases, or copied twice.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.store.copy.source import Source
from kscope.store.copy.spans import Span
from kscope.store.copy.tables import TableCopy

# Rows are read at once of so many times, or of those that have so many rows.
_TIMES, _ROWS = 200, 50_000


async def count_doubled(
    copy: TableCopy, target: Source, spans: Sequence[Span]
) -> Mapping[int, int]:
    """Return the number of such rows of these stretches of time, by their time."""
    found: Counter[int] = Counter()
    for span in spans:
        times: dict[int, int] = {}
        async for time, rows in _crowded(copy, target, span):
            times[time] = rows
            if len(times) == _TIMES or sum(times.values()) > _ROWS:
                found += await _doubled(copy, target, [*times])
                times = {}
        if times:
            found += await _doubled(copy, target, [*times])
    return found


async def _crowded(copy: TableCopy, target: Source, span: Span) -> AsyncIterator[tuple[int, int]]:
    """Yield the times of the source that have more rows in the target, with their number there."""
    theirs = aiter(_counts(target, copy.table, span))
    time, count = await anext(theirs, (None, 0))
    async for own, rows in _counts(copy.source, copy.table, span):
        while time is not None and time < own:
            time, count = await anext(theirs, (None, 0))
        if time == own and count > rows:
            yield own, count


async def _counts(database: Source, name: str, span: Span) -> AsyncIterator[tuple[int, int]]:
    table = database.schema.categories[name].rows
    within = table.c.time >= span[0], table.c.time < span[1]
    select = sa.select(table.c.time, sa.func.count()).where(*within)
    async for time, count in database.stream(select.group_by(table.c.time).order_by(table.c.time)):
        yield int(time), int(count)


async def _doubled(copy: TableCopy, target: Source, times: Sequence[int]) -> Counter[int]:
    here = await _rows(copy.source, copy, times)
    there = await _rows(target, copy, times)
    found: Counter[int] = Counter()
    for row, count in here.items():
        found[row[0]] += max(0, there[row] - count)
    return +found


async def _rows(
    database: Source, copy: TableCopy, times: Sequence[int]
) -> Counter[tuple[Any, ...]]:
    """Return the rows of these times with their texts, as both databases give them."""
    table, category = database.schema.categories[copy.table].rows, copy.tables.category
    columns = [table.c[name] for name in copy.names(0)]
    rows = await database.fetch(sa.select(*columns).where(table.c.time.in_(times)))
    if not rows:
        return Counter()
    values = dict(zip(copy.names(0), zip(*rows, strict=True), strict=True))
    named, stacks = await database.named(category, values, 0)
    of_stacks = {*named.places(Storage.STACK_ID)}
    texts = [
        [stacks[value] for value in column] if place in of_stacks else column
        for place, column in enumerate(named.columns)
    ]
    return Counter(zip(*texts, strict=True))
