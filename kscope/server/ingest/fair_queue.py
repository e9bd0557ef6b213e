"""Work on bodies, a little at a time: those without faults first, and each in its turn.

One body's work is a generator. Between two steps it yields the lane that its next step belongs to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")

# Steps of one body before it is another's turn. Each takes a few milliseconds at most.
_STEPS = 4
# The lane of doubt rests this many times as long as it worked, so that wrong rows take a third of
# a processor at most from good ones, whatever the number of senders.
_RESTS = 2.0


class Lane(Enum):
    """Good: what is quick, and right as far as it was read. Doubt: what is slow to judge."""

    GOOD = "good"
    DOUBT = "doubt"


Steps = Generator[Lane, None, T]


@dataclass(frozen=True)
class Done(Generic[T]):
    result: T


@dataclass
class FairQueue:
    """A thread for good bodies, and one for doubt. More would only wait for the interpreter."""

    _good: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "good"))
    _doubt: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "doubt"))
    _rested: float = 0.0

    async def run(self, steps: Steps[T], *, small: bool = False) -> T:
        """Return what the generator returns. A small body's good steps are done at once."""
        state: Lane | Done[T] = Lane.GOOD
        if small:
            state = _turn(steps, Lane.GOOD, _STEPS * _STEPS)
        while isinstance(state, Lane):
            state = await self._in_thread(steps, state)
        return state.result

    async def _in_thread(self, steps: Steps[T], lane: Lane) -> Lane | Done[T]:
        loop = asyncio.get_running_loop()
        if lane is Lane.DOUBT:
            return await loop.run_in_executor(self._doubt, self._doubtful_turn, steps)
        return await loop.run_in_executor(self._good, _turn, steps, lane)

    def _doubtful_turn(self, steps: Steps[T]) -> Lane | Done[T]:
        # Before the work, so that an answer does not wait for a rest.
        time.sleep(max(0.0, self._rested - time.monotonic()))
        started = time.thread_time()
        try:
            return _turn(steps, Lane.DOUBT)
        finally:
            self._rested = time.monotonic() + _RESTS * (time.thread_time() - started)


def _turn(steps: Steps[T], lane: Lane, most: int = _STEPS) -> Lane | Done[T]:
    following = lane
    try:
        for _ in range(most):
            following = next(steps)
            if following is not lane:
                break
    except StopIteration as end:
        return Done(end.value)
    return following
