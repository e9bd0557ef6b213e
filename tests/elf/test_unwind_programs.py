"""Each instruction of unwind rules means what the DWARF standard and the unwinder of GCC say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kscope.elf import eh_frame as limits
from kscope.elf import frame_rules as rule_limits
from kscope.elf import unwind_table as table_limits
from kscope.elf.errors import ElfError
from kscope.elf.image import ARM64, Image
from kscope.elf.unwind_table import Kind, unwind_table
from tests.elf.frames import CODE, CODE_SIZE, cie, eh_frame, elf, entry, fde, uleb
from tests.elf.tables import Row, rule_at, unpacked

# CFA = rsp + 8, the return address at CFA - 8.
X86 = cie(b"\x0c\x07\x08\x90\x01")
# CFA = sp, the return address in x30.
AARCH64 = cie(b"\x0c\x1f\x00", back=30, code_factor=4)
NOTHING, CALLED = Row(Kind.NONE), Row(Kind.SP, 8)
OTHER = Row(Kind.OTHER)
NEXT = b"\x41"


def rows(data: bytes) -> dict[int, Row]:
    """Return all rows of a file, by their distance from the start of the code."""
    table = unwind_table(Image(data))
    first = 3 + (table[1] >> 32)
    assert [*table[first:]] == sorted(table[first:])
    found = {(row >> 32) - CODE: unpacked(row & 0xFFFFFFFF) for row in table[first:]}
    assert len(found) == len(table) - first, "two rows at one place"
    for place, row in found.items():
        assert unpacked(rule_at(table, place + CODE)) == row
    return found


def program(code: bytes, common: bytes = X86, machine: int = 62) -> list[Row]:
    """Return the rows of one function of 256 bytes, without the gap behind it."""
    found = rows(elf(eh_frame(common, (CODE, 256, code)), machine=machine))
    assert found.pop(256) == NOTHING
    return [*found.values()]


def expression(register: int, code: bytes) -> bytes:
    return bytes([0x10, register, len(code)]) + code


def cfa(code: bytes) -> bytes:
    return bytes([0x0F, len(code)]) + code


PLT = bytes.fromhex("77 08 80 00 3f 1a 3b 2a 33 24 22")
PROGRAMS = {
    "push rbp; mov rsp, rbp; pop": (
        NEXT + b"\x0e\x10\x86\x02\x43\x0d\x06\x02\x40\x0c\x07\x08",
        [CALLED, Row(Kind.SP, 16, -16), Row(Kind.BP, 16, -16), Row(Kind.SP, 8, -16)],
    ),
    "registers that the walk does not need": (NEXT + b"\x83\x02\x8c\x03\x8d\x04", [CALLED]),
    "advances of 1, 2 and 4 bytes": (
        b"\x02\x01\x0e\x10\x03\x02\x00\x0e\x18\x04\x03\0\0\0\x0e\x20",
        [CALLED, Row(Kind.SP, 16), Row(Kind.SP, 24), Row(Kind.SP, 32)],
    ),
    "advances by nothing": (
        b"\x40\x0e\x10\x02\x00\x0e\x18\x03\0\0\x0e\x20\x04\0\0\0\0\x0e\x28",
        [Row(Kind.SP, 40)],
    ),
    "equal neighbours": (NEXT + b"\x0e\x10" + NEXT + b"\x0e\x10", [CALLED, Row(Kind.SP, 16)]),
    "an advance past the end": (NEXT + b"\x0e\x10\x03\0\x10\x0e\x18", [CALLED, Row(Kind.SP, 16)]),
    "remember and restore": (
        b"\x0e\x10\x86\x02\x0a" + NEXT + b"\xc6\x0e\x08" + NEXT + b"\x0b",
        [Row(Kind.SP, 16, -16), CALLED, Row(Kind.SP, 16, -16)],
    ),
    "remember within remember": (
        b"\x0a\x0e\x10\x0a\x0e\x18" + NEXT + b"\x0b" + NEXT + b"\x0b",
        [Row(Kind.SP, 24), Row(Kind.SP, 16), CALLED],
    ),
    "restore without remember": (NEXT + b"\x0b", [CALLED, OTHER]),
    "restore_extended": (b"\x86\x02" + NEXT + b"\x06\x06", [Row(Kind.SP, 8, -16), CALLED]),
    "offset_extended": (b"\x05\x06\x02", [Row(Kind.SP, 8, -16)]),
    "offset_extended_sf": (b"\x11\x06\x02", [Row(Kind.SP, 8, -16)]),
    "GNU_negative_offset_extended": (b"\x2f\x06\x7e\x2f\x06\x00\x86\x02", [Row(Kind.SP, 8, -16)]),
    "def_cfa_sf": (b"\x12\x07\x7e", [Row(Kind.SP, 16)]),
    "def_cfa_offset_sf": (b"\x13\x7e", [Row(Kind.SP, 16)]),
    "GNU_args_size": (b"\x2e\x10" + NEXT + b"\x2e\x80\x01", [CALLED]),
    "same_value": (b"\x86\x02" + NEXT + b"\x08\x06", [Row(Kind.SP, 8, -16), CALLED]),
    "undefined frame pointer": (b"\x07\x06", [CALLED]),
    "undefined return address": (b"\x07\x10", [Row(Kind.END)]),
    "return address in a register": (b"\x09\x10\x02", [OTHER]),
    "return address in rdi": (b"\x0e\x00\x09\x10\x05", [Row(Kind.LEAF, 0)]),
    "return address elsewhere": (b"\x90\x02", [OTHER]),
    "return address by expression": (expression(16, b"\x77\x08"), [OTHER]),
    "frame pointer in a register": (b"\x09\x06\x02", [OTHER]),
    "frame pointer as a value": (b"\x14\x06\x02", [OTHER]),
    "frame pointer as a value, signed": (b"\x15\x06\x02", [OTHER]),
    "frame pointer as the value of an expression": (b"\x16\x06\x02\x76\x00", [OTHER]),
    "frame pointer by expression": (expression(6, b"\x77\x08"), [OTHER]),
    "frame pointer at itself": (expression(6, b"\x76\x00"), [Row(Kind.SP, 8, -1024)]),
    "frame pointer too far": (b"\x86\x80\x01", [OTHER]),
    "frame pointer far": (b"\x86\x7f", [Row(Kind.SP, 8, -127 * 8)]),
    "CFA in another register": (b"\x0c\x0a\x00" + NEXT + b"\x0c\x07\x08", [OTHER, CALLED]),
    "CFA too far": (b"\x0e" + uleb(1 << 22), [OTHER]),
    "CFA far": (b"\x0e" + uleb((1 << 22) - 8), [Row(Kind.SP, (1 << 22) - 8)]),
    "CFA between words": (b"\x0e\x0c", [OTHER]),
    "CFA by expression": (cfa(b"\x77\x08\x23\x08"), [OTHER]),
    "PLT": (b"\x0e\x10\x46\x0e\x18\x4a" + cfa(PLT), [
        Row(Kind.SP, 16), Row(Kind.SP, 24), Row(Kind.PLT, 11),
    ]),
    "PLT with endbr64": (cfa(PLT.replace(b"\x3b", b"\x39")), [Row(Kind.PLT, 9)]),
    "realigned frame": (
        cfa(b"\x76\x78\x06") + expression(6, b"\x76\x00"),
        [Row(Kind.DEREF_BP, -8, -1024)],
    ),
    "stack pointer on the stack": (cfa(b"\x77\x80\x03\x06\x23\x08"), [
        Row(Kind.DEREF_SP, 384, 0, 8),
    ]),
    "addend too large": (cfa(b"\x77\x30\x06\x23\x80\x01"), [OTHER]),
    "addend not of 8 bytes": (cfa(b"\x77\x30\x06\x23\x04"), [OTHER]),
    "offset without a register": (cfa(b"\x77\x30") + b"\x0e\x10", [OTHER]),
    "register of an expression": (cfa(b"\x77\x30") + b"\x0d\x07", [OTHER]),
    "unknown instruction": (NEXT + b"\x0e\x10" + NEXT + b"\x3f" + NEXT + b"\x0e\x08", [
        CALLED, Row(Kind.SP, 16), OTHER,
    ]),
    "set_loc": (NEXT + b"\x01" + bytes(8), [CALLED, OTHER]),
    "cut instruction": (b"\x0e\x10" + NEXT + b"\x0f\x70" + bytes(8), [Row(Kind.SP, 16), OTHER]),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_rows_of_x86_64(name: str) -> None:
    """Rules that the table cannot hold become OTHER; damaged programs do from there on."""
    code, expected = PROGRAMS[name]
    assert program(code) == expected


# stp x29, x30, [sp, -32]!; mov x29, sp; ...; ldp
ARM_PROGRAMS = {
    "leaf": (b"", [Row(Kind.LEAF)]),
    "leaf with locals": (NEXT + b"\x0e\x10", [Row(Kind.LEAF), Row(Kind.LEAF, 16)]),
    "frame": (
        NEXT + b"\x0e\x20\x9d\x04\x9e\x03" + NEXT + b"\x0d\x1d\x48\x0c\x1f\x00\xdd\xde",
        [Row(Kind.LEAF), Row(Kind.SP, 32, -32), Row(Kind.BP, 32, -32), Row(Kind.LEAF)],
    ),
    "signed return address": (b"\x2d" + NEXT + b"\x0e\x10\x9d\x02\x9e\x01", [
        Row(Kind.LEAF), Row(Kind.SP, 16, -16),
    ]),
    "return address alone": (NEXT + b"\x0e\x10\x9e\x02", [Row(Kind.LEAF), OTHER]),
    "return address away from x29": (b"\x0e\x20\x9d\x04\x9e\x01", [OTHER]),
    "leaf by the frame pointer": (b"\x0d\x1d", [OTHER]),
    "thread's start": (b"\x07\x1e", [Row(Kind.END)]),
}  # fmt: skip


@pytest.mark.parametrize("name", ARM_PROGRAMS)
def test_rows_of_arm64(name: str) -> None:
    """The return address is beside the saved x29, or still in x30."""
    code, expected = ARM_PROGRAMS[name]
    assert program(code, AARCH64, ARM64) == expected


def test_signal_frames() -> None:
    """On x86-64, only with the rules of the kernel's signal frame."""
    code = b"\x0f\x04\x77\xa0\x01\x06" + expression(16, b"\x77\xa8\x01")
    signal = cie(augmentation=b"zRS", data=b"\x1b")
    assert program(code, signal) == [Row(Kind.SIGNAL)]
    assert program(code) == [OTHER]
    ordinary = cie(b"\x0c\x07\x08\x90\x01", augmentation=b"zRS", data=b"\x1b")
    assert program(b"", ordinary) == [CALLED]
    arm = cie(b"\x0c\x1d\x00", augmentation=b"zRS", data=b"\x1b", back=30)
    assert program(b"\x9d\x00\x9e\x7f", arm, ARM64) == [Row(Kind.SIGNAL)]


