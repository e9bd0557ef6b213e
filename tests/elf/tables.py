"""The look-up of the BPF program, in Python, for tests."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from kscope.elf.unwind_table import Kind

if TYPE_CHECKING:
    from array import array


class Row(NamedTuple):
    """A rule, unpacked: offset and slot in bytes."""

    kind: Kind
    offset: int = 0
    slot: int = 0
    addend: int = 0


def rule_at(table: array[int], place: int) -> int:
    """Return the rule of a file offset: by the chunk index, then by bisection in the chunk."""
    base, head = table[:2]
    shift, chunks = head & 0xFFFFFFFF, head >> 32
    first_row = 2 + chunks + 1
    chunk = place - base >> shift
    if chunk < 0 or first_row == len(table):
        return Kind.NONE
    if chunk >= chunks:
        return table[-1] & 0xFFFFFFFF
    low, high = table[2 + chunk], table[3 + chunk]
    at = bisect_right(table, place << 32 | 0xFFFFFFFF, low, high) - 1
    return table[at] & 0xFFFFFFFF if at >= first_row else Kind.NONE


def unpacked(rule: int) -> Row:
    """Return the fields of a rule."""
    slot = rule >> 8 & 0xFF
    offset, addend = rule >> 16, 8 * (rule >> 4 & 15)
    offset -= offset >> 15 << 16
    if rule & 15 in {Kind.SP, Kind.BP, Kind.LEAF}:
        offset, addend = offset * 128 + addend, 0
    return Row(Kind(rule & 15), offset, 8 * (slot - (slot >> 7 << 8)), addend)
