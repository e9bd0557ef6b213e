"""Samples become rows: which column of a category takes which amount."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from kscope.declare.charts import asked_by
from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.errors import KscopeError
from kscope.profiles.frames import clean, folded
from kscope.profiles.sample import Amount, Quantity, Sample, unit_of

_SECOND = 10**6


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
    _left: dict[str, Fraction] = field(default_factory=dict)
    _values: tuple[Column, ...] = field(init=False)
    _quantities: dict[str, Quantity] = field(init=False)
    _names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._values = self.category.with_role(Role.VALUE)
        self._quantities = {each.name: quantity_of(each) for each in self._values}
        self._names = frozenset(each.name for each in self.category.columns)

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
        left = [*amounts]
        found: dict[str, Any] = {}
        # The chosen column has the first choice of the amounts.
        for column in (self.value, *(each for each in self._values if each is not self.value)):
            amount = self._taken(left, column)
            if amount is not None:
                found[column.name] = self._whole(column, amount)
        self._add_time(found)
        self._add_samples(found)
        if self.value.name not in found:
            raise SampleError(f"has no {self.value.name}; choose another column with --value")
        for column in self._values:
            if column.name not in found and not column.optional:
                found[column.name] = 0
        return found

    def _taken(self, left: list[Amount], column: Column) -> Amount | None:
        """Remove and return the amount for a column: one of its name, else the first of its kind
        that has no other column's name.
        """
        quantity, chosen = self._quantities[column.name], None
        for each in left:
            if unit_of(each.unit).quantity is not quantity:
                continue
            if each.kind == column.name:
                chosen = each
                break
            if chosen is None and each.kind not in self._quantities:
                chosen = each
        if chosen:
            left.remove(chosen)
        return chosen

    def _add_samples(self, found: dict[str, Any]) -> None:
        """Add the number of samples whose time is known, by their rate."""
        for column in self._values:
            counter = self.category.column(column.sampled_by)
            time = found.get(column.name)
            if counter and counter.name not in found and time is not None and self.frequency:
                count = Fraction(time) * Fraction(self.frequency) / _SECOND
                found[counter.name] = self._carried(counter, count)

    def _add_time(self, found: dict[str, Any]) -> None:
        """Add the time of counted samples, by their rate."""
        for column in self._values:
            if column.name in found or column.type.unit != "us":
                continue
            counter = self.category.column(column.sampled_by) or self.category.count
            count = found.get(counter.name) if counter else None
            if count is not None and self.frequency:
                time = Fraction(count) * _SECOND / Fraction(self.frequency)
                found[column.name] = self._carried(column, time)
            elif count is not None and column.sampled_by:
                self.untimed += 1
                found[column.name] = 0

    def _whole(self, column: Column, amount: Amount) -> int | float:
        factor, value = _factor(amount.unit, column.unit), amount.value
        if not isinstance(value, int):
            return self._carried(column, Fraction(value) * factor)
        if factor == 1 and column.name not in self._left:
            return value
        return self._carried(column, Fraction(value * factor.numerator, factor.denominator))

    def _carried(self, column: Column, exact: Fraction) -> int | float:
        if column.type.storage is Storage.REAL:
            return float(exact)
        exact += self._left.get(column.name, Fraction())
        whole = exact.numerator // exact.denominator
        self._left[column.name] = exact - whole
        return whole


@lru_cache(256)
def _factor(unit: str, own: str) -> Fraction:
    """Return the factor from a unit to a column's own; both have the same quantity."""
    return unit_of(unit).factor / unit_of(own).factor


def quantity_of(column: Column) -> Quantity:
    """Return the kind of amounts that a value column takes."""
    quantity = unit_of(column.unit).quantity
    return Quantity.COUNT if quantity is Quantity.OTHER else quantity


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
