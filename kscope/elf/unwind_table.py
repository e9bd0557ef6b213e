"""The unwind rules of a file, packed for the BPF program that walks stacks.

A table is an array of 64-bit words:

- word 0: `base`, a file offset that is a multiple of `1 << shift`;
- word 1: `shift | chunks << 32`;
- `chunks + 1` words: for chunk number i, the index in this array of the first row whose offset is
  `base + (i << shift)` or more; the last one is the index after the last row;
- rows with ascending offsets: `file_offset << 32 | rule`.

A row holds until the next one. A rule has a kind in bits 0-3, an addend in units of 8 bytes in bits
4-7, the place of the saved frame pointer in bits 8-15 (signed, in units of 8 bytes from the CFA; 0
if the register is unchanged, -128 if it is saved where it points to), and a signed offset in bytes
in bits 16-31. The kinds SP, BP and LEAF have no addend: their offset is in units of 8 bytes, with
its lowest bits in bits 4-7.
"""

import itertools
import re
from array import array
from bisect import bisect_left
from enum import IntEnum

from kscope.elf.eh_frame import FrameSection, Function
from kscope.elf.errors import ElfError
from kscope.elf.frame_rules import (
    Cfa,
    Common,
    How,
    Rules,
    Saved,
    Steps,
    UnreadableError,
    distances,
    number,
    parts,
)
from kscope.elf.function_extents import FunctionExtents
from kscope.elf.go_functions import GoFunctions
from kscope.elf.image import ARM64, X86_64, Image


class Kind(IntEnum):
    """How the walk continues from a row. A return address is 8 bytes below the CFA on x86-64.

    On arm64 it is beside the saved frame pointer (x29).
    """

    NONE = 0  # a gap between functions: the frame pointer is all there is
    SP = 1  # CFA = stack pointer + offset
    BP = 2  # CFA = frame pointer + offset
    PLT = 3  # CFA = stack pointer + 8, and 8 more from byte number `offset` of each 16 on
    END = 4  # the thread's start
    SIGNAL = 5  # the registers are in the signal frame on the stack
    DEREF_SP = 6  # CFA = *(stack pointer + offset) + addend
    DEREF_BP = 7  # CFA = *(frame pointer + offset) + addend
    OTHER = 8  # rules that do not fit in here
    LEAF = 9  # CFA = stack pointer + offset; the return address is in a register: x30, or rdi
    POINTER = 10  # the frame pointer leads to the caller, even on another stack: code of Go


# Chromium has 740,000.
MAX_ROWS = 4_000_000
# A chunk has 8 to 16 rows on average.
_ROWS_OF_CHUNK = 16
_SMALLEST_SHIFT, _LARGEST_SHIFT = 4, 20
_AT_ITSELF = -128
_LOWER = (1 << 32) - 1
_OFFSETS = 1 << 64
_LOAD = 1
_EXECUTABLE = 1
# Executable segments; most files have one.
_MAX_SEGMENTS = 16
# In a signal frame of x86-64 the stack pointer is 160 bytes above the stack pointer's own value.
_SIGNAL_STACK_POINTER = 160
# Operations of DWARF expressions: a register plus an offset, small numbers.
_REGISTER_0, _LITERAL_0 = 0x70, 0x30
_NUMBER = rb"[\x80-\xff]*[\x00-\x7f]"
# *(register + offset), plus an addend
_POINTER = re.compile(rb"([\x70-\x8f])(%b)\x06(?:\x23(%b))?" % (_NUMBER, _NUMBER), re.DOTALL)
# rsp + 8 + ((rip & 15) >= literal) << 3, as ld writes it for the .plt
_PLT = re.compile(rb"\x77\x08\x80\x00\x3f\x1a([\x30-\x3f])\x2a\x33\x24\x22")


def unwind_table(image: Image) -> "array[int]":
    """Return the table of a file; one without rows if the file has no rules.

    Raises ElfError if the machine is not supported, or the rules are damaged or too many.
    """
    if not image.is_64 or image.machine not in _PACKERS:
        raise ElfError("is of a machine whose unwind rules are not known")
    return with_chunks(_rows(image))


