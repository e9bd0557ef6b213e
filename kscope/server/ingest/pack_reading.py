"""A body of MessagePack: the same members as in JSON, and columns that are integers as they are.

Numbers go straight into their columns. All else is written as JSON, piece by piece, so that one way
alone decides on texts and rows, and only JSON's values are taken.
"""

import math
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Raw, msgpack

from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.array_kinds import Path
from kscope.server.ingest.arrays import Elements
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.server.ingest.json_pieces import DEPTH, ELEMENT_BYTES
from kscope.server.ingest.reading import (
    SMALL_BYTES,
    BodyReading,
    EnoughError,
    TooLargeNameError,
    refusal,
)

# Nothing in MessagePack shows where a value ends: one call passes over all of the body.
MAX_BODY = 8 * 1024 * 1024
# One call decodes all numbers of an array, unless they are an extension.
MAX_ELEMENTS = 500_000
# More than any table has columns, or any catalog tables.
_MAX_MEMBERS = 4096
_MAX_NAME = 4096
# Numbers that one step handles, and bytes of other values.
_NUMBERS = 20_000
_PIECE = 128 * 1024
# The types of an extension: the bytes of each of its integers, which are little-endian.
_CODES = {1: "B", 2: "H", 4: "I", 8: "q"}
# How an extension begins: its first byte -> the bytes of its length, or the length itself.
_SIZED = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
# A map's or an array's first byte -> the bytes of its count.
_COUNTED = {0xDE: (b"{", 2), 0xDF: (b"{", 4), 0xDC: (b"[", 2), 0xDD: (b"[", 4)}
_SHORT = {0x80: b"{", 0x90: b"["}

_Plain = bool | int | float | str | None
_RAWS = msgpack.Decoder(list[Raw])
_INTEGERS = msgpack.Decoder(list[int])
_SCALARS = msgpack.Decoder(list[bool | int | float | None])
_TEXTS = msgpack.Decoder(list[str])
# All that a right array has. Other values are checked one by one.
_PLAIN = msgpack.Decoder(list[_Plain | list[_Plain] | dict[str, _Plain | list[_Plain]]])
_ANY = msgpack.Decoder(ext_hook=msgpack.Ext)


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a value, of `size` bytes: `{` and its pairs, `[` and its elements, or ''."""

    opens: bytes
    count: int
    size: int


@dataclass
class PackReading(BodyReading):
    """One pass over a body of MessagePack."""

    _at: int = 0

    def __post_init__(self) -> None:
        self._value = memoryview(self.text)

    @property
    def at(self) -> int:
        return self._at

    def body(self) -> Steps[None]:
        if len(self.text) > MAX_BODY:
            detail = f"a body of MessagePack has at most {MAX_BODY // 1024} KiB"
            raise HttpProblem(413, f"{detail}: send fewer rows at a time, or JSON")
        try:
            if self.opens() != b"{":
                _RAWS.decode(_array_of([self._value]))
                raise refusal([], "is not a map with a hostname and rows")
            yield from super().body()
        except RecursionError:
            raise HttpProblem(400, "the body is nested too deeply") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise HttpProblem(400, f"the body is not MessagePack: {error}") from None

    def opens(self) -> bytes:
        return b"[" if _extension(self._value) else _head(self._value).opens

    def members(self, path: Path) -> Iterator[str]:
        head = _head(self._value)
        if head.count > _MAX_MEMBERS:
            raise refusal(path, f"{head.count} members are more than there can be")
        members = iter(_raws(self._value, head, 2 * head.count))
        for name, value in zip(members, members, strict=True):
            self._value = memoryview(value)
            yield _name(name, path)

    def skip(self, most: int) -> int:
        self._at += len(self._value)
        if len(self._value) > most:
            raise EnoughError
        return len(self._value)

    def small(self, path: Path) -> Any:
        self._at += len(self._value)
        if len(self._value) > SMALL_BYTES:
            detail = f"a value of {len(self._value)} bytes is too large for this place"
            raise refusal(path, f"{detail}; see the table's JSON Schema")
        value = _ANY.decode(self._value)
        _refuse_foreign(value, path)
        return value

    def fill(self, elements: Elements) -> Steps[None]:
        value = self._value
        self._at += len(value)
        if found := _extension(value):
            yield from self._add(elements, _integers(elements, *found))
            return
        head = _head(value)
        elements.expect(head.count)
        if head.count > MAX_ELEMENTS:
            detail = f"an array has more than {MAX_ELEMENTS} elements: send fewer rows at a time"
            raise HttpProblem(413, detail)
        numbers = _numbers(value)
        if numbers is not None:
            yield from self._add(elements, _parts(numbers))
        else:
            yield from self._add_others(elements, _raws(value, head, head.count))

    def _add(self, elements: Elements, numbers: Iterator[Sequence[Any]]) -> Steps[None]:
        for part in numbers:
            if not elements.take_values(part):
                yield Lane.DOUBT
                elements.examine(part, self.faults)
            self.stop_in_time()
            if len(part) == _NUMBERS:
                yield Lane.GOOD

    def _add_others(self, elements: Elements, packed: Sequence[Raw]) -> Steps[None]:
        """Write elements as JSON, and add them."""
        for piece in _pieces(packed):
            path = elements.next_path
            if max(map(len, piece)) > ELEMENT_BYTES:
                raise refusal(path, f"is too large; send at most {ELEMENT_BYTES // 1024} KiB")
            values = _plain(_array_of(piece), path)
            if not elements.take(msgspec.json.encode(values)):
                yield Lane.DOUBT
                elements.examine(values, self.faults)
            self.stop_in_time()
            yield Lane.GOOD


def _name(packed: Raw, path: Path) -> str:
    if len(packed) > _MAX_NAME:
        raise TooLargeNameError(bytes(packed)[5:200].decode(errors="replace"))
    try:
        return msgpack.decode(packed, type=str)
    except msgspec.ValidationError:
        raise refusal(path, "has a name that is not text") from None


def _head(value: memoryview) -> _Head:
    """Raise msgspec.DecodeError if the value ends before its content."""
    first = value[0] if value else 0xC1
    if opens := _SHORT.get(first & 0xF0, b""):
        return _Head(opens, first & 0x0F, 1)
    opens, width = _COUNTED.get(first, (b"", 0))
    if len(value) <= width:
        raise msgspec.DecodeError("Input data was truncated")
    return _Head(opens, int.from_bytes(value[1 : 1 + width], "big"), 1 + width)


def _extension(value: memoryview) -> tuple[int, memoryview] | None:
    """Return the bytes of each of an extension's integers, and all of them."""
    first = value[0] if value else 0
    width = _SIZED.get(first, 0)
    if (not width and first not in _FIXED) or len(value) < 2 + width:
        return None
    kind = value[1 + width]
    return (kind, value[2 + width :]) if kind in _CODES else None


