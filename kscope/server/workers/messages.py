"""The messages between the parent and a worker, as lines of JSON on a pair of sockets."""

import asyncio
import contextlib
import socket
from typing import Generic, TypeVar

import msgspec

from kscope.server.http.metric_list import Families

# The counts of a worker take some kilobytes; their labels come from small sets.
_MAX_BYTES = 1 << 22


class Ready(msgspec.Struct, frozen=True, tag=True):
    """A worker has opened the database, and answers."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A worker ends because of an error that the user can fix."""

    text: str
    code: int


class Counted(msgspec.Struct, frozen=True, tag=True):
    """The counts of a worker: asked for, once a second, and at its end."""

    families: Families
    asked: bool = False


class WantWhole(msgspec.Struct, frozen=True, tag=True):
    """A worker asks for the counts of all."""


class WantCount(msgspec.Struct, frozen=True, tag=True):
    """The parent asks for a worker's counts."""


class Whole(msgspec.Struct, frozen=True, tag=True):
    """The counts of all workers since the start."""

    families: Families


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End, after the requests under way or at once."""

    at_once: bool = False


FromWorker = Ready | Failed | Counted | WantWhole
FromParent = WantCount | Whole | Stop
_FROM_WORKER: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)
_FROM_PARENT: msgspec.json.Decoder[FromParent] = msgspec.json.Decoder(FromParent)
Sent = TypeVar("Sent")
Received = TypeVar("Received")


class Channel(Generic[Sent, Received]):
    """One end of the pair."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        decoder: msgspec.json.Decoder[Received],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = decoder

    @property
    def is_idle(self) -> bool:
        """Return whether the other side has taken all messages."""
        return not self._writer.transport.get_write_buffer_size()

    def send(self, message: Sent) -> None:
        """Send soon. A message to a process that has ended is lost."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def receive(self) -> Received | None:
        """Return the next message, or None once the other process has ended."""
        try:
            line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, OSError):
            return None
        return self._decoder.decode(line)

    async def close(self) -> None:
        """Send all, and close."""
        with contextlib.suppress(OSError):
            await self._writer.drain()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


ToWorker = Channel[FromParent, FromWorker]
ToParent = Channel[FromWorker, FromParent]


async def to_worker(end: socket.socket) -> ToWorker:
    return Channel(*await asyncio.open_connection(sock=end, limit=_MAX_BYTES), _FROM_WORKER)


async def to_parent(end: socket.socket) -> ToParent:
    return Channel(*await asyncio.open_connection(sock=end, limit=_MAX_BYTES), _FROM_PARENT)
