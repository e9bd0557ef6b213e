"""Programs that tests compile, and what the tools of binutils say about them."""

from __future__ import annotations

import lzma
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from kscope.elf.contents import FileContents
from kscope.elf.image import Image
from kscope.elf.names import FunctionNames
from tests import needs

if TYPE_CHECKING:
    from pathlib import Path

# A local function, names for another, one in two parts, one without a size and one without
# a size or a type, as in assembler code; between these is one that only has unwind rules.
SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
volatile int sink;
static __attribute__((noinline)) int local_one(int x) { sink += x; return sink * 3; }
__attribute__((noinline)) int shared_one(int x) { return local_one(x) + local_one(x + 1); }
int alias_one(int) __attribute__((alias("shared_one")));
int __alias_one(int) __attribute__((alias("shared_one")));
__attribute__((noinline, cold)) void give_up(int x) { printf("%d\n", x); abort(); }
static __attribute__((noipa, used)) int cold_part(int x) __asm__("split_one.cold");
static int cold_part(int x) { printf("large\n"); give_up(x); return x + 1; }
__attribute__((noinline)) int split_one(int x) {
  return x > 1000 ? cold_part(x) : x + local_one(x);
}
__asm__(".text\n.globl unsized\nunsized:\n.type unsized, @function\n.cfi_startproc\nnop\nnop\nret\n"
        ".cfi_endproc\n"
        ".cfi_startproc\nnop\nnop\nnop\nret\n.cfi_endproc\n"
        ".globl label\nlabel:\nnop\nnop\nret\n");
int main(int argc, char **argv) {
  (void)argv;
  return split_one(argc) + shared_one(argc) == 77;
}
"""


class Function(NamedTuple):
    """A line of nm."""

    start: int
    size: int
    name: str


def compiled(folder: Path, name: str = "program", *options: str, source: str = SOURCE) -> Path:
    """Return a program of the C source, with all its symbols."""
    code = folder / f"{name}.c"
    code.write_text(source)
    program = folder / name
    command = [needs.gcc(), "-O2", "-g", "-Wl,--build-id", *options, "-o", program, code]
    subprocess.run(command, check=True, capture_output=True)
    return program


def objcopy(*arguments: object) -> None:
    program = needs.program("objcopy", "binutils")
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True)


def stripped(program: Path, *options: str) -> Path:
    """Return a copy without symbols, except those for the dynamic linker."""
    copy = program.with_name(f"{program.name}.stripped")
    objcopy("--strip-all", *options, program, copy)
    return copy


def debug_file(program: Path, path: Path) -> Path:
    """Return the debug file of a program, written to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    objcopy("--only-keep-debug", program, path)
    return path


def with_mini_debug_info(program: Path, folder: Path) -> Path:
    """Return a stripped copy that carries its symbols as Fedora's programs do."""
    mini = debug_file(program, folder / "mini")
    objcopy("--strip-debug", mini)
    mini.write_bytes(lzma.compress(mini.read_bytes()))
    copy = stripped(program)
    objcopy("--add-section", f".gnu_debugdata={mini}", copy)
    return copy


def functions(program: Path, *options: str) -> list[Function]:
    """Return the functions with a size, as nm prints them, ascending."""
    nm = needs.program("nm", "binutils")
    command = [nm, "--print-size", "--defined-only", "-n", *options, program]
    lines = subprocess.check_output(command, text=True).splitlines()
    rows = [line.split(maxsplit=3) for line in lines]
    return [
        Function(int(row[0], 16), int(row[1], 16), row[3].partition("@")[0])
        for row in rows
        if len(row) == 4 and row[2] in "tTwWi" and int(row[1], 16)
    ]


def names(path: Path, as_path: str = "", root: str = "") -> FunctionNames:
    return FunctionNames(Image(FileContents(path)), as_path, root)


def readable(mangled: list[str]) -> list[str]:
    """Return what c++filt makes of names."""
    program = needs.program("c++filt", "binutils")
    text = subprocess.check_output([program, "-i"], input="\n".join(mangled), text=True)
    return text.splitlines()


def copied(program: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return shutil.copy(program, target)
