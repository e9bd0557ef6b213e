"""The functions of `.eh_frame` or `.debug_frame`, with the programs of their unwind rules.

Both sections hold entries of two kinds (see 6.4.1 of the DWARF standard, and the Linux Standard
Base): an FDE has the addresses and the program of one function, a CIE has what functions share.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from kscope.elf.errors import ElfError
from kscope.elf.frame_rules import Common, Step, Steps, first_rules, number
from kscope.elf.image import ARM64, Image

# The largest that we know: libLLVM has 161,000 functions, Node has 14 CIEs.
MAX_SECTION = 48 * 1024 * 1024
MAX_ENTRIES = 1_000_000
MAX_CIES = 4096
_LONGEST_CIE = 256
_LONGEST_PROGRAM = 65_536
_ADDRESSES = (1 << 64) - 1

# How a pointer is stored (DW_EH_PE_*): a format, and what its value is relative to.
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
_FORMAT, _RELATION = 0x0F, 0x70
_TO_ITSELF, _ALIGNED, _OMITTED = 0x10, 0x50, 0xFF
_READABLE = {kind | relation for kind in (*_FORMATS, *_LEB) for relation in (0, _TO_ITSELF)}
# As all compilers store it: relative to its place, in 4 bytes.
_USUAL = _TO_ITSELF | 0xB
_USUAL_PAIR = struct.Struct("<iI")
# Versions of a CIE. Version 4 names the sizes of addresses, 8 bytes, and of segments, none.
_VERSIONS, _PLAIN_ADDRESSES = {1, 3, 4}, b"\x08\0"
_HEAD = struct.Struct("<II")
_LONG, _NO_LONG = struct.Struct("<Q"), 0xFFFFFFFF


class Function(NamedTuple):
    """The virtual addresses of a function, its rules at the start, and its program."""

    start: int
    end: int
    step: Step
    program: memoryview


@dataclass(frozen=True, slots=True)
class _Cie:
    """The common part of functions: how addresses are stored, and the first rules."""

    encoding: int
    has_length: bool
    step: Step


class FrameSection:
    """The entries of one section of an image, by the section's name."""

    def __init__(self, image: Image, name: str, steps: Steps) -> None:
        found = image.find(name)
        if found and found.size > MAX_SECTION:
            raise ElfError(f"has more than {MAX_SECTION} bytes of unwind rules")
        self._data = image.section(name)
        self._address = found.address if found else 0
        self._is_debug = name == ".debug_frame"
        self._frame = 29 if image.machine == ARM64 else 6
        self._steps = steps
        self._cies: dict[int, _Cie | None] = {}

    def functions(self) -> Iterator[Function]:
        """Yield the functions in the order of the section, without those of an unknown kind.

        Raises ElfError if the entries are damaged or too many.
        """
        try:
            for owner, at, end in self._entries():
                cie = self._cies[owner] if owner in self._cies else self._read_cie(owner)
                if cie:
                    yield self._function(cie, at, end)
        except (struct.error, IndexError):
            raise ElfError("has damaged unwind rules") from None

    def _entries(self) -> Iterator[tuple[int, int, int]]:
        """Yield, for each FDE: the place of its CIE, of its addresses, and of its end."""
        end = count = 0
        while end + 4 < len(self._data):
            at, end, owner = self._head(end)
            count += 1
            if count > MAX_ENTRIES:
                raise ElfError(f"has more than {MAX_ENTRIES} entries of unwind rules")
            if owner is not None:
                yield owner, at, end

    def _head(self, at: int) -> tuple[int, int, int | None]:
        """Return where the fields of an entry start and end, and its CIE: None if it is one.

        An entry of length 0, the end of the rules of one object file, is passed over as a CIE is.
        """
        length, owner = _HEAD.unpack_from(self._data, at)
        at += 4
        is_long = length == _NO_LONG
        if is_long:
            (length,) = _LONG.unpack_from(self._data, at)
            at += 8
        end = at + length
        if not length:
            return at, at, None
        if end > len(self._data):
            raise IndexError
        if self._is_debug:
            return self._debug_head(at, end, is_long=is_long)
        if is_long:  # the number of the CIE has 4 bytes here as well
            (owner,) = _FORMATS[0x3].unpack_from(self._data, at)
        return at + 4, end, at - owner if owner else None

    def _debug_head(self, at: int, end: int, *, is_long: bool) -> tuple[int, int, int | None]:
        size = 8 if is_long else 4
        owner = int.from_bytes(self._data[at : at + size], "little")
        return at + size, end, None if owner == (1 << 8 * size) - 1 else owner

    def _function(self, cie: _Cie, at: int, end: int) -> Function:
        if cie.encoding == _USUAL:
            start, size = _USUAL_PAIR.unpack_from(self._data, at)
            start += self._address + at
            at += 8
        else:
            start, at = self._pointer(at, cie.encoding)
            size, at = self._pointer(at, cie.encoding & _FORMAT)
        if cie.has_length:
            length, at = number(self._data, at)
            at += length
        start &= _ADDRESSES
        if end - at > _LONGEST_PROGRAM:
            raise IndexError
        return Function(start, start + size, cie.step, self._data[at:end])

    def _pointer(self, at: int, encoding: int) -> tuple[int, int]:
        """Return a pointer and the place behind it."""
        relation = encoding & _RELATION
        kind = encoding & _FORMAT
        if relation == _ALIGNED:
            at += -(self._address + at) % 8
        if kind in _LEB:
            value, after = number(self._data, at, signed=kind == 0x9)
        else:
            (value,) = _FORMATS[kind].unpack_from(self._data, at)
            after = at + _FORMATS[kind].size
        return value + (self._address + at if relation == _TO_ITSELF else 0), after

    def _read_cie(self, at: int) -> _Cie | None:
        """Read the CIE at a place and keep it: None if there is none, or one of an unknown kind."""
        if len(self._cies) == MAX_CIES:
            raise ElfError(f"has more than {MAX_CIES} kinds of unwind rules")
        found = None
        if 0 <= at <= len(self._data) - _HEAD.size:
            fields, end, owner = self._head(at)
            if owner is None and 0 < end - fields <= _LONGEST_CIE:
                found = self._cie(fields, end)
        self._cies[at] = found
        return found

    def _cie(self, at: int, end: int) -> _Cie | None:
        """Return the CIE with these fields, None if a function of it cannot be read."""
        version = self._data[at]
        text, _, _ = bytes(self._data[at + 1 : end]).partition(b"\0")
        at += len(text) + 2
        if version not in _VERSIONS or not (text in {b"", b"eh"} or text[:1] == b"z"):
            return None
        at += 8 * (text == b"eh")  # a pointer that GCC 2 wrote
        if version == 4:
            if bytes(self._data[at : at + 2]) != _PLAIN_ADDRESSES:
                return None
            at += 2
        code_factor, at = number(self._data, at)
        data_factor, at = number(self._data, at, signed=True)
        back, at = (self._data[at], at + 1) if version == 1 else number(self._data, at)
        encoding, has_length = 0, text[:1] == b"z"
        if has_length:
            length, at = number(self._data, at)
            encoding = self._encoding(text, at)
            at += length
        if encoding not in _READABLE:
            return None
        common = Common(code_factor, data_factor, self._frame, back, b"S" in text)
        common = replace(common, first=first_rules(bytes(self._data[at:end]), common))
        return _Cie(encoding, has_length, self._steps.first(common))

    def _encoding(self, text: bytes, at: int) -> int:
        """Return how addresses are stored, from the fields that the text of a CIE names."""
        for letter in text[1:]:
            match chr(letter):
                case "R":
                    return self._data[at]
                case "P" if self._data[at] & _FORMAT in _READABLE:
                    _, at = self._pointer(at + 1, self._data[at])
                case "L":
                    at += 1
                case "S" | "B" | "G":
                    pass
                case _:
                    return _OMITTED
        return 0
