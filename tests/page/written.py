"""Numbers as the page writes them: three digits, no zeros at the end, two units of long times."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

_DAY, _HOUR, _MINUTE = 86_400e9, 3600e9, 60e9
_DURATIONS = [(1e9, "s"), (1e6, "ms"), (1e3, "\N{MICRO SIGN}s"), (1, "ns")]
SCALES = {
    **{unit: (_DURATIONS, one) for unit, one in (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9))},
    "bytes": ([(2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")], 1),
    "Hz": ([(1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (1, "Hz")], 1),
}


def quantity(value: float, unit: str) -> str:
    """As the page writes it, but the word of a unit that is not scaled."""
    if unit in SCALES:
        steps, one = SCALES[unit]
        if steps is _DURATIONS and value * one >= _MINUTE:
            return _long(value * one)
        size, name = next((step for step in steps if value * one >= step[0]), steps[-1])
        part = value * one / size
        return f"{_digits(round(part, 9)) if size <= one else _fixed(part)} {name}"
    if unit == "%":
        return f"{_digits(value)} %"
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{_fixed(value / size)} {name}"
    return _digits(value)


def duration(us: float) -> str:
    return quantity(us, "us")


def percent(part: float, whole: float) -> str:
    share = 100 * part / whole
    return f"{_rounded(share, 3 if 0 < share < 0.1 else 2 if share < 1 else 1)} %"


def at_once(us: float, seconds: float = 3600) -> str:
    """Time per time: how many there were at once in so many seconds."""
    value = us / 1e6 / seconds
    if 0 < value < 0.001:
        return "<0.001"
    if value < 1:
        return f"{float(f'{value:.2g}'):g}" if value else "0"
    return quantity(value, "")


def _long(ns: float) -> str:
    """Rounding may reach the next unit."""
    for size, name, part, smaller in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1e9, "s"),
    ):
        count = int(ns / part + 0.5)
        whole, rest = divmod(count, round(size / part))
        if whole:
            return f"{whole} {name}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError(ns)


def _digits(value: float) -> str:
    return str(int(value)) if value == int(value) and value < 1000 else _fixed(value)


def _fixed(value: float) -> str:
    return _rounded(value, 0 if value >= 100 else 1 if value >= 10 else 2)


def _rounded(value: float, digits: int) -> str:
    """As JavaScript rounds: 4.125 is 4.13, where Python rounds to the even digit."""
    text = str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
    return text.rstrip("0").rstrip(".") if "." in text else text
