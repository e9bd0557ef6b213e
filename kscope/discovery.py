"""Collects the entries that each module of a folder declares: a new file is enough."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any


def discovered(package: str, folder: Iterable[str], table: str) -> Mapping[str, Any]:
    """Return the rows of each module's tuple `table` by their names, in the order of the modules.

    Raises ValueError if two rows have the same name.
    """
    rows: dict[str, Any] = {}
    for name in sorted(module.name for module in iter_modules(folder)):
        for row in getattr(import_module(f"{package}.{name}"), table, ()):
            if rows.setdefault(row.name, row) is not row:
                raise ValueError(f"{package}.{name}: '{row.name}' is already in {table}")
    return MappingProxyType(rows)
