"""A request's body: read up to a limit, decompressed up to another."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zstandard

from kscope.server.http.fair_share import Lane
from kscope.server.http.problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from starlette.requests import Request

    from kscope.server.http.budget import Share
    from kscope.server.http.fair_share import Steps

    Room = Callable[[int], None]
    Decompress = Callable[[bytes | bytearray, int, Room], Steps[bytearray]]

# A zstd frame may ask for a window of gigabytes; the levels that senders use need 8 MiB.
_ZSTD_WINDOW = 32 * 1024 * 1024
# How many times the limit may be sent before the connection is cut.
_PATIENCE = 4
# What follows a member is copied each time one ends: in small pieces, and not for ever.
_GZIP_PIECE = 4096
_ZSTD_PIECE = 16 * 1024
_ZSTD_READS = 20_000
# A step of unfolding: this much, in and out.
_STEP = 256 * 1024
_GZIP_MEMBERS = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes: a body as sent, the same decompressed, and all that are being handled.

    Times in seconds: for the next piece of a body to come, and for all of it.
    """

    body: int = 32 * 1024 * 1024
    decompressed: int = 32 * 1024 * 1024
    in_flight: int = 192 * 1024 * 1024
    silence: float = 30
    whole: float = 300


async def read(request: Request, limits: Limits, share: Share) -> bytearray:
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
    return body


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


def decompressor(encoding: str) -> Decompress | None:
    """Return what unfolds a Content-Encoding; None if nothing has to. Raise 415."""
    try:
        return _DECOMPRESSORS[encoding.strip().lower()]
    except KeyError:
        raise HttpProblem(
            415,
            f"Content-Encoding {encoding[:40]!r} is not known here: send gzip, zstd or plain JSON",
            headers={"Accept-Encoding": "gzip, zstd"},
        ) from None


def _collected(pieces: Iterator[bytes], limit: int, room: Room) -> Steps[bytearray]:
    """Return what the pieces make up. `room` is called with each one's size, and may raise."""
    text = bytearray()
    done = 0
    for piece in pieces:
        room(len(piece))
        text += piece
        if len(text) > limit:
            raise _too_large(limit, "decompressed")
        done += _GZIP_PIECE + len(piece)
        if done > _STEP:
            done = 0
            yield Lane.GOOD
    return text


def _gunzip(body: bytes | bytearray, limit: int, room: Room) -> Steps[bytearray]:
    return _collected(_gunzipped(body), limit, room)


def _gunzipped(body: bytes | bytearray) -> Iterator[bytes]:
    """Yield pieces of 4 MiB at most: a byte stands for a thousand."""
    at = members = 0
    while at < len(body):
        members += 1
        if members > _GZIP_MEMBERS:
            raise HttpProblem(400, f"the gzip body has more than {_GZIP_MEMBERS} members: send one")
        member = zlib.decompressobj(wbits=31)
        while not member.eof and at < len(body):
            piece = body[at : at + _GZIP_PIECE]
            try:
                yield member.decompress(piece)
            except zlib.error as error:
                raise HttpProblem(400, f"the body is not gzip: {error}") from None
            at += len(piece) - len(member.unused_data)
        if not member.eof:
            raise HttpProblem(400, "the gzip body ends before its end")


def _unzstd(body: bytes | bytearray, limit: int, room: Room) -> Steps[bytearray]:
    return _collected(_unzstded(body), limit, room)


def _unzstded(body: bytes | bytearray) -> Iterator[bytes]:
    """Yield pieces of 1 MiB at most, and empty ones while the body stands for nothing."""
    source: Any = _Source(body)
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    reader = context.stream_reader(source, read_size=_ZSTD_PIECE, read_across_frames=True)
    for _ in range(_ZSTD_READS):
        try:
            piece = reader.read1(1024 * 1024)
        except _PauseError:
            yield b""
            continue
        except zstandard.ZstdError as error:
            raise HttpProblem(400, f"the body is not zstd: {error}") from None
        if not piece:
            return
        yield piece
    raise HttpProblem(400, "the zstd body has too many frames or blocks: send one frame")


class _PauseError(Exception):
    """The reader has read a while without coming to any text. It goes on when asked again."""


class _Source:
    """A body as a file for the reader, which would read all of it in one call if it is empty."""

    def __init__(self, body: bytes | bytearray) -> None:
        self._body = body
        self._at = 0
        self._pause = False

    def read(self, count: int) -> bytes:
        self._pause = not self._pause
        if not self._pause:
            raise _PauseError
        piece = bytes(self._body[self._at : self._at + count])
        self._at += len(piece)
        return piece


_DECOMPRESSORS: Mapping[str, Decompress | None] = {
    "": None,
    "identity": None,
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
