"""Small ELF files with unwind rules, made by hand."""

from __future__ import annotations

import struct

CODE = 0x1000
CODE_SIZE = 0x10000
_FRAMES_AT = 0x40000


def uleb(value: int) -> bytes:
    """Return a number as LEB128, unsigned."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + uleb(value >> 7)


def cie(
    program: bytes = b"",
    *,
    augmentation: bytes = b"zR",
    data: bytes = b"\x1b",
    code_factor: int = 1,
    back: int = 16,
    version: int = 1,
    number: bytes = b"\0\0\0\0",
) -> bytes:
    """Return a CIE. The default is that of all compilers for x86-64, without a program."""
    fields = number + bytes([version]) + augmentation + b"\0"
    fields += b"\x08\0" if version == 4 else b""
    fields += bytes(8) if augmentation == b"eh" else b""
    fields += uleb(code_factor) + b"\x78" + uleb(back)
    fields += uleb(len(data)) + data if augmentation[:1] == b"z" else b""
    return entry(fields + program)


def entry(fields: bytes) -> bytes:
    """Return an entry with these fields, padded with nops to 8 bytes."""
    fields += bytes(-(len(fields) + 4) % 8)
    return struct.pack("<I", len(fields)) + fields


def fde(at: int, start: int, size: int, program: bytes, owner: int = 0) -> bytes:
    """Return the FDE at this place of .eh_frame. Its CIE is at `owner`, with the usual encoding."""
    relative = start - (_FRAMES_AT + at + 8)
    return entry(struct.pack("<IiIB", at + 4 - owner, relative, size, 0) + program)


def eh_frame(common: bytes, *functions: tuple[int, int, bytes]) -> bytes:
    """Return a section of one CIE and functions: start, size, program."""
    data = common
    for start, size, program in functions:
        data += fde(len(data), start, size, program)
    return data + bytes(4)


def elf(frames: bytes, *, machine: int = 62, name: bytes = b".eh_frame", code: int = CODE) -> bytes:
    """Return an ELF file: code at this address and offset, and one section."""
    names = b"\0" + name + b"\0"
    at = 64 + 56
    sections_at = at + len(frames) + len(names)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        *(3, machine, 1, 0, 64, sections_at, 0, 64, 56, 1, 64, 3, 2),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, code, code, code, CODE_SIZE, CODE_SIZE, 4096)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 2, _FRAMES_AT, at, len(frames), 0, 0, 8, 0)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, at + len(frames), len(names), 0, 0, 1, 0)
    return head + segment + frames + names + sections
