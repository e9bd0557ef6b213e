"""Columns whose values repeat: each value is handled once."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from kscope.server.ingest.columns import CHUNK, chunks
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.store.write.batch import Coded


def coded(values: Sequence[Any], stored: Callable[[Any], Any]) -> Steps[Coded]:
    """Return the column of what `stored` returns for each value; it is called once for each."""
    numbers: dict[Any, int] = {}
    places_of: dict[Any, int] = {}
    places: list[int] = []
    for part in chunks(values):
        for value in dict.fromkeys(part):
            if value not in numbers:
                numbers[value] = places_of.setdefault(stored(value), len(places_of))
        places.extend(_each(part, numbers))
        if len(part) == CHUNK:
            yield Lane.GOOD
    return Coded(places, [*places_of])


def replaced(places: Sequence[int], values: Mapping[int, Any]) -> Steps[Sequence[Any]]:
    """Return the value of each place."""
    found: list[Any] = []
    for part in chunks(places):
        found.extend(_each(part, values))
        if len(part) == CHUNK:
            yield Lane.GOOD
    return found


def _each(keys: Sequence[Any], values: Mapping[Any, Any]) -> Sequence[Any]:
    if len(keys) < 2:
        return [values[key] for key in keys]
    found: tuple[Any, ...] = itemgetter(*keys)(values)
    return found
