"""Each function has the name that nm shows, from whatever place has it; nothing has another's."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from kscope.elf.errors import ElfError
from kscope.elf.image import ARM64, X86_64, Image
from kscope.elf.names import FunctionNames
from tests import needs
from tests.elf import programs
from tests.elf.programs import functions, names, readable, stripped


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return programs.compiled(tmp_path_factory.mktemp("names"))


def assert_all_named(found: FunctionNames, program: Path) -> None:
    """Check the first and the last byte of each function against nm's names there."""
    listed = functions(program)
    assert len(listed) > 5
    for each in listed:
        here = {other.name for other in listed if other.start == each.start}
        for address in (each.start, each.start + each.size - 1):
            assert found.name(address) in here
            assert found.start(address) == each.start


def test_functions_have_the_names_that_nm_shows(program: Path) -> None:
    """From the first to the last byte; local ones, and parts that the compiler split off, too."""
    found = names(program)
    assert_all_named(found, program)
    all_names = {name for _, _, name in found.symbols()}
    assert {"local_one", "split_one", "main", "label", "unsized"} <= all_names
    cold = next(each for each in functions(program) if each.name == "split_one.cold")
    assert found.name(cold.start) == "split_one.cold"


def test_a_file_with_too_many_symbols_is_not_listed(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list without some of its functions would look whole."""
    whole = [*names(program).symbols()]
    monkeypatch.setattr("kscope.elf.names.MAX_LISTED", len(whole) - 1)
    with pytest.raises(ElfError, match=f"more than {len(whole) - 1} symbols"):
        next(names(program).symbols())


def test_a_static_program_is_named(tmp_path: Path) -> None:
    """It has no search table for its unwind rules; start and name are found without."""
    static = programs.compiled(tmp_path, "static", "-static")
    listed = functions(static)
    found = names(static)
    for each in listed[:: len(listed) // 100]:
        assert found.name(each.start) in {o.name for o in listed if o.start == each.start}
    rules = names(stripped(static))
    for each in functions(static):
        if each.name in {"main", "local_one", "shared_one", "printf"}:
            assert rules.start(each.start + each.size - 1) == each.start
            assert rules.name(each.start) == ""


def test_a_32_bit_program_is_named(tmp_path: Path) -> None:
    """Its tables and headers have another layout."""
    source = "int one(int x) { return x + 1; } void _start(void) { one(2); for (;;) ; }"
    options = ("-m32", "-nostdlib", "-static", "-O0", "-fno-pie", "-no-pie")
    program = programs.compiled(tmp_path, "small", *options, source=source)
    found = names(program)
    for each in functions(program):
        assert found.name(each.start + each.size - 1) == each.name
        assert found.start(each.start + each.size - 1) == each.start
        assert names(stripped(program)).start(each.start + 1) == each.start


def test_the_best_of_several_names_is_chosen(program: Path) -> None:
    """Global before local, without leading underscores, the shortest."""
    start = next(each.start for each in functions(program) if each.name == "shared_one")
    assert names(program).name(start) == "alias_one"


def test_an_address_behind_a_function_has_no_name(program: Path) -> None:
    """Between functions there is padding; before the first and behind the last there is nothing."""
    found = names(program)
    listed = functions(program)
    gaps = 0
    for one, other in itertools.pairwise(listed):
        if one.start + one.size < other.start and one.name == "local_one":
            assert found.name(one.start + one.size) == ""
            gaps += 1
    assert gaps
    for address in (0, 8, 1 << 40, (1 << 64) - 1):
        assert found.name(address) == ""
        assert found.start(address) is None


def test_a_function_without_a_size_ends_where_the_next_one_starts(program: Path) -> None:
    """Assembler code often has no sizes; the unwind rules show a function without a symbol."""
    found = names(program)
    by_name = {name: start for start, _, name in found.symbols()}
    unsized, label = by_name["unsized"], by_name["label"]
    assert found.name(unsized + 2) == "unsized"
    assert found.name(unsized + 3) == ""
    assert found.start(unsized + 4) == unsized + 3
    assert found.name(label + 2) == "label"
    assert found.start(label + 2) == label
    hidden = names(stripped(program))
    for address in (unsized + 2, unsized + 4, label + 2):
        assert hidden.name(address) == ""


def test_functions_of_a_stripped_program_start_where_they_start(program: Path) -> None:
    """The unwind rules have the start of each function."""
    found = names(stripped(program))
    for each in functions(program):
        if not each.name.startswith("_"):
            assert found.start(each.start + each.size - 1) == each.start
            assert found.name(each.start) == ""


def test_exported_functions_of_a_stripped_library_are_named(tmp_path: Path) -> None:
    """The others are not: no exported function reaches over a local one."""
    source = programs.SOURCE.replace("int main(", "int enter(")
    library = programs.compiled(tmp_path, "lib.so", "-shared", "-fPIC", source=source)
    exported = {each.start: each.name for each in functions(library, "-D")}
    found = names(stripped(library))
    for each in functions(library):
        name = found.name(each.start + each.size // 2)
        if each.start in exported:
            assert (name.removesuffix("_one"), found.start(each.start)) == (
                "alias" if "alias" in name else each.name.removesuffix("_one"),
                each.start,
            )
        else:
            assert name == ""


def test_symbols_lists_what_nm_lists(program: Path) -> None:
    """Ascending, one name for each address."""
    found = [*names(program).symbols()]
    assert found == sorted(found, key=lambda each: each[0])
    starts = {start: size for start, size, _ in found}
    for each in functions(program):
        assert starts[each.start] == each.size


def test_random_addresses_of_libc_have_no_wrong_name() -> None:
    """A name is that of a function around the address, by nm's addresses and sizes."""
    libc = next(Path("/").glob("lib/*-linux-gnu/libc.so.6"))
    image = Image(libc.read_bytes())
    found = FunctionNames(image)
    exported = functions(libc, "-D")
    chosen = random.Random(1)
    for _ in range(500):
        address = chosen.randrange(*image.code)
        starts = {o.start for o in exported if o.start <= address < o.start + o.size}
        if starts:
            assert found.start(address) in starts
            assert found.name(address)


def test_the_vdso_is_named_from_memory() -> None:
    """It has no file: the kernel maps it into each process."""
    line = next(o for o in Path("/proc/self/maps").read_text().splitlines() if "[vdso]" in o)
    first, last = (int(part, 16) for part in line.split()[0].split("-"))
    image = Image(ctypes.string_at(first, last - first))
    found = FunctionNames(image)
    listed = {name for _, _, name in found.symbols()}
    assert any("clock_gettime" in name for name in listed)
    start = next(start for start, _, name in found.symbols() if "clock_gettime" in name)
    assert "clock_gettime" in found.name(start)
    assert image.build_id


LABELS = r"""
__asm__(".text\n.globl first\n.type first, @function\nfirst: nop\nnop\nmark: nop\nret\n");
int main(void) { return 0; }
"""


@pytest.mark.parametrize(("machine", "name"), [(X86_64, "mark"), (ARM64, "first")])
def test_labels_that_tell_code_from_data_are_no_names(
    tmp_path: Path, machine: int, name: str
) -> None:
    """On ARM, local labels without a type are of that kind."""
    data = bytearray(programs.compiled(tmp_path, "labels", source=LABELS).read_bytes())
    data[18:20] = machine.to_bytes(2, "little")
    found = FunctionNames(Image(bytes(data)))
    start = next(start for start, _, each in found.symbols() if each == "first")
    assert found.name(start + 3) == name


CPP = r"""
#include <string>
#include <vector>
namespace shop {
struct Order { virtual ~Order() {} };
template <typename T, int N> struct Basket {
  std::vector<T> all;
  __attribute__((noinline)) int add(const T &x) { all.push_back(x); return N + (int)all.size(); }
};
__attribute__((noinline)) int total(const std::string &name, Order *, int (*f)(int)) {
  return f((int)name.size());
}
namespace { __attribute__((noinline)) int hidden(int x) { return x * 2; } }
}
int main(int argc, char **) {
  shop::Basket<std::string, 3> basket;
  auto each = [&](int x) __attribute__((noinline)) { return x + argc; };
  return basket.add("a") + shop::total("b", nullptr, shop::hidden) + each(4);
}
"""


def test_cpp_names_are_those_of_cppfilt(tmp_path: Path) -> None:
    """With namespaces, templates and arguments."""
    code = tmp_path / "shop.cpp"
    code.write_text(CPP)
    program = tmp_path / "shop"
    command = [needs.program("g++", "g++"), "-O1", "-o", program, code]
    subprocess.run(command, check=True)
    listed = functions(program)
    found = names(program)
    mangled = [each.name for each in listed]
    by_start: dict[int, set[str]] = {}
    for each, name in zip(listed, readable(mangled), strict=True):
        by_start.setdefault(each.start, set()).add(name)
    for start, expected in by_start.items():
        assert found.name(start) in expected
    text = "\n".join(found.name(each.start) for each in listed)
    assert "shop::Basket<std::" in text
    assert re.search(r"shop::total\(std::.*, shop::Order\*, int \(\*\)\(int\)\)", text)


def test_a_file_that_is_shortened_loses_its_names(program: Path, tmp_path: Path) -> None:
    """No error: the caller shows the address."""
    copy = programs.copied(program, tmp_path / "copy")
    found = names(copy)
    start = functions(program)[0].start
    assert found.name(start)
    os.truncate(copy, 4096)
    assert found.name(start + 1) == ""
