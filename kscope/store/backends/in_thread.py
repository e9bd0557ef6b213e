"""Work on many rows, which must not block the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

# Fewer rows take some ten milliseconds. In a thread they take a tenth longer, as threads share one
# interpreter.
_MANY = 25_000


async def in_thread(
    rows: int, work: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments
) -> Result:
    """Return the result of `work`, which runs in a thread if it is about many rows.

    In a thread without an event loop it runs there.
    """
    if rows < _MANY or not _has_loop():
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
