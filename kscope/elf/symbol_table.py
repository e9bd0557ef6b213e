"""The symbol tables of a file, which stay in the file."""

import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from kscope.elf.image import ARM64, Image, Section, has_bytes

MAX_NAME = 1024
# The most of one table that are read, with variables. Node's has 110,000.
MAX_ENTRIES = 4_000_000
# The bits of a key below its address.
ADDRESS_SHIFT = 32
_CHUNK = 16384
_USUAL_NAME = 128
# Of the names of one table, as many bytes are searched, in pieces; so many times one name is found
# in a piece.
MAX_SEARCHED = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_MAX_PLACES = 64
_SYMTAB, _STRTAB, _DYNSYM = 2, 3, 11
_LABEL = 0
_LOCAL = 0
# Kinds and bindings of symbols in code: labels, functions, and functions that choose another one
# when the program starts; the upper half says whether other files see the symbol.
_KINDS = frozenset(kind | binding << 4 for kind in (_LABEL, 2, 10) for binding in range(16))
_KINDS_ON_ARM = _KINDS - {_LABEL | _LOCAL << 4}
# Numbers from here on are no sections: absolute values, common blocks.
_RESERVED_SECTIONS = 0xFF00
_UNDEFINED = 0


class _Format:
    """How entries are stored, in three forms: two for all of them, and one for one in full."""

    def __init__(self, place: str, name: str, symbol: str, *, is_64: bool) -> None:
        self._place, self._symbol = struct.Struct(place), struct.Struct(symbol)
        self._name = struct.Struct(name)
        self._is_64 = is_64
        self.size = self._symbol.size

    def places(self, data: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
        """Return kind, section and address of each entry."""
        rows = self._place.iter_unpack(data)
        return rows if self._is_64 else ((info, section, value) for value, info, section in rows)

    def names(self, data: bytes | memoryview) -> Iterator[tuple[int, int]]:
        """Return name and section of each entry."""
        return self._name.iter_unpack(data)

    def symbol(self, data: bytes | memoryview) -> tuple[int, int, int, int]:
        """Return name, kind, address and size of one entry."""
        if self._is_64:
            name, info, value, size = self._symbol.unpack(data)
        else:
            name, value, size, info = self._symbol.unpack(data)
        return name, info, value, size


_BITS_64 = _Format("<4xBxHQ8x", "<I2xH16x", "<IB3xQQ", is_64=True)
_BITS_32 = _Format("<4xI4xBxH", "<I10xH", "<IIIB3x", is_64=False)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A function, or a label, which is an address in the code without a type."""

    address: int
    size: int
    is_function: bool
    is_local: bool
    table: "SymbolTable"
    name_at: int

    def covers(self, address: int) -> bool:
        """Return whether this is a function that has the address, as far as it says its size."""
        return self.is_function and self.address <= address < self.address + self.size

    @property
    def name(self) -> str:
        """The name without its version, read from the file. Raises ElfError."""
        return self.table.text(self.name_at)


class SymbolTable:
    """One .symtab or .dynsym. `is_full` says that it is the one with the local functions too,
    `is_cut` that it has more than MAX_ENTRIES.
    """

    def __init__(self, image: Image, symbols: Section, strings: Section) -> None:
        self._image = image
        self._start = symbols.offset
        self._format = _BITS_64 if image.is_64 else _BITS_32
        self._strings = strings
        count = symbols.size // self._format.size
        self.count = min(count, MAX_ENTRIES)
        self.is_cut = count > MAX_ENTRIES
        self.is_full = symbols.kind == _SYMTAB and not self.is_cut

    def keys(self, start: int, end: int, first_key: int) -> Iterator[list[int]]:
        """Yield the functions and labels from address `start` to before `end`, in lists: for each
        its address above `start`, shifted, plus its place in the table, plus `first_key`.

        Raises ElfError.
        """
        # On ARM, local labels tell code from data: `$x` and `$d`.
        kinds = _KINDS_ON_ARM if self._image.machine == ARM64 else _KINDS
        for first, data in self._chunks():
            yield [
                (value - start << ADDRESS_SHIFT) + place
                for place, (info, section, value) in enumerate(
                    self._format.places(data), first_key + first
                )
                if start <= value < end and info in kinds and 0 < section < _RESERVED_SECTIONS
            ]

    def named(self, names: Collection[str]) -> dict[str, Symbol]:
        """Return the symbols of these names that the file defines. Raises ElfError."""
        places = dict(self._places(names))
        found: dict[str, int] = {}
        for first, data in self._chunks() if places else ():
            for place, (name, section) in enumerate(self._format.names(data), first):
                if name in places and section != _UNDEFINED:
                    found[places[name]] = place
        return {name: self.symbol(place) for name, place in found.items()}

    def _places(self, names: Collection[str]) -> Iterator[tuple[int, str]]:
        """Yield where the names are, at the end of longer ones too, as linkers put them."""
        needles = {name: name.encode() + b"\0" for name in names}
        # A name can start in one piece and end in the next.
        overlap = max(map(len, needles.values()), default=1) - 1
        end = min(self._strings.size, MAX_SEARCHED)
        for start in range(0, end, _PIECE):
            size = min(_PIECE + overlap, end - start)
            piece = bytes(self._image.read(self._strings.offset + start, size))
            for name, needle in needles.items():
                yield from ((start + at, name) for at in islice(_found(piece, needle), _MAX_PLACES))

    def _chunks(self) -> Iterator[tuple[int, bytes | memoryview]]:
        """Yield the entries in parts, each with the place of its first one. Raises ElfError."""
        size = self._format.size
        for first in range(0, self.count, _CHUNK):
            count = min(_CHUNK, self.count - first)
            yield first, self._image.read(self._start + first * size, count * size)

    def symbol(self, place: int) -> Symbol:
        """Return the symbol at a place of the table. Raises ElfError."""
        size = self._format.size
        name, info, value, length = self._format.symbol(
            self._image.read(self._start + place * size, size)
        )
        return Symbol(value, length, info & 15 != _LABEL, info >> 4 == _LOCAL, self, name)

    def text(self, at: int) -> str:
        """Return a name without its version, cut at MAX_NAME bytes. Raises ElfError."""
        left = max(self._strings.size - at, 0)
        text = b""
        for most in (_USUAL_NAME, MAX_NAME):
            data = self._image.read(self._strings.offset + at, min(most, left))
            text, end, _ = bytes(data).partition(b"\0")
            if end:
                break
        # .symtab has `name@@VERSION`.
        return (text[:1] + text[1:].partition(b"@")[0]).decode("utf-8", "replace")


def _found(text: bytes, needle: bytes) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


def best(symbols: Sequence[Symbol]) -> Symbol:
    """Return one of several symbols at an address: functions before labels, global ones before
    local ones, then those with few underscores in front, then short ones. Raises ElfError.
    """
    return min(symbols, key=_order) if len(symbols) > 1 else symbols[0]


def _order(symbol: Symbol) -> tuple[bool, bool, int, int, str]:
    name = symbol.name
    underscores = len(name) - len(name.lstrip("_"))
    return not symbol.is_function, symbol.is_local, underscores, len(name), name


def symbol_tables(image: Image) -> Iterator[SymbolTable]:
    """Yield the tables of a file that have bytes in it."""
    for section in image.sections:
        if section.kind in (_SYMTAB, _DYNSYM) and has_bytes(section):
            linked = image.sections[section.link] if section.link < len(image.sections) else section
            if linked.kind == _STRTAB and has_bytes(linked):
                yield SymbolTable(image, section, linked)
