"""The agent's own heap: what a compiler or a large file needed goes back to the system."""

import ctypes
import functools
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
_LARGE = 65536  # bytes


@functools.cache
def _libc() -> Any:
    """Return the C library if it is glibc, else None."""
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


def keep_small() -> None:
    """Use one heap for all threads, and separate memory for large objects, which can be freed."""
    if libc := _libc():
        for setting, value in (
            (_ARENA_MAX, 1),
            (_MMAP_THRESHOLD, _LARGE),
            (_TRIM_THRESHOLD, _LARGE),
        ):
            libc.mallopt(setting, value)


def give_back() -> None:
    """Release what is free in the heap."""
    if libc := _libc():
        libc.malloc_trim(0)
