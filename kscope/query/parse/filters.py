"""Filters: `column=value` and `column__operator=value` become conditions."""

from collections.abc import Iterable
from typing import Any

from kscope.declare.model import Category, Column
from kscope.query.parse.errors import complain, one_of
from kscope.query.parse.operands import operand
from kscope.query.sql.conditions import Condition
from kscope.query.sql.operators import HOLDS, NEGATIONS, OPERATORS, taken

# Databases bound how deep an expression may be, and each condition costs time for every row.
MAX_CONDITIONS = 200
# In place of the values of `__in`: it holds for every row. A JSON array can name the text itself.
ANY = "*"
TOO_MANY = (
    f"a question takes at most {MAX_CONDITIONS} filters; put several values into one with `__in`"
)


def parse_filter(
    category: Category, parameter: str, text: str, others: Iterable[str] = ()
) -> Condition:
    """Read `process=mysqld`, `elapsed__gte=5ms`.

    Raise QueryError, with the parameter and what it allows: `others` are no filters.
    """
    if found := filtered_column(category, parameter):
        return condition(category, parameter, *found, text)
    name, _, _ = parameter.rpartition("__")
    names = [*others, *(each.name for each in category.all_columns)]
    raise complain(parameter[:80], one_of("parameter or column", name or parameter, names))


def filtered_column(category: Category, parameter: str) -> tuple[Column, str] | None:
    """Return the column and the operator that a filter names; None without such a column."""
    if column := category.column(parameter):
        return column, "eq"
    # The name may end in `_`, and have `__` inside.
    name, _, suffix = parameter.rpartition("__")
    column = category.column(name)
    return (column, suffix or "eq") if column else None


def takes_all(category: Category, parameter: str, text: str) -> Column | None:
    """Return the column of a filter that leaves out nothing: `process__in=*`, as dashboards send.

    None if it is another filter.
    """
    found = filtered_column(category, parameter)
    return found[0] if found and found[1] == "in" and text == ANY else None


def condition(
    category: Category, parameter: str, column: Column, suffix: str, value: Any
) -> Condition:
    """Check that the column takes the operator and the value, a text or a value of JSON.

    Raise QueryError.
    """
    usable = taken(column)
    if suffix not in usable:
        kind = f"operator for {column.name} ({column.type.name})"
        raise complain(parameter, one_of(kind, suffix, usable))
    operator = OPERATORS[NEGATIONS.get(suffix, suffix)]
    return Condition(
        parameter,
        column,
        operator.name,
        operand(parameter, column, operator, value),
        negated=suffix in NEGATIONS,
        weight=category.weight_of(column) if operator.name == HOLDS else None,
    )
