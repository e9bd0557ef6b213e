"""Which amounts of a sample become which columns: decided once for samples with the same ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from kscope.declare.model import Category, Column
from kscope.declare.quantities import Quantity, unit_of
from kscope.declare.types.base import Role

_SECOND = 10**6
# The kind and the unit of each amount of a sample.
Signature = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A column is the amount at a place, or else another column, times the factor."""

    column: Column
    factor: Fraction
    place: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The columns of samples with the same amounts. `zeros` are those that nothing fills.

    `untimed`: their time is not known.
    """

    steps: tuple[Step, ...]
    zeros: tuple[str, ...]
    untimed: bool = False

    def fills(self, column: Column) -> bool:
        return any(step.column is column for step in self.steps) or (
            self.untimed and column.name in self.zeros
        )


def quantity_of(column: Column) -> Quantity:
    """Return the kind of amounts that a value column takes."""
    quantity = unit_of(column.unit).quantity
    return Quantity.COUNT if quantity is Quantity.OTHER else quantity


def plan_of(category: Category, value: Column, amounts: Signature, frequency: float | None) -> Plan:
    """Return the plan. The column `value` has the first choice of the amounts."""
    values = category.with_role(Role.VALUE)
    steps = _taken(values, value, amounts)
    timed, unknown = _times(category, values, steps, frequency)
    steps += timed
    steps += _samples(category, values, steps, frequency)
    filled = {step.column.name for step in steps}
    zeros = [each.name for each in values if each.name not in filled and not each.optional]
    zeros += [name for name in unknown if name not in zeros]
    return Plan(tuple(steps), tuple(zeros), bool(unknown))


def _taken(values: Sequence[Column], value: Column, amounts: Signature) -> list[Step]:
    left = dict(enumerate(amounts))
    steps = []
    for column in (value, *(each for each in values if each is not value)):
        place = _place(column, values, left)
        if place is not None:
            factor = unit_of(left.pop(place)[1]).factor / unit_of(column.unit).factor
            steps.append(Step(column, factor, place))
    return steps


def _place(
    column: Column, values: Sequence[Column], left: dict[int, tuple[str, str]]
) -> int | None:
    """Return the place of an amount of the column's name, else the first of its kind that has no
    other column's name.
    """
    quantity = quantity_of(column)
    others = {each.name for each in values} - {column.name}
    fitting = [
        (kind != column.name, place)
        for place, (kind, unit) in left.items()
        if unit_of(unit).quantity is quantity and kind not in others
    ]
    return min(fitting)[1] if fitting else None


def _times(
    category: Category, values: Sequence[Column], steps: Sequence[Step], frequency: float | None
) -> tuple[list[Step], list[str]]:
    """Return the time of counted samples, by their rate, and the columns whose time is unknown."""
    filled = {step.column.name for step in steps}
    timed, unknown = [], []
    for column in values:
        counter = category.column(column.sampled_by) or category.count
        if column.name in filled or column.type.unit != "us" or counter is None:
            continue
        if counter.name in filled and frequency:
            factor = _SECOND / Fraction(frequency)
            timed.append(Step(column, factor, source=counter.name))
        elif counter.name in filled and column.sampled_by:
            unknown.append(column.name)
    return timed, unknown


def _samples(
    category: Category, values: Sequence[Column], steps: Sequence[Step], frequency: float | None
) -> list[Step]:
    """Return the number of samples whose time is known, by their rate."""
    filled = {step.column.name for step in steps}
    found = []
    for column in values:
        counter = category.column(column.sampled_by)
        if counter and counter.name not in filled and column.name in filled and frequency:
            factor = Fraction(frequency) / _SECOND
            found.append(Step(counter, factor, source=column.name))
    return found
