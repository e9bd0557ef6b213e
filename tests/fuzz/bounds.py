"""Bounds of this process while it is fuzzed: processor time of one input, and memory of all."""

from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# Processor seconds of one input, of some kilobytes: those of a slow machine.
MOST_SECONDS = 20
# Addresses of the process. Its own code, libraries and threads have a part of it.
MOST_BYTES = 4 << 30
# That memory may grow by, once each right input has been read.
MOST_GROWTH_MIB = 300


class HangError(BaseException):
    """An input took too much processor time."""


class GrowthError(BaseException):
    """Memory grew from input to input."""


def limit() -> None:
    """Set the bounds of this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGVTALRM, _too_slow)


def _too_slow(_signal: int, _frame: FrameType | None) -> None:
    raise HangError(f"an input took more than {MOST_SECONDS} seconds of processor time")


@contextmanager
def timed() -> Iterator[None]:
    """Raise HangError if what is done within takes too much processor time."""
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class Growth:
    """The memory of this process, from its creation on."""

    def __init__(self) -> None:
        self._first = _held()

    def check(self) -> None:
        """Raise GrowthError if it grew too much."""
        grown = _held() - self._first
        if grown > MOST_GROWTH_MIB:
            raise GrowthError(f"the process holds {grown} MiB more than after the first inputs")


def _held() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
