"""Is a value one that a column of this type can hold?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from kscope.declare.columns import ColumnType

_FORMATS = jsonschema.FormatChecker(["ipv4", "ipv6"])


def _is_integer(_: object, value: object) -> bool:
    """1.0 is a whole number to JSON Schema; whoever writes a file can write 1."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: object, value: object) -> bool:
    # YAML has .nan and .inf, JSON has neither.
    finite = isinstance(value, float) and math.isfinite(value)
    return finite or _is_integer(checker, value)


Validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


def value_problem(column_type: ColumnType, value: Any) -> str:
    """Say why the type cannot hold the value; empty when it can."""
    if Validator(dict(column_type.json), format_checker=_FORMATS).is_valid(value):
        return ""
    return f"{value!r} is not of type {column_type.name}, {column_type.help}"
