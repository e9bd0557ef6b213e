"""The functions of `.eh_frame` or `.debug_frame`, with the programs of their unwind rules.

Both sections hold entries of two kinds (see 6.4.1 of the DWARF standard, and the Linux Standard
Base): an FDE has the addresses and the program of one function, a CIE has what functions share.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from kscope.elf.cie import LONGEST, TO_ITSELF, Cie, Record
from kscope.elf.errors import ElfError
from kscope.elf.frame_rules import Common, Step, Steps, first_rules, number
from kscope.elf.image import ARM64, Image

# The largest that we know: libLLVM has 161,000 functions, Node has 14 CIEs.
MAX_SECTION = 48 * 1024 * 1024
MAX_ENTRIES = 1_000_000
MAX_CIES = 4096
_LONGEST_PROGRAM = 65_536
_ADDRESSES = (1 << 64) - 1

# As all compilers store it: relative to its place, in 4 bytes.
_USUAL = TO_ITSELF | 0xB
_USUAL_PAIR = struct.Struct("<iI")
_HEAD, _NUMBER = struct.Struct("<II"), struct.Struct("<I")
_LONG, _NO_LONG = struct.Struct("<Q"), 0xFFFFFFFF


class Function(NamedTuple):
    """The virtual addresses of a function, its rules at the start, and its program."""

    start: int
    end: int
    step: Step
    program: memoryview


@dataclass(frozen=True, slots=True)
class _Common:
    """A CIE, with the rules at the start of its functions."""

    cie: Cie
    step: Step


class FrameSection:
    """The entries of one section of an image, by the section's name."""

    def __init__(self, image: Image, name: str, steps: Steps) -> None:
        found = image.find(name)
        if found and found.size > MAX_SECTION:
            raise ElfError(f"has more than {MAX_SECTION} bytes of unwind rules")
        self._data = image.section(name)
        self._records = Record(self._data, found.address if found else 0)
        self._is_debug = name == ".debug_frame"
        self._frame = 29 if image.machine == ARM64 else 6
        self._steps = steps
        self._cies: dict[int, _Common | None] = {}

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
            (owner,) = _NUMBER.unpack_from(self._data, at)
        return at + 4, end, at - owner if owner else None

    def _debug_head(self, at: int, end: int, *, is_long: bool) -> tuple[int, int, int | None]:
        size = 8 if is_long else 4
        owner = int.from_bytes(self._data[at : at + size], "little")
        return at + size, end, None if owner == (1 << 8 * size) - 1 else owner

    def _function(self, common: _Common, at: int, end: int) -> Function:
        encoding = common.cie.encoding
        if encoding == _USUAL:  # the same as below, but fast
            start, size = _USUAL_PAIR.unpack_from(self._data, at)
            start += self._records.address + at
            at += 8
        else:
            start, size, at = self._records.extent(at, encoding)
        if common.cie.has_length:
            length, at = number(self._data, at)
            at += length
        start &= _ADDRESSES
        if end - at > _LONGEST_PROGRAM:
            raise IndexError
        return Function(start, start + size, common.step, self._data[at:end])

    def _read_cie(self, at: int) -> _Common | None:
        """Read the CIE at a place and keep it: None if there is none, or one of an unknown kind."""
        if len(self._cies) == MAX_CIES:
            raise ElfError(f"has more than {MAX_CIES} kinds of unwind rules")
        found = None
        if 0 <= at <= len(self._data) - _HEAD.size:
            fields, end, owner = self._head(at)
            if owner is None and 0 < end - fields <= LONGEST:
                found = self._records.cie(fields, end)
        common = self._cies[at] = _Common(found, self._first_step(found)) if found else None
        return common

    def _first_step(self, cie: Cie) -> Step:
        common = Common(cie.code_factor, cie.data_factor, self._frame, cie.back, cie.is_signal)
        common = replace(common, first=first_rules(cie.program, common))
        return self._steps.first(common)
