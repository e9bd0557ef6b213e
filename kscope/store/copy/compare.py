"""Compare both databases after a copy: the number of rows and the sums of values, by slot."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from kscope.declare.types.base import Role
from kscope.store.copy.doubled import count_doubled
from kscope.store.copy.source import Source, source_of
from kscope.store.copy.spans import Slots
from kscope.store.copy.tables import TableCopy
from kscope.store.schema.progress import SECOND, Progress, progress_of
from kscope.store.store import Store
from kscope.store.sums.functions import sum_of, weight

_DAY = Slots(86400 * SECOND)
# Larger sums are floating point, and depend on the order of the rows.
_EXACT = 2**53

# Slot -> the number of rows, and the sum of each value column.
Sums = Mapping[int, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The slots that differ, by their names. The target has rows of `others` that came from
    elsewhere, and has them in its sums; `arriving` rows came to the source after they were copied.
    `doubled` has the times (us) of rows that the target has more often than the source, and how
    many there are too many.
    """

    differing: Sequence[str] = ()
    others: int = 0
    others_summed: int = 0
    arriving: int = 0
    doubled: Mapping[int, int] = field(default_factory=dict)


async def compare(copy: TableCopy, target: Store) -> Comparison:
    """Compare the rows and sums of one category."""
    found = await _compare_rows(copy, target)
    if found.arriving:
        # Sums of the source have rows that the target does not have.
        return found
    differing, others = [*found.differing], 0
    for level in copy.tables.rollups:
        wrong, more = await _compare_sums(copy, target, level.rollup.bucket)
        differing += wrong
        others = max(others, more)
    return replace(found, differing=differing, others_summed=others)


async def _compare_rows(copy: TableCopy, target: Store) -> Comparison:
    own = target.schema.categories[copy.table].rows
    removed = [await _removed(each, copy.table) for each in (copy.source, target)]
    start = copy.begun.division.start
    if copy.tables.rollups:
        start = max(start, *removed)
    # The source last: what it has by then, the target has, or it arrived since.
    there = await _sums(target, own, copy.slots, start)
    here = await _sums(copy.source, copy.tables.rows, copy.slots, start)
    counts = copy.journals[0].counts
    arriving = sum(max(0, sums[0] - counts[slot]) for slot, sums in here.items())
    same = {slot: sums for slot, sums in here.items() if sums[0] == counts[slot]}
    wrong = [slot for slot, sums in same.items() if not _holds(there.get(slot), sums)]
    others = sum(sums[0] for sums in there.values()) - sum(counts[slot] for slot in there)
    named = [f"{copy.table}: rows at {slot}" for slot in sorted(wrong)]
    full = [slot for slot in here if slot in there and there[slot][0] > counts[slot]]
    spans = [(max(start, first), stop) for first, stop in copy.slots.stretches(full)]
    doubled = await count_doubled(copy, source_of(target.backend, target.schema), spans)
    others = max(0, others - sum(doubled.values()))
    return Comparison(named, others, 0, arriving, doubled)


async def _compare_sums(copy: TableCopy, target: Store, bucket: int) -> tuple[list[str], int]:
    """Compare the sums of the time that both have summed; return also the rows from elsewhere."""
    ours, theirs = [
        next(
            each.table
            for each in database.schema.categories[copy.table].rollups
            if each.rollup.bucket == bucket
        )
        for database in (copy.source, target)
    ]
    both = [await _progress(each, copy.table, bucket) for each in (copy.source, target)]
    start = max(each.removed for each in both)
    stop = min(each.closed for each in both)
    there = await _sums(target, theirs, _DAY, start, stop)
    here = await _sums(copy.source, ours, _DAY, start, stop)
    wrong = [slot for slot, sums in here.items() if not _holds(there.get(slot), sums)]
    others = sum(sums[0] for sums in there.values()) - sum(sums[0] for sums in here.values())
    return [f"{ours.name}: sums at {slot}" for slot in sorted(wrong)], max(0, others)


def _holds(there: Sequence[Any] | None, here: Sequence[Any]) -> bool:
    """Return whether a slot of the target has all rows of the source's, and maybe others."""
    if there is None or there[0] < here[0]:
        return False
    return there[0] > here[0] or all(map(_is_equal, here, there))


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, int) and isinstance(other, int) and abs(one) < _EXACT:
        return one == other
    return math.isclose(one or 0, other or 0, rel_tol=1e-9, abs_tol=1e-9)


async def _sums(
    database: Source | Store, table: sa.Table, slots: Slots, start: int, stop: int = 2**62
) -> Sums:
    category = next(
        each.category
        for each in database.schema.categories.values()
        if table in (each.rows, *(level.table for level in each.rollups))
    )
    slot = (table.c.time - table.c.time % sa.literal_column(str(slots.width))).label("slot")
    values = [sum_of(table, column) for column in category.with_role(Role.VALUE)]
    select = sa.select(slot, weight(table), *values).group_by(slot)
    within = (table.c.time >= start, table.c.time < stop)
    rows = await database.backend.fetch_in_background(select.where(*within))
    return {int(row[0]): (int(row[1]), *row[2:]) for row in rows}


async def _progress(database: Source | Store, table: str, bucket: int) -> Progress:
    fetch = database.backend.fetch_in_background
    return (await progress_of(fetch, database.schema, table)).get(bucket, Progress())


async def _removed(database: Source | Store, table: str) -> int:
    return (await _progress(database, table, 0)).removed
