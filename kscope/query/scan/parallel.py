"""Several parts of one question at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kscope.query.parse.errors import QueryError
from kscope.store.backends.errors import StoreError

Result = TypeVar("Result")
Fact = TypeVar("Fact")


async def together(*parts: Awaitable[Result]) -> list[Result]:
    """Return the results in order. If one part fails the others are cancelled and have ended.

    A TaskGroup would wrap the error, which the answer's status depends on.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def guessed(
    fact: Callable[[], Awaitable[Fact]], guess: Fact, ask: Callable[[Fact], Awaitable[Result]]
) -> Result:
    """Ask with a guess of a fact while the fact is read, and again if the guess was wrong."""

    async def read() -> Fact:
        # The question's statement takes longer: it goes first.
        await asyncio.sleep(0)
        return await fact()

    check = asyncio.ensure_future(read())
    try:
        answer = await ask(guess)
    except (StoreError, QueryError):
        if await check == guess:
            raise
    else:
        if await check == guess:
            return answer
    finally:
        check.cancel()
        await asyncio.gather(check, return_exceptions=True)
    return await ask(check.result())
