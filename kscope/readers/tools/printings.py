"""A map that is printed several times holds totals, unless its script clears it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from kscope.errors import KscopeError
from kscope.readers.tools.maps import Entry, Other, Stats, Value
from kscope.readers.tools.slots import Bucket

# bpftrace's own limit is 4096 keys, unless a user raises it.
_MOST_KEYS = 1_000_000
TOTALS, INCREASES = "totals", "increases"

# The numbers of a value, by what they count: buckets come and go.
Measures = Mapping[Hashable, int]


@dataclass(slots=True)
class _Map:
    printings: int = 0
    last: dict[bytes, Value] = field(default_factory=dict)
    current: dict[bytes, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Printings:
    """The printings of each map so far.

    A map is cleared between if a value falls or a key goes away that print(@map, N) would show.
    Those are in `cleared`. `said` is the user's word.
    """

    said: str = ""
    cleared: set[str] = field(default_factory=set)
    _maps: dict[str, _Map] = field(default_factory=dict)
    _keys: int = 0
    # The maps that are printed at the exit.
    _last: set[str] | None = None

    def exit(self) -> None:
        """Note that maps which are not cleared are printed from here on."""
        self._last = set()

    def new(self, entry: Entry) -> Value:
        """Return what an entry adds to the printings before it. Raises KscopeError."""
        if isinstance(entry.value, Other):
            return entry.value
        known = self._maps.setdefault(entry.name, _Map())
        if self._last is not None:
            self._last.add(entry.name)
        key = blake2b((entry.keys or "").encode("utf-8", "replace"), digest_size=12).digest()
        if entry.begins or key in known.current or not known.printings:
            self._next(entry.name, known)
        known.current[key] = entry.value
        self._count()
        before = known.last.get(key)
        if before is None or self.said == INCREASES:
            return entry.value
        if _falls(_measures(before), _measures(entry.value)):
            self.cleared.add(entry.name)
        if entry.name in self.cleared and self.said != TOTALS:
            return entry.value
        return _increase(entry.value, before)

    def end(self) -> list[str]:
        """Finish; return the maps that were printed several times and are taken as totals.

        At its exit bpftrace prints all keys of all maps: what is missing was cleared.
        """
        for name, known in self._maps.items():
            if known.last.keys() - known.current.keys() or name not in (self._last or self._maps):
                self.cleared.add(name)
        several = [name for name, known in self._maps.items() if known.printings > 1]
        return [name for name in several if name not in self.cleared]

    def _next(self, name: str, known: _Map) -> None:
        gone = known.last.keys() - known.current.keys()
        if known.printings and gone and known.current:
            smallest = min(map(_size, known.current.values()))
            top = len(known.current) >= len(known.last)
            if not top or any(_size(known.last[key]) > smallest for key in gone):
                self.cleared.add(name)
        known.printings += 1
        # A key that print(@map, N) does not show keeps its value.
        known.last = (known.last if name not in self.cleared else {}) | known.current
        known.current = {}

    def _count(self) -> None:
        self._keys += 1
        if (
            self._keys % _MOST_KEYS == 0
            and sum(len(each.last) + len(each.current) for each in self._maps.values())
            >= _MOST_KEYS
        ):
            raise KscopeError(f"maps have more than {_MOST_KEYS} keys")


def _measures(value: Value) -> Measures:
    if isinstance(value, int):
        return {0: value}
    if isinstance(value, Stats):
        # A total of numbers below 0 falls.
        return {0: value.count}
    assert isinstance(value, tuple)
    return {(each.least, each.most): each.count for each in value}


def _size(value: Value) -> int:
    return sum(_measures(value).values())


def _falls(before: Measures, after: Measures) -> bool:
    return any(after.get(each, 0) < count for each, count in before.items())


def _increase(value: Value, before: Value) -> Value:
    if isinstance(value, int) and isinstance(before, int):
        return value - before
    if isinstance(value, Stats) and isinstance(before, Stats):
        return Stats(value.count - before.count, value.total - before.total)
    if isinstance(value, tuple) and isinstance(before, tuple):
        old = _measures(before)
        return tuple(
            Bucket(each.least, each.most, each.count - old.get((each.least, each.most), 0))
            for each in value
        )
    return value
