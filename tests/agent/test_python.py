"""The Python functions of other processes, against what the interpreters say of themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kscope.agent.stacks.python import python_in
from kscope.agent.stacks.python_names import PythonNames
from kscope.elf.image import Image
from tests import needs
from tests.agent import pythons
from tests.agent.pythons import Code, Table, Walker, chain, text

if TYPE_CHECKING:
    from kscope.agent.stacks.python import Python
    from kscope.agent.stacks.python_names import PythonFrame


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_each_version_shows_its_functions(version: str) -> None:
    """Every function of every thread is there, through C code too, with its file and its line."""
    with chain([pythons.interpreter(version)], 60) as running:
        stacks = walked(running.pid)
        for truth in running.stacks:
            assert truth in [[frame.text for frame in stack] for stack in stacks]
            (stack,) = [each for each in stacks if [frame.text for frame in each] == truth]
            assert_entered(stack)


def walked(pid: int) -> list[list[PythonFrame]]:
    walker = Walker(pid)
    found = walker.stacks()
    assert {*found} <= {int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()}
    names = PythonNames(walker.table)
    return [names.frames(stack) for stack in found.values()]


def assert_entered(stack: list[PythonFrame]) -> None:
    """C code calls at least these functions."""
    entered = {frame.text.partition(" ")[0] for frame in stack if frame.entered}
    called_by_c = {"函数.<locals>.<lambda>", "callback.<locals>.compare", stack[-1].text.split()[0]}
    assert called_by_c <= entered
    assert not entered & {"größe", "函数", "callback", "recurse"}


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_a_child_that_forked(version: str) -> None:
    """A forked child is found by its own thread id."""
    with chain([pythons.interpreter(version)], 60, "fork") as running:
        assert running.stacks == [[frame.text for frame in each] for each in walked(running.pid)]


def test_files_without_cpython(tmp_path: Path) -> None:
    """Another program, and an interpreter of an unknown version, are none of ours."""
    assert python_in(Image(Path("/bin/cat").resolve().read_bytes())) is None
    (tmp_path / "later.c").write_text(LATER)
    source, library = str(tmp_path / "later.c"), tmp_path / "later.so"
    for version, found in ((0x030B02F0, True), (0x030B00A1, False), (0x030A02F0, False)):
        flags = ["-shared", "-fPIC", f"-DVERSION={version}", source, "-o", str(library)]
        subprocess.run([needs.gcc(), *flags], check=True)
        assert (python_in(Image(library.read_bytes())) is not None) == found


LATER = """
const unsigned long Py_Version = VERSION;
long _PyRuntime[64], PyCode_Type[64];
void _PyEval_EvalFrameDefault(void) {}
"""


TABLE = """
const unsigned long Py_Version = 0x030d00f0;
struct { char cookie[8]; unsigned long version, free_threaded, offsets[64]; } _PyRuntime = {
    "xdebugpy", 0x030d00f0, FREE_THREADED, {OFFSETS}
};
long PyCode_Type[64];
"""
SOUND = {
    40: 632, 64: 7264, 72: 7344, 168: 8, 176: 16, 184: 72, 200: 160, 232: 8, 240: 0, 264: 70,
    280: 112, 288: 120, 296: 128, 312: 68,
}  # fmt: skip


def described(tmp_path: Path, offsets: dict[int, int], free_threaded: int) -> Python | None:
    """Return the interpreter that a file with this _Py_DebugOffsets has."""
    numbers = ", ".join(f"[{at // 8 - 3}] = {offset}" for at, offset in offsets.items())
    source = TABLE.replace("OFFSETS", numbers).replace("FREE_THREADED", str(free_threaded))
    (tmp_path / "table.c").write_text(source)
    library = tmp_path / "table.so"
    flags = ["-shared", "-fPIC", str(tmp_path / "table.c"), "-o", str(library)]
    subprocess.run([needs.gcc(), *flags], check=True)
    return python_in(Image(library.read_bytes()))


def test_offsets_of_another_build(tmp_path: Path) -> None:
    """Offsets that the BPF program does not read, and free-threaded builds, are left out."""
    assert described(tmp_path, SOUND, 0)
    assert described(tmp_path, SOUND, 1) is None
    for at, offset in ((40, 1 << 40), (280, 200), (264, 90), (312, 76), (168, 5000)):
        assert described(tmp_path, SOUND | {at: offset}, 0) is None


NAMES = {
    "f app.py:3": ("f", "/srv/app.py", 3),
    "größe <string>:1": ("größe", "<string>", 1),
    "函数 模块.py:2": ("函数", "/srv/模块.py", 2),
    "𠀀 app.py:2": ("𠀀", "app.py", 2),
    "f app.py:9": ("f", "/" + "long/" * 60 + "app.py", 9),
    f"f ...{'long' * 28}:9": ("f", "long" * 60, 9),
    f"{'函' * 56}... app.py:1": ("函" * 57, "app.py", 1),
    "a:b app.py:1": ("a;b", "app.py", 1),
    "": ("", "app.py", 1),
}


@pytest.mark.parametrize("shown", NAMES)
def test_names_of_all_kinds(shown: str) -> None:
    """A name is `function file:line`; dots say where a part of it is missing."""
    function, file, line = NAMES[shown]
    table = Table()
    table[0xFFFF << 48 | 16] = Code(line, 0, text(function), text(file, is_end=True))
    names = PythonNames(table)
    assert [frame.text for frame in names.frames([0xFFFF << 48 | 17])] == [shown]
