"""How far apart the rows of a host come: an answer in shorter steps would be spikes and gaps."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

import sqlalchemy as sa

from kscope.declare.model import Category
from kscope.generate.dialects import DIALECTS
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import SECOND
from kscope.query.scan.parallel import guessed
from kscope.query.scan.timesteps import step_length, usual_length
from kscope.query.scan.union import tables_of
from kscope.store.reader import Reader

# In microseconds: the interval of an agent that is not told another, the longest that is looked
# for, and how far back the newest rows of a range may lie.
_USUAL = 60 * SECOND
_LONGEST = 900 * SECOND
_LOOK_BACK = 3600 * SECOND
_MOST_ROWS = 50_000
# Fewer may be chance. Some may be off: an agent drains early if it runs out of room.
_LEAST_GAPS = 4
_REGULAR = 0.7
_TOLERANCE = 0.1

# A host, a time, and the number of its rows of that time.
_Drained = tuple[int, int, int]
Answer = TypeVar("Answer")


async def in_steps(
    reader: Reader, scope: Scope, points: int, ask: Callable[[int], Awaitable[Answer]]
) -> tuple[Answer, int]:
    """Ask in the step that cuts the range into at most `points`; return the interval, too (us).

    The step is not shorter than the interval of any host; 0 stands for one that is not known.
    """
    wanted = step_length(scope.range, points)
    if wanted >= _LONGEST:
        return await ask(wanted), 0
    table, last = scope.category.table, reader.last_facts.intervals
    # Hosts rarely get another one.
    interval = last.get(table, _USUAL)
    guess = _not_shorter(wanted, interval)

    async def step() -> int:
        nonlocal interval
        interval = last[table] = await _longest(reader, scope)
        return _not_shorter(wanted, interval)

    if DIALECTS[reader.dialect].reads_in_parallel:
        return await guessed(step, guess, ask), interval
    return await ask(await step()), interval


def _not_shorter(step: int, interval: int) -> int:
    """Return the step, or a longer one for this interval: agents drain a little early or late."""
    least = round(interval * (1 - _TOLERANCE / 2))
    return max(step, usual_length(least)) if interval else step


async def _longest(reader: Reader, scope: Scope) -> int:
    """Return the longest interval of all tables."""
    stored = {each.table: each for each in reader.catalog.stored}
    found = [
        await _interval(reader, table, scope)
        for table in tables_of(scope.category)
        if not _has_own_times(stored[table])
    ]
    return max(found, default=0)


def _has_own_times(category: Category) -> bool:
    """Return whether each row has the time of its event, not of the end of an interval."""
    return category.probe is not None and category.probe.collect.kind == "events"


async def _interval(reader: Reader, table: str, scope: Scope) -> int:
    """Return the longest of the hosts' intervals, from the newest rows up to the range's end."""
    end = scope.range.end
    start = min(scope.range.start, end - _LOOK_BACK)
    columnar = DIALECTS[reader.dialect].columnar
    # An engine whose rows are not in the order of time reads all times of a stretch.
    found = await _newest(reader, table, end - _LOOK_BACK if columnar else start, end)
    if columnar and start < end - _LOOK_BACK and _rows(found) < _MOST_ROWS:
        found = await _newest(reader, table, start, end)
    times: defaultdict[int, list[int]] = defaultdict(list)
    for host, time, _ in found:
        times[host].append(time)
    gaps = [_gaps(each) for each in times.values()]
    if _rows(found) >= _MOST_ROWS and not any(len(each) >= _LEAST_GAPS for each in gaps):
        # So much comes at once that these are the rows of one interval or two.
        return _USUAL
    return max(map(_regular, gaps), default=0)


async def _newest(reader: Reader, table: str, start: int, end: int) -> list[_Drained]:
    """Return the times of the newest rows of a stretch, up to `_MOST_ROWS` rows."""
    rows = reader.schema.categories[table].rows
    newest = sa.select(rows.c.hostname, rows.c.time).order_by(rows.c.time.desc())
    newest = newest.where(rows.c.time >= start, rows.c.time < end).limit(_MOST_ROWS)
    if DIALECTS[reader.dialect].columnar:
        # Many rows have one time: to group them takes less than to sort them.
        counted = newest.add_columns(sa.func.count()).group_by(rows.c.hostname, rows.c.time)
        return _first_rows(await reader.fetch(counted))
    few = newest.subquery()
    by = (few.c.hostname, few.c.time)
    return [tuple(row) for row in await reader.fetch(sa.select(*by, sa.func.count()).group_by(*by))]


def _first_rows(found: Iterable[Sequence[int]]) -> list[_Drained]:
    """Return the times of the first `_MOST_ROWS` rows."""
    first: list[_Drained] = []
    left = _MOST_ROWS
    for host, time, count in found:
        first.append((host, time, min(count, left)))
        left -= count
        if left <= 0:
            break
    return first


def _rows(found: Iterable[_Drained]) -> int:
    return sum(count for *_, count in found)


def _gaps(times: Iterable[int]) -> list[int]:
    return sorted(later - time for time, later in pairwise(sorted(times)))


def _regular(gaps: Sequence[int]) -> int:
    """Return the length that most gaps are one or several of; 0 if there is none.

    A host without rows in an interval, such as a filter's or a rare event's, leaves a longer gap.
    """
    if len(gaps) < _LEAST_GAPS:
        return 0
    length = gaps[len(gaps) // 5]
    off = (abs(gap - max(1, round(gap / length)) * length) for gap in gaps)
    near = sum(each <= _TOLERANCE * length for each in off)
    return min(length, _LONGEST) if near >= _REGULAR * len(gaps) else 0
