"""Samples become rows: which column of a category takes which amount."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from kscope.declare.charts import asked_by
from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.errors import KscopeError
from kscope.profiles.frames import clean, folded
from kscope.profiles.plan import Plan, Signature, plan_of
from kscope.profiles.sample import Amount, Sample

# Of samples with different amounts.
_PLANS = 1000


class SampleError(KscopeError):
    """A sample does not have the amount that its category needs."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The columns that a user chose: that of the amounts, and that of the root frame.

    An empty `value` is the flame graph's. A `root` of None is the chart's group, an empty one none.
    `frequency` is in samples a second; None if it is not known.
    """

    value: str = ""
    root: str | None = None
    frequency: float | None = None


@dataclass(slots=True)
class SampleColumns:
    """The columns of a category that samples fill.

    Amounts are converted exactly: the part of a unit that a row has no place for is added to the
    next one, so sums are right to one unit. `untimed` counts samples whose time is not known.
    """

    category: Category
    stack: Column
    value: Column
    root: Column | None
    frequency: float | None = None
    untimed: int = 0
    # The rest of a column's unit: a number of parts, and how many make one.
    _left: dict[str, tuple[int, int]] = field(default_factory=dict)
    _plans: dict[tuple[Signature, float | None], Plan] = field(default_factory=dict)
    _names: frozenset[str] = field(init=False)
    # The columns that count the samples of others.
    _counters: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._names = frozenset(each.name for each in self.category.columns)
        self._counters = frozenset(each.sampled_by for each in self.category.with_role(Role.VALUE))

    def row(self, sample: Sample) -> dict[str, Any]:
        """Return the row. Raises SampleError if the sample has no amount for the value column."""
        row: dict[str, Any] = {self.stack.name: folded(sample.stack)}
        if self.root:
            row[self.root.name] = clean(sample.process) if sample.process else ""
        row |= {
            name: number
            for name, number in (("pid", sample.pid), ("tid", sample.tid))
            if number is not None and name in self._names
        }
        return row | self._labels(sample.labels, row) | self._amounts(sample.amounts)

    def unit(self) -> str:
        """Return the unit of a bare number: that of the samples where they make the time."""
        return "count" if self.value.sampled_by else self.value.type.unit or "count"

    def _labels(self, labels: Mapping[str, Any], taken: Mapping[str, Any]) -> dict[str, Any]:
        named = {}
        for name, value in labels.items():
            column = self.category.column(name)
            if column and name not in taken and column.type.role in (Role.DIMENSION, Role.IDENTITY):
                named[name] = value
        return named

    def _amounts(self, amounts: tuple[Amount, ...]) -> dict[str, Any]:
        plan = self._plan(tuple([(each.kind, each.unit) for each in amounts]))
        found: dict[str, Any] = dict.fromkeys(plan.zeros, 0)
        for step in plan.steps:
            amount = found[step.source] if step.source else amounts[step.place].value
            found[step.column.name] = self._carried(step.column, amount, step.factor)
        if plan.untimed:
            self.untimed += max(
                (found[each] for each in self._counters if each in found), default=1
            )
        return found

    def _plan(self, amounts: Signature) -> Plan:
        key = (amounts, self.frequency)
        plan = self._plans.get(key)
        if plan is None:
            plan = plan_of(self.category, self.value, amounts, self.frequency)
            if not plan.fills(self.value):
                raise SampleError(f"has no {self.value.name}; choose another column with --value")
            if len(self._plans) < _PLANS:
                self._plans[key] = plan
        return plan

    def _carried(self, column: Column, value: float | Fraction, factor: Fraction) -> int | float:
        """Return the value times the factor; of whole numbers the rest is added to the next one."""
        if column.type.storage is Storage.REAL:
            return float(Fraction(value) * factor)
        # Nearly all values are whole, and integers are ten times as fast as fractions.
        exact = factor if isinstance(value, int) else Fraction(value) * factor
        parts, of = exact.numerator, exact.denominator
        if isinstance(value, int):
            parts *= value
        rest, rest_of = self._left.get(column.name, (0, 1))
        if rest and rest_of != of:
            both = Fraction(parts, of) + Fraction(rest, rest_of)
            parts, of = both.numerator, both.denominator
        else:
            parts += rest
        whole, rest = divmod(parts, of)
        self._left[column.name] = rest, of
        return whole


def sample_columns(category: Category, wanted: Wanted) -> SampleColumns:
    """Return the named columns, else those of the category's flame graph. Raises KscopeError."""
    chart = asked_by(category, "flamegraph")
    stacks = category.with_role(Role.STACK)
    if not stacks:
        raise KscopeError(f"{category.table} has no stack column to import stacks into")
    stack = category.column(chart.stack) if chart else None
    values = {each.name: each for each in category.with_role(Role.VALUE)}
    name = wanted.value or (chart.value if chart else "") or next(iter(values), "")
    if name not in values:
        raise KscopeError(
            f"--value {name}: {category.table} has no such value;"
            f" it has {', '.join(values) or 'none'}"
        )
    by = wanted.root if wanted.root is not None else (chart.by if chart else "")
    root = _root(category, by)
    return SampleColumns(category, stack or stacks[0], values[name], root, wanted.frequency)


def _root(category: Category, name: str) -> Column | None:
    if not name:
        return None
    texts = {each.name: each for each in category.with_role(Role.DIMENSION)}
    if name not in texts:
        raise KscopeError(
            f"--root {name}: {category.table} has no such column; it has {', '.join(texts)}"
        )
    return texts[name]


def unknown_values(category: Category, also: Iterable[str] = ()) -> dict[str, Any]:
    """Return values for required columns that a recording may not have: no text, no events, 0."""
    found = {
        column.name: _unknown(column)
        for column in category.columns
        if not column.optional and column.name not in also
    }
    return {name: value for name, value in found.items() if value is not None}


def _unknown(column: Column) -> Any:
    if column.type.unknown is not None:
        return column.type.unknown
    return {Role.VALUE: 0, Role.HISTOGRAM: []}.get(column.type.role)
