"""The long arrays of a body: its stacks, and the rows of a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from kscope.declare.envelope import MAX_STACKS
from kscope.declare.model import TIME
from kscope.declare.types.base import Role
from kscope.declare.types.stack import FOLDED
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.fast_decode import Columns, TypedRows, has_nul
from kscope.server.ingest.row_faults import MAX_FAULTS, Faults, RowSchema, validator, wrong_value

# The least that a value uses: its place in a list and half of an object.
_VALUE_BYTES = 16
_STACKS = msgspec.json.Decoder(list[FOLDED])
_STACK = validator(msgspec.json.schema(FOLDED))


@dataclass
class StackArray:
    """The body's `stacks`: `count` elements so far. Each ends with the byte `closing`."""

    closing: bytes = b'"'
    count: int = 0
    texts: list[str] = field(default_factory=list)

    @property
    def next_path(self) -> Sequence[str | int]:
        return ["stacks", self.count]

    def take(self, piece: bytes) -> bool:
        """Return whether all elements of the JSON array are right, and were added.

        Raise msgspec.DecodeError or UnicodeDecodeError if the piece is not JSON.
        """
        if has_nul(piece):
            return False
        try:
            self._add(_STACKS.decode(piece))
        except msgspec.ValidationError:
            return False
        return True

    def examine(self, values: Sequence[Any], faults: Faults) -> None:
        """Add the values if they are right; otherwise add to `faults`."""
        for number, value in enumerate(values, self.count):
            if faults.full:
                return
            if not _STACK.is_valid(value):
                error = next(iter(_STACK.iter_errors(value)))
                faults.add(["stacks", number], wrong_value(error, None))
        self._add(values)

    def _add(self, texts: Sequence[str]) -> None:
        self.count += len(texts)
        if self.count > MAX_STACKS:
            raise HttpProblem(413, f"more than {MAX_STACKS} stacks; send fewer rows at a time")
        self.texts.extend(texts)


@dataclass
class RowArray:
    """The rows of one category, with the same methods. Without `keep` they are only counted.

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
    def next_path(self) -> Sequence[str | int]:
        return [self.schema.category.table, self.count]

    @property
    def size(self) -> int:
        """Return the number of values in the rows, with their times and host."""
        return self.count * self._width

    def take(self, piece: bytes) -> bool:
        columns = self.typed.decode(piece)
        if columns is None:
            return False
        self._add(columns)
        return True

    def examine(self, values: Sequence[Any], faults: Faults) -> None:
        columns = self.schema.columns(values, self.count, faults)
        if columns is None:
            # The body will be refused: its rows are counted, for the places of further faults.
            self.keep = None
            self.count += len(values)
        else:
            self._add(columns)

    def _add(self, columns: Columns) -> None:
        for name in self._stacks:
            self._note_farthest(name, columns[name])
        rows = len(columns["time"])
        self.count += rows
        if self.keep is None:
            return
        self.keep(rows * self._width * _VALUE_BYTES)
        for name, values in columns.items():
            self.values[name].extend(values)

    def _note_farthest(self, name: str, values: Sequence[Any]) -> None:
        place = max([value for value in values if type(value) is int], default=-1)
        if place > self._farthest.get(name, (-1, 0))[0]:
            self._farthest[name] = (place, self.count + values.index(place))

    def check_places(self, stacks: int, faults: Faults) -> None:
        """Add a fault for a row whose stack is not among the body's."""
        for name, (place, row) in self._farthest.items():
            if place >= stacks:
                wrong = {row: place} if self.keep is None else self._beyond(name, stacks)
                for number, value in wrong.items():
                    detail = f"{value} is outside `stacks`, which has {stacks} entries"
                    faults.add([self.schema.category.table, number, name], detail)

    def _beyond(self, name: str, stacks: int) -> dict[int, int]:
        values = enumerate(self.values[name])
        wrong = ((n, value) for n, value in values if isinstance(value, int) and value >= stacks)
        return dict(islice(wrong, MAX_FAULTS + 1))
