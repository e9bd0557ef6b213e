"""When the interpreter looks for objects in cycles: seldom, and rather not while it answers.

A look at all objects holds the interpreter, and so the event loop, for 0.2 s if there are the parts
of a large answer among them.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Rows and stacks are some ten thousand tuples at a time, none of them in a cycle: to look through
# them every 700 takes a tenth of the time of a large answer. Two such parts are seen again once.
_YOUNG, _MIDDLE = 50_000, 2
_NEVER = 1_000_000
# In seconds: between two looks at all objects, and how long one may wait for an idle moment.
_PAUSE = 60.0
_PATIENCE = 600


def look_at_young_objects() -> None:
    """From here on the interpreter looks at young objects alone."""
    gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)


async def look_at_all(busy: Callable[[], bool]) -> None:
    """Look at all objects once a minute, when no request is being answered. Never returns."""
    while True:
        await asyncio.sleep(_PAUSE)
        for _ in range(_PATIENCE):
            if not busy():
                break
            await asyncio.sleep(1)
        gc.collect()
