"""Names of code that a JIT compiler wrote, from the perf map of its process.

V8 (`--perf-basic-prof`), the JVM, .NET, Erlang, LuaJIT and CPython (`-X perf`) write one: a line
for each piece of code, with its address and size in hex and its name.
"""

import functools
import os
import re
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kscope.agent.host import processes
from kscope.agent.stacks.code_names import CodeNames
from kscope.client.frames import frame_text

_MOST_BYTES = 64 * 1024 * 1024  # at the end of a file: what is in front of them is not read
_AT_ONCE = 4 * 1024 * 1024  # of one read; the rest comes with the next one
_PIECE = 1024 * 1024
_MOST_NAMES = 500_000
_MOST_MEMORY = 128 * 1024 * 1024  # for the names of all processes
_LONGEST_NAME = 1000
_LONGEST_REST = _LONGEST_NAME + 64  # of a line whose end is not written yet
_COMPARED = 64
_LARGEST = 1 << 48
_LINE = re.compile(
    rb"^(?:0x)?([0-9a-f]{1,16}) +(?:0x)?([0-9a-f]{1,16}) +(\S.{0,%d})" % (_LONGEST_NAME - 1),
    re.MULTILINE | re.IGNORECASE,
)


class Budget:
    """Bytes of memory that several maps share. Thread-safe."""

    def __init__(self, total: int) -> None:
        self._left = total
        self._changing = threading.Lock()

    def change(self, held: int, wanted: int) -> int:
        """Return how many of the bytes wanted the caller has from now on, in place of `held`."""
        with self._changing:
            granted = min(wanted, held + self._left)
            self._left += held - granted
            return granted


@functools.cache
def shared_budget() -> Budget:
    """Return the budget that all of this process's probes share."""
    return Budget(_MOST_MEMORY)


class PerfMap:
    """The map of one process, which grows while the process runs. `read` reads what is new.

    `places` returns the paths where the map of a process can be.
    """

    def __init__(
        self, pid: int, budget: Budget, places: Callable[[int], Iterable[Path]] | None = None
    ) -> None:
        self._pid = pid
        self._budget = budget
        self._held = 0
        self._places = places or _places
        self._file: tuple[int, int] | None = None
        self._at, self._last, self._rest = 0, b"", b""
        self._names = CodeNames()

    def read(self) -> None:
        """Read further. A file that is not the process's own, or older than it, is left alone."""
        for path in self._places(self._pid):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                if self._is_own(descriptor):
                    self._read_from(descriptor)
                    return
            except OSError:  # a disk or a mount that fails: the next read may do better
                return
            finally:
                os.close(descriptor)

    def name(self, address: int) -> str:
        """Return the name of the code at an address; '' if the map has none."""
        return frame_text(self._names.name(address).decode("utf-8", "replace").strip())

    def close(self) -> None:
        """Forget the names, and give their memory back to the budget."""
        self._start_over(0)

    def _is_own(self, descriptor: int) -> bool:
        """Process ids are used again, and anybody can write into /tmp."""
        found = os.fstat(descriptor)
        try:
            owner = os.stat(f"/proc/{self._pid}")  # noqa: PTH116 - a hot path
        except OSError:
            return False
        started = processes.started(self._pid)
        fresh = started is not None and found.st_mtime >= started - 1
        return stat.S_ISREG(found.st_mode) and found.st_uid in (owner.st_uid, 0) and fresh

    def _read_from(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != self._file or not self._continues(descriptor):
            self._file = found.st_dev, found.st_ino
            self._start_over(0)
        if found.st_size - self._at > _MOST_BYTES:
            self._start_over(found.st_size - _MOST_BYTES)
        end = min(found.st_size, self._at + _AT_ONCE)
        while self._at < end and (piece := os.pread(descriptor, _PIECE, self._at)):
            self._at += len(piece)
            self._last = (self._last + piece)[-_COMPARED:]
            self._add(piece)

    def _continues(self, descriptor: int) -> bool:
        """Return whether the file still has what was read last: a JVM writes over it in place."""
        return os.pread(descriptor, len(self._last), self._at - len(self._last)) == self._last

    def _start_over(self, at: int) -> None:
        self._names = CodeNames()
        self._held = self._budget.change(self._held, 0)
        self._at, self._last = at, b""
        # Inside a file, the first line may be without its first digits: this makes it no line.
        self._rest = b"-" if at else b""

    def _add(self, piece: bytes) -> None:
        whole, end, rest = piece.rpartition(b"\n")
        if end:
            self._names.add(_entries(self._rest + whole))
            self._rest = b""
            self._fit()
        self._rest = (self._rest + rest[:_LONGEST_REST])[:_LONGEST_REST]

    def _fit(self) -> None:
        """Forget the oldest names if they are too many, or larger than what the budget has left."""
        if len(self._names) > _MOST_NAMES:
            self._names.keep(_MOST_NAMES * 7 // 8)  # some more, so that this happens rarely
        size = self._names.size()
        self._held = self._budget.change(self._held, size)
        while size > self._held:
            self._names.keep(len(self._names) * self._held // size * 7 // 8)
            size = self._names.size()
        self._held = self._budget.change(self._held, size)


def _entries(lines: bytes) -> Iterator[tuple[int, int, bytes]]:
    for line in _LINE.finditer(lines):
        start, size = int(line[1], 16), int(line[2], 16)
        if start < _LARGEST and 0 < size < _LARGEST:
            yield start, start + size, line[3]


def _places(pid: int) -> Iterator[Path]:
    """Yield where the map can be: its name has the process id that the process itself sees."""
    inner = processes.namespace_pid(pid)
    yield Path(f"/proc/{pid}/root/tmp/perf-{inner}.map")
    yield Path(f"/tmp/perf-{pid}.map")  # noqa: S108 - where the programs write it
