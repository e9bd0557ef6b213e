"""The Python functions that the BPF program collects, against what the interpreters say."""

from __future__ import annotations

import ctypes
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kscope.agent.host import header_tree, kernel
from kscope.agent.host.btf import member_offsets
from kscope.agent.host.libbcc import attach_named, compiled
from kscope.agent.stacks.python import MEMBERS
from kscope.agent.stacks.python_names import PythonNames
from tests import needs
from tests.agent import pythons
from tests.agent.pythons import chain
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.bpf
PYTHON_H = ROOT / "kscope" / "agent" / "engines" / "python.h"
BEFORE = """
#include <uapi/linux/ptrace.h>
#define KS_ROOM 256
struct ks_walk { u64 n; u64 frames[KS_ROOM]; };
BPF_ARRAY(empty, struct ks_walk, 1);
BPF_PERCPU_ARRAY(walks, struct ks_walk, 1);
BPF_HASH(stacks, struct ks_walk, u64, 4096);
"""
AFTER = """
TRACEPOINT_PROBE(sched, sched_switch)
{
    int zero = 0;
    u64 one = 1;
    struct ks_walk *walk = walks.lookup(&zero), *none = empty.lookup(&zero);
    if (bpf_get_current_pid_tgid() >> 32 != PID || !walk || !none)
        return 0;
    bpf_probe_read_kernel(walk, sizeof(*walk), none);
    ks_python_walk(walk, 7, BASE);
    stacks.update(walk, &one);
    return 0;
}
"""


class Walks:
    """The Python stacks of a process at each of its waits, read again at each call."""

    def __init__(self, bpf: Any) -> None:
        self._bpf = bpf
        self._names = PythonNames(bpf["ks_python_codes"])

    def stacks(self) -> list[list[str]]:
        walks = [list(walk.frames[: walk.n]) for walk in self._bpf["stacks"]]
        return [[frame.text for frame in self._names.frames(walk)] for walk in walks]


@contextmanager
def walks(pid: int) -> Iterator[Walks]:
    python, base = pythons.python_of(pid)
    kernel.mount_tracefs()
    text = BEFORE + PYTHON_H.read_text() + AFTER
    offsets = member_offsets(MEMBERS.values())
    flags = [f"-D{name}={offsets[path]}" for name, path in MEMBERS.items()]
    flags += [f"-DPID={pid}", f"-DBASE={base}ULL"]
    bpf = compiled(Path("python.c"), text, flags, header_tree.tracepoint_headers())
    layouts = bpf["ks_python_layouts"]
    assert ctypes.sizeof(layouts.Leaf) == ctypes.sizeof(python.layout)
    layouts[ctypes.c_uint(7)] = layouts.Leaf.from_buffer_copy(python.layout)
    attach_named(Path("python.c"), bpf)
    try:
        yield Walks(bpf)
    finally:
        bpf.cleanup()


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_each_wait_has_its_python_functions(version: str) -> None:
    """Both threads' functions are there, 60 calls deep, and those that C code calls."""
    with chain([pythons.interpreter(version)], 0.01) as running, walks(running.pid) as seen:
        wait_for(running.stacks, seen)
        assert [stack for stack in seen.stacks() if "" in stack] == []


def wait_for(stacks: list[list[str]], seen: Walks) -> None:
    end = time.monotonic() + 30
    while not all(stack in seen.stacks() for stack in stacks):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_process_in_its_own_pid_namespace() -> None:
    """Its threads know other ids than the host does, as in a container."""
    unshare = needs.program("unshare", "util-linux")
    python = pythons.interpreter("3.11")
    command = (unshare, "--pid", "--fork", "--kill-child", python)
    with chain(command, 0.01) as running, walks(running.pid) as seen:
        wait_for(running.stacks, seen)


PAIRS = 50
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
        with walks(process.pid) as seen:
            pairs: set[tuple[str, ...]] = set()
            end = time.monotonic() + 30
            while len(pairs) < PAIRS:
                assert time.monotonic() < end
                time.sleep(0.05)
                pairs = {tuple(each[:2]) for each in seen.stacks() if len(each) > 2}
        process.kill()
    numbers = [[part.split()[0].partition("_")[2] for part in pair] for pair in pairs]
    for number, other in numbers:
        assert number == other
    assert {f"inner_{number} file_{number}.py:1" for number, _ in numbers} == {
        inner for inner, _ in pairs
    }