def _rows(image: Image) -> "array[int]":
    """Return the rows of a file in the order of their offsets."""
    blocks = _Blocks(image)
    steps = Steps(_PACKERS[image.machine])
    for name in (".eh_frame", ".debug_frame"):
        for function in FrameSection(image, name, steps).functions():
            blocks.add(function)
    blocks.follow_pointers(*GoFunctions(image, FunctionExtents(image)).code())
    return blocks.joined()


class _Blocks:
    """The rows of each function, in the order of the section.

    Each block ends with a row for the gap behind its function.
    """

    def __init__(self, image: Image) -> None:
        code = (s for s in image.segments if s.kind == _LOAD and s.flags & _EXECUTABLE)
        self._code = [
            (each.address, each.address + each.size, each.offset - each.address)
            for each in itertools.islice(code, _MAX_SEGMENTS)
        ]
        self._rows = array("Q")
        self._ends = array("Q", [0])
        # The offset of each function, and in the lower half the number of its block.
        self._order = array("Q")

    def add(self, function: Function) -> None:
        """Append the rows of a function, if it is in an executable segment."""
        at, end = self._in_file(function.start, function.end)
        if at < end:
            self._order.append(at | len(self._order))
            self._add(at, end, function)

    def follow_pointers(self, start: int, end: int) -> None:
        """Append the one row of code whose functions have no rules and keep frame pointers."""
        at, end = self._in_file(start, end)
        if at < end:
            self._order.append(at | len(self._order))
            self._rows.extend((at | Kind.POINTER, end))
            self._ends.append(len(self._rows))

    def _in_file(self, start: int, end: int) -> tuple[int, int]:
        """Return the offsets of code in the upper half of a number; (0, 0) if it has none."""
        for low, high, shift in self._code:
            if low <= start < high:
                at, behind = start + shift << 32, min(end, high) + shift << 32
                return (at, behind) if behind < _OFFSETS else (0, 0)
        return 0, 0

    def _add(self, at: int, end: int, function: Function) -> None:
        append = self._rows.append
        _, _, step, program = function
        unit = step.common.code_factor << 32
        rule = -1
        try:
            for advance, instructions in parts(program):
                at += distances[advance] * unit
                if at >= end:
                    break
                step = step[instructions]
                if step.rule != rule:
                    rule = step.rule
                    append(at | rule)
        except UnreadableError:
            self._give_up(at)
        append(end)
        self._ends.append(len(self._rows))
        if len(self._rows) > MAX_ROWS:
            raise ElfError(f"has more than {MAX_ROWS} rows of unwind rules")

    def _give_up(self, at: int) -> None:
        """Let the last function have no known rules from an offset on."""
        if self._rows[-1] >= at:
            self._rows.pop()
        self._rows.append(at | Kind.OTHER)

    def joined(self) -> "array[int]":
        """Return the rows of all functions by offset.

        Where functions overlap, the one that starts last holds, as for the unwinder of GCC. Of
        several that start together it is the first one of the section.
        """
        rows = array("Q")
        before = -1
        for key in sorted(self._order):
            start, number = key & ~_LOWER, key & _LOWER
            if start == before:
                continue
            before = start
            while rows and rows[-1] >= start:
                rows.pop()
            first, end = self._ends[number : number + 2]
            same = rows and rows[-1] & _LOWER == self._rows[first] & _LOWER
            rows += self._rows[first + bool(same) : end]
        return rows


def with_chunks(rows: "array[int]") -> "array[int]":
    """Return the table with these rows, which are in the order of their offsets."""
    lowest, highest = (rows[0] >> 32, rows[-1] >> 32) if rows else (0, 0)
    bytes_of_chunk = (highest - lowest) * _ROWS_OF_CHUNK // max(len(rows), 1)
    shift = min(max(bytes_of_chunk.bit_length() - 1, _SMALLEST_SHIFT), _LARGEST_SHIFT)
    base = lowest >> shift << shift
    chunks = (highest - base >> shift) + 1 if rows else 0
    table = array("Q", [base, shift | chunks << 32])
    head = len(table) + chunks + 1
    first = 0
    for chunk in range(chunks):
        first = bisect_left(rows, base + (chunk << shift) << 32, first)
        table.append(head + first)
    table.append(head + len(rows))
    table.extend(rows)
    return table


