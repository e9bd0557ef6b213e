"""How the values of many rows become one number: one row each."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import add, itemgetter
from types import MappingProxyType
from typing import Any

from kscope.declare import aggregates
from kscope.declare.aggregates import LAST, QUANTILES
from kscope.declare.model import Column
from kscope.declare.types.base import Role
from kscope.query.parse.columns import Value
from kscope.query.parse.errors import complain, one_of
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import in_line
from kscope.query.scan.measures import (
    ROWS,
    Aggregated,
    Expressions,
    Measure,
    events_of,
    least_of,
    most_of,
    newest_of,
    total_of,
)
from kscope.query.scan.read import merger, summed
from kscope.query.scan.same_stacks import SameStacks, same_stacks
from kscope.query.scan.scan import Scan, columns
from kscope.query.scan.sizes import Scale, quantile, scale_name, scale_of, sizes
from kscope.query.sql.expressions import newest_number

QUANTILE_NOTE = (
    "Percentiles are read from slots of sizes: with powers of two the true one lies within a "
    "factor of two. A row that sums several events counts as that many of their mean."
)
_QUANTILE_SLOTS = 64


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`measures` are queried from the database. `finish` returns their one number, and leaves out
    what follows them.
    """

    name: str
    measures: tuple[Callable[[Value], Measure], ...]
    finish: Callable[[Sequence[Any]], Any]
    by_mean: bool = False
    # Whether the database can rank groups by the measure.
    ranks: bool = True


def _mean(found: Sequence[Any]) -> float | None:
    total, events, *_ = found
    return total / events if events else None


def _newest(found: Sequence[Any]) -> float | None:
    return newest_number(found[0])


_SIMPLE = (
    Aggregate("sum", (total_of,), itemgetter(0)),
    Aggregate("count", (events_of,), itemgetter(0)),
    Aggregate("avg", (total_of, events_of), _mean, by_mean=True),
    Aggregate("min", (least_of,), itemgetter(0)),
    Aggregate("max", (most_of,), itemgetter(0)),
    Aggregate(LAST, (newest_of,), _newest, ranks=False),
)
SIMPLE: Mapping[str, Aggregate] = MappingProxyType({row.name: row for row in _SIMPLE})


def aggregate_name(value: Value, given: str) -> str:
    """Return the aggregate that is asked for, or the one that the value's type suggests.

    Raises QueryError if the value does not have it.
    """
    allowed = aggregates.allowed(value.column)
    if given and given not in allowed:
        raise complain("aggregate", one_of(f"aggregate of {value.name}", given, allowed))
    return given or aggregates.suggested(value.column)


def adds(name: str) -> bool:
    """Return whether the whole is the sum of its parts: nothing is then 0, not unknown."""
    return name in aggregates.ADDING


def needs_single_rows(value: Value, name: str) -> bool:
    """Sums of rows have lost the sizes of each; histograms keep them."""
    if value.column is None or value.column.type.role is Role.HISTOGRAM:
        return False
    return name in QUANTILES or name in ("min", "max", LAST)


@dataclass(frozen=True, slots=True)
class Ranked:
    """The groups with the most, in order: key, number, rows; then what is so of all groups.

    `total` is None unless values add up.
    """

    entries: list[tuple[tuple[Any, ...], Any, int]]
    total: Any
    rows: int
    groups: int


async def ranked(scan: Scan, by: Sequence[Column], value: Value, name: str, *, n: int) -> Ranked:
    chosen, same = SIMPLE.get(name), same_stacks(scan, by)
    if not (chosen and chosen.ranks):
        found = await aggregated(same, columns(*by), value, name)
        large = (found.values, found.rows)
        return await consumed(lambda *_: _ranked_here(found, n), *large)
    measures = (*(of(value) for of in chosen.measures), ROWS)
    most = await same.heaviest(columns(*by), measures, n, by_mean=chosen.by_mean)
    shown = [(key, chosen.finish(found), found[-1]) for key, found in most.groups.items()]
    shown.sort(key=_order)
    total = (most.totals[0] or 0) if adds(name) else None
    return Ranked(shown, total, most.totals[-1] or 0, most.count)


def _order(entry: tuple[tuple[Any, ...], Any, int]) -> tuple[Any, ...]:
    key, value, _ = entry
    return (-(value or 0), in_line(key))


def _ranked_here(found: Aggregated, n: int) -> Ranked:
    every = [(key, found.values.get(key), rows) for key, rows in found.rows.items()]
    return Ranked(nsmallest(n, every, _order), None, found.total_rows, len(every))


async def aggregated(
    same: SameStacks,
    keys: Expressions,
    value: Value,
    name: str,
    *,
    most: int | None = None,
) -> Aggregated:
    """Aggregate in one reading of the rows; raises TooManyGroups."""
    scan = same.scan
    if name in SIMPLE:
        chosen = SIMPLE[name]
        measures = (*(of(value) for of in chosen.measures), ROWS)
        found = await summed(scan, keys, measures, most)
        if same:
            found = await same.merged(found, merger(measures))
        return await consumed(lambda found: _finished(chosen, found), found)
    scale = await scale_of(scan, value, scale_name(value, ""), _QUANTILE_SLOTS)
    sized = await sizes(scan, keys, value, scale)
    if same:
        values = await same.merged(sized.values, add)
        sized = Aggregated(values, await same.merged(sized.rows, add))
    quantiles = await asyncio.to_thread(_quantiles, sized.values, QUANTILES[name], scale)
    return Aggregated(quantiles, sized.rows)


def _finished(chosen: Aggregate, found: Mapping[tuple[Any, ...], Sequence[Any]]) -> Aggregated:
    values, rows = map(chosen.finish, found.values()), map(itemgetter(-1), found.values())
    return Aggregated(dict(zip(found, values, strict=True)), dict(zip(found, rows, strict=True)))


def _quantiles(
    counted: Mapping[tuple[Any, ...], int], share: float, scale: Scale
) -> dict[tuple[Any, ...], Any]:
    by_key: dict[tuple[Any, ...], dict[int, int]] = {}
    for (*key, slot), events in counted.items():
        by_key.setdefault(tuple(key), {})[slot] = events
    answers = {key: quantile(slots, share, scale) for key, slots in by_key.items()}
    return {key: answer.value for key, answer in answers.items() if answer}
