"""The tables of a question while they are read, a few at a time; some may fail."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from kscope.query.across.question import TableScope
from kscope.query.parse.errors import QueryError
from kscope.query.parse.scope import Scope

T = TypeVar("T")


class Tables(Generic[T]):
    """Each table as `read_one` reads it, by name, or the reason why it does not."""

    def __init__(self, read_one: Callable[[Scope], Awaitable[T]], at_once: int) -> None:
        self.read: dict[str, T] = {}
        self.failed: dict[str, str] = {}
        self._read_one = read_one
        # Other questions need readers too.
        self._room = asyncio.Semaphore(at_once)

    async def add(self, table: TableScope) -> None:
        """Read one more table."""
        async with self._room:
            try:
                self.read[table.category.table] = await self._read_one(table.scope)
            except QueryError as error:
                self.failed[table.category.table] = str(error)
