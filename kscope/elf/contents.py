"""The bytes of a file, read where they are needed.

A file that is mapped into memory would be simpler, but its owner can shorten it at any time, and a
look behind its end then ends the whole agent (SIGBUS).
"""

import os
import stat
from pathlib import Path
from typing import Protocol, overload

from kscope.elf.errors import ElfError


class Contents(Protocol):
    """Bytes by position: `bytes`, a `memoryview`, a `FileContents`."""

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, key: int, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytes | memoryview: ...


class FileContents:
    """A regular file, open until `close`. Its length is the one that it had when it was opened."""

    def __init__(self, path: Path | str) -> None:
        """Open the file. Raises ElfError if it is missing, unreadable, or no regular file."""
        self._descriptor = -1
        try:
            # To open a pipe can block, and to open a device can act on it.
            _check_regular(os.stat(path))  # noqa: PTH116 - a hot path
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            found = os.fstat(self._descriptor)
        except OSError as error:
            raise ElfError(f"cannot be opened: {error.strerror}") from None
        _check_regular(found)
        self._length = found.st_size

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, key: int, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytes: ...
    def __getitem__(self, key: int | slice, /) -> int | bytes:
        """Read one byte, or a slice without a step. Raises ElfError if the file is shorter now."""
        if isinstance(key, int):
            return self._read(*slice(key, key + 1).indices(self._length)[:2])[0]
        return self._read(*key.indices(self._length)[:2])

    def _read(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        try:
            data = os.pread(self._descriptor, end - start, start)
        except OSError as error:
            raise ElfError(f"cannot be read: {error.strerror}") from None
        if len(data) < end - start:
            raise ElfError("became shorter while it was read")
        return data

    def close(self) -> None:
        """Close the file; further reads raise ElfError. A second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ElfError("is not a regular file")
