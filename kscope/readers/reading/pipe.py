"""Lines of a pipe, each as soon as it arrives."""

import codecs
import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from kscope.errors import KscopeError
from kscope.readers.reading.base import LONGEST_LINE, Skipped

_CHUNK = 64 * 1024
# Seconds between two calls of `idle` while nothing arrives.
_TICK = 0.2
_MOST_ARRIVALS = 64
_START = 8
# A part of a line after a pause, with as many bytes as the buffer of a C or a Python program.
_BLOCKS = (4096, 8192)
_PAUSE = 1.0


@dataclass(slots=True)
class Pipe:
    """The lines that a file descriptor delivers, until its end or until `stopped` says so.

    `idle` is called before each wait for more, and some times a second while nothing arrives. One
    line at a time is in memory, and at most one read's lines wait behind it. `start` has the first
    bytes, `last` is when bytes arrived, by the monotonic clock; `taken` counts the lines that were
    yielded, and `failure` says why reading failed. `late`: the writer collects its lines in a
    buffer, as programs do whose output is a pipe.
    """

    descriptor: int
    idle: Callable[[], None] = lambda: None
    stopped: Callable[[], bool] = lambda: False
    last: float = field(default_factory=time.monotonic)
    start: bytes = b""
    taken: int = 0
    late: bool = False
    failure: str = ""
    _number: int = 0
    _ready: deque[tuple[int, str]] = field(default_factory=deque)
    _arrivals: deque[tuple[int, float]] = field(default_factory=deque)
    _longest: int = LONGEST_LINE
    # The line that has no end yet.
    _pieces: list[bytes] = field(default_factory=list)
    _size: int = 0
    _ended: bool = False

    def lines(self, skipped: Skipped, longest: int = LONGEST_LINE) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of each line that was not yielded before; skip one that has
        more than `longest` bytes.
        """
        self._longest = longest
        while self._ready or self._fill(skipped):
            if self._ready:
                self.taken += 1
                yield self._ready.popleft()

    def put_back(self, lines: Iterable[tuple[int, str]]) -> None:
        """Let the next `lines` begin with these."""
        self._ready.extendleft(reversed([*lines]))

    def whole(self, limit: int) -> bytes:
        """Raise KscopeError, because a pipe has no whole."""
        raise KscopeError(f"a pipe is read line by line, not {limit} bytes at once")

    def arrived(self, number: int) -> float:
        """Return when the line arrived, in seconds since 1970. The last reads are known; a number
        of 0 is that of the last line.
        """
        number = number or self._number
        for first, moment in reversed(self._arrivals):
            if first <= number:
                return moment
        return self._arrivals[0][1] if self._arrivals else time.time()

    def _fill(self, skipped: Skipped) -> bool:
        """Read once. Return False at the end."""
        if self._ended:
            return False
        self.idle()
        if self.stopped():
            self._ended = True
        elif self._has_more():
            chunk = self._read()
            if chunk:
                self._split(chunk, skipped)
            self._ended = chunk == b""
        if self._ended:
            self._finish(skipped)
        return True

    def _has_more(self) -> bool:
        """Wait for at most a tick. A closed descriptor has more: its error."""
        waiting = select.poll()
        waiting.register(self.descriptor, select.POLLIN)
        return bool(waiting.poll(_TICK * 1000))

    def _read(self) -> bytes | None:
        """Return what is there, nothing at the end, or None if there is nothing yet."""
        try:
            chunk = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            time.sleep(_TICK)
            return None
        except OSError as error:
            self.failure = f"standard input cannot be read: {error.strerror}"
            return b""
        now = time.monotonic()
        block = len(chunk) in _BLOCKS and not chunk.endswith(b"\n")
        self.late = self.late or (block and now - self.last > _PAUSE)
        self.last = now
        return chunk

    def _split(self, chunk: bytes, skipped: Skipped) -> None:
        self.start = self.start or chunk[:_START]
        self._note_arrival()
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._add(piece)
            self._end_line(skipped)
        self._add(rest)

    def _finish(self, skipped: Skipped) -> None:
        """Take the last line, which has no end."""
        if self._size:
            self._note_arrival()
            self._end_line(skipped)

    def _note_arrival(self) -> None:
        self._arrivals.append((self._number + 1, time.time()))
        if len(self._arrivals) > _MOST_ARRIVALS:
            self._arrivals.popleft()

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > self._longest:
            self._pieces.clear()

    def _end_line(self, skipped: Skipped) -> None:
        self._number += 1
        if self._size > self._longest:
            skipped.add(self._number, f"longer than {self._longest >> 20} MiB")
        else:
            line = b"".join(self._pieces)
            line = line.removeprefix(codecs.BOM_UTF8) if self._number == 1 else line
            self._ready.append((self._number, line.decode("utf-8", "replace").rstrip("\r")))
        self._pieces.clear()
        self._size = 0
