"""The columns of a table, as a body has them: read as arrays, then checked together."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, count, islice
from operator import ge
from typing import Any

from kscope.declare.model import TIME, Category
from kscope.declare.types.base import Storage
from kscope.declare.types.histogram import histogram_texts
from kscope.server.ingest.array_kinds import ArrayKind, Path, TableKinds
from kscope.server.ingest.arrays import (
    MAX_VALUES,
    VALUE_BYTES,
    TextArray,
    beyond,
    farthest,
    outside,
    too_many_values,
)
from kscope.server.ingest.coding import CHUNK, chunks, each_once, looked_up
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.ingest.row_faults import Faults
from kscope.store.backends.coded import Coded

# The name among a column's parts of an array that has the values themselves.
VALUES = ""
# Texts that one step reads, such as times.
_TEXTS = 1000


@dataclass
class ValueArray:
    """One array of a column. Without `keep` only those values are kept that others depend on.

    `keep` is called with the bytes that values use, and may raise.
    """

    path: Path
    kind: ArrayKind
    keep: Callable[[int], None] | None
    closing: bytes = b""
    count: int = 0
    sound: bool = True
    values: Any = field(default_factory=list)
    farthest: tuple[int, int] = (-1, 0)

    def __post_init__(self) -> None:
        if self.keep is None and self.kind.code:
            self.values = array(self.kind.code)

    @property
    def next_path(self) -> Path:
        return [*self.path, self.count]

    @cached_property
    def first_rows(self) -> Mapping[int, int]:
        """Return the first row of each value, once all have been read."""
        return dict(zip(reversed(self.values), range(self.count - 1, -1, -1), strict=True))

    def expect(self, count: int) -> None:
        if self.count + count > MAX_VALUES:
            raise too_many_values()

    def take(self, piece: bytes) -> bool:
        return self._added(self.kind.decoded(piece))

    def take_values(self, values: Sequence[Any]) -> bool:
        return self._added(self.kind.converted(values))

    def examine(self, values: Sequence[Any], faults: Faults) -> None:
        first = self.count
        judged = self.kind.judged(values, lambda place: [*self.path, first + place], faults)
        if not self._added(judged):
            # The body will be refused: values are counted, for the places of further faults.
            self.sound = False
            self.count += len(values)

    def _added(self, values: Sequence[Any] | None) -> bool:
        if values is None:
            return False
        if self.kind.is_stack:
            place, row = farthest(values)
            self.farthest = max(self.farthest, (place, self.count + row), key=lambda far: far[0])
        self.expect(len(values))
        self.count += len(values)
        if self.keep is not None:
            self.keep(len(values) * VALUE_BYTES)
        if self.keep is not None or self.kind.code:
            self.values.extend(values)
        return True


@dataclass
class ColumnTable:
    """The columns of one category. After `check` without faults, `values` has all of them.

    They are as they are stored, except that stacks are texts or places in the body's `stacks`, and
    that a time of None is the body's.
    """

    kinds: TableKinds
    keep: Callable[[int], None] | None
    arrays: dict[str, dict[str, ValueArray]] = field(default_factory=dict)
    values: dict[str, Sequence[Any]] = field(default_factory=dict)
    _given: int = 0
    _longest: int = 0

    def array(self, column: str, part: str = VALUES) -> ValueArray:
        """Return a new array of a column, or of a part of it."""
        table = self.category.table
        kind = self.kinds.parts[column][part] if part else self.kinds.values[column]
        path = [table, column, part] if part else [table, column]
        new = ValueArray(path, kind, self.keep)
        self.arrays.setdefault(column, {})[part] = new
        return new

    @property
    def category(self) -> Category:
        return self.kinds.category

    def finish(self, column: str) -> None:
        """Count the values of a column that has been read."""
        arrays = self.arrays.get(column, {})
        self._given += sum(each.count for each in arrays.values())
        self._longest = max(self._longest, _rows(arrays))

    @property
    def count(self) -> int:
        """Return the number of rows that the first column has."""
        return next(map(_rows, self.arrays.values()), 0)

    @property
    def size(self) -> int:
        """Return the number of values, with those that rows would have."""
        return max(self._longest * self._width, self._given)

    @property
    def _width(self) -> int:
        return len(self.kinds.columns) + 1

    def place_of_time(self, row: int) -> Path:
        """Return where in the body the row's time is."""
        return [*next(iter(self.arrays[TIME.name].values())).path, row]

    def check(self, stacks: TextArray, strings: TextArray, faults: Faults) -> Steps[None]:
        """Add a fault for each column that does not fit the others, or the body's texts."""
        self._check_lengths(faults)
        for name, arrays in self.arrays.items():
            if not all(each.sound for each in arrays.values()):
                continue
            if VALUES in arrays:
                self.values[name] = arrays[VALUES].values
                yield from self._check_stacks(arrays[VALUES], stacks.count, faults)
            elif "strings" in arrays:
                if strings.sound:
                    yield from self._look_up(name, arrays["strings"], strings.texts, faults)
            elif "slots" in arrays:
                yield from self._check_histograms(name, arrays, faults)
        if self.keep is not None and not faults.found:
            self._fill_up(self.keep)

    def _fill_up(self, keep: Callable[[int], None]) -> None:
        """Add the columns that are left out."""
        keep((self._width - len(self.arrays)) * self.count * VALUE_BYTES)
        for name in self.kinds.columns.keys() - self.arrays.keys():
            self.values[name] = Coded.constant(self.kinds.default(name), self.count)

    def _check_lengths(self, faults: Faults) -> None:
        table = self.category.table
        for column in self.category.columns:
            if column.name not in self.arrays and not column.optional:
                faults.add([table], f"'{column.name}' is missing")
        first = next(iter(self.arrays), "")
        for name, arrays in self.arrays.items():
            if (rows := _rows(arrays)) != self.count:
                detail = f"has {rows} values, but '{first}' has {self.count}: send one for each row"
                faults.add([table, name], detail)

    def _check_stacks(self, given: ValueArray, stacks: int, faults: Faults) -> Steps[None]:
        place, row = given.farthest
        if place >= stacks:
            yield Lane.DOUBT
            wrong = {row: place} if self.keep is None else beyond(given.values, stacks)
            for number, value in wrong.items():
                faults.add([*given.path, number], outside(value, "stacks", stacks))

    def _look_up(
        self, name: str, given: ValueArray, strings: Sequence[str], faults: Faults
    ) -> Steps[None]:
        """Check those of the body's strings that the column uses, each once."""
        used = sorted((yield from each_once(given.values)))
        if used and used[-1] >= len(strings):
            yield Lane.DOUBT
            for row, place in beyond(given.values, len(strings)).items():
                faults.add([*given.path, row], outside(place, "strings", len(strings)))
            return
        found: list[Any] = []
        for places in chunks(used, _TEXTS):
            texts = [strings[place] for place in places]
            stored = self.kinds.values[name].converted(texts)
            if stored is None:
                yield Lane.DOUBT
                stored = self._judged(name, given, places, texts, faults)
            if faults.full:
                return
            found += stored
            if len(places) == _TEXTS:
                yield Lane.GOOD
        if self.keep is not None and len(found) == len(used):
            column = looked_up(given.values, used, strings).holding(found)
            self.values[name] = column
            if self.kinds.columns[name].type.storage is Storage.TEXT:
                # Each row stores all of its text; the body has its place alone.
                self.keep(sum(map(len, column)))

    def _judged(
        self,
        name: str,
        given: ValueArray,
        places: Sequence[int],
        texts: Sequence[str],
        faults: Faults,
    ) -> Sequence[Any]:
        """Return texts as they are stored, or add a fault at the first row of each wrong one."""
        stored = self.kinds.values[name].judged(
            texts, lambda at: [*given.path, given.first_rows[places[at]]], faults
        )
        return stored or ()

    def _check_histograms(
        self, name: str, arrays: Mapping[str, ValueArray], faults: Faults
    ) -> Steps[None]:
        slots, counts, ends = arrays["slots"], arrays["counts"], arrays["ends"]
        if counts.count != slots.count:
            detail = f"has {counts.count} values, but `slots` has {slots.count}"
            faults.add(counts.path, detail)
            return
        before = len(faults.found)
        yield from _check_ends(ends, slots.count, faults)
        if len(faults.found) == before:
            yield from _check_slots(slots, ends.values, faults)
        if len(faults.found) == before and self.keep is not None:
            self.values[name] = yield from _histograms(slots.values, counts.values, ends.values)


