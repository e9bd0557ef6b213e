"""When the interpreter looks for objects in cycles: rarely, and if possible not while it answers.

A look at all objects holds the interpreter, and so the event loop, for 0.2 s if there are the parts
of a large answer among them.
"""

from __future__ import annotations

import asyncio
import gc
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Rows and stacks are some ten thousand tuples at a time, none of them in a cycle: to look through
# them every 700 takes a tenth of the time of a large answer. Two such parts are seen again once.
_YOUNG, _MIDDLE = 50_000, 2
_NEVER = 1_000_000
# In seconds: between two looks at all objects, how long one may wait for an idle moment, and
# between two looks at the memory.
_PAUSE, _PATIENCE = 60, 660
_SECOND = 1.0
_PAGE = resource.getpagesize()
# So much more memory than after the last look is not waited for: it may be objects in cycles.
_GROWTH = 128 << 20


def collect_young_only() -> None:
    """From here on the interpreter looks at young objects alone."""
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)


async def collect_when_idle(busy: Callable[[], bool]) -> None:
    """Look at all objects once a minute, when no request is being answered. Never returns.

    Under steady load this happens after 11 minutes, or when the process has grown by 128 MiB.
    """
    while True:
        await _moment(busy)
        gc.collect()


async def _moment(busy: Callable[[], bool]) -> None:
    before = _resident()
    for second in range(_PATIENCE):
        await asyncio.sleep(_SECOND)
        if _resident() - before > _GROWTH or (second >= _PAUSE and not busy()):
            return


def _resident() -> int:
    """Return how many bytes of memory this process has."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - once a second
        return int(statm.read().split()[1]) * _PAGE
