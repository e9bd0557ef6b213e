"""A question has one deadline, and is given up when nobody waits for its answer any more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kscope.store.backends.deadline import allow

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Patience:
    """Middleware. `seconds` is how long one request may take to be answered."""

    app: ASGIApp
    seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        messages: asyncio.Queue[Message] = asyncio.Queue(1)
        with allow(self.seconds) as allowed:
            work = asyncio.ensure_future(self.app(scope, messages.get, send))
        listener = asyncio.ensure_future(_listen(receive, messages, work))
        try:
            await work
        except asyncio.CancelledError:
            # Either nobody listens, or this server stops: then the task is cancelled itself.
            if not listener.done() or listener.cancelled():
                work.cancel()
                raise
        finally:
            allowed.end()
            listener.cancel()


async def _listen(
    receive: Receive, messages: asyncio.Queue[Message], work: asyncio.Future[None]
) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            work.cancel()
            return
        await messages.put(message)
