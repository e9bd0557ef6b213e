"""The memory that all request bodies together may use while they are handled."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from kscope.server.http.problems import HttpProblem

# A request that uses no more than this part of the budget is small. The last quarter is for small
# ones only, so that a few large or slow bodies do not keep agents out.
_SMALL_PART = 1 / 32
_LARGE_PART = 3 / 4
# A number for each process, in a process alone or in memory that several share.
Words = list[int] | memoryview


class FullMemoryProblem(HttpProblem):
    """The bodies under way use all the memory that they may."""

    reason: ClassVar[str] = "full memory"


class Budget:
    """`limit` is in bytes. Used from any thread.

    Processes that share a budget have `parts` in common memory, each its `place` in them. No lock
    keeps them apart: while each takes a piece at the same moment, they are over by those pieces.
    """

    def __init__(self, limit: int, parts: Words | None = None, place: int = 0) -> None:
        self.limit = limit
        self._parts = [0] if parts is None else parts
        self._place = place
        self.lock = threading.Lock()

    @property
    def used(self) -> int:
        """Return the bytes that all processes use."""
        return sum(self._parts)

    def add(self, count: int) -> None:
        """Count so many more bytes as used by this process. The caller holds the lock."""
        self._parts[self._place] += count

    @contextmanager
    def share(self) -> "Iterator[Share]":
        """Yield one request's share, which is returned at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.give(share.held)


class Share:
    """The bytes of the budget that one request uses."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, count: int) -> None:
        """Use `count` more bytes. Raise 503 if they do not fit now, 413 if they never do."""
        budget, held = self._budget, self.held + count
        small = held <= budget.limit * _SMALL_PART
        most = budget.limit if small else budget.limit * _LARGE_PART
        if held > most:
            raise HttpProblem(
                413,
                "the body's rows use more memory than the server allows: send fewer rows at a time",
                headers={"Connection": "close"},
            )
        with budget.lock:
            if budget.used + count > most:
                raise FullMemoryProblem(
                    503,
                    "the server is handling many bodies: send later",
                    headers={"Retry-After": "1", "Connection": "close"},
                )
            budget.add(count)
        self.held = held

    def give(self, count: int) -> None:
        """Return `count` bytes."""
        with self._budget.lock:
            self._budget.add(-count)
        self.held -= count
