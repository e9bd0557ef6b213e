"""Symbols by name, of sound files and of damaged ones."""

from __future__ import annotations

import struct
import subprocess
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kscope.elf.addresses import addresses
from kscope.elf.contents import FileContents
from kscope.elf.errors import ElfError
from kscope.elf.image import Image
from tests import needs

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
int first = 3; int not_first = 4; extern int missing; static int hidden = 5;
int main(void) { return first + not_first + hidden; }
"""
NAMES = ["first", "not_first", "hidden", "missing", "printf"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("elf")
    (folder / "program.c").write_text(SOURCE)
    source, binary = str(folder / "program.c"), str(folder / "program")
    command = [needs.gcc(), "-O0", "-rdynamic", source, "-o", binary]
    subprocess.run(command, check=True)
    return (folder / "program").read_bytes()


def test_the_variables_of_a_program(program: bytes) -> None:
    """Dynamic and static symbols are found, with the bytes that they have in the file."""
    image = Image(program)
    found = addresses(image, NAMES)
    offsets = {name: image.offset(symbol.address) for name, symbol in found.items()}
    values = {name: program[offset] for name, offset in offsets.items() if offset is not None}
    assert values == {"first": 3, "not_first": 4, "hidden": 5}
    assert {symbol.size for symbol in found.values()} == {4}


@pytest.mark.parametrize("piece", [3, 16, 61])
def test_a_name_in_two_pieces(program: bytes, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names are searched in pieces, to take little memory; the entries, too."""
    whole = addresses(Image(program), NAMES)
    monkeypatch.setattr("kscope.elf.symbol_table._PIECE", piece)
    monkeypatch.setattr("kscope.elf.symbol_table._CHUNK", 2)
    found = addresses(Image(program), NAMES)
    assert {name: each.address for name, each in found.items()} == {
        name: each.address for name, each in whole.items()
    }
    assert found["not_first"].address != found["first"].address


def test_many_names_take_little_memory(program: bytes, tmp_path: Path) -> None:
    """Names of 48 MiB, as those of a large program, are not in memory together."""
    image = Image(program)
    strings = image.find(".strtab")
    assert strings
    data = bytearray(program)
    start = int.from_bytes(program[40:48], "little") + 64 * image.sections.index(strings)
    text = bytes(image.section(".strtab"))
    large = text + bytes((48 << 20) - len(text))
    data[start + 24 : start + 40] = struct.pack("<QQ", len(program), len(large))
    (tmp_path / "large").write_bytes(data + large)
    contents = FileContents(tmp_path / "large")
    tracemalloc.start()
    found = addresses(Image(contents), NAMES)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    contents.close()
    assert found["hidden"].size == 4
    assert most < 8 << 20


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_file(program: bytes, data: st.DataObject) -> None:
    """Damage gives an ElfError or other addresses, never another exception."""
    damaged = bytearray(program)
    start = int.from_bytes(program[40:48], "little")  # the section headers
    places = st.integers(0, 63) | st.integers(start, len(program) - 1)
    for at in data.draw(st.lists(places, min_size=1, max_size=8)):
        damaged[at] = data.draw(st.integers(0, 255))
    with suppress(ElfError):
        addresses(Image(bytes(damaged)), ["first", "missing"])