def _rows(arrays: Mapping[str, ValueArray]) -> int:
    given = next((arrays[name] for name in (VALUES, "strings", "ends") if name in arrays), None)
    return given.count if given else 0


def _check_ends(ends: ValueArray, slots: int, faults: Faults) -> Steps[None]:
    for start, part in zip(count(0, CHUNK), chunks(ends.values, overlap=1)):
        if sorted(part) != list(part):
            wrong = next(compress(count(1), map(int.__gt__, part, part[1:])))
            detail = f"{part[wrong]} is less than the end before it, {part[wrong - 1]}"
            faults.add([*ends.path, start + wrong], detail)
            return
        if len(part) > CHUNK:
            yield Lane.GOOD
    last = ends.values[-1] if ends.count else 0
    if last != slots:
        path = [*ends.path, ends.count - 1] if ends.count else ends.path
        faults.add(path, f"the last row ends at {last}, but `slots` has {slots} values")


def _check_slots(slots: ValueArray, ends: Sequence[int], faults: Faults) -> Steps[None]:
    """Add a fault for a slot that is not above the one before it in its row."""
    borders: set[int] = set()
    for part in chunks(ends):
        borders.update(part)
        if len(part) == CHUNK:
            yield Lane.GOOD
    for start, part in zip(count(1, CHUNK), chunks(slots.values, overlap=1)):
        not_above = compress(count(start), map(ge, part, islice(part, 1, None)))
        if not borders.issuperset(firsts := list(not_above)):
            wrong = next(place for place in firsts if place not in borders)
            detail = f"slot {slots.values[wrong]} follows {slots.values[wrong - 1]} in its row"
            faults.add([*slots.path, wrong], f"{detail}: send each once, ascending")
            return
        if len(part) > CHUNK:
            yield Lane.GOOD


def _histograms(
    slots: Sequence[int], counts: Sequence[int], ends: Sequence[int]
) -> Steps[list[str]]:
    """Return them as they are stored."""
    found: list[str] = []
    first = 0
    for part in chunks(ends):
        last = part[-1]
        relative = part if not first else [end - first for end in part]
        found += histogram_texts(slots[first:last], counts[first:last], relative)
        first = last
        if len(part) == CHUNK:
            yield Lane.GOOD
    return found
