"""The columns by which a question of all categories looks at one of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from kscope.declare.charts import asked_by
from kscope.declare.charts.base import grouping, measured
from kscope.declare.model import HOSTNAME, Category, Column
from kscope.declare.types.base import Role
from kscope.query.parse.columns import Value

# A category without it is grouped by its first label.
_PROCESS = "process"
_MOST_LABELS = 3


@dataclass(frozen=True, slots=True)
class View:
    """`value` is summed. `by` is the process, or the label that stands for it.

    `labels` are further dimensions of a category without stacks.
    """

    category: Category
    value: Value
    by: Column | None
    stack: Column | None
    labels: tuple[Column, ...]
    histogram: Column | None

    @property
    def table(self) -> str:
        return self.category.table

    def quantum(self, value: float, events: float) -> float:
        """Return the mean size of one event; 0 if it is not known how many there are."""
        if self.value.column is None or self.value.column.type.counts_events:
            return 1.0
        return value / events if self.value.weight and events else 0.0


def view_of(category: Category) -> View:
    by = _by(category)
    stack = _first(category, Role.STACK, "flamegraph")
    others = (each for each in category.with_role(Role.DIMENSION) if each not in (by, HOSTNAME))
    return View(
        category=category,
        value=_value(category),
        by=by,
        stack=stack,
        labels=() if stack else tuple(others)[:_MOST_LABELS],
        histogram=_first(category, Role.HISTOGRAM, "heatmap"),
    )


def _by(category: Category) -> Column | None:
    named = category.column(_PROCESS)
    if named and named.type.role is Role.DIMENSION:
        return named
    return grouping(each for each in category.columns if each.type.role is Role.DIMENSION)


def _first(category: Category, role: Role, chart: str) -> Column | None:
    """Return the column that a chart of this kind shows, or the first of the role."""
    shown = asked_by(category, chart)
    columns = category.with_role(role)
    named = {shown.stack, shown.value} if shown else set()
    return next((each for each in columns if each.name in named), next(iter(columns), None))


def _value(category: Category) -> Value:
    """Return the time that the category measures; if it measures none, its number of events.

    A category whose charts over time count rows is about how many there are.
    """
    if _counts_rows(category):
        return Value(None, None)
    column = next(_charted(category), None)
    times = (each for each in measured(category.columns) if each.rate)
    column = column or next(times, None) or category.count
    return Value(column, category.weight_of(column) if column else None)


def _counts_rows(category: Category) -> bool:
    over_time = asked_by(category, "timeseries")
    return over_time is not None and not over_time.value


def _charted(category: Category) -> Iterator[Column]:
    """Yield the charts' values that are time per time, flame graphs' first."""
    for kind in ("flamegraph", "top", "timeseries", "heatmap"):
        chart = asked_by(category, kind)
        column = category.column(chart.value) if chart else None
        if column and column.rate:
            yield column