SETUP = b"\x0c\x07\x08\x90\x01"
COMMONS = {
    "personality and language data": cie(
        SETUP, augmentation=b"zPLR", data=b"\x9b\x01\x02\x03\x04\x1b\x1b"
    ),
    "absolute personality": cie(SETUP, augmentation=b"zPLR", data=b"\x00" + bytes(8) + b"\x1b\x1b"),
    "pointer authentication by key B": cie(SETUP, augmentation=b"zRB"),
    "version 3": cie(SETUP, version=3),
    "version 4": cie(SETUP, version=4),
}


@pytest.mark.parametrize("name", COMMONS)
def test_kinds_of_common_entries(name: str) -> None:
    """All that compilers write can be read."""
    assert program(NEXT + b"\x0e\x10", COMMONS[name]) == [CALLED, Row(Kind.SP, 16)]


UNKNOWN = {
    "version 2": cie(SETUP, version=2),
    "augmentation": cie(SETUP, augmentation=b"zXR"),
    "old augmentation": cie(SETUP, augmentation=b"armcc+"),
    "relative to the data": cie(SETUP, data=b"\x3b"),
    "indirect": cie(SETUP, data=b"\x9b"),
    "personality of an unknown kind": cie(SETUP, augmentation=b"zPR", data=b"\x0d\0\0\0\0\x1b"),
    "segments": entry(bytes(4) + b"\x04zR\0\x08\x04\x01\x78\x10\x01\x1b" + SETUP),
    "too long": cie(SETUP + bytes(300)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_functions_of_an_unknown_kind_have_no_rules(name: str) -> None:
    """Those beside them have."""
    data = UNKNOWN[name]
    data += fde(len(data), CODE, 16, b"")
    data += X86 + fde(len(data) + len(X86), CODE + 16, 16, b"", owner=len(data))
    assert rows(elf(data)) == {16: CALLED, 32: NOTHING}


def test_a_damaged_common_program_means_no_known_rules() -> None:
    """So does one that advances."""
    for setup in (SETUP + b"\x3f", SETUP + NEXT):
        assert program(b"", cie(setup)) == [OTHER]


ENCODINGS = {
    0x00: struct.pack("<QQ", CODE, 16),
    0x01: uleb(CODE) + uleb(16),
    0x02: struct.pack("<HH", CODE, 16),
    0x03: struct.pack("<II", CODE, 16),
    0x04: struct.pack("<QQ", CODE, 16),
    0x09: b"\x80\x20\x10",
    0x0A: struct.pack("<hh", CODE, 16),
    0x0C: struct.pack("<qq", CODE, 16),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_of_addresses(encoding: int) -> None:
    """Absolute ones, of each size."""
    data = cie(SETUP, data=bytes([encoding]))
    data += entry(struct.pack("<I", len(data) + 4) + ENCODINGS[encoding] + b"\0")
    assert rows(elf(data)) == {0: CALLED, 16: NOTHING}


def test_no_augmentation_and_the_one_of_gcc_2() -> None:
    """Addresses are absolute, with 8 bytes, and no length follows them."""
    for text in (b"", b"eh"):
        data = cie(SETUP, augmentation=text)
        data += entry(struct.pack("<IQQ", len(data) + 4, CODE, 16) + NEXT + b"\x0e\x10")
        assert rows(elf(data)) == {0: CALLED, 1: Row(Kind.SP, 16), 16: NOTHING}


def test_lengths_of_64_bits() -> None:
    """In .eh_frame the number of the CIE has 4 bytes, in .debug_frame 8."""
    long = struct.Struct("<IQ")
    common = cie(SETUP)[4:]
    data = long.pack(0xFFFFFFFF, len(common)) + common
    fields = struct.pack("<IiIB", len(data) + 12, CODE - 0x40000 - len(data) - 16, 16, 0)
    data += long.pack(0xFFFFFFFF, len(fields)) + fields
    assert rows(elf(data)) == {0: CALLED, 16: NOTHING}
    common = cie(SETUP, augmentation=b"", number=b"\xff" * 8, version=4)[4:]
    data = long.pack(0xFFFFFFFF, len(common)) + common
    data += long.pack(0xFFFFFFFF, 24) + struct.pack("<QQQ", 0, CODE, 16)
    assert rows(elf(data, name=b".debug_frame")) == {0: CALLED, 16: NOTHING}


def test_debug_frame() -> None:
    """Its entries name their CIE by its place in the section."""
    common = cie(SETUP, augmentation=b"", number=b"\xff" * 4, version=4)
    data = entry(struct.pack("<IQQ", 0xFFFFFFFF, 0, 0)) + common
    data += entry(struct.pack("<IQQ", len(data) - len(common), CODE, 16))
    assert rows(elf(data, name=b".debug_frame")) == {0: CALLED, 16: NOTHING}


def functions(*found: tuple[int, int, bytes]) -> dict[int, Row]:
    return rows(elf(eh_frame(X86, *found)))


def sized(size: int) -> bytes:
    return b"\x0e" + uleb(size)


def test_functions_in_any_order() -> None:
    """Between them are gaps; where they touch, equal rows are one."""
    one, other, third = (CODE + 64, 16, b""), (CODE, 32, b""), (CODE + 32, 16, b"")
    assert functions(one, other, third) == {0: CALLED, 48: NOTHING, 64: CALLED, 80: NOTHING}


def test_overlapping_functions() -> None:
    """The one that starts last holds; of two that start together, the first."""
    outer, inner = (CODE, 64, sized(16) + b"\x50" + sized(24)), (CODE + 8, 16, sized(32))
    assert functions(outer, inner) == {0: Row(Kind.SP, 16), 8: Row(Kind.SP, 32), 24: NOTHING}
    assert functions((CODE, 64, sized(16)), (CODE, 32, b"")) == {
        0: Row(Kind.SP, 16),
        64: NOTHING,
    }


def test_functions_outside_the_code_are_left_out() -> None:
    """Those of discarded sections start at 0; some have no bytes, others end behind the code."""
    last = CODE + CODE_SIZE - 16
    found = functions((0, 16, b""), (CODE, 0, b""), (CODE + CODE_SIZE, 16, b""), (last, 64, b""))
    assert found == {CODE_SIZE - 16: CALLED, CODE_SIZE: NOTHING}


def test_a_file_without_rules_has_an_empty_table() -> None:
    """It has no chunks."""
    table = unwind_table(Image(elf(b"", name=b".nothing")))
    assert table.tolist() == [0, 4, 3]
    assert rule_at(table, CODE) == Kind.NONE


def test_other_machines_are_refused() -> None:
    """32-bit ARM is one."""
    with pytest.raises(ElfError, match="machine"):
        unwind_table(Image(elf(b"", machine=40)))


def test_offsets_above_4_gib_are_left_out() -> None:
    """They do not fit in a row."""
    code = 0xFFFFF000
    data = cie(SETUP, data=b"\x04")
    for start in (code, code + 0x800, code + 0x2000):
        data += entry(struct.pack("<IQQB", len(data) + 4, start, 0x400, 0))
    found = rows(elf(data, code=code))
    assert {*found} == {code - CODE, code - CODE + 0x400, code - CODE + 0x800, code - CODE + 0xC00}


FRAMES = eh_frame(
    X86,
    *((CODE + 128 * number, 128, code) for number, (code, _) in enumerate(PROGRAMS.values())),
)


@settings(max_examples=300)
@given(st.dictionaries(st.integers(0, len(FRAMES) - 1), st.integers(0, 255), max_size=8))
def test_damaged_rules_are_an_elf_error_at_most(changes: dict[int, int]) -> None:
    """Their table can be searched, too."""
    data = bytearray(FRAMES)
    for at, byte in changes.items():
        data[at] = byte
    for name in (b".eh_frame", b".debug_frame"):
        try:
            rows(elf(bytes(data), name=name))
        except ElfError as error:
            assert str(error)  # noqa: PT017 - many changes are harmless


@given(st.binary(max_size=200))
def test_any_bytes_are_a_program(code: bytes) -> None:
    """The function has rows, and the gap behind it."""
    assert program(code)


@given(st.integers(0, len(FRAMES) - 5))
def test_a_section_that_was_cut(size: int) -> None:
    """It has the rows of whole entries only, or is refused."""
    try:
        rows(elf(FRAMES[:size]))
    except ElfError as error:
        assert str(error)  # noqa: PT017 - a cut between two entries is not seen


def test_each_amount_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries, CIEs, rows, different rules, and bytes."""
    monkeypatch.setattr(limits, "MAX_ENTRIES", 1000)
    monkeypatch.setattr(limits, "MAX_CIES", 10)
    monkeypatch.setattr(limits, "MAX_SECTION", 1 << 20)
    monkeypatch.setattr(rule_limits, "MAX_BYTES", 1000)
    monkeypatch.setattr(table_limits, "MAX_ROWS", 1000)
    many_cies = X86 * 20
    for number in range(20):
        many_cies += fde(len(many_cies), CODE, 16, b"", owner=number * len(X86))
    different = b"".join(sized(n) + NEXT for n in range(1000))
    floods = {
        "entries": bytes(8000),
        "kinds": many_cies,
        "rows": eh_frame(X86, *((CODE, 4000, (NEXT + sized(16) + NEXT + sized(8)) * 300),) * 2),
        "different": eh_frame(X86, (CODE, 60_000, different)),
        "bytes": bytes((1 << 20) + 1),
        "damaged": eh_frame(X86, (CODE, 16, bytes(70_000))),
    }
    for word, data in floods.items():
        with pytest.raises(ElfError, match=word):
            unwind_table(Image(elf(data)))
