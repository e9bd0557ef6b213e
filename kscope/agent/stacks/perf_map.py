"""Names of code that a JIT compiler wrote, from the perf map of its process.

V8 (`--perf-basic-prof`), the JVM, .NET, Erlang, LuaJIT and CPython (`-X perf`) write one: a line
for each piece of code, with its address and size in hex and its name.
"""

import bisect
import os
import stat
from array import array
from collections.abc import Iterator
from pathlib import Path

from kscope.agent.host import processes
from kscope.agent.rows.convert import frame_text

_MOST_BYTES = 64 * 1024 * 1024
_MOST_NAMES = 500_000
_LONGEST_NAME = 1000
_LARGEST = 1 << 48


class PerfMap:
    """The map of one process, which grows while the process runs. `read` reads what is new."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._at = 0
        self._file: tuple[int, int] | None = None
        self._rest = b""
        self._found: dict[int, tuple[int, str]] = {}
        self._starts: array[int] = array("Q")

    def read(self) -> None:
        """Read further. A file that is not the process's own, or older than it, is left alone."""
        for path in _places(self._pid):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                if self._is_own(descriptor):
                    self._read_from(descriptor)
                    return
            finally:
                os.close(descriptor)

    def name(self, address: int) -> str:
        """Return the name of the code at an address; '' if the map has none."""
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0:
            return ""
        start = self._starts[at]
        size, name = self._found[start]
        return name if address < start + size else ""

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
        if (found.st_dev, found.st_ino) != self._file or found.st_size < self._at:
            self._file, self._at, self._rest = (found.st_dev, found.st_ino), 0, b""
            self._found.clear()
        size = min(found.st_size, _MOST_BYTES) - self._at
        if size <= 0:
            return
        data = os.pread(descriptor, size, self._at)
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:_LONGEST_NAME]
        for start, length, name in _entries(lines):
            # The code that was written last is there now.
            if len(self._found) < _MOST_NAMES or start in self._found:
                self._found[start] = (length, name)
        self._starts = array("Q", sorted(self._found))


def _entries(lines: list[bytes]) -> Iterator[tuple[int, int, str]]:
    for line in lines:
        fields = line.split(b" ", 2)
        try:
            start, size = int(fields[0], 16), int(fields[1], 16)
            name = fields[2][:_LONGEST_NAME].decode("utf-8", "replace").strip()
        except (ValueError, IndexError):
            continue
        if 0 <= start < _LARGEST and 0 < size < _LARGEST and name:
            yield start, size, frame_text(name)


def _places(pid: int) -> Iterator[Path]:
    """Yield where the map can be: its name has the process id that the process itself sees."""
    inner = processes.namespace_pid(pid)
    yield Path(f"/proc/{pid}/root/tmp/perf-{inner}.map")
    yield Path(f"/tmp/perf-{pid}.map")  # noqa: S108 - where the programs write it
