"""The stacks that have the most in one cell of a heat map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.declare.charts import asked_by
from kscope.declare.charts.base import grouping
from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role
from kscope.declare.types.histogram import HISTOGRAM_SLOTS
from kscope.generate.expressions import as_double
from kscope.query.answers.meta import Number
from kscope.query.parse.columns import Value, stack_of
from kscope.query.parse.errors import complain
from kscope.query.parse.filters import condition
from kscope.query.parse.operands import text
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import now, parse_moment
from kscope.query.scan.cells import MICROSECONDS, time_column
from kscope.query.scan.labels import labels
from kscope.query.scan.measures import FLOAT_TOTAL, ROWS, Measure, events_of, sum_of
from kscope.query.scan.read import summed
from kscope.query.scan.same_stacks import same_stacks
from kscope.query.scan.scan import Scan, columns, scan_of
from kscope.query.sql.conditions import Group
from kscope.query.sql.operators import HOLDS
from kscope.store.reader import Reader
from kscope.store.sums.functions import SLOT, SLOT_EVENTS, with_slots
from kscope.store.sums.planner import Segment


class Dominant(msgspec.Struct, frozen=True):
    """A group and its stack, empty if the category has none; `time` is in microseconds, or None.

    `share` is of the whole cell.
    """

    group: str
    stack: str
    events: Number
    time: Number | None
    share: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A moment in its step, in microseconds, and the sizes from `low` up to `high`."""

    time: int
    low: Number
    high: Number


@dataclass(frozen=True, slots=True)
class Found:
    """The heaviest of a cell; the numbers are of the whole cell."""

    top: list[Dominant]
    events: Number
    time: Number
    rows: int
    scan: Scan


def read_cell(given: str) -> Cell:
    """Read TIME,LOW,HIGH. Raise QueryError."""
    moment, *sizes = text("cell", given).split(",", 3)
    try:
        low, high = map(_number, sizes)
    except ValueError:
        raise complain("cell", f"{given[:80]!r} is not TIME,LOW,HIGH") from None
    if not low < high:
        raise complain("cell", "the smaller size comes first")
    return Cell(parse_moment("cell", moment, now()), low, high)


def _number(given: str) -> Number:
    number = float(given)
    if not abs(number) < float("inf"):
        raise ValueError
    return int(number) if number.is_integer() else number


@dataclass(frozen=True, slots=True)
class CellQuestion:
    """The scope's range is that of the cell's step. The `n` with the most come first, by time if
    `timed`, else by events.
    """

    scope: Scope
    value: Value
    cell: Cell
    n: int
    timed: bool


async def dominant(reader: Reader, question: CellQuestion) -> Found:
    """Return the groups and stacks with the most in a cell."""
    by, timed = _by(question.scope.category), question.timed
    scan, cells, time, events = await _measured(reader, question, by)
    measures = (time if timed and time else events, events)
    found = await same_stacks(cells, by).heaviest(columns(*by), measures, question.n)
    whole = found.totals[0] or 0
    ranked = sorted(found.groups.items(), key=lambda each: -(each[1][0] or 0))
    texts = [await labels(reader, one, {key[i] for key, _ in ranked}) for i, one in enumerate(by)]
    named = [
        _dominant(by, [each[part] for each, part in zip(texts, key, strict=True)], sums, whole)
        for key, sums in ranked
        if sums[0]
    ]
    top = named if timed else [msgspec.structs.replace(each, time=None) for each in named]
    rows = await summed(scan, lambda _: [], (ROWS,))
    return Found(top, found.totals[1] or 0, whole if timed else 0, rows[()][0], scan)


def _dominant(
    by: Sequence[Column], texts: Sequence[str], sums: Sequence[Any], whole: Number
) -> Dominant:
    named = {column.type.role is Role.STACK: text for column, text in zip(by, texts, strict=True)}
    group, stack = named.get(False, ""), named.get(True, "")
    time, events = sums
    return Dominant(group, stack, events or 0, time, time / whole if whole else 0.0)


def _by(category: Category) -> tuple[Column, ...]:
    """Return the column that the charts group by, and the stack."""
    charts = (asked_by(category, "flamegraph"), asked_by(category, "timeseries"))
    named = next((category.column(chart.by) for chart in charts if chart and chart.by), None)
    group = named or grouping(category.columns)
    stacks = [stack_of(category, "")] if category.with_role(Role.STACK) else []
    return (*([group] if group else []), *stacks)


async def _measured(
    reader: Reader, question: CellQuestion, by: Sequence[Column]
) -> tuple[Scan, Scan, Measure | None, Measure]:
    """Return the reading of the rows, that of the cell's events, and the measures of their time
    and their number.
    """
    scope, value, cell = question.scope, question.value, question.cell
    column = value.column
    assert column is not None
    if column.type.role is Role.HISTOGRAM:
        scan = await scan_of(reader, scope, (*by, column))
        slots = scan.over(lambda segment: with_slots(segment.table, column.name))
        return scan, slots, *_of_histogram(column, cell)
    held = condition(scope.category, "cell", column, HOLDS, [cell.low, cell.high])
    inside = replace(scope, where=Group((held, scope.where)))
    scan = await scan_of(reader, inside, (*by, *value.columns))
    time = time_column(scope.category, value)
    return scan, scan, sum_of(time) if time else None, events_of(value)


def _of_histogram(column: Column, cell: Cell) -> tuple[Measure | None, Measure]:
    """Return the measures of time and events: parts of powers of two, as `cells` lays them."""
    unit = MICROSECONDS.get(column.unit)
    shares, times = {}, {}
    for slot in range(HISTOGRAM_SLOTS):
        low, high = (2**slot if slot else 0), 2 ** (slot + 1)
        start, end = max(low, cell.low), min(high, cell.high)
        if start < end:
            shares[slot] = (end - start) / (high - low)
            times[slot] = shares[slot] * (start + end) / 2 * (unit or 0)
    return _weighed(times) if unit else None, _weighed(shares)


def _weighed(factors: Mapping[int, float]) -> Measure:
    """Return the measure of events by the factors of their slots; other slots count nothing."""

    def of(segment: Segment) -> sa.ColumnElement[Any]:
        slot, events = segment.table.c[SLOT], as_double(segment.table.c[SLOT_EVENTS])
        cases: list[Any] = [
            (slot == each, sa.literal(factor, sa.Double())) for each, factor in factors.items()
        ]
        return sa.func.sum(events * sa.case(*cases, else_=0.0))

    return Measure(of, FLOAT_TOTAL)
