"""A body's Content-Encoding, undone in small steps: gzip and zstd."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import zstandard

from kscope.server.http.problems import HttpProblem
from kscope.server.http.request_body import too_large
from kscope.server.ingest.fair_queue import Lane, Steps

Room = Callable[[int], None]
Decompress = Callable[[bytes | bytearray, int, Room], Steps[bytearray]]

# A zstd frame may ask for a window of gigabytes; the levels that senders use need 8 MiB.
_ZSTD_WINDOW = 32 * 1024 * 1024
# The input after a member is copied each time one ends: small pieces, and a limited number.
_MEMBERS = 10_000
# Bytes that one step of decompression reads and writes.
_STEP = 256 * 1024


@dataclass(frozen=True)
class _Coding:
    """A body is one member or several; each is undone by a separate object."""

    name: str
    members: Callable[[], Callable[[], Any]]
    piece: int


def _gzip() -> Callable[[], Any]:
    return partial(zlib.decompressobj, wbits=31)


def _zstd() -> Callable[[], Any]:
    # The members of one decompressor share its state: each body has its own.
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj


# A byte of gzip can become a thousand, four bytes of zstd 128 KiB: at most 4 and 8 MiB of a piece.
_CODINGS = {
    "": None,
    "identity": None,
    "gzip": _Coding("gzip", _gzip, 4096),
    "x-gzip": _Coding("gzip", _gzip, 4096),
    "zstd": _Coding("zstd", _zstd, 256),
}


def decompressor(encoding: str) -> Decompress | None:
    """Return the function that undoes a Content-Encoding; None for plain text. Raise 415."""
    try:
        coding = _CODINGS[encoding.strip().lower()]
    except KeyError:
        raise HttpProblem(
            415,
            f"Content-Encoding {encoding[:40]!r} is not known here: send gzip, zstd or none",
            headers={"Accept-Encoding": "gzip, zstd"},
        ) from None
    return partial(_collected, coding) if coding else None


def _collected(
    coding: _Coding, body: bytes | bytearray, limit: int, room: Room
) -> Steps[bytearray]:
    """Return the pieces joined. `room` is called with the size of each, and may raise."""
    text = bytearray()
    done = 0
    for piece in _pieces(coding, body):
        room(len(piece))
        text += piece
        if len(text) > limit:
            raise too_large(limit, "decompressed body")
        done += coding.piece + len(piece)
        if done > _STEP:
            done = 0
            yield Lane.GOOD
    return text


def _pieces(coding: _Coding, body: bytes | bytearray) -> Iterator[bytes]:
    name, new_member = coding.name, coding.members()
    at = members = 0
    while at < len(body):
        members += 1
        if members > _MEMBERS:
            raise HttpProblem(400, f"the {name} body has more than {_MEMBERS} members: send one")
        member = new_member()
        while not member.eof and at < len(body):
            piece = body[at : at + coding.piece]
            try:
                yield member.decompress(piece)
            except (zlib.error, zstandard.ZstdError) as error:
                raise HttpProblem(400, f"the body is not {name}: {error}") from None
            at += len(piece) - len(member.unused_data)
        if not member.eof:
            raise HttpProblem(400, f"the {name} body is cut off: send all of it")
