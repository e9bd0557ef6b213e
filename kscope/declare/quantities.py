"""Units as tools write them, and what they measure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class Quantity(StrEnum):
    """A kind of amount: amounts of one kind can be added and converted."""

    COUNT = "count"
    TIME = "time"
    BYTES = "bytes"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as tools write it; `factor` turns it into microseconds, bytes or a count."""

    quantity: Quantity
    factor: Fraction = Fraction(1)


def _units() -> dict[str, Unit]:
    times = {
        Fraction(1, 1000): ("ns", "nsec", "nsecs", "nanosecond", "nanoseconds"),
        Fraction(1): ("us", "usec", "usecs", "µs", "μs", "microsecond", "microseconds"),
        Fraction(1000): ("ms", "msec", "msecs", "millisecond", "milliseconds"),
        Fraction(10**6): ("s", "sec", "secs", "second", "seconds"),
    }
    sizes = {
        Fraction(1): ("b", "byte", "bytes"),
        Fraction(1024): ("kb", "kib", "kilobyte", "kilobytes"),
        Fraction(1024**2): ("mb", "mib", "megabyte", "megabytes"),
        Fraction(1024**3): ("gb", "gib", "gigabyte", "gigabytes"),
    }
    counts = ("count", "counts", "sample", "samples", "event", "events", "object", "objects")
    return (
        {name: Unit(Quantity.TIME, factor) for factor, names in times.items() for name in names}
        | {name: Unit(Quantity.BYTES, factor) for factor, names in sizes.items() for name in names}
        | {name: Unit(Quantity.COUNT) for name in counts}
    )


UNITS: Mapping[str, Unit] = _units()
_OTHER = Unit(Quantity.OTHER)


def unit_of(text: str) -> Unit:
    """Return the unit by its name in any case; an unknown one has the quantity OTHER."""
    return UNITS.get(text.lower(), _OTHER)
