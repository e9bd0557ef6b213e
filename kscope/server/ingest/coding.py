"""Columns whose values repeat, so that each value is handled once."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.store.backends.coded import Coded

# Values that one step handles.
CHUNK = 20_000


def chunks(
    values: Sequence[Any], size: int = CHUNK, *, overlap: int = 0
) -> Iterator[Sequence[Any]]:
    """Yield parts of a size, each with the first values of the next one, `overlap` many."""
    for start in range(0, len(values), size):
        yield values[start : start + size + overlap]


class _Numbers(dict[Any, int]):
    """Numbers the values that are asked for, from 0."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self)
        return number


def coded(values: Sequence[Any]) -> Steps[Coded]:
    """Return the same column in this form."""
    numbers = _Numbers()
    places: list[int] = []
    for part in chunks(values):
        places.extend(map(numbers.__getitem__, part))
        if len(part) == CHUNK:
            yield Lane.GOOD
    return Coded(places, [*numbers], range(len(numbers)))


def each_once(values: Sequence[Any]) -> Steps[set[Any]]:
    """Return the different values."""
    found: set[Any] = set()
    for part in chunks(values):
        found.update(part)
        if len(part) == CHUNK:
            yield Lane.GOOD
    return found


def looked_up(places: Sequence[int], used: Collection[int], texts: Sequence[str]) -> Coded:
    """Return the column of the texts at these places; `used` has each of them once.

    It takes memory for each row, not for each of a body's texts, which may be many more.
    """
    if len(texts) <= len(places):
        return Coded(places, texts, used)
    numbers = {place: number for number, place in enumerate(used)}
    near = list(map(numbers.__getitem__, places))
    return Coded(near, [texts[place] for place in used], range(len(numbers)))
