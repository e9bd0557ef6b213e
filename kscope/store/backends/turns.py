"""Work that several tasks do side by side, and work that none of them may be in the middle of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kscope.store.backends.errors import StoreBusy


@dataclass(eq=False)
class Turns:
    """Lets any number in together, or one alone, in the order in which they come."""

    _door: asyncio.Lock = field(default_factory=asyncio.Lock)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)
    _together: int = 0

    @asynccontextmanager
    async def together(self, patience: float) -> AsyncIterator[None]:
        """Raises StoreBusy if what others do alone takes longer than `patience` in seconds."""
        try:
            async with asyncio.timeout(patience), self._door:
                self._together += 1
        except TimeoutError:
            raise StoreBusy("a change of the database takes long: send again", 5) from None
        try:
            yield
        finally:
            self._together -= 1
            if not self._together:
                self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._door:
            while self._together:
                self._empty.clear()
                await self._empty.wait()
            yield
