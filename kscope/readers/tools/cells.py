"""Cells of a table become values of columns."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from kscope.declare.model import Column
from kscope.declare.types.base import Role, Storage
from kscope.profiles.sample import Quantity, unit_of
from kscope.readers.tools.headers import Field

# Tools write these where they know nothing.
_NOTHING = frozenset({"", "-", "?", "N/A", "<unknown>"})
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{0,20})?", re.ASCII)


class CellError(ValueError):
    """A cell is not a value of its column."""


def values_of(
    field: Field, text: str, columns: Mapping[str, Column], unit: str = ""
) -> Mapping[str, Any]:
    """Return the values of a cell, by columns; of those only the ones in `columns`.

    `unit` is that of numbers whose header has none. Raises CellError.
    """
    text = text.strip()
    try:
        return {
            name: checked(columns[name], value)
            for name, value in _found(field, text, unit).items()
            if name in columns and value is not None
        }
    except (ValueError, OverflowError):
        raise CellError(f"{text[:40]!r} does not fit the column {field.head.text}") from None


def _found(field: Field, text: str, unit: str) -> Mapping[str, Any]:
    if field.word and field.word.read:
        return field.word.read(text) if text not in _NOTHING else {}
    if field.column is None:
        return {}
    return {field.column.name: value_of(field.column, text, field.head.unit or unit)}


def checked(column: Column, value: Any) -> Any:
    """Return the value if the column takes it. Raises ValueError."""
    if not column.type.fits(value):
        raise ValueError(f"{column.name}: {value!r:.40}")
    if column.type.encode:
        column.type.encode(value)
    return value


def value_of(column: Column, text: str, unit: str = "") -> Any:
    """Return a cell's value as a row has it, None if it holds none. Raises ValueError."""
    storage = column.type.storage
    if storage in (Storage.INTEGER, Storage.REAL) and text in _NOTHING:
        return None
    if column.type.role is Role.VALUE:
        return _amount(column, text, unit)
    if storage is Storage.INTEGER:
        return int(text)
    if storage is Storage.BOOLEAN:
        return text.lower() in ("1", "true", "yes", "y")
    return text


def _amount(column: Column, text: str, unit: str) -> int | float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    exact = Fraction(text) * _factor(column, unit)
    return float(exact) if column.type.storage is Storage.REAL else round(exact)


def _factor(column: Column, unit: str) -> Fraction:
    """Return the factor that turns a header's unit into the column's."""
    source, target = unit_of(unit), unit_of(column.unit)
    if unit and source.quantity is target.quantity and source.quantity is not Quantity.OTHER:
        return source.factor / target.factor
    return Fraction(1)
