"""Is a value one that a column of this type can hold?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema

if TYPE_CHECKING:
    from kscope.declare.columns import ColumnType

_FORMATS = jsonschema.FormatChecker(["ipv4", "ipv6"])


def value_problem(column_type: ColumnType, value: Any) -> str:
    """Say why the type cannot hold the value; empty when it can."""
    validator = jsonschema.Draft202012Validator(dict(column_type.json), format_checker=_FORMATS)
    if isinstance(value, bool) and column_type.name != "bool":
        return f"{value!r} is not of type {column_type.name}"
    if validator.is_valid(value):
        return ""
    return f"{value!r} is not of type {column_type.name}, {column_type.help}"
