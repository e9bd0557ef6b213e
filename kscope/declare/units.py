"""Units of numbers: lengths of time and amounts of data, as people write and read them."""

import re
from fractions import Fraction
from typing import Any

from kscope.errors import ValueFaultError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
# In microseconds. `min` and the Greek letter are those that other tools print.
_TIMES = {"us": 1, "µs": 1, "ms": 1000, "min": 60 * 10**6} | {
    unit: seconds * 10**6 for unit, seconds in SECONDS.items()
}
_BYTES: dict[str, int] = {"B": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("KMGT", 1)
    for ending, base in (("", 1024), ("iB", 1024), ("B", 1000))
}
# By the unit of a column: the units that a text may carry.
UNITS = {"us": _TIMES, "bytes": _BYTES}
_WHOLE = "([1-9][0-9]{0,5}%s)?"
# Of a category file: whole, and the larger unit first.
PATTERN = f"^(?=[0-9]){''.join(_WHOLE % unit for unit in reversed(SECONDS))}$"
_PART = re.compile(r"(\d{1,20}(?:\.\d{1,9})?|\.\d{1,9})(us|µs|ms|min|s|m|h|d|w|y)", re.ASCII)
_NUMBER = re.compile(r"\d{1,20}(?:\.\d{0,9})?|\.\d{1,9}", re.ASCII)
_AMOUNT = re.compile(
    r"(\d{1,19}(?:\.\d{1,9})?) ?((?:[KMGT](?:iB|B)?|B)?)", re.ASCII | re.IGNORECASE
)
_LONGEST = 64
_STEPS = {
    "us": [(_TIMES[unit], unit) for unit in ("d", "h", "min", "s", "ms", "us")],
    "bytes": [(_BYTES[unit], unit) for unit in ("TiB", "GiB", "MiB", "KiB", "B")],
}
_COUNT = ((10**9, "G"), (10**6, "M"), (10**3, "k"))
_SHOWN_WHOLE = 10**4


def read(text: str, bare: str) -> Fraction:
    """Return a length of time in microseconds; a number alone counts `bare`, such as `s`.

    Raises ValueError. The larger unit comes first in `1h30m`.
    """
    given = text.strip().replace(" ", "")
    if _NUMBER.fullmatch(given):
        return Fraction(given.rstrip(".")) * _TIMES[bare]
    parts = [(Fraction(number), _TIMES[unit]) for number, unit in _PART.findall(given[:_LONGEST])]
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


def read_bytes(text: str, least: int = 1) -> int:
    """Turn `32MiB`, `32M` (the same), `32MB` or a number of bytes into bytes. Raises ValueError."""
    size = _amount(text)
    if size < least or size.denominator != 1:
        raise _no_size(text)
    return int(size)


def measure(text: str, unit: str) -> Fraction:
    """Return `5ms` or `2 MiB` in `unit`, that of a column; case does not matter.

    Raises ValueError, also if the text has no unit or the column's unit has no others.
    """
    if unit not in UNITS or not text[-1:].isalpha():
        raise ValueError(f"'{text[:60]}' is not a number with a unit")
    return _amount(text) if unit == "bytes" else read(text.lower(), unit)


def _amount(text: str) -> Fraction:
    found = _AMOUNT.fullmatch(text.strip())
    if not found:
        raise _no_size(text)
    return Fraction(found[1]) * _BYTES[found[2].upper().replace("IB", "iB") or "B"]


def duration(seconds: int) -> str:
    """Write 1209600 as `2w`: the largest unit up to weeks that divides it."""
    for unit in "wdhm":
        if seconds % SECONDS[unit] == 0:
            return f"{seconds // SECONDS[unit]}{unit}"
    return f"{seconds}s"


def readable(value: Any, unit: str) -> str:
    """Write 15031 us as `15 ms`."""
    if value is None:
        return "-"
    if steps := _STEPS.get(unit):
        size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
        return f"{_short(value / size)} {name}"
    counts = _COUNT if abs(value) >= _SHOWN_WHOLE else ()
    size, suffix = next((step for step in counts if abs(value) >= step[0]), (1, ""))
    return f"{_short(value / size)}{suffix} {unit}".rstrip()


def _short(number: float) -> str:
    whole = number == int(number) or abs(number) >= 1000
    return f"{number:.0f}" if whole else f"{number:.3g}"


def _no_size(text: str) -> ValueFaultError:
    return ValueFaultError(f"'{text[:60]}'", "is not a size such as 32MiB")


def _refusal(text: str, bare: str) -> ValueFaultError:
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    usual = "5000, 5ms or 2s" if bare == "us" else "90, 500ms, 1.5s, 10m or 1h30m"
    return ValueFaultError(f"'{shown}'", f"is not a length of time such as {usual}")
