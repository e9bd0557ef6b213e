"""The rules of one file as a BPF map, which the programs of all probes share."""

import mmap
import os
import struct
from dataclasses import dataclass

from kscope.agent.host.bpfstats import bpf
from kscope.elf.image import Image
from kscope.elf.unwind_table import unwind_table

_MAP_CREATE, _ARRAY, _MMAPABLE, _INNER = 0, 2, 0x400, 0x1000
_HALF = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Table:
    """A loaded table. `size` is in bytes; `base`, `shift` and `chunks` are its head."""

    descriptor: int
    size: int
    base: int
    shift: int
    chunks: int

    def close(self) -> None:
        """Close the descriptor; the map stays while a program uses it."""
        os.close(self.descriptor)


class NoRoomError(Exception):
    """A table is larger than all tables together may be."""


def loaded(image: Image, most_bytes: int) -> Table | None:
    """Return the file's table; None if it has no rules. Raises ElfError, OSError, NoRoomError."""
    words = unwind_table(image)
    if not words[1] >> 32:
        return None
    size = len(words) * words.itemsize
    if size > most_bytes:
        raise NoRoomError
    # Key and value have 4 and 8 bytes.
    attributes = struct.pack("<IIIII", _ARRAY, 4, 8, len(words), _MMAPABLE | _INNER)
    descriptor = bpf(_MAP_CREATE, attributes.ljust(120, b"\0"))
    try:
        with mmap.mmap(descriptor, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE) as memory:
            memory[:size] = words.tobytes()
    except BaseException:
        os.close(descriptor)
        raise
    return Table(descriptor, size, words[0], words[1] & _HALF, words[1] >> 32)
