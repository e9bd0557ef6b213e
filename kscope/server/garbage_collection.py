"""Full garbage collections: rarely, and if possible not while a request is answered.

A full collection holds the interpreter, and so the event loop, for 0.2 s if the parts of a large
answer are among the objects.
"""

import asyncio
import gc
import resource
from collections.abc import Callable

# Rows and stacks are some ten thousand tuples, none of them in a cycle. To examine them every 700
# objects takes a tenth of the time of a large answer.
_YOUNG, _MIDDLE = 50_000, 2
_NEVER = 1_000_000
# Seconds between two full collections, until one no longer waits for an idle moment, and between
# two checks of the memory.
_PAUSE, _LONGEST_WAIT = 60, 660
_SECOND = 1.0
_PAGE = resource.getpagesize()
# If the memory has grown by this much, a collection does not wait: it may be objects in cycles.
_GROWTH = 128 << 20


def collect_young_only() -> None:
    """From now on the interpreter collects only young objects by itself."""
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)


async def collect_when_idle(busy: Callable[[], bool]) -> None:
    """Collect all objects once a minute, while no request is being answered. Never returns.

    Under steady load this happens after 11 minutes, or when the process has grown by 128 MiB.
    """
    while True:
        await _until_idle(busy)
        gc.collect()


async def _until_idle(busy: Callable[[], bool]) -> None:
    before = _resident()
    for second in range(_LONGEST_WAIT):
        await asyncio.sleep(_SECOND)
        if _resident() - before > _GROWTH or (second >= _PAUSE and not busy()):
            return


def _resident() -> int:
    """Return the resident memory of this process in bytes."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - once a second
        return int(statm.read().split()[1]) * _PAGE
