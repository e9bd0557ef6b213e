"""The headers of an ELF file: its sections, its segments, its build id.

The files are those of other users' processes. Each count, size and offset is checked against the
length of the file, and against a bound of ours, before anything is read or kept.
"""

import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from kscope.elf.contents import Contents
from kscope.elf.errors import ElfError

X86_64 = 62
ARM64 = 183
# The largest executable files have 40 sections and 15 segments.
MAX_HEADERS = 4096
# The largest section that is read as one; the .eh_frame of large programs has some MB.
MAX_SECTION = 64 * 1024 * 1024
_MAX_SECTION_NAMES = 1024 * 1024
# A longer name is cut; those of interest have 24 bytes at most.
_MAX_SECTION_NAME = 64
_MAX_NOTES = 64 * 1024
_MAX_BUILD_ID = 64

# Flags of sections and of segments with code.
EXECUTABLE_SECTION = 4
_EXECUTABLE = 1
_LOAD, _DYNAMIC, _INTERP, _NOTE = 1, 2, 3, 4
_ET_EXEC = 2
_DT_SONAME, _DT_FLAGS_1, _DF_1_PIE = 14, 0x6FFFFFFB, 0x08000000
_MAX_DYNAMIC = 64 * 1024
_GNU_BUILD_ID = 3
_NOBITS, _COMPRESSED = 8, 0x800
_EXTENDED = 0xFFFF


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header. `size` counts the bytes in the file, `memory` those in the process."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int
    memory: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section header. `link` is the number of the section that this one refers to."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one class of ELF files, of 32 or 64 bits, stores its headers."""

    header: struct.Struct
    segment: struct.Struct
    section: struct.Struct

    def segment_of(self, raw: tuple[int, ...]) -> Segment:
        if self is _BITS_64:
            kind, flags, offset, address, _, size, memory, _ = raw
        else:
            kind, offset, address, _, size, memory, flags, _ = raw
        return Segment(kind, flags, offset, address, size, memory)


# e_type, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, e_ehsize, e_phentsize, e_phnum,
# e_shentsize, e_shnum, e_shstrndx; p_type and so on; sh_name and so on: see elf(5).
_BITS_64 = _Layout(
    struct.Struct("<HHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ"), struct.Struct("<IIQQQQIIQQ")
)
_BITS_32 = _Layout(
    struct.Struct("<HHIIIIIHHHHHH"), struct.Struct("<IIIIIIII"), struct.Struct("<IIIIIIIIII")
)
_IDENT = 16