def _x86_64(common: Common, rules: Rules) -> int:
    """Return the rule of a row, from the rules of the DWARF program."""
    kind, offset, addend = _cfa(rules.cfa, stack=7, frame=common.frame)
    if common.is_signal and (kind, offset) == (Kind.DEREF_SP, _SIGNAL_STACK_POINTER):
        return Kind.SIGNAL
    if rules.back is How.UNDEFINED:
        return Kind.END
    if rules.back is How.IN_RDI and kind == Kind.SP:
        kind = Kind.LEAF
    elif rules.back != -8:
        return Kind.OTHER
    return _packed(kind, addend, _slot(rules.frame, common.frame), offset)


def _arm64(common: Common, rules: Rules) -> int:
    """Return the rule of a row, from the rules of the DWARF program."""
    if common.is_signal:
        return Kind.SIGNAL
    if rules.back is How.UNDEFINED:
        return Kind.END
    kind, offset, addend = _cfa(rules.cfa, stack=31, frame=common.frame)
    slot = _slot(rules.frame, common.frame)
    if rules.back is How.UNCHANGED:
        kind = Kind.LEAF if kind == Kind.SP else Kind.OTHER
    elif not (isinstance(rules.frame, int) and rules.back == rules.frame + 8):
        kind = Kind.OTHER
    return _packed(kind, addend, slot, offset)


_WIDE = frozenset({Kind.SP, Kind.BP, Kind.LEAF})
_PACKERS = {X86_64: _x86_64, ARM64: _arm64}


def _cfa(cfa: Cfa, stack: int, frame: int) -> tuple[Kind, int, int]:
    """Return the kind of row for a CFA, with the offset and the addend."""
    if isinstance(cfa, tuple):
        register, offset = cfa
        return {stack: Kind.SP, frame: Kind.BP}.get(register, Kind.OTHER), offset, 0
    if found := _POINTER.fullmatch(cfa):
        kinds = {_REGISTER_0 + stack: Kind.DEREF_SP, _REGISTER_0 + frame: Kind.DEREF_BP}
        offset, _ = number(found[2], 0, signed=True)
        addend, _ = number(found[3] or b"\0", 0)
        return kinds.get(found[1][0], Kind.OTHER), offset, addend
    if stack == 7 and (found := _PLT.fullmatch(cfa)):
        return Kind.PLT, found[1][0] - _LITERAL_0, 0
    return Kind.OTHER, 0, 0


def _slot(frame: Saved, register: int) -> int | None:
    """Return the place of the saved frame pointer as rows have it, None if they cannot."""
    if frame in {How.UNCHANGED, How.UNDEFINED}:
        return 0
    if isinstance(frame, int):
        return frame // 8 if frame and frame % 8 == 0 and -1024 < frame < 1024 else None
    return _AT_ITSELF if frame == bytes([_REGISTER_0 + register, 0]) else None


def _packed(kind: Kind, addend: int, slot: int | None, offset: int) -> int:
    """Return the number that holds all of it, OTHER if something does not fit."""
    if kind in _WIDE and not offset % 8:
        # Frames of up to 4 MiB: buffers of 64 KiB on the stack are usual.
        offset, addend = offset >> 7, offset & 0x78
    elif kind in _WIDE:
        return Kind.OTHER
    fits = -0x8000 <= offset < 0x8000 and addend in range(0, 128, 8)
    if kind == Kind.OTHER or slot is None or not fits:
        return Kind.OTHER
    return kind | addend // 8 << 4 | (slot & 0xFF) << 8 | (offset & 0xFFFF) << 16
