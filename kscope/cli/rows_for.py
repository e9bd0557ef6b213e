"""The category that a command sends rows to, and the values that it sets in each of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kscope.cli.categories import good_catalog
from kscope.declare.model import Category, no_rows
from kscope.errors import UsageError, did_you_mean


def stored_category(table: str, folders: Sequence[str | Path]) -> Category:
    """Return the category of a table that takes rows. Raises UsageError."""
    catalog = good_catalog(folders)
    category = catalog.get(table)
    if category is None:
        names = [each.table for each in catalog]
        near = did_you_mean(table, names, listed=False) or "."
        raise UsageError(f"there is no table '{table}'{near} Known are: {', '.join(names)}.")
    if category.union:
        raise UsageError(f"'{table}' {no_rows(category)}")
    return category


def fixed_values(category: Category, given: Iterable[str]) -> dict[str, Any]:
    """Read `COLUMN=VALUE` texts. Raises UsageError."""
    fixed: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        column = category.column(name)
        if not equals or column is None:
            names = ", ".join(one.name for one in category.columns)
            raise UsageError(f"--set {each}: must be COLUMN=VALUE, with one of {names}")
        try:
            fixed[name] = column.type.parse(text)
        except ValueError as error:
            raise UsageError(f"--set {each}: {error}") from None
    return fixed