class Image:
    """An ELF file, given by its bytes. Raises ElfError if the headers are damaged.

    `machine` is the number of elf(5), such as X86_64. `segments` and `sections` are in the order of
    the file; both can be empty.
    """

    def __init__(self, data: Contents) -> None:
        self.data = memoryview(data) if isinstance(data, bytes) else data
        ident = bytes(self.data[:_IDENT])
        if len(ident) < _IDENT or ident[:4] != b"\x7fELF":
            raise ElfError("is not an ELF file")
        if ident[4] not in (1, 2) or ident[5] != 1:
            raise ElfError("is an ELF file of an unknown class or byte order")
        self.is_64 = ident[4] == 2
        self._layout = _BITS_64 if self.is_64 else _BITS_32
        header = self._layout.header.unpack(self.read(_IDENT, self._layout.header.size))
        self._kind, self.machine, _, _, segments, sections, _, _, *counts = header
        self.segments = tuple(self._segments(segments, *counts[:2]))
        self.sections = tuple(self._sections(sections, *counts[2:]))

    def read(self, offset: int, size: int) -> bytes | memoryview:
        """Return the bytes at a file offset. Raises ElfError if some are not in the file."""
        if size > MAX_SECTION or offset + size > len(self.data):
            raise ElfError(f"has no {size} bytes at {offset:#x}")
        return self.data[offset : offset + size]

    def find(self, name: str) -> Section | None:
        """Return the first section of this name that has bytes in the file."""
        return next((each for each in self.sections if each.name == name and has_bytes(each)), None)

    def section(self, name: str) -> memoryview:
        """Return the bytes of a section, none if there is no such section. Raises ElfError."""
        found = self.find(name)
        return memoryview(self.read(found.offset, found.size) if found else b"")

    def address(self, offset: int) -> int | None:
        """Return the virtual address of a file offset, in executable segments if it is in one."""
        for each in self._loaded:
            if each.offset <= offset < each.offset + each.size:
                return each.address + offset - each.offset
        return None

    def offset(self, address: int) -> int | None:
        """Return the file offset of a virtual address, None if the file has no byte for it."""
        for each in self._loaded:
            if each.address <= address < each.address + each.size:
                return each.offset + address - each.address
        return None

    def is_code(self, address: int) -> bool:
        """Return whether a virtual address is in an executable segment."""
        return any(
            each.flags & _EXECUTABLE and each.address <= address < each.address + each.memory
            for each in self._loaded
        )

    @property
    def code(self) -> tuple[int, int]:
        """The first address of executable segments, and the end of the last; (0, 0) without."""
        code = [each for each in self._loaded if each.flags & _EXECUTABLE]
        ends = [each.address + each.memory for each in code]
        return min((each.address for each in code), default=0), max(ends, default=0)

    @functools.cached_property
    def _loaded(self) -> list[Segment]:
        loaded = [each for each in self.segments if each.kind == _LOAD]
        return sorted(loaded, key=lambda each: not each.flags & _EXECUTABLE)

    @functools.cached_property
    def is_program(self) -> bool:
        """Whether this is a program, not a library: a program has an interpreter and no name by
        which others link with it.
        """
        if self._kind == _ET_EXEC:
            return True
        tags = dict(self._dynamic())
        if tags.get(_DT_FLAGS_1, 0) & _DF_1_PIE:
            return True
        return _DT_SONAME not in tags and any(each.kind == _INTERP for each in self.segments)

    def _dynamic(self) -> Iterator[tuple[int, int]]:
        """Yield the entries of the dynamic section."""
        layout = struct.Struct("<QQ" if self.is_64 else "<II")
        for each in self.segments:
            if each.kind == _DYNAMIC and each.offset <= len(self.data):
                size = min(each.size, _MAX_DYNAMIC, len(self.data) - each.offset)
                yield from layout.iter_unpack(self.read(each.offset, size - size % layout.size))

    @functools.cached_property
    def build_id(self) -> str:
        """The build id in hex, empty if the file has none."""
        places = [(each.offset, each.size) for each in self.segments if each.kind == _NOTE]
        if own := self.find(".note.gnu.build-id"):
            places.insert(0, (own.offset, own.size))
        for offset, size in places[:_MAX_BUILD_ID]:
            end = min(offset + min(size, _MAX_NOTES), len(self.data))
            found = next(_build_ids(bytes(self.data[min(offset, end) : end])), "")
            if found:
                return found
        return ""

    def _segments(self, start: int, size: int, count: int) -> Iterator[Segment]:
        layout = self._layout.segment
        for raw in self._headers(layout, start, size, count):
            yield self._layout.segment_of(raw)

    def _sections(self, start: int, size: int, count: int, names: int) -> Iterator[Section]:
        layout = self._layout.section
        if not start:
            return
        if not count or names == _EXTENDED:
            first = layout.unpack(self.read(start, layout.size))
            count, names = count or first[5], first[6] if names == _EXTENDED else names
        headers = self._headers(layout, start, size, count)
        texts = self._section_names(headers[names]) if names < len(headers) else b""
        for name, kind, flags, address, offset, length, link, *_ in headers:
            # Many headers can share one long text.
            text, _, _ = texts[name : name + _MAX_SECTION_NAME].partition(b"\0")
            yield Section(text.decode("latin-1"), kind, flags, address, offset, length, link)

    def _section_names(self, header: tuple[int, ...]) -> bytes:
        return bytes(self.read(header[4], min(header[5], _MAX_SECTION_NAMES)))

    def _headers(
        self, layout: struct.Struct, start: int, size: int, count: int
    ) -> list[tuple[int, ...]]:
        if not count:
            return []
        if count > MAX_HEADERS or size != layout.size:
            raise ElfError(f"has {count} headers of {size} bytes")
        return [*layout.iter_unpack(self.read(start, count * size))]


def has_bytes(section: Section) -> bool:
    """Return whether the section's bytes are in the file as they are, not compressed."""
    return section.kind != _NOBITS and not section.flags & _COMPRESSED


def _build_ids(notes: bytes) -> Iterator[str]:
    """Yield the build ids among notes. Names and descriptions are padded to 4 bytes."""
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, at)
        start = at + 12 + (name_size + 3 & ~3)
        is_gnu = notes[at + 12 : at + 12 + name_size] == b"GNU\0"
        if is_gnu and kind == _GNU_BUILD_ID and 0 < size <= _MAX_BUILD_ID:
            found = notes[start : start + size]
            if len(found) == size:
                yield found.hex()
        at = start + (size + 3 & ~3)
