"""The memory that all request bodies together may use while they are handled."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kscope.server.http.problems import HttpProblem

# A request that uses no more than this part of the budget is small. The last quarter is for small
# ones only, so that a few large or slow bodies do not keep agents out.
_SMALL_PART = 1 / 32
_LARGE_PART = 3 / 4


class Budget:
    """`limit` is in bytes. Used from any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()

    @contextmanager
    def share(self) -> "Iterator[Share]":
        """Yield one request's share, which is returned at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.give(share.held)

    def bound(self, held: int) -> float:
        """Return the bytes that all may use if one request uses `held`."""
        small = held <= self._limit * _SMALL_PART
        return self._limit if small else self._limit * _LARGE_PART

    def change(self, count: int, held: int) -> bool:
        """Add `count` bytes if they fit; the request then uses `held`. Return whether they fit."""
        with self._lock:
            fits = count < 0 or self._used + count <= self.bound(held)
            self._used += count if fits else 0
        return fits


class Share:
    """The bytes of the budget that one request uses."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, count: int) -> None:
        """Use `count` more bytes. Raise 503 if they do not fit now, 413 if they never do."""
        held = self.held + count
        if held > self._budget.bound(held):
            raise HttpProblem(
                413,
                "the body's rows use more memory than the server allows: send fewer rows at a time",
                headers={"Connection": "close"},
            )
        if not self._budget.change(count, held):
            raise HttpProblem(
                503,
                "the server is handling many bodies: send later",
                headers={"Retry-After": "1", "Connection": "close"},
            )
        self.held = held

    def give(self, count: int) -> None:
        """Return `count` bytes."""
        self._budget.change(-count, 0)
        self.held -= count
