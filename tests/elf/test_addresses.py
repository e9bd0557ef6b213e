"""Symbols by name, of sound files and of damaged ones."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kscope.elf.addresses import addresses
from kscope.elf.errors import ElfError
from kscope.elf.image import Image
from tests import needs

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
int first = 3; int not_first = 4; extern int missing; static int hidden = 5;
int main(void) { return first + not_first + hidden; }
"""


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
    found = addresses(image, ["first", "not_first", "hidden", "missing", "printf"])
    offsets = {name: image.offset(symbol.address) for name, symbol in found.items()}
    values = {name: program[offset] for name, offset in offsets.items() if offset is not None}
    assert values == {"first": 3, "not_first": 4, "hidden": 5}
    assert {symbol.size for symbol in found.values()} == {4}


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
