"""Columns of values that repeat, so that work on a value is done once for all rows that have it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, overload


@dataclass(frozen=True, slots=True)
class Coded(Sequence[Any]):
    """A column of values that repeat: `places` has the place of each row's value in `values`.

    `used` has the places that rows have, each once; the other `values` belong to no row. So work on
    texts is done once for each text instead of once for each row.
    """

    places: Sequence[int]
    values: Sequence[Any]
    used: Collection[int]

    @classmethod
    def constant(cls, value: Any, count: int) -> "Coded":
        """Return a column that has the value in each row."""
        return cls(bytes(count), [value], range(min(count, 1)))

    @property
    def distinct(self) -> list[Any]:
        """Return the values that rows have; one that `values` has twice may be there twice."""
        return list(map(self.values.__getitem__, self.used))

    def holding(self, distinct: Iterable[Any]) -> "Coded":
        """Return the column that has these values in place of the distinct ones."""
        values: list[Any] = [None] * len(self.values)
        for place, value in zip(self.used, distinct, strict=True):
            values[place] = value
        return Coded(self.places, values, self.used)

    def in_full(self) -> Sequence[Any]:
        """Return the value of each row."""
        if len(self.values) == 1:
            return [*self.values] * len(self.places)
        return picked(self.places, self.values)

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.in_full())

    @overload
    def __getitem__(self, row: int) -> Any: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Any]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return picked(self.places[row], self.values)
        return self.values[self.places[row]]


def chained(columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Return columns one after the other as one column."""
    if len(columns) == 1:
        return columns[0]
    if (value := _common(columns)) is not None:
        return Coded.constant(value, sum(map(len, columns)))
    values: list[Any] = []
    for column in columns:
        values.extend(column)
    return values


def _common(columns: Iterable[Sequence[Any]]) -> Any:
    """Return the whole number or the text that each row has, if there is one."""
    found = None
    for column in columns:
        if not is_constant(column):
            return None
        value = column[0]
        if type(value) not in (int, str) or found not in (None, value):
            return None
        found = value
    return found


def is_constant(column: Sequence[Any]) -> bool:
    """Return whether it is known that each row has the same value."""
    return isinstance(column, Coded) and len(column.used) == 1


def distinct(column: Sequence[Any]) -> Sequence[Any]:
    """Return each value of a column, some perhaps more than once."""
    return column.distinct if isinstance(column, Coded) else column


def picked(places: Sequence[int], values: Sequence[Any]) -> Sequence[Any]:
    """Return the value at each place; `itemgetter` is three times as fast as a loop."""
    if len(places) < 2:
        return [values[place] for place in places]
    found: tuple[Any, ...] = itemgetter(*places)(values)
    return found
