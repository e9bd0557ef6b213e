"""The table of a file has the rules that readelf shows, and BPF finds them by its chunks."""

from __future__ import annotations

import ctypes
import random
import re
import subprocess
import sys
from array import array
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.elf.contents import FileContents
from kscope.elf.image import Image
from kscope.elf.unwind_table import Kind, unwind_table, with_chunks
from tests import needs
from tests.elf.tables import Row, rule_at, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBC = next(Path("/").glob("lib/*-linux-gnu/libc.so.6"))
PROGRAMS = {
    "C++": (".cpp", "#include <iostream>\nint main() { std::cout << std::cin.get(); }", ["-O2"]),
    "static": (".c", "int main() { return 0; }", ["-static"]),
    "debug_frame": (
        ".c",
        "int twice(int number) { return 2 * number; } int main(int n) { return twice(n) + n; }",
        ["-g", "-fno-asynchronous-unwind-tables", "-O0"],
    ),
}


@pytest.fixture(scope="module", params=["libc", "python", "vdso", *PROGRAMS])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a real file: of the system, of the kernel, or of the compiler."""
    if request.param == "libc":
        return LIBC.resolve()
    if request.param == "python":
        return Path(sys.executable).resolve()
    if request.param == "vdso":
        path = tmp_path_factory.mktemp("vdso") / "vdso.so"
        path.write_bytes(vdso())
        return path
    suffix, text, options = PROGRAMS[request.param]
    source = tmp_path_factory.mktemp("program") / f"program{suffix}"
    source.write_text(text)
    compiler = needs.program("g++", "g++")
    subprocess.run([compiler, *options, source, "-o", source.with_suffix("")], check=True)
    return source.with_suffix("")


def vdso() -> bytes:
    """Return the library that the kernel maps into each process."""
    maps = Path("/proc/self/maps").read_text()
    start, end = (int(each, 16) for each in re.search(r"(\w+)-(\w+) .*\[vdso\]", maps).groups())
    return ctypes.string_at(start, end - start)


HEAD = re.compile(r"^\w+ \w+ \w+ (CIE|FDE)(?: cie=(\w+) pc=(\w+)\.\.(\w+))?", re.MULTILINE)


def functions(path: Path) -> Iterator[tuple[int, int, list[tuple[int, dict[str, str]]]]]:
    """Yield start, end and rows of each function as readelf shows them, columns by their name."""
    command = [needs.program("readelf", "binutils"), "--debug-dump=frames-interp", path]
    # It exits with 1 after a warning.
    dump = subprocess.run(command, text=True, capture_output=True, check=False).stdout
    dump = re.sub(r" \(\w+\)", "", dump)  # names of registers that hold others
    cies: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for entry in dump.split("\n\n"):
        head, *lines = entry.strip("\n").split("\n")
        if not (found := HEAD.match(head)):
            continue
        rows = []
        for line in lines[1:]:
            place, *values = line.split()
            rows.append((int(place, 16), dict(zip(lines[0].split()[1:], values, strict=True))))
        if found[1] == "CIE":
            cies[head.split()[0]] = rows
        else:
            start, end = int(found[3], 16), int(found[4], 16)
            yield start, end, rows or [(start, cies[found[2]][0][1])]


def expected(columns: dict[str, str]) -> set[Row | Kind]:
    """Return the rows that fit to one of readelf's, kinds alone where it hides an expression."""
    if columns["ra"] == "u":
        return {Row(Kind.END)}
    if columns["CFA"] == "exp":
        return {Kind.PLT, Kind.DEREF_SP, Kind.DEREF_BP, Kind.SIGNAL, Kind.OTHER}
    register, offset = re.fullmatch(r"(\w+)\+(\d+)", columns["CFA"]).groups()
    kind = {"rsp": Kind.SP, "rbp": Kind.BP}.get(register)
    saved = columns.get("rbp", "u")
    if columns["ra"] == "rdi" and kind == Kind.SP:
        return {Row(Kind.LEAF, int(offset))}
    if not kind or columns["ra"] != "c-8" or saved[0] == "r" or int(offset) >= 1 << 22:
        return {Row(Kind.OTHER)}
    if saved == "exp":
        return {Row(kind, int(offset), -1024), Row(Kind.OTHER)}
    return {Row(kind, int(offset), int(saved[1:]) if saved[0] == "c" else 0)}


def test_rules_are_those_of_readelf(path: Path) -> None:
    """At random addresses, and at each gap."""
    image = Image(FileContents(path))
    table = unwind_table(image)
    known = sorted(functions(path), key=lambda each: each[0])
    assert known
    chosen = random.Random(1)
    for number in chosen.choices(range(len(known)), k=3000):
        start, end, rows = known[number]
        after = known[number + 1][0] if number + 1 < len(known) else 1 << 62
        if start == end or after < end:
            continue
        address = chosen.randrange(start, end)
        row = rows[bisect_right([place for place, _ in rows], address) - 1][1]
        found = unpacked(rule_at(table, image.offset(address)))
        assert {found, found.kind} & expected(row), hex(address)
        if after > end:
            assert rule_at(table, image.offset(end)) == Kind.NONE


ROWS = st.dictionaries(
    st.one_of(st.integers(0, 5000), st.integers(0, (1 << 32) - 1)),
    st.integers(0, (1 << 32) - 1),
    max_size=80,
)


@given(ROWS, st.lists(st.integers(0, (1 << 32) - 1), max_size=20))
def test_chunks_find_the_row_that_a_plain_search_finds(
    rules: dict[int, int], places: list[int]
) -> None:
    """At each row, around it, and anywhere."""
    rows = sorted(rules)
    table = with_chunks(array("Q", [place << 32 | rules[place] for place in rows]))
    near = {max(place + step, 0) for place in rows for step in (-1, 0, 1)}
    for place in near | {*places}:
        at = bisect_right(rows, place) - 1
        assert rule_at(table, place) == (rules[rows[at]] if at >= 0 else Kind.NONE)


@given(ROWS)
def test_the_chunks_are_small_and_few(rules: dict[int, int]) -> None:
    """The index has fewer words than there are rows, or less than 4,097."""
    rows = array("Q", [place << 32 | rules[place] for place in sorted(rules)])
    table = with_chunks(rows)
    shift, chunks = table[1] & 0xFFFFFFFF, table[1] >> 32
    assert 4 <= shift <= 20
    assert table[0] % (1 << shift) == 0
    assert len(table) == 2 + chunks + 1 + len(rows)
    assert chunks <= max(len(rows), 1 << 12)
