"""The difference of two sums of one group: what late rows have added to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kscope.declare.model import Category
from kscope.declare.types.histogram import histogram_counts
from kscope.store.sums.grouping import ADDING, key_columns, summed_text, updates

Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """Of rows of sums of a category: time, group, and the values of `updates`."""

    category: Category

    def added(self, one: Values, other: Values) -> Values:
        return self._combined(ADDING, one, other)

    def since(self, before: Values | None, now: Values) -> Values | None:
        """Return what came since; None if nothing did."""
        if before is None:
            return now
        found = self._combined(_TAKING, now, before)
        return found if any(found[self._keys :]) else None

    @property
    def _keys(self) -> int:
        return 1 + len(key_columns(self.category))

    def _combined(
        self, ways: Mapping[str, Callable[[Any, Any], Any]], one: Values, other: Values
    ) -> Values:
        keys = self._keys
        pairs = zip(updates(self.category).values(), one[keys:], other[keys:], strict=True)
        return (*one[:keys], *(ways[how](a, b) for how, a, b in pairs))


def _without(now: str, before: str) -> str:
    old = histogram_counts(before)
    new = {slot: count - old.get(slot, 0) for slot, count in histogram_counts(now).items()}
    return summed_text(",".join(f"{slot}:{count}" for slot, count in new.items() if count))


def _less(now: Any, before: Any) -> Any:
    return now - before


_TAKING: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {"sum": _less, "total": _less, "join": _without}
)
