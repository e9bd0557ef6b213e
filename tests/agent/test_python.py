"""The Python functions of other processes, against what the interpreters say of themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kscope.agent.stacks.python import python_process
from kscope.agent.stacks.python_names import PythonNames
from tests.agent import pythons
from tests.agent.pythons import Code, Table, Walker, chain, text

if TYPE_CHECKING:
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
    process = python_process(pid)
    assert process
    walker = Walker(process)
    found = walker.stacks()
    assert {*found} <= {int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()}
    names = PythonNames(walker.table)
    names.collect()
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


def test_a_process_that_runs_something_else() -> None:
    """A process without CPython, and one that has ended, are none of ours."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        assert python_process(process.pid) is None
        process.kill()
        process.wait()
        assert python_process(process.pid) is None


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
    names.collect()
    assert [frame.text for frame in names.frames([0xFFFF << 48 | 17])] == [shown]
