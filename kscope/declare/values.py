"""Is a value one that a column of this type, or a probe's option, can hold?"""

import itertools
import math
from collections.abc import Collection, Mapping
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator

from kscope.declare import units
from kscope.declare.model import Option
from kscope.declare.types.base import ColumnType, Role, Storage
from kscope.errors import ValueFaultError, printable, quoted, shown

_NUMBERS = (Storage.INTEGER, Storage.REAL)
# Of the words that a message names.
_MOST_CHOICES = 20
# Each leaves out what the other keeps: of both together nothing would be left.
_EXCLUSIVE = ("user-only", "kernel-only")
_FORMATS = jsonschema.FormatChecker(["ipv4", "ipv6"])


def _is_integer(_: object, value: object) -> bool:
    """1.0 is a whole number to JSON Schema; the author of a file can write 1."""
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


# Units of things that have a type for them; a count in one of these would be off by a factor.
_MEASURES = frozenset(
    ("ns", "us", "\N{MICRO SIGN}s", "ms", "s", "sec", "min", "h", "nanoseconds", "microseconds",
     "milliseconds", "seconds", "minutes", "hours", "B", "byte", "bytes", "KB", "MB", "GB", "TB",
     "KiB", "MiB", "GiB", "TiB", "kB", "%")
)  # fmt: skip


def has_unit(column_type: ColumnType) -> bool:
    """Are its values numbers, or sizes of them?"""
    return column_type.storage in (*_NUMBERS, Storage.HISTOGRAM)


def refused_units(column_type: ColumnType) -> frozenset[str]:
    """The units that another type is for; none of a type that has a unit, which takes no other."""
    counts = column_type.role is Role.VALUE and column_type.aggregate == "sum"
    return _MEASURES if counts and not column_type.unit else frozenset()


def unit_problem(column_type: ColumnType, unit: str) -> str:
    """Say why a column of the type cannot be in that unit; empty when it can."""
    name, own = column_type.name, column_type.unit
    if not has_unit(column_type):
        return f"a {name} is not a number: remove this key"
    if own and unit != own:
        text = f"{name} values are in {own}, not in '{printable(unit)}'"
        return f"{text}: send {own} and remove this key, or make the column a float"
    if unit in refused_units(column_type):
        text = f"a {name} is a number of events, which is not in '{unit}'"
        return f"{text}: make the column elapsed (us), bytes or float"
    return ""


def rate_problem(column_type: ColumnType) -> str:
    """Say why a column of the type has no time per time; empty if it has."""
    if column_type.role is Role.VALUE and column_type.unit == "us":
        return ""
    return f"a {column_type.name} is not an amount of time: make it elapsed, or remove this key"


def is_valid(schema: Mapping[str, Any], value: Any) -> bool:
    """Return whether the value satisfies a JSON Schema; 1.0 is not an integer here."""
    return bool(Validator(dict(schema), format_checker=_FORMATS).is_valid(value))


def value_fault(column_type: ColumnType, value: Any) -> ValueFaultError | None:
    """Return why the type cannot hold the value; None if it can."""
    if is_valid(column_type.json, value):
        return None
    if _is_integer(None, value) and abs(value) >= 2**63 and column_type.storage in _NUMBERS:
        return ValueFaultError(shown(value), "is beyond what a 64-bit number can hold")
    fault = f"is not of type {column_type.name}, {column_type.help}"
    wants_text = column_type.json.get("type") == "string"
    return ValueFaultError(shown(value), fault, quoted(value) if wants_text else "")


def choice_fault(choices: Collection[str], value: Any) -> ValueFaultError | None:
    """Return why the value is not one of the words; None if it is."""
    if isinstance(value, str) and value in choices:
        return None
    words = ", ".join(printable(word) for word in itertools.islice(choices, _MOST_CHOICES))
    return ValueFaultError(shown(value), f"is not one of the choices {words}", quoted(value))


def option_value(option: Option, given: Any) -> Any:
    """The value as the program gets it; a length of time may carry its unit: 5ms.

    Raises ValueFaultError.
    """
    if option.choices:
        if fault := choice_fault(option.choices, given):
            raise fault
        return given
    value = _read(option, given) if isinstance(given, str) else given
    if fault := value_fault(option.type, value):
        raise fault
    if option.least is not None and value < option.least:
        raise ValueFaultError(str(given), f"is less than {option.least}, the least")
    if option.most is not None and value > option.most:
        raise ValueFaultError(str(given), f"is more than {option.most}, the most")
    return value


def exclusive_problem(given: Mapping[str, Any]) -> str:
    """Return the problem of options that are right by themselves but not together; else ""."""
    if all(given.get(name) is True for name in _EXCLUSIVE):
        return f"{' and '.join(_EXCLUSIVE)} exclude each other"
    return ""


def _read(option: Option, text: str) -> Any:
    if option.type.unit == "us":
        return units.microseconds(text)
    if option.type.unit == "bytes":
        return units.read_bytes(text, 0)
    try:
        return option.type.parse(text)
    except ValueError:
        return text  # the check names the problem
