"""Numbers as a person reads them."""

from __future__ import annotations

from typing import Any

_STEPS = {
    "us": (
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "min"),
        (1_000_000, "s"),
        (1000, "ms"),
        (1, "us"),
    ),
    "bytes": ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")),
}
_COUNT = ((10**9, "G"), (10**6, "M"), (10**4, "k"))


def readable(value: Any, unit: str) -> str:
    """Write 15031 us as `15 ms`."""
    if value is None:
        return "-"
    steps = _STEPS.get(unit)
    if steps:
        size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
        return f"{_short(value / size)} {name}"
    size, suffix = next((step for step in _COUNT if abs(value) >= step[0]), (1, ""))
    return f"{_short(value / size)}{suffix} {unit}".rstrip()


def _short(number: float) -> str:
    whole = number == int(number) or abs(number) >= 1000
    return f"{number:.0f}" if whole else f"{number:.3g}"
