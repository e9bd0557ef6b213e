"""The Python functions in the stacks of a real agent, against what the interpreters say."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.agent import pythons
from tests.agent.pythons import chain
from tests.agent.tracing import tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.bpf


def traced(pid: int, seconds: float, *flags: str) -> list[list[str]]:
    """The user frames of each stack of a process, the innermost one first."""
    with tracing("offcputime", "--pid", pid, *flags) as rows:
        time.sleep(seconds)
    stacks = [reversed(row["stack"].split(";")) for row in rows]
    return [[frame for frame in stack if not frame.endswith("_[k]")] for stack in stacks]


def is_in(functions: Sequence[str], stack: Sequence[str]) -> bool:
    """Whether all functions are in the stack, in this order."""
    frames = iter(stack)
    return all(function in frames for function in functions)


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_each_wait_has_its_python_functions(version: str) -> None:
    """Both threads' functions are there, 60 calls deep, and those that C code calls."""
    with chain([pythons.interpreter(version)], 0.01) as running:
        seen = traced(running.pid, 1, "--depth", "256")
        for stack in running.stacks:
            assert [each for each in seen if is_in(stack, each)], stack
    # A thread that is pushed off its CPU may be between the loop's start and its first function.
    naps = [stack for stack in seen if any("clock_nanosleep" in frame for frame in stack)]
    shown = [frame for stack in naps for frame in stack]
    assert not any("_PyEval_EvalFrameDefault" in frame for frame in shown)
    assert not any("[python]" in frame for frame in shown)


def test_a_process_in_its_own_pid_namespace() -> None:
    """Its threads know other ids than the host does, as in a container."""
    unshare = needs.program("unshare", "util-linux")
    command = (unshare, "--pid", "--fork", "--kill-child", pythons.interpreter("3.11"))
    with chain(command, 0.01) as running:
        seen = traced(running.pid, 1, "--depth", "256")
        for stack in running.stacks:
            assert [each for each in seen if is_in(stack, each)], stack


REPLACED = """
import time
number = 0
print("ready", flush=True)
while True:
    number += 1
    text = f"def inner_{number}(): time.sleep(0.0005)\\ndef outer_{number}(): inner_{number}()"
    names = {"time": time}
    exec(compile(text, f"file_{number}.py", "exec"), names)
    names[f"outer_{number}"]()
"""


def test_no_function_has_the_name_of_another_that_was_at_its_address() -> None:
    """Functions come and go at the same addresses: each wait has both names of one pair."""
    command = [pythons.interpreter("3.11"), "-c", REPLACED]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        stacks = traced(process.pid, 1)
        process.kill()
    pairs = {
        tuple(frame for frame in stack if frame.startswith(("inner_", "outer_")))
        for stack in stacks
    }
    pairs = {pair for pair in pairs if len(pair) == 2}
    assert len(pairs) > 50
    for inner, outer in pairs:
        number = inner.split()[0].partition("_")[2]
        assert (inner, outer) == (
            f"inner_{number} file_{number}.py:1",
            f"outer_{number} file_{number}.py:2",
        )
