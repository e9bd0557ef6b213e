"""Interpreters of this machine, and programs that run on them whose Python stacks are known."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from kscope.agent.host import processes
from kscope.agent.stacks.mappings import executable
from kscope.agent.stacks.python import Python, python_in
from kscope.agent.stacks.walk import FILE_BIT, PYTHON
from kscope.elf.image import Image
from tests.workloads import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
_KEPT = 112
_BORDER = 3


def interpreter(version: str) -> str:
    """Skip the test without an interpreter of this version, in the path or of pyenv."""
    pyenv = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python3"))
    found = [shutil.which(f"python{version}"), *map(str, pyenv)]
    chosen = next((each for each in found if each and _is(each, version)), None)
    if chosen is None:
        pytest.skip(f"there is no CPython {version}")
    return chosen


def _is(path: str, version: str) -> bool:
    """A shim of pyenv is there for versions that are not."""
    command = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout.strip() == version


@dataclass
class Chain:
    """chain.py in a process; `threads` has the functions of each thread, the innermost first."""

    pid: int
    threads: dict[str, list[str]]

    @property
    def stacks(self) -> list[list[str]]:
        return [[shown(each) for each in stack] for stack in self.threads.values()]


def shown(function: str) -> str:
    """A function as the agent shows it: 112 bytes of its name."""
    name, _, place = function.partition(" ")
    return f"{name if len(name) <= _KEPT else name[:_KEPT] + '...'} {place}"


@contextlib.contextmanager
def chain(command: Sequence[str], seconds: float, *arguments: str) -> Iterator[Chain]:
    """Run it with an interpreter, or with one that other commands start."""
    command = [*command, str(FOLDER / "chain.py"), str(seconds), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = json.loads(process.stdout.readline())
        # It may know its own id only in its namespace.
        pids = [process.pid, *processes.descendants(process.pid)]
        try:
            yield Chain(pids[-1], said)
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGKILL)


def python_of(pid: int) -> tuple[Python, int]:
    """The interpreter of a process, and the base from which its addresses count."""
    for mapping in executable(pid):
        path = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
        if mapping.in_file and (found := python_in(Image(Path(path).read_bytes()))):
            return found, mapping.start - mapping.offset
    raise AssertionError(f"{pid} runs no CPython that is known")


class Text(ctypes.Structure):
    """`struct ks_python_text`."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
        ("start", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("bytes", ctypes.c_uint8 * _KEPT),
    )


class Code(ctypes.Structure):
    """`struct ks_python_code`."""

    _fields_ = (
        ("line", ctypes.c_uint32),
        ("is_shim", ctypes.c_uint32),
        ("name", Text),
        ("file", Text),
    )


def text(string: str, *, is_end: bool = False) -> Text:
    """Return the part of a string that the BPF program keeps."""
    widest = max(map(ord, string), default=0)
    kind = 1 + (widest > 0xFF) + 2 * (widest > 0xFFFF)
    data = string.encode({1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[kind])
    start = max(0, len(data) - _KEPT) if is_end else 0
    part = data[start : start + _KEPT]
    return Text(len(string), kind << 2, start, len(part), (ctypes.c_uint8 * _KEPT)(*part))


class Memory:
    """Reads from /proc/PID/mem. What cannot be read is empty, or 0: the process can have ended."""

    def __init__(self, pid: int) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, address: int, size: int) -> bytes:
        """Return the bytes at an address, fewer if the mapping ends there, none on errors."""
        try:
            return os.pread(self._descriptor, size, address)
        except (OSError, OverflowError):
            return b""

    def word(self, address: int) -> int:
        """Return the 64-bit word at an address; 0 if it cannot be read."""
        data = self.read(address, 8)
        return int.from_bytes(data, "little") if len(data) == 8 else 0


class Table:
    """The map `ks_python_codes`, as far as PythonNames uses it."""

    def __init__(self) -> None:
        self._codes: dict[int, Code] = {}

    def items(self) -> Iterator[tuple[ctypes.c_uint64, Code]]:
        return ((ctypes.c_uint64(frame), code) for frame, code in self._codes.items())

    def __setitem__(self, frame: int, code: Code) -> None:
        self._codes[frame] = code

    def __delitem__(self, frame: ctypes.c_uint64) -> None:
        del self._codes[frame.value]


class Walker:
    """The walk of python.h, through /proc/PID/mem. `table` is what `ks_python_codes` would be."""

    def __init__(self, pid: int) -> None:
        python, self._base = python_of(pid)
        self._layout = python.layout
        self._memory = Memory(pid)
        self.table = Table()

    def stacks(self) -> dict[int, list[int]]:
        """The frames of each thread by the thread's id, the innermost frame first."""
        found = {}
        with self._memory:
            word, layout = self._memory.word, self._layout
            interpreter = word(self._base + layout.runtime + layout.interpreters)
            while interpreter:
                thread = word(interpreter + layout.threads)
                while thread:
                    found[word(thread + layout.native_id)] = self._frames(thread)
                    thread = word(thread + layout.next_thread)
                interpreter = word(interpreter + layout.next_interpreter)
        return found

    def _frames(self, thread: int) -> list[int]:
        word, layout = self._memory.word, self._layout
        frame = word(thread + layout.frame)
        if layout.in_cframe != 0xFFFF:
            frame = word(frame + layout.in_cframe)
        found: list[int] = []
        while frame:
            owner = self._memory.read(frame + layout.owner, 1)[0]
            code = word(frame + (32 if layout.is_entry else 0)) & ~7
            if not layout.is_entry and owner >= _BORDER:
                found[-1] |= 1
            else:
                found.append(self._kept(code) | (layout.is_entry and owner))
            frame = word(frame + (48 if layout.is_entry else 8))
        return found

    def _kept(self, code: int) -> int:
        file, name, qualname = (self._memory.word(code + at) for at in (112, 120, 128))
        assert self._memory.word(code + 8) == self._base + self._layout.code_type
        line = int.from_bytes(self._memory.read(code + self._layout.line, 4), "little")
        frame = PYTHON << FILE_BIT | code
        texts = self._text(qualname, is_end=False), self._text(file, is_end=True)
        self.table[frame] = Code(line, file == name, *texts)
        return frame

    def _text(self, address: int, *, is_end: bool) -> Text:
        length = self._memory.word(address + 16)
        state = int.from_bytes(self._memory.read(address + 32, 4), "little")
        size = length * (state >> 2 & 7)
        start = max(0, size - _KEPT) if is_end else 0
        head = self._layout.ascii if state & 64 else self._layout.compact
        data = self._memory.read(address + head + start, min(size, _KEPT))
        return Text(length, state, start, len(data), (ctypes.c_uint8 * _KEPT)(*data))
