"""Go's own table names the functions of stripped programs, in each of its layouts."""

from __future__ import annotations

import itertools
import os
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.elf.errors import ElfError
from kscope.elf.function_extents import FunctionExtents
from kscope.elf.go_functions import GoFunctions
from kscope.elf.image import Image
from tests import needs
from tests.elf.programs import functions, names

if TYPE_CHECKING:
    from pathlib import Path

GO = """
package main

import "fmt"

type shop struct{ orders []int }

//go:noinline
func (s *shop) add(order int) int { s.orders = append(s.orders, order); return len(s.orders) }

func main() {
	s := &shop{}
	each := func(x int) int { return s.add(x) }
	fmt.Println(each(1))
}
"""


def test_a_stripped_go_program_is_named(tmp_path: Path) -> None:
    """With the names that nm shows before it is stripped."""
    go = needs.program("go", "golang-go")
    (tmp_path / "shop.go").write_text(GO)
    environment = os.environ | {"GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off"}
    for name, flags in (("shop", ""), ("stripped", "-s -w")):
        command = [go, "build", f"-ldflags={flags}", "-o", name, "shop.go"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    found = names(tmp_path / "stripped")
    listed = [each for each in functions(tmp_path / "shop") if each.name.startswith("main.")]
    assert {"main.main", "main.(*shop).add"} <= {each.name for each in listed}
    for each in listed:
        assert found.name(each.start) == found.name(each.start + each.size - 1) == each.name
        assert found.start(each.start + each.size - 1) == each.start
    assert {each.name for each in listed} <= {name for _, _, name in found.symbols()}
    assert found.name(Image((tmp_path / "stripped").read_bytes()).code[1]) == ""


TEXT = 0x401000
# Starts of functions above the start of the code, and their names; the last has an end only.
FUNCTIONS = [(0, "main.main"), (0x40, "main.(*shop).add"), (0x90, "runtime.goexit"), (0xA0, "")]


def table(magic: int, *, text: int = TEXT, size: int = 8) -> bytes:
    """Return a table of one of the layouts, as package debug/gosym describes them."""
    word = struct.Struct("<Q" if size == 8 else "<I")
    is_offset = magic in (0xFFFFFFF0, 0xFFFFFFF1)
    number = struct.Struct("<I") if is_offset else word
    texts = b"".join(name.encode() + b"\0" for _, name in FUNCTIONS)
    count = len(FUNCTIONS) - 1
    words = {0xFFFFFFFB: 1, 0xFFFFFFFA: 7}.get(magic, 8)
    names_at = 8 + words * size
    entries_at = names_at + len(texts)
    described_at = entries_at + (2 * count + 1) * number.size
    is_first = magic == 0xFFFFFFFB
    if is_first:
        entries_at, names_at = 8 + size, 8 + size + (2 * count + 1) * size
        described_at = names_at + len(texts)
    base = 0 if is_offset else TEXT
    entries, described = b"", b""
    for at, (start, name) in enumerate(FUNCTIONS):
        entries += number.pack(base + start)
        if at < count:
            place = described_at + len(described) - (0 if is_first else entries_at)
            entries += number.pack(place)
            name_at = texts.index(name.encode()) + (names_at if is_first else 0)
            described += number.pack(base + start) + struct.pack("<i", name_at) + bytes(8)
    fields = {
        0xFFFFFFFB: [count],
        0xFFFFFFFA: [count, 1, names_at, 0, 0, 0, entries_at],
    }.get(magic, [count, 1, text, names_at, 0, 0, 0, entries_at])
    head = struct.pack("<IHBB", magic, 0, 1, size) + b"".join(map(word.pack, fields))
    return head + (entries + texts if is_first else texts + entries) + described


TABLE = 0x500000


def elf(go: bytes, relocations: bytes = b"") -> bytes:
    """Return a small ELF file with .text, the table and relocations."""
    texts = b"\0.text\0.gopclntab\0.shstrtab\0.rela.dyn\0"
    at = 64 + 56
    sections_at = at + len(go) + len(texts) + len(relocations)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, TEXT, 64, sections_at, 0, 64, 56, 1, 64, 5, 3)
    head += struct.pack("<IIQQQQQQ", 1, 5, 0, TEXT, 0x200, 0x200, 0x200, 1)
    sections = bytes(64) + section(1, TEXT, 0, 0x200) + section(7, TABLE, at, len(go))
    sections += section(18, 0, at + len(go), len(texts))
    sections += section(28, 0, at + len(go) + len(texts), len(relocations))
    return head + go + texts + relocations + sections + bytes(0x200)


