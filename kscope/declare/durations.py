"""Lengths of time as people write them: `90d`, and short ones, `5ms`."""

from __future__ import annotations

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
PATTERN = "^[1-9][0-9]{0,5}(s|m|h|d|w|y)$"


def seconds(text: str) -> int:
    """Turn `90d` into seconds; a year has 365 days. Raises ValueError."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"'{text[:60]}' is not a duration such as 90s, 15m, 12h, 14d, 4w or 2y")
    return int(text[:-1]) * UNITS[text[-1]]


def microseconds(text: str) -> int:
    """Turn `5ms`, or a number of microseconds, into microseconds. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,20})(us|ms|s|m)?", text, re.ASCII)
    if not found:
        raise ValueError(f"'{text[:60]}' is not a length of time such as 5000, 5ms or 2s")
    return int(found[1]) * {None: 1, "us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6}[found[2]]


def text(seconds: int) -> str:
    """Write 1209600 as `14d`: the largest unit up to days that divides it."""
    for unit in "dhm":
        if seconds % UNITS[unit] == 0:
            return f"{seconds // UNITS[unit]}{unit}"
    return f"{seconds}s"
