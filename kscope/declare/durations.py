"""Lengths of time as people write them: `90d`."""

from __future__ import annotations

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
PATTERN = "^[1-9][0-9]{0,5}(s|m|h|d|w|y)$"


def seconds(text: str) -> int:
    """Turn `90d` into seconds; a year has 365 days. Raises ValueError."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"'{text}' is not a duration such as 90s, 15m, 12h, 14d, 4w or 2y")
    return int(text[:-1]) * UNITS[text[-1]]


def text(seconds: int) -> str:
    """Write 1209600 as `14d`: the largest unit up to days that divides it."""
    for unit in "dhm":
        if seconds % UNITS[unit] == 0:
            return f"{seconds // UNITS[unit]}{unit}"
    return f"{seconds}s"
