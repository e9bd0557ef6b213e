"""Requests start a few at a time, so that the event loop also serves other connections."""

import asyncio
from collections import deque
from collections.abc import Callable

# Requests that one listener starts in one iteration of the event loop.
_AT_A_TIME = 4


class StartQueue:
    """The requests of one listener that have not started, in order of arrival."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()

    def add(self, start: Callable[[], object]) -> None:
        """Call `start` in one of the next iterations of the running loop."""
        self._waiting.append(start)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        for _ in range(min(_AT_A_TIME, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
