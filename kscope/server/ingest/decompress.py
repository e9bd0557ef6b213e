"""A body's Content-Encoding, undone in small steps: gzip and zstd."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import zstandard

from kscope.server.http.problems import HttpProblem
from kscope.server.http.request_body import too_large
from kscope.server.ingest.fair_queue import Lane, Steps

Room = Callable[[int], None]
Decompress = Callable[[bytes | bytearray, int, Room], Steps[bytearray]]

# A zstd frame may ask for a window of gigabytes; the levels that senders use need 8 MiB.
_ZSTD_WINDOW = 32 * 1024 * 1024
# The input after a gzip member is copied each time one ends: small pieces, and a limited number.
_GZIP_PIECE = 4096
_GZIP_MEMBERS = 10_000
_ZSTD_PIECE = 16 * 1024
_ZSTD_READS = 20_000
# Bytes that one step of decompression reads and writes.
_STEP = 256 * 1024


def decompressor(encoding: str) -> Decompress | None:
    """Return the function that undoes a Content-Encoding; None for plain text. Raise 415."""
    try:
        pieces = _DECOMPRESSORS[encoding.strip().lower()]
    except KeyError:
        raise HttpProblem(
            415,
            f"Content-Encoding {encoding[:40]!r} is not known here: send gzip, zstd or plain JSON",
            headers={"Accept-Encoding": "gzip, zstd"},
        ) from None
    return pieces and (lambda body, limit, room: _collected(pieces(body), limit, room))


def _collected(pieces: Iterator[bytes], limit: int, room: Room) -> Steps[bytearray]:
    """Return the pieces joined. `room` is called with the size of each, and may raise."""
    text = bytearray()
    done = 0
    for piece in pieces:
        room(len(piece))
        text += piece
        if len(text) > limit:
            raise too_large(limit, "decompressed")
        done += _GZIP_PIECE + len(piece)
        if done > _STEP:
            done = 0
            yield Lane.GOOD
    return text


def _gunzip(body: bytes | bytearray) -> Iterator[bytes]:
    """Yield pieces of 4 MiB at most: a byte can become a thousand."""
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
            raise HttpProblem(400, "the gzip body is cut off: send all of it")


def _unzstd(body: bytes | bytearray) -> Iterator[bytes]:
    """Yield pieces of 1 MiB at most, and empty ones while the body has no content."""
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
    """The reader has read for a while without output. It continues when it is called again."""


class _Source:
    """A body as a file that pauses: in one call, the reader would read all of an empty body."""

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


_DECOMPRESSORS: Mapping[str, Callable[[bytes | bytearray], Iterator[bytes]] | None] = {
    "": None,
    "identity": None,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
}
