"""Measures of a question: the aggregates that SQL computes, and how to add those of two tables."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.query.sql.expressions import mean_size, quick_sum
from kscope.store.sums.planner import Segment

if TYPE_CHECKING:
    from kscope.declare.model import Column
    from kscope.query.parse.columns import Value

Expression = Callable[[Segment], sa.ColumnElement[Any]]
Expressions = Callable[[Segment], Sequence[sa.ColumnElement[Any]]]
Merge = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Measure:
    """An aggregate of a segment's rows, and how those of two segments become one.

    `halves` are the sums of the upper and of the lower bits, where a sum may pass 64 of them.
    """

    of: Expression
    merge: Merge = operator.add
    halves: tuple[Expression, ...] = ()


def _rows(segment: Segment) -> sa.ColumnElement[Any]:
    return quick_sum(segment.weight) if segment.bucket else sa.func.count()


ROWS = Measure(_rows)
HALF = 31


def sum_of(column: Column) -> Measure:
    def stored(segment: Segment) -> sa.ColumnElement[Any]:
        return segment.table.c[column.name]

    if column.type.storage is not Storage.INTEGER:
        return Measure(lambda segment: sa.func.sum(stored(segment)))
    halves = (
        lambda segment: sa.func.sum(stored(segment).bitwise_rshift(HALF)),
        lambda segment: sa.func.sum(stored(segment).bitwise_and(2**HALF - 1)),
    )
    return Measure(lambda segment: quick_sum(stored(segment)), halves=halves)


def total_of(value: Value) -> Measure:
    """Return the sum of the value over all rows."""
    return ROWS if value.column is None else sum_of(value.column)


def events_of(value: Value) -> Measure:
    """Return the number of events: the sum of the rows' weights, or the number of rows."""
    return ROWS if value.weight is None else sum_of(value.weight)


def size_of(value: Value, segment: Segment) -> sa.ColumnElement[Any]:
    """Return an event's value as floating point: the mean over the events of its row."""
    assert value.column is not None
    table = segment.table
    weight = table.c[value.weight.name] if value.weight else None
    return mean_size(table.c[value.column.name], weight)


def least_of(value: Value) -> Measure:
    """Return the smallest size."""
    return Measure(lambda segment: sa.func.min(size_of(value, segment)), min)


def most_of(value: Value) -> Measure:
    """Return the largest size."""
    return Measure(lambda segment: sa.func.max(size_of(value, segment)), max)
