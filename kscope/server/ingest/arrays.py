"""The long arrays of a body: its texts, and the rows of a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import GenericAlias
from typing import Any, Protocol

import msgspec

from kscope.declare.columnar import MAX_STRINGS
from kscope.declare.envelope import MAX_STACKS, STRING
from kscope.declare.model import TIME, Category
from kscope.declare.types.base import Role
from kscope.declare.types.stack import FOLDED
from kscope.declare.types.wire import json_schema
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.decoders import decodable
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.ingest.fast_decode import Columns, TypedRows, has_nul
from kscope.server.ingest.row_faults import MAX_FAULTS, Faults, RowSchema, validator, wrong_value

# All columns' values of all rows, with time and host: half a million rows of off-CPU time.
MAX_VALUES = 6_000_000
# The least that a value uses: its place in a list and half of an object.
VALUE_BYTES = 16


class Elements(Protocol):
    """An array that is read in pieces: `count` elements so far.

    Each element ends with the byte `closing`; empty if that depends on the element.
    """

    closing: bytes
    count: int

    @property
    def next_path(self) -> Sequence[str | int]: ...

    def expect(self, count: int) -> None:
        """Raise HttpProblem 413 if so many more elements are too many."""

    def take(self, piece: bytes) -> bool:
        """Return whether all elements of the JSON array are right, and were added.

        Raise msgspec.DecodeError or UnicodeDecodeError if the piece is not JSON.
        """

    def take_values(self, values: Sequence[Any]) -> bool:
        """Do the same with elements that are no texts."""

    def examine(self, values: Sequence[Any], faults: Faults) -> None:
        """Add the values if they are right; otherwise add to `faults`."""


@dataclass(frozen=True)
class TextKind:
    """The texts of one name in a body."""

    name: str
    most: int
    typed: Any
    schema: Any

    @classmethod
    def of(cls, name: str, most: int, wire: Any) -> "TextKind":
        typed = msgspec.json.Decoder(GenericAlias(list, (decodable(wire),)))
        return cls(name, most, typed, validator(json_schema(wire)))


STACKS = TextKind.of("stacks", MAX_STACKS, FOLDED)
STRINGS = TextKind.of("strings", MAX_STRINGS, STRING)


@dataclass
class TextArray:
    """The body's `stacks` or `strings`; `sound` if no fault was found in them."""

    kind: TextKind
    closing: bytes = b'"'
    count: int = 0
    sound: bool = True
    texts: list[str] = field(default_factory=list)

    @property
    def next_path(self) -> Sequence[str | int]:
        return [self.kind.name, self.count]

    def expect(self, count: int) -> None:
        if self.count + count > self.kind.most:
            detail = f"more than {self.kind.most} {self.kind.name}; send fewer rows at a time"
            raise HttpProblem(413, detail)

    def take(self, piece: bytes) -> bool:
        if has_nul(piece):
            return False
        try:
            self._add(self.kind.typed.decode(piece))
        except msgspec.ValidationError:
            return False
        return True

    def take_values(self, values: Sequence[Any]) -> bool:
        return not values

    def examine(self, values: Sequence[Any], faults: Faults) -> None:
        for number, value in enumerate(values, self.count):
            if faults.full:
                return
            if not self.kind.schema.is_valid(value):
                self.sound = False
                error = next(iter(self.kind.schema.iter_errors(value)))
                faults.add([self.kind.name, number], wrong_value(error, None))
        self._add(values)

    def _add(self, texts: Sequence[str]) -> None:
        self.expect(len(texts))
        self.count += len(texts)
        self.texts.extend(texts)


@dataclass
class RowArray:
    """The rows of one category. Without `keep` they are only counted.

    `keep` is called with the bytes that rows use, and may raise.
    """

    typed: TypedRows
    schema: RowSchema
    keep: Callable[[int], None] | None
    closing: bytes = b"}"
    count: int = 0
    values: dict[str, list[Any]] = field(default_factory=dict)
    _farthest: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = (TIME, *self.schema.category.columns)
        self.values = {column.name: [] for column in columns}
        self._stacks = [c.name for c in columns if c.type.role is Role.STACK]
        self._width = len(columns) + 1

    @property
    def category(self) -> Category:
        return self.schema.category

    @property
    def next_path(self) -> Sequence[str | int]:
        return [self.schema.category.table, self.count]

    @property
    def size(self) -> int:
        """Return the number of values in the rows, with their times and host."""
        return self.count * self._width

    def expect(self, count: int) -> None:
        if (self.count + count) * self._width > MAX_VALUES:
            raise too_many_values()

    def take(self, piece: bytes) -> bool:
        columns = self.typed.decode(piece)
        if columns is None:
            return False
        self._add(columns)
        return True

    def take_values(self, values: Sequence[Any]) -> bool:
        return not values

    def examine(self, values: Sequence[Any], faults: Faults) -> None:
        columns = self.schema.columns(values, self.count, faults)
        if columns is None:
            # The body will be refused: its rows are counted, for the places of further faults.
            self.keep = None
            self.count += len(values)
        else:
            self._add(columns)

    def place_of_time(self, row: int) -> Sequence[str | int]:
        """Return where in the body the row's time is."""
        return [self.category.table, row, TIME.name]

    def _add(self, columns: Columns) -> None:
        for name in self._stacks:
            self._note_farthest(name, columns[name])
        rows = len(columns["time"])
        self.count += rows
        if self.keep is None:
            return
        self.keep(rows * self._width * VALUE_BYTES)
        for name, values in columns.items():
            self.values[name].extend(values)

    def _note_farthest(self, name: str, values: Sequence[Any]) -> None:
        place, row = farthest(values)
        if place > self._farthest.get(name, (-1, 0))[0]:
            self._farthest[name] = (place, self.count + row)

    def check(self, stacks: TextArray, _: TextArray, faults: Faults) -> Steps[None]:
        """Add a fault for a row whose stack is not among the body's."""
        count = stacks.count
        for name, (place, row) in self._farthest.items():
            if place >= count:
                yield Lane.DOUBT
                wrong = {row: place} if self.keep is None else beyond(self.values[name], count)
                for number, value in wrong.items():
                    path: Sequence[str | int] = [self.category.table, number, name]
                    faults.add(path, outside(value, "stacks", count))


def too_many_values() -> HttpProblem:
    detail = f"the rows have more than {MAX_VALUES} values; send fewer rows at a time"
    return HttpProblem(413, detail)


def farthest(values: Sequence[Any]) -> tuple[int, int]:
    """Return the largest number among numbers and texts, and its place; -1 without one."""
    try:
        place = max(values, default=-1)
    except TypeError:
        place = ""
    if type(place) is not int:
        place = max([value for value in values if type(value) is int], default=-1)
    return place, values.index(place) if place >= 0 else 0


def beyond(values: Sequence[Any], count: int) -> dict[int, int]:
    """Return row -> place of those outside `count` texts, up to one more than are listed."""
    wrong = ((row, v) for row, v in enumerate(values) if isinstance(v, int) and v >= count)
    return dict(islice(wrong, MAX_FAULTS + 1))


def outside(place: int, name: str, count: int) -> str:
    return f"{place} is outside `{name}`, which has {count} entries"
