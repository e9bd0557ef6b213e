"""The sums of a table as rates that people name: threads waiting, requests a minute."""

from dataclasses import dataclass

from kscope.declare.model import Column
from kscope.query.across import amounts
from kscope.query.across.views import View

_MICROSECONDS = {"us": 1.0, "ns": 1e-3}


@dataclass(frozen=True, slots=True)
class Unit:
    """A rate: a number of `word` at once (time per time), or of `word` in a time.

    A sum over some microseconds is multiplied by `size` to be seconds, or a number.
    """

    word: str
    at_once: bool
    size: float

    @property
    def name(self) -> str:
        return self.word if self.at_once else f"{self.word} a second".lstrip()

    def rate(self, total: float, length: float) -> float:
        """Return the rate of a sum over `length` microseconds."""
        return total * self.size / (length * 1e-6)

    def short(self, rate: float) -> str:
        """Write a rate with the first word of its unit: `2.7 threads`, `4.1 a minute`."""
        if self.at_once:
            return " ".join(filter(None, (amounts.number(rate), self.word.partition(" ")[0])))
        return amounts.rate(rate, "")

    def long(self, rate: float) -> str:
        """Write a rate with its whole unit: `2.7 threads waiting`, `4.1 signals a minute`."""
        if self.at_once:
            return f"{amounts.number(rate)} {self.word}".rstrip()
        return amounts.rate(rate, self.word)

    def both(self, before: float, now: float) -> tuple[str, str, str]:
        """Return two rates and the rest, in one unit: `0`, `2.7`, `threads waiting`."""
        if self.at_once:
            return amounts.number(before), amounts.number(now), self.word or "at once"
        per, seconds = amounts.period(max(before, now))
        texts = amounts.number(before * seconds), amounts.number(now * seconds)
        return *texts, " ".join(filter(None, (self.word, per)))


def unit_of(view: View) -> Unit:
    """Return the unit of a table's value."""
    column = view.value.column
    if column is None:
        return Unit(lowered(view.category.prettyname), at_once=False, size=1.0)
    if column.rate or column.type.unit == "us":
        return Unit(column.rate, at_once=True, size=1e-6)
    return Unit(lowered(column.prettyname), at_once=False, size=1.0)


def time_in(histogram: Column) -> Unit:
    """Return the unit of the time in a histogram's slots."""
    size = _MICROSECONDS.get(histogram.unit)
    if size is None:
        return Unit(histogram.unit, at_once=False, size=1.0)
    return Unit("at once", at_once=True, size=size * 1e-6)


def lowered(name: str) -> str:
    """Write a name inside of a sentence: `System calls` small, `TCP` and `I/O` as they are."""
    first, space, rest = name.partition(" ")
    small = first[:1].lower() + first[1:] if first[1:].islower() or len(first) == 1 else first
    return small + space + rest
