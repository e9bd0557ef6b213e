"""Several parts of one question at the same time."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


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
