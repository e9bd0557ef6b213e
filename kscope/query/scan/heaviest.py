"""The groups with the largest values, ranked by the database if there are many.

The database adds up a group over all segments before it ranks, so the ranking is exact.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from heapq import nsmallest
from typing import Any

import sqlalchemy as sa

from kscope.generate.expressions import as_double
from kscope.query.scan.freed_memory import consumed, discard
from kscope.query.scan.measures import Expressions, Measure
from kscope.query.scan.read import Groups, TooManyGroups, grouped, summed
from kscope.query.scan.scan import Scan
from kscope.query.sql.expressions import as_text

REST = "other"
# Up to this number groups are ranked in Python: one reading of the rows, over two connections.
RANKED_HERE = 20_000


@dataclass(frozen=True, slots=True)
class Heaviest:
    """Key -> measures of the heaviest groups, in no order; the measures of all; their number."""

    groups: Groups
    totals: list[Any]
    count: int

    @property
    def left_out(self) -> int:
        return self.count - len(self.groups)

    def rest(self) -> list[Any]:
        """Return the sums of the groups that are left out; all measures must add up."""
        kept = [sum(filter(None, column)) for column in zip(*self.groups.values(), strict=True)]
        return [max(0, (whole or 0) - part) for whole, part in zip(self.totals, kept, strict=True)]


async def heaviest(
    scan: Scan,
    keys: Expressions,
    measures: Sequence[Measure],
    n: int,
    *,
    by_mean: bool = False,
) -> Heaviest:
    """Return the `n` groups with the largest first measure.

    With `by_mean` it is the largest first measure per second measure.
    """
    try:
        found = await summed(scan, keys, measures, max(n, RANKED_HERE))
    except TooManyGroups:
        return await heaviest_of_many(scan, keys, measures, n, by_mean=by_mean)
    ranked = await asyncio.to_thread(heaviest_of, found, measures, n, by_mean=by_mean)
    if ranked.groups is not found:
        discard(found)
    return ranked


async def heaviest_of_many(
    scan: Scan,
    keys: Expressions,
    measures: Sequence[Measure],
    n: int,
    *,
    by_mean: bool = False,
) -> Heaviest:
    """Return the same, ranked by the database without a try to read all groups."""
    rows = await scan.reader.fetch(_ranked(scan, keys, measures, by_mean=by_mean).limit(n))
    return await consumed(lambda rows: _found(rows, len(measures)), rows)


def in_line(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what sorts keys whose parts may be null: nulls come first."""
    return tuple([(part is not None, part) for part in key])


def heaviest_of(found: Groups, measures: Sequence[Measure], n: int, *, by_mean: bool) -> Heaviest:
    """Return the heaviest of groups that are in memory."""

    def order(key: tuple[Any, ...]) -> tuple[Any, ...]:
        first, second, *_ = (*found[key], 0)
        weight = (first or 0) / second if by_mean and second else 0 if by_mean else first
        return (-(weight or 0), in_line(key))

    totals = [
        reduce(measure.kind.merge, column)
        for measure, column in zip(measures, zip(*found.values(), strict=True), strict=False)
    ] or [0] * len(measures)
    kept = found if len(found) <= n else {key: found[key] for key in nsmallest(n, found, order)}
    return Heaviest(kept, totals, len(found))


def _found(rows: Sequence[Sequence[Any]], many: int) -> Heaviest:
    """Split the rows of `_ranked`: the totals and the number of groups are in each of them."""
    if not rows:
        return Heaviest({}, [0] * many, 0)
    width = len(rows[0]) - 2 * many - 1
    groups: Groups = {tuple(map(as_text, row[:width])): row[width : width + many] for row in rows}
    return Heaviest(groups, [*rows[0][-many:]], int(rows[0][-1 - many]))


def _ranked(
    scan: Scan, keys: Expressions, measures: Sequence[Measure], *, by_mean: bool
) -> sa.Select[Any]:
    """Select keys, measures, the number of groups, and the measures of all groups together.

    One statement: rows that arrive in the meantime are in both the groups and the whole, or in
    neither.
    """
    parts = [grouped(scan, each, keys, measures) for each in scan.segments]
    several = len(parts) > 1
    both = (sa.union_all(*parts) if several else parts[0]).subquery()
    width = len(both.c) - len(measures)
    by: Sequence[sa.ColumnElement[Any]] = list(both.c)[:width]
    found: Sequence[sa.ColumnElement[Any]] = list(both.c)[width:]
    kinds = [measure.kind for measure in measures]
    if several:
        found = [kind.again(each) for kind, each in zip(kinds, found, strict=True)]
    whole = [kind.of_all(each) for kind, each in zip(kinds, found, strict=True)]
    weight = as_double(found[0]) / sa.func.nullif(as_double(found[1]), 0.0) if by_mean else found[0]
    statement = sa.select(*by, *found, sa.func.count().over(), *whole)
    statement = statement.order_by(weight.desc(), *by)
    return statement.group_by(*by) if several else statement
