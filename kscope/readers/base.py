"""Rows as every reader yields them, and the columns that stacks fill."""

from dataclasses import dataclass
from typing import Any

from kscope.declare.charts import asked_by
from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role
from kscope.errors import KscopeError


@dataclass(frozen=True, slots=True)
class Line:
    """A row, and the line of the file that it starts on. `at` is in seconds after the first row."""

    number: int
    row: dict[str, Any]
    at: float = 0.0


class ReadError(KscopeError):
    """The file does not have the format that was named; `number` is the line."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True, slots=True)
class ImportColumns:
    """The columns that a stack fills: the root frame fills `root`, unless that is None."""

    category: Category
    stack: Column
    value: Column
    root: Column | None


def import_columns(category: Category, value: str, root: str | None) -> ImportColumns:
    """Return the named columns, else those of the category's flame graph. Raises KscopeError."""
    chart = asked_by(category, "flamegraph")
    stacks = category.with_role(Role.STACK)
    if not stacks:
        raise KscopeError(f"{category.table} has no stack column to import stacks into")
    stack = category.column(chart.stack) if chart else None
    values = {each.name: each for each in category.with_role(Role.VALUE)}
    name = value or (chart.value if chart else "") or next(iter(values), "")
    if name not in values:
        raise KscopeError(
            f"--value {name}: {category.table} has no such value;"
            f" it has {', '.join(values) or 'none'}"
        )
    wanted = root if root is not None else (chart.by if chart else "")
    return ImportColumns(category, stack or stacks[0], values[name], _root(category, wanted))


def _root(category: Category, name: str) -> Column | None:
    if not name:
        return None
    texts = {each.name: each for each in category.with_role(Role.DIMENSION)}
    if name not in texts:
        raise KscopeError(
            f"--root {name}: {category.table} has no such column; it has {', '.join(texts)}"
        )
    return texts[name]
