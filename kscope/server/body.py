"""A request's body: read up to a limit, decompressed up to another."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from kscope.server.problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from kscope.server.budget import Share

# A zstd frame may ask for a window of gigabytes; the levels that senders use need 8 MiB.
_ZSTD_WINDOW = 32 * 1024 * 1024
# How many times the limit may be sent before the connection is cut.
_PATIENCE = 4
# What follows a member is copied each time one ends: in small pieces, and not for ever.
_GZIP_PIECE = 4096
_GZIP_MEMBERS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes: a body as sent, the same decompressed, and all that are being handled.

    Times in seconds: for the next piece of a body to come, and for all of it.
    """

    body: int = 32 * 1024 * 1024
    decompressed: int = 128 * 1024 * 1024
    in_flight: int = 256 * 1024 * 1024
    silence: float = 30
    whole: float = 300


async def read(request: Request, limits: Limits, share: Share) -> bytes:
    """Give the body as it was sent; raise 408, 413 or 503 without keeping it."""
    body = bytearray()
    seen = 0
    refused = None
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limits.body:
        refused = _too_large(limits.body)
    async for chunk in _in_time(request.stream(), limits.silence, limits.whole):
        seen += len(chunk)
        try:
            if refused is None:
                share.take(len(chunk))
                body += chunk
            if seen > limits.body:
                raise _too_large(limits.body)
        except HttpProblem as problem:
            refused = problem
            body.clear()
            share.release()
        # A sender that is cut off while it writes never reads why: up to a bound it may end.
        if refused and seen > limits.body * _PATIENCE:
            break
    if refused:
        raise refused
    return bytes(body)


async def read_small(
    request: Request, most: int, too_large: str, *, silence: float = 30, whole: float = 60
) -> bytes:
    """Give a body that fits into memory many times; raise 408, or 413 with that text."""
    body = bytearray()
    async for piece in _in_time(request.stream(), silence, whole):
        body += piece
        if len(body) > most:
            raise HttpProblem(413, too_large, headers={"Connection": "close"})
    return bytes(body)


async def _in_time(
    pieces: AsyncIterator[bytes], silence: float, whole: float
) -> AsyncIterator[bytes]:
    """Raise 408 where nothing comes for too long, or too little: it would take up room for ever."""
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
                f"the body did not come: send each piece within {silence:g} seconds of the"
                f" last, and all of them within {whole:g}",
                headers={"Connection": "close"},
            ) from None
        yield piece


def decompressor(encoding: str) -> Callable[[bytes, int], bytes]:
    """Give the function (body, limit) -> text of a Content-Encoding; 415 for others."""
    try:
        return _DECOMPRESSORS[encoding.strip().lower()]
    except KeyError:
        raise HttpProblem(
            415,
            f"Content-Encoding {encoding[:40]!r} is not known here: send gzip, zstd or plain JSON",
            headers={"Accept-Encoding": "gzip, zstd"},
        ) from None


def _plain(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    room = limit + 1
    at = members = 0
    while at < len(body) and room > 0:
        members += 1
        if members > _GZIP_MEMBERS:
            raise HttpProblem(400, f"the gzip body has more than {_GZIP_MEMBERS} members: send one")
        member = zlib.decompressobj(wbits=31)
        while not member.eof and at < len(body) and room > 0:
            piece = body[at : at + _GZIP_PIECE]
            try:
                parts.append(member.decompress(piece, room))
            except zlib.error as error:
                raise HttpProblem(400, f"the body is not gzip: {error}") from None
            room -= len(parts[-1])
            at += len(piece) - len(member.unused_data)
        if room > 0 and not member.eof:
            raise HttpProblem(400, "the gzip body ends before its end")
    if room <= 0:
        raise _too_large(limit, "decompressed")
    return b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    try:
        with context.stream_reader(body, read_across_frames=True) as reader:
            text = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise HttpProblem(400, f"the body is not zstd: {error}") from None
    if len(text) > limit:
        raise _too_large(limit, "decompressed")
    return text


_DECOMPRESSORS: dict[str, Callable[[bytes, int], bytes]] = {
    "": _plain,
    "identity": _plain,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
}


def _too_large(limit: int, how: str = "") -> HttpProblem:
    what = f"{how} body" if how else "body"
    return HttpProblem(
        413,
        f"the {what} is larger than {limit // 1024} KiB: send fewer rows at a time",
        headers={"Connection": "close"},
    )
