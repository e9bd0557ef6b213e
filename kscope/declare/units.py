"""Lengths of time as people write them: `90d`, `5ms`, `1.5s`, `1h30m`, or a number alone."""

from __future__ import annotations

import re
from fractions import Fraction

from kscope.errors import ValueFaultError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
# In microseconds. `min` and the Greek letter are what other tools print.
_EXACT = {"us": 1, "µs": 1, "ms": 1000, "min": 60 * 10**6} | {
    unit: seconds * 10**6 for unit, seconds in UNITS.items()
}
_WHOLE = "([1-9][0-9]{0,5}%s)?"
# Of a category file: whole, and the larger unit first.
PATTERN = f"^(?=[0-9]){''.join(_WHOLE % unit for unit in reversed(UNITS))}$"
_PART = re.compile(r"(\d{1,20}(?:\.\d{1,9})?|\.\d{1,9})(us|µs|ms|min|s|m|h|d|w|y)", re.ASCII)
_NUMBER = re.compile(r"\d{1,20}(?:\.\d{0,9})?|\.\d{1,9}", re.ASCII)
_LONGEST = 64


def read(text: str, bare: str) -> Fraction:
    """Return a length of time in microseconds; a number alone counts `bare`, such as `s`.

    Raises ValueError. The larger unit comes first in `1h30m`.
    """
    given = text.strip().replace(" ", "")
    if _NUMBER.fullmatch(given):
        return Fraction(given.rstrip(".")) * _EXACT[bare]
    parts = [(Fraction(number), _EXACT[unit]) for number, unit in _PART.findall(given[:_LONGEST])]
    sizes = [size for _, size in parts]
    whole = "".join(match[0] for match in _PART.finditer(given[:_LONGEST])) == given
    if not parts or not whole or sizes != sorted(set(sizes), reverse=True):
        raise _refusal(text, bare)
    return sum((number * size for number, size in parts), Fraction())


def seconds(text: str) -> int:
    """Turn `90d` into whole seconds; a year has 365 days. Raises ValueError."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"'{text[:60]}' is not a duration such as 90s, 15m, 1h30m, 14d, 4w or 2y")
    return int(read(text, "s") / 10**6)


def span(text: str) -> float:
    """Turn `1m`, `500ms` or a number of seconds into seconds. Raises ValueError."""
    return float(read(text, "s") / 10**6)


def microseconds(text: str) -> int:
    """Turn `5ms`, or a number of microseconds, into microseconds. Raises ValueError."""
    exact = read(text, "us")
    if exact.denominator != 1:
        raise ValueFaultError(f"'{text}'", "is not a whole number of microseconds")
    return int(exact)


def text(seconds: int) -> str:
    """Write 1209600 as `14d`: the largest unit up to days that divides it."""
    for unit in "dhm":
        if seconds % UNITS[unit] == 0:
            return f"{seconds // UNITS[unit]}{unit}"
    return f"{seconds}s"


def _refusal(text: str, bare: str) -> ValueFaultError:
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    usual = "5000, 5ms or 2s" if bare == "us" else "90, 500ms, 1.5s, 10m or 1h30m"
    return ValueFaultError(f"'{shown}'", f"is not a length of time such as {usual}")
