"""The room that all bodies together may take up while they are being handled."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kscope.server.http.problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

# A request that holds no more than this part of the room is small. The last quarter of the room is
# for small ones alone: a few large or slow bodies do not keep agents out.
_SMALL_PART = 1 / 32
_LARGE_PART = 3 / 4


class Budget:
    """What all bodies together may take up. Threads that decompress count here as well."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()

    @contextmanager
    def share(self) -> Iterator[Share]:
        share = Share(self)
        try:
            yield share
        finally:
            share.release()

    def most(self, held: int) -> float:
        """Return what all may take up if one of them holds this much."""
        small = held <= self._limit * _SMALL_PART
        return self._limit if small else self._limit * _LARGE_PART

    def change(self, count: int, held: int) -> bool:
        """Tell whether there was room for it; `held` is what the request holds with it."""
        with self._lock:
            fits = count < 0 or self._used + count <= self.most(held)
            self._used += count if fits else 0
        return fits


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    @property
    def held(self) -> int:
        return self._held

    def take(self, count: int) -> None:
        """Raise 503 if there is no room now, 413 if there never is."""
        held = self._held + count
        if held > self._budget.most(held):
            raise HttpProblem(
                413,
                "the body's rows take up more room than there is: send fewer rows at a time",
                headers={"Connection": "close"},
            )
        if not self._budget.change(count, held):
            raise HttpProblem(
                503,
                "many bodies are being taken in: send later",
                headers={"Retry-After": "1", "Connection": "close"},
            )
        self._held = held

    def give(self, count: int) -> None:
        """Give back a part."""
        self._budget.change(-count, 0)
        self._held -= count

    def release(self) -> None:
        self.give(self._held)
