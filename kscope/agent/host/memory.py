"""The memory of a process."""

import contextlib
import os
from typing import Self


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
