"""The room that all bodies together may take up while they are being handled."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kscope.server.problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import Iterator


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

    def change(self, count: int) -> bool:
        """Tell whether there was room for it."""
        with self._lock:
            fits = count < 0 or self._used + count <= self._limit
            self._used += count if fits else 0
        return fits


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    def take(self, count: int) -> None:
        """Raise 503 where there is no room."""
        if not self._budget.change(count):
            raise HttpProblem(
                503,
                "many bodies are being taken in: send later",
                headers={"Retry-After": "1", "Connection": "close"},
            )
        self._held += count

    def release(self) -> None:
        self._budget.change(-self._held)
        self._held = 0
