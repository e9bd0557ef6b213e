"""One ping of the database for all clients that ask whether it is ready, at the same time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kscope.store.backends.errors import StoreError

_PERIOD_SECONDS = 1.0
_PER_PERIOD = 4


@dataclass
class Pings:
    """Run `ping` at most once at a time and four times a second; otherwise use its last result."""

    ping: Callable[[], Awaitable[None]]
    _latest: asyncio.Task[StoreError | None] | None = field(default=None, init=False)
    _starts: deque[float] = field(default_factory=lambda: deque(maxlen=_PER_PERIOD), init=False)

    async def ask(self) -> None:
        """Raise the StoreError of the running or the last ping, which is at most a second old."""
        if self._latest is None or (self._latest.done() and self._may_start()):
            self._starts.append(_now())
            self._latest = asyncio.create_task(self._outcome())
        # A client that disconnects must not cancel the ping of the others.
        error = await asyncio.shield(self._latest)
        if error is not None:
            raise error.with_traceback(None)

    async def close(self) -> None:
        """Wait for the running ping."""
        if self._latest is not None:
            await asyncio.wait([self._latest])

    async def _outcome(self) -> StoreError | None:
        try:
            await self.ping()
        except StoreError as error:
            return error
        return None

    def _may_start(self) -> bool:
        return len(self._starts) < _PER_PERIOD or _now() - self._starts[0] >= _PERIOD_SECONDS


def _now() -> float:
    return asyncio.get_running_loop().time()
