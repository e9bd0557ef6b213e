"""How many may read at a time."""

from __future__ import annotations

import asyncio

from kscope.store.backends.errors import NoReader


class Slots:
    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self.taken = 0

    async def take(self, until: float) -> None:
        """Wait for one until a moment of the loop's clock; raises NoReader."""
        try:
            async with asyncio.timeout_at(until):
                await self._free.acquire()
        except TimeoutError:
            raise NoReader from None
        self.taken += 1

    def give_back(self) -> None:
        self.taken -= 1
        self._free.release()
