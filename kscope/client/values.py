"""A script's values become JSON values: also bytes, ctypes, numpy and datetime."""

import ctypes
import enum
import ipaddress
import math
import operator
import os
from datetime import UTC, datetime
from typing import Any

from kscope.client.answers import one_line
from kscope.client.encoding import timestamp

_LARGEST = 2**63
_NO_ARRAY = (str, int, float, bytes, bytearray, memoryview)
_PLAIN_TEXT = (ipaddress.IPv4Address, ipaddress.IPv6Address)


def plain(value: Any) -> Any:
    """Return None, a bool, an int, a float, a text, or a list of these. Raises ValueError."""
    kind = type(value)
    # Nearly all values are of these, and need no other look.
    if kind is str:
        return value.replace("\0", "")
    if kind is int and -_LARGEST <= value < _LARGEST:
        return value
    if isinstance(value, ctypes.Array):
        value = getattr(value, "value", list(value))  # an array of characters has one value
    elif not isinstance(value, _NO_ARRAY) and callable(getattr(value, "tolist", None)):
        value = value.tolist()  # numpy: an array, or a single value
    return [_single(each) for each in value] if isinstance(value, (list, tuple)) else _single(value)


def time_of(value: Any) -> str:
    """Return a row's time as ISO 8601: from seconds since 1970, a datetime or a text.

    A datetime without an offset is local time, as `datetime.now()` returns it.
    """
    value = plain(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{one_line(repr(value), 60)} is not a time: {_TIMES}")  # noqa: TRY004
    try:
        return timestamp(value)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{value} is not a number of seconds since 1970: {_TIMES}") from None


_TIMES = "pass seconds such as time.time(), a datetime, or text such as 2026-11-28T12:00:00Z"


def _single(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    # _SimpleCData is the base of all ctypes numbers.
    if isinstance(value, (enum.Enum, ctypes._SimpleCData)):  # noqa: SLF001
        return _single(value.value)
    if (text := _text(value)) is not None:
        return text.replace("\0", "")
    return _number(value)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, datetime):
        # Without an offset, astimezone() assumes local time.
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return path if isinstance(path, str) else path.decode("utf-8", "replace")
    return str(value) if isinstance(value, _PLAIN_TEXT) else None


def _number(value: Any) -> int | float:
    try:
        number = operator.index(value)
    except TypeError:
        return _real(value)
    if not -_LARGEST <= number < _LARGEST:
        raise ValueError("a whole number of more than 64 bits; pass it as text, or divide it")
    return number


def _real(value: Any) -> float:
    if not hasattr(type(value), "__float__"):
        raise ValueError(
            f"{one_line(repr(value), 60)} has no form in JSON; pass a number, a text, bytes, a "
            "datetime, or a list of numbers"
        )
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} has no form in JSON; leave the column out")
    return number
