"""CIEs of `.eh_frame` and `.debug_frame`: how the records of functions that follow are stored.

See 6.4.1 of the DWARF standard, and the Linux Standard Base for `.eh_frame`.
"""

import struct
from dataclasses import dataclass

from kscope.elf.frame_rules import number

LONGEST = 256
# How a pointer is stored (DW_EH_PE_*): a format, and what its value is relative to.
FORMAT, _RELATION = 0x0F, 0x70
TO_ITSELF, _ALIGNED, _OMITTED = 0x10, 0x50, 0xFF
_UNSIGNED = 0x07
_FORMATS = {
    0x0: struct.Struct("<Q"),
    0x2: struct.Struct("<H"),
    0x3: struct.Struct("<I"),
    0x4: struct.Struct("<Q"),
    0xA: struct.Struct("<h"),
    0xB: struct.Struct("<i"),
    0xC: struct.Struct("<q"),
}
_LEB = {0x1, 0x9}
_READABLE = {kind | relation for kind in (*_FORMATS, *_LEB) for relation in (0, TO_ITSELF)}
# Versions of a CIE. Version 4 names the sizes of addresses, 8 bytes, and of segments, none.
_VERSIONS, _PLAIN_ADDRESSES = {1, 3, 4}, b"\x08\0"

Bytes = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Cie:
    """The part that functions share. `encoding` says how their addresses are stored, `has_length`
    whether a length follows these; `program` are the first instructions of all.
    """

    encoding: int
    has_length: bool
    is_signal: bool
    code_factor: int
    data_factor: int
    back: int
    program: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes of records. `address` is that of the first; `is_64` tells the size of pointers."""

    data: Bytes
    address: int
    is_64: bool = True

    def extent(self, at: int, encoding: int) -> tuple[int, int, int]:
        """Return start and size of a function, and the place behind them.

        Raises struct.error or IndexError if they are not in the data.
        """
        start, at = self._pointer(at, encoding)
        size, at = self._pointer(at, encoding & _UNSIGNED)
        return start, size, at

    def _pointer(self, at: int, encoding: int) -> tuple[int, int]:
        """Return a pointer and the place behind it."""
        relation, kind = encoding & _RELATION, encoding & FORMAT
        if relation == _ALIGNED:
            at += -(self.address + at) % 8
        if kind in _LEB:
            value, after = number(self.data, at, signed=kind == 0x9)
        else:
            form = _FORMATS[kind if kind or self.is_64 else 0x3]
            (value,) = form.unpack_from(self.data, at)
            after = at + form.size
        return value + (self.address + at if relation == TO_ITSELF else 0), after

    def cie(self, at: int, end: int) -> Cie | None:
        """Return the CIE whose version is at a place; None if a function of it cannot be read.

        Raises struct.error or IndexError if it is damaged.
        """
        version = self.data[at]
        text, _, _ = bytes(self.data[at + 1 : end]).partition(b"\0")
        at += len(text) + 2
        if version not in _VERSIONS or not (text in {b"", b"eh"} or text[:1] == b"z"):
            return None
        at += 8 * (text == b"eh")  # a pointer that GCC 2 wrote
        if version == 4:
            if bytes(self.data[at : at + 2]) != _PLAIN_ADDRESSES:
                return None
            at += 2
        code_factor, at = number(self.data, at)
        data_factor, at = number(self.data, at, signed=True)
        back, at = (self.data[at], at + 1) if version == 1 else number(self.data, at)
        encoding, has_length = 0, text[:1] == b"z"
        if has_length:
            length, at = number(self.data, at)
            encoding = self._encoding(text, at)
            at += length
        if encoding not in _READABLE:
            return None
        program = bytes(self.data[at:end])
        return Cie(encoding, has_length, b"S" in text, code_factor, data_factor, back, program)

    def _encoding(self, text: bytes, at: int) -> int:
        """Return how addresses are stored, from the fields that the text of a CIE names."""
        for letter in text[1:]:
            match chr(letter):
                case "R":
                    return self.data[at]
                case "P" if self.data[at] & FORMAT in _READABLE:
                    _, at = self._pointer(at + 1, self.data[at])
                case "L":
                    at += 1
                case "S" | "B" | "G":
                    pass
                case _:
                    return _OMITTED
        return 0
