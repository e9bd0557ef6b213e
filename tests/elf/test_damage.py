"""Files of other users are damaged, hostile or change while they are read: never an error."""

from __future__ import annotations

import functools
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from kscope.elf.errors import ElfError
from kscope.elf.image import Image, Section
from kscope.elf.names import FunctionNames
from tests.elf.programs import compiled, functions, stripped

SOURCE = """
static __attribute__((noinline)) int local_one(int x) { volatile int y = x; return y * 3; }
int shared_one(int x) { return local_one(x) + 1; }
int main(int argc, char **argv) { (void)argv; return shared_one(argc); }
"""


@functools.cache
def program() -> tuple[bytes, bytes, list[int]]:
    """Return a program with symbols, one without, and addresses in its functions."""
    with TemporaryDirectory() as folder:
        path = compiled(Path(folder), "small", source=SOURCE)
        addresses = [each.start + 1 for each in functions(path)]
        return path.read_bytes(), stripped(path).read_bytes(), addresses


def ask_all(data: bytes) -> None:
    """Ask for everything; only the headers can be an error."""
    try:
        image = Image(data)
    except ElfError:
        return
    found = FunctionNames(image)
    for address in (*program()[2], 0, *image.code, (1 << 64) - 1):
        assert isinstance(found.name(address), str)
        assert found.start(address) is None or isinstance(found.start(address), int)
    assert len([*found.symbols()]) <= len(data)


def places(data: bytes) -> list[int]:
    """Return where the tables of a file are: the headers, the symbols, the unwind rules."""
    sections = [
        each
        for each in Image(data).sections
        if each.name in {".symtab", ".strtab", ".dynsym", ".dynstr", ".eh_frame", ".eh_frame_hdr"}
    ]
    headers = Section("", 0, 0, 0, 0, 64 + 13 * 56, 0)
    ends = Section("", 0, 0, 0, len(data) - 64 * 40, 64 * 40, 0)
    chosen = [headers, ends, *sections]
    return [at for each in chosen for at in range(each.offset, each.offset + each.size)]


BYTES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12)


@settings(max_examples=60)
@given(st.sampled_from([0, 1]), BYTES)
def test_changed_bytes_of_tables_are_no_error(
    number: int, changes: list[tuple[float, int]]
) -> None:
    """Each place of the headers, the symbols and the unwind rules can have any byte."""
    whole = program()[number]
    known = places(whole)
    data = bytearray(whole)
    for share, byte in changes:
        data[known[int(share * len(known))]] = byte
    ask_all(bytes(data))


@settings(max_examples=40)
@given(st.sampled_from([0, 1]), st.floats(0, 1))
def test_a_cut_file_is_no_error(number: int, share: float) -> None:
    """A file that is still being written has its headers and not its end."""
    whole = program()[number]
    ask_all(whole[: int(share * len(whole))])


def patched(name: str, field: int, value: int) -> bytes:
    """Return the program with one field of a section's header changed."""
    data = bytearray(program()[0])
    start = int.from_bytes(data[40:48], "little")
    number = [each.name for each in Image(bytes(data)).sections].index(name)
    at = start + 64 * number + field
    data[at : at + 8] = value.to_bytes(8, "little")
    return bytes(data)


def test_sizes_and_places_of_sections_are_not_trusted() -> None:
    """Neither those behind the end of the file nor those that overlap everything."""
    for name in (".symtab", ".strtab", ".dynsym", ".eh_frame"):
        for field in (24, 32):
            for value in (0, 1, 8, 1 << 31, 1 << 62, (1 << 64) - 1):
                ask_all(patched(name, field, value))
    ask_all(patched(".symtab", 40, 1 << 20))
