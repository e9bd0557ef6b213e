"""Numbers as people say them: rates, lengths of time, factors."""

import itertools

_LARGE = (("d", 86400), ("h", 3600), ("min", 60))
_SMALL = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
SECONDS = {"ns": 1e-9, "us": 1e-6, "s": 1.0}
_PER = (("a second", 1), ("a minute", 60), ("an hour", 3600), ("a day", 86400))
_THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k"))


def number(value: float) -> str:
    """Write a number with two or three digits that count: 0.42, 2.7, 38, 1,200, 84 k."""
    size = abs(value)
    if size == 0:
        return "0"
    for limit, letter in _THOUSANDS:
        if size >= limit:
            scale = 1e3 if letter == "k" else limit
            return f"{_digits(value / scale)} {letter}"
    return _digits(value)


def _digits(value: float) -> str:
    size = abs(value)
    if size >= 100:
        rounded = float(f"{value:.2g}") if size >= 1000 else round(value)
        return f"{rounded:,.0f}"
    if size >= 10:
        return f"{value:.0f}"
    shown = f"{value:.2g}" if size < 1 else f"{value:.1f}"
    if "e" in shown:
        shown = f"{value:.6f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def duration(seconds: float) -> str:
    """Write a length of time in at most two units: `1 h 24 min`, `2.1 s`, `640 µs`."""
    if seconds >= 100:
        return _long(round(seconds))
    for unit, size in _SMALL:
        if seconds >= size * 0.9995:
            return f"{_digits(seconds / size)} {unit}"
    return "0 s" if seconds < 5e-10 else "1 ns"


def _long(seconds: int) -> str:
    units = [*_LARGE, ("s", 1)]
    for (unit, size), (smaller, part) in itertools.pairwise(units):
        if seconds >= size:
            # Rounded to the smaller unit first: 59.9 min is 1 h.
            whole = round(seconds / part) * part
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def threshold(slot: int, unit: str) -> str:
    """Name a slot of powers of two by its lower bound, rounded: `>= 1 s` for 2**20 us."""
    ten, two = divmod(slot, 10)
    names = [name for name, _ in reversed(_SMALL)]
    if unit not in SECONDS:
        return f">= {2**slot:,} {unit}".rstrip()
    first = names.index("µs" if unit == "us" else unit)
    if first + ten < len(names):
        return f">= {2**two} {names[first + ten]}"
    return f">= {duration(2.0**slot * SECONDS[unit])}"


def times(value: float) -> str:
    """Write 2.4 with the sign of multiplication before it."""
    return f"\N{MULTIPLICATION SIGN}{number(value)}"


def period(per_second: float) -> tuple[str, int]:
    """Return the time in which there is about one or more: `a minute` and its seconds."""
    fitting = (each for each in _PER if per_second * each[1] >= 0.95)
    return next(fitting, _PER[-1] if per_second else _PER[0])


def rate(per_second: float, word: str) -> str:
    """Write a number of things in time: `4.1 a minute`, `84 k calls a second`."""
    per, seconds = period(per_second)
    return " ".join(filter(None, (number(per_second * seconds), word, per)))