def _integers(elements: Elements, width: int, packed: memoryview) -> Iterator[Sequence[int]]:
    if len(packed) % width:
        detail = f"an extension of type {width} has {len(packed)} bytes, no multiple of {width}"
        raise refusal(elements.next_path[:-1], detail)
    elements.expect(len(packed) // width)
    for part in _parts(packed, _NUMBERS * width):
        numbers = array(_CODES[width])
        numbers.frombytes(part)
        if sys.byteorder == "big":
            numbers.byteswap()
        yield numbers.tolist()


def _parts(whole: Any, size: int = _NUMBERS) -> Iterator[Any]:
    return (whole[start : start + size] for start in range(0, len(whole), size))


def _numbers(value: memoryview) -> list[Any] | None:
    """Return the elements of an array without texts, arrays and objects."""
    try:
        return _INTEGERS.decode(value)
    except msgspec.ValidationError:
        pass
    try:
        found = _SCALARS.decode(value)
    except msgspec.ValidationError:
        return None
    return found if all(math.isfinite(each or 0) for each in found) else None


def _raws(value: memoryview, head: _Head, count: int) -> list[Raw]:
    return _RAWS.decode(b"".join((b"\xdd", count.to_bytes(4, "big"), value[head.size :])))


def _array_of(packed: Sequence[Raw | memoryview]) -> bytes:
    return b"".join((b"\xdd", len(packed).to_bytes(4, "big"), *packed))


def _pieces(packed: Sequence[Raw]) -> Iterator[Sequence[Raw]]:
    ends = [*accumulate(map(len, packed))]
    start = read = 0
    while start < len(packed):
        stop = bisect_left(ends, read + _PIECE, start) + 1
        yield packed[start:stop]
        start, read = stop, ends[min(stop, len(ends)) - 1]


def _plain(packed: bytes, path: Path) -> list[Any]:
    """Return the elements; the first of them has the `path`. Raise HttpProblem."""
    try:
        return _TEXTS.decode(packed)
    except msgspec.ValidationError:
        pass
    try:
        values = _PLAIN.decode(packed)
        # JSON has no NaN: it would become null.
        if b"\xca" not in packed and b"\xcb" not in packed:
            return values
    except msgspec.ValidationError:
        values = _ANY.decode(packed)
    first = int(path[-1])
    for number, value in enumerate(values, first):
        _refuse_foreign(value, [*path[:-1], number])
    return values


def _refuse_foreign(value: Any, path: Path, depth: int = 0) -> None:
    """Raise HttpProblem if JSON does not have such a value."""
    if depth > DEPTH:
        raise refusal(path[:-depth], "is nested too deeply")
    if isinstance(value, list):
        for number, each in enumerate(value):
            _refuse_foreign(each, [*path, number], depth + 1)
    elif isinstance(value, dict):
        for name, each in value.items():
            if not isinstance(name, str):
                raise refusal(path, "has a name that is not text")
            _refuse_foreign(each, [*path, name], depth + 1)
    elif foreign := _foreign(value):
        raise refusal(path, f"{foreign} is not taken here")


def _foreign(value: Any) -> str:
    if isinstance(value, msgpack.Ext):
        return f"an extension of type {value.code}, which is none of 1, 2, 4 and 8,"
    if isinstance(value, float) and not math.isfinite(value):
        return f"the number {value}"
    is_json = value is None or isinstance(value, bool | int | float | str)
    return "" if is_json else f"a value of the kind {type(value).__name__}"
