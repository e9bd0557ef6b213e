"""The start and the end of each function, from the unwind rules: stripped files have them too."""

import functools
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress

from kscope.elf.cie import LONGEST, Record
from kscope.elf.errors import ElfError
from kscope.elf.image import Image

_EH_FRAME_HDR = 0x6474E550
# The encodings of the header of the search table that linkers write: its numbers have 4 bytes, and
# those of the entries are signed and count from the header.
_HEADER = struct.Struct("<B3sII")
_SEARCH_TABLE = b"\x1b\x03\x3b"
_ENTRY = struct.Struct("<ii")
# The start of a record: its length, the distance to its CIE or 0 in a CIE, two pointers at most.
_RECORD = struct.Struct("<II")
_POINTERS = 20  # the longest pair, of numbers of variable length
_LONG = 0xFFFFFFFF
_CIE_DISTANCE = 4
_MAX_CIES = 1024
# Without a search table, as in static programs, all records are read.
MAX_RECORDS = 200_000
_ALL_BITS = (1 << 64) - 1

Extent = tuple[int, int]


class FunctionExtents:
    """Functions by address. Damaged rules count as missing ones."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._encodings: dict[int, int] = {}
        # The last question and its answer: a name and a start are asked for one after the other.
        self._last: tuple[int, Extent | None] = -1, None

    def before(self, address: int) -> Extent | None:
        """Return start and end of the last function that starts at or before the address.

        It can end before the address. None if no function does, or the file has no rules.
        """
        last = self._last
        if last[0] != address:
            found = None
            with suppress(ElfError, struct.error, IndexError):
                has_table = self._search_table[2]
                found = self._searched(address) if has_table else self._listed(address)
            last = self._last = address, found
        return last[1]

    def _searched(self, address: int) -> Extent | None:
        base, entries, count = self._search_table

        def entry(at: int) -> tuple[int, int]:
            start, record = _ENTRY.unpack(self._image.read(entries + at * 8, 8))
            return base + start, base + record

        at = bisect_right(range(count), address, key=lambda at: entry(at)[0])
        if not at:
            return None
        start, record = entry(at - 1)
        offset = self._image.offset(record)
        found = self._extent(offset, record) if offset is not None else None
        return (start, start + found[1] - found[0]) if found else None

    def _listed(self, address: int) -> Extent | None:
        starts, ends = self._all
        at = bisect_right(starts, address)
        return (starts[at - 1], ends[at - 1]) if at else None

    @functools.cached_property
    def _search_table(self) -> tuple[int, int, int]:
        """Address of the header, file offset of the first entry, number of entries."""
        for each in self._image.segments:
            if each.kind == _EH_FRAME_HDR and each.size >= _HEADER.size:
                raw = self._image.read(each.offset, _HEADER.size)
                version, encodings, _, count = _HEADER.unpack(raw)
                if version == 1 and encodings == _SEARCH_TABLE:
                    most = (each.size - _HEADER.size) // _ENTRY.size
                    return each.address, each.offset + _HEADER.size, min(count, most)
        return 0, 0, 0

    @functools.cached_property
    def _all(self) -> tuple["array[int]", "array[int]"]:
        """Starts and ends of the functions, ascending."""
        found = sorted(self._records())
        return array("Q", [start for start, _ in found]), array("Q", [end for _, end in found])

    def _records(self) -> Iterator[Extent]:
        section = self._image.find(".eh_frame")
        if not section:
            return
        at, end = section.offset, section.offset + section.size
        for _ in range(MAX_RECORDS):
            if at + _RECORD.size > end:
                return
            length, cie = _RECORD.unpack(self._image.read(at, _RECORD.size))
            if length == _LONG:
                return
            # One of length 0 is the end of the rules of one object file.
            if (
                length
                and cie
                and (found := self._extent(at, section.address + at - section.offset))
            ):
                yield found
            at += 4 + length

    def _extent(self, at: int, address: int) -> Extent | None:
        """Return start and end of the function whose record is at a file offset and address."""
        length, cie = _RECORD.unpack(self._image.read(at, _RECORD.size))
        if not cie or length in (0, _LONG):
            return None
        at_pointers, end = at + _RECORD.size, at + 4 + length
        pointers = self._image.read(at_pointers, max(min(end - at_pointers, _POINTERS), 0))
        record = Record(pointers, address + _RECORD.size, is_64=self._image.is_64)
        start, extent, _ = record.extent(0, self._encoding(at + _CIE_DISTANCE - cie))
        start &= _ALL_BITS
        return start, min(start + extent, _ALL_BITS)

    def _encoding(self, at: int) -> int:
        """Return the encoding of the pointers that the CIE at a file offset announces.

        Raises ElfError.
        """
        if at not in self._encodings:
            if len(self._encodings) >= _MAX_CIES:
                self._encodings.clear()
            self._encodings[at] = self._cie_encoding(at)
        return self._encodings[at]

    def _cie_encoding(self, at: int) -> int:
        data = self._image.read(at, min(_RECORD.size + LONGEST, len(self._image.data) - at))
        length, owner = _RECORD.unpack_from(data)
        end = min(4 + length, len(data))
        cie = Record(data, 0, is_64=self._image.is_64).cie(_RECORD.size, end) if not owner else None
        if not cie:
            raise ElfError("has unwind rules of an unknown version")
        return cie.encoding
