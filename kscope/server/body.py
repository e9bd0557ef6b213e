"""A request's body: read up to a limit, decompressed up to another."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import zstandard

from kscope.server.problems import HttpProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

# A zstd frame may ask for a window of gigabytes; the levels that senders use need 8 MiB.
_ZSTD_WINDOW = 32 * 1024 * 1024
_PATIENCE = 4


async def read(request: Request, limit: int) -> bytes:
    """Give the body as it was sent, or raise 413 without keeping it."""
    body = bytearray()
    seen = 0
    announced = request.headers.get("content-length", "0")
    too_large = announced.isdigit() and int(announced) > limit
    async for chunk in request.stream():
        seen += len(chunk)
        too_large = too_large or seen > limit
        if not too_large:
            body += chunk
        else:
            body.clear()
            # A sender that is cut off while it writes never reads why: up to a bound it may end.
            if seen > limit * _PATIENCE:
                break
    if too_large:
        raise _too_large(limit)
    return bytes(body)


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
    while body and room > 0:
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(body, room))
        except zlib.error as error:
            raise HttpProblem(400, f"the body is not gzip: {error}") from None
        room -= len(parts[-1])
        if room > 0 and not member.eof:
            raise HttpProblem(400, "the gzip body ends before its end")
        body = member.unused_data
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
