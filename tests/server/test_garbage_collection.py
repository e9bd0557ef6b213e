"""Objects in cycles go, also if the server never has a moment without a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.children import bounded_run

if TYPE_CHECKING:
    from pathlib import Path

BUSY = """
import asyncio, gc
from kscope.server import garbage_collection

garbage_collection._SECOND = 0.01

class Cycle:
    def __init__(self):
        self.itself, self.bytes = self, bytearray(1 << 20)

async def work():
    garbage_collection.collect_young_only()
    looking = asyncio.create_task(garbage_collection.collect_when_idle(lambda: True))
    for _ in range(1500):
        Cycle().bytes[::4096] = bytes(256)
        await asyncio.sleep(0.001)
    looking.cancel()

start = peak()
asyncio.run(work())
print(peak() - start)
"""


def test_a_server_that_is_always_busy_frees_cycles(tmp_path: Path) -> None:
    """1.5 GB of them in a process that never is idle: it grows by little more than the bound."""
    assert int(bounded_run(BUSY, folder=tmp_path)) < 450
