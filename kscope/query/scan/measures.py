"""Measures of a question: the aggregates that SQL computes, and how to add those of two tables."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.query.parse.columns import Value
from kscope.query.sql.expressions import mean_size, newest
from kscope.store.sums import functions
from kscope.store.sums.functions import grand_total, total, weight
from kscope.store.sums.planner import Segment

Expression = Callable[[Segment], sa.ColumnElement[Any]]
Expressions = Callable[[Segment], Sequence[sa.ColumnElement[Any]]]


@dataclass(frozen=True)
class MergeRule:
    """How the aggregates of two segments become one: in Python, in SQL, and of all groups."""

    merge: Callable[[Any, Any], Any]
    again: Callable[[Any], sa.ColumnElement[Any]]
    of_all: Callable[[Any], sa.ColumnElement[Any]]


def _with_none(merge: Callable[[Any, Any], Any], again: Callable[[Any], Any]) -> MergeRule:
    """Return the rule of an aggregate that is None without values."""

    def either(a: Any, b: Any) -> Any:
        return b if a is None else a if b is None else merge(a, b)

    return MergeRule(either, again, lambda each: again(each).over())


TOTAL = MergeRule(operator.add, total, grand_total)
FLOAT_TOTAL = _with_none(operator.add, sa.func.sum)
LEAST = _with_none(min, sa.func.min)
MOST = _with_none(max, sa.func.max)


@dataclass(frozen=True)
class Measure:
    """An aggregate of a segment's rows."""

    of: Expression
    kind: MergeRule = TOTAL


@dataclass(frozen=True, slots=True)
class Aggregated:
    """Key -> number, and how many rows each key has."""

    values: Mapping[tuple[Any, ...], Any]
    rows: Mapping[tuple[Any, ...], int]

    @property
    def total_rows(self) -> int:
        return sum(self.rows.values())


ROWS = Measure(lambda segment: weight(segment.table))


def sum_of(column: Column) -> Measure:
    """Return the sum of a column over all rows."""
    kind = TOTAL if column.type.storage is Storage.INTEGER else FLOAT_TOTAL
    return Measure(lambda segment: functions.sum_of(segment.table, column), kind)


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


def _of_size(kind: MergeRule) -> Callable[[Value], Measure]:
    return lambda value: Measure(lambda segment: kind.again(size_of(value, segment)), kind)


# Return the smallest and the largest size.
least_of, most_of = _of_size(LEAST), _of_size(MOST)


def newest_of(value: Value) -> Measure:
    """Return the size in the newest row, as `newest_number` reads it."""
    return Measure(lambda segment: newest(segment.table.c.time, size_of(value, segment)), MOST)
