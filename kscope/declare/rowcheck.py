"""Does a row fit its category? A sender says so before a row leaves; the server decides."""

from collections.abc import Iterator, Mapping
from typing import Any

from kscope.declare.model import TIME, Category, Column
from kscope.declare.types.base import BadValuesError, Storage
from kscope.declare.values import value_fault
from kscope.errors import cut, did_you_mean, shown


class RowCheck:
    """The check of one category's rows, with sentences for rows that do not fit."""

    def __init__(self, category: Category) -> None:
        self._columns = {column.name: column for column in (TIME, *category.columns)}
        self._needed = [each.name for each in category.columns if not each.optional]

    def faults(self, row: Mapping[str, Any]) -> Iterator[str]:
        """Yield a sentence for each name that is missing or unknown, and for each wrong value."""
        for name, value in row.items():
            column = self._columns.get(name)
            if column is None:
                near = did_you_mean(name, self._columns, listed=False)
                yield f"{cut(name, 60)}: there is no column {shown(name)}{near}"
            elif fault := _fault(column, value):
                yield f"{name}: {fault}"
        yield from (f"'{name}' is missing" for name in self._needed if name not in row)


def _fault(column: Column, value: Any) -> str:
    """Return why the column cannot hold the value, else an empty text."""
    kind = column.type
    if value is None and column.nullable:
        return ""
    plain = value if kind.storage is Storage.REAL else _whole(value)
    if not kind.fits(plain):
        why = value_fault(kind, plain)
        return why.message if why else f"{shown(value)} is not of type {kind.name}"
    try:
        kind.encoded([plain])
    except BadValuesError as error:
        return error.faults[0]
    return ""


def _whole(value: Any) -> Any:
    """Return 5.0 as 5, also in a list: to JSON both are one number."""
    if isinstance(value, list):
        return [*map(_whole, value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value
