"""A question has one deadline, and is cancelled when its client disconnects."""

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kscope.store.backends.deadline import Deadline
from kscope.store.reader import Reader


@dataclass(frozen=True)
class CancelOnDisconnect:
    """Middleware. `seconds` is the time that one request may take to be answered."""

    app: ASGIApp
    seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        messages: asyncio.Queue[Message] = asyncio.Queue(1)
        deadline = Deadline(self.seconds)
        scope.setdefault("state", {})["deadline"] = deadline
        work = asyncio.ensure_future(self.app(scope, messages.get, send))
        listener = asyncio.ensure_future(_listen(receive, messages, work))
        try:
            await work
        except asyncio.CancelledError:
            # Either the client is gone, or this server stops: then this task is cancelled too.
            if not listener.done() or listener.cancelled():
                work.cancel()
                raise
        finally:
            deadline.end()
            listener.cancel()


def reader_of(request: Request) -> Reader:
    """Return the store's reader, bound to the deadline of the request."""
    reader: Reader = request.app.state.reader
    return reader.within(request.state.deadline)


async def _listen(
    receive: Receive, messages: asyncio.Queue[Message], work: asyncio.Future[None]
) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            work.cancel()
            return
        await messages.put(message)
