"""How the values of a chart are summed in Grafana's statements, from rows and from sums alike."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.declare.aggregates import suggested
from kscope.declare.model import Category, Chart, Column
from kscope.generate.expressions import as_double
from kscope.generate.grafana_sums import Number
from kscope.generate.tables import ROLLUP_ROWS

# Names of columns that no category has.
AMOUNT, EVENTS = "kscope_amount", "kscope_events"
# Sums of rows have lost the sizes of each: none has this column of rows.
_SINGLE_ROWS = "seq of a row"
_Of = Callable[[sa.FromClause], Number]


@dataclass(frozen=True, slots=True)
class Measure:
    """The amount and the number of events of a table's rows, both floating point.

    `again` sums amounts of parts, `finish` returns the value of an amount and its events. The
    largest groups are those with the largest amount or, without `by_amount`, the most events.
    """

    needs: tuple[str, ...]
    amount: _Of
    events: _Of
    again: Callable[[Number], Number]
    finish: Callable[[Number, Number], Number]
    by_amount: bool

    def combined(self, parts: sa.CTE) -> Number:
        """Return the value of several parts."""
        return self.finish(self.again(parts.c[AMOUNT]), sa.func.sum(parts.c[EVENTS]))


def measure_of(category: Category, chart: Chart) -> Measure:
    column = category.column(chart.value)
    aggregate = chart.aggregate or suggested(column)
    weight = category.weight_of(column) if column else None
    needs = tuple(each.name for each in (column, weight) if each)
    events = _events(weight)
    if column is None or aggregate == "count":
        return Measure(needs, events, events, sa.func.sum, _amount, by_amount=True)
    if aggregate in ("min", "max"):
        again: Any = getattr(sa.func, aggregate)
        sizes = _sizes(column, weight)
        needs = (*needs, _SINGLE_ROWS)
        return Measure(
            needs, lambda table: again(sizes(table)), events, again, _amount, by_amount=False
        )
    total = _total(column)
    if aggregate == "avg":
        return Measure(needs, total, events, sa.func.sum, _mean, by_amount=False)
    return Measure(needs, total, events, sa.func.sum, _amount, by_amount=True)


def _amount(amount: Number, _: Number) -> Number:
    return amount


def _mean(amount: Number, events: Number) -> Number:
    return amount / sa.func.nullif(events, 0)


def _total(column: Column) -> _Of:
    return lambda table: sa.func.coalesce(sa.func.sum(as_double(table.c[column.name])), 0)


def _events(weight: Column | None) -> _Of:
    """Return the number of events: the sum of the rows' weights, or the number of rows."""

    def counted(table: sa.FromClause) -> Number:
        if weight is not None:
            return _total(weight)(table)
        if ROLLUP_ROWS in table.c:
            return sa.func.coalesce(sa.func.sum(as_double(table.c[ROLLUP_ROWS])), 0)
        return as_double(sa.func.count())

    return counted


def _sizes(column: Column, weight: Column | None) -> _Of:
    """Return an event's value: the mean over the events of its row."""

    def size(table: sa.FromClause) -> Number:
        value: Number = as_double(table.c[column.name])
        if weight is None:
            return value
        return value / as_double(sa.func.nullif(table.c[weight.name], 0))

    return size
