"""ELF files are read as readelf reads them, and damaged ones are refused."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.elf.contents import FileContents
from kscope.elf.errors import ElfError
from kscope.elf.image import ARM64, X86_64, Image
from tests import needs

LIBC = next(Path("/").glob("lib/*-linux-gnu/libc.so.6"))


@pytest.fixture(scope="module")
def readelf() -> str:
    return needs.program("readelf", "binutils")


@pytest.fixture(scope="module", params=[str(LIBC), sys.executable])
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param).resolve()


def test_sections_and_segments_are_those_of_readelf(path: Path, readelf: str) -> None:
    """Names, addresses, offsets and sizes are equal."""
    listed = subprocess.check_output([readelf, "-WSl", path], text=True)
    sections = re.findall(r"\] (\S+) +[A-Z_]+ +(\S{16}) (\S{6,}) (\S{6,}) ", listed)
    loads = re.findall(r"LOAD +0x(\S+) 0x(\S+) 0x\S+ 0x(\S+) 0x(\S+) ", listed)
    image = Image(FileContents(path))
    assert [
        (each.name, each.address, each.offset, each.size) for each in image.sections if each.name
    ] == [(name, *(int(number, 16) for number in numbers)) for name, *numbers in sections]
    assert [
        (each.offset, each.address, each.size, each.memory)
        for each in image.segments
        if each.kind == 1
    ] == [tuple(int(number, 16) for number in load) for load in loads]


def test_the_build_id_is_that_of_readelf(path: Path, readelf: str) -> None:
    """In hex, as `readelf -n` prints it."""
    found = re.search(r"Build ID: (\w+)", subprocess.check_output([readelf, "-n", path], text=True))
    assert Image(path.read_bytes()).build_id == (found[1] if found else "")


def test_the_machine_and_the_class_are_known() -> None:
    """Both of the machines that the agent supports have 64 bits."""
    image = Image(LIBC.read_bytes())
    assert image.is_64
    assert image.machine == {"x86_64": X86_64, "aarch64": ARM64}[os.uname().machine]


def test_an_offset_becomes_an_address_and_back(path: Path) -> None:
    """Each byte of .text has one address; the way back returns to it."""
    image = Image(FileContents(path))
    text = image.find(".text")
    assert text
    for offset in (text.offset, text.offset + text.size - 1):
        address = image.address(offset)
        assert address == offset - text.offset + text.address
        assert image.offset(address) == offset
        assert image.is_code(address)
    assert image.address(len(image.data)) is None
    assert image.offset(1 << 60) is None


def test_a_section_is_its_bytes() -> None:
    """A missing section, and one without bytes in the file, is empty."""
    data = LIBC.read_bytes()
    image = Image(data)
    text = image.find(".text")
    assert text
    assert image.section(".text") == data[text.offset : text.offset + text.size]
    assert bytes(image.section(".bss")) == bytes(image.section(".nothing")) == b""


def test_a_pipe_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    """The agent neither waits for a pipe nor reads one."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        with pytest.raises(ElfError):
            FileContents(path)


def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path) -> None:
    """To copy a file over a library in use shortens it for a moment."""
    path = tmp_path / "libc.so.6"
    path.write_bytes(LIBC.read_bytes())
    contents = FileContents(path)
    image = Image(contents)
    os.truncate(path, 4096)
    with pytest.raises(ElfError, match="shorter"):
        image.section(".text")
    contents.close()
    with pytest.raises(ElfError):
        image.section(".text")


SMALL = Path("/bin/true").resolve().read_bytes()
HEADERS = [*range(64), *range(len(SMALL) - 2048, len(SMALL))]


def look_at_all(data: bytes) -> None:
    image = Image(data)
    assert len(image.build_id) <= 128
    for section in image.sections:
        assert len(image.section(section.name)) <= len(data)
    for segment in image.segments:
        image.offset(segment.address)
        image.address(segment.offset)


@given(st.integers(0, len(SMALL)))
def test_a_truncated_file_is_an_elf_error(size: int) -> None:
    """Wherever it ends."""
    with pytest.raises(ElfError):
        look_at_all(SMALL[:size][: len(SMALL) - 1])


@given(st.dictionaries(st.sampled_from(HEADERS), st.integers(0, 255), min_size=1, max_size=8))
def test_damaged_headers_are_an_elf_error_at_most(changes: dict[int, int]) -> None:
    """No byte of the headers leads to another exception."""
    data = bytearray(SMALL)
    for at, byte in changes.items():
        data[at] = byte
    try:
        look_at_all(bytes(data))
    except ElfError as error:
        assert str(error)  # noqa: PT017 - most changes are harmless


def test_a_long_section_name_is_cut() -> None:
    """All headers of a file can name one text of 1 MiB, and each has its own copy."""
    texts = b"\0" + b"x" * (1 << 20) + b"\0"
    section = struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, 64, len(texts), 0, 0, 1, 0)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + len(texts), 0, 64, 56, 0, 64, 99, 0)
    names = {each.name for each in Image(head + texts + 99 * section).sections}
    assert names == {"x" * 64}


def test_a_sparse_file_of_terabytes_costs_nothing(tmp_path: Path) -> None:
    """Its sections may claim to be as large as the file."""
    data = bytearray(SMALL)
    image = Image(SMALL)
    at = int.from_bytes(data[40:48], "little") + 64 * [s.name for s in image.sections].index(
        ".text"
    )
    data[at + 32 : at + 40] = (1 << 42).to_bytes(8, "little")
    path = tmp_path / "sparse"
    path.write_bytes(data)
    os.truncate(path, 1 << 43)
    with pytest.raises(ElfError, match="has no"):
        Image(FileContents(path)).section(".text")
