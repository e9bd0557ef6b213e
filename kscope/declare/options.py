"""Values of a probe's options, from a command line or a file: checked, and read."""

from collections.abc import Mapping
from typing import Any

from kscope.declare import units
from kscope.declare.model import Option
from kscope.declare.values import choice_fault, value_fault
from kscope.errors import ValueFaultError

# Each leaves out what the other keeps: of both together nothing would be left.
_EXCLUSIVE = ("user-only", "kernel-only")


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
