"""The arrays that columns are made of: what their values are, and the messages for wrong ones.

As for rows, msgspec takes nearly all values in one step, and the JSON Schema decides on the rest.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from kscope.declare.columnar import PLACES, SLOTS, parts
from kscope.declare.model import TIME, Category, Column
from kscope.declare.types.base import BadValuesError, Role, Storage, whole
from kscope.declare.types.wire import json_schema
from kscope.generate.jsonschema import column_schema
from kscope.server.ingest.decoders import decodable
from kscope.server.ingest.fast_decode import has_nul, loosened
from kscope.server.ingest.row_faults import Faults, validator, wrong_value

Path = Sequence[str | int]

# Encodings that change no value of the wire's own type.
_ALIKE = (None, whole, float)
# The code of the smallest numbers that hold a part's values; the values of others are not kept.
_CODES = {"strings": "I", "slots": "B", "ends": "q"}


class ArrayKind:
    """The values of an array: those of a column, or whole numbers of the type `wire`."""

    def __init__(self, wire: Any, column: Column | None = None, code: str = "") -> None:
        self.column = column
        self.code = code
        self.is_stack = column is not None and column.type.role is Role.STACK
        self._schema = column_schema(column) if column else json_schema(wire)
        wire = decodable(wire)
        loose = loosened(wire)
        # Lists have no hash, tuples do.
        strict = loose if column and column.type.storage is Storage.HISTOGRAM else wire
        if column is not None and column.nullable:
            strict, loose = strict | None, loose | None
        self._list = types.GenericAlias(list, (strict,))
        self._strict = msgspec.json.Decoder(self._list)
        self._loose = msgspec.json.Decoder(types.GenericAlias(list, (loose,)))

    @cached_property
    def _one(self) -> Any:
        return validator(self._schema)

    @cached_property
    def _all(self) -> Any:
        return validator({"type": "array", "items": self._schema})

    def decoded(self, text: bytes) -> Sequence[Any] | None:
        """Return a JSON array's values as they are stored; None if the schema has to judge them.

        Raise msgspec.DecodeError or UnicodeDecodeError if the text is not JSON.
        """
        if has_nul(text):
            return None
        try:
            try:
                return self._encoded(self._strict.decode(text), alike=True)
            except msgspec.ValidationError:
                return self._encoded(self._loose.decode(text))
        except (msgspec.ValidationError, RecursionError, BadValuesError):
            return None

    def converted(self, values: Sequence[Any]) -> Sequence[Any] | None:
        """Do the same with values, in which no text has a NUL."""
        try:
            return self._encoded(msgspec.convert(values, self._list), alike=True)
        except (msgspec.ValidationError, BadValuesError):
            return None

    def judged(
        self, values: Sequence[Any], path: Callable[[int], Path], faults: Faults
    ) -> Sequence[Any] | None:
        """Return the values as they are stored. Otherwise None, and add to `faults`.

        `path` returns where in the body the value at a place is.
        """
        if not self._all.is_valid(values):
            for place, value in enumerate(values):
                if faults.full:
                    break
                for error in self._one.iter_errors(value):
                    faults.add([*path(place), *error.instance_path], self._wrong(error))
            return None
        try:
            return self._encoded(values)
        except BadValuesError as error:
            for place, fault in sorted(error.faults.items()):
                faults.add(path(place), fault)
            return None

    def _wrong(self, error: Any) -> str:
        return wrong_value(error, self.column)

    def _encoded(self, values: Sequence[Any], *, alike: bool = False) -> Sequence[Any]:
        """Return them as they are stored. With `alike` they are of the wire's own type."""
        if self.column is None:
            return values if alike else _whole_numbers(values)
        kind = self.column.type
        return values if alike and kind.encode in _ALIKE else kind.encoded(values)


def _whole_numbers(values: Sequence[Any]) -> Sequence[int]:
    """JSON Schema takes 5.0 for an integer, and so must we. Raise BadValuesError."""
    found, faults = [], {}
    for place, value in enumerate(values):
        try:
            found.append(whole(value))
        except ValueError as error:
            faults[place] = str(error)
    if faults:
        raise BadValuesError(faults)
    return found


_PARTS = {
    name: ArrayKind(wire, code=_CODES.get(name, "")) for name, wire in (PLACES | SLOTS).items()
}


class TableKinds:
    """The arrays that one category's columns may be sent as."""

    def __init__(self, category: Category) -> None:
        self.category = category
        self.columns = {column.name: column for column in (TIME, *category.columns)}
        self.values = {name: ArrayKind(c.type.wire, c) for name, c in self.columns.items()}
        self.parts: Mapping[str, Mapping[str, ArrayKind]] = {
            name: {part: _PARTS[part] for part in parts(column.type)}
            for name, column in self.columns.items()
        }

    def default(self, name: str) -> Any:
        """Return the value of a column that is left out, as it is stored, or a stack's text."""
        (value,) = self.columns[name].type.encoded([self.columns[name].default])
        return value
