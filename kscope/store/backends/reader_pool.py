"""Read-only connections that are lent until a deadline, and interrupted there."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from kscope.store.backends.errors import NoReader, QueryTimeout

_AGAIN_SECONDS = 0.05


class Lent(ABC):
    """A connection that a pool lends."""

    @abstractmethod
    def interrupt(self) -> None:
        """Cancel what the connection does. It is called again while the connection is in use."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait, while it is interrupted, until the connection is idle."""

    @abstractmethod
    async def give_back(self) -> None: ...


Connection = TypeVar("Connection", bound=Lent)


class ReaderPool(Generic[Connection]):
    """Up to `count` connections at a time, each from `connect`, which gets the deadline.

    A connection is interrupted `grace` seconds after its deadline: a database that cancels
    statements by itself gets that time.
    """

    def __init__(
        self, count: int, connect: Callable[[float], Awaitable[Connection]], grace: float = 0.0
    ) -> None:
        self._free = asyncio.Semaphore(count)
        self._connect = connect
        self._grace = grace
        self._settling: set[asyncio.Task[None]] = set()
        self.busy = 0
        self.lent: set[Connection] = set()

    @asynccontextmanager
    async def lend(self, until: float) -> AsyncIterator[Connection]:
        """Lend a connection until `until`, a time of the event loop's clock.

        Raises NoReader if none is free until then. If the block is cut short, the connection is
        interrupted and settles in the background before it is lent again.
        """
        await self._take(until)
        try:
            connection = await self._connect(until)
        except BaseException:
            self._release()
            raise
        self.lent.add(connection)
        interrupts = asyncio.create_task(_interrupt(connection, until + self._grace))
        is_cut = False
        try:
            yield connection
        except (asyncio.CancelledError, GeneratorExit, QueryTimeout):
            is_cut = True
            raise
        finally:
            interrupts.cancel()
            if is_cut:
                self._settle_in_background(connection)
            else:
                await self._take_back(connection)

    async def close(self) -> None:
        """Wait for connections that settle."""
        if self._settling:
            await asyncio.wait(self._settling)

    async def _take(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._free.acquire()
        except TimeoutError:
            raise NoReader from None
        self.busy += 1

    def _release(self) -> None:
        self.busy -= 1
        self._free.release()

    async def _take_back(self, connection: Connection) -> None:
        self.lent.discard(connection)
        try:
            await connection.give_back()
        finally:
            self._release()

    def _settle_in_background(self, connection: Connection) -> None:
        task = asyncio.create_task(self._settle(connection))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, connection: Connection) -> None:
        interrupts = asyncio.create_task(_interrupt(connection, 0))
        await connection.settle()
        interrupts.cancel()
        await self._take_back(connection)


async def _interrupt(connection: Lent, start: float) -> None:
    """From `start` (event loop time) on, interrupt a connection repeatedly until cancelled.

    A statement that waits for its turn in the connection's thread cannot be
    interrupted yet.
    """
    await asyncio.sleep(start - asyncio.get_running_loop().time())
    while True:
        connection.interrupt()
        await asyncio.sleep(_AGAIN_SECONDS)
