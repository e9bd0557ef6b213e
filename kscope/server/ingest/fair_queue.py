"""Bodies are decoded in short steps that take turns; bodies without faults have their own thread.

The work on one body is a generator. Between two steps it yields the lane of its next step.
"""

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")

# Steps of one body before the next body has its turn. A step takes a few milliseconds at most.
_STEPS = 4
# The lane of doubt pauses for this many times as long as it worked, so that wrong rows take at most
# a third of a processor, whatever the number of senders.
_PAUSE_FACTOR = 2.0


class Lane(Enum):
    """GOOD: no fault found so far, fast. DOUBT: a fault was found, slow to check."""

    GOOD = "good"
    DOUBT = "doubt"


Steps = Generator[Lane, None, T]


@dataclass(frozen=True)
class Done(Generic[T]):
    result: T


@dataclass
class FairQueue:
    """One thread per lane. More threads would only wait for the interpreter."""

    _good: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "good"))
    _doubt: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "doubt"))
    _resume_at: float = 0.0

    async def run(self, steps: Steps[T], *, small: bool = False) -> T:
        """Return the generator's result. The good steps of a small body need no thread."""
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
        # Before the work, so that an answer does not wait for the pause.
        time.sleep(max(0.0, self._resume_at - time.monotonic()))
        started = time.thread_time()
        try:
            return _turn(steps, Lane.DOUBT)
        finally:
            self._resume_at = time.monotonic() + _PAUSE_FACTOR * (time.thread_time() - started)


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
