"""A request's body, read up to a limit of bytes and of time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request

from kscope.server.http.memory_budget import Share
from kscope.server.http.problems import HttpProblem

# A client that sends more than this many times the limit is cut off before it has sent all.
_READ_TO_REFUSE = 4


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The bytes of a body as sent, and of the same decompressed.

    Times in seconds, until the next piece of a body arrives, and until all of it has arrived.
    """

    size: int
    silence: float = 30
    whole: float = 300


async def read(request: Request, limits: BodyLimits, share: Share) -> bytearray:
    """Return the body as sent. Raise 408, 413 or 503, after which none of it is kept."""
    body = bytearray()
    seen = 0
    refused = None
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limits.size:
        refused = too_large(limits.size)
    async for chunk in _in_time(request.stream(), limits.silence, limits.whole):
        seen += len(chunk)
        try:
            if refused is None:
                share.take(len(chunk))
                body += chunk
            if seen > limits.size:
                raise too_large(limits.size)
        except HttpProblem as problem:
            refused = problem
            body.clear()
            share.give(share.held)
        # A client that is cut off while it writes does not read why: let it finish, up to a bound.
        if refused and seen > limits.size * _READ_TO_REFUSE:
            break
    if refused:
        raise refused
    return body


async def read_small(
    request: Request, most: int, too_large: str, *, silence: float = 30, whole: float = 60
) -> bytes:
    """Return a body of at most `most` bytes. Raise 408, or 413 with the text `too_large`."""
    body = bytearray()
    async for piece in _in_time(request.stream(), silence, whole):
        body += piece
        if len(body) > most:
            raise HttpProblem(413, too_large, headers={"Connection": "close"})
    return bytes(body)


async def _in_time(
    pieces: AsyncIterator[bytes], silence: float, whole: float
) -> AsyncIterator[bytes]:
    """Yield the pieces; raise 408 if the next one, or all of them, arrive too late."""
    loop = asyncio.get_running_loop()
    end = loop.time() + whole
    while True:
        try:
            async with asyncio.timeout_at(min(end, loop.time() + silence)):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise HttpProblem(
                408,
                f"the body did not arrive: send each piece within {silence:g} seconds of the"
                f" last, and all of them within {whole:g}",
                headers={"Connection": "close"},
            ) from None
        yield piece


def too_large(limit: int, what: str = "body") -> HttpProblem:
    return HttpProblem(
        413,
        f"the {what} is larger than {limit // 1024} KiB: send fewer rows at a time",
        headers={"Connection": "close"},
    )
