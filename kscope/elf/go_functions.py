"""The functions of a Go program, from the table that it carries for its own tracebacks.

Stripped programs have it too. Its layouts are those of Go's package debug/gosym: Go 1.2, 1.16, 1.18
and 1.20, which later versions keep.
"""

import functools
import struct
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from kscope.elf.errors import ElfError
from kscope.elf.function_extents import FunctionExtents
from kscope.elf.image import Image
from kscope.elf.symbol_table import MAX_NAME

_SECTIONS = (".gopclntab", ".data.rel.ro.gopclntab")
_GO_1_2, _GO_1_16, _GO_1_18, _GO_1_20 = 0xFFFFFFFB, 0xFFFFFFFA, 0xFFFFFFF0, 0xFFFFFFF1
_HEADER = struct.Struct("<IHBB")
MAX_FUNCTIONS = 2_000_000
_MAX_RELOCATIONS = 16 * 1024 * 1024

Function = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class _Table:
    """Where things are in the file. Each of the `count` entries has two numbers, which say where a
    function starts and, counted from `functions`, where it is described. Names count from `names`.
    """

    number: struct.Struct
    count: int
    entries: int
    functions: int
    names: int
    # The address that starts of functions count from.
    text: int


class GoFunctions:
    """Functions by address. A damaged table counts as a missing one."""

    def __init__(self, image: Image, extents: FunctionExtents) -> None:
        self._image = image
        self._extents = extents

    def function(self, address: int) -> Function | None:
        """Return start, size and name of the function that holds the address."""
        with suppress(ElfError, struct.error):
            if table := self._table:
                # One entry more than functions says where the last one ends.
                starts = range(table.count)
                at = bisect_right(starts, address, key=lambda at: self._start(table, at))
                if at and address < self._start(table, at):
                    return self._read(table, at - 1)
        return None

    def code(self) -> tuple[int, int]:
        """Return start and end of Go's code; (0, 0) if there is none."""
        with suppress(ElfError, struct.error):
            if table := self._table:
                return self._start(table, 0), self._start(table, table.count)
        return 0, 0

    def all(self) -> Iterator[Function]:
        """Yield start, size and name of each function, ascending."""
        with suppress(ElfError, struct.error):
            if table := self._table:
                for at in range(table.count):
                    yield self._read(table, at)

    def _start(self, table: _Table, at: int) -> int:
        return table.text + self._number(table, table.entries + 2 * at * table.number.size)

    def _read(self, table: _Table, at: int) -> Function:
        size = table.number.size
        start, end = self._start(table, at), self._start(table, at + 1)
        place = self._number(table, table.entries + (2 * at + 1) * size)
        # The description starts with the start again; the place of the name follows.
        at_name = self._image.read(table.functions + place + size, 4)
        offset = table.names + int.from_bytes(at_name, "little")
        left = len(self._image.data) - offset
        text, _, _ = bytes(self._image.read(offset, max(min(MAX_NAME, left), 0))).partition(b"\0")
        return start, end - start, text.decode("utf-8", "replace")

    def _number(self, table: _Table, offset: int) -> int:
        number: int = table.number.unpack(self._image.read(offset, table.number.size))[0]
        return number

    @functools.cached_property
    def _table(self) -> _Table | None:
        section = next(filter(None, map(self._image.find, _SECTIONS)), None)
        if not section:
            return None
        at = section.offset
        magic, zero, _, size = _HEADER.unpack(self._image.read(at, _HEADER.size))
        if zero or size not in (4, 8):
            return None
        address = struct.Struct("<I" if size == 4 else "<Q")
        words = struct.Struct(f"<8{address.format[-1]}").unpack(
            self._image.read(at + _HEADER.size, 8 * size)
        )
        count = min(words[0], MAX_FUNCTIONS)
        if magic == _GO_1_2:
            return _Table(address, count, at + _HEADER.size + size, at, at, 0)
        if magic == _GO_1_16:
            return _Table(address, count, at + words[6], at + words[6], at + words[2], 0)
        if magic in (_GO_1_18, _GO_1_20):
            text = self._text(words[2], section.address + _HEADER.size + 2 * size)
            if text is None:
                return None
            start = at + words[7]
            return _Table(struct.Struct("<I"), count, start, start, at + words[3], text)
        return None

    def _text(self, stored: int, place: int) -> int | None:
        """Return the address where Go's code starts, None if unknown.

        It is stored at the address `place`. It is 0 there in position independent programs, where a
        relocation has it, and since Go 1.26, where it is the start of .text if that is all Go's.
        """
        text = self._image.find(".text")
        if stored or not text:
            return stored or None
        if relocated := self._relocated(place):
            return relocated
        # The C library's code starts with a function that has unwind rules; Go's has none.
        extent = self._extents.before(text.address + text.size - 1)
        return None if extent and extent[0] >= text.address else text.address

    def _relocated(self, place: int) -> int:
        """Return the number that the dynamic linker writes to an address, 0 for none."""
        found = self._image.find(".rela.dyn")
        if not found or found.size > _MAX_RELOCATIONS:
            return 0
        data = bytes(self._image.read(found.offset, found.size))
        wanted = struct.pack("<Q", place)
        at = data.find(wanted)
        while at >= 0 and at % 24:
            at = data.find(wanted, at + 24 - at % 24)
        return int.from_bytes(data[at + 16 : at + 24], "little") if at >= 0 else 0