def section(name: int, address: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQQQIIQQ", name, 1, 6, address, offset, size, 0, 0, 1, 0)


def go_functions(data: bytes) -> GoFunctions:
    image = Image(data)
    return GoFunctions(image, FunctionExtents(image))


@pytest.mark.parametrize("size", [8, 4])
@pytest.mark.parametrize("magic", [0xFFFFFFFB, 0xFFFFFFFA, 0xFFFFFFF0, 0xFFFFFFF1], ids=hex)
def test_each_layout_is_read(magic: int, size: int) -> None:
    """Those of Go 1.2, 1.16, 1.18 and 1.20, of 64 and of 32 bits."""
    found = go_functions(elf(table(magic, size=size)))
    expected = [
        (TEXT + one, other - one, name) for (one, name), (other, _) in itertools.pairwise(FUNCTIONS)
    ]
    assert [*found.all()] == expected
    for start, extent, name in expected:
        assert found.function(start) == found.function(start + extent - 1) == (start, extent, name)
    assert found.function(TEXT - 1) is None
    assert found.function(TEXT + 0xA0) is None


def test_code_starts_with_text_if_the_table_does_not_say_where() -> None:
    """Since Go 1.26, the table has 0 in its place."""
    found = go_functions(elf(table(0xFFFFFFF1, text=0)))
    assert found.function(TEXT + 0x41) == (TEXT + 0x40, 0x50, "main.(*shop).add")


def test_code_starts_where_a_relocation_says() -> None:
    """In position independent programs with C code, Go's is not the first."""
    relocation = struct.pack("<QQq", TABLE + 24, 8, TEXT + 0x100)
    found = go_functions(elf(table(0xFFFFFFF0, text=0), bytes(24) + relocation))
    assert found.function(TEXT) is None
    assert found.function(TEXT + 0x141) == (TEXT + 0x140, 0x50, "main.(*shop).add")


def test_a_relocation_starts_at_a_multiple_of_its_size() -> None:
    """The same bytes in the middle of others, at any place, are none."""
    wanted = struct.pack("<Q", TABLE + 24)
    others = bytes(8) + wanted + wanted + bytes(23) + wanted + bytes(17)
    relocation = struct.pack("<QQq", TABLE + 24, 8, TEXT + 0x100)
    found = go_functions(elf(table(0xFFFFFFF0, text=0), others + relocation))
    assert len(others) % 24 == 0
    assert found.function(TEXT + 0x141) == (TEXT + 0x140, 0x50, "main.(*shop).add")


WHOLE = elf(table(0xFFFFFFF1))


@given(st.dictionaries(st.integers(120, len(WHOLE) - 1), st.integers(0, 255), max_size=6))
def test_a_damaged_table_is_no_error(changes: dict[int, int]) -> None:
    """It has no names, or other ones."""
    data = bytearray(WHOLE)
    for at, byte in changes.items():
        data[at] = byte
    found = names_of(bytes(data))
    for address in range(TEXT, TEXT + 0x200, 0x10):
        found.function(address)
    assert len([*found.all()]) <= len(WHOLE)


def names_of(data: bytes) -> GoFunctions:
    try:
        return go_functions(data)
    except ElfError:  # the headers can be damaged too
        return go_functions(WHOLE)
