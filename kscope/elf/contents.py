"""The bytes of a file, read where they are needed.

A file that is mapped into memory would be simpler, but its owner can shorten it at any time, and a
look behind its end then ends the whole agent (SIGBUS).
"""

import ctypes
import os
import stat
import struct
from pathlib import Path
from typing import Protocol, overload

from kscope.elf.errors import ElfError

# openat2(2) has one number on all machines; Linux has it since 5.6. Symbolic links in the folder of
# a container are those of its user: they must lead to the container's own files.
_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_OPEN_HOW = struct.Struct("=QQQ")


class Contents(Protocol):
    """Bytes by position: `bytes`, a `memoryview`, a `FileContents`."""

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, key: int, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytes | memoryview: ...


class FileContents:
    """A regular file, open until `close`. Its length is the one that it had when it was opened."""

    def __init__(self, path: Path | str, root: str = "") -> None:
        """Open the file, as a process sees it whose root is the folder `root`, such as
        /proc/1/root. Raises ElfError if it is missing, unreadable, or no regular file.
        """
        self._descriptor = -1
        try:
            # To open a pipe can block, to open a device can act on it: this opens the name alone.
            name = _open_in(root, str(path)) if root else os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                if not stat.S_ISREG(os.fstat(name).st_mode):
                    raise ElfError("is not a regular file")
                self._descriptor = os.open(f"/proc/self/fd/{name}", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                os.close(name)
            found = os.fstat(self._descriptor)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "the path has a zero byte"
            raise ElfError(f"cannot be opened: {reason}") from None
        self._length = found.st_size
        self.identity = _identity(found)

    @property
    def path(self) -> str:
        """Where the file is; with ` (deleted)` behind it if it is there no more. Raises OSError."""
        return os.readlink(f"/proc/self/fd/{self._descriptor}")  # noqa: PTH115 - a hot path

    def is_unchanged(self) -> bool:
        """Return whether the file is as it was when it was opened; a copy can overwrite it."""
        try:
            return _identity(os.fstat(self._descriptor)) == self.identity
        except OSError:
            return False

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


def _identity(found: os.stat_result) -> tuple[int, ...]:
    """Return what differs between two files, and between the contents of one."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _open_in(root: str, path: str) -> int:
    """Return a descriptor for the name. No link of the folder leads out of it. Raises OSError."""
    how = _OPEN_HOW.pack(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        found: int = libc.syscall(_OPENAT2, folder, os.fsencode(path), how, len(how))
        if found < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(folder)
    return found
