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
        self.limit = limit
        self.used = 0
        self.lock = threading.Lock()

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
                raise HttpProblem(
                    503,
                    "the server is handling many bodies: send later",
                    headers={"Retry-After": "1", "Connection": "close"},
                )
            budget.used += count
        self.held = held

    def give(self, count: int) -> None:
        """Return `count` bytes."""
        with self._budget.lock:
            self._budget.used -= count
        self.held -= count
